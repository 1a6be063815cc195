//! Histories, and what is said of one.

use super::*;

/// An incident and its anomaly's earlier ones, newest first, by how many milliseconds ago each opened.
pub(super) fn history(ago: impl IntoIterator<Item = i64>) -> History {
    let openings: Vec<Timestamp> = ago.into_iter().map(|ago| Timestamp(NOW - ago)).collect();
    History {
        number: openings.len() as i64,
        first_seen: openings.last().copied(),
        openings,
        place: Place {
            service: "checkout".to_owned(),
            namespace: "prod".to_owned(),
        },
        ..History::default()
    }
}

pub(super) fn of_service(incidents: i64) -> Option<Share> {
    Some(Share {
        service: "checkout".to_owned(),
        namespace: "prod".to_owned(),
        incidents,
    })
}

pub(super) fn tried(action: &str, attempts: i64, successes: i64) -> Tried {
    Tried {
        action: action.to_owned(),
        attempts,
        successes,
        judged: 0,
        held: 0,
    }
}

pub(super) fn surroundings(at: i64, others: &[(&str, i64)]) -> Surroundings {
    Surroundings {
        opened_at: Timestamp(NOW - at),
        others: others
            .iter()
            .map(|(key, after)| ((*key).to_owned(), Timestamp(NOW - at + after)))
            .collect(),
    }
}

/// Counts in these surroundings, where each other anomaly has `incidents` in a month.
pub(super) fn counted(around: &[Surroundings], incidents: i64) -> Counted {
    let (of, compared, found) = candidates(around, "own");
    let candidates = found.into_iter().map(|candidate| CandidateAnomaly {
        alert_name: candidate.anomaly_key.clone(),
        service: "payment".to_owned(),
        incidents,
        candidate,
    });
    Counted {
        of,
        compared,
        candidates: candidates.collect(),
    }
}

pub(super) fn earlier(key: &str, service: &str, namespace: &str, minutes: i64) -> Earlier {
    Earlier {
        incident: Uuid::from_u128(minutes.unsigned_abs().into()),
        anomaly_key: key.to_owned(),
        alert_name: key.to_owned(),
        place: Place {
            service: service.to_owned(),
            namespace: namespace.to_owned(),
        },
        opened_at: Timestamp(NOW - minutes * MINUTE),
    }
}

/// What is said of a history, in both languages.
pub(super) fn written(history: &History) -> String {
    let analysis = Analysis {
        at: Timestamp(NOW),
        findings: findings(history),
        generated: None,
        not_generated: None,
    };
    let lines =
        [Lang::English, Lang::Chinese].map(|lang| sentences(lang.text(), &analysis).join("\n"));
    lines.join("\n\n")
}

pub(super) fn kinds(history: &History) -> Vec<String> {
    let kind = |finding: &Finding| {
        let finding = serde_json::to_value(finding).unwrap();
        finding["kind"].as_str().unwrap().to_owned()
    };
    findings(history).iter().map(kind).collect()
}
