//! Shared results: computed once, and there for all who have a handle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use taskgraph::{DC, Shared, all};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::checks::check;
use taskgraph_tests::run;

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
