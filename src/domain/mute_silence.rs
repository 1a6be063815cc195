//! The silence in Alertmanager that holds for the alerts of a muted anomaly, and for no others.

use super::labels::{Labels, OTHERWISE, SignatureLabels};
use super::signature::Signature;

/// Labels, and what each must be, for exactly the alerts of this anomaly; `labels` are those of one of its alerts. None
/// if labels alone cannot say it.
#[must_use]
pub fn matchers(
    signature: &Signature,
    labels: &Labels,
    settings: &SignatureLabels,
) -> Option<Vec<(String, String)>> {
    let mut matchers = Vec::new();
    for (value, names, otherwise) in [
        (&signature.alert_name, &settings.alert_name, &[][..]),
        (&signature.service, &settings.service, &OTHERWISE[..]),
        (&signature.namespace, &settings.namespace, &[]),
        (&signature.error_type, &settings.error_type, &[]),
    ] {
        let names = names.iter().map(String::as_str);
        let mut found = value.is_empty();
        for name in names.chain(otherwise.iter().copied()) {
            match labels.get(name).filter(|value| !value.is_empty()) {
                // Another alert that has it is called by it.
                None if is_plain(name) && !otherwise.contains(&name) => {
                    matchers.push((name.to_owned(), String::new()));
                }
                Some(is) if is == value && is_plain(name) => {
                    matchers.push((name.to_owned(), value.clone()));
                    found = true;
                    break;
                }
                _ => {}
            }
        }
        if !found {
            return None;
        }
    }
    (!signature.alert_name.is_empty()).then_some(matchers)
}

/// Whether every version of Alertmanager takes this name of a label.
fn is_plain(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(fields: [&str; 4], labels: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        let [alert_name, service, namespace, error_type] = fields.map(str::to_owned);
        let signature = Signature {
            alert_name,
            service,
            namespace,
            error_type,
        };
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let labels: Labels = labels.iter().map(own).collect();
        matchers(&signature, &labels, &SignatureLabels::default())
    }

    #[test]
    fn a_silence_holds_for_the_alerts_of_the_anomaly_alone() {
        let all = [
            ("alertname", "A"),
            ("job", "api"),
            ("namespace", "prod"),
            ("reason", "OOM"),
            ("pod", "api-1"),
        ];
        let pairs = |pairs: &[(&str, &str)]| {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            Some(pairs.iter().map(own).collect::<Vec<_>>())
        };
        assert_eq!(found(["A", "api", "prod", "OOM"], &all), pairs(&all[..4]));
        // What it does not have, others have.
        let few = [("alertname", "A"), ("service", "api")];
        assert_eq!(
            found(["A", "api", "", ""], &few),
            pairs(&[
                ("alertname", "A"),
                ("job", ""),
                ("service", "api"),
                ("namespace", ""),
                ("reason", ""),
                ("error_type", ""),
            ])
        );
        // A service that is no label's value, and a name that older versions refuse.
        assert_eq!(
            found(
                ["A", "api", "", ""],
                &[("alertname", "A"), ("pod", "api-1")]
            ),
            None
        );
        assert_eq!(
            found(
                ["A", "api", "", ""],
                &[("alertname", "A"), ("service.name", "api")]
            ),
            None
        );
        assert_eq!(found(["", "", "", ""], &[]), None);
    }
}
