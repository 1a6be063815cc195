//! What pages show beside the figures: why a level holds, what opens again, who muted what, and what an
//! address cannot ask for.

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::time::Timestamp;

use crate::harness::{Harness, alert, firing, resolved};
use crate::on_both;

const MINUTE: Duration = Duration::from_secs(60);

/// A page in a language, and its status.
async fn page(h: &Harness, lang: &str, path: &str) -> (u16, String) {
    let request = h.http.get(format!("{}{path}", h.url));
    let request = request
        .header("accept", "text/html")
        .header("accept-language", lang);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// The page of an incident.
async fn incident(h: &Harness, lang: &str, incident: &Value) -> String {
    let path = format!("/incidents/{}", incident["id"].as_str().unwrap());
    let (status, page) = page(h, lang, &path).await;
    assert_eq!(status, 200, "{path}");
    page
}

/// The page of the anomaly of an incident.
async fn anomaly(h: &Harness, lang: &str, incident: &Value) -> String {
    let path = format!("/anomalies/{}", incident["anomaly_key"].as_str().unwrap());
    let (status, page) = page(h, lang, &path).await;
    assert_eq!(status, 200, "{path}");
    page
}

/// A part of a page, up to the next section.
fn part<'a>(page: &'a str, id: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("id=\"{id}\"")).unwrap();
    rest.split("</section>").next().unwrap()
}

async fn mute(h: &Harness, incident: &Value, body: Value) {
    let key = incident["anomaly_key"].as_str().unwrap();
    let (status, said) = h.post(&format!("/api/v1/anomalies/{key}/mute"), body).await;
    assert_eq!(status, 200, "{said}");
}

on_both! {
    async fn level_reasons_are_shown_with_the_current_figures(on) {
        let h = Harness::start(on).await;
        let pods = |from, to| (from..to).map(|n| firing(&format!("p{n}"), h.now())).collect();
        h.send_and_drain(pods(0, 5)).await;
        h.send_and_drain(pods(5, 8)).await;
        let one = h.incident().await;
        assert_eq!(one["escalation_reason"], "8 firings in 24h in 1 incident (≥ 5)");
        for page in [incident(&h, "en", &one).await, anomaly(&h, "en", &one).await] {
            assert!(page.contains("<dt>24 h</dt><dd>8</dd>"), "{page}");
            let why = "8 firings in 1 incident in the last 24 hours. ESCALATE starts at 5 firings.";
            assert!(page.contains(why), "{page}");
        }
        // As long as recount has not lowered what the counts do not reach any more.
        h.execute("UPDATE anomalies SET reason = '{\"rule\":\"count\",\"figure\":9,\"unit\":\"episode\",\"window\":\"24h\",\"threshold\":9}'").await;
        for page in [incident(&h, "en", &one).await, anomaly(&h, "en", &one).await] {
            let why = "When the rule last matched: 9 firings in the last 24 hours. ESCALATE starts at 9 firings.";
            assert!(page.contains(why), "{page}");
        }
        let page = incident(&h, "zh-TW", &one).await;
        assert!(page.contains("規則最近一次成立時，過去 24 小時內有 9 次觸發"), "{page}");
        // What an incident was left with when the level was another says nothing of this one.
        h.execute("UPDATE anomalies SET level = 'REPEAT', reason = '{\"rule\":\"count\",\"figure\":3,\"unit\":\"episode\",\"window\":\"1h\",\"threshold\":3}'").await;
        let page = incident(&h, "en", &one).await;
        assert!(page.contains("When the rule last matched: 3 firings in the last hour."), "{page}");
        h.finish().await;
    }

    async fn a_delivery_of_an_old_firing_is_not_called_a_new_one(on) {
        let h = Harness::start(on).await;
        let (alert, first) = (firing("a", h.now()), h.now());
        h.send_and_drain(vec![alert.clone()]).await;
        h.advance(std::time::Duration::from_secs(7));
        h.send_and_drain(vec![alert]).await;
        let one = h.incident().await;
        let at = |page: &str, name: &str| {
            let (_, rest) = page.split_once(&format!("<dt>{name}</dt>")).unwrap();
            let (_, rest) = rest.split_once("datetime=\"").unwrap();
            tocsin::time::Timestamp::parse(rest.split('"').next().unwrap()).unwrap()
        };
        let delivered = at(&incident(&h, "en", &one).await, "Last received");
        let began = at(&anomaly(&h, "en", &one).await, "Newest firing");
        assert!(began.0 - first.0 < 7000 && delivered.0 - began.0 >= 7000, "{began:?} {delivered:?}");
        h.finish().await;
    }

    async fn a_missing_level_despite_sufficient_counts_is_explained(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let over = (0..4).map(|n| resolved(firing(&format!("p{n}"), h.now()), h.now()));
        h.send_and_drain(over.collect()).await;
        let one = h.incident().await;
        assert_eq!(one["escalation_level"], "NONE");
        for (lang, why, not) in [
            ("en", "The counts already meet ESCALATE: the level rises within a minute", "no rule matches"),
            ("zh-TW", "次數已達「需升級處理」的門檻：等級會在一分鐘內升高", "未達任何規則"),
        ] {
            let page = anomaly(&h, lang, &one).await;
            assert!(page.contains(why) && !page.contains(not), "{page}");
        }
        // Unless somebody is about to judge them.
        h.execute("UPDATE incidents SET tier_due_since = 1").await;
        let page = anomaly(&h, "en", &one).await;
        assert!(!page.contains("already meet"), "{page}");
        h.execute("UPDATE incidents SET tier_due_since = NULL").await;
        // And so it does.
        h.recount().await;
        assert_eq!(h.incident().await["escalation_level"], "ESCALATE");
        for page in [incident(&h, "en", &one).await, anomaly(&h, "en", &one).await] {
            let why = "5 firings in 1 incident in the last 24 hours.";
            assert!(page.contains(why) && !page.contains("already meet"), "{page}");
        }
        h.finish().await;
    }

    async fn a_manually_resolved_incident_notifies_when_it_reopens(on) {
        let h = Harness::start(on).await;
        let alert = firing("a", h.now());
        h.send_and_drain(vec![alert.clone()]).await;
        let page = incident(&h, "en", &h.incident().await).await;
        assert!(!page.contains("incident reopens"), "{page}");
        let path = format!("/api/v1/incidents/{}/resolve", h.incident().await["id"].as_str().unwrap());
        h.post(&path, json!({"operator": "ann"})).await;
        let one = h.incident().await;
        let at = Timestamp::parse(one["resolved_at"].as_str().unwrap()).unwrap();
        let at = at.after(10 * MINUTE).to_rfc3339();
        for (lang, before, after) in [
            ("en", "If it is still received after ", ", this incident reopens."),
            ("zh-TW", "若在 ", " 之後仍收到此告警，事件將重新開啟。"),
        ] {
            let page = incident(&h, lang, &one).await;
            let (_, rest) = page.split_once(before).unwrap();
            assert!(rest.starts_with(&format!("<time class=\"at\" datetime=\"{at}\"")), "{rest}");
            assert!(rest.contains(after), "{rest}");
        }
        // It does.
        h.advance(11 * MINUTE);
        h.send_and_drain(vec![alert.clone()]).await;
        assert_eq!(h.incident().await["status"], "OPEN");
        let page = incident(&h, "en", &one).await;
        assert!(!page.contains("this incident reopens"), "{page}");
        // What is over does not.
        h.post(&path, json!({"operator": "ann"})).await;
        h.send_and_drain(vec![resolved(alert, h.now())]).await;
        assert_eq!(h.incident().await["status"], "RESOLVED");
        let page = incident(&h, "en", &one).await;
        assert!(!page.contains("this incident reopens"), "{page}");
        h.finish().await;
    }

    async fn an_auto_resolved_incident_does_not_notify_when_it_reopens(on) {
        let h = Harness::start(on).await;
        let alert = firing("a", h.now());
        h.send_and_drain(vec![alert.clone(), resolved(alert, h.now())]).await;
        let one = h.incident().await;
        assert_eq!(one["resolved_by"], "itself");
        // As it is where a recount has not noticed yet that nothing is open.
        h.execute("UPDATE incidents SET open_episodes = 1").await;
        let page = incident(&h, "en", &one).await;
        assert!(!page.contains("this incident reopens"), "{page}");
        h.execute("UPDATE incidents SET open_episodes = 0").await;
        h.finish().await;
    }

    async fn every_mute_can_be_read_after_another_took_its_place(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let one = h.incident().await;
        let page = anomaly(&h, "en", &one).await;
        assert!(part(&page, "mutes").contains("No mutes yet."), "{page}");
        assert!(!page.contains("A new mute replaces the current one"), "{page}");
        let key = one["anomaly_key"].as_str().unwrap();
        // Ends what there is not: nothing to tell.
        h.http.delete(format!("{}/api/v1/anomalies/{key}/mute", h.url)).send().await.unwrap();
        mute(&h, &one, json!({"for": "4h", "why": "the disk is on its way", "operator": "ann"})).await;
        h.advance(MINUTE);
        mute(&h, &one, json!({"for": "1h", "why": "it came broken", "operator": "bob"})).await;
        let first = ("by ann: the disk is on its way", "由 ann：the disk is on its way");
        let second = ("by bob: it came broken", "由 bob：it came broken");
        for (lang, first, second, replaces) in [
            ("en", first.0, second.0, "A new mute replaces the current one"),
            ("zh-TW", first.1, second.1, "新的靜音會取代目前的靜音"),
        ] {
            let of_anomaly = anomaly(&h, lang, &one).await;
            let of_incident = incident(&h, lang, &one).await;
            for (told, page) in [
                (part(&of_anomaly, "mute-list"), &of_anomaly),
                (part(&of_incident, "line"), &of_incident),
            ] {
                let newest_first = told.find(second) < told.find(first);
                assert!(told.contains(first) && told.contains(second) && newest_first, "{told}");
                assert_eq!(told.matches("<span class=\"mark\" aria-hidden=\"true\">◌").count(), 2, "{told}");
                // The form names the one that it would replace.
                let form = page.split("/unmute\"").nth(1).unwrap();
                let (above, rest) = form.split_once(replaces).unwrap();
                assert!(above.contains(second) && !above.contains(first), "{above}");
                assert!(rest.contains("id=\"mute-why\""), "{rest}");
            }
        }
        h.http.delete(format!("{}/api/v1/anomalies/{key}/mute", h.url)).send().await.unwrap();
        let page = anomaly(&h, "en", &one).await;
        assert!(part(&page, "mute-list").contains("Mute ended"), "{page}");
        assert!(part(&page, "mute-list").contains(first.0), "{page}");
        assert!(!page.contains("A new mute replaces the current one"), "{page}");
        h.finish().await;
    }

    async fn a_mute_that_held_when_an_incident_opened_is_in_its_timeline(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let one = h.incident().await;
        mute(&h, &one, json!({"for": "30m", "why": "it is over by then", "operator": "ann"})).await;
        h.advance(40 * MINUTE);
        mute(&h, &one, json!({"for": "1h", "why": "we know", "operator": "ann"})).await;
        h.advance(20 * MINUTE);
        h.send_and_drain(vec![firing("b", h.now())]).await;
        let newest = h.incidents().await.into_iter().find(|i| i["number"] == 2).unwrap();
        let page = incident(&h, "en", &newest).await;
        let line = part(&page, "line");
        assert!(line.contains("by ann: we know") && !line.contains("it is over by then"), "{line}");
        // The first knows both.
        let page = incident(&h, "en", &one).await;
        let line = part(&page, "line");
        assert!(line.contains("by ann: we know") && line.contains("it is over by then"), "{line}");
        h.finish().await;
    }

    async fn a_card_names_its_alert_unless_the_title_does(on) {
        let h = Harness::start(on).await;
        let mut untitled = alert("Untitled", "a", h.now());
        untitled["annotations"] = json!({});
        let said = alert("Said", "a", h.now());
        let titled = |name: &str, title: &str| {
            let mut alert = alert(name, "a", h.now());
            alert["annotations"]["summary"] = title.into();
            alert
        };
        let pods = titled("KubePodCrashLooping", "KubePodCrashLooping2 in prod");
        let up = titled("Up", "Upstream's 7 are gone: Startup, Up_");
        h.send_and_drain(vec![untitled, said, pods, up]).await;
        let (_, page) = page(&h, "en", "/incidents").await;
        for named in [
            ">KubePodCrashLooping2 in prod</a> <code>KubePodCrashLooping</code></h2>",
            ">Upstream's 7 are gone: Startup, Up_</a> <code>Up</code></h2>",
            ">Untitled</a></h2>",
            ">Said in prod</a></h2>",
        ] {
            assert!(page.contains(named), "{named}: {page}");
        }
        h.finish().await;
    }

    async fn an_invalid_page_parameter_is_refused(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        for (path, name) in [
            ("/incidents?level=HIGH", "level"),
            ("/incidents?status=closed", "status"),
            ("/incidents?sort=x", "sort"),
            ("/incidents?after=x", "after"),
            ("/incidents?service=%00", "service"),
            ("/incidents?status=all&q=a%00", "q"),
            ("/anomalies?window=2h", "window"),
            ("/repairs?after=x", "after"),
            ("/dead-letters?state=gone", "state"),
            ("/dead-letters?queue=%00", "queue"),
            ("/dead-letters?after=1.x", "after"),
        ] {
            for (lang, told) in [
                ("en", format!("Invalid value for {name} in the address: “")),
                ("zh-TW", format!("網址中 {name} 的值無效：「")),
            ] {
                let (status, page) = page(&h, lang, path).await;
                assert_eq!(status, 400, "{path}");
                assert!(page.contains(&told) && page.contains("href=\"/incidents\""), "{page}");
            }
        }
        let id = h.incident().await["id"].as_str().unwrap().to_owned();
        let firings = format!("/incidents/{id}/firings");
        for path in [&*format!("{firings}?after=x"), "/incidents?status=open&status=all"] {
            let (status, page) = page(&h, "zh-TW", path).await;
            assert!(status == 400 && page.contains("href=\"/incidents\""), "{path}: {page}");
        }
        for key in ["%00", "a%00", "%ff"] {
            let (status, page) = page(&h, "en", &format!("/anomalies/{key}")).await;
            assert_eq!(status, if key == "%ff" { 400 } else { 404 }, "{key}: {page}");
        }
        // Others add names of their own; values are known in either case, and may be empty.
        for path in [
            "/incidents?utm_source=mail",
            "/incidents?foo=1",
            "/incidents?level=&status=&sort=&after=&q=",
            "/incidents?status=OPEN&level=none&sort=Newest",
            "/incidents?status=ALL",
            "/anomalies?window=",
            "/anomalies?window=24H",
            "/dead-letters?state=DEAD",
            &format!("{firings}?after="),
            "/repairs?after=",
            "/dead-letters?state=&queue=ingest&q=&after=",
        ] {
            let (status, page) = page(&h, "en", path).await;
            assert_eq!(status, 200, "{path}");
            if path.starts_with("/incidents?") {
                assert_eq!(page.matches("<li class=\"card").count(), 1, "{path}");
            }
        }
        // What was asked for is what the form says.
        let (_, page) = page(&h, "en", "/incidents?status=OPEN").await;
        assert!(page.contains("<option value=\"open\" selected>"), "{page}");
        h.finish().await;
    }
}
