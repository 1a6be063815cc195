//! Somebody who visits the pages with a browser: cookies, forms, and their hidden fields.

use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};

use crate::harness::Harness;

pub(super) const OPERATE: &str = "a-token-to-operate";
pub(super) const READ: &str = "a-token-to-look";

/// Somebody's browser, without its manners: it follows nothing and remembers nothing.
pub(super) struct Visitor<'a> {
    pub(super) h: &'a Harness,
    pub(super) http: Client,
    pub(super) cookie: String,
}

impl<'a> Visitor<'a> {
    pub(super) fn new(h: &'a Harness) -> Self {
        let http = tocsin::tls::client()
            .redirect(Policy::none())
            .build()
            .unwrap();
        Self {
            h,
            http,
            cookie: String::new(),
        }
    }

    pub(super) async fn signed_in(h: &'a Harness, token: &str) -> Self {
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

    pub(super) async fn get(&self, path: &str) -> Response {
        let request = self.http.get(format!("{}{path}", self.h.url));
        request.header(COOKIE, &self.cookie).send().await.unwrap()
    }

    pub(super) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        self.post_from(&self.h.url, path, form).await
    }

    pub(super) async fn post_from(
        &self,
        origin: &str,
        path: &str,
        form: &[(&str, &str)],
    ) -> Response {
        let body: Vec<String> = form.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let request = self.http.post(format!("{}{path}", self.h.url));
        let request = request
            .header(COOKIE, &self.cookie)
            .header(ORIGIN, origin)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.join("&"));
        request.send().await.unwrap()
    }

    /// Somebody who may act and says who they are.
    pub(super) async fn called(h: &'a Harness, name: &str) -> Self {
        let mut visitor = Self::new(h);
        let form = [("token", OPERATE), ("name", name)];
        let answer = visitor.post("/sign-in", &form).await;
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
        visitor.cookie = cookie.split(';').next().unwrap().to_owned();
        visitor
    }

    /// The mark that this session's forms carry.
    pub(super) async fn csrf(&self, path: &str) -> String {
        self.hidden(path, "csrf").await
    }

    /// What the first form with such a field carries.
    pub(super) async fn hidden(&self, path: &str, name: &str) -> String {
        let page = self.get(path).await.text().await.unwrap();
        let field = format!("name=\"{name}\" value=\"");
        let (_, rest) = page.split_once(&field).unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

pub(super) fn to(answer: &Response) -> String {
    answer.headers()[LOCATION].to_str().unwrap().to_owned()
}
