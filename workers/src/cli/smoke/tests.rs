use std::time::Duration;

use tocsin::domain::canary::Link;

use super::report::{Outcome, Report, SourceReport, Step};
use super::{junit, span};

fn report() -> Report {
    let mut report = Report::new("http://127.0.0.1:9099".to_owned(), Duration::from_secs(10));
    let mut good = SourceReport::new("alertmanager");
    good.done(Link::Ingress, 12, "POST /api/v1/alertmanager".to_owned());
    good.done(Link::Tier, 1250, "level NONE, tier 1".to_owned());
    let mut bad = SourceReport::new("generic/a&b");
    bad.steps.push(Step {
        link: Link::Queue,
        outcome: Outcome::Failed,
        ms: None,
        detail: "not done within 10s: \"<x>\"".to_owned(),
        hint: Some("run a worker"),
    });
    bad.steps
        .push(Step::skipped(Link::Incident, "an earlier link failed"));
    report.sources = vec![good, bad];
    report
}

#[test]
fn a_person_reads_which_link_failed_and_what_to_look_at() {
    let report = report();
    assert_eq!(report.failed(), ["generic/a&b: queue"]);
    insta::assert_snapshot!(report, @r#"
    alertmanager
      ✓ ingress      12 ms  POST /api/v1/alertmanager
      ✓ tier       1250 ms  level NONE, tier 1
    generic/a&b
      ✗ queue               not done within 10s: "<x>"
                           run a worker
      - incident            an earlier link failed

    http://127.0.0.1:9099: 1 of 2 sources failed.
    "#);
}

#[test]
fn a_pipeline_reads_a_suite_for_each_source() {
    insta::assert_snapshot!(junit::xml(&report()), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="tocsin smoke" tests="4" failures="1" errors="0" skipped="1" time="1.262">
      <testsuite name="alertmanager" tests="2" failures="0" errors="0" skipped="0" time="1.262">
        <testcase classname="tocsin.smoke.alertmanager" name="ingress" time="0.012"/>
        <testcase classname="tocsin.smoke.alertmanager" name="tier" time="1.250"/>
      </testsuite>
      <testsuite name="generic/a&amp;b" tests="2" failures="1" errors="0" skipped="1" time="0.000">
        <testcase classname="tocsin.smoke.generic/a&amp;b" name="queue" time="0.000">
          <failure message="not done within 10s: &quot;&lt;x&gt;&quot;">run a worker</failure>
        </testcase>
        <testcase classname="tocsin.smoke.generic/a&amp;b" name="incident" time="0.000">
          <skipped message="an earlier link failed"/>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn a_bound_is_not_too_short() {
    assert_eq!(span("500ms").unwrap().0, Duration::from_millis(500));
    span("10ms").unwrap_err();
    span("soon").unwrap_err();
}
