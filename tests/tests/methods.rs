//! Delayed methods: every kind of receiver, in types and in traits.

use std::sync::Arc;

use taskgraph::{DC, IntoArg, IntoRef, delayed};
use taskgraph_tests::checks::check;
use taskgraph_tests::tasks::add;

mod methods {
    use super::*;

    #[derive(Clone)]
    struct Counted {
        used: u32,
        unused: Arc<()>,
    }

    impl Counted {
        #[delayed]
        fn new(used: u32) -> Self {
            Self { used, unused: Arc::default() }
        }

        #[delayed]
        fn by_value(self, more: u32) -> u32 {
            self.used + more
        }

        #[delayed]
        fn by_mutable_value(mut self) -> u32 {
            self.used += Self::MORE;
            self.used
        }

        #[delayed]
        fn boxed(self: Box<Self>) -> Self {
            *self
        }

        #[delayed]
        fn counted(self: Arc<Self>, more: &u32) -> u32 {
            self.used + more
        }

        #[delayed]
        fn unused(self) {}

        #[delayed]
        fn generator(mut self, n: u32) -> Vec<u32> {
            for _ in 0..n {
                self.used += 1;
                yield_!(self.clone().by_value(n));
            }
        }

        const MORE: u32 = 1;
    }

    impl<T: Send + 'static> Boxed<T> {
        #[delayed]
        fn open(self, _: u32) -> T {
            self.0
        }

        #[delayed]
        fn close(value: T) -> Self {
            Self(value)
        }
    }

    struct Boxed<T>(T);

    /// Declares a constructor, which a delayed method implements.
    trait Scale {
        fn scale(self, factor: impl IntoArg<u32>, name: impl IntoRef<str>) -> DC<usize>;
    }

    impl Scale for u32 {
        #[delayed]
        fn scale(self, factor: u32, name: &str) -> usize {
            (self * factor) as usize + name.len()
        }
    }

    trait Area: Sized + Send + 'static {
        const SIDES: u32;

        #[delayed]
        fn area(self) -> u32 {
            Self::SIDES
        }

        #[delayed]
        fn sides(more: u32) -> u32 {
            Self::SIDES + more
        }
    }

    impl Area for Counted {
        const SIDES: u32 = 7;
    }

    impl Area for u32 {
        const SIDES: u32 = 0;

        #[delayed]
        fn area(self) -> u32 {
            self
        }
    }

    #[test]
    fn methods_keep_their_receiver() {
        let counted = || Counted { used: 1, unused: Arc::default() };
        check(Counted::new(1).map(|new| new.used), 1);
        check(counted().by_value(add(1, 1)), 3);
        check(counted().by_mutable_value(), 2);
        check(Box::new(counted()).boxed().then(Counted::by_mutable_value), 2);
        check(Arc::new(counted()).counted(2), 3);
        check(counted().generator(2), vec![4, 5]);
        check(Boxed::close("text".to_owned()).then(|closed| closed.open(0)), "text".to_owned());
        check(counted().area(), 7);
        check(5u32.area(), 5);
        check(Counted::sides(1), 8);
        check(2u32.scale(add(1, 2), "a"), 7);
    }

    #[test]
    fn a_receiver_is_dropped_when_the_task_has_run() {
        let unused = Arc::new(());
        let counted = || Counted { used: 1, unused: Arc::clone(&unused) };
        let delayed = (counted().by_value(1), counted().unused(), counted().generator(1));
        assert_eq!(Arc::strong_count(&unused), 4, "the whole receiver waits for the task");
        check(delayed.0, 2);
        check(delayed.1, ());
        check(delayed.2, vec![3]);
        assert_eq!(Arc::strong_count(&unused), 1);
        assert_eq!(counted().unused, unused);
    }
}
