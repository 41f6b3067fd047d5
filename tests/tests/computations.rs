//! A delayed computation: what it is made of, what it gives, and how it is named.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use taskgraph::DC;
use taskgraph_tests::checks::check;
use taskgraph_tests::tasks::plus;
use taskgraph_tests::{failing, run};

mod a_delayed_computation {
    use super::*;

    #[test]
    fn is_made_of_a_function_and_values_or_computations() {
        check(DC::new(plus, (1, 2)), 3);
        check(DC::new(plus, (1, DC::new(plus, (2, 3)))), 6);
        check(DC::new(plus, (DC::value(1), DC::value(2).shared())), 3);
        check(DC::new(|| 5, ()), 5);
        check(
            DC::new(
                |a: u8, b: u16, c: u32, d: u64, e: i8, f: i16, g: i32, h: i64, i: char, j: bool, k: String, l: ()| {
                    (
                        u64::from(a) + u64::from(b) + u64::from(c) + d,
                        i64::from(e) + i64::from(f) + i64::from(g) + h,
                        i,
                        j,
                        k,
                        l,
                    )
                },
                (1, DC::value(2), 3, DC::value(4), 5, 6, 7, DC::value(8), 'i', true, "k", ()),
            ),
            (10, 26, 'i', true, "k".to_owned(), ()),
        );
    }

    #[test]
    fn is_of_what_the_function_returns_or_promises() {
        fn parse(text: &str) -> Result<u64, std::num::ParseIntError> {
            text.parse()
        }
        fn grow(n: u64) -> DC<u64> {
            if n == 0 { DC::value(7) } else { DC::<u64>::new(grow, (n - 1,)) }
        }
        fn grow_if(n: u64) -> Result<DC<u64>, String> {
            if n < 100 { Ok(DC::<u64>::new(grow, (n,))) } else { Err("too much".to_owned()) }
        }
        check(DC::<u64>::new(parse, ("12",)), 12);
        check(DC::<u64>::new(grow, (20,)), 7);
        check(DC::<u64>::new(grow_if, (20,)), 7);
        assert!(run(DC::<u64>::new(grow_if, (200,)), 1).is_err());
        // The `Result` itself, if it is asked for.
        check(DC::<Result<u64, std::num::ParseIntError>>::new(parse, ("12",)), Ok(12));
        assert!(run(DC::<Result<u64, std::num::ParseIntError>>::new(parse, ("x",)), 1).unwrap().is_err());
    }

    #[test]
    fn runs_nothing_until_it_is_run() {
        let ran = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&ran);
        let delayed = DC::new(move || count.fetch_add(1, Ordering::SeqCst), ()).map(|x| x).named("lazy").shared();
        assert_eq!(ran.load(Ordering::SeqCst), 0);
        check(delayed.dc(), 0);
        check(delayed.dc(), 0);
        assert_eq!(ran.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn of_a_value_is_done() {
        check(DC::value("there"), "there");
        check(DC::from(5), 5);
        let into: DC<String> = String::from("text").into();
        check(into, "text".to_owned());
    }

    #[test]
    fn goes_on_with_map_and_then() {
        check(DC::value(3).map(|x| x * 2).map(|x| format!("{x}")), "6".to_owned());
        check(DC::value(3).then(|x| DC::value(x + 1).map(|x| x * 10)), 40);
        // The value is what the closure of `map` returns, whatever it is.
        assert!(run(DC::value(1).map(|_| Err::<(), _>("kept")), 1).unwrap().is_err());
    }

    #[test]
    fn may_move_to_another_thread_before_it_is_run() {
        fn is_send<T: Send>() {}
        is_send::<DC<Cell<u8>>>();
        let delayed = DC::new(plus, (DC::value(1), 2));
        assert_eq!(thread::spawn(|| run(delayed, 1).unwrap()).join().unwrap(), 3);
    }

    #[test]
    fn may_hold_what_cannot_be_shared() {
        check(DC::value(Cell::new(3)).map(|cell| cell.get()), 3);
    }

    #[test]
    fn shows_its_task() {
        let shown = format!("{:?}", DC::value(1).map(|x| x));
        assert!(shown.starts_with("DC(`map` (") && shown.contains(file!()), "{shown}");
        assert_eq!(format!("{:?}", DC::value(1)), "DC(value)");
    }
}

mod a_name {
    use super::*;

    #[test]
    fn is_shown_in_errors() {
        let error =
            run(failing::<u32>("here").named("first").map(|x| x).named(format!("number {}", 2)), 1).unwrap_err();
        assert_eq!(error.task().unwrap().label(), Some("first"));
        assert_eq!(error.trace().iter().map(|task| task.label()).collect::<Vec<_>>(), [Some("number 2")]);
        assert!(error.to_string().contains("\"first\""), "{error}");
        assert!(format!("{error:#}").contains("needed by `map` \"number 2\" ("), "{error:#}");
    }

    #[test]
    fn changes_nothing_else() {
        check(DC::value(1).named("one").map(|x| x + 1).named("two"), 2);
    }
}
