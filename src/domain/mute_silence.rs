//! The silence in Alertmanager that holds for the alerts of a muted anomaly, and for no others. It may hold for fewer: where
//! what an anomaly is called by depends on a label that is missing or was passed over, that label is in the silence, too.

use super::labels::{Labels, OTHERWISE, SignatureLabelNames, SignatureLabels};
use super::signature::Signature;

/// Names by default that older versions of Alertmanager, and Prometheus before 3, do not have: senders that have these
/// names have no others, so an alert without one is not told from those with it.
const RARE: [&str; 2] = ["service.name", "k8s.namespace.name"];

/// Labels, and what each must be, for the alerts of this anomaly alone; `labels` are those of one of its alerts, and
/// `made_of` says which of them it is called by. Where that is not known, it is what the settings say of such an alert.
/// None if labels alone cannot say it.
#[must_use]
pub fn matchers(
    signature: &Signature,
    made_of: Option<&SignatureLabelNames>,
    labels: &Labels,
    settings: &SignatureLabels,
) -> Option<Vec<(String, String)>> {
    if signature.alert_name.is_empty() {
        return None;
    }
    let is = |name: &str| labels.get(name).unwrap_or_default();
    let read = settings.names(|name| labels.get(name));
    let called_by = match made_of {
        Some(made_of) => [
            &*made_of.alert_name,
            &*made_of.service,
            &*made_of.namespace,
            &*made_of.error_type,
        ],
        None => read.each(),
    };
    let fields = [
        (&signature.alert_name, &settings.alert_name, &[][..]),
        (&signature.service, &settings.service, &OTHERWISE[..]),
        (&signature.namespace, &settings.namespace, &[]),
        (&signature.error_type, &settings.error_type, &[]),
    ];
    let mut matchers: Vec<(String, String)> = Vec::new();
    for ((field, names, otherwise), by) in fields.into_iter().zip(called_by) {
        // A pod's deployment, or what is counted under together.
        if is(by) != field {
            return None;
        }
        let is_exporter = !otherwise.is_empty() && settings.is_exporter(field);
        // An alert with any label more would be called by that instead of the exporter, or of nothing.
        let is_fallback = is_exporter && names.iter().any(|name| name == by);
        let ends = !field.is_empty() && !is_fallback;
        let mut is_met = field.is_empty();
        for name in names
            .iter()
            .map(String::as_str)
            .chain(otherwise.iter().copied())
        {
            let can_be_missing = RARE.contains(&name) || otherwise.contains(&name);
            match is_plain(name) {
                true if matchers.iter().any(|(known, _)| known == name) => {}
                true => matchers.push((name.to_owned(), is(name).to_owned())),
                false if can_be_missing && is(name).is_empty() => {}
                false => return None,
            }
            is_met |= name == by;
            if name == by && ends {
                break;
            }
        }
        if !is_met {
            return None;
        }
    }
    Some(matchers)
}

/// Whether every version of Alertmanager takes this name of a label.
fn is_plain(name: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests;
