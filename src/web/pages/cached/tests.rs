//! One query for concurrent readers, and how long its answer is kept.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Notify;

use super::*;

#[tokio::test]
async fn a_slow_query_continues_while_the_last_result_is_shown() {
    let (behind, clock) = (StaleWhileRevalidate::default(), Clock::default());
    let (looks, end) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
    let (least, patience) = (Duration::from_secs(60), Duration::from_millis(1));
    let ask = async || {
        let (looks, end) = (Arc::clone(&looks), Arc::clone(&end));
        let look = async move {
            looks.fetch_add(1, Ordering::Relaxed);
            end.notified().await;
            Ok::<_, String>(7)
        };
        let cached = behind.get((least, patience), &clock, look).await;
        cached.map(|(_, value)| value)
    };
    assert_eq!(ask().await, None, "nothing was cached yet");
    assert_eq!(ask().await, None);
    end.notify_one();
    while behind.looked().is_looking {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask().await, Some(7));
    assert_eq!(looks.load(Ordering::Relaxed), 1, "and nobody looked twice");
}

#[tokio::test]
async fn a_duplicate_key_is_queried_once_and_answered_twice() {
    let cached = CachedBy::default();
    let looks = AtomicU32::new(0);
    let ask = async |keys: &[&'static str]| {
        let look = async |keys: Vec<&'static str>| {
            looks.fetch_add(keys.len() as u32, Ordering::Relaxed);
            let known = keys.into_iter().filter(|key| *key != "none");
            Ok::<_, String>(known.map(|key| (key, key.len())).collect())
        };
        cached.get(keys, Duration::from_secs(60), 0, look).await
    };
    assert_eq!(
        ask(&["a", "bb", "a", "none", "none"]).await,
        Ok(vec![1, 2, 1, 0, 0])
    );
    assert_eq!(looks.load(Ordering::Relaxed), 3);
    assert_eq!(ask(&["ccc", "bb", "none"]).await, Ok(vec![3, 2, 0]));
    assert_eq!(looks.load(Ordering::Relaxed), 4, "only what was missing");
}

#[tokio::test]
async fn concurrent_readers_share_one_query() {
    let (cached, by_key) = (Cached::default(), CachedBy::default());
    let looks = AtomicU32::new(0);
    let look = async || {
        looks.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
    };
    let one = || {
        cached.get(Duration::from_secs(60), async {
            look().await;
            Ok::<_, String>(7)
        })
    };
    let of_key = || {
        by_key.get(&[1], Duration::from_secs(60), 0, async |keys| {
            look().await;
            Ok::<_, String>(keys.into_iter().map(|key| (key, 7)).collect())
        })
    };
    assert_eq!(tokio::join!(one(), one()), (Ok(7), Ok(7)));
    assert_eq!(looks.load(Ordering::Relaxed), 1);
    assert_eq!(tokio::join!(of_key(), of_key()), (Ok(vec![7]), Ok(vec![7])));
    assert_eq!(looks.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_slow_result_is_cached_for_longer() {
    let cached = Cached::default();
    let looks = AtomicU32::new(0);
    let ask = async |takes: Duration| {
        let look = async {
            tokio::time::sleep(takes).await;
            Ok::<_, String>(looks.fetch_add(1, Ordering::Relaxed))
        };
        cached.get(Duration::ZERO, look).await
    };
    assert_eq!(ask(Duration::from_millis(100)).await, Ok(0));
    assert_eq!(ask(Duration::ZERO).await, Ok(0), "good for a second");
    assert_eq!(
        good_for(Duration::ZERO, Duration::from_millis(100)),
        Duration::from_secs(1)
    );
    assert_eq!(
        good_for(Duration::from_secs(2), Duration::from_millis(100)),
        Duration::from_secs(2)
    );
}
