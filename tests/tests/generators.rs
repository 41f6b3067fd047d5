//! Generators: where a body may yield, and which functions are generators.

use std::collections::HashMap;
use std::num::ParseIntError;
use std::sync::{Arc, Mutex};

use taskgraph::delayed;
use taskgraph_tests::checks::check;
use taskgraph_tests::run;
use taskgraph_tests::tasks::add;

mod generators {
    use super::*;

    #[delayed]
    fn everywhere(n: u32, text: &str) -> Vec<u32> {
        yield_!(0);
        yield_![add(0, 1)];
        yield_! { 2 }
        taskgraph::yield_!(3);
        if n == 0 {
            yield_!(100)
        } else if n == 1 {
            yield_!(add(2, 2));
        }
        match n {
            1 => yield_!(5),
            _ => (),
        }
        let () = yield_!(6);
        let mut i = 7;
        while i < 9 {
            yield_!(i);
            i += 1;
        }
        let last = 'outer: loop {
            for j in 9..12 {
                if j == 11 {
                    break 'outer j;
                }
                yield_!(j);
            }
        };
        {
            yield_!(last);
        }
        let Some(_) = text.chars().next() else {
            yield_!(12);
            return;
        };
        yield_!(add(text.len() as u32, {
            yield_!(99);
            1
        }));
        let [_] = [yield_!(13)];
    }

    #[delayed]
    fn nothing(n: u32) -> Vec<u32> {
        if n > 0 {
            yield_!(n);
        }
    }

    #[delayed]
    fn words(text: &str) -> Result<HashMap<String, u32>, ParseIntError> {
        for line in text.lines() {
            let (word, count) = line.split_once(' ').unwrap_or((line, "1"));
            let count: u32 = count.parse()?;
            if count == 0 {
                return Ok(());
            }
            yield_!((word.to_owned(), count));
        }
        Ok(())
    }

    #[delayed]
    fn trailing_yield() -> Vec<u32> {
        yield_!(1)
    }

    #[delayed]
    fn endless(n: u32) -> Result<Vec<u32>, String> {
        let mut i = 0;
        loop {
            yield_!(i);
            i += 1;
            if i == n {
                return Ok(());
            }
        }
    }

    #[delayed]
    fn nested(n: u32) -> Vec<Vec<u32>> {
        #[delayed]
        fn inner(n: u32) -> Vec<u32> {
            yield_!(n);
            yield_!(n);
        }
        for i in 0..n {
            yield_!(inner(i));
        }
    }

    #[delayed]
    fn only_inside(n: u32) -> Vec<u32> {
        #[delayed]
        fn inner(n: u32) -> Vec<u32> {
            yield_!(n);
        }
        drop(inner(1).map(|_| ()).map(drop));
        vec![n]
    }

    /// Handles on yielded computations, wherever an expression may be.
    #[delayed]
    #[deny(warnings)]
    fn by_handles(n: u32) -> Vec<u32> {
        let mut handles = Vec::new();
        handles.push(yield_!(add(n, 1)));
        let larger = if n == 0 { yield_!(add(n, 2)) } else { yield_!(4) };
        let (a, b) = (yield_!(add(larger, 10)), yield_!(20));
        let chosen = match n {
            0 => yield_!(add(a, b)),
            _ => b,
        };
        handles.push(yield_!(chosen.clone()).clone());
        handles.push(chosen);
        for handle in handles {
            yield_!(handle);
        }
    }

    /// The guard is gone before the body is suspended.
    #[delayed]
    fn under_a_lock(numbers: Arc<Mutex<Vec<u32>>>) -> Vec<u32> {
        yield_!(numbers.lock().unwrap()[0]);
        yield_!(add(numbers.lock().unwrap()[1], 1));
        let last = yield_!(add(numbers.lock().unwrap()[2], 1));
        yield_!(last);
    }

    #[test]
    fn may_yield_what_is_behind_a_lock() {
        check(under_a_lock(Arc::new(Mutex::new(vec![1, 2, 3]))), vec![1, 3, 4, 4]);
    }

    #[test]
    fn give_handles_on_what_they_yield() {
        check(by_handles(0), vec![1, 2, 12, 20, 32, 32, 1, 32, 32]);
        check(by_handles(7), vec![8, 4, 14, 20, 20, 8, 20, 20]);
    }

    #[test]
    fn a_body_may_yield_at_any_place() {
        check(everywhere(1, ""), vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        check(everywhere(0, "ab").map(|all| all[4..].to_vec()), vec![100, 6, 7, 8, 9, 10, 11, 99, 3, 13]);
        check(nothing(0), vec![]);
        check(nothing(1), vec![1]);
        check(words("a 1\nb 2"), HashMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]));
        check(words("a 1\nb 0\nc d"), HashMap::from([("a".to_owned(), 1)]));
        assert!(run(words("a b"), 2).is_err());
        check(trailing_yield(), vec![1]);
        check(endless(2), vec![0, 1]);
        check(nested(2), vec![vec![0, 0], vec![1, 1]]);
    }

    #[test]
    fn only_the_function_with_the_yield_is_a_generator() {
        check(only_inside(1), vec![1]);
    }
}
