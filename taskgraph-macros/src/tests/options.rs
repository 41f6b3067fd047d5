//! The output of the attribute, with options that say how a body runs.

use super::check_with;

#[test]
fn a_function_with_a_timeout_or_a_priority_is_governed() {
    check_with(
        "timeout = \"1m 30s\", priority = -1, limit = \"db\"",
        "fn f(x: u8) -> Result<u8, E> { Ok(x) }",
        r##"
#[track_caller]
#[inline]
fn f(x: impl IntoArg<u8>) -> DC<u8> {
    TASK
    governed::<
        __Task,
        Generating,
        u8,
        _,
        _,
        _,
    >(
        (owned::<u8, _>(x),),
        Policy::new()
            .timeout(::core::time::Duration::new(90, 0))
            .priority(-1)
            .limited(),
        move |(x,)| {
            future::<
                __Task,
                Fallible,
                u8,
                _,
            >(
                sent::<
                    _,
                >({
                    static __LIMIT: Limit = Limit::named(
                        "db",
                    );
                    __LIMIT
                        .apply(async move {
                            if let ::core::option::Option::Some(__ended) = ::core::option::Option::None::<
                                Result<u8, E>,
                            > {
                                return __ended;
                            }
                            let x: u8 = x;
                            {
                                const _: () = ();
                                Ok(x)
                            }
                        })
                }),
            )
        },
    )
}
"##,
    );
}

#[test]
fn a_function_with_retries_makes_its_body_again() {
    check_with(
        "retries = 3, backoff = \"100ms..10s\", retry_if = E::is_busy",
        "fn f((a, _): (u8, u8), name: &str) -> Result<u8, E> { g(a, name) }",
        r##"
#[track_caller]
#[inline]
fn f(
    __arg0: impl IntoArg<(u8, u8)>,
    name: impl IntoRef<str>,
) -> DC<u8> {
    TASK
    retried::<
        __Task,
        Fallible,
        u8,
        _,
        _,
        _,
        _,
        _,
    >(
        (
            owned::<(u8, u8), _>(__arg0),
            borrowed::<str, _>(name),
        ),
        Policy::new()
            .retries(3)
            .backoff(
                ::core::time::Duration::new(0, 100000000),
                ::core::time::Duration::new(10, 0),
            )
            .retry_if(|__error| judge(E::is_busy, __error)),
        move |(__arg0, name)| {
            let name = ::std::sync::Arc::new(name);
            move || {
                let __arg0 = again::<(u8, u8)>(&__arg0);
                let name = ::std::sync::Arc::clone(&name);
                move || -> Result<u8, E> {
                    let _ = &__arg0;
                    let (a, _): (u8, u8) = __arg0;
                    let name: &str = Held::<str>::get(&*name);
                    {
                        const _: () = ();
                        g(a, name)
                    }
                }
            }
        },
    )
}
"##,
    );
}

#[test]
fn a_generator_with_retries_makes_its_body_again() {
    check_with(
        "retries = 1, limit = 4",
        "fn f(n: &u8) -> Vec<u8> { yield_!(n); }",
        r##"
#[track_caller]
#[inline]
fn f(n: impl IntoRef<u8>) -> DC<Vec<u8>> {
    TASK
    retried::<
        __Task,
        Generating,
        Vec<u8>,
        _,
        _,
        _,
        _,
        _,
    >(
        (borrowed::<u8, _>(n),),
        Policy::new().retries(1).limited(),
        move |(n,)| {
            let n = ::std::sync::Arc::new(n);
            move || {
                let n = ::std::sync::Arc::clone(&n);
                move || {
                    generate_async::<
                        __Task,
                        Vec<u8>,
                        (),
                        _,
                        _,
                    >(move |__yielder| sent::<
                        _,
                    >({
                        static __LIMIT: Limit = Limit::new(
                            4,
                        );
                        __LIMIT
                            .apply(async move {
                                if let ::core::option::Option::Some(__ended) = ::core::option::Option::None::<
                                    (),
                                > {
                                    return __ended;
                                }
                                let n: &u8 = Held::<u8>::get(&*n);
                                {
                                    const _: () = ();
                                    {
                                        let __pause = __yielder.put(n);
                                        __yielder.pause(__pause).await
                                    };
                                }
                            })
                    }))
                }
            }
        },
    )
}
"##,
    );
}

#[test]
fn named_arguments_are_cloned_for_each_try_and_defaults_made_again() {
    check_with(
        "named, retries = 1",
        "fn f(a: Option<u8>, #[builder(default = 1)] b: u8, #[builder(default = \"c\")] c: &str) {}",
        r##"
#[inline]
fn f() -> FBuilder {
    __start_f()
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
    #[builder(
        with = |a:implIntoArg<u8>|given::<u8,
        _>(a)
    )]
    a: ::core::option::Option<Given<u8>>,
    ///
    /// Default: `1`.
    #[builder(
        with = |b:implIntoArg<u8>|given::<u8,
        _>(b)
    )]
    b: ::core::option::Option<Given<u8>>,
    ///
    /// Default: `"c"`.
    #[builder(
        with = |c:implIntoRef<str>|lent::<str,
        _>(c)
    )]
    c: ::core::option::Option<Lent<str>>,
) -> DC<()> {
    TASK
    retried::<
        __Task,
        Value,
        (),
        _,
        _,
        _,
        _,
        _,
    >(
        (
            called_optional(a),
            called_optional(b),
            called_optional(c),
        ),
        Policy::new().retries(1),
        move |(a, b, c)| {
            let c = ::std::sync::Arc::new(c);
            move || {
                let a = again::<Option<u8>>(&a);
                let b = again::<::core::option::Option<u8>>(&b);
                let c = ::std::sync::Arc::clone(&c);
                move || -> () {
                    let a: Option<u8> = a;
                    let b: u8 = match b {
                        ::core::option::Option::Some(b) => b,
                        ::core::option::Option::None => (|| -> u8 { 1 })(),
                    };
                    let c: &str = match &*c {
                        ::core::option::Option::Some(c) => {
                            Held::<str>::get(c)
                        }
                        ::core::option::Option::None => (|| -> &str { "c" })(),
                    };
                    {
                        const _: () = ();
                    }
                }
            }
        },
    )
}
"##,
    );
}

/// Whatever the function is.
#[test]
fn the_library_may_be_anywhere() {
    let functions = [
        "fn f(a: u8, b: &str) -> Result<DC<u8>, E> { g() }",
        "fn f(a: Vec<u8>) -> io::Result { g() }",
        "async fn f(a: u8) -> Vec<u8> { yield_!(g(a).await); }",
        "fn f(#[cfg(unix)] a: u8) -> Vec<u8> { let x = yield_!(a); yield_!(x); }",
        "fn f(&self) {}",
    ];
    for options in
        ["", "timeout = \"1s\", limit = 1", "retries = 1, retry_if = g, backoff = \"1s..2s\", limit = \"db\"", "named"]
    {
        for function in functions {
            let options = format!("crate = ::engine, {options}").parse().expect("the test is written in Rust");
            let tokens = crate::transform(options, function.parse().expect("the test is written in Rust")).to_string();
            assert!(tokens.contains("engine") && !tokens.contains("taskgraph"), "{tokens}");
        }
    }
}
