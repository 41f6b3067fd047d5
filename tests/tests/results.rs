//! What becomes of a result: computations inside it go on, an `Err` fails, and a condition keeps or drops it.

use taskgraph::{DC, Error, all, each};
use taskgraph_tests::census::Census;
use taskgraph_tests::checks::{check, check_blamed};
use taskgraph_tests::tasks::{quiet_panic, task};
use taskgraph_tests::{WORKERS, failing, run};

mod flattening {
    use super::*;

    #[test]
    fn goes_on_with_what_is_inside() {
        check(task(task(3)).flatten(), 3);
        check(task(task(task(3))).flatten().flatten(), 3);
        check(DC::value(DC::value(3)).flatten(), 3);
        check(task(Some(task(3))).flatten(), Some(3));
        check(task(None::<DC<u32>>).flatten(), None);
        for len in [0, 1, 16, 17, 5000] {
            check(task((0..len).map(task).collect::<Vec<_>>()).flatten(), (0..len).collect::<Vec<_>>());
        }
        check(task(vec![task(vec![task(1)]), task(vec![])]).flatten().map(all_of).flatten(), vec![vec![1], vec![]]);
    }

    fn all_of(lists: Vec<Vec<DC<u32>>>) -> DC<Vec<Vec<u32>>> {
        all(lists.into_iter().map(all))
    }

    #[test]
    fn keeps_the_names_of_what_is_inside_and_adds_its_own() {
        fn names(error: &Error) -> Vec<(String, u32)> {
            error.trace().iter().map(|task| (task.name().to_owned(), task.line())).collect()
        }
        for max_workers in WORKERS {
            let (line, broken) = (line!(), task(vec![failing::<u32>("inside"), task(1)]).flatten());
            let error = run(broken, max_workers).unwrap_err();
            assert_eq!(names(&error), [("flatten".to_owned(), line)], "{error:#}");
            let long = (0..100).map(|i| if i == 70 { failing("inside") } else { task(i) }).collect::<Vec<_>>();
            let (line, broken) = (line!(), task(long).flatten());
            let error = run(broken, max_workers).unwrap_err();
            assert_eq!(names(&error), [("flatten".to_owned(), line)], "{error:#}");
            let (line, broken) = (line!(), task(Some(failing::<u32>("inside"))).flatten());
            let error = run(broken, max_workers).unwrap_err();
            assert_eq!(names(&error), [("flatten".to_owned(), line)], "{error:#}");
            // A tail call: the task is gone when the computation in its place runs.
            let error = run(task(failing::<u32>("inside")).flatten(), max_workers).unwrap_err();
            assert!(names(&error).is_empty() && error.to_string().ends_with("failed: inside"), "{error:#}");
        }
    }

    #[test]
    fn inside_an_attempt_fails_as_a_value() {
        for max_workers in WORKERS {
            let census = Census::new();
            let made = census.clone();
            let inner = DC::new(
                move || {
                    (0..50).map(|i| if i == 40 { failing("inside") } else { task(made.counted()) }).collect::<Vec<_>>()
                },
                (),
            );
            let error = run(inner.flatten().attempt(), max_workers).unwrap().map(|_| ()).unwrap_err();
            assert!(error.to_string().ends_with("failed: inside"), "{error}");
            census.assert_balanced(49);
            check(task(task(3)).flatten().attempt().map(Result::unwrap), 3);
        }
    }

    #[test]
    fn of_what_never_ran_drops_everything() {
        let census = Census::new();
        drop(task(task(census.counted())).flatten());
        drop(task(vec![task(census.counted()), task(census.counted())]).flatten());
        drop(task(Some(task(census.counted()))).flatten());
        census.assert_balanced(4);
    }
}

mod a_result {
    use super::*;

    #[test]
    fn is_its_value_or_fails() {
        check(task(Ok::<_, String>(3)).or_fail(), 3);
        let (line, refused) = (line!(), task(Err::<u32, _>("no such thing")).or_fail());
        let error = run(refused, 1).unwrap_err();
        check_blamed(&error, "or_fail", line);
        assert!(error.to_string().ends_with("failed: no such thing"), "{error}");
        let error = run(task("x").map(|text| text.parse::<u32>()).or_fail(), 1).unwrap_err();
        assert!(error.downcast_ref::<std::num::ParseIntError>().is_some());
    }

    #[test]
    fn that_was_attempted_stays_the_error_it_is() {
        let line = line!() + 1;
        let handed_on = task(0u32).map(|x| 1 / x).attempt().or_fail();
        let error = run(handed_on, 1).unwrap_err();
        check_blamed(&error, "map", line);
        assert!(error.is_panic(), "{error}");
        assert_eq!(error.trace().iter().map(|task| task.name()).collect::<Vec<_>>(), ["or_fail"]);
    }

    #[test]
    fn goes_to_and_fro() {
        check(task(3).attempt().or_fail().attempt().or_fail(), 3);
        let kept = run(task(Err::<u32, _>("no")).or_fail().attempt(), 1).unwrap();
        check_blamed(&kept.unwrap_err(), "or_fail", line!() - 1);
    }
}

mod a_condition {
    use super::*;

    #[test]
    fn keeps_what_satisfies_it() {
        check(task(3).when(|x| *x == 3), Some(3));
        check(task(3).when(|x| *x == 4), None);
        let kept = each(0..100, |i| task(i).when(|i| i % 7 == 0));
        check(kept.map(|kept| kept.into_iter().flatten().collect::<Vec<_>>()), (0..100).step_by(7).collect::<Vec<_>>());
    }

    #[test]
    fn drops_the_others() {
        for max_workers in WORKERS {
            let census = Census::new();
            let made = census.clone();
            let tasks = each(0..100, move |i| task((i, made.counted())).when(|(i, _)| i % 7 == 0));
            let kept = run(tasks, max_workers).unwrap();
            assert_eq!(kept.iter().flatten().count(), 15);
            assert_eq!((census.made(), census.live()), (100, 15));
            drop(kept);
            census.assert_balanced(100);
        }
    }

    #[test]
    fn that_panics_fails_in_its_line() {
        let census = Census::new();
        let (line, broken) = (line!(), task(census.counted()).when(|_| quiet_panic("cannot say")));
        let error = run(broken.attempt(), 1).unwrap().map(|_| ()).unwrap_err();
        check_blamed(&error, "when", line);
        census.assert_balanced(1);
        assert!(run(failing::<u32>("before").when(|_| true).attempt(), 1).unwrap().is_err());
    }
}
