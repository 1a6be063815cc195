//! Playbooks that people change while Tocsin runs: by API, page and command line; versions, and who comes first.

use std::fs;

use futures::future::join_all;
use serde_json::{Value, json};

use super::{brief, with_playbook};
use crate::harness::{Harness, On, alert, answer, resolved};
use crate::on_both;

impl Harness {
    pub(super) async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.http.put(format!("{}{path}", self.url)).json(body);
        answer(request.send().await.unwrap()).await
    }

    async fn withdraw(&self, name: &str, why: &str) -> (u16, Value) {
        let path = format!("{}/api/v1/playbooks/{name}", self.url);
        let request = self.http.delete(path).json(&json!({"why": why}));
        answer(request.send().await.unwrap()).await
    }

    /// A page in a language.
    pub(crate) async fn page_in(&self, lang: &str, path: &str) -> String {
        let page = self
            .http
            .get(format!("{}{path}", self.url))
            .header("accept-language", lang);
        page.send().await.unwrap().text().await.unwrap()
    }

    /// Sends a form of a page, and returns the page that it leads to.
    pub(super) async fn sends(&self, page: &str, action: &str, fields: &[(&str, &str)]) -> String {
        let shown = self.page_in("en", page).await;
        let (_, csrf) = shown.split_once("name=\"csrf\" value=\"").unwrap();
        let csrf = csrf.split('"').next().unwrap();
        let fields = fields.iter().copied().chain([("csrf", csrf)]);
        let hex = |byte: u8| format!("%{byte:02X}");
        let encoded = |value: &str| value.bytes().map(hex).collect::<String>();
        let fields = fields.map(|(name, value)| format!("{name}={}", encoded(value)));
        let sent = self.http.post(format!("{}{action}", self.url));
        let sent = sent
            .header("origin", &self.url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(fields.collect::<Vec<_>>().join("&"));
        sent.send().await.unwrap().text().await.unwrap()
    }
}

/// How many versions there are, and the last that was audited.
fn head(found: &Value) -> (i64, &str, &str) {
    (
        found["version"].as_i64().unwrap_or_default(),
        found["state"].as_str().unwrap_or_default(),
        found["versions"][0]["origin"].as_str().unwrap_or_default(),
    )
}

on_both! {
    async fn a_stored_playbook_counts_at_once_and_each_version_stays(on) {
        let h = Harness::start_with(on, with_playbook).await;
        h.send_and_drain(vec![alert("Loop", "a", h.now())]).await;
        assert_eq!(brief(&h.recommendation().await), ("restart_pod", 1, "in_order"));
        let path = "/api/v1/playbooks/mine";
        let first = json!({"definition": {"alert_name": "Loop", "tier_1": "failover"}, "why": "we have a standby",
            "operator": "ann", "expected_version": 0});
        let (status, made) = h.put(path, &first).await;
        assert_eq!((status, head(&made), &made["changed"]), (200, (1, "active", "api"), &json!(true)), "{made:#}");
        // As close as the one of the settings, and before it.
        assert_eq!(brief(&h.recommendation().await), ("failover", 1, "in_order"));
        // Sent again, nothing changes, though the version that it expected is not the newest any more.
        let (status, same) = h.put(path, &first).await;
        assert_eq!((status, head(&same).0, &same["changed"]), (200, 1, &json!(false)));

        let second = json!({"definition": {"name": "mine", "alert_name": "Loop", "tier_1": ["drain", "failover"]},
            "why": "softer", "expected_version": 1, "operator": "kim"});
        let (_, changed) = h.put(path, &second).await;
        assert_eq!(head(&changed), (2, "active", "api"));
        let changes = &changed["versions"][0]["changes"];
        assert_eq!(changes[2], json!({"change": "removed", "line": "tier_1 = \"failover\""}), "{changes:#}");
        assert_eq!(changes[3], json!({"change": "added", "line": "tier_1 = [\"drain\", \"failover\"]"}));
        assert_eq!(brief(&h.recommendation().await).0, "drain");

        let (_, withdrawn) = h.withdraw("mine", "no standby").await;
        assert_eq!(head(&withdrawn), (3, "withdrawn", "api"));
        assert_eq!(brief(&h.recommendation().await).0, "restart_pod");
        let (status, restored) = h.post(&format!("{path}/restore"), json!({"version": 1, "why": "it is back"})).await;
        assert_eq!((status, head(&restored)), (200, (4, "active", "restored")), "{restored:#}");
        assert_eq!(restored["versions"][0]["restored_from"], 1);
        assert_eq!(brief(&h.recommendation().await).0, "failover");
        let whys: Vec<&str> = restored["versions"].as_array().unwrap().iter().map(|v| v["why"].as_str().unwrap()).collect();
        assert_eq!(whys, ["it is back", "no standby", "softer", "we have a standby"]);

        // Each change is audited once, in its own transaction.
        let audit = h.get("/api/v1/audit?target=mine").await;
        let actions: Vec<&str> = audit["items"].as_array().unwrap().iter().map(|a| a["action"].as_str().unwrap()).collect();
        assert_eq!(actions, ["playbook.restore", "playbook.withdraw", "playbook.set", "playbook.set"]);
        assert_eq!(audit["items"][2]["operator"], "kim");

        let list = h.get("/api/v1/playbooks").await;
        let kept: Vec<_> = list["items"].as_array().unwrap().iter()
            .map(|one| (one["name"].as_str().unwrap(), one["source"].as_str().unwrap(), &one["version"])).collect();
        assert_eq!(kept, [("loop", "settings", &Value::Null), ("mine", "stored", &json!(4))]);
        let second_page = h.get("/api/v1/playbooks?limit=1&cursor=loop").await;
        assert_eq!(second_page["items"][0]["name"], "mine");
        h.send_and_drain(vec![resolved(alert("Loop", "a", h.now()), h.now())]).await;
        h.finish().await;
    }

    async fn what_is_wrong_is_refused_by_its_field_and_what_the_settings_have_is_changed_there(on) {
        let h = Harness::start_with(on, with_playbook).await;
        let why = "because";
        for (name, body, status, code, names) in [
            ("mine", json!({"definition": {"tier_1": ["a", "A"]}, "why": why}), 400, "invalid_body", "definition.tier_1"),
            ("mine", json!({"definition": {"alert_name": [""], "tier_1": "a"}, "why": why}), 400, "invalid_body",
                "definition.alert_name"),
            ("mine", json!({"definition": {"tier_9": "a"}, "why": why}), 400, "invalid_body", "tier_9"),
            ("mine", json!({"definition": {"name": "other", "tier_1": "a"}, "why": why}), 400, "invalid_body", "definition.name"),
            ("mine", json!({"definition": {"tier_1": "a"}, "why": " "}), 400, "invalid_body", "why"),
            ("a b", json!({"definition": {"tier_1": "a"}, "why": why}), 400, "invalid_body", "definition.name"),
            ("mine", json!({"definition": {"tier_1": "a"}, "why": why, "expected_version": 1}), 404, "not_found", "playbook"),
            ("loop", json!({"definition": {"tier_1": "a"}, "why": why}), 409, "playbook_in_settings", "change it there"),
        ] {
            let (found, refused) = h.put(&format!("/api/v1/playbooks/{name}"), &body).await;
            assert_eq!((found, &refused["code"]), (status, &json!(code)), "{body}: {refused}");
            assert!(refused.to_string().contains(names), "{names}: {refused}");
        }
        assert_eq!(h.withdraw("loop", why).await.0, 409);
        assert_eq!(h.withdraw("mine", why).await.0, 404);
        let restore = json!({"version": 1, "why": why});
        assert_eq!(h.post("/api/v1/playbooks/mine/restore", restore).await.0, 404);
        assert_eq!(h.sql("SELECT count(*) FROM playbook_versions").await, 0);
        assert_eq!(h.sql("SELECT count(*) FROM audit").await, 0);
        h.finish().await;
    }

    async fn of_many_who_change_the_same_version_one_does(on) {
        let h = Harness::start(on).await;
        let set = async |action: String, expected: i64| {
            let body = json!({"definition": {"tier_1": action}, "why": "a race", "expected_version": expected,
                "operator": action});
            h.put("/api/v1/playbooks/mine", &body).await
        };
        for expected in 0..2 {
            let all = join_all((0..8).map(|n| set(format!("action_{expected}_{n}"), expected))).await;
            let (done, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(|(status, _)| *status == 200);
            assert_eq!(done.len(), 1, "{done:#?}");
            let winner = done[0].1["changed_by"].as_str().unwrap();
            for (status, refused) in refused {
                assert_eq!((status, &refused["code"], &refused["operator"]),
                    (409, &json!("playbook_changed"), &json!(winner)), "{refused}");
                let said = format!("version {} of the playbook came first, by {winner}: read it, and change that", expected + 1);
                assert_eq!(refused["detail"], said);
            }
        }
        let found = h.get("/api/v1/playbooks/mine").await;
        assert_eq!(found["versions"].as_array().unwrap().len(), 2);
        assert_eq!(h.sql("SELECT count(*) FROM audit").await, 2);
        assert_eq!(h.sql("SELECT count(*) FROM playbook_versions WHERE replaced_at IS NULL").await, 1);
        h.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_the_command_line_change_playbooks_too() {
    let h = Harness::start_with(On::Sqlite, with_playbook).await;
    let folder = tocsin_kit::folder::Folder::new("playbooks").unwrap();
    let file = folder.path().join("mine.toml");
    let file = file.to_str().unwrap();
    fs::write(file, "alert_name = \"Disk*\"\ntier_1 = \"clear_cache\"\n").unwrap();
    let set = [
        "playbooks",
        "set",
        "mine",
        "--file",
        file,
        "--why",
        "as agreed",
    ];
    assert_eq!(
        h.tocsin(&set),
        (true, "mine is set: version 1.\n".to_owned())
    );
    assert_eq!(
        h.tocsin(&set),
        (true, "mine is so already: version 1.\n".to_owned())
    );

    // On the page, with what was written kept if it is refused.
    let edited = "alert_name = \"Disk*\"\ntier_1 = [\"clear_cache\", \"<b>resize</b>\"]";
    let fields = [
        ("toml", "tier_7 = 1"),
        ("why", "more room"),
        ("version", "1"),
    ];
    let refused = h
        .sends("/playbooks/mine", "/playbooks/mine/set", &fields)
        .await;
    assert!(
        refused.contains("role=\"alert\"") && refused.contains("tier_7 = 1"),
        "{refused}"
    );
    let fields = [
        ("toml", edited),
        ("why", "more room"),
        ("version", "1"),
        ("operator", "ann"),
    ];
    let saved = h
        .sends("/playbooks/mine", "/playbooks/mine/set", &fields)
        .await;
    for part in [
        "Saved as a new version.",
        "<h1>mine</h1>",
        "Version 2",
        "more room",
        "ann",
        "&lt;b&gt;resize&lt;/b&gt;",
        "- tier_1 = &quot;clear_cache&quot;",
        "Restore version 1",
        "as agreed",
    ] {
        assert!(saved.contains(part), "{part}: {saved}");
    }
    // Made for a version that is not the newest any more.
    let stale = h
        .sends(
            "/playbooks/mine",
            "/playbooks/mine/set",
            &[("toml", "tier_1 = \"x\""), ("why", "y"), ("version", "1")],
        )
        .await;
    assert!(
        stale.contains("ann changed the playbook meanwhile"),
        "{stale}"
    );
    let fields = [("restore", "1"), ("why", "too small"), ("version", "2")];
    let restored = h
        .sends("/playbooks/mine", "/playbooks/mine/restore", &fields)
        .await;
    assert!(
        restored.contains("Restored as a new version.") && restored.contains("version 1 restored"),
        "{restored}"
    );
    let chinese = h.page_in("zh-TW", "/playbooks/mine").await;
    for part in ["處置手冊", "第 3 版", "還原第 1 版", "還原第 2 版"] {
        assert!(chinese.contains(part), "{part}: {chinese}");
    }
    let fixed = h.page_in("en", "/playbooks/loop").await;
    assert!(
        fixed.contains("Change it there, in [[playbooks]]") && !fixed.contains("<textarea"),
        "{fixed}"
    );
    let list = h.page_in("en", "/playbooks").await;
    assert!(
        list.contains("href=\"/playbooks/mine\"") && list.contains("href=\"/playbooks/loop\""),
        "{list}"
    );
    let new = h
        .sends(
            "/playbooks",
            "/playbooks",
            &[
                ("toml", "name = \"new\"\ntier_2 = \"rollback\""),
                ("why", "w"),
                ("version", "0"),
            ],
        )
        .await;
    assert!(new.contains("<h1>new</h1>"), "{new}");

    let (ok, diff) = h.tocsin(&["playbooks", "diff", "mine", "--from", "1", "--to", "2"]);
    assert!(
        ok && diff
            .contains("-tier_1 = \"clear_cache\"\n+tier_1 = [\"clear_cache\", \"<b>resize</b>\"]"),
        "{diff}"
    );
    let (ok, shown) = h.tocsin(&["playbooks", "show", "mine"]);
    assert!(
        ok && shown.contains("restored from 1): too small"),
        "{shown}"
    );
    let (ok, listed) = h.tocsin(&["playbooks", "list"]);
    assert!(
        ok && listed.contains("mine") && listed.contains("settings"),
        "{listed}"
    );
    let all = folder.path().join("all.toml");
    fs::write(&all, "listen = \"x\"\n[[playbooks]]\nname = \"loop\"\ntier_1 = \"a\"\n[[playbooks]]\nname = \"two\"\ntier_1 = \"b\"\n").unwrap();
    let (ok, said) = h.tocsin(&[
        "playbooks",
        "import",
        all.to_str().unwrap(),
        "--why",
        "moved here",
    ]);
    assert!(
        !ok && said.contains("two is imported: version 1.") && said.contains("is in the settings"),
        "{said}"
    );
    let (ok, said) = h.tocsin(&[
        "playbooks",
        "restore",
        "mine",
        "--version",
        "2",
        "--why",
        "again",
    ]);
    assert!(ok && said == "mine is restored: version 4.\n", "{said}");
    let (ok, said) = h.tocsin(&[
        "playbooks",
        "withdraw",
        "mine",
        "--why",
        "gone",
        "--expect",
        "3",
    ]);
    assert!(
        !ok && said.contains("version 4 of the playbook came first, by kim"),
        "{said}"
    );
    let (ok, said) = h.tocsin(&["playbooks", "withdraw", "mine", "--why", "gone"]);
    assert!(ok && said == "mine is withdrawn: version 5.\n", "{said}");
    let origins = h.get("/api/v1/playbooks/mine").await;
    let origins: Vec<&str> = origins["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["origin"].as_str().unwrap())
        .collect();
    assert_eq!(origins, ["cli", "restored", "restored", "page", "cli"]);
    h.finish().await;
}
