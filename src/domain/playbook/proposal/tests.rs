use proptest::prelude::*;
use serde_json::json;

use super::*;

fn playbook(tiers: [&[&str]; 4]) -> Playbook {
    let json = json!({"name": "pods", "tier_1": tiers[0], "tier_2": tiers[1], "tier_3": tiers[2], "tier_4": tiers[3]});
    serde_json::from_value(json).unwrap()
}

/// Each action with how often it held and did not, where nothing done held so often of so many times.
fn known(actions: &[(&str, i64, i64)], nothing: (i64, i64)) -> Known {
    let judged = |(action, held, failed): &(&str, i64, i64)| {
        let judged = Judged {
            held: *held,
            verdicts: held + failed,
            weighed_held: *held as f64,
            weighed_verdicts: (held + failed) as f64,
            nothing: Baseline {
                held: nothing.0,
                episodes: nothing.1,
            },
        };
        ((*action).to_owned(), judged)
    };
    actions.iter().map(judged).collect()
}

fn tiers(playbook: &Playbook) -> [Vec<&str>; 4] {
    Tier::ALL.map(|tier| {
        playbook
            .actions(tier)
            .0
            .iter()
            .map(String::as_str)
            .collect()
    })
}

#[test]
fn what_held_moves_up_and_what_never_held_moves_down() {
    type Case<'a> = (
        &'a str,
        [&'a [&'a str]; 4],
        &'a [(&'a str, i64, i64)],
        (i64, i64),
        Option<[&'a [&'a str]; 4]>,
    );
    let cases: &[Case<'_>] = &[
        (
            "surer ones come first, past what is not judged",
            [&["restart", "new", "rollback"], &[], &[], &[]],
            &[("rollback", 4, 0), ("restart", 2, 7)],
            (0, 0),
            Some([&["rollback", "restart", "new"], &[], &[], &[]]),
        ),
        (
            "too little is known to say",
            [&["restart", "rollback"], &[], &[], &[]],
            &[("rollback", 2, 0), ("restart", 0, 9)],
            (0, 9),
            None,
        ),
        (
            "four are no surer than three of four",
            [&["restart", "rollback"], &[], &[], &[]],
            &[("rollback", 4, 0), ("restart", 3, 1)],
            (0, 0),
            None,
        ),
        (
            "what never held goes last, behind what is not judged",
            [&["restart", "new"], &["rollback", "scale"], &[], &[]],
            &[("restart", 0, 4), ("rollback", 4, 0)],
            (0, 0),
            Some([&["new", "restart"], &["rollback", "scale"], &[], &[]]),
        ),
        (
            "nothing done does better than it",
            [&["restart", "new"], &[], &[], &[]],
            &[("restart", 0, 6)],
            (18, 20),
            Some([&["new", "restart"], &[], &[], &[]]),
        ),
        (
            "never held, but too seldom tried to be hopeless",
            [&["restart", "new"], &[], &[], &[]],
            &[("restart", 0, 3)],
            (1, 9),
            None,
        ),
        (
            "one that held moves up a tier, and what never held makes way",
            [&["restart"], &["rollback", "scale"], &[], &[]],
            &[("restart", 0, 9), ("rollback", 4, 0)],
            (0, 1),
            Some([&["rollback"], &["scale", "restart"], &[], &[]]),
        ),
        (
            "they change places",
            [&["restart"], &["rollback"], &[], &[]],
            &[("restart", 0, 9), ("rollback", 4, 0)],
            (0, 1),
            Some([&["rollback"], &["restart"], &[], &[]]),
        ),
        (
            "nothing to compare with: it stays in its tier",
            [&["restart"], &["rollback", "scale"], &[], &[]],
            &[("restart", 0, 9), ("rollback", 4, 0)],
            (0, 0),
            None,
        ),
        (
            "a tier is not left without an action",
            [&["restart"], &["rollback"], &[], &[]],
            &[("restart", 2, 7), ("rollback", 9, 0)],
            (3, 9),
            None,
        ),
        (
            "from tier to tier, over those without actions",
            [
                &["restart"],
                &[],
                &["fix", "look"],
                &["redesign", "rewrite"],
            ],
            &[
                ("restart", 0, 9),
                ("fix", 0, 9),
                ("look", 0, 9),
                ("redesign", 8, 0),
            ],
            (0, 9),
            Some([
                &["redesign"],
                &[],
                &["restart"],
                &["rewrite", "fix", "look"],
            ]),
        ),
        (
            "something is left to try",
            [&["restart", "new"], &["rollback", "scale"], &[], &[]],
            &[("restart", 2, 7), ("rollback", 9, 0)],
            (3, 9),
            None,
        ),
        (
            "it ends by itself as often",
            [&["restart"], &["rollback", "scale"], &[], &[]],
            &[("restart", 0, 9), ("rollback", 4, 0)],
            (8, 9),
            None,
        ),
    ];
    for (name, from, found, nothing, expected) in cases {
        let before = playbook(*from);
        let after = propose(&before, &known(found, *nothing), 3);
        let expected = expected.map(|tiers| tiers.map(<[&str]>::to_vec));
        assert_eq!(after.as_ref().map(tiers), expected, "{name}");
    }
}

#[test]
fn actions_are_known_however_they_are_written() {
    let before = playbook([&["Restart Pod", "Roll-Back"], &[], &[], &[]]);
    let known = known(
        &[("roll_back", 4, 0), ("restart_pod", 2, 7), ("other", 9, 0)],
        (0, 0),
    );
    let after = propose(&before, &known, 3).unwrap();
    assert_eq!(tiers(&after)[0], ["Roll-Back", "Restart Pod"]);
    let said: Vec<_> = figures(&after, &known)
        .into_iter()
        .map(|one| (one.action, one.held, one.verdicts))
        .collect();
    assert_eq!(
        said,
        [
            ("Roll-Back".to_owned(), 4, 4),
            ("Restart Pod".to_owned(), 2, 9)
        ]
    );
    assert_eq!(verdicts(&before, &known), 13);
}

#[test]
fn as_few_moves_are_told_as_explain_a_change() {
    let before = playbook([&["a", "b", "c"], &["d", "e"], &[], &[]]);
    let after = playbook([&["d", "b", "c", "a"], &["e"], &[], &[]]);
    let told: Vec<_> = moves(&before, &after)
        .into_iter()
        .map(|m| (m.action, m.from.number(), m.to.number(), m.is_up))
        .collect();
    assert_eq!(
        told,
        [("d".to_owned(), 2, 1, true), ("a".to_owned(), 1, 1, false)]
    );
}

proptest! {
    /// Whatever held: no action is lost, none is new, and what is proposed is how it should be.
    #[test]
    fn nothing_is_removed_or_invented_and_a_proposal_is_final(
        places in prop::collection::vec(0..4_usize, 1..10),
        found in prop::collection::vec((0..12_i64, 0..12_i64), 12),
        held in 0..20_i64,
        more in 0..20_i64,
    ) {
        let mut before = Playbook { name: "x".to_owned(), ..Playbook::default() };
        for (n, tier) in places.iter().enumerate() {
            before.actions_mut(Tier::ALL[*tier]).0.push(format!("a{n}"));
        }
        let names: Vec<String> = (0..found.len()).map(|n| format!("a{n}")).collect();
        let all: Vec<_> = names.iter().zip(&found).map(|(name, (held, failed))| (name.as_str(), *held, *failed)).collect();
        let known = known(&all, (held, held + more));
        let Some(after) = propose(&before, &known, 3) else { return Ok(()) };
        let sorted = |playbook: &Playbook| {
            let mut all: Vec<String> = playbook.each().map(|(_, action)| action.to_owned()).collect();
            all.sort();
            all
        };
        prop_assert_eq!(sorted(&before), sorted(&after));
        for tier in Tier::ALL {
            let was_empty = before.actions(tier).0.is_empty();
            prop_assert_eq!(was_empty, after.actions(tier).0.is_empty());
        }
        prop_assert!(!moves(&before, &after).is_empty());
        prop_assert_eq!(propose(&after, &known, 3), None);
        prop_assert_eq!(after.check(), Ok(()));
    }
}
