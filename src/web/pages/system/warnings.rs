//! Warnings: data that may be lost, and work that stands still.

use crate::queue::standstill::Standstill;
use crate::redis::RedisInfo;
use crate::text::{Text, fill};
use crate::web::pages::Pages;

pub(super) fn warnings(
    text: &Text,
    pages: &Pages,
    redis: Option<&RedisInfo>,
    synchronous: Option<&str>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(policy) = redis.and_then(|redis| redis.evicts.as_deref()) {
        warnings.push(fill(text.warn_evict, &[("policy", policy)]));
    }
    if redis.is_some_and(|redis| redis.keeps_no_log) {
        warnings.push(text.warn_aof.to_owned());
    }
    let most = pages.context.config.counter.memory;
    let memory = redis.and_then(|redis| redis.memory);
    let about_memory = memory.and_then(|memory| match memory.percent() >= most {
        true => Some((memory, text.warn_memory)),
        false => memory
            .is_nearly_full()
            .then_some((memory, text.warn_memory_soon)),
    });
    if let Some((memory, said)) = about_memory {
        let percent = memory.percent().to_string();
        warnings.push(fill(said, &[("percent", &percent)]));
    }
    if let Some(value) = synchronous.filter(|value| matches!(*value, "off" | "fsync off")) {
        warnings.push(fill(text.warn_fsync, &[("value", value)]));
    }
    let config = &pages.context.config;
    let reaches_nobody = |channel: &String| {
        // A comment is read by who looks at the issue.
        channel == "log" || config.comments() == Some(channel)
    };
    if config.all_channels().iter().all(reaches_nobody) {
        warnings.push(text.warn_log_only.to_owned());
    }
    for (queue, stands) in pages.context.figures.standing_still() {
        let (said, waits) = match stands {
            Standstill::Stuck { lasts: waits, .. } | Standstill::Idle { waits } => {
                (text.warn_jobs_idle, waits)
            }
            Standstill::Unattended { waits } => (text.warn_jobs_unattended, waits),
        };
        let seconds = waits.as_secs().to_string();
        warnings.push(fill(said, &[("queue", queue), ("seconds", &seconds)]));
    }
    if pages.gate.is_full() {
        warnings.push(text.warn_full.to_owned());
    }
    warnings
}

/// What is said where alerts are taken and not counted.
pub(super) fn not_counted(text: &Text, stands: &Standstill) -> String {
    let (said, lasts, why) = match stands {
        Standstill::Stuck { lasts, why } => (text.warn_stuck, lasts, why.as_str()),
        Standstill::Idle { waits } => (text.warn_idle, waits, ""),
        Standstill::Unattended { waits } => (text.warn_unattended, waits, ""),
    };
    let seconds = lasts.as_secs().to_string();
    fill(said, &[("seconds", &seconds), ("why", why)])
}
