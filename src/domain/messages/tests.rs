use std::sync::LazyLock;

use super::*;
use crate::domain::aggregation::ResolvedBy;

const NOW: Timestamp = Timestamp(1_795_382_909_000);
const SETTLE: Duration = Duration::from_secs(30);
const CHAT: &str = "telegram:-100";
const LOG: &str = "log";
static SEVERITIES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let severities = ["error", "critical"];
    severities.map(str::to_owned).to_vec()
});

/// Messages that there are, with their states.
type Known = &'static [(Kind, &'static str)];

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// Sends everything to a chat and to the log.
fn policy(telegram: &[Tell]) -> Policy<'_> {
    Policy {
        routes: &[],
        otherwise: vec![CHAT.to_owned(), LOG.to_owned()],
        tells: vec![(CHAT.to_owned(), telegram)],
        quiet: None,
        settle: SETTLE,
        severities: &SEVERITIES,
        edits: vec!["telegram"],
        cards: vec!["telegram"],
        again: None,
        comments: None,
    }
}

fn incident(n: u128, previous_status: Status, status: Status) -> Incident {
    Incident {
        id: id(n),
        anomaly_key: String::new(),
        number: 1,
        status,
        previous_status,
        resolved_by: (status == Status::Resolved).then_some(ResolvedBy::Itself),
        resolved_at: (status == Status::Resolved).then_some(NOW.before(Duration::from_secs(1))),
        opened_at: NOW.before(Duration::from_secs(10)),
        window_start: NOW,
        joined_at: NOW,
        aggregated_count: 1,
        open_episodes: 1,
        last_firing_at: NOW,
        severity: String::new(),
        severity_rises: 0,
        is_acknowledged: false,
        reopened: 0,
        doubted_since: None,
        unheard_since: None,
        is_heard_again: false,
        undone: Vec::new(),
        updated_at: NOW,
        due_at: None,
        tier_due: false,
        changed: false,
        opening: None,
    }
}

fn batch(incidents: impl IntoIterator<Item = Incident>) -> Batch {
    let incidents = incidents
        .into_iter()
        .map(|incident| (incident.id, incident));
    Batch {
        incidents: incidents.collect(),
        ..Batch::default()
    }
}

fn existing(n: u128, channel: &str, kind: Kind, state: &str) -> ExistingMessage {
    ExistingMessage {
        incident: id(n),
        channel: channel.to_owned(),
        kind,
        is_pending: state == "pending",
        is_out: state == "out",
        is_on_card: state == "on card",
    }
}

#[test]
fn a_rise_is_sent_if_the_settings_name_the_severity_by_any_of_its_words_and_shown_in_any_case() {
    for (severity, is_sent) in [
        ("critical", true),
        ("P1", true),
        ("error", true),
        ("warning", false),
        ("info", false),
        ("", false),
        ("urgent", false),
    ] {
        let worse = Incident {
            severity: severity.to_owned(),
            ..incident(1, Status::Open, Status::Open)
        };
        let mut batch = batch([worse]);
        batch.worsened = vec![(id(1), 1)];
        let sent = of_batch(&batch, &policy(&Tell::USUAL), NOW);
        assert_eq!(!sent.is_empty(), is_sent, "{severity:?}");
        assert_eq!(changed_cards(&batch), [id(1)], "{severity:?}");
    }
}

#[test]
fn a_batch_that_changes_no_incident_is_quiet() {
    assert!(is_quiet(&batch([])));
    assert!(is_quiet(&batch([incident(1, Status::Open, Status::Open)])));
    let heard = Incident {
        is_heard_again: true,
        ..incident(1, Status::Open, Status::Open)
    };
    let worsened = Batch {
        worsened: vec![(id(1), 1)],
        ..Batch::default()
    };
    let reopened = Batch {
        reopenings: vec![(id(1), 1)],
        ..Batch::default()
    };
    let resolved = batch([incident(1, Status::Open, Status::Resolved)]);
    for batch in [batch([heard]), worsened, reopened, resolved] {
        assert!(!is_quiet(&batch), "{batch:?}");
        let is_card = batch.reopenings.is_empty();
        assert_eq!(changed_cards(&batch).len(), usize::from(is_card));
    }
}

#[test]
fn a_batch_plans_messages_for_changed_incidents() {
    let all = [Tell::Reopened, Tell::Resolved, Tell::Escalated];
    let resolved_at = NOW.before(Duration::from_secs(1));
    let mut batch = batch([
        incident(1, Status::Open, Status::Resolved),
        incident(2, Status::Resolved, Status::Open),
        incident(3, Status::Resolved, Status::Open),
        Incident {
            severity: "page".to_owned(),
            ..incident(4, Status::Open, Status::Open)
        },
        incident(5, Status::Open, Status::Acknowledged),
    ]);
    batch.reopenings = vec![(id(3), 7)];
    batch.worsened = vec![(id(4), 1), (id(4), 2)];
    let found = of_batch(&batch, &policy(&all), NOW);
    let settled = NOW.after(Duration::from_secs(20));
    let expected = [
        (3, Kind::Reopened, 7, NOW, Needed::Everywhere, true),
        (
            1,
            Kind::Resolved,
            resolved_at.0,
            NOW,
            Needed::UnlessOnCard,
            false,
        ),
        (2, Kind::Reopened, NOW.0, NOW, Needed::WhereResolved, false),
        (
            4,
            Kind::Worsened,
            2,
            settled,
            Needed::WhereSeverityUnsaid,
            true,
        ),
    ];
    let expected = expected.map(|(n, kind, sequence, since, needed, by_tier)| Candidate {
        incident: id(n),
        kind,
        sequence,
        since,
        needed,
        by_tier,
    });
    assert_eq!(found, expected);
    // No resolved message was sent, so no reopened message is needed.
    let kinds = of_batch(&batch, &policy(&Tell::USUAL), NOW);
    let kinds: Vec<Kind> = kinds.iter().map(|candidate| candidate.kind).collect();
    assert_eq!(kinds, [Kind::Reopened, Kind::Worsened]);
}

#[test]
fn a_tier_pass_plans_messages_for_openings_and_rises() {
    let opened_at = Some(NOW.before(Duration::from_secs(10)));
    let rise = |n, level, opened_at| Rise {
        incident: id(n),
        level,
        sequence: 4,
        opened_at,
    };
    let rises = [
        rise(1, Level::Escalate, opened_at),
        rise(2, Level::Repeat, None),
        rise(3, Level::None, None),
    ];
    let known = [existing(1, CHAT, Kind::Opened, "out")];
    let found = of_tier(&[id(1), id(2), id(3)], &known, &rises, SETTLE, NOW);
    let found = found
        .into_iter()
        .map(|c| (c.incident, c.kind, c.sequence, c.since, c.needed));
    let settled = NOW.after(Duration::from_secs(20));
    let expected = [
        (id(2), Kind::Opened, 0, NOW, Needed::Everywhere),
        (id(3), Kind::Opened, 0, NOW, Needed::Everywhere),
        (id(1), Kind::Escalated, 4, settled, Needed::WhereLevelUnsaid),
        (id(2), Kind::Repeated, 4, NOW, Needed::WhereLevelUnsaid),
    ];
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn messages_go_where_the_policy_sends_their_kind() {
    let keys = HashMap::from([(id(1), RoutingKey::default())]);
    let sent = |kind, telegram: &[Tell]| {
        let candidates = vec![
            Candidate::new(id(1), kind, 0, NOW),
            Candidate::new(id(2), kind, 0, NOW),
        ];
        let routed = route(candidates, &policy(telegram), &keys);
        routed
            .into_iter()
            .flat_map(|(_, channels)| channels)
            .collect::<Vec<_>>()
    };
    assert_eq!(sent(Kind::Opened, &Tell::USUAL), [CHAT, LOG]);
    assert_eq!(sent(Kind::Opened, &[]), [LOG]);
    assert_eq!(sent(Kind::Resolved, &[Tell::Resolved]), [CHAT]);
    assert_eq!(sent(Kind::Resolved, &Tell::USUAL), [""; 0]);
    for kind in [Kind::Opened, Kind::Resolved, Kind::Repeated, Kind::Digest] {
        for telegram in [&Tell::USUAL[..], &[], &[Tell::Resolved]] {
            let is_sent = [CHAT, LOG]
                .iter()
                .any(|to| policy(telegram).sends(to, kind));
            assert_eq!(
                policy(telegram).sends_anywhere(kind),
                is_sent,
                "{kind:?} {telegram:?}"
            );
        }
    }
}

#[test]
fn a_message_is_written_where_it_is_needed_beside_those_that_there_are() {
    use Kind::{Escalated, Opened, Reopened, Repeated, Resolved, Worsened};
    use Needed::{Everywhere, UnlessOnCard, WhereLevelUnsaid, WhereResolved, WhereSeverityUnsaid};
    let table: [(Kind, Needed, Known, bool); 25] = [
        (Resolved, Everywhere, &[], true),
        (Opened, Everywhere, &[(Reopened, "pending")], true),
        (Reopened, WhereResolved, &[], false),
        (Reopened, WhereResolved, &[(Resolved, "out")], true),
        (Reopened, WhereResolved, &[(Resolved, "pending")], false),
        (
            Reopened,
            WhereResolved,
            &[(Resolved, "out"), (Reopened, "pending")],
            false,
        ),
        (
            Reopened,
            WhereResolved,
            &[(Resolved, "out"), (Reopened, "failed")],
            true,
        ),
        (
            Reopened,
            WhereResolved,
            &[(Reopened, "out"), (Resolved, "out")],
            true,
        ),
        (
            Reopened,
            WhereResolved,
            &[(Resolved, "out"), (Escalated, "out")],
            true,
        ),
        (Escalated, WhereLevelUnsaid, &[], true),
        (Escalated, WhereLevelUnsaid, &[(Opened, "pending")], false),
        (Escalated, WhereLevelUnsaid, &[(Opened, "out")], true),
        (Escalated, WhereLevelUnsaid, &[(Worsened, "pending")], false),
        (Escalated, WhereLevelUnsaid, &[(Repeated, "pending")], true),
        (Escalated, WhereLevelUnsaid, &[(Resolved, "pending")], true),
        (Worsened, WhereSeverityUnsaid, &[], false),
        (Worsened, WhereSeverityUnsaid, &[(Opened, "out")], true),
        (Worsened, WhereSeverityUnsaid, &[(Opened, "pending")], false),
        (
            Worsened,
            WhereSeverityUnsaid,
            &[(Repeated, "pending")],
            false,
        ),
        (
            Worsened,
            WhereSeverityUnsaid,
            &[(Resolved, "pending")],
            true,
        ),
        (Resolved, UnlessOnCard, &[], true),
        (Resolved, UnlessOnCard, &[(Opened, "out")], true),
        (Resolved, UnlessOnCard, &[(Opened, "muted")], true),
        (Resolved, UnlessOnCard, &[(Opened, "on card")], false),
        (
            Resolved,
            UnlessOnCard,
            &[(Opened, "on card"), (Escalated, "out")],
            true,
        ),
    ];
    for (kind, needed, known, expected) in table {
        let candidate = Candidate {
            needed,
            ..Candidate::new(id(1), kind, 0, NOW)
        };
        let known = known
            .iter()
            .map(|(kind, state)| existing(1, CHAT, *kind, state));
        // What goes elsewhere, or is about another incident, says nothing here.
        let others = [
            existing(2, CHAT, Kind::Opened, "pending"),
            existing(1, LOG, Kind::Digest, "pending"),
        ];
        let known: Vec<_> = match known.len() {
            0 => known.chain(others.into_iter().take(1)).collect(),
            _ => known.chain(others).collect(),
        };
        let planned = plan(
            vec![(candidate, vec![CHAT.to_owned()])],
            known.clone(),
            |_, _| None,
        );
        assert_eq!(
            !planned.is_empty(),
            expected,
            "{kind:?} {needed:?} {known:?}"
        );
    }
}

#[test]
fn messages_are_planned_in_order_and_suppressed_ones_have_no_effect() {
    let opened = Candidate::new(id(1), Kind::Opened, 0, NOW);
    let rise = Candidate {
        needed: Needed::WhereLevelUnsaid,
        ..Candidate::new(id(1), Kind::Escalated, 2, NOW)
    };
    let channels = || vec![CHAT.to_owned(), LOG.to_owned()];
    let plan = |is_muted: fn(Kind) -> bool| {
        let routed = vec![(opened.clone(), channels()), (rise.clone(), channels())];
        let muted = |c: &Candidate, _: &str| is_muted(c.kind).then_some(Suppression::Muted);
        let planned = plan(routed, Vec::new(), muted);
        planned
            .into_iter()
            .map(|m| (m.kind, m.suppressed.is_some()))
            .collect::<Vec<_>>()
    };
    assert_eq!(plan(|_| false), [(Kind::Opened, false)]);
    let both = [(Kind::Opened, true), (Kind::Escalated, true)];
    assert_eq!(plan(|_| true), both);
    // The rise to a permanent fix breaks the mute.
    let broken = [(Kind::Opened, true), (Kind::Escalated, false)];
    assert_eq!(plan(|kind| kind == Kind::Opened), broken);
}

#[test]
fn what_goes_on_on_a_card_is_planned_by_channel_and_a_rise_is_sent_beside_it() {
    let card = CardRef {
        id: id(9),
        number: 3,
    };
    let opened = Candidate::new(id(1), Kind::Opened, 0, NOW);
    let rise = Candidate {
        needed: Needed::WhereLevelUnsaid,
        ..Candidate::new(id(1), Kind::Escalated, 2, NOW)
    };
    let channels = || vec![CHAT.to_owned(), LOG.to_owned()];
    let routed = vec![(opened, channels()), (rise, channels())];
    let on_card = |c: &Candidate, channel: &str| {
        let is_card = c.kind == Kind::Opened && channel == CHAT;
        is_card.then_some(Suppression::OnCard(card))
    };
    let planned = plan(routed, Vec::new(), on_card);
    let found = planned
        .iter()
        .map(|m| (m.kind, &*m.channels[0], m.suppressed.is_some()));
    let expected = [
        (Kind::Opened, CHAT, true),
        (Kind::Opened, LOG, false),
        (Kind::Escalated, CHAT, false),
    ];
    assert_eq!(found.collect::<Vec<_>>(), expected);
}
