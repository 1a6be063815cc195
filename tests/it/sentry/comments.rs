//! Comments on the issues that incidents are about.

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
        sentry.answer_next(500, "Internal Error");
        sentry.answer_next(404, "The requested resource does not exist");
        h.sentry("issue", &of_issue(CREATED, 2).replace("\"PaymentDeclined\"", "\"E2\"")).await;
        assert_eq!(state("given up").await, 1);
        assert_eq!(sentry.searched(), 1, "after an error it is looked whether the comment is there");
        let error = h.sql_text("SELECT error FROM notifications WHERE state = 'given up'").await;
        assert!(error.contains("sentry answered 404") && error.contains("does not exist"), "{error}");
        h.finish_with_dead_letters().await;
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
