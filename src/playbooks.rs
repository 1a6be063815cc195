//! The playbooks that count: those of the settings, and the active stored ones.
//!
//! | what | how |
//! |---|---|
//! | rendering a text costs no read | each process keeps them, and reads the stored ones again after [`EVERY`] at the earliest |
//! | who changes one sees it at once | the process that changed one forgets what it kept |
//! | other processes follow | within [`EVERY`] of their next recommendation |
//! | each has one place | a stored one of a name that the settings have does not count |

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DbErr};
use sha2::{Digest as _, Sha256};

use crate::domain::playbook::Playbook;
use crate::store::playbooks::{self, Version};

/// For how long what was read is taken for what there is.
pub const EVERY: Duration = Duration::from_secs(5);

/// What a proposal for a playbook of the settings is based on: what they say.
#[must_use]
pub fn base_of_settings(playbook: &Playbook) -> String {
    let said = serde_json::json!(playbook).to_string();
    let hash: String = Sha256::digest(said)
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("settings-{hash}")
}

/// What a process knows of the playbooks.
#[derive(Debug)]
pub struct Playbooks {
    settings: Vec<Playbook>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// What counts, and when that was read.
    all: Option<(Arc<[Playbook]>, Instant)>,
    /// How often what was kept was forgotten: what was read before that is not kept after it.
    forgotten: u64,
}

impl Playbooks {
    /// With those of the settings.
    #[must_use]
    pub fn new(settings: &[Playbook]) -> Self {
        Self {
            settings: settings.to_vec(),
            kept: Mutex::default(),
        }
    }

    /// The one of the settings with this name.
    #[must_use]
    pub fn of_settings(&self, name: &str) -> Option<&Playbook> {
        self.settings.iter().find(|one| one.name == name)
    }

    /// Those of the settings.
    #[must_use]
    pub fn settings(&self) -> &[Playbook] {
        &self.settings
    }

    /// Those that count: of two that match equally closely the first, so the stored ones come before those of the
    /// settings, each by name or in the settings' order.
    ///
    /// # Errors
    /// They are to be read again, and the store does not answer.
    pub async fn current(&self, db: &impl ConnectionTrait) -> Result<Arc<[Playbook]>, DbErr> {
        let forgotten = match self.fresh(Instant::now()) {
            Ok(fresh) => return Ok(fresh),
            Err(forgotten) => forgotten,
        };
        let all = self.with_stored(&playbooks::newest(db).await?);
        let mut kept = self.kept();
        if kept.forgotten == forgotten {
            kept.all = Some((Arc::clone(&all), Instant::now()));
        }
        Ok(all)
    }

    /// Has them read again by who asks next.
    pub fn forget(&self) {
        let mut kept = self.kept();
        kept.all = None;
        kept.forgotten += 1;
    }

    /// What is kept, if it is not old; else it is to be read, and how often it was forgotten so far. While one reads
    /// it again, others go on with what there was.
    fn fresh(&self, now: Instant) -> Result<Arc<[Playbook]>, u64> {
        let mut kept = self.kept();
        let forgotten = kept.forgotten;
        match &mut kept.all {
            Some((all, at)) if now.saturating_duration_since(*at) < EVERY => Ok(Arc::clone(all)),
            Some((_, at)) => {
                *at = now;
                Err(forgotten)
            }
            None => Err(forgotten),
        }
    }

    fn with_stored(&self, stored: &[Version]) -> Arc<[Playbook]> {
        let fixed: BTreeSet<&str> = self.settings.iter().map(|one| one.name.as_str()).collect();
        let stored = stored
            .iter()
            .filter(|one| one.is_active() && !fixed.contains(one.name.as_str()));
        let stored = stored.filter_map(|version| match version.playbook() {
            Ok(playbook) => Some(playbook),
            Err(error) => {
                let playbook = &version.name;
                tracing::warn!(
                    playbook,
                    "passing over a playbook that cannot be read: {error}"
                );
                None
            }
        });
        stored.chain(self.settings.iter().cloned()).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::playbook::{Origin, PlaybookKey, State, closest};
    use crate::time::Timestamp;

    fn playbook(name: &str, alert: &str, action: &str) -> Playbook {
        let json = serde_json::json!({"name": name, "alert_name": alert, "tier_1": action});
        serde_json::from_value(json).unwrap()
    }

    fn version(playbook: &Playbook, state: State) -> Version {
        Version {
            name: playbook.name.clone(),
            version: 1,
            definition: serde_json::to_string(playbook).unwrap(),
            state,
            origin: Origin::Api,
            restored_from: None,
            actor: String::new(),
            operator: None,
            why: String::new(),
            created_at: Timestamp(0),
        }
    }

    #[test]
    fn the_closest_of_both_counts_and_a_stored_one_before_one_of_the_settings() {
        let settings = [
            playbook("a", "Loop", "restart"),
            playbook("b", "Disk", "clean"),
        ];
        let all = Playbooks::new(&settings).with_stored(&[
            // Has its place in the settings.
            version(&playbook("a", "Loop", "stored"), State::Active),
            version(&playbook("c", "Disk", "resize"), State::Active),
            version(&playbook("d", "Disk", "withdrawn"), State::Withdrawn),
            version(&playbook("e", "Lo*", "pattern"), State::Active),
            Version {
                definition: r#"{"name":"f","tier_9":"newer"}"#.to_owned(),
                ..version(&playbook("f", "Disk", "x"), State::Active)
            },
        ]);
        let of = |alert_name| {
            let of = PlaybookKey {
                alert_name,
                service: "",
                namespace: "",
                error_type: "",
            };
            closest(all.iter(), of, |one| one).map(|one| one.tier_1.0[0].as_str())
        };
        assert_eq!(of("Loop"), Some("restart"));
        assert_eq!(of("Disk"), Some("resize"));
        assert_eq!(of("Lots"), Some("pattern"));
        assert_eq!(of("None"), None);
    }

    #[test]
    fn they_are_read_again_by_one_after_a_while_and_by_all_once_forgotten() {
        let playbooks = Playbooks::new(&[]);
        let now = Instant::now();
        assert_eq!(playbooks.fresh(now), Err(0));
        playbooks.kept().all = Some((Arc::from([]), now));
        assert!(playbooks.fresh(now + EVERY / 2).is_ok());
        assert_eq!(playbooks.fresh(now + EVERY), Err(0));
        // Who comes meanwhile does not wait.
        assert!(playbooks.fresh(now + EVERY).is_ok());
        playbooks.forget();
        assert_eq!(playbooks.fresh(now + EVERY), Err(1));
        assert_eq!(playbooks.fresh(now + EVERY), Err(1));
    }
}
