//! The public surface, row by row.

use std::cell::Cell;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use taskgraph::{DC, Error, Handle, IntoArg, MAX_WORKERS_LIMIT, Runtime, Shared, all, delayed, each};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{failing, log, process, run, runtime};

#[track_caller]
fn check<T: Send + std::fmt::Debug + PartialEq + 'static>(computation: DC<T>, expected: T) {
    match run(computation, 2) {
        Ok(value) => assert_eq!(value, expected),
        Err(error) => panic!("{error:#}"),
    }
}

fn add(a: u64, b: u64) -> u64 {
    a + b
}

mod a_delayed_computation {
    use super::*;

    #[test]
    fn is_made_of_a_function_and_values_or_computations() {
        check(DC::new(add, (1, 2)), 3);
        check(DC::new(add, (1, DC::new(add, (2, 3)))), 6);
        check(DC::new(add, (DC::value(1), DC::value(2).shared())), 3);
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
        // The `Result` itself, if that is what is asked for.
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
        // What `map` returns is the value, whatever it is.
        assert!(run(DC::value(1).map(|_| Err::<(), _>("kept")), 1).unwrap().is_err());
    }

    #[test]
    fn may_move_to_another_thread_before_it_is_run() {
        fn is_send<T: Send>() {}
        is_send::<DC<Cell<u8>>>();
        let delayed = DC::new(add, (DC::value(1), 2));
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

mod many_into_one {
    use super::*;

    #[test]
    fn keep_their_order() {
        for len in [0, 1, 2, 16, 17, 100, 5000] {
            let expected: Vec<u64> = (0..len).map(|i| i * i).collect();
            check(all((0..len).map(|i| DC::new(|i: u64| i * i, (i,)))), expected.clone());
            check((0..len).map(|i| DC::value(i).map(|i| i * i)).collect::<DC<Vec<_>>>(), expected);
        }
    }

    #[test]
    fn may_be_taken_from_any_iterator() {
        check(all([DC::value(1), DC::value(2)]), vec![1, 2]);
        check(all(Some(DC::value(1))), vec![1]);
        check(all(vec![all([DC::value(1)]), all([])]), vec![vec![1], vec![]]);
    }
}

mod a_computation_for_each {
    use super::*;

    /// Lengths around those of a short list, of a chunk, of a worker's share, and beyond them.
    const LENS: [u64; 14] = [0, 1, 2, 7, 8, 16, 17, 32, 33, 100, 256, 257, 1025, 5000];

    fn square(i: u64) -> DC<u64> {
        DC::new(|i: u64| i * i, (i,))
    }

    /// Every third is there already, every other third is two steps away.
    fn mixed(i: u64) -> DC<u64> {
        match i % 3 {
            0 => DC::value(i * i),
            1 => square(i),
            _ => square(i).map(|square| square),
        }
    }

    #[test]
    fn keeps_the_order() {
        wait::ends(|| {
            for max_workers in [1, 2, 300] {
                let runtime = runtime(max_workers);
                for len in LENS {
                    let expected: Vec<u64> = (0..len).map(|i| i * i).collect();
                    for make in [square, mixed, |i| DC::value(i * i)] {
                        let of_range = runtime.run(each(0..len, make)).unwrap();
                        assert!(of_range == expected, "a range of {len} with {max_workers} workers: {of_range:?}");
                        let of_vec = runtime.run(each((0..len).collect::<Vec<_>>(), make)).unwrap();
                        assert!(of_vec == expected, "a vector of {len} with {max_workers} workers: {of_vec:?}");
                        let of_unknown = runtime.run(each((0..2 * len).filter(move |i| *i < len), make)).unwrap();
                        assert!(of_unknown == expected, "so many as {len} with {max_workers} workers: {of_unknown:?}");
                    }
                }
            }
        });
    }

    #[test]
    fn may_be_of_anything() {
        check(each(["a", "b"], DC::value), vec!["a", "b"]);
        check(each(Some(3), DC::value), vec![3]);
        check(each(vec![square(2), square(3)], |square| square.map(|x| x + 1)), vec![5, 10]);
        check(each(0..3u64, |len| each(0..len, square)), vec![vec![], vec![0], vec![0, 1]]);
        check(each(0..100u64, |_| DC::value(())), vec![(); 100]);
        let mut before = 0;
        let running_sum = move |i: u64| {
            before += i;
            DC::value(before)
        };
        check(each(0..5, running_sum), vec![0, 1, 3, 6, 10]);
    }

    #[test]
    fn may_be_an_argument_and_a_result() {
        #[delayed]
        fn sum(parts: &[u64]) -> u64 {
            parts.iter().sum()
        }
        #[delayed]
        fn squares(len: u64) -> DC<Vec<u64>> {
            each(0..len, mixed)
        }
        #[delayed]
        fn refused(len: u64) -> Result<DC<Vec<u64>>, String> {
            if len < 10 { Err("too short".to_owned()) } else { Ok(each(0..len, square)) }
        }
        for len in LENS {
            let expected = (0..len).map(|i| i * i).sum::<u64>();
            check(sum(squares(len)), expected);
            check(sum(each(0..len, square)), expected);
            check(all([sum(squares(len)), squares(len).map(|squares| squares.len() as u64)]), vec![expected, len]);
            if 10 <= len {
                check(sum(refused(len)), expected);
            }
        }
    }

    #[test]
    fn is_made_by_and_by_when_its_length_is_known() {
        let (made, count) = (Arc::new(AtomicU32::new(0)), |made: &Arc<AtomicU32>| {
            let made = Arc::clone(made);
            move |i: u64| {
                made.fetch_add(1, Ordering::SeqCst);
                DC::value(i)
            }
        });
        let known = each(0..100, count(&made));
        assert_eq!(made.load(Ordering::SeqCst), 0, "nothing is made before it runs");
        assert_eq!(run(known, 2).unwrap().len(), 100);
        assert_eq!(made.swap(0, Ordering::SeqCst), 100);
        let unknown = each((0..100).filter(|_| true), count(&made));
        assert_eq!(made.load(Ordering::SeqCst), 100, "who does not know how many there are makes all of them");
        assert_eq!(run(unknown, 2).unwrap().len(), 100);
        assert_eq!(made.load(Ordering::SeqCst), 100);
    }

    /// An iterator that says something about its length.
    struct Says<I> {
        says: (usize, Option<usize>),
        items: I,
    }

    impl<I: Iterator> Iterator for Says<I> {
        type Item = I::Item;
        fn next(&mut self) -> Option<I::Item> {
            self.items.next()
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            self.says
        }
    }

    #[test]
    fn may_be_of_items_that_say_a_wrong_length() {
        wait::ends(|| {
            for max_workers in [1, 4] {
                let runtime = runtime(max_workers);
                for said in [0, 1, 8, 16, 33, 256, 300, 5000] {
                    for given in [0, 1, 7, 8, 31, 32, 33, 300, 5000] {
                        let census = Census::new();
                        let (made, items) = (census.clone(), (0..given).map(|i| (i, census.counted())));
                        let items: Vec<_> = items.collect();
                        let make = move |(i, item): (usize, Counted)| {
                            let result = (i, made.counted());
                            if i % 2 == 0 { DC::value((result, item)) } else { DC::new(|all| all, ((result, item),)) }
                        };
                        let items = Says { says: (said, Some(said)), items: items.into_iter() };
                        match runtime.run(each(items, make)) {
                            Ok(results) => {
                                let seen: Vec<_> = results.iter().map(|((i, _), _)| *i).collect();
                                assert!(seen == (0..given).collect::<Vec<_>>(), "{given} that say {said}: {seen:?}");
                                results.iter().for_each(|((_, result), item)| (result.check(), item.check()).0);
                            }
                            Err(error) => {
                                assert!(said < given, "{given} that say {said}: {error}");
                                assert!(error.to_string().contains("more items than"), "{error}");
                            }
                        }
                        census.assert_balanced(given as i64);
                    }
                }
                // What says no one number counts itself.
                for says in [(0, None), (0, Some(3)), (50, Some(100)), (3, Some(0))] {
                    let items = Says { says, items: 0..40u64 };
                    assert_eq!(runtime.run(each(items, square)).unwrap().len(), 40, "{says:?}");
                }
            }
        });
    }

    #[test]
    fn may_be_of_items_that_pause() {
        // Between two items it says that there are no more.
        for gap in [1, 8, 20, 32, 40, 70] {
            let mut at = 0;
            let items = std::iter::from_fn(move || {
                at += 1;
                (at % gap != 0).then_some(at)
            });
            let results = run(each(Says { says: (100, Some(100)), items }, DC::value), 2).unwrap();
            assert!(results.len() <= 100 && results.is_sorted(), "{results:?}");
        }
    }

    #[test]
    fn runs_in_parallel() {
        wait::ends(|| {
            for (len, max_workers) in [(2, 2), (3, 8), (16, 16), (40, 40)] {
                let stages = Arc::new(Stages::new());
                let meets = move |i: u32| {
                    let stages = Arc::clone(&stages);
                    DC::new(
                        move || {
                            stages.arrive();
                            stages.wait_for(len);
                            i
                        },
                        (),
                    )
                };
                assert_eq!(run(each(0..len, meets), max_workers).unwrap(), (0..len).collect::<Vec<_>>());
            }
        });
    }

    #[test]
    fn is_made_while_what_was_made_runs() {
        // The first task ends when the last is made.
        wait::ends(|| {
            let stages = Arc::new(Stages::new());
            let make = move |i: u32| {
                if i == 9_999 {
                    stages.signal(1);
                }
                let waits = (i == 0).then(|| Arc::clone(&stages));
                DC::new(move || waits.into_iter().for_each(|stages| stages.wait_for(1)), ())
            };
            assert_eq!(run(each(0..10_000, make), 2).unwrap().len(), 10_000);
        });
    }

    #[test]
    fn is_cancelled_while_it_runs() {
        wait::ends(|| {
            for max_workers in [1, 4] {
                for (in_make, at) in [(true, 0), (true, 40), (true, 999), (false, 0), (false, 300), (false, 999)] {
                    let (census, stages) = (Census::new(), Arc::new(Stages::new()));
                    let pause = |stages: &Stages| {
                        stages.signal(1);
                        stages.wait_for(2);
                    };
                    let (made, waits) = (census.clone(), Arc::clone(&stages));
                    let captured = census.counted();
                    let make = move |i: u32| {
                        captured.check();
                        if in_make && i == at {
                            pause(&waits);
                        }
                        let (result, argument, waits) = (made.clone(), made.counted(), Arc::clone(&waits));
                        let task = move |argument: Counted| {
                            argument.check();
                            if !in_make && i == at {
                                pause(&waits);
                            }
                            result.counted()
                        };
                        if i % 3 == 1 { DC::value(argument) } else { DC::new(task, (argument,)) }
                    };
                    let runtime = runtime(max_workers);
                    let handle = runtime.spawn(each(0..1000, make).map(|all| all.len()));
                    stages.wait_for(1);
                    handle.cancel();
                    stages.signal(2);
                    let error = handle.join().unwrap_err();
                    assert!(error.is_cancelled(), "{error}");
                    census.assert_balanced(1);
                }
            }
        });
    }
}

mod arguments {
    use super::*;

    #[delayed]
    fn owned(x: u64) -> u64 {
        x
    }

    #[delayed]
    fn sum(parts: Vec<u64>) -> u64 {
        parts.iter().sum()
    }

    #[delayed]
    fn of_array(parts: [u64; 3]) -> u64 {
        parts.iter().sum()
    }

    #[delayed]
    fn of_tuple((a, b): (u64, String)) -> String {
        format!("{a}{b}")
    }

    #[delayed]
    fn text(text: String) -> usize {
        text.len()
    }

    #[test]
    fn are_values_or_computations() {
        check(owned(1), 1);
        check(owned(DC::value(2)), 2);
        check(owned(DC::value(3).shared()), 3);
    }

    #[test]
    fn are_found_inside_lists_arrays_and_tuples() {
        check(sum(vec![1, 2]), 3);
        check(sum(vec![DC::value(1), owned(2)]), 3);
        check(sum((0..1000).map(DC::value).collect::<Vec<_>>()), 499_500);
        check(sum(Vec::<DC<u64>>::new()), 0);
        check(sum(vec![DC::value(1).shared(), DC::value(2).shared()]), 3);
        check(of_array([1, 2, 3]), 6);
        check(of_array([owned(1), owned(2), owned(3)]), 6);
        check(of_tuple((1, "x".to_owned())), "1x".to_owned());
        check(of_tuple((owned(1), "x".to_owned())), "1x".to_owned());
        check(of_tuple((1, DC::value("x".to_owned()))), "1x".to_owned());
        check(of_tuple((owned(1), DC::value("x".to_owned()))), "1x".to_owned());
    }

    #[test]
    fn may_be_static_text_where_owned_text_is_wanted() {
        check(text("four"), 4);
        check(text(String::from("five!")), 5);
        check(text(DC::value(String::from("six!!!"))), 6);
    }

    #[test]
    fn may_be_generic() {
        fn twice(x: impl IntoArg<u64>) -> DC<u64> {
            DC::new(|x: u64| 2 * x, (x,))
        }
        fn both<A: IntoArg<u64>, B: IntoArg<u64>>(a: A, b: B) -> DC<u64> {
            DC::new(add, (a, b))
        }
        check(twice(2), 4);
        check(twice(twice(2)), 8);
        check(both(twice(DC::value(1).shared()), 3), 5);
    }

    #[test]
    fn run_in_parallel_before_the_call() {
        wait::ends(|| {
            let stages = Arc::new(Stages::new());
            let meets = || {
                let stages = Arc::clone(&stages);
                DC::new(
                    move || {
                        stages.arrive();
                        stages.wait_for(3);
                        1
                    },
                    (),
                )
            };
            assert_eq!(run(of_array([meets(), meets(), meets()]), 3).unwrap(), 3);
        });
    }
}

mod borrowed_arguments {
    use super::*;

    struct Heavy(u64, #[allow(dead_code)] Counted);

    #[delayed]
    fn weigh(heavy: &Heavy) -> u64 {
        heavy.0
    }

    #[delayed]
    fn length(text: &str) -> usize {
        text.len()
    }

    #[delayed]
    fn total(numbers: &[u64]) -> u64 {
        numbers.iter().sum()
    }

    #[delayed]
    fn parts(path: &Path) -> usize {
        path.components().count()
    }

    #[delayed]
    fn bytes(os: &OsStr, c: &CStr) -> usize {
        os.len() + c.to_bytes().len()
    }

    #[test]
    #[expect(clippy::needless_borrows_for_generic_args, reason = "a borrow of a static is what is to be lent")]
    fn are_lent_from_wherever_they_are_and_never_copied() {
        let census = Census::new();
        let heavy = || Heavy(7, census.counted());
        check(weigh(heavy()), 7);
        check(weigh(DC::value(heavy())), 7);
        check(weigh(Arc::new(heavy())), 7);
        check(weigh(DC::value(Arc::new(heavy()))), 7);
        let shared = DC::value(heavy()).shared();
        check(all((0..10).map(|_| weigh(shared.clone()))), vec![7; 10]);
        drop(shared);
        static LONG_LIVED: u64 = 5;
        #[delayed]
        fn number(number: &u64) -> u64 {
            *number
        }
        check(number(&LONG_LIVED), 5);
        assert_eq!(census.clones(), 0);
        census.assert_balanced(5);
    }

    #[test]
    fn may_be_text() {
        let owned = || String::from("text");
        check(length("text"), 4);
        check(length(owned()), 4);
        check(length(DC::value(owned())), 4);
        check(length(DC::value(owned()).shared()), 4);
        check(length(Arc::new(owned())), 4);
        check(length(Arc::<str>::from("text")), 4);
        check(length(DC::value("text")), 4);
    }

    #[test]
    fn may_be_slices() {
        check(total(vec![1, 2]), 3);
        check(total([1, 2]), 3);
        check(total(DC::value(vec![1, 2])), 3);
        check(total(DC::value(vec![1, 2]).shared()), 3);
        check(total(Arc::new(vec![1, 2])), 3);
        check(total(Arc::<[u64]>::from([1, 2])), 3);
        check(total(vec![DC::value(1), DC::value(2)]), 3);
        static LONG_LIVED: [u64; 2] = [1, 2];
        check(total(LONG_LIVED.as_slice()), 3);
    }

    #[test]
    fn may_be_paths_and_their_like() {
        check(parts("a/b"), 2);
        check(parts(PathBuf::from("a/b")), 2);
        check(parts(String::from("a/b")), 2);
        check(parts(DC::value(PathBuf::from("a/b"))), 2);
        check(parts(DC::value(PathBuf::from("a/b")).shared()), 2);
        check(parts(Arc::new(PathBuf::from("a/b"))), 2);
        check(bytes(OsString::from("ab"), CString::new("cd").unwrap()), 4);
    }
}

mod a_shared_result {
    use super::*;

    #[test]
    fn is_computed_once() {
        let ran = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&ran);
        let shared = DC::new(move || count.fetch_add(1, Ordering::SeqCst) + 10, ()).shared();
        check(all((0..500).map(|_| shared.dc())), vec![10; 500]);
        check(DC::from(shared), 10);
        assert_eq!(ran.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn goes_to_its_last_user_without_a_copy() {
        fn take(value: Counted) {
            value.check();
        }
        for users in 1..20 {
            let census = Census::new();
            let made = census.clone();
            let shared = DC::new(move || made.counted(), ()).shared();
            let tasks: Vec<_> = (0..users).map(|_| DC::new(take, (shared.clone(),))).collect();
            drop(shared);
            run(all(tasks), 1).unwrap();
            assert_eq!(census.clones(), users - 1);
            census.assert_balanced(users);
        }
    }

    #[test]
    fn is_there_until_its_last_handle_goes() {
        let census = Census::new();
        let shared = DC::value(census.counted()).shared();
        let other = shared.clone();
        run(DC::new(|value: Counted| value.check(), (shared,)), 1).unwrap();
        assert_eq!(census.live(), 1);
        drop(other);
        census.assert_balanced(2);
    }

    #[test]
    fn serves_several_runtimes_at_once() {
        let shared = DC::new(|| 3, ()).shared();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || run(shared.dc().map(|x| x + 1), 2).unwrap())
            })
            .collect();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap() == 4));
    }

    #[test]
    fn may_be_sent_and_shared_between_threads() {
        fn is_send_and_sync<T: Send + Sync + Clone>() {}
        is_send_and_sync::<Shared<Vec<u8>>>();
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

mod an_error {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn has_its_cause() {
        let broken = DC::<u32>::new(|text: &str| text.parse::<u32>(), ("x",));
        let error = run(broken.map(|x| x + 1), 1).unwrap_err();
        assert!(error.downcast_ref::<std::num::ParseIntError>().is_some());
        assert!(error.downcast_ref::<io::Error>().is_none());
        assert_eq!(error.source().unwrap().to_string(), "invalid digit found in string");
        assert!(!error.is_panic() && !error.is_cancelled() && !error.is_timeout());
        assert_eq!(error.trace().iter().map(|task| task.name()).collect::<Vec<_>>(), ["map"]);
    }

    #[test]
    fn tells_its_kind() {
        let timeout = DC::<()>::new(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)), ());
        assert!(run(timeout, 1).unwrap_err().is_timeout());
        let other = DC::<()>::new(|| Err::<(), _>(io::Error::from(io::ErrorKind::NotFound)), ());
        assert!(!run(other, 1).unwrap_err().is_timeout());
        let panic = DC::<()>::new(|| -> () { std::panic::resume_unwind(Box::new("text")) }, ());
        assert!(run(panic, 1).unwrap_err().is_panic());
    }

    #[test]
    fn travels_like_any_other() {
        fn is_error<T: std::error::Error + Send + Sync + Clone + 'static>() {}
        is_error::<Error>();
        // Handed on by another task, it stays what it is, and tells of that task.
        let inner = run(failing::<u32>("deep"), 1).unwrap_err();
        let (failed, needed_by) = (inner.task().cloned(), inner.trace().len());
        let outer = DC::<u32>::new(move || Err::<u32, Error>(inner), ());
        let error = run(outer.map(|x| x + 1), 1).unwrap_err();
        assert!(error.to_string().ends_with("failed: deep"));
        assert_eq!(error.task().cloned(), failed);
        let handed_on: Vec<_> = error.trace()[needed_by..].iter().map(|task| task.name()).collect();
        assert_eq!(handed_on, ["closure", "map"]);
    }
}

mod an_unused_computation {
    use super::*;

    #[delayed]
    fn forgotten() -> u32 {
        1
    }

    #[delayed]
    fn needs(x: u32) -> u32 {
        x
    }

    #[delayed]
    fn total(parts: Vec<u32>) -> u32 {
        parts.iter().sum()
    }

    #[test]
    fn is_told_once_with_the_name_of_its_task() {
        let told = log::told_by(|| drop(needs(needs(forgotten()))));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("WARN `needs` ("), "{told:?}");
        assert!(told[0].contains(file!()) && told[0].contains("was dropped without having been run"), "{told:?}");
    }

    #[test]
    fn is_told_by_its_name() {
        let told = log::told_by(|| drop(forgotten().named("precious")));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("\"precious\"") && !told[0].contains("``"), "{told:?}");
        let shown = format!("{:?}", forgotten().named("precious"));
        assert!(!shown.contains("``"), "{shown}");
    }

    #[test]
    fn is_told_wherever_it_is_dropped() {
        let told = log::told_by(|| drop(forgotten().shared()));
        assert_eq!(told.len(), 1, "{told:?}");
        let told = log::told_by(|| drop(vec![forgotten(), forgotten(), forgotten()]));
        assert_eq!(told.len(), 3, "{told:?}");
        let told = log::told_by(|| drop(forgotten().attempt()));
        assert_eq!(told.len(), 1, "{told:?}");
        let told = log::told_by(|| drop(all((0..100).map(|_| forgotten()))));
        assert_eq!(told.len(), 1, "{told:?}");
        let told = log::told_by(|| drop(needs(total(vec![forgotten(), forgotten()]))));
        assert_eq!(told.len(), 1, "{told:?}");
        let told = log::told_by(|| drop(total((0..100).map(|_| forgotten()).collect::<Vec<_>>())));
        assert_eq!(told.len(), 1, "{told:?}");
    }

    #[test]
    fn that_was_to_make_others_makes_none_and_is_told_once() {
        let (census, made) = (Census::new(), Arc::new(AtomicU32::new(0)));
        for len in [0, 1, 16, 100, 5000] {
            let (captured, count) = (census.counted(), Arc::clone(&made));
            let make = move |i: u32| {
                captured.check();
                count.fetch_add(1, Ordering::SeqCst);
                needs(i)
            };
            let told = log::told_by(|| drop(each(0..len, make)));
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].starts_with("WARN `each` (") && told[0].contains(file!()), "{told:?}");
        }
        assert_eq!(made.load(Ordering::SeqCst), 0);
        census.assert_balanced(5);
        // Nor are the items told, which are part of it.
        let told = log::told_by(|| drop(needs(total(each(vec![forgotten(), forgotten()], needs)))));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("WARN `needs` ("), "{told:?}");
    }

    #[test]
    fn is_not_told_when_its_run_ended_early() {
        process::alone("an_unused_computation::is_not_told_when_its_run_ended_early", || {
            let told = log::told_by_all();
            #[delayed]
            fn generator() -> Vec<u32> {
                for _ in 0..100 {
                    yield_!(needs(forgotten()));
                    yield_!(failing::<u32>("early"));
                }
            }
            let graphs: [fn() -> DC<u32>; 7] = [
                || {
                    DC::new(
                        |_: u32, x: u32| x,
                        (failing::<u32>("early"), needs(forgotten().attempt().map(|x| x.unwrap()))),
                    )
                },
                || all((0..100).map(|i| if i == 3 { failing("early") } else { needs(forgotten()) })).map(|_| 1),
                || generator().map(|_| 1),
                || DC::new(|_: u32, x: u32| x, (failing::<u32>("early"), forgotten().shared())),
                || failing::<u32>("early").then(|_| forgotten()),
                || each(0..100, |i| if i == 3 { failing("early") } else { needs(forgotten()) }).map(|_| 1),
                || total((0..100).map(|i| if i == 3 { failing("early") } else { needs(i) }).collect::<Vec<_>>()),
            ];
            for (i, graph) in graphs.into_iter().enumerate() {
                for max_workers in [1, 2] {
                    assert!(run(graph(), max_workers).is_err());
                    let lines = std::mem::take(&mut *told.lock().unwrap());
                    assert_eq!(lines, [""; 0], "graph {i} with {max_workers} workers");
                }
            }
            let runtime = runtime(1);
            let stages = Arc::new(Stages::new());
            let waits = Arc::clone(&stages);
            let busy = runtime.spawn(DC::new(move || waits.wait_for(1), ()));
            let handle = runtime.spawn(needs(forgotten()));
            handle.cancel();
            stages.signal(1);
            busy.join().unwrap();
            assert!(handle.join().unwrap_err().is_cancelled());
            assert_eq!(*told.lock().unwrap(), [""; 0]);
            // The test can hear.
            drop(forgotten());
            assert_eq!(told.lock().unwrap().len(), 1);
        });
    }

    #[test]
    fn is_an_error_of_the_linter() {
        // `#[must_use]` is checked where this file is compiled: these lines would warn without their `let _`.
        #[deny(unused_must_use)]
        fn uses() {
            let _ = DC::value(1).map(|x| x).shared();
        }
        let told = log::told_by(uses);
        assert_eq!(told.len(), 1);
    }
}

mod a_runtime {
    use super::*;

    #[test]
    fn says_which_numbers_of_workers_it_takes() {
        for wrong in [0, MAX_WORKERS_LIMIT + 1, usize::MAX] {
            let expected = format!("max_workers is {wrong}, and must be from 1 to {MAX_WORKERS_LIMIT}");
            let error = Runtime::builder().max_workers(wrong).no_control().build().unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(error.task().is_none() && error.trace().is_empty());
            assert_eq!(taskgraph::run(DC::value(1), wrong).unwrap_err().to_string(), expected);
            let runtime = runtime(2);
            assert_eq!(runtime.set_max_workers(wrong).unwrap_err().to_string(), expected);
            assert_eq!(runtime.max_workers(), 2);
            assert_eq!(runtime.run(DC::value(1)).unwrap(), 1);
        }
    }

    #[test]
    fn may_have_as_many_workers_as_it_says() {
        let runtime = runtime(1);
        runtime.set_max_workers(MAX_WORKERS_LIMIT).unwrap();
        assert_eq!(runtime.max_workers(), MAX_WORKERS_LIMIT);
        assert_eq!(runtime.run(all((0..3000).map(DC::value))).unwrap().len(), 3000);
    }

    #[test]
    fn has_a_worker_for_each_core_by_default() {
        let runtime = Runtime::builder().no_control().build().unwrap();
        assert_eq!(runtime.max_workers(), thread::available_parallelism().unwrap().get());
    }

    #[test]
    fn serves_several_threads() {
        wait::ends(|| {
            let runtime = runtime(2);
            thread::scope(|scope| {
                for i in 0..8 {
                    let runtime = &runtime;
                    scope.spawn(move || {
                        for j in 0..100 {
                            assert_eq!(runtime.run(DC::new(add, (i, DC::value(j)))).unwrap(), i + j);
                        }
                    });
                }
            });
        });
    }

    #[test]
    fn may_be_run_from_several_threads_and_inside_tasks() {
        // The port can only be opened once; the others run without one.
        wait::ends(|| {
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    thread::spawn(|| {
                        let inner = DC::new(|| taskgraph::run(DC::new(add, (1, 2)), 1).unwrap(), ());
                        assert_eq!(taskgraph::run(inner, 1).unwrap(), 3);
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }

    #[test]
    fn is_run_inside_itself_to_any_depth() {
        fn nested(depth: u32) -> u32 {
            if depth == 0 { 0 } else { run(DC::new(nested, (depth - 1,)), 1).unwrap() + 1 }
        }
        assert_eq!(wait::ends(|| nested(50)), 50);
    }

    #[test]
    fn cancels_its_runs_when_it_is_dropped() {
        wait::ends(|| {
            let census = Census::new();
            let runtime = runtime(2);
            let (stages, counted) = (Arc::new(Stages::new()), census.counted());
            let (waits, ran) = (Arc::clone(&stages), Arc::new(AtomicU32::new(0)));
            let (during, after) = (Arc::clone(&ran), Arc::clone(&ran));
            let task = DC::new(
                move || {
                    waits.signal(1);
                    waits.wait_for(2);
                    during.fetch_add(1, Ordering::SeqCst);
                },
                (),
            );
            let handle = runtime.spawn(task.map(move |()| {
                after.fetch_add(100, Ordering::SeqCst);
                counted
            }));
            stages.wait_for(1);
            let ending = thread::spawn(move || drop(runtime));
            stages.signal(2);
            ending.join().unwrap();
            assert!(handle.is_finished(), "a runtime ends with all its runs");
            // It was cancelled before the task was let go, or just after.
            match handle.join() {
                Err(error) => assert!(error.is_cancelled()),
                Ok(_) => assert_eq!(ran.load(Ordering::SeqCst), 101),
            }
            assert_eq!(ran.load(Ordering::SeqCst) % 100, 1, "what runs is not stopped");
            census.assert_balanced(1);
        });
    }

    #[test]
    fn may_be_dropped_by_its_own_task() {
        wait::ends(|| {
            let runtime = Arc::new(runtime(2));
            let (stages, last) = (Arc::new(Stages::new()), Arc::clone(&runtime));
            let waits = Arc::clone(&stages);
            let handle = runtime.spawn(DC::new(
                move || {
                    waits.wait_for(1);
                    drop(last);
                },
                (),
            ));
            drop(runtime);
            stages.signal(1);
            // Its own run is cancelled too, but has nothing left to do when the task is the last of it.
            match handle.join() {
                Ok(()) => {}
                Err(error) => assert!(error.is_cancelled(), "{error}"),
            }
        });
    }

    #[test]
    fn shows_its_state() {
        let shown = format!("{:?}", runtime(3));
        assert!(shown.contains("max_workers: 3"), "{shown}");
    }
}

mod a_handle {
    use super::*;

    struct Unpark(thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        let mut future = pin!(future);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    }

    #[test]
    fn joins() {
        let runtime = runtime(2);
        let handles: Vec<Handle<u64>> = (0..100).map(|i| runtime.spawn(DC::new(add, (i, 1)))).collect();
        let sum: u64 = handles.into_iter().map(|handle| handle.join().unwrap()).sum();
        assert_eq!(sum, 5050);
    }

    #[test]
    fn is_a_future() {
        wait::ends(|| {
            let runtime = runtime(2);
            for i in 0..500 {
                assert_eq!(block_on(runtime.spawn(DC::new(add, (i, 1)))).unwrap(), i + 1);
            }
            let both =
                async { runtime.spawn(DC::value(1)).await.unwrap() + runtime.spawn(DC::value(2)).await.unwrap() };
            assert_eq!(block_on(both), 3);
            assert!(block_on(runtime.spawn(failing::<u32>("no"))).is_err());
        });
    }

    #[test]
    fn wakes_who_polled_it_last() {
        struct Count(AtomicU32);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        wait::ends(|| {
            let runtime = runtime(1);
            let stages = Arc::new(Stages::new());
            let waits = Arc::clone(&stages);
            let mut handle = pin!(runtime.spawn(DC::new(move || waits.wait_for(1), ())));
            let counts = [(); 2].map(|()| Arc::new(Count(AtomicU32::new(0))));
            for count in &counts {
                let waker = Waker::from(Arc::clone(count));
                assert!(handle.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            }
            stages.signal(1);
            wait::until(|| counts[1].0.load(Ordering::SeqCst) == 1);
            assert_eq!(counts[0].0.load(Ordering::SeqCst), 0);
            assert!(handle.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
        });
    }

    #[test]
    fn that_is_detached_lets_the_run_go_on() {
        wait::ends(|| {
            let runtime = runtime(1);
            let ran = Arc::new(Stages::new());
            let signals = Arc::clone(&ran);
            runtime.spawn(DC::new(move || signals.signal(1), ())).detach();
            ran.wait_for(1);
        });
    }

    #[test]
    fn outlives_its_runtime() {
        let handle = {
            let runtime = runtime(1);
            let handle = runtime.spawn(DC::value(1));
            wait::until(|| handle.is_finished());
            handle
        };
        assert_eq!(handle.join().unwrap(), 1);
    }

    #[test]
    fn cancels() {
        wait::ends(|| {
            let runtime = runtime(2);
            let census = Census::new();
            #[delayed]
            fn endless(census: Census, stages: Arc<Stages>) -> Vec<Counted> {
                loop {
                    yield_!(census.counted());
                    yield_!(DC::value(census.counted()));
                    stages.signal(1);
                }
            }
            let stages = Arc::new(Stages::new());
            let handle = runtime.spawn(endless(census.clone(), Arc::clone(&stages)));
            stages.wait_for(1);
            handle.cancel();
            handle.cancel();
            assert!(handle.join().map(|_| ()).unwrap_err().is_cancelled());
            census.assert_balanced(2);
        });
    }
}
