//! Webhooks as no Alertmanager sends them, from nearly right to nothing of the kind.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::payload;

use super::json::{anything, damaged, list, number, object, of, text};

/// As they were sent: of Alertmanager 0.25, where one alert fires and one is over, and of others.
const RECORDED: [&str; 14] = [
    include_str!("recorded.json"),
    payload!("grafana_firing"),
    payload!("grafana_no_data"),
    payload!("grafana_legacy"),
    payload!("signoz_two_thresholds"),
    payload!("signoz_no_data"),
    payload!("sentry_event_alert"),
    payload!("sentry_issue_created"),
    payload!("sentry_issue_resolved"),
    payload!("sentry_activity_alert_resolved"),
    payload!("sentry_metric_alert_critical"),
    payload!("uptime_kuma_down"),
    payload!("cloudwatch_alarm"),
    payload!("prometheus_v2_firing"),
];

fn time() -> BoxedStrategy<String> {
    let odd = select(vec![
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "0001-12-31T23:59:59.999999999Z",
        "0002-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:00:00Z",
        "2026-06-30T23:59:60Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01t00:00:00z",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00.123456789123456789Z",
        "2026-01-01T00:00:00-23:59",
        "2026-01-01T00:00:00+99:99",
        "9999-12-31T23:59:59.999999999Z",
        "9999-12-31T23:59:59-23:59",
        "10000-01-01T00:00:00Z",
        "+12026-01-01T00:00:00Z",
        "-0001-01-01T00:00:00Z",
        "now",
    ]);
    // Years in which most of what was ever sent began and ended, so that some is told twice.
    let usual = (0..50_i64).prop_map(|n| {
        let at = tocsin::time::Timestamp(1_795_382_909_000 + n * 30_000);
        at.to_rfc3339()
    });
    prop_oneof![
        3 => prop_oneof![2 => usual, 1 => odd.prop_map(ToOwned::to_owned)]
            .prop_map(|time| format!("\"{time}\"")),
        1 => prop_oneof![text(), number(), anything()],
    ]
    .boxed()
}

fn labels() -> BoxedStrategy<String> {
    let name = prop_oneof![
        6 => select(vec![
            "\"alertname\"", "\"job\"", "\"service.name\"", "\"namespace\"", "\"reason\"", "\"severity\"",
            "\"testalert\"", "\"\"", "\"ruleId\"", "\"threshold.name\"", "\"nodata\"", "\"rulename\"",
        ])
        .prop_map(ToOwned::to_owned),
        1 => text(),
    ];
    let value = || {
        prop_oneof![
            20 => select(vec!["\"A\"", "\"B\"", "\"Watchdog\"", "\"true\"", "\"\"", "7", "null"])
                .prop_map(ToOwned::to_owned),
            6 => text(),
            1 => anything(),
        ]
    };
    let alert_name = prop_oneof![
        8 => value(),
        1 => select(vec!["\"[No data] A\"", "\"DatasourceNoData\"", "\"A_TEST_ALERT\""])
            .prop_map(ToOwned::to_owned),
    ];
    let named = (alert_name, vec((name, value()), 0..8)).prop_map(|(alert_name, mut labels)| {
        labels.push(("\"alertname\"".to_owned(), alert_name));
        of(&labels)
    });
    let many = (1..500_usize, number()).prop_map(|(n, value)| {
        let labels = (0..n).map(|n| (format!("\"l{n}\""), value.clone()));
        let labels = labels.chain([("\"alertname\"".to_owned(), "\"Many\"".to_owned())]);
        of(&labels.collect::<Vec<_>>())
    });
    prop_oneof![
        12 => named,
        1 => many,
        2 => object(text(), text(), 4),
        1 => anything(),
    ]
    .boxed()
}

fn alert() -> BoxedStrategy<String> {
    let status = prop_oneof![
        6 => select(vec!["\"firing\"", "\"resolved\"", "\"RESOLVED\"", "\"\""]).prop_map(ToOwned::to_owned),
        1 => anything(),
    ];
    let fingerprint = prop_oneof![
        4 => select(vec!["\"a\"", "\"b\"", "\"\"", "17"]).prop_map(ToOwned::to_owned),
        1 => text(),
        1 => anything(),
    ];
    let fields = (
        weighted(0.95, labels()),
        weighted(0.8, status),
        weighted(0.8, time()),
        weighted(0.6, time()),
        weighted(0.6, fingerprint),
        weighted(0.5, prop_oneof![object(text(), text(), 5), anything()]),
        weighted(0.3, text()),
        weighted(0.1, (text(), anything())),
        // A field that comes twice.
        weighted(0.1, any::<Index>()),
    );
    let alert = fields.prop_map(
        |(labels, status, starts_at, ends_at, fingerprint, annotations, url, extra, twice)| {
            let named = [
                ("labels", labels),
                ("status", status),
                ("startsAt", starts_at),
                ("endsAt", ends_at),
                ("fingerprint", fingerprint),
                ("annotations", annotations),
                ("generatorURL", url),
            ];
            let mut fields: Vec<(String, String)> = named
                .into_iter()
                .filter_map(|(name, value)| Some((format!("\"{name}\""), value?)))
                .chain(extra)
                .collect();
            if let (Some(twice), false) = (twice, fields.is_empty()) {
                fields.push(twice.get(&fields).clone());
            }
            of(&fields)
        },
    );
    prop_oneof![12 => alert.boxed(), 1 => anything()].boxed()
}

fn envelope() -> BoxedStrategy<String> {
    let name = || {
        prop_oneof![
            1 => select(vec!["\"version\"", "\"groupKey\"", "\"truncatedAlerts\"", "\"alerts\""])
                .prop_map(ToOwned::to_owned),
            1 => text(),
        ]
    };
    let alerts = prop_oneof![12 => list(alert(), 5), 1 => list(alert(), 30), 1 => anything()];
    let before = vec((name(), anything()), 0..2);
    let after = vec((name(), anything()), 0..2);
    let whole = (before, alerts, after).prop_map(|(before, alerts, after)| {
        let alerts = ("\"alerts\"".to_owned(), alerts);
        of(&before
            .into_iter()
            .chain([alerts])
            .chain(after)
            .collect::<Vec<_>>())
    });
    prop_oneof![15 => whole.boxed(), 1 => anything()].boxed()
}

/// What Sentry tells of: what is in `data`, and of that what is read.
const OF_SENTRY: [(&str, &[&str]); 4] = [
    (
        "event",
        &[
            "issue_id",
            "issue_url",
            "metadata",
            "title",
            "level",
            "url",
            "tags",
            "received",
        ],
    ),
    (
        "issue",
        &[
            "id",
            "metadata",
            "project",
            "title",
            "level",
            "status",
            "firstSeen",
            "project_url",
        ],
    ),
    ("activity", &["type"]),
    (
        "metric_alert",
        &[
            "alert_rule",
            "projects",
            "status",
            "date_started",
            "date_closed",
            "title",
        ],
    ),
];

fn of_sentry() -> BoxedStrategy<String> {
    let value = || {
        prop_oneof![
            4 => select(vec![
                "\"9\"", "\"/projects/a/b/\"", "[\"a\"]", "{\"type\":\"E\",\"slug\":\"s\"}", "1566248777.677",
                "{\"id\":\"7\",\"name\":\"R\"}", "\"status_resolved\"", "[[\"environment\",\"prod\"],[1]]",
            ])
            .prop_map(ToOwned::to_owned),
            1 => time(),
            1 => text(),
            1 => anything(),
        ]
    };
    let part = move |(name, fields): (&'static str, &'static [&'static str])| {
        let fields = vec(
            (
                select(fields).prop_map(|name| format!("\"{name}\"")),
                value(),
            ),
            0..8,
        );
        fields.prop_map(move |fields| (format!("\"{name}\""), of(&fields)))
    };
    let parts = vec(select(&OF_SENTRY[..]).prop_flat_map(part), 0..3);
    let action = select(vec![
        "created",
        "triggered",
        "resolved",
        "unresolved",
        "critical",
        "x",
    ]);
    let body = (action, parts).prop_map(|(action, parts)| {
        let action = ("\"action\"".to_owned(), format!("\"{action}\""));
        of(&[action, ("\"data\"".to_owned(), of(&parts))])
    });
    body.boxed()
}

/// What may be posted.
pub fn bodies() -> BoxedStrategy<Vec<u8>> {
    let whole = || envelope().prop_map(String::into_bytes).boxed();
    prop_oneof![
        6 => whole(),
        3 => of_sentry().prop_map(String::into_bytes),
        2 => damaged(whole()),
        2 => damaged(select(&RECORDED[..]).prop_map(|body| body.as_bytes().to_vec()).boxed()),
        1 => vec(any::<u8>(), 0..200),
    ]
    .boxed()
}
