//! The path before ours, where people reach us below one: `/tocsin` of `https://ops.example/tocsin/`.
//!
//! Routes, handlers and pages do not know it. It is taken from requests before they are routed, so that
//! proxies may leave it there or take it away themselves; and it is put before the addresses that leave:
//! those that redirects lead to, and those of links, forms, scripts and styles in pages. All of these are
//! written from the root (`/incidents`), and none of them can be forgotten.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderValue, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};

use crate::config::Config;

/// The attributes whose values are addresses.
const ADDRESSES: [&str; 4] = ["href", "src", "action", "formaction"];

/// The path before ours, without a slash at its end; empty where there is none.
#[derive(Clone, Debug)]
pub(super) struct Base(Arc<str>);

impl Base {
    pub(super) fn of(config: &Config) -> Self {
        Self(config.base_path().into())
    }

    /// What stands behind the base in a path; nothing if the path is not below it.
    fn behind<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(&*self.0)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }

    /// An address as who gets the answer reaches it. Another server's stays what it is, and so does one that
    /// is below the base already.
    fn reached<'a>(&self, address: &'a str) -> Cow<'a, str> {
        let path = address.split(['?', '#']).next().unwrap_or_default();
        let is_from_root = path.starts_with('/') && !path.starts_with("//");
        match is_from_root && self.behind(path).is_none() {
            true => Cow::Owned(format!("{}{address}", self.0)),
            false => Cow::Borrowed(address),
        }
    }

    /// A page in which all addresses are as its reader reaches them. Quotes in texts and in values are
    /// escaped: what looks like an attribute is one.
    fn page(&self, html: &str) -> String {
        let mut page = String::with_capacity(html.len() + html.len() / 8);
        let mut rest = html;
        while let Some(at) = rest.find("=\"/") {
            let (before, behind) = rest.split_at(at + 2);
            let (value, behind) = behind.split_at(behind.find('"').unwrap_or(behind.len()));
            let name = rest[..at].rsplit(' ').next().unwrap_or_default();
            page.push_str(before);
            match ADDRESSES.contains(&name) {
                true => page.push_str(&self.reached(value)),
                false => page.push_str(value),
            }
            rest = behind;
        }
        page.push_str(rest);
        page
    }
}

/// Takes the base from a request, if it is there.
pub(super) fn take<B>(base: &Base, mut request: Request<B>) -> Request<B> {
    let uri = request.uri();
    if let Some(rest) = base.behind(uri.path())
        && !base.0.is_empty()
    {
        // Two slashes come where an address that ends with one and a path that begins with one are joined.
        let path = rest.trim_start_matches('/');
        let target = match uri.query() {
            Some(query) => format!("/{path}?{query}"),
            None => format!("/{path}"),
        };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = target.parse().ok();
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

/// Puts the base before the addresses in an answer.
pub(super) async fn put(State(base): State<Base>, mut response: Response) -> Response {
    if base.0.is_empty() {
        return response;
    }
    let headers = response.headers_mut();
    if let Some(to) = headers
        .get(header::LOCATION)
        .and_then(|to| to.to_str().ok())
        && let Ok(to) = HeaderValue::from_str(&base.reached(to))
    {
        headers.insert(header::LOCATION, to);
    }
    let kind = headers.get(header::CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html")) {
        return response;
    }
    let (head, body) = response.into_parts();
    // It is there as a whole: a page is rendered before it is sent.
    let Ok(html) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let page = base.page(&String::from_utf8_lossy(&html));
    Response::from_parts(head, Body::from(page))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(path: &str) -> Base {
        Base(path.into())
    }

    #[test]
    fn a_request_is_for_the_same_whether_a_proxy_took_the_base_away_or_not() {
        for (asked, expected) in [
            ("/tocsin", "/"),
            ("/tocsin/", "/"),
            ("/tocsin?a=b", "/?a=b"),
            ("/tocsin/incidents?q=/tocsin/x", "/incidents?q=/tocsin/x"),
            ("/tocsin//api/v1/alertmanager", "/api/v1/alertmanager"),
            ("/incidents?q=1", "/incidents?q=1"),
            ("/tocsin/tocsin/x", "/tocsin/x"),
            ("/tocsinx", "/tocsinx"),
            ("/tocsin.js", "/tocsin.js"),
            ("/Tocsin/incidents", "/Tocsin/incidents"),
            ("/a/tocsin/x", "/a/tocsin/x"),
            ("*", "*"),
            ("http://h:1/tocsin/x?y", "http://h:1/x?y"),
        ] {
            let request = Request::builder().uri(asked).body(()).unwrap();
            let taken = take(&below("/tocsin"), request);
            assert_eq!(taken.uri().to_string(), expected, "{asked}");
            let request = Request::builder().uri(asked).body(()).unwrap();
            let untouched = take(&below(""), request);
            assert_eq!(untouched.uri(), asked);
        }
    }

    #[test]
    fn an_address_leads_below_the_base_once() {
        for (address, expected) in [
            ("/", "/a/b/"),
            ("/incidents?q=/x#y", "/a/b/incidents?q=/x#y"),
            ("/a/b", "/a/b"),
            ("/a/b?x", "/a/b?x"),
            ("/a/b/incidents", "/a/b/incidents"),
            ("/a/bc", "/a/b/a/bc"),
            ("https://x.example/y", "https://x.example/y"),
            ("//x.example/y", "//x.example/y"),
            ("#top", "#top"),
            ("?after=1", "?after=1"),
            ("", ""),
        ] {
            assert_eq!(below("/a/b").reached(address), expected, "{address}");
        }
    }

    #[test]
    fn addresses_in_a_page_are_below_the_base_and_texts_stay() {
        let page = maud::html! {
            link href="/assets/page.css";
            script src="/assets/page.js" defer {}
            a.brand href="/incidents" title="/incidents" { "href=\"/incidents\"" }
            a href="#top" { "top" } a href="https://x.example/y" { "x" } a href="?a=/b" { "b" }
            form method="get" action="/incidents" {
                input name="to" value="/incidents";
                input name="q" value="\" href=\"/x";
                button formaction="/sign-out" {}
            }
        };
        assert_eq!(
            below("/t").page(&page.0),
            "<link href=\"/t/assets/page.css\">\
             <script src=\"/t/assets/page.js\" defer></script>\
             <a class=\"brand\" href=\"/t/incidents\" title=\"/incidents\">href=&quot;/incidents&quot;</a>\
             <a href=\"#top\">top</a><a href=\"https://x.example/y\">x</a><a href=\"?a=/b\">b</a>\
             <form method=\"get\" action=\"/t/incidents\">\
             <input name=\"to\" value=\"/incidents\">\
             <input name=\"q\" value=\"&quot; href=&quot;/x\">\
             <button formaction=\"/t/sign-out\"></button></form>"
        );
    }
}
