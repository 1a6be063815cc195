//! Who may see and do what.

use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use tocsin::config::Tokens;

use crate::harness::{Harness, On, firing};

const OPERATE: &str = "a-token-to-operate";
const READ: &str = "a-token-to-look";

/// Somebody's browser, without its manners: it follows nothing and remembers nothing.
struct Visitor<'a> {
    h: &'a Harness,
    http: Client,
    cookie: String,
}

impl<'a> Visitor<'a> {
    fn new(h: &'a Harness) -> Self {
        let http = Client::builder().redirect(Policy::none()).build().unwrap();
        Self {
            h,
            http,
            cookie: String::new(),
        }
    }

    async fn signed_in(h: &'a Harness, token: &str) -> Self {
        let mut visitor = Self::new(h);
        let answer = visitor
            .post("/sign-in", &[("token", token), ("to", "//evil")])
            .await;
        assert_eq!(
            (answer.status().as_u16(), to(&answer)),
            (303, "/incidents".to_owned())
        );
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
        assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
        visitor.cookie = cookie.split(';').next().unwrap().to_owned();
        visitor
    }

    async fn get(&self, path: &str) -> Response {
        let request = self.http.get(format!("{}{path}", self.h.url));
        request.header(COOKIE, &self.cookie).send().await.unwrap()
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        self.post_from(&self.h.url, path, form).await
    }

    async fn post_from(&self, origin: &str, path: &str, form: &[(&str, &str)]) -> Response {
        let body: Vec<String> = form.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let request = self.http.post(format!("{}{path}", self.h.url));
        let request = request
            .header(COOKIE, &self.cookie)
            .header(ORIGIN, origin)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.join("&"));
        request.send().await.unwrap()
    }

    /// The mark that this session's forms carry.
    async fn csrf(&self, path: &str) -> String {
        let page = self.get(path).await.text().await.unwrap();
        let (_, rest) = page.split_once("name=\"csrf\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

fn to(answer: &Response) -> String {
    answer.headers()[LOCATION].to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_are_taken_from_our_own_pages_and_from_who_may_act() {
    let h = Harness::start_with(On::Sqlite, |config| {
        config.api_token = Tokens::from(OPERATE);
        config.read_token = Tokens::from(READ);
    })
    .await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    let ids = tocsin::store::watch::newest(h.context.db.read(), 1)
        .await
        .unwrap();
    let page = format!("/incidents/{}", ids[0]);
    let resolve = format!("{page}/resolve");

    let stranger = Visitor::new(&h);
    for path in ["/incidents", "/events", "/system", &page] {
        let answer = stranger.get(path).await;
        assert_eq!(answer.status(), 303, "{path}");
        assert!(to(&answer).starts_with("/sign-in?to="), "{path}");
    }
    assert_eq!(stranger.post(&resolve, &[]).await.status(), 303);
    assert_eq!(
        stranger
            .post("/sign-in", &[("token", "wrong")])
            .await
            .status(),
        401
    );

    let operator = Visitor::signed_in(&h, OPERATE).await;
    let csrf = operator.csrf(&page).await;
    let reader = Visitor::signed_in(&h, READ).await;
    let readers = reader.csrf("/incidents").await;
    let sent = [
        (operator.post(&resolve, &[]).await, "without the mark"),
        (
            operator.post(&resolve, &[("csrf", &readers)]).await,
            "with another's mark",
        ),
        (
            operator
                .post_from("http://evil.example", &resolve, &[("csrf", &csrf)])
                .await,
            "from elsewhere",
        ),
        (
            reader.post(&resolve, &[("csrf", &readers)]).await,
            "by who may only look",
        ),
    ];
    for (answer, what) in sent {
        assert_eq!(answer.status(), 403, "{what}");
    }
    assert!(
        !reader
            .get(&page)
            .await
            .text()
            .await
            .unwrap()
            .contains(&resolve)
    );
    let resolved = "SELECT count(*) FROM incidents WHERE status = 'RESOLVED'";
    assert_eq!(h.sql(resolved).await, 0);

    let answer = operator
        .post(&resolve, &[("csrf", &csrf), ("operator", "Ann")])
        .await;
    assert_eq!(to(&answer), format!("{page}?done=resolve"));
    assert_eq!(h.sql(resolved).await, 1);
    let audited = "SELECT count(*) FROM audit WHERE operator = 'Ann' AND actor LIKE 'operate:%'";
    assert_eq!(h.sql(audited).await, 1);
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_runs_nothing_that_is_not_ours() {
    let h = Harness::start(On::Sqlite).await;
    let mut alert = firing("a", h.now());
    alert["annotations"]["summary"] = "<script>alert(1)</script>".into();
    alert["generatorURL"] = "javascript:alert(1)".into();
    h.send_and_drain(vec![alert]).await;
    let visitor = Visitor::new(&h);
    let id = h.incident().await["id"].as_str().unwrap().to_owned();
    for path in [
        "/incidents".to_owned(),
        format!("/incidents/{id}"),
        "/incidents/x".to_owned(),
    ] {
        let answer = visitor.get(&path).await;
        let policy = answer.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self'"));
        assert!(!policy.contains("unsafe"), "{policy}");
        let page = answer.text().await.unwrap();
        for planted in ["<script>alert", "javascript:", " style=", " onclick="] {
            assert!(!page.contains(planted), "{path} has {planted}");
        }
        for part in page.split("/assets/").skip(1) {
            let name = part.split('"').next().unwrap();
            let asset = visitor.get(&format!("/assets/{name}")).await;
            assert_eq!(asset.status(), 200, "{name}");
            let kept = asset.headers()["cache-control"].to_str().unwrap();
            assert!(kept.contains("immutable"), "{name}: {kept}");
        }
    }
    h.finish().await;
}
