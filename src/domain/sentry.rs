//! Which issue in Sentry an incident is about, so that comments can be written there.

use serde_json::Value;

/// The name of the source.
pub const SOURCE: &str = "sentry";
/// The label of an alert that says which issue it is about: digits.
pub const ISSUE: &str = "issue_id";
/// More digits than a 64-bit number has are no issue's id.
const LONGEST: usize = 20;

/// The issue that an incident of this source is about, by the labels of its opening alert. An incident of an alert
/// for a metric is about none.
#[must_use]
pub fn issue<'l>(source: &str, labels: &'l Value) -> Option<&'l str> {
    if source.split('@').next() != Some(SOURCE) {
        return None;
    }
    let issue = labels.get(ISSUE)?.as_str()?;
    let is_id = (1..=LONGEST).contains(&issue.len()) && issue.bytes().all(|b| b.is_ascii_digit());
    is_id.then_some(issue)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_incident_is_about_an_issue_if_it_is_from_sentry_and_names_one() {
        for (source, labels, expected) in [
            ("sentry", json!({"issue_id": "9000042"}), Some("9000042")),
            ("sentry@eu", json!({"issue_id": "9"}), Some("9")),
            ("sentry", json!({"rule_id": "77"}), None),
            ("sentry", json!({"issue_id": "9/../8"}), None),
            ("sentry", json!({"issue_id": ""}), None),
            ("sentry", json!({"issue_id": "9".repeat(21)}), None),
            ("sentry", json!({"issue_id": 9}), None),
            ("sentry", json!(null), None),
            ("alertmanager", json!({"issue_id": "9"}), None),
            ("sentryx", json!({"issue_id": "9"}), None),
        ] {
            assert_eq!(issue(source, &labels), expected, "{source} {labels}");
        }
    }
}
