//! Settings that this process does not have and another one of the fleet may: what needs them waits for a reload.

use std::time::Duration;

use tocsin::jobs::JobError;
use tocsin::time::Timestamp;

/// How long all processes of a fleet may take to read the same settings.
const FLEET: Duration = Duration::from_secs(600);

/// When it is looked for them again: by then another process may have taken the job, or this one reloaded.
const AGAIN: Duration = Duration::from_secs(15);

/// Puts off what is wanted since then, while its settings may still be on their way to this process.
///
/// # Errors
/// They may be.
pub(crate) fn wait(since: Timestamp, now: Timestamp, why: &str) -> Result<(), JobError> {
    if now.since(since) >= FLEET {
        return Ok(());
    }
    Err(JobError::RetryAfter {
        after: AGAIN,
        why: format!("{why}: waiting for a reload"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_waits_for_a_reload_and_what_is_old_does_not() {
        let now = Timestamp(10_000_000);
        for (seconds, waits) in [(0, true), (599, true), (600, false), (100_000, false)] {
            let since = now.before(Duration::from_secs(seconds));
            let waited = matches!(wait(since, now, "x"), Err(JobError::RetryAfter { .. }));
            assert_eq!(waited, waits, "{seconds} s");
        }
        // A clock that was ahead when it was written makes nothing wait forever: it is corrected meanwhile.
        assert!(wait(now.after(FLEET), now, "x").is_err());
    }
}
