//! Short IDs: the end of a message names its incident wherever a person can write it.

use serde_json::{Value, json};

use crate::harness::{Harness, On, alert, firing};
use crate::on_both;

fn ids(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect()
}

impl Harness {
    /// The id of the only incident with this alert name.
    async fn id_of(&self, name: &str) -> String {
        let incidents = self.incidents().await;
        let mut named = incidents
            .iter()
            .filter(|incident| incident["alert_name"] == name);
        let id = named.next().unwrap()["id"].as_str().unwrap().to_owned();
        assert!(named.next().is_none(), "{name}");
        id
    }

    /// What the last message ends with.
    fn last_words(&self) -> String {
        let message = self.telegram.taken().pop().unwrap();
        let (_, end) = message.rsplit_once("<code>").unwrap();
        end.trim_end_matches("</code>").to_owned()
    }

    async fn page_as(&self, lang: &str, path: &str) -> String {
        let request = self.http.get(format!("{}{path}", self.url));
        let page = request
            .header("accept-language", lang)
            .send()
            .await
            .unwrap();
        assert_eq!(page.status(), 200, "{path}");
        page.text().await.unwrap()
    }

    /// Has the incident with this title end like that one.
    async fn end_alike(&self, on: On, title: &str, id: &str) -> String {
        let twin = format!("00000000-0000-7000-8000-0000{}", &id[28..]);
        let written = match on {
            On::Sqlite => format!("x'{}'", twin.replace('-', "")),
            On::Postgres | On::Fleet => format!("'{twin}'::uuid"),
        };
        self.execute(&format!(
            "UPDATE incidents SET id = {written} WHERE title = '{title}'"
        ))
        .await;
        twin
    }
}

on_both! {
    async fn a_search_finds_an_incident_by_what_its_message_ends_with(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![alert("Other", "p", h.now())]).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let (id, other) = (h.id_of("CrashLooping").await, h.id_of("Other").await);
        let short = h.last_words();
        assert_eq!(short, &id[28..]);
        // A text is found beside it.
        let mut in_title = alert("Named", "p", h.now());
        in_title["annotations"]["summary"] = json!(format!("web-{short} fails"));
        h.send_and_drain(vec![in_title]).await;
        let named = h.id_of("Named").await;
        let simple = id.replace('-', "");
        let both = vec![named.as_str(), id.as_str()];
        let mut table = vec![
            (format!("q={short}"), both.clone()),
            (format!("q={}", short.to_uppercase()), both.clone()),
            (format!("q={short}&status=OPEN&service=checkout"), both),
            (format!("q={id}"), vec![&id]),
            (format!("q={simple}"), vec![&id]),
            (format!("q={short}&status=RESOLVED"), vec![]),
            (format!("q={short}&unresolved=true"), vec![named.as_str(), id.as_str()]),
            (format!("q={short}&namespace=elsewhere"), vec![]),
            (format!("q={}", &short[1..]), vec![&named]),
            (format!("q={}", &id[27..]), vec![]),
            (format!("q={}", &id[..8]), vec![]),
            (format!("q={}", &other[28..]), vec![&other]),
        ];
        for (query, expected) in &table {
            let found = h.get(&format!("/api/v1/incidents?{query}")).await;
            assert_eq!(&ids(&found), expected, "{query}");
        }
        // Paths take whole ids.
        for path in ["incidents", "trace"] {
            let path = format!("{}/api/v1/{path}/{short}", h.url);
            assert_eq!(h.http.get(&path).send().await.unwrap().status(), 404, "{path}");
        }
        h.post(&format!("/api/v1/incidents/{id}/resolve"), json!({})).await;
        table = vec![
            (format!("q={short}&status=RESOLVED"), vec![&id]),
            (format!("q={short}&unresolved=true"), vec![&named]),
            (format!("q={short}&unresolved=false"), vec![&named, &id]),
            (format!("q={id}&status=OPEN"), vec![]),
        ];
        for (query, expected) in &table {
            let found = h.get(&format!("/api/v1/incidents?{query}")).await;
            assert_eq!(&ids(&found), expected, "{query}");
        }
        h.finish().await;
    }

    async fn the_pages_search_takes_it_in_every_order_and_state(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now()), alert("Other", "p", h.now())]).await;
        let id = h.id_of("CrashLooping").await;
        let (short, card) = (&id[28..], format!("id=\"i{}\"", id.replace('-', "")));
        for sort in ["level", "newest", "oldest", "often", "fired"] {
            for q in [short, &id, &id.replace('-', ""), &format!("%20{short}+")] {
                let page = h.page_as("en", &format!("/incidents?sort={sort}&q={q}")).await;
                assert_eq!(page.matches("<li class=\"card").count(), 1, "{sort} {q}");
                assert!(page.contains(&card), "{sort} {q}");
            }
        }
        h.post(&format!("/api/v1/incidents/{id}/resolve"), json!({})).await;
        for (status, is_there) in [("", true), ("open", false), ("resolved", true), ("all", true)] {
            let page = h.page_as("en", &format!("/incidents?status={status}&q={short}")).await;
            assert_eq!(page.contains(&card), is_there, "{status}");
        }
        let page = h.page_as("en", &format!("/incidents/{short}")).await;
        assert!(page.contains(&card), "{page}");
        for (lang, name) in [("en", "ID"), ("zh-TW", "事件 ID")] {
            let page = h.page_as(lang, &format!("/incidents/{id}")).await;
            let head = format!("<code class=\"id\" title=\"{id}\">{short}</code>");
            assert!(page.contains(&head), "{page}");
            let fact = format!("<dt>{name}</dt><dd><code class=\"id\">{id}</code></dd>");
            assert!(page.contains(&fact), "{page}");
        }
        h.finish().await;
    }

    async fn every_command_takes_it(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![alert("Other", "p", h.now())]).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let id = h.id_of("CrashLooping").await;
        let short = h.last_words();
        let (_, said) = h.tocsin(&["incidents"]);
        assert!(said.contains(&short) && !said.contains(&id), "{said}");
        for (arguments, expected) in [
            (vec!["incidents", "show"], format!("short id        {short}")),
            (vec!["incidents", "occurrences"], "pod=a".to_owned()),
            (vec!["incidents", "acknowledge"], "\n  ACKNOWLEDGED by kim".to_owned()),
            (vec!["incidents", "acknowledge"], "nothing changed: already ACKNOWLEDGED by kim".to_owned()),
            (vec!["repair", "--action", "restart_pod", "--failed"], format!("incidents show {id}")),
            (vec!["mute", "--for", "1h"], "CrashLooping".to_owned()),
            (vec!["unmute"], "is no longer muted".to_owned()),
            (vec!["anomalies", "show"], "CrashLooping".to_owned()),
            (vec!["anomalies", "fix"], "has a permanent fix".to_owned()),
            (vec!["anomalies", "unfix"], "no longer has a permanent fix".to_owned()),
            (vec!["repairs", "--anomaly"], "restart_pod".to_owned()),
            (vec!["trace"], format!("incident {id}: 1 firing")),
            (vec!["incidents", "resolve"], "1 firing has not ended. If it is still received after".to_owned()),
            (vec!["incidents", "resolve"], "nothing changed: already RESOLVED by kim".to_owned()),
            (vec!["audit", "--target"], "incident.resolve".to_owned()),
        ] {
            let (done, said) = h.tocsin(&[arguments.clone(), vec![short.as_str()]].concat());
            assert!(done && said.contains(&expected), "{arguments:?}: {said}");
        }
        let audit = h.get(&format!("/api/v1/audit?target={id}")).await;
        assert_eq!(audit["items"].as_array().unwrap().len(), 5, "{audit:#}");
        h.finish().await;
    }

    async fn an_ambiguous_or_unknown_short_id_is_refused(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now()), alert("Other", "p", h.now())]).await;
        let id = h.id_of("CrashLooping").await;
        let twin = h.end_alike(on, "Other in prod", &id).await;
        let (_, nobody) = h.tocsin(&["incidents", "show", "00000000-0000-7000-8000-00000000000a"]);
        assert!(nobody.contains("no incident has this ID"), "{nobody}");
        let commands: [&[&str]; 11] = [
            &["incidents", "show"],
            &["incidents", "occurrences"],
            &["incidents", "acknowledge"],
            &["incidents", "resolve"],
            &["repair", "--action", "restart_pod", "--failed"],
            &["mute", "--for", "1h"],
            &["unmute"],
            &["trace"],
            &["audit", "--target"],
            &["anomalies", "show"],
            &["repairs", "--anomaly"],
        ];
        for command in commands {
            let (done, said) = h.tocsin(&[command, &[&id[28..]]].concat());
            assert!(!done && said.contains("2 incidents have the short ID"), "{command:?}: {said}");
            for (id, title) in [(&id, "CrashLooping in prod, opened 20"), (&twin, "Other in prod, opened 20")] {
                assert!(said.contains(&format!("\n  {id}  {title}")), "{command:?}: {said}");
            }
            let (done, said) = h.tocsin(&[command, &["0000000a"]].concat());
            let expected = match command {
                ["trace"] => "no alert has this fingerprint, no incident or job this ID, no anomaly this key, and no job this trace ID",
                _ => "no incident has the short ID 0000000a",
            };
            assert!(!done && said.contains(expected), "{command:?}: {said}");
        }
        assert_eq!(h.sql("SELECT count(*) FROM audit").await, 0);
        h.finish().await;
    }

    async fn a_fingerprint_that_looks_like_a_short_id_is_a_fingerprint(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let id = h.id_of("CrashLooping").await;
        let mut other = alert("Other", "p", h.now());
        other["fingerprint"] = json!(&id[28..]);
        h.send_and_drain(vec![other]).await;
        let (done, said) = h.tocsin(&["trace", &id[28..]]);
        assert!(done && said.contains(&format!("fingerprint {}: 1 firing", &id[28..])), "{said}");
        assert!(said.contains("incident 1 of Other") && !said.contains("of CrashLooping"), "{said}");
        let told = format!("{} is read as a fingerprint.", &id[28..]);
        assert!(said.contains(&told) && said.contains(&format!("tocsin trace {id}")), "{said}");
        let (done, said) = h.tocsin(&["trace", &id]);
        assert!(done && said.contains("of CrashLooping") && !said.contains("is read as"), "{said}");
        h.finish().await;
    }
}
