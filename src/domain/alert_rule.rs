//! Subjects of a source's rules. An alert of a rule that has no data lacks the labels of what the rule
//! queries, and is about what the rule's other alerts were about.

use super::alert::{Alert, Identity};

/// The labels that such an alert gets.
const SERVICE: &str = "service";
const NAMESPACE: &str = "namespace";

/// What alerts of a rule are about. Empty: they do not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct About {
    /// The service.
    pub service: String,
    /// The namespace.
    pub namespace: String,
}

/// What is known of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleTargets {
    /// The first service and the first namespace that its alerts named.
    pub first: About,
    /// Whether others named another service: then that of the rule is not known.
    pub has_services: bool,
    /// Whether others named another namespace.
    pub has_namespaces: bool,
}

impl RuleTargets {
    /// What an alert without data can be about, which says this itself: first what it is by what is known now, then
    /// what it was when less was known, or more. So that the end of a firing is of the anomaly of its beginning,
    /// whatever was learned between them, each is looked for.
    #[must_use]
    pub fn readings(&self, own: &About) -> Vec<About> {
        let each = |own: &str, first: &str, has_others: bool| -> Vec<String> {
            let first = if own.is_empty() { first } else { "" };
            match (first, has_others) {
                ("", _) => vec![String::new()],
                (first, false) => vec![first.to_owned(), String::new()],
                (first, true) => vec![String::new(), first.to_owned()],
            }
        };
        let services = each(&own.service, &self.first.service, self.has_services);
        let namespaces = each(&own.namespace, &self.first.namespace, self.has_namespaces);
        let reading = |service: &String| {
            let service = service.clone();
            namespaces.iter().map(move |namespace| About {
                service: service.clone(),
                namespace: namespace.clone(),
            })
        };
        services.iter().flat_map(reading).collect()
    }
}

impl About {
    /// An alert that is about this, where it does not say something else.
    #[must_use]
    pub fn said_by(&self, alert: &Alert) -> Alert {
        let mut alert = alert.clone();
        let mut say = |name: &str, value: &str| {
            let is_said = !value.is_empty() && !alert.labels.contains_key(name);
            is_said.then(|| alert.labels.insert(name, value));
            is_said.then(|| name.to_owned())
        };
        let (service, namespace) = (say(SERVICE, &self.service), say(NAMESPACE, &self.namespace));
        if let Some(identity) = &mut alert.identity {
            *identity = Identity {
                service: service.or_else(|| identity.service.take()),
                namespace: namespace.or_else(|| identity.namespace.take()),
                ..identity.clone()
            };
        }
        alert
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::alert::{AlertRule, AlertStatus, Labels};
    use crate::domain::signature::{Signature, SignatureLabels};

    fn about(service: &str, namespace: &str) -> About {
        About {
            service: service.to_owned(),
            namespace: namespace.to_owned(),
        }
    }

    #[test]
    fn what_is_known_now_comes_first_and_what_was_known_before_after_it() {
        let known = |(service, has_services), (namespace, has_namespaces)| RuleTargets {
            first: about(service, namespace),
            has_services,
            has_namespaces,
        };
        let nothing = about("", "");
        for (known, own, expected) in [
            (known(("", false), ("", false)), &nothing, vec![("", "")]),
            (
                known(("checkout", false), ("", false)),
                &nothing,
                vec![("checkout", ""), ("", "")],
            ),
            (
                known(("checkout", true), ("", false)),
                &nothing,
                vec![("", ""), ("checkout", "")],
            ),
            (
                known(("checkout", false), ("shop", true)),
                &nothing,
                vec![
                    ("checkout", ""),
                    ("checkout", "shop"),
                    ("", ""),
                    ("", "shop"),
                ],
            ),
            (
                known(("checkout", false), ("shop", false)),
                &about("cart", ""),
                vec![("", "shop"), ("", "")],
            ),
        ] {
            let expected: Vec<About> = expected.into_iter().map(|(s, n)| about(s, n)).collect();
            assert_eq!(known.readings(own), expected, "{known:?}");
        }
    }

    #[test]
    fn an_alert_is_about_what_its_rule_is_where_it_does_not_say_something_else() {
        let alert = |labels: &[(&str, &str)], identity| Alert {
            status: AlertStatus::Firing,
            labels: labels.iter().copied().collect(),
            annotations: Labels::new(),
            fingerprint: "f".to_owned(),
            starts_at: None,
            ends_at: None,
            generator_url: None,
            lease_ms: None,
            rule: Some(AlertRule::default()),
            identity,
        };
        let read = |alert: &Alert| {
            let signature = Signature::of(alert, &SignatureLabels::default());
            (signature.service, signature.namespace)
        };
        let rule = about("checkout", "shop");
        for identity in [None, Some(Identity::default())] {
            let bare = alert(&[("alertname", "A")], identity.clone());
            let said = rule.said_by(&bare);
            assert_eq!(read(&said), ("checkout".to_owned(), "shop".to_owned()));
            assert_eq!(about("", "").said_by(&bare), bare);
            let own = alert(&[("alertname", "A"), ("service", "cart")], identity);
            assert_eq!(read(&rule.said_by(&own)).0, "cart");
        }
    }
}
