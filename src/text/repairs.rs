//! The words for verdicts and classes of repairs, and how often actions held.

use super::{Text, fill};
use crate::domain::repair_class::RepairClass;
use crate::domain::verdict::{Verdict, VerdictReason};

/// A verdict's word.
#[must_use]
pub const fn verdict_word(text: &Text, verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Verified => text.verdict_verified,
        Verdict::Disproved => text.verdict_disproved,
        Verdict::Superseded => text.verdict_superseded,
        Verdict::Unknown => text.verdict_unknown,
    }
}

/// Why a verdict is as it is.
#[must_use]
pub const fn why_verdict(text: &Text, reason: VerdictReason) -> &'static str {
    match reason {
        VerdictReason::Quiet => text.verdict_quiet,
        VerdictReason::FiredAgain => text.verdict_fired_again,
        VerdictReason::NeverStopped => text.verdict_never_stopped,
        VerdictReason::AnotherRepair => text.verdict_another_repair,
        VerdictReason::SourceSilent => text.verdict_source_silent,
        VerdictReason::Silenced => text.verdict_silenced,
        VerdictReason::Down => text.verdict_down,
        VerdictReason::Pruned => text.verdict_pruned,
    }
}

/// A class' name; that of an action without one.
#[must_use]
pub const fn class_name(text: &Text, class: Option<RepairClass>) -> &'static str {
    match class {
        Some(RepairClass::Restart) => text.class_restart,
        Some(RepairClass::Mitigate) => text.class_mitigate,
        Some(RepairClass::RootCause) => text.class_root_cause,
        Some(RepairClass::Architecture) => text.class_architecture,
        None => text.class_none,
    }
}

/// How often actions held, as people say it; empty of none. Each is its name, how often it held, and how often that
/// is known.
#[must_use]
pub fn held<'a>(text: &Text, actions: impl IntoIterator<Item = (&'a str, i64, i64)>) -> String {
    let said = actions
        .into_iter()
        .enumerate()
        .map(|(at, (action, held, n))| {
            let pattern = if at == 0 {
                text.held_first
            } else {
                text.held_more
            };
            let (held, n) = (held.to_string(), n.to_string());
            fill(pattern, &[("action", action), ("held", &held), ("n", &n)])
        });
    said.collect::<Vec<_>>().join(text.comma)
}

/// The number of verdicts by weight, to a tenth, where that is another than their number.
#[must_use]
pub fn weighed(verdicts: i64, weight: f64) -> Option<String> {
    let weight = format!("{weight:.1}");
    (weight != format!("{verdicts}.0")).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{EN, ZH_TW};

    #[test]
    fn a_weight_is_said_where_it_is_not_the_number() {
        assert_eq!(weighed(9, 8.62), Some("8.6".to_owned()));
        assert_eq!(weighed(9, 8.96), None);
        assert_eq!(weighed(0, 0.0), None);
    }

    #[test]
    fn how_often_actions_held_is_said_as_people_say_it() {
        let actions = [("rollback", 4, 4), ("restart_pod", 2, 9)];
        assert_eq!(
            held(&EN, actions),
            "rollback held 4 of 4 times, restart_pod 2 of 9"
        );
        assert_eq!(
            held(&ZH_TW, actions),
            "rollback 4 次中有 4 次維持住；restart_pod 9 次中有 2 次"
        );
        assert_eq!(held(&EN, []), "");
    }
}
