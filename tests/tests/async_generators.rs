//! Async generators.

use std::task::Waker;
use std::thread;
use std::time::Duration;

use taskgraph::{Error, delayed};
use taskgraph_tests::bodies::{Event, add, at_any_width, check, later, through};
use taskgraph_tests::census::{Census, Counted};
use taskgraph_tests::tasks::quiet_panic;
use taskgraph_tests::wait::{self, give_way};
use taskgraph_tests::{failing, run};
use tokio::sync::oneshot;

#[delayed]
async fn yields_and_awaits(n: u64) -> Result<Vec<u64>, Error> {
    let mut last = 0;
    for i in 0..n {
        if i % 2 == 0 {
            last = yield_!(add(last, i)).await?;
        } else {
            yield_!(add(last, i));
        }
        yield_!(later(i));
        if i % 10 == 3 {
            give_way().await;
        }
    }
    Ok(())
}

#[test]
fn may_yield_and_await_in_any_order() {
    let mut expected = Vec::new();
    let mut last = 0;
    for i in 0..1000 {
        expected.extend([last + i, i]);
        if i % 2 == 0 {
            last += i;
        }
    }
    check(|| yields_and_awaits(1000), expected);
}

#[test]
fn goes_on_while_what_it_has_yielded_is_at_work() {
    // The child ends only after its generator has gone on.
    #[delayed]
    async fn waits(receive: oneshot::Receiver<u64>) -> u64 {
        receive.await.unwrap()
    }
    #[delayed]
    async fn yields() -> Result<Vec<u64>, Error> {
        let (send, receive) = oneshot::channel();
        let first = yield_!(waits(receive));
        give_way().await;
        send.send(7).unwrap();
        let seven = first.await?;
        yield_!(add(seven, 1));
        Ok(())
    }
    check(yields, vec![7, 8]);
}

#[test]
fn shares_what_it_yields_with_its_body_and_with_others() {
    #[delayed]
    fn len(text: &str) -> String {
        text.len().to_string()
    }
    #[delayed]
    async fn yields() -> Result<Vec<String>, Error> {
        let text = yield_!(through(String::from("abc")));
        let length = yield_!(len(text.clone()));
        let there: taskgraph::Shared<String> = yield_!("there".to_owned());
        assert_eq!(length.await? + &there.await?, "3there");
        yield_!(text);
        Ok(())
    }
    #[delayed]
    fn yields_sync() -> Vec<String> {
        let text = yield_!(through(String::from("abc")));
        yield_!(len(text.clone()));
        yield_!(text);
    }
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    check(yields, texts(&["abc", "3", "there", "abc"]));
    check(yields_sync, texts(&["abc", "3", "abc"]));
}

#[test]
fn awaits_with_a_full_window() {
    // Each child waits for the one before, and all of them for the first.
    #[delayed]
    async fn waits(before: u64, event: Event) -> u64 {
        event.wait().await;
        before + 1
    }
    #[delayed]
    async fn yields(len: u64, event: Event) -> Result<Vec<u64>, Error> {
        let opener = event.clone();
        thread::spawn(move || {
            wait::until(|| opener.waits() != 0);
            opener.happen().into_iter().for_each(Waker::wake);
        });
        let mut last = yield_!(0);
        for i in 0..len {
            let next = yield_!(waits(last, event.clone()));
            if i % 100 == 99 {
                assert_eq!(next.clone().await?, i + 1);
            }
            last = next;
        }
        Ok(())
    }
    check(|| yields(1000, Event::default()), (0..=1000).collect());
}

#[test]
fn keeps_a_window_however_often_it_waits() {
    #[delayed]
    async fn naps(held: Counted) -> u64 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        held.check();
        1
    }
    #[delayed]
    async fn yields(census: Census, len: u64) -> Vec<u64> {
        for _ in 0..len {
            give_way().await;
            yield_!(naps(census.counted()));
            give_way().await;
        }
    }
    at_any_width(|max_workers| {
        let census = Census::new();
        let sum: u64 = run(yields(census.clone(), 20_000), max_workers).unwrap().iter().sum();
        assert_eq!(sum, 20_000);
        // Many are asleep, but not all.
        assert!(census.live_max() < 17_000, "{} children were in flight", census.live_max());
    });
}

#[test]
fn ends_in_any_way() {
    #[delayed]
    async fn yields(census: Census, way: u32) -> Result<Vec<Counted>, String> {
        let held = census.counted();
        for i in 0..100 {
            let value = yield_!(through(census.counted()));
            if i % 3 == 0 {
                value.await.map_err(|error| error.to_string())?.check();
            }
            yield_!(census.counted());
            held.check();
        }
        match way {
            0 => Ok(()),
            1 => Err("no luck".to_owned()),
            2 => quiet_panic("out of luck"),
            _ => {
                yield_!(failing("no child"));
                give_way().await;
                Ok(())
            }
        }
    }
    at_any_width(|max_workers| {
        let census = Census::new();
        let told = |way: u32| run(yields(census.clone(), way), max_workers).map(|list| list.len());
        assert_eq!(told(0).unwrap(), 200);
        assert!(told(1).unwrap_err().to_string().ends_with("failed: no luck"));
        assert!(told(2).unwrap_err().to_string().ends_with("panicked: out of luck"));
        assert!(told(3).unwrap_err().to_string().ends_with("failed: no child"));
        drop(yields(census.clone(), 0));
        census.assert_balanced(800);
    });
}
