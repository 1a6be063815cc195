//! The name of a series: its sender's, else computed as Prometheus does.

use std::borrow::Cow;

use super::bounded::bounded;
use crate::ids::derived_id;

/// The longest fingerprint that is kept as it is, in bytes; a longer one is hashed.
const BYTES: usize = 128;

/// A sender's fingerprint as it is kept: queries use the name that was sent.
#[must_use]
pub fn kept(sent: &str) -> String {
    if sent.len() > BYTES {
        derived_id(&[sent]).simple().to_string()
    } else {
        bounded(Cow::Borrowed(sent), BYTES).into_owned()
    }
}

/// Prometheus' own fingerprint of labels that are sorted by name and not empty: FNV-1a of 64 bits over
/// every name and value, with a byte of ones behind each.
/// (`model.LabelSet.Fingerprint` of github.com/prometheus/common)
pub(super) fn of_labels<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let add = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    let hash = labels
        .into_iter()
        .flat_map(|(name, value)| [name, value])
        .fold(OFFSET, |hash, text| add(text.bytes().fold(hash, add), 0xff));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_the_fingerprint_that_prometheus_gives_them() {
        // As Alertmanager 0.25 sent them.
        let recorded = |pod| {
            [
                ("alertname", "KubePodCrashLooping"),
                ("container", "api"),
                ("job", "kube-state-metrics"),
                ("namespace", "prod"),
                ("pod", pod),
                ("reason", "CrashLoopBackOff"),
                ("severity", "critical"),
            ]
        };
        assert_eq!(of_labels(recorded("api-6c9f7d-x2x")), "d819c8248226542f");
        assert_eq!(of_labels(recorded("api-6c9f7d-y3y")), "9b565c6925ccef0c");
    }

    #[test]
    fn a_long_fingerprint_is_kept_as_a_short_one() {
        let long = "a".repeat(129);
        assert_eq!(kept("a/b c%?#e"), "a/b c%?#e");
        assert_eq!(kept("f\0"), "f\u{fffd}");
        assert_eq!(kept(&long).len(), 32);
        assert_ne!(kept(&long), kept(&"b".repeat(129)));
    }
}
