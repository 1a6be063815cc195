//! What many pages show alike is looked at once, and the less often the longer looking takes.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::time::{Clock, Timestamp};

/// Looking takes at most this part of the time.
const SHARE: u32 = 10;

fn good_for(least: Duration, took: Duration) -> Duration {
    least.max(took * SHARE)
}

/// One thing; whoever asks while it is looked at waits for the same look.
#[derive(Debug, Default)]
pub(super) struct Cached<T>(Mutex<Option<(Instant, T)>>);

impl<T: Clone> Cached<T> {
    /// The thing, at most `least` old, or ten times as old as looking took.
    pub(super) async fn get<E>(
        &self,
        least: Duration,
        look: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut slot = self.0.lock().await;
        if let Some((until, value)) = &*slot
            && *until > Instant::now()
        {
            return Ok(value.clone());
        }
        let began = Instant::now();
        let value = look.await?;
        let ended = Instant::now();
        let until = ended + good_for(least, ended - began);
        *slot = Some((until, value.clone()));
        Ok(value)
    }
}

/// One thing that may take long to look at: it is looked at beside the pages, one look at a time, and
/// they show what was seen last.
#[derive(Debug)]
pub(super) struct Behind<T>(Arc<std::sync::Mutex<Looked<T>>>);

#[derive(Debug)]
struct Looked<T> {
    /// What was seen last, and when.
    seen: Option<(Timestamp, T)>,
    is_looking: bool,
    /// No look before that.
    rests_until: Option<Instant>,
}

impl<T> Default for Behind<T> {
    fn default() -> Self {
        Self(Arc::new(std::sync::Mutex::new(Looked {
            seen: None,
            is_looking: false,
            rests_until: None,
        })))
    }
}

impl<T: Clone + Send + 'static> Behind<T> {
    /// What was seen last, and when, after waiting `patience` for a look that is due.
    pub(super) async fn get<E: Display>(
        &self,
        (least, patience): (Duration, Duration),
        clock: &Clock,
        look: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Option<(Timestamp, T)> {
        if self.begin() {
            let (slot, clock) = (Arc::clone(&self.0), clock.clone());
            let looking = tokio::spawn(async move {
                let began = Instant::now();
                let found = look.await;
                let mut looked = slot.lock().unwrap_or_else(PoisonError::into_inner);
                looked.is_looking = false;
                looked.rests_until = Some(Instant::now() + good_for(least, began.elapsed()));
                match found {
                    Ok(value) => looked.seen = Some((clock.now(), value)),
                    Err(error) => tracing::debug!("what a page shows is old: {error}"),
                }
            });
            // Whoever gives up waiting does not end the look.
            let _ = tokio::time::timeout(patience, looking).await;
        }
        self.looked().seen.clone()
    }

    /// Whether a look is due, which is whoever asked's to take.
    fn begin(&self) -> bool {
        let mut looked = self.looked();
        let rests = looked
            .rests_until
            .is_some_and(|until| until > Instant::now());
        let begins = !looked.is_looking && !rests;
        looked.is_looking |= begins;
        begins
    }

    fn looked(&self) -> std::sync::MutexGuard<'_, Looked<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Many things by key.
#[derive(Debug)]
pub(super) struct CachedBy<K, T>(Mutex<HashMap<K, (Instant, T)>>);

/// Things that are kept at most.
const KEPT: usize = 5000;

impl<K, T> Default for CachedBy<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, T: Clone> CachedBy<K, T> {
    /// The things of these keys; `look` is asked for those that are missing or old, and what it does
    /// not answer is remembered as `none`.
    pub(super) async fn get<E>(
        &self,
        keys: &[K],
        least: Duration,
        none: T,
        look: impl AsyncFnOnce(Vec<K>) -> Result<HashMap<K, T>, E>,
    ) -> Result<Vec<T>, E> {
        let now = Instant::now();
        let fresh = |known: &HashMap<K, (Instant, T)>, key: &K| {
            let (until, value) = known.get(key)?;
            (*until > now).then(|| value.clone())
        };
        let missing: Vec<K> = {
            let known = self.0.lock().await;
            let missing = keys.iter().filter(|key| fresh(&known, key).is_none());
            missing.cloned().collect()
        };
        if !missing.is_empty() {
            let mut found = look(missing.clone()).await?;
            let until = Instant::now() + good_for(least, now.elapsed());
            let mut known = self.0.lock().await;
            if known.len() > KEPT {
                known.retain(|_, (until, _)| *until > now);
            }
            if known.len() > KEPT {
                known.clear();
            }
            for key in missing {
                let value = found.remove(&key).unwrap_or_else(|| none.clone());
                known.insert(key, (until, value));
            }
        }
        let known = self.0.lock().await;
        let value = |key: &K| known.get(key).map_or(&none, |(_, value)| value).clone();
        Ok(keys.iter().map(value).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_slow_look_goes_on_while_what_was_seen_last_is_shown() {
        let (behind, clock) = (Behind::default(), Clock::default());
        let (looks, end) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let (least, patience) = (Duration::from_secs(60), Duration::from_millis(1));
        let ask = async || {
            let (looks, end) = (Arc::clone(&looks), Arc::clone(&end));
            let look = async move {
                looks.fetch_add(1, Ordering::Relaxed);
                end.notified().await;
                Ok::<_, String>(7)
            };
            let seen = behind.get((least, patience), &clock, look).await;
            seen.map(|(_, value)| value)
        };
        assert_eq!(ask().await, None, "nothing was seen yet");
        assert_eq!(ask().await, None);
        end.notify_one();
        while behind.looked().is_looking {
            tokio::task::yield_now().await;
        }
        assert_eq!(ask().await, Some(7));
        assert_eq!(looks.load(Ordering::Relaxed), 1, "and nobody looked twice");
    }
}
