//! To sign in, to sign out, and to choose a language.

use std::collections::HashMap;

use axum::body::Body;
use axum::extract::{FromRequest as _, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::form::Fields;
use super::request::{LANGUAGE, language as language_of};
use super::{PageError, PageRequest, Pages, layout, session};
use crate::store::sessions;
use crate::text::Lang;

/// How long a language is remembered, in seconds.
const YEAR: u64 = 365 * 86_400;

pub(super) async fn page(
    State(pages): State<Pages>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
) -> Response {
    let wanted = local(query.get("to").map_or("", String::as_str));
    let headers = request.headers();
    let session = session::current(&pages.context, headers, request.extensions()).await;
    if session.is_some() {
        return Redirect::to(wanted).into_response();
    }
    let lang = language_of(headers);
    let said = query.contains_key("out").then(|| lang.text().signed_out);
    form(lang, wanted, said, false).into_response()
}

pub(super) async fn sign_in(
    State(pages): State<Pages>,
    request: Request,
) -> Result<Response, PageError> {
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    if !session::same_origin(headers) {
        return Err(PageError::Forged);
    }
    let request = Request::from_parts(parts.clone(), body);
    let fields = Fields::from_request(request, &pages).await?;
    let (config, now) = (&pages.context.config, pages.context.clock.now());
    let (token, name) = (fields.get("token").trim(), fields.get("name"));
    let wanted = local(fields.get("to"));
    let Some(cookie) = session::open(config, headers, token, name, now) else {
        let lang = language_of(headers);
        let request = Request::from_parts(parts.clone(), Body::empty());
        let Some(wait) = pages.guard.refuse(&request) else {
            let again = form(lang, wanted, Some(lang.text().token_wrong), true);
            return Ok((StatusCode::UNAUTHORIZED, again).into_response());
        };
        let again = form(lang, wanted, Some(lang.text().too_many), true);
        let seconds = [(header::RETRY_AFTER, wait.as_secs().max(1).to_string())];
        return Ok((StatusCode::TOO_MANY_REQUESTS, seconds, again).into_response());
    };
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(wanted)).into_response())
}

/// Signing out needs no role, only the form's mark.
pub(super) async fn sign_out(
    State(pages): State<Pages>,
    visit: PageRequest,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, PageError> {
    if !session::same_origin(&headers) || fields.get("csrf") != visit.session.csrf {
        return Err(PageError::Forged);
    }
    if let Some((id, until)) = &visit.session.opened {
        // In this browser it is over in any case.
        if let Err(error) = sessions::end(pages.context.db.write(), id, *until).await {
            tracing::warn!(
                "a sign-out could not be stored, so the session cookie stays valid until it expires: {error}"
            );
        }
    }
    let cookie = session::close(&pages.context.config, &headers);
    Ok((
        [(header::SET_COOKIE, cookie)],
        Redirect::to("/sign-in?out=1"),
    )
        .into_response())
}

pub(super) async fn language(
    State(pages): State<Pages>,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, PageError> {
    if !session::same_origin(&headers) {
        return Err(PageError::Forged);
    }
    let lang = Lang::from_tag(fields.get("language")).unwrap_or_default();
    let cookie = session::set_cookie(
        LANGUAGE,
        lang.tag(),
        YEAR,
        (&pages.context.config, &headers),
    );
    let back = Redirect::to(local(fields.get("to")));
    Ok(([(header::SET_COOKIE, cookie)], back).into_response())
}

/// An address of ours, and never another's.
fn local(address: &str) -> &str {
    let is_local = address.starts_with('/')
        && !address.starts_with("//")
        && !address.contains(|c: char| c == '\\' || c.is_control());
    if is_local { address } else { "/incidents" }
}

fn form(lang: Lang, wanted: &str, said: Option<&str>, wrong: bool) -> Markup {
    let text = lang.text();
    let described = wrong.then_some("said");
    let body = html! {
        form.sign-in method="post" action="/sign-in" {
            h1 { (text.sign_in) }
            p { (text.sign_in_lead) }
            @if let Some(said) = said {
                p #said .wrong[wrong] role=(if wrong { "alert" } else { "status" }) { (said) }
            }
            input type="hidden" name="to" value=(wanted);
            label for="token" { (text.token) }
            input #token type="password" name="token" required autocomplete="current-password"
                autofocus aria-invalid=[wrong.then_some("true")] aria-describedby=[described];
            label for="name" { (text.your_name) (text.optional) }
            input #name type="text" name="name" maxlength="60" autocomplete="name"
                aria-describedby="name-hint";
            p.hint #name-hint { (text.your_name_hint) }
            button.primary { (text.sign_in) }
        }
    };
    layout::bare(lang, text.sign_in, &body)
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn sign_in_redirects_only_to_local_paths() {
        assert_eq!(local("/system?a=b"), "/system?a=b");
        for elsewhere in [
            "//evil",
            "http://evil",
            "/\\evil",
            "",
            "/\t/evil",
            "/\0",
            "/\u{b}a",
            "/\u{7f}",
        ] {
            assert_eq!(local(elsewhere), "/incidents", "{elsewhere:?}");
        }
    }
}
