//! Caches what many pages show, for longer the longer the query takes.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::hash::Hash;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;
use tokio::sync::Mutex;

use crate::time::{Clock, Timestamp};

/// Looking takes at most this part of the time.
const SHARE: u32 = 10;
/// Things that are kept at most of many by key.
const KEPT: u64 = 5000;

fn good_for(least: Duration, took: Duration) -> Duration {
    least.max(took * SHARE)
}

/// A cached value, and how long it is shown from then on.
#[derive(Clone)]
struct CacheEntry<T> {
    value: T,
    good_for: Duration,
}

/// Each entry expires after its own time.
struct ByEntry;

impl<K, T> Expiry<K, CacheEntry<T>> for ByEntry {
    fn expire_after_create(&self, _: &K, cached: &CacheEntry<T>, _: Instant) -> Option<Duration> {
        Some(cached.good_for)
    }

    fn expire_after_update(
        &self,
        _: &K,
        cached: &CacheEntry<T>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(cached.good_for)
    }
}

fn cache<K, T>(at_most: u64) -> Cache<K, CacheEntry<T>>
where
    K: Eq + Hash + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    Cache::builder()
        .max_capacity(at_most)
        .expire_after(ByEntry)
        .build()
}

/// One value; concurrent readers wait for the same query.
pub(super) struct Cached<T>(Cache<(), CacheEntry<T>>);

impl<T: Clone + Send + Sync + 'static> Default for Cached<T> {
    fn default() -> Self {
        Self(cache(1))
    }
}

impl<T: Clone + Send + Sync + 'static> Cached<T> {
    /// The thing, at most `least` old, or ten times as old as looking took.
    ///
    /// # Errors
    /// What looking failed with, for all who waited for it.
    pub(super) async fn get<E: Send + Sync + 'static>(
        &self,
        least: Duration,
        look: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Arc<E>> {
        let began = Instant::now();
        let look = async {
            let value = look.await?;
            let good_for = good_for(least, began.elapsed());
            Ok(CacheEntry { value, good_for })
        };
        Ok(self.0.try_get_with((), look).await?.value)
    }
}

/// Many things by key.
pub(super) struct CachedBy<K, T> {
    cached: Cache<K, CacheEntry<T>>,
    /// Held during a query, so that requests that waited find its result.
    looking: Mutex<()>,
}

impl<K, T> Default for CachedBy<K, T>
where
    K: Eq + Hash + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    fn default() -> Self {
        Self {
            cached: cache(KEPT),
            looking: Mutex::default(),
        }
    }
}

impl<K, T> CachedBy<K, T>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
{
    /// The thing of each of these keys, however often one is named; `look` is asked once for those that
    /// are missing or old, and what it does not answer is remembered as `none`.
    pub(super) async fn get<E>(
        &self,
        keys: &[K],
        least: Duration,
        none: T,
        look: impl AsyncFnOnce(Vec<K>) -> Result<HashMap<K, T>, E>,
    ) -> Result<Vec<T>, E> {
        let mut found = HashMap::new();
        if !self.take(keys, &mut found).await.is_empty() {
            let _turn = self.looking.lock().await;
            let missing = self.take(keys, &mut found).await;
            if !missing.is_empty() {
                let began = Instant::now();
                let mut answer = look(missing.iter().cloned().collect()).await?;
                let good_for = good_for(least, began.elapsed());
                for key in missing {
                    let value = answer.remove(&key).unwrap_or_else(|| none.clone());
                    found.insert(key.clone(), value.clone());
                    self.cached
                        .insert(key, CacheEntry { value, good_for })
                        .await;
                }
            }
        }
        let value = |key: &K| found.get(key).unwrap_or(&none).clone();
        Ok(keys.iter().map(value).collect())
    }

    /// Takes over what is known of the keys that are not in `found`; returns those of which nothing is.
    async fn take(&self, keys: &[K], found: &mut HashMap<K, T>) -> HashSet<K> {
        let mut missing = HashSet::new();
        for key in keys {
            if found.contains_key(key) || missing.contains(key) {
                continue;
            }
            match self.cached.get(key).await {
                Some(cached) => drop(found.insert(key.clone(), cached.value)),
                None => drop(missing.insert(key.clone())),
            }
        }
        missing
    }
}

/// A value whose query may take long: pages show the last one while one query runs in the background.
#[derive(Debug)]
pub(super) struct StaleWhileRevalidate<T>(Arc<std::sync::Mutex<Snapshot<T>>>);

#[derive(Debug)]
struct Snapshot<T> {
    /// The last value, and when.
    cached: Option<(Timestamp, T)>,
    is_looking: bool,
    /// No look before that.
    rests_until: Option<Instant>,
}

impl<T> Default for StaleWhileRevalidate<T> {
    fn default() -> Self {
        Self(Arc::new(std::sync::Mutex::new(Snapshot {
            cached: None,
            is_looking: false,
            rests_until: None,
        })))
    }
}

impl<T: Clone + Send + 'static> StaleWhileRevalidate<T> {
    /// The last value, and when, after waiting `patience` for a look that is due.
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
                    Ok(value) => looked.cached = Some((clock.now(), value)),
                    Err(error) => {
                        tracing::debug!("a page shows old data, because its query failed: {error}");
                    }
                }
            });
            // A reader that stops waiting does not end the query.
            let _ = tokio::time::timeout(patience, looking).await;
        }
        self.looked().cached.clone()
    }

    /// Whether a query is due; the caller that gets `true` runs it.
    fn begin(&self) -> bool {
        let mut looked = self.looked();
        let rests = looked
            .rests_until
            .is_some_and(|until| until > Instant::now());
        let begins = !looked.is_looking && !rests;
        looked.is_looking |= begins;
        begins
    }

    fn looked(&self) -> std::sync::MutexGuard<'_, Snapshot<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
