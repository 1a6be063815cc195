use proptest::prelude::*;

use super::*;
use crate::domain::effectiveness::{Counted, period};

const NOW: Timestamp = Timestamp(1_795_382_909_000);
const HOUR: Duration = Duration::from_secs(3600);

/// What is known: each action with how often it held and did not.
fn known(actions: &[(&str, i64, i64)], nothing: (i64, i64)) -> Known {
    let kept = |(action, held, failed): &(&str, i64, i64)| {
        let counted = Counted {
            attempts: held + failed,
            verified: *held,
            disproved: *failed,
            ..Counted::default()
        };
        let kept = Kept {
            periods: BTreeMap::from([(period(NOW), counted)]),
            last_at: NOW,
            ..Kept::default()
        };
        ((*action).to_owned(), kept)
    };
    let baseline = Baseline {
        held: nothing.0,
        episodes: nothing.1,
    };
    Known {
        actions: actions.iter().map(kept).collect(),
        baselines: BTreeMap::from([(0, baseline)]),
    }
}

fn playbook() -> Playbook {
    serde_json::from_value(serde_json::json!({
        "name": "pods",
        "tier_1": ["restart_pod", "restart_node"],
        "tier_2": ["rollback", "scale_up"],
        "tier_4": "redesign",
    }))
    .unwrap()
}

struct Case {
    tier: Tier,
    playbook: Option<Playbook>,
    own: Known,
    wider: Known,
    disproved: Vec<(String, Timestamp)>,
    stopped: BTreeMap<String, Streak>,
}

impl Case {
    fn new(tier: Tier) -> Self {
        Self {
            tier,
            playbook: Some(playbook()),
            own: Known::default(),
            wider: Known::default(),
            disproved: Vec::new(),
            stopped: BTreeMap::new(),
        }
    }

    fn recommendation(&self) -> Recommendation {
        recommend(&RecommendationInputs {
            tier: self.tier,
            playbook: self.playbook.as_ref(),
            classes: &ActionClasses::default(),
            own: &self.own,
            wider: &self.wider,
            disproved: &self.disproved,
            stopped: self.stopped.clone(),
            quiet_ms: &BTreeMap::new(),
            min_verdicts: 3,
            half_life: Duration::ZERO,
            now: NOW,
        })
    }
}

fn brief(found: &Recommendation) -> (Option<&str>, i32, Rule) {
    (found.action.as_deref(), found.tier, found.rule)
}

#[test]
fn the_playbook_s_order_holds_until_something_is_known() {
    let mut case = Case::new(Tier::Restart);
    assert_eq!(
        brief(&case.recommendation()),
        (Some("restart_pod"), 1, Rule::InOrder)
    );
    // Too few to tell.
    case.own = known(&[("restart_node", 2, 0)], (0, 0));
    assert_eq!(
        brief(&case.recommendation()),
        (Some("restart_pod"), 1, Rule::InOrder)
    );
    // What held comes first even if it is not known how often the alarm ends by itself; but that it is better is not
    // said.
    case.own = known(&[("restart_node", 4, 0)], (0, 0));
    let found = case.recommendation();
    assert_eq!(brief(&found), (Some("restart_node"), 1, Rule::Held));
    assert_eq!(found.figures.unwrap().effective, None);
    case.own = known(&[("restart_node", 4, 0), ("restart_pod", 3, 2)], (1, 10));
    let found = case.recommendation();
    assert_eq!(brief(&found), (Some("restart_node"), 1, Rule::Held));
    let figures = found.figures.unwrap();
    assert_eq!((figures.held, figures.verdicts), (4, 4));
    assert_eq!(found.alternatives.len(), 4);
}

#[test]
fn too_few_verdicts_are_stood_in_for_by_those_of_the_alert_name() {
    let mut case = Case::new(Tier::Mitigate);
    case.own = known(&[("scale_up", 1, 1)], (0, 0));
    case.wider = known(&[("scale_up", 8, 1), ("rollback", 0, 5)], (1, 9));
    let found = case.recommendation();
    assert_eq!(brief(&found), (Some("scale_up"), 2, Rule::Held));
    assert_eq!(found.figures.unwrap().of, FiguresOf::AlertName);
}

#[test]
fn what_did_not_hold_twice_in_a_day_waits_and_the_tier_rises() {
    let at = |hours: u32| NOW.before(HOUR * hours);
    let mut case = Case::new(Tier::Restart);
    let twice = |action: &str| [(action.to_owned(), at(1)), (action.to_owned(), at(23))];
    case.disproved = twice("restart_pod").to_vec();
    let found = case.recommendation();
    assert_eq!(brief(&found), (Some("restart_node"), 1, Rule::InOrder));
    let waits = found
        .alternatives
        .iter()
        .find(|a| a.action == "restart_pod");
    let waits = waits.unwrap();
    assert_eq!(
        (waits.usable, waits.not_before),
        (Usable::NotYet, Some(NOW.after(HOUR)))
    );
    case.disproved.extend(twice("restart_node"));
    let found = case.recommendation();
    assert_eq!(brief(&found), (Some("rollback"), 2, Rule::InOrder));
    assert_eq!(found.why.raised_from, Some(1));
    // A tier without actions is passed over.
    case.tier = Tier::RootCause;
    assert_eq!(
        brief(&case.recommendation()),
        (Some("redesign"), 4, Rule::InOrder)
    );
    case.disproved.extend(twice("redesign"));
    assert_eq!(brief(&case.recommendation()), (None, 3, Rule::NoneLeft));
    // A day later it is recommended again.
    case.tier = Tier::Restart;
    case.disproved = vec![
        ("restart_pod".to_owned(), at(1)),
        ("restart_pod".to_owned(), at(24)),
    ];
    assert_eq!(
        brief(&case.recommendation()),
        (Some("restart_pod"), 1, Rule::InOrder)
    );
}

#[test]
fn what_is_stopped_is_passed_over_and_named() {
    let streak = Streak {
        in_a_row: 3,
        last_at: NOW.before(HOUR),
    };
    let mut case = Case::new(Tier::Restart);
    case.stopped = BTreeMap::from(["restart_pod", "scale_up"].map(|a| (a.to_owned(), streak)));
    // Even if it held on this anomaly.
    case.own = known(&[("restart_pod", 9, 0)], (0, 9));
    let found = case.recommendation();
    assert_eq!(brief(&found), (Some("restart_node"), 1, Rule::InOrder));
    let named = |found: &Recommendation| -> Vec<(String, i64)> {
        let stopped = found.why.stopped.iter();
        stopped
            .map(|one| (one.action.clone(), one.in_a_row))
            .collect()
    };
    assert_eq!(named(&found), [("restart_pod".to_owned(), 3)]);
    let others = found
        .alternatives
        .iter()
        .filter(|a| a.usable == Usable::Stopped);
    let others: Vec<_> = others.map(|a| (&*a.action, a.stopped)).collect();
    assert_eq!(
        others,
        [("restart_pod", Some(streak)), ("scale_up", Some(streak))]
    );
    // What no tier has left is all named.
    let all = [
        "restart_pod",
        "restart_node",
        "rollback",
        "scale_up",
        "redesign",
    ];
    case.stopped = BTreeMap::from(all.map(|a| (a.to_owned(), streak)));
    let found = case.recommendation();
    assert_eq!(brief(&found), (None, 1, Rule::NoneLeft));
    assert_eq!(named(&found).len(), 5);
}

#[test]
fn what_never_held_is_left_out() {
    let mut case = Case::new(Tier::Restart);
    case.own = known(&[("restart_pod", 0, 3), ("restart_node", 0, 4)], (0, 9));
    let found = case.recommendation();
    assert_eq!(brief(&found), (Some("rollback"), 2, Rule::InOrder));
    let tried: Vec<_> = found
        .why
        .tried
        .iter()
        .map(|t| (t.attempts, t.held))
        .collect();
    assert_eq!(tried, [(4, 0), (3, 0)]);
}

#[test]
fn where_an_alarm_ends_by_itself_waiting_wins() {
    let mut case = Case::new(Tier::Restart);
    case.own = known(&[("restart_pod", 5, 0), ("restart_node", 3, 1)], (19, 20));
    assert_eq!(brief(&case.recommendation()), (None, 1, Rule::Wait));
    // What is deep is not about the firing of now.
    case.tier = Tier::RootCause;
    assert_eq!(
        brief(&case.recommendation()),
        (Some("redesign"), 4, Rule::InOrder)
    );
    // Nothing was tried enough to say that it does no better.
    case.tier = Tier::Restart;
    case.own = known(&[("restart_pod", 1, 0)], (19, 20));
    assert_eq!(
        brief(&case.recommendation()),
        (Some("restart_pod"), 1, Rule::InOrder)
    );
}

#[test]
fn without_a_playbook_only_what_is_known_to_hold_is_recommended() {
    let mut case = Case::new(Tier::Restart);
    case.playbook = None;
    assert_eq!(brief(&case.recommendation()), (None, 1, Rule::NoneKnown));
    case.own = known(&[("restart_pod", 1, 1), ("prayed", 9, 0)], (0, 9));
    let found = case.recommendation();
    assert_eq!(brief(&found), (None, 1, Rule::NoneKnown));
    assert_eq!(found.alternatives.len(), 1, "{found:?}");
    case.own = known(&[("restart_pod", 0, 3)], (0, 9));
    assert_eq!(brief(&case.recommendation()), (None, 1, Rule::NoneLeft));
    case.wider = known(&[("rollback", 6, 0)], (0, 9));
    assert_eq!(
        brief(&case.recommendation()),
        (Some("rollback"), 2, Rule::Held)
    );
}

proptest! {
    /// Whatever is known, nothing is invented, nothing waits that is recommended, and the tier rises only past what is
    /// not left.
    #[test]
    fn a_recommendation_is_one_of_the_playbook_s_and_may_be_tried(
        tier in 1..=4,
        own in prop::collection::vec((0..5_usize, 0..6_i64, 0..6_i64), 0..6),
        wider in prop::collection::vec((0..5_usize, 0..9_i64, 0..9_i64), 0..6),
        failed in prop::collection::vec((0..5_usize, 0..48_u32), 0..12),
        held in 0..10_i64,
        more in 0..10_i64,
    ) {
        let all = ["restart_pod", "restart_node", "rollback", "scale_up", "redesign"];
        let of = |found: &[(usize, i64, i64)]| {
            let found: Vec<_> = found.iter().map(|(n, held, failed)| (all[*n], *held, *failed)).collect();
            known(&found, (held, held + more))
        };
        let mut case = Case::new(Tier::from_number(tier).unwrap());
        (case.own, case.wider) = (of(&own), of(&wider));
        case.disproved = failed.iter().map(|(n, ago)| (all[*n].to_owned(), NOW.before(HOUR * *ago))).collect();
        let found = case.recommendation();
        let playbook = playbook();
        let in_last_day = |action: &str| {
            let of = case.disproved.iter().filter(|(name, at)| name == action && NOW.since(*at) < DAY);
            of.count()
        };
        prop_assert!(found.tier >= tier);
        if let Some(action) = &found.action {
            let tier = Tier::from_number(found.tier).unwrap();
            prop_assert!(playbook.actions(tier).0.contains(action), "{action}");
            prop_assert!(in_last_day(action) < ENOUGH, "{action}");
        }
        prop_assert_eq!(found.why.raised_from.is_some(), found.tier > tier);
        for other in &found.alternatives {
            let is_left = other.usable == Usable::Yes && other.tier < found.tier;
            prop_assert!(!is_left, "{other:?}");
            prop_assert_eq!(other.usable == Usable::NotYet, in_last_day(&other.action) >= ENOUGH);
        }
        let again = case.recommendation();
        prop_assert_eq!(again, found);
    }
}
