//! The operators of numbers, on computations and values.

use std::sync::Arc;
use std::time::{Duration, Instant};

use taskgraph::DC;
use taskgraph_tests::checks::{check, check_blamed};
use taskgraph_tests::tasks::task;
use taskgraph_tests::wait::{self, Stages};
use taskgraph_tests::{WORKERS, failing, run};

mod operators {
    use super::*;

    #[test]
    fn compute_what_their_sign_says() {
        check(task(7) + task(2), 9);
        check(task(7) - task(2), 5);
        check(task(7) * task(2), 14);
        check(task(7) / task(2), 3);
        check(task(7) % task(2), 1);
        check(task(6) & task(3), 2);
        check(task(6) | task(3), 7);
        check(task(6) ^ task(3), 5);
        check(task(6) << task(3), 48);
        check(task(48) >> task(3), 6);
        check(-task(5), -5);
        check(!task(5u8), 250);
        check(!task(true), false);
    }

    #[test]
    fn keep_the_sides_of_values() {
        check(task(7.0) - 2.0, 5.0);
        check(2.0 - task(7.0), -5.0);
        check(task(7u64) / 2, 3);
        check(21 / task(7u64), 3);
        check(task(7i8) % 4, 3);
        check(9 % task(7i8), 2);
        check(task(1u32) << 4, 16);
        check(1 << task(4u32), 16);
        check((task(16u128) >> 2).map(|x| x + 1), 5);
        check((3u8 << task(2)).map(|x| x.count_ones()), 2);
        check(task(true) & false, false);
        check(true ^ task(false), true);
    }

    #[test]
    fn nest_like_those_of_numbers() {
        let (a, x) = (task::<u64>, task::<f64>);
        check((a(1) + 2 * a(3)) * (a(10) - 4) - a(2), 40);
        check(-(x(1.5) + 2.0 * x(0.25)) / 2.0, -1.0);
    }

    #[test]
    fn take_whatever_their_types_allow() {
        let second = Duration::from_secs(1);
        check(task(second) + second, 2 * second);
        check(task(second) * 3, 3 * second);
        check(task(3u32) * second, 3 * second);
        check(task(second) + task(second) - second, second);
        check(task(1u64) << task(3u8), 8);
        check(task("a".to_owned()) + "b" + task("c"), "abc".to_owned());
        let now = Instant::now();
        check(task(now) + second, now + second);
        check(task(now + second) - task(now), second);
    }

    #[test]
    fn compute_both_sides_at_once() {
        wait::ends(|| {
            let stages = Arc::new(Stages::new());
            let meets = |x: u32| {
                let stages = Arc::clone(&stages);
                DC::new(
                    move || {
                        stages.arrive();
                        stages.wait_for(2);
                        x
                    },
                    (),
                )
            };
            check(meets(1) + meets(2), 3);
        });
    }

    #[test]
    fn fail_in_their_own_line() {
        let zero = || task(0u32);
        let divisions = [(line!(), 1 / zero()), (line!(), task(1) / zero()), (line!(), task(1u32) / 0)];
        for (line, division) in divisions {
            let error = run(division + 1, 1).unwrap_err();
            check_blamed(&error, "/", line);
            assert!(error.is_panic() && error.to_string().ends_with("panicked: attempt to divide by zero"), "{error}");
            assert_eq!(error.trace().iter().map(|task| task.name()).collect::<Vec<_>>(), ["+"]);
        }
        let (line, least) = (line!(), -task(i32::MIN));
        if cfg!(debug_assertions) {
            check_blamed(&run(least, 1).unwrap_err(), "-", line);
        }
        let kept = run((task(1) % zero()).attempt(), 1).unwrap();
        assert!(kept.unwrap_err().to_string().ends_with("with a divisor of zero"));
    }

    #[test]
    fn fail_with_either_side() {
        for max_workers in WORKERS {
            let error = run(failing::<u32>("left") + task(1), max_workers).unwrap_err();
            assert!(error.to_string().ends_with("failed: left"), "{error}");
            let error = run(1 + failing::<u32>("right"), max_workers).unwrap_err();
            assert!(error.to_string().ends_with("failed: right"), "{error}");
        }
    }
}
