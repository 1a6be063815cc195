//! Comments on the issues that incidents are about.

use std::time::Duration;

use serde_json::json;
use tocsin::config::Config;

use super::server::Sentry;
use super::{CREATED, CRITICAL, RESOLVED, of_issue};
use crate::harness::{Harness, On, firing, levels_by_counts};
use crate::on_all;

/// An instance that comments there.
async fn commenting(on: On, sentry: &Sentry, set: impl FnOnce(&mut Config)) -> Harness {
    Harness::start_with(on, |config| {
        sentry.set(config);
        config.escalation.rules = levels_by_counts();
        set(config);
    })
    .await
}

const HOUR: Duration = Duration::from_secs(3600);
const OPENED: &str = "SELECT count(*) FROM notifications WHERE channel = 'sentry' AND kind = 'opened' AND state = 'sent'";
const DUE: &str = "SELECT count(*) FROM notifications WHERE edit_due_since IS NOT NULL";

/// An instance whose second incident of an anomaly has its comment, the third one there, and waits for its analysis.
async fn waiting_for_analysis(on: On, sentry: &Sentry) -> Harness {
    let h = commenting(on, sentry, |config| config.analysis.enabled = true).await;
    h.sentry("issue", &of_issue(CREATED, 1)).await;
    h.sentry("issue", &of_issue(RESOLVED, 1)).await;
    h.advance(HOUR);
    h.pause("analyze", true).await;
    h.sentry_and_go_on("issue", &of_issue(CREATED, 2)).await;
    h.until(OPENED, 2).await;
    h
}

on_all! {
    async fn an_incident_from_sentry_is_commented_on_when_it_opens_rises_and_is_over(on) {
        let sentry = Sentry::start().await;
        let h = commenting(on, &sentry, |_| {}).await;
        h.sentry("issue", &of_issue(CREATED, 1)).await;
        for issue in 2..=5 {
            h.sentry("issue", &of_issue(CREATED, issue)).await;
        }
        let id = h.incident().await["id"].as_str().unwrap().to_owned();
        let repair = json!({"action": "rollback", "success": true, "operator": "ann"});
        let (status, told) = h.post(&format!("/api/v1/incidents/{id}/repairs"), repair).await;
        assert!((200..300).contains(&status), "{told}");
        h.drain().await;
        for issue in 1..=5 {
            h.sentry("issue", &of_issue(RESOLVED, issue)).await;
        }
        let comments = sentry.comments();
        let headlines = sentry.headlines();
        assert_eq!(headlines.len(), 3, "{comments:#?}");
        for (headline, expected) in headlines.iter().zip(["Opened", "Escalated", "Resolved"]) {
            assert!(headline.contains(expected), "{headlines:#?}");
        }
        // All at the issue that it opened with.
        assert!(comments.iter().all(|(issue, _)| issue == "1"), "{comments:#?}");
        assert!(comments[0].1.contains("Tier 1"), "{}", comments[0].1);
        assert!(comments[0].1.contains("Frequency"), "{}", comments[0].1);
        assert!(comments[1].1.contains("ESCALATE") || comments[1].1.contains("Escalate"), "{}", comments[1].1);
        assert!(comments[2].1.contains("rollback"), "{}", comments[2].1);
        assert_eq!(sentry.searched(), 0, "nothing was in doubt");
        h.finish().await;
    }

    async fn what_is_about_no_issue_has_no_comment_and_no_row(on) {
        let sentry = Sentry::start().await;
        let h = commenting(on, &sentry, |_| {}).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        h.sentry("metric_alert", CRITICAL).await;
        assert_eq!(h.sql("SELECT count(*) FROM incidents").await, 2);
        assert_eq!(sentry.comments(), []);
        let rows = "SELECT count(*) FROM notifications WHERE channel = 'sentry'";
        assert_eq!(h.sql(rows).await, 0);
        h.finish().await;
    }

    async fn a_limit_is_waited_for_and_every_comment_arrives_once(on) {
        let sentry = Sentry::start().await;
        sentry.limit(2);
        let h = commenting(on, &sentry, |_| {}).await;
        // Incidents of their own, by their types.
        for n in 1..=6 {
            let body = of_issue(CREATED, n).replace("\"PaymentDeclined\"", &format!("\"E{n}\""));
            h.sentry_and_go_on("issue", &body).await;
        }
        h.drain().await;
        let mut issues: Vec<String> = sentry.comments().into_iter().map(|(issue, _)| issue).collect();
        issues.sort();
        assert_eq!(issues, ["1", "2", "3", "4", "5", "6"]);
        assert!(sentry.refused() > 0, "the limit was met");
        let tried = "SELECT count(*) FROM notifications WHERE channel = 'sentry' AND state = 'sent'";
        assert_eq!(h.sql(tried).await, 6);
        h.finish().await;
    }

    async fn what_sentry_has_already_is_sent_and_what_it_refuses_is_given_up_with_its_reason(on) {
        let sentry = Sentry::start().await;
        let mut h = commenting(on, &sentry, |_| {}).await;
        sentry.answer_next(400, "You have already posted that comment.");
        h.sentry("issue", &of_issue(CREATED, 1)).await;
        let state = async |state: &str| {
            h.sql(&format!("SELECT count(*) FROM notifications WHERE channel = 'sentry' AND state = '{state}'")).await
        };
        assert_eq!(state("sent").await, 1);
        // It has an ID then, by which it can be edited.
        let searched = sentry.searched();
        sentry.answer_next(500, "Internal Error");
        sentry.answer_next(404, "The requested resource does not exist");
        h.sentry("issue", &of_issue(CREATED, 2).replace("\"PaymentDeclined\"", "\"E2\"")).await;
        assert_eq!(state("given up").await, 1);
        assert_eq!(sentry.searched(), searched + 1, "after an error it is looked whether the comment is there");
        let error = h.sql_text("SELECT error FROM notifications WHERE state = 'given up'").await;
        assert!(error.contains("sentry answered 404") && error.contains("does not exist"), "{error}");
        h.finish_with_dead_letters().await;
    }

    async fn a_comment_is_edited_once_when_its_incident_is_analyzed_and_for_nothing_else(on) {
        let sentry = Sentry::start().await;
        let h = waiting_for_analysis(on, &sentry).await;
        let posted = sentry.comments()[2].clone();
        assert!(posted.1.contains("Opened") && !posted.1.contains("First seen"), "{}", posted.1);
        // More changes than its analysis, which is no reason.
        h.sentry_and_go_on("issue", &of_issue(CREATED, 3)).await;
        h.until("SELECT count(*) FROM occurrences", 3).await;
        h.until("SELECT count(*) FROM incidents WHERE tier_due_since IS NOT NULL", 0).await;
        h.until(DUE, 0).await;
        assert_eq!(sentry.edits(), []);
        h.pause("analyze", false).await;
        h.drain().await;
        let edits = sentry.edits();
        assert_eq!(edits.len(), 1, "{edits:#?}");
        let (id, text) = &edits[0];
        assert!(id == "3" && text.contains("Opened") && text.contains("First seen on"), "{id}: {text}");
        assert_eq!(text.lines().last(), posted.1.lines().last(), "it is known by the same ID");
        // Nothing else is found out, and so nothing is written.
        let incident = h.get("/api/v1/incidents?status=OPEN").await["items"][0]["id"].clone();
        let (status, told) = h.post(&format!("/api/v1/incidents/{}/analyze", incident.as_str().unwrap()), json!({})).await;
        assert!((200..300).contains(&status), "{told}");
        h.drain().await;
        for issue in 2..=3 {
            h.sentry("issue", &of_issue(RESOLVED, issue)).await;
        }
        assert_eq!((sentry.edits().len(), sentry.comments().len()), (1, 4));
        h.finish().await;
    }

    async fn a_comment_that_is_written_after_the_analysis_has_it_from_the_start(on) {
        let sentry = Sentry::start().await;
        let h = commenting(on, &sentry, |config| config.analysis.enabled = true).await;
        h.sentry("issue", &of_issue(CREATED, 1)).await;
        h.sentry("issue", &of_issue(RESOLVED, 1)).await;
        h.advance(HOUR);
        h.pause("notify", true).await;
        h.sentry_and_go_on("issue", &of_issue(CREATED, 2)).await;
        h.until("SELECT count(*) FROM incidents WHERE status = 'OPEN' AND analysis IS NOT NULL", 1).await;
        h.pause("notify", false).await;
        h.drain().await;
        let comments = sentry.comments();
        assert!(comments[2].1.contains("First seen on"), "{comments:#?}");
        assert_eq!((comments.len(), sentry.edits().len()), (3, 0));
        h.finish().await;
    }

    async fn sentry_s_limit_holds_for_edits_too_and_what_it_refuses_for_good_is_left_with_its_reason(on) {
        let sentry = Sentry::start().await;
        let h = waiting_for_analysis(on, &sentry).await;
        sentry.limit(0);
        h.pause("analyze", false).await;
        sentry.refuses(1).await;
        sentry.limit(100);
        h.drain().await;
        assert_eq!(sentry.edits().len(), 1);
        h.finish().await;

        for (status, detail) in [(403, "You do not have permission to perform this action."), (404, "The requested resource does not exist")] {
            let sentry = Sentry::start().await;
            let h = waiting_for_analysis(on, &sentry).await;
            sentry.answer_next_edit(502, "Bad Gateway");
            sentry.answer_next_edit(status, detail);
            h.pause("analyze", false).await;
            h.drain().await;
            assert_eq!((sentry.edits().len(), h.sql(DUE).await), (0, 0));
            let why = h.sql_text("SELECT edits_ended FROM notifications WHERE edits_ended IS NOT NULL").await;
            assert!(why.contains(&status.to_string()) && why.contains(detail), "{why}");
            h.finish().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_checks_the_token_and_posts_nothing() {
    let sentry = Sentry::start().await;
    let h = commenting(On::Sqlite, &sentry, |_| {}).await;
    let (went_well, said) = h.tocsin(&["notify", "test", "sentry"]);
    assert!(went_well, "{said}");
    assert!(said.contains("the token may read issues of acme"), "{said}");
    assert!(said.contains("nothing was posted"), "{said}");
    assert_eq!(sentry.comments(), []);
    h.finish().await;
}
