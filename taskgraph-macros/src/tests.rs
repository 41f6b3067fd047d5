//! The output of the attribute, once for each kind of function.

mod options;

use proc_macro2::TokenStream;

#[track_caller]
fn check(function: &str, expected: &str) {
    check_with("", function, expected);
}

#[track_caller]
fn check_with(options: &str, function: &str, expected: &str) {
    let options: TokenStream = options.parse().expect("the test is written in Rust");
    let tokens = crate::transform(options, function.parse().expect("the test is written in Rust"));
    let found = prettyplease::unparse(&syn::parse2(tokens).expect("what comes out is Rust, too"));
    // It is readable without the paths.
    let found = found.replace("::taskgraph::__private::", "").replace("::taskgraph::", "");
    let expected = expected.trim_start().replace("TASK", TASK);
    assert!(found == expected, "expected:\n{expected}\nfound:\n{found}");
}

const TASK: &str = r#"enum __Task {}
    impl Task for __Task {
        const NAME: &'static ::core::primitive::str = "f";
        const LABEL: ::core::option::Option<&'static ::core::primitive::str> = ::core::option::Option::None;
        const PLACE: ::core::option::Option<&'static ::core::panic::Location<'static>> = ::core::option::Option::Some(
            ::core::panic::Location::caller(),
        );
    }"#;

#[test]
fn a_function_becomes_a_constructor() {
    check(
        "/// docs\npub fn f<T: Send>((a, _): (T, u8), name: &str) -> Result<T, E> where T: 'static { Ok(a) }",
        "
#[track_caller]
#[inline]
/// docs
pub fn f<T: Send>(
    __arg0: impl IntoArg<(T, u8)>,
    name: impl IntoRef<str>,
) -> DC<T>
where
    T: 'static,
{
    TASK
    call::<
        __Task,
        Fallible,
        T,
        _,
        _,
        _,
    >(
        (
            owned::<(T, u8), _>(__arg0),
            borrowed::<str, _>(name),
        ),
        move |(__arg0, name)| -> Result<T, E> {
            let (a, _): (T, u8) = __arg0;
            let name: &str = Held::<str>::get(&name);
            {
                const _: () = ();
                Ok(a)
            }
        },
    )
}
",
    );
}

#[test]
fn a_generator_puts_what_it_yields() {
    check(
        "fn f(self, n: u64) -> io::Result<Vec<u64>> { yield_!(n); Ok(()) }",
        "
#[track_caller]
#[inline]
fn f(self, n: impl IntoArg<u64>) -> DC<Vec<u64>> {
    TASK
    call::<
        __Task,
        Generating,
        Vec<u64>,
        _,
        _,
        _,
    >(
        (owned::<u64, _>(n),),
        move |(n,)| {
            generate::<
                __Task,
                Vec<u64>,
                io::Result<()>,
                _,
                _,
            >(move |__yielder| async move {
                if let ::core::option::Option::Some(__ended) = ::core::option::Option::None::<
                    io::Result<()>,
                > {
                    return __ended;
                }
                let _ = &self;
                let n: u64 = n;
                {
                    const _: () = ();
                    {
                        let __pause = __yielder.put(n);
                        __yielder.pause(__pause).await
                    };
                    Ok(())
                }
            })
        },
    )
}
",
    );
}

#[test]
fn an_async_function_becomes_a_future() {
    check(
        "async fn f(text: &str) -> Result<usize, E> { g().await; Ok(text.len()) }",
        "
#[track_caller]
#[inline]
fn f(text: impl IntoRef<str>) -> DC<usize> {
    TASK
    call::<
        __Task,
        Generating,
        usize,
        _,
        _,
        _,
    >(
        (borrowed::<str, _>(text),),
        move |(text,)| {
            future::<
                __Task,
                Fallible,
                usize,
                _,
            >(
                sent::<
                    _,
                >(async move {
                    if let ::core::option::Option::Some(__ended) = ::core::option::Option::None::<
                        Result<usize, E>,
                    > {
                        return __ended;
                    }
                    let text: &str = Held::<str>::get(&text);
                    {
                        const _: () = ();
                        g().await;
                        Ok(text.len())
                    }
                }),
            )
        },
    )
}
",
    );
}

#[test]
fn an_async_generator_waits_and_pauses() {
    check(
        "async fn f(n: u64) -> Vec<u64> { let x = yield_!(n); x.await; yield_!(n); }",
        "
#[track_caller]
#[inline]
fn f(n: impl IntoArg<u64>) -> DC<Vec<u64>> {
    TASK
    call::<
        __Task,
        Generating,
        Vec<u64>,
        _,
        _,
        _,
    >(
        (owned::<u64, _>(n),),
        move |(n,)| {
            generate_async::<
                __Task,
                Vec<u64>,
                (),
                _,
                _,
            >(move |__yielder| sent::<
                _,
            >(async move {
                if let ::core::option::Option::Some(__ended) = ::core::option::Option::None::<
                    (),
                > {
                    return __ended;
                }
                let n: u64 = n;
                {
                    const _: () = ();
                    let x = {
                        let (__shared, __pause) = __yielder.put_shared(n);
                        __yielder.pause(__pause).await;
                        __shared
                    };
                    x.await;
                    {
                        let __pause = __yielder.put(n);
                        __yielder.pause(__pause).await
                    };
                }
            }))
        },
    )
}
",
    );
}

#[test]
fn a_parameter_with_a_condition_gives_two_functions() {
    check(
        "#[inline] fn f(a: u8, #[cfg(unix)] #[allow(unused)] b: u8) {}",
        "
#[cfg(unix)]
#[delayed()]
#[inline]
fn f(a: u8, #[allow(unused)] b: u8) {}
#[cfg(not(unix))]
#[delayed()]
#[inline]
fn f(a: u8) {}
",
    );
}

#[test]
fn a_function_with_mistakes_becomes_a_stub() {
    check(
        "#[expect(unused)] unsafe fn f(a: u8, b: &mut u8) { x }",
        r#"
::core::compile_error! {
    "a `#[delayed]` function cannot be `unsafe`: its caller does not say when it runs\nhelp: remove `unsafe`, and use an `unsafe` block in the body"
}
::core::compile_error! {
    "a `#[delayed]` function cannot borrow mutably: it runs later, when the borrow may be over\nhelp: take the value as `mut x: T`, and return it"
}
unsafe fn f(
    _: impl IntoArg<u8>,
    _: impl ::core::marker::Sized,
) -> DC<()> {
    ::core::unreachable!()
}
"#,
    );
}

#[test]
fn a_function_with_named_arguments_becomes_a_start_and_a_builder() {
    check_with(
        "named",
        "/// docs\n#[must_use = \"x\"] pub fn f<T: Send>(#[builder(start_fn)] (a, _): (T, u8), /** Doc. */ name: &str, \
         #[builder(default = 1)] _n: u32, #[builder(name = y)] x: Option<u8>) -> T where T: 'static { a }",
        r##"
/// docs
#[inline]
pub fn f<T: Send>(__arg0: impl IntoArg<(T, u8)>) -> FBuilder<T>
where
    T: 'static,
{
    __start_f(given::<(T, u8), _>(__arg0))
}
#[bon::builder(
    crate = bon,
    start_fn(name = __start_f, vis = ""),
    builder_type(
        name = FBuilder,
        vis = "pub",
        doc{#[doc = " The arguments of a call of [`f()`]. Ends with [`dc()`](Self::dc())."]}
    ),
    finish_fn(
        name = dc,
        doc{#[doc = " The delayed computation of `f` with these arguments. Runs nothing."]}
    ),
)]
#[track_caller]
#[must_use = "x"]
fn __call_f<T: Send>(
    #[builder(start_fn)]
    __arg0: Given<(T, u8)>,
    /// Doc.
    #[builder(
        with = |name:implIntoRef<str>|lent::<str,
        _>(name)
    )]
    name: Lent<str>,
    ///
    /// Default: `1`.
    #[builder(
        name = n,
        with = |_n:implIntoArg<u32>|given::<u32,
        _>(_n)
    )]
    _n: ::core::option::Option<Given<u32>>,
    #[builder(
        name = y,
        with = |x:implIntoArg<u8>|given::<u8,
        _>(x)
    )]
    x: ::core::option::Option<Given<u8>>,
) -> DC<T>
where
    T: 'static,
{
    TASK
    call::<
        __Task,
        Value,
        T,
        _,
        _,
        _,
    >(
        (
            called(__arg0),
            called(name),
            called_optional(_n),
            called_optional(x),
        ),
        move |(__arg0, name, _n, x)| -> T {
            let (a, _): (T, u8) = __arg0;
            let name: &str = Held::<str>::get(&name);
            let _n: u32 = match _n {
                ::core::option::Option::Some(_n) => _n,
                ::core::option::Option::None => (|| -> u32 { 1 })(),
            };
            let x: Option<u8> = x;
            {
                const _: () = ();
                a
            }
        },
    )
}
"##,
    );
}

#[test]
fn a_function_with_named_arguments_and_mistakes_becomes_a_builder_too() {
    check_with(
        "named",
        "fn f(a: &str, b: Option<u8>, #[builder(start_fn)] c: &mut u8) { x }",
        r##"
::core::compile_error! {
    "a `#[delayed]` function cannot borrow mutably: it runs later, when the borrow may be over\nhelp: take the value as `mut x: T`, and return it"
}
::core::compile_error! {
    "positional arguments come first\nhelp: move this one to the front"
}
#[inline]
fn f(c: impl ::core::marker::Sized) -> FBuilder {
    __start_f(::core::mem::drop(c))
}
#[bon::builder(
    crate = bon,
    start_fn(name = __start_f, vis = ""),
    builder_type(
        name = FBuilder,
        doc{#[doc = " The arguments of a call of [`f()`]. Ends with [`dc()`](Self::dc())."]}
    ),
    finish_fn(
        name = dc,
        doc{#[doc = " The delayed computation of `f` with these arguments. Runs nothing."]}
    ),
)]
#[track_caller]
fn __call_f(
    #[builder(start_fn)]
    c: (),
    #[builder(with = |a:implIntoRef<str>|::core::mem::drop(a))]
    a: (),
    #[builder(with = |b:implIntoArg<u8>|::core::mem::drop(b))]
    b: ::core::option::Option<()>,
) -> DC<()> {
    let _ = (c, a, b);
    ::core::unreachable!()
}
"##,
    );
}
