//! The tools, and which operations of the API each is made of. ADD A TOOL HERE.

use std::sync::LazyLock;

use rmcp::model::{Tool as Described, ToolAnnotations};
use serde_json::Map;

use super::operation::{Operation, operation};
use super::schema;

/// What a tool does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It changes nothing.
    Reads,
    /// It records something. Called twice, it records that twice, unless the calls have one idempotency key.
    Adds,
    /// What is done already stays as it is.
    Sets,
    /// It replaces what is set.
    Replaces,
}

/// One operation of a tool.
pub(super) struct Part {
    /// The field of the result that its answer is in; none: the result is the answer.
    pub(super) field: &'static str,
    /// By its ID in the description of the API.
    id: &'static str,
    /// Fields that are left out of its answer.
    pub(super) without: &'static [&'static str],
    /// Entries of each of its lists that are shown, the newest; 0: all.
    pub(super) newest: usize,
}

/// A tool as it is written here.
struct Row {
    name: &'static str,
    title: &'static str,
    about: &'static str,
    effect: Effect,
    parts: &'static [Part],
}

/// A whole answer of one operation.
const fn whole(id: &'static str) -> Part {
    Part {
        field: "",
        id,
        without: &[],
        newest: 0,
    }
}

/// An answer that is one of several in a result.
const fn part(field: &'static str, id: &'static str) -> Part {
    Part {
        field,
        id,
        without: &[],
        newest: 0,
    }
}

const ROWS: &[Row] = &[
    Row {
        name: "list_incidents",
        title: "List incidents",
        about: "Lists incidents, newest first (sort=worst: what to look at first): status, level (how often the anomaly returns), tier (how deep the next \
            repair must go) and counts of firings in the last 1 h, 24 h, 7 d and 30 d (frequency_stats). At most 50 \
            a call, 20 by default; next_cursor leads to the next page. Labels, annotations and analysis are in \
            show_incident.",
        effect: Effect::Reads,
        parts: &[Part {
            without: &[
                "labels",
                "annotations",
                "analysis",
                "analysis_sentences",
                "repair_history",
                "escalation_rule",
                "tier_rule",
                "generator_url",
            ],
            ..whole("list_incidents")
        }],
    },
    Row {
        name: "show_incident",
        title: "Show an incident",
        about: "Shows one incident: labels, counts of firings in the last 1 h, 24 h, 7 d and 30 d, the recommended \
            action with its reasons, what helped last time (repairs of the last 3 incidents of this anomaly, with \
            their verdicts) and its history (the newest 10 of firings, messages, acknowledgements, repairs and \
            reopenings). Takes the full ID; a short ID (8 characters) is found by list_incidents with q.",
        effect: Effect::Reads,
        parts: &[
            part("incident", "show_incident"),
            part("last_time", "show_last_time"),
            Part {
                without: &[
                    "incidents",
                    "found_by",
                    "incident_id",
                    "anomaly_key",
                    "counted_id",
                    "episode",
                ],
                newest: 10,
                ..part("history", "trace")
            },
        ],
    },
    Row {
        name: "list_anomalies",
        title: "List anomalies",
        about: "Lists anomalies, most recently seen first, with their level and the counts of their firings in the \
            last 1 h, 24 h, 7 d and 30 d up to now (counts). At most 50 a call, 20 by default; next_cursor leads to \
            the next page.",
        effect: Effect::Reads,
        parts: &[Part {
            without: &["made_of"],
            ..whole("list_anomalies")
        }],
    },
    Row {
        name: "show_anomaly",
        title: "Show an anomaly",
        about: "Shows one anomaly by its key (32 hexadecimal digits): level and why, the counts of its firings in the \
            last 1 h, 24 h, 7 d and 30 d up to now, mute, permanent fix; and how often each repair action held on it, \
            beside what happens with nothing done (effectiveness).",
        effect: Effect::Reads,
        parts: &[
            Part {
                without: &["made_of"],
                ..part("anomaly", "show_anomaly")
            },
            part("effectiveness", "show_effectiveness"),
        ],
    },
    Row {
        name: "list_effectiveness",
        title: "Show how effective actions are",
        about: "Shows how often each repair action held on all anomalies of one alert name, of one service, or in all: \
            attempts, verified (stayed quiet), disproved (fired again), superseded, unknown, claimed only (reported to \
            have helped and not judged), the lower bound of the rate (0 to 1), median and 90th percentile of the time \
            to quiet in milliseconds, beside what happens with nothing done. Give alert_name or service, or neither.",
        effect: Effect::Reads,
        parts: &[whole("list_effectiveness")],
    },
    Row {
        name: "trace",
        title: "Trace an alert",
        about: "Shows the whole history of an alert by its fingerprint, of an incident by its ID, or of an anomaly by \
            its key: firings and whether they counted, incidents, messages and their fate, acknowledgements, \
            repairs, queued jobs, dead letters; the newest 50 of each. A job's ID or a trace ID works, too.",
        effect: Effect::Reads,
        parts: &[whole("trace")],
    },
    Row {
        name: "acknowledge_incident",
        title: "Acknowledge an incident",
        about: "Acknowledges an incident: somebody works on it. It stays open. Has no effect if it is acknowledged \
            already; a resolved one is refused. Name the person who decided it as operator.",
        effect: Effect::Sets,
        parts: &[whole("acknowledge_incident")],
    },
    Row {
        name: "note_incident",
        title: "Write a note about an incident",
        about: "Writes a note that everybody reads who looks at the incident, for example what was found out. Give an \
            idempotency key, so that it is written once if the call is repeated.",
        effect: Effect::Adds,
        parts: &[whole("note_incident")],
    },
    Row {
        name: "record_repair",
        title: "Record a repair",
        about: "Records what was done about an incident; it does not do it. Say with success whether it helped; or \
            leave success out and give started_at, and finish it later with finish_repair. Tocsin judges it by \
            itself: verified if the anomaly stays quiet (30 minutes by default). Durations are in milliseconds. \
            Calls with the same idempotency_key record one repair.",
        effect: Effect::Adds,
        parts: &[whole("record_repair")],
    },
    Row {
        name: "finish_repair",
        title: "Finish a repair",
        about: "Says how a repair ended that was recorded as started, by the repair's ID. Finished again with the same \
            outcome, it stays as it is; with another one it is refused. Durations are in milliseconds.",
        effect: Effect::Sets,
        parts: &[whole("finish_repair")],
    },
    Row {
        name: "mute_anomaly",
        title: "Mute an anomaly",
        about: "Suppresses the notifications of an anomaly, by its key, for a duration (for, such as 30m or 4h) or \
            until a time (until): one of the two, at most 30 days. Firings still count. Replaces the current mute. \
            While it lasts, the only message about it is that of a first rise to PERMANENT_FIX: ask a person first, \
            and say why.",
        effect: Effect::Replaces,
        parts: &[whole("mute_anomaly")],
    },
    Row {
        name: "unmute_anomaly",
        title: "Unmute an anomaly",
        about: "Ends the mute of an anomaly, by its key: its notifications are sent again. Has no effect if it is not \
            muted.",
        effect: Effect::Sets,
        parts: &[whole("unmute_anomaly")],
    },
];

/// A tool that can be called.
pub(super) struct Tool {
    described: Described,
    pub(super) effect: Effect,
    pub(super) parts: Vec<(&'static Part, Operation)>,
}

impl Tool {
    /// As clients see it.
    pub(super) const fn described(&self) -> &Described {
        &self.described
    }

    /// Whether it changes nothing.
    pub(super) fn only_reads(&self) -> bool {
        self.effect == Effect::Reads
    }

    /// What it does first: what it takes is what that takes.
    pub(super) fn first(&self) -> Option<&Operation> {
        self.parts.first().map(|(_, operation)| operation)
    }
}

static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| ROWS.iter().filter_map(made).collect());

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Tool> {
    TOOLS.iter()
}

/// The one of this name.
pub(super) fn named(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.described.name == name)
}

fn made(row: &'static Row) -> Option<Tool> {
    let of_part = |part: &'static Part| Some((part, operation(part.id)?));
    let parts: Option<Vec<_>> = row.parts.iter().map(of_part).collect();
    let parts = parts?;
    let (_, first) = parts.first()?;
    let input = schema::input(first, row.effect == Effect::Adds);
    let input = input.as_object().map_or_else(Map::new, Clone::clone);
    let hints = ToolAnnotations::with_title(row.title)
        .read_only(row.effect == Effect::Reads)
        .destructive(row.effect == Effect::Replaces)
        .idempotent(matches!(row.effect, Effect::Reads | Effect::Sets))
        .open_world(false);
    let described = Described::new(row.name, row.about, input)
        .with_title(row.title)
        .with_annotations(hints);
    Some(Tool {
        described,
        effect: row.effect,
        parts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_is_made_of_operations_that_the_api_has() {
        assert_eq!(all().count(), ROWS.len());
        for tool in all() {
            let reads = tool.parts.iter().all(|(_, of)| of.only_reads());
            assert_eq!(tool.only_reads(), reads, "{}", tool.described.name);
        }
    }

    #[test]
    fn tools_are_reviewed() {
        let told: Vec<_> = all().map(|tool| &tool.described).collect();
        insta::assert_snapshot!(serde_json::to_string_pretty(&told).unwrap());
    }
}
