//! Arguments: values or computations, owned or borrowed by the body.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use taskgraph::{DC, IntoArg, all, delayed};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::checks::check;
use taskgraph_tests::run;
use taskgraph_tests::tasks::{plus, task};
use taskgraph_tests::wait::{self, Stages};

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
            DC::new(plus, (a, b))
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

    struct Heavy(u64, #[expect(dead_code, reason = "it is counted, not read")] Counted);

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
        check(total([task(1), task(2)]), 3);
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
