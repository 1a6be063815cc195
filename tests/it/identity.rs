//! Who somebody is, as a proxy in front says.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tocsin::config::{Config, IdentitySettings, Tokens};

use crate::harness::{Harness, On, firing};

const EMAIL: &str = "x-forwarded-email";
const GROUPS: &str = "x-forwarded-groups";

/// Requests of these tests come from 127.0.0.1.
fn behind(network: &str) -> impl FnOnce(&mut Config) {
    let identity = json!({"header": EMAIL, "groups_header": GROUPS, "networks": [network],
                          "operators": ["ann@example.org"], "operator_groups": ["oncall"]});
    let identity: IdentitySettings = serde_json::from_value(identity).unwrap();
    move |config| config.identity = identity
}

impl Harness {
    fn as_said(&self, method: Method, path: &str, said: &[(&str, &str)]) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        said.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        })
    }

    async fn answer(&self, method: Method, path: &str, said: &[(&str, &str)]) -> (u16, String) {
        let request = self.as_said(method, path, said);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_who_the_proxy_says_and_do_what_they_may() {
    let h = Harness::start_with(On::Sqlite, behind("127.0.0.0/8")).await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    let (list, ann, bob) = (
        "/api/v1/incidents",
        (EMAIL, "ann@example.org"),
        (EMAIL, "bob@example.org"),
    );
    let (status, incidents) = h.answer(Method::GET, list, &[bob]).await;
    assert_eq!(status, 200, "{incidents}");
    let incidents: Value = serde_json::from_str(&incidents).unwrap();
    let id = incidents["items"][0]["id"].as_str().unwrap();
    let acknowledge = format!("{list}/{id}/acknowledge");

    // Without a name nobody is let in, also where no token is set; who only reads changes nothing; a name that is
    // there twice is nobody's; and another site's page does not act for somebody.
    let twice = [ann, bob];
    let foreign = [ann, ("sec-fetch-site", "cross-site")];
    for (method, path, said, expected) in [
        (Method::GET, list, &[][..], 401),
        (Method::GET, list, &[(EMAIL, " ")], 401),
        (Method::POST, &acknowledge, &[bob], 403),
        (Method::GET, list, &twice, 403),
        (Method::POST, &acknowledge, &foreign, 403),
        (Method::POST, "/mcp", &[ann], 401),
    ] {
        let (status, said) = h.answer(method, path, said).await;
        assert_eq!(status, expected, "{path}: {said}");
    }
    // Whatever name the request gives, the proxy's counts.
    let as_oncall = [(EMAIL, "cat@example.org"), (GROUPS, "dev, oncall")];
    let request = h.as_said(Method::POST, &acknowledge, &as_oncall);
    let answer = request
        .json(&json!({"operator": "mallory"}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let (_, audit) = h.answer(Method::GET, "/api/v1/audit", &[ann]).await;
    let audit: Value = serde_json::from_str(&audit).unwrap();
    let newest = &audit["items"][0];
    assert_eq!(newest["operator"], "cat@example.org", "{newest}");
    assert_eq!(newest["actor"], "operate:proxy", "{newest}");

    // Pages, too: no sign-in, their name, and no other in the form.
    let (status, page) = h
        .answer(Method::GET, &format!("/incidents/{id}"), &[ann])
        .await;
    assert_eq!(status, 200, "{page}");
    assert!(
        page.contains("ann@example.org") && !page.contains("/sign-out"),
        "{page}"
    );
    let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap();
    let csrf = csrf.split('"').next().unwrap();
    let form = format!("csrf={csrf}&operator=mallory");
    let resolve = format!("/incidents/{id}/resolve");
    // What one was given is no other's.
    for (who, expected) in [((EMAIL, "eve@example.org"), 403), (ann, 200)] {
        let said = [who, (GROUPS, "oncall")];
        let request = h.as_said(Method::POST, &resolve, &said).body(form.clone());
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let status = request.send().await.unwrap().status().as_u16();
        assert!(
            status == expected || (expected == 200 && status == 303),
            "{who:?}: {status}"
        );
    }
    let (_, incident) = h.answer(Method::GET, &format!("{list}/{id}"), &[ann]).await;
    let incident: Value = serde_json::from_str(&incident).unwrap();
    assert_eq!(incident["status"], "RESOLVED", "{incident}");
    assert_eq!(incident["operator"], "ann@example.org", "{incident}");
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_of_anybody_but_the_proxy_is_refused_at_every_door() {
    let h = Harness::start_with(On::Sqlite, |config| {
        behind("192.0.2.0/24")(config);
        config.api_token = Tokens::from("operator-token-of-16");
    })
    .await;
    let token = ("authorization", "Bearer operator-token-of-16");
    for path in ["/incidents", "/api/v1/incidents", "/mcp", "/sign-in"] {
        for said in [
            &[(EMAIL, "ann@example.org")][..],
            &[(GROUPS, "oncall"), token],
        ] {
            let (status, answer) = h.answer(Method::GET, path, said).await;
            assert_eq!(status, 403, "{path} {said:?}: {answer}");
        }
    }
    let (_, answer) = h
        .answer(
            Method::GET,
            "/api/v1/incidents",
            &[(EMAIL, "ann@example.org")],
        )
        .await;
    assert!(answer.contains("untrusted_proxy"), "{answer}");
    // Where no person matters, no alert is refused for it, and none is taken for it either.
    for (path, expected) in [
        ("/healthz", 200),
        ("/metrics", 200),
        ("/api/v1/alertmanager", 405),
    ] {
        let said = [(EMAIL, "ann@example.org"), (EMAIL, "bob@example.org")];
        assert_eq!(
            h.answer(Method::GET, path, &said).await.0,
            expected,
            "{path}"
        );
    }
    let (_, metrics) = h.answer(Method::GET, "/metrics", &[]).await;
    let counted = "tocsin_auth_failures_total{role=\"proxy\"} 9\n";
    assert!(metrics.contains(counted), "{metrics}");
    // Without it, tokens are what they were.
    assert_eq!(
        h.answer(Method::GET, "/api/v1/incidents", &[token]).await.0,
        200
    );
    assert_eq!(h.answer(Method::GET, "/api/v1/incidents", &[]).await.0, 401);
    h.finish().await;
}
