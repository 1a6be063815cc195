//! The signature: which anomaly an alert belongs to.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::alert::Alert;
pub use super::labels::{Names, OTHERWISE, SignatureLabelNames, SignatureLabels};
use super::workload;

/// What makes two alerts the same anomaly. A missing field is the empty string.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signature {
    /// The alert's name.
    pub alert_name: String,
    /// The service it is about.
    pub service: String,
    /// The namespace it is in.
    pub namespace: String,
    /// The kind of error.
    pub error_type: String,
}

impl Signature {
    /// Reads the four fields from the alert's labels: by what the ingress worked out, else by these settings.
    #[must_use]
    pub fn of(alert: &Alert, settings: &SignatureLabels) -> Self {
        let names = alert.names(settings);
        let value = |name: &str| alert.labels.get(name).unwrap_or_default();
        Self {
            alert_name: value(names.alert_name).to_owned(),
            service: workload::named(names.service, value(names.service)).to_owned(),
            namespace: value(names.namespace).to_owned(),
            error_type: value(names.error_type).to_owned(),
        }
    }

    /// What alerts of a name are counted under together when there is no room for more anomalies.
    #[must_use]
    pub fn overflow(alert_name: &str) -> Self {
        Self {
            alert_name: alert_name.to_owned(),
            service: String::new(),
            namespace: String::new(),
            error_type: OVERFLOW.to_owned(),
        }
    }

    /// The key of what alerts of a name are counted under together: no sender can have an alert of its own
    /// under it.
    #[must_use]
    pub fn overflow_key(alert_name: &str) -> String {
        key_of(&[alert_name, "", "", OVERFLOW, "overflow"])
    }

    /// The anomaly's key: the first 16 bytes, in hex, of SHA-256 over the four fields, each
    /// preceded by its length, so that no two signatures share an encoding.
    #[must_use]
    pub fn key(&self) -> String {
        key_of(&[
            &self.alert_name,
            &self.service,
            &self.namespace,
            &self.error_type,
        ])
    }
}

/// The kind of error of what is counted together because its alerts have too many names.
pub const OVERFLOW: &str = "too many names";

fn key_of(fields: &[&str]) -> String {
    let mut hash = Sha256::new();
    for field in fields {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field.as_bytes());
    }
    hex(&hash.finalize()[..16])
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
