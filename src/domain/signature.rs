//! The signature: which anomaly an alert belongs to.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::alert::Alert;

/// Which labels the four fields of a signature are read from; the first that is present wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignatureLabels {
    /// Labels that name the alert.
    pub alert_name: Vec<String>,
    /// Labels that name the service.
    pub service: Vec<String>,
    /// Labels that name the namespace.
    pub namespace: Vec<String>,
    /// Labels that name the kind of error.
    pub error_type: Vec<String>,
}

impl Default for SignatureLabels {
    fn default() -> Self {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Self {
            alert_name: list(&["alertname"]),
            service: list(&["job", "service", "service.name"]),
            namespace: list(&["namespace", "k8s.namespace.name"]),
            error_type: list(&["reason", "error_type"]),
        }
    }
}

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
    /// Reads the four fields from the alert's labels.
    #[must_use]
    pub fn of(alert: &Alert, labels: &SignatureLabels) -> Self {
        Self {
            alert_name: alert.first_label(&labels.alert_name).to_owned(),
            service: alert.first_label(&labels.service).to_owned(),
            namespace: alert.first_label(&labels.namespace).to_owned(),
            error_type: alert.first_label(&labels.error_type).to_owned(),
        }
    }

    /// The anomaly's key: the first 16 bytes, in hex, of SHA-256 over the four fields, each
    /// preceded by its length, so that no two signatures share an encoding.
    #[must_use]
    pub fn key(&self) -> String {
        let mut hash = Sha256::new();
        for field in [
            &self.alert_name,
            &self.service,
            &self.namespace,
            &self.error_type,
        ] {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field.as_bytes());
        }
        hex(&hash.finalize()[..16])
    }
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
mod tests {
    use super::*;

    fn signature(fields: [&str; 4]) -> Signature {
        let [alert_name, service, namespace, error_type] = fields.map(str::to_owned);
        Signature {
            alert_name,
            service,
            namespace,
            error_type,
        }
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        assert_ne!(
            signature(["ab", "c", "", ""]).key(),
            signature(["a", "bc", "", ""]).key()
        );
        assert_ne!(
            signature(["a", "", "b", ""]).key(),
            signature(["a", "b", "", ""]).key()
        );
    }

    #[test]
    fn the_key_does_not_change_between_versions() {
        assert_eq!(
            signature(["HighErrorRate", "api", "prod", "OOMKilled"]).key(),
            "7d1e95f153bdcdf322541083f21c77a4"
        );
    }
}
