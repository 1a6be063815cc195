//! What many pages show alike is looked at once, and the less often the longer looking takes.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

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
