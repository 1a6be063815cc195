//! Families of sources: senders that speak of the same series under the same fingerprints, so that a firing
//! that arrives by two ways is one, and the first that knows of its end ends it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Which sources are of one family; a source that is in none is alone.
///
/// A family goes by the name of its first member, and what is stored of that one's series stays the same series
/// when others are added behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Families(Vec<Vec<String>>);

impl Default for Families {
    /// Those that name alerts as Prometheus does.
    fn default() -> Self {
        let of_prometheus = ["alertmanager", "prometheus", "grafana"];
        Self(vec![of_prometheus.map(str::to_owned).to_vec()])
    }
}

impl Families {
    /// A stored source as its series know it: with its family's name, and with its cluster.
    /// `prometheus@eu` is `alertmanager@eu`.
    #[must_use]
    pub fn name_of<'s>(&self, source: &'s str) -> Cow<'s, str> {
        let name = without_cluster(source);
        let of_source = |family: &&Vec<String>| family.iter().any(|member| member == name);
        match self.0.iter().find(of_source).and_then(|f| f.first()) {
            Some(first) if first != name => format!("{first}{}", &source[name.len()..]).into(),
            _ => source.into(),
        }
    }

    /// Whether two sources, with or without their clusters, are of one family.
    #[must_use]
    pub fn are_one(&self, one: &str, other: &str) -> bool {
        self.name_of(without_cluster(one)) == self.name_of(without_cluster(other))
    }

    /// What is wrong with them.
    ///
    /// # Errors
    /// A member is no name of a source, or is named twice.
    pub fn check(&self) -> Result<(), String> {
        let mut met = BTreeSet::new();
        for member in self.0.iter().flatten() {
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if member.is_empty() || !member.chars().all(is_name) {
                return Err(format!("{member:?} is not the name of a source"));
            }
            if !met.insert(member) {
                return Err(format!("{member:?} is named twice"));
            }
        }
        Ok(())
    }
}

/// A stored source is `name` or `name@cluster`.
fn without_cluster(source: &str) -> &str {
    source.split('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families(of: &[&[&str]]) -> Families {
        let family = |family: &&[&str]| family.iter().map(|name| (*name).to_owned()).collect();
        Families(of.iter().map(family).collect())
    }

    #[test]
    fn members_share_the_name_of_the_first_and_keep_their_clusters() {
        let default = Families::default();
        for (source, expected) in [
            ("alertmanager", "alertmanager"),
            ("alertmanager@eu", "alertmanager@eu"),
            ("prometheus", "alertmanager"),
            ("prometheus@eu", "alertmanager@eu"),
            ("grafana@a@b", "alertmanager@a@b"),
            ("signoz@eu", "signoz@eu"),
            ("sentry", "sentry"),
        ] {
            assert_eq!(default.name_of(source), expected, "{source}");
        }
        let alone = families(&[]);
        assert_eq!(alone.name_of("prometheus@eu"), "prometheus@eu");
    }

    #[test]
    fn two_are_one_family_whatever_their_clusters() {
        let default = Families::default();
        assert!(default.are_one("prometheus@eu", "alertmanager"));
        assert!(default.are_one("signoz", "signoz@eu"));
        assert!(!default.are_one("signoz", "alertmanager"));
        assert!(!families(&[]).are_one("prometheus", "alertmanager"));
    }

    #[test]
    fn a_member_is_named_once_and_is_a_name() {
        assert_eq!(Families::default().check(), Ok(()));
        assert_eq!(families(&[&[]]).check(), Ok(()));
        for wrong in [&[&["a", "b"][..], &["b"]][..], &[&["a@eu"]], &[&[""]]] {
            assert!(families(wrong).check().is_err(), "{wrong:?}");
        }
    }
}
