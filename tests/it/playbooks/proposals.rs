//! Proposals for playbooks: made once, with their numbers; accepted, rejected, undone, or applied by themselves.

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::config::Config;
use tocsin::context::Context;
use tocsin::domain::effectiveness::period;
use tocsin_workers::recount::{parts, propose};

use crate::harness::{Harness, On, alert, resolved};
use crate::on_both;

const PATH: &str = "/api/v1/playbooks/pods";
/// What is proposed in all of these.
const SAID: &str = "rollback held 4 of 4 times, restart_pod 0 of 9";

fn definition() -> Value {
    json!({"alert_name": "Loop", "tier_1": "restart_pod", "tier_2": ["rollback", "scale_up"]})
}

impl Harness {
    /// An anomaly on which actions were tried, and a stored playbook for it.
    async fn tried(&self) {
        let firing = alert("Loop", "a", self.now());
        self.send_and_drain(vec![firing.clone(), resolved(firing, self.now())])
            .await;
        let body = json!({"definition": definition(), "why": "new", "operator": "ann"});
        let is_in_settings = !self.context.playbooks.settings().is_empty();
        let (status, _) = self.put(PATH, &body).await;
        assert_eq!(status, if is_in_settings { 409 } else { 200 });
        self.held("restart_pod", 0, 9).await;
        self.held("rollback", 4, 0).await;
        self.seldom_ends_by_itself().await;
    }

    /// Nine episodes with nothing done, after none of which it stayed quiet.
    async fn seldom_ends_by_itself(&self) {
        self.execute(&format!(
            "INSERT INTO baselines (scope, subject, quiet_ms, episodes, held, as_of) \
             SELECT 'anomaly', key, 1800000, 9, 0, {} FROM anomalies",
            self.now().0
        ))
        .await;
    }

    /// Verdicts on an action, as the job that judges keeps them.
    async fn held(&self, action: &str, held: i64, failed: i64) {
        self.execute(&format!(
            "DELETE FROM repair_figures WHERE action = '{action}'"
        ))
        .await;
        let (now, n) = (self.now(), held + failed);
        self.execute(&format!(
            "INSERT INTO repair_figures (scope, subject, action, period, attempts, claimed, verified, disproved, \
                 superseded, unknown, last_at) \
             SELECT 'anomaly', key, '{action}', {}, {n}, {n}, {held}, {failed}, 0, 0, {} FROM anomalies",
            period(now), now.0
        ))
        .await;
    }

    async fn proposal(&self) -> Value {
        self.get(PATH).await["proposal"].clone()
    }

    /// Looks twice, at once and one after the other, by another process where there can be one; returns what is
    /// proposed then.
    async fn proposed(&self, on: On) -> Value {
        let other = match on {
            On::Sqlite => self.context.clone(),
            _ => Context::open(Config::clone(&self.context.config))
                .await
                .unwrap(),
        };
        let both = tokio::join!(propose(&self.context), propose(&other));
        both.0.unwrap();
        both.1.unwrap();
        propose(&other).await.unwrap();
        // Another process may have changed it.
        self.context.playbooks.forget();
        let open = "SELECT count(*) FROM playbook_proposals WHERE state = 'open'";
        let found = self.proposal().await;
        assert_eq!(self.sql(open).await, i64::from(!found.is_null()), "{found}");
        found
    }

    async fn decide(&self, proposal: &Value, decision: &str) -> (u16, Value) {
        let id = proposal["id"].as_str().unwrap();
        self.post(
            &format!("{PATH}/proposals/{id}/{decision}"),
            json!({"operator": "kim"}),
        )
        .await
    }

    async fn forget_figures(self) {
        self.execute("DELETE FROM repair_figures").await;
        self.finish().await;
    }
}

on_both! {
    async fn what_held_is_proposed_once_and_people_decide(on) {
        let h = Harness::start(on).await;
        h.tried().await;
        let found = h.proposed(on).await;
        assert_eq!(found["said"], SAID);
        assert_eq!(found["moves"], json!(["rollback moves up from tier 2 to tier 1",
            "restart_pod moves down from tier 1 to tier 2"]), "{found:#}");
        assert_eq!(found["definition"]["tier_2"], json!(["scale_up", "restart_pod"]));
        assert_eq!(h.proposed(on).await["id"], found["id"]);
        let listed = h.get("/api/v1/playbooks").await;
        assert_eq!(listed["items"][0]["proposal"]["id"], found["id"]);

        // Rejected, it waits for as many new verdicts as it takes to say something.
        let (status, rejected) = h.decide(&found, "reject").await;
        assert_eq!((status, &rejected["proposal"], &rejected["changed"]), (200, &Value::Null, &json!(true)));
        assert_eq!(h.decide(&found, "reject").await.1["changed"], false);
        let (status, late) = h.decide(&found, "accept").await;
        assert_eq!((status, &late["code"], &late["operator"]), (409, &json!("proposal_decided"), &json!("kim")));
        assert_eq!(h.proposed(on).await, Value::Null);
        h.held("restart_pod", 0, 11).await;
        assert_eq!(h.proposed(on).await, Value::Null);
        h.held("restart_pod", 0, 12).await;
        let again = h.proposed(on).await;
        assert_eq!(again["said"], "rollback held 4 of 4 times, restart_pod 0 of 12");
        assert_eq!(h.decide(&found, "accept").await.0, 404);

        let (status, accepted) = h.decide(&again, "accept").await;
        let newest = &accepted["versions"][0];
        assert_eq!((status, &newest["origin"], &newest["by"], &newest["why"]),
            (200, &json!("proposal"), &json!("kim"), &again["said"]), "{accepted:#}");
        assert_eq!(accepted["definition"]["tier_1"], json!(["rollback"]));
        assert_eq!(h.decide(&again, "accept").await.1["changed"], false);
        assert_eq!(h.proposed(on).await, Value::Null);

        // Undone, it waits likewise.
        let restore = json!({"version": 1, "why": "restarts are cheap"});
        assert_eq!(h.post(&format!("{PATH}/restore"), restore).await.0, 200);
        assert_eq!(h.proposed(on).await, Value::Null);
        h.held("rollback", 7, 0).await;
        let third = h.proposed(on).await;
        assert_eq!(third["said"], "rollback held 7 of 7 times, restart_pod 0 of 12");
        // What a person changes meanwhile is not overwritten.
        let mut changed = definition();
        changed["service"] = json!("checkout*");
        h.put(PATH, &json!({"definition": changed, "why": "only there"})).await;
        let (status, stale) = h.decide(&third, "accept").await;
        assert_eq!((status, &stale["code"]), (409, &json!("playbook_changed")), "{stale}");
        let audit = h.get("/api/v1/audit?target=pods").await;
        let actions: Vec<&str> = audit["items"].as_array().unwrap().iter().map(|a| a["action"].as_str().unwrap()).collect();
        assert_eq!(actions, ["playbook.set", "playbook.restore", "playbook.accept", "playbook.reject", "playbook.set"]);
        h.forget_figures().await;
    }

    async fn with_auto_update_it_is_done_once_and_stays_undone(on) {
        let h = Harness::start_with(on, |config| {
            config.effectiveness.auto_update = true;
            config.report.channels.0 = vec!["telegram:-100".to_owned(), "telegram:-200".to_owned()];
        }).await;
        h.tried().await;
        // Two at once; and what they pushed is lost, as if they had died before they pushed it.
        h.pause("notify", true).await;
        assert_eq!(h.proposed(on).await, Value::Null);
        h.lose("notify").await;
        h.pause("notify", false).await;
        h.advance(Duration::from_secs(120));
        h.recount().await;
        let told = |h: &Harness| h.telegram.taken().into_iter().filter(|text| text.contains("Playbook pods was changed")).collect::<Vec<_>>();
        let texts = told(&h);
        assert_eq!(texts.len(), 2, "once in each channel: {texts:#?}");
        for said in [SAID, "rollback moves up from tier 2 to tier 1", "Version 2", "tocsin playbooks restore pods --version 1"] {
            assert!(texts[0].contains(said), "{said}: {}", texts[0]);
        }
        let done = h.get(PATH).await;
        let newest = &done["versions"][0];
        assert_eq!((&done["version"], &newest["origin"], &newest["by"], &newest["why"]),
            (&json!(2), &json!("proposal"), &json!("tocsin"), &json!(SAID)), "{done:#}");
        let audit = h.get("/api/v1/audit?action=playbook.accept").await;
        assert_eq!(audit["items"].as_array().unwrap().len(), 1);
        assert_eq!(audit["items"][0]["actor"], "tocsin");
        // One click on the page.
        let page = h.page_in("en", "/playbooks/pods").await;
        assert!(page.contains("Undo: restore version 1") && page.contains("proposed by what held"), "{page}");
        let fields = [("restore", "1"), ("why", "Undid version 2"), ("version", "2")];
        let undone = h.sends("/playbooks/pods", "/playbooks/pods/restore", &fields).await;
        assert!(undone.contains("Restored as a new version."), "{undone}");
        assert_eq!(h.proposed(on).await, Value::Null);
        assert_eq!(h.get(PATH).await["version"], 3);
        h.held("rollback", 7, 0).await;
        h.proposed(on).await;
        assert_eq!(h.get(PATH).await["version"], 4);
        h.forget_figures().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_proposed_is_shown_with_its_numbers_and_never_done_to_the_settings() {
    let h = Harness::start(On::Sqlite).await;
    h.tried().await;
    // By the part of a tick that looks once an hour.
    h.execute("DELETE FROM marks WHERE name = 'proposals'")
        .await;
    let failed = parts(&h.context).await;
    assert!(failed.is_empty(), "{failed:?}");
    for (lang, words) in [
        (
            "en",
            [
                "Proposed change",
                SAID,
                "rollback moves up from tier 2 to tier 1",
            ],
        ),
        (
            "zh-TW",
            [
                "建議變更",
                "rollback 4 次中有 4 次維持住",
                "rollback 從第 2 層移到第 1 層",
            ],
        ),
    ] {
        let page = h.page_in(lang, "/playbooks/pods").await;
        for word in words {
            assert!(page.contains(word), "{lang} {word}: {page}");
        }
    }
    assert!(
        h.page_in("en", "/playbooks")
            .await
            .contains("proposed change")
    );
    let (ok, shown) = h.tocsin(&["playbooks", "show", "pods"]);
    assert!(
        ok && shown.contains(SAID) && shown.contains("tocsin playbooks accept pods"),
        "{shown}"
    );
    let (ok, said) = h.tocsin(&["playbooks", "accept", "pods"]);
    assert!(
        ok && said == format!("pods is changed as proposed: version 2. ({SAID})\n"),
        "{said}"
    );
    let (ok, said) = h.tocsin(&["playbooks", "reject", "pods"]);
    assert!(
        !ok && said.contains("nothing is proposed for pods now"),
        "{said}"
    );
    h.forget_figures().await;

    let h = Harness::start_with(On::Sqlite, |config| {
        config.effectiveness.auto_update = true;
        let mut playbook = definition();
        playbook["name"] = json!("pods");
        config.playbooks = vec![serde_json::from_value(playbook).unwrap()];
    })
    .await;
    h.tried().await;
    let found = h.proposed(On::Sqlite).await;
    assert_eq!(
        (&found["said"], &found["can_be_accepted"]),
        (&json!(SAID), &json!(false))
    );
    let toml = "tier_1 = \"rollback\"\ntier_2 = [\"scale_up\", \"restart_pod\"]\n";
    assert!(found["toml"].as_str().unwrap().ends_with(toml), "{found:#}");
    assert_eq!(
        h.decide(&found, "accept").await.1["code"],
        "playbook_in_settings"
    );
    assert_eq!(h.sql("SELECT count(*) FROM playbook_versions").await, 0);
    let page = h.page_in("en", "/playbooks/pods").await;
    assert!(
        page.contains("paste it there") && !page.contains("/accept"),
        "{page}"
    );
    let id = found["id"].as_str().unwrap();
    let rejected = h
        .sends(
            "/playbooks/pods",
            "/playbooks/pods/reject",
            &[("proposal", id)],
        )
        .await;
    assert!(rejected.contains("Rejected."), "{rejected}");
    assert_eq!(h.proposed(On::Sqlite).await, Value::Null);
    h.forget_figures().await;
}
