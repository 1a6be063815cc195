//! Notes about paused queues: since when, by whom, and how to resume them.

use serde_json::Value;
use tocsin::jobs::{Job as _, Notify};
use tocsin::text::EN;
use tocsin::text::words::paused_effect;
use tocsin::time::Timestamp;

use super::age;
use super::client::Client;
use super::fields::{operator, text, time};

/// There are few queues, and all are asked for.
const ALL: usize = 200;

/// That notifications wait because their queue is paused; none where it is not, or cannot be asked.
pub(super) async fn notifications(client: &Client) -> Option<String> {
    let queues = client.list(&["queues"], &[], ALL).await.ok()?;
    let notify = Notify::POLICY.queue;
    let notify = queues.iter().find(|queue| text(queue, "/name") == notify)?;
    remark(notify, Timestamp::now())
}

/// What is said of a queue, if it is paused.
pub(super) fn remark(queue: &Value, now: Timestamp) -> Option<String> {
    if !queue["paused"].as_bool().unwrap_or_default() {
        return None;
    }
    let name = text(queue, "/name");
    let since = time(queue, "/paused_since");
    let since = since.map_or_else(String::new, |at| format!(" since {}", age::moment(at, now)));
    let by = match text(queue, "/paused_by") {
        by if by.is_empty() => by,
        by => format!(" by {}", operator(&by)),
    };
    let effect = paused_effect(&EN, &name);
    Some(format!(
        "{name} is paused{since}{by}: {effect} To resume: tocsin queues resume {name}"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_paused_queue_is_told_with_since_when_and_by_whom() {
        let now = Timestamp::parse("2026-11-22T21:28:29Z").unwrap();
        for (queue, expected) in [
            (json!({"name": "notify", "paused": false}), None),
            (
                json!({"name": "notify", "paused": true, "paused_by": "ann",
                       "paused_since": "2026-11-22T21:16:00.000Z"}),
                Some(
                    "notify is paused since 2026-11-22T21:16:00.000Z (12m ago) by ann: no notifications \
                     are sent. To resume: tocsin queues resume notify",
                ),
            ),
            (
                json!({"name": "tier", "paused": true, "paused_by": "anyone"}),
                Some(
                    "tier is paused by an unnamed operator: levels do not rise, and tiers are not calculated. To resume: tocsin queues \
                     resume tier",
                ),
            ),
        ] {
            assert_eq!(remark(&queue, now).as_deref(), expected);
        }
    }
}
