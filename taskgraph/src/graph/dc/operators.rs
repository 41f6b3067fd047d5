//! Arithmetic on what is not there yet: `a() + b()`, `2 * a()`, `-a()`.
//!
//! `DC<T> + DC<U>` works for every `T: Add<U>`. One side may be a plain number or `bool`; the right one may also be a
//! `Duration`, or a text. Each operator is a task, named by its sign.

use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Rem, Shl, Shr, Sub};
use std::time::Duration;

use crate::graph::call::input::Plain;
use crate::graph::call::{self, Value, task};
use crate::graph::delayed::DC;

/// `$op` for two computations, for a computation and a value of one of the types on the `right`, and for a value on the
/// `left` and a computation, in pairs of types.
macro_rules! binary {
    ($op:ident $method:ident $sign:literal, right: [$($right:ty)*], left: [$($left:ty, $of:ty;)*]) => {
        const _: () = {
            task!(Sign $sign);

            impl<T, U> $op<DC<U>> for DC<T>
            where
                T: $op<U, Output: Send + 'static> + Send + 'static,
                U: Send + 'static,
            {
                type Output = DC<T::Output>;

                #[track_caller]
                fn $method(self, other: DC<U>) -> Self::Output {
                    call::call::<Sign, Value, _, _, _>((self, other), |(a, b)| $op::$method(a, b))
                }
            }
            $(
                impl<T> $op<$right> for DC<T>
                where
                    T: $op<$right, Output: Send + 'static> + Send + 'static,
                {
                    type Output = DC<T::Output>;

                    #[track_caller]
                    fn $method(self, other: $right) -> Self::Output {
                        call::call::<Sign, Value, _, _, _>((self, Plain(other)), |(a, b)| $op::$method(a, b))
                    }
                }
            )*
            $(
                impl $op<DC<$of>> for $left {
                    type Output = DC<$left>;

                    #[track_caller]
                    fn $method(self, other: DC<$of>) -> Self::Output {
                        call::call::<Sign, Value, _, _, _>((Plain(self), other), |(a, b)| $op::$method(a, b))
                    }
                }
            )*
        };
    };
}

/// A binary operator, with the types that have it, and what else may be on its right.
macro_rules! on {
    ($op:ident $method:ident $sign:literal, [$($type:ty)*], $($right:ty)*) => {
        binary!($op $method $sign, right: [$($type)* $($right)*], left: [$($type, $type;)*]);
    };
}

/// The same, on all integers and some other types.
macro_rules! on_ints {
    ($op:ident $method:ident $sign:literal, [$($type:ty)*], $($right:ty)*) => {
        on!($op $method $sign, [u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize $($type)*], $($right)*);
    };
}

on_ints!(Add add "+", [f32 f64], Duration &'static str);
on_ints!(Sub sub "-", [f32 f64], Duration);
on_ints!(Mul mul "*", [f32 f64], Duration);
on_ints!(Div div "/", [f32 f64],);
on_ints!(Rem rem "%", [f32 f64],);
on_ints!(BitAnd bitand "&", [bool],);
on_ints!(BitOr bitor "|", [bool],);
on_ints!(BitXor bitxor "^", [bool],);

/// A shift, by a `u32`, so its sides may differ. With a choice of types the compiler would not know the type of `3` in
/// `a() << 3`, and so not that of the result, wherever it is used.
macro_rules! shift {
    ($op:ident $method:ident $sign:literal, [$($left:ty)*]) => {
        binary!($op $method $sign, right: [u32], left: [$($left, u32;)*]);
    };
}

shift!(Shl shl "<<", [u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize]);
shift!(Shr shr ">>", [u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize]);

/// `$op` for one computation.
macro_rules! unary {
    ($op:ident $method:ident $sign:literal) => {
        const _: () = {
    task!(Sign $sign);

            impl<T> $op for DC<T>
            where
                T: $op<Output: Send + 'static> + Send + 'static,
            {
                type Output = DC<T::Output>;

                #[track_caller]
                fn $method(self) -> Self::Output {
                    call::call::<Sign, Value, _, _, _>((self,), |(a,)| $op::$method(a))
                }
            }
        };
    };
}

unary!(Neg neg "-");
unary!(Not not "!");
