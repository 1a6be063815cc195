//! The frame of every page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::assets::{ICON, SCRIPT, STYLE, WAITING};
use super::request::{ONCE, PageRequest};
use super::session::Role;
use super::{API, NAVIGATION};
use super::{parts, paused};
use crate::text::{Lang, Text, acts_unseen, fill};

/// A section: a page that the navigation leads to, and those beneath it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    /// Where the page is.
    pub(super) path: &'static str,
    /// What it is called.
    pub(super) name: fn(&Text) -> &'static str,
}

/// What a page is, beside its content.
#[derive(Clone, Debug)]
pub(super) struct Frame<'a> {
    pub(super) section: Section,
    pub(super) title: &'a str,
    /// What the script listens for: the query of `/events`. Empty: nothing.
    pub(super) watch: String,
}

/// A whole page.
pub(super) fn page(visit: &PageRequest, frame: &Frame<'_>, content: &Markup) -> Markup {
    let text = visit.text();
    let watch = (!frame.watch.is_empty()).then_some(frame.watch.as_str());
    let page = html! {
        (DOCTYPE)
        html lang=(visit.lang.tag()) {
            (head(frame.title))
            body data-watch=[watch] data-now=(visit.now.0) data-off=(text.live_off)
                data-live=(text.live) data-wait=(text.live_wait) data-new=(text.new_incidents)
                data-ago=(text.ago) {
                a.skip href="#content" { (text.skip) }
                header.top {
                    a.brand href="/incidents" { "Tocsin" }
                    nav aria-label=(text.sections) { (sections(text, Some(frame.section))) }
                    p.live #live role="status" { (text.no_script) }
                }
                main #content tabindex="-1" {
                    (paused::reminder(visit))
                    @if let Some(done) = visit.done { p.done role="status" { "✓ " (done) } }
                    (content)
                }
                (foot(visit, frame.section))
            }
        }
    };
    without_unseen(page)
}

/// What is shown comes from anybody who can send an alert: without what acts in it and is not seen.
fn without_unseen(page: Markup) -> Markup {
    let acts = |c: char| acts_unseen(c) && c != '\n' && c != '\t';
    match page.0.contains(acts) {
        true => PreEscaped(page.0.replace(acts, "")),
        false => page,
    }
}

/// A page that says what went wrong, with the way to the others.
pub(super) fn fault(lang: Lang, title: &str, content: &Markup) -> Markup {
    let text = lang.text();
    let menu = html! { nav aria-label=(text.sections) { (sections(text, None)) } };
    frameless(lang, title, &menu, content)
}

/// A page without navigation: to sign in.
pub(super) fn bare(lang: Lang, title: &str, content: &Markup) -> Markup {
    frameless(lang, title, &html! {}, content)
}

/// A page that does not know who reads it.
fn frameless(lang: Lang, title: &str, menu: &Markup, content: &Markup) -> Markup {
    without_unseen(html! {
        (DOCTYPE)
        html lang=(lang.tag()) {
            (head(title))
            body.bare {
                header.top { a.brand href="/incidents" { "Tocsin" } (menu) }
                main #content { (content) }
            }
        }
    })
}

fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="dark light";
            title { (title) " · Tocsin" }
            link rel="stylesheet" href=(STYLE.address);
            link rel="icon" type="image/svg+xml" href=(ICON.address);
            // The icon while incidents wait: the script shows it.
            link #waiting rel="waiting" href=(WAITING.address);
            script src=(SCRIPT.address) defer {}
        }
    }
}

/// The main menu; nothing in it is current where a page is in none of the sections.
fn sections(text: &Text, here: Option<Section>) -> Markup {
    html! {
        ul {
            @for section in NAVIGATION {
                @let is_here = here.is_some_and(|here| here.path == section.path);
                li { a href=(section.path) aria-current=[is_here.then_some("page")] { ((section.name)(text)) } }
            }
        }
    }
}

fn foot(visit: &PageRequest, here: Section) -> Markup {
    let (text, api) = (visit.text(), API);
    let role = match (visit.signed_in, visit.session.role) {
        (false, _) => text.role_anyone,
        (true, Role::Read) => text.role_read,
        (true, Role::Operate) => text.role_operate,
    };
    html! {
        footer {
            p {
                "Tocsin " (crate::VERSION) " · "
                @if let Some(name) = &visit.session.name {
                    (fill(text.signed_in_as, &[("name", name)])) " · "
                }
                (role) " · " (parts::at(visit.now))
            }
            p { a href=(api.path) aria-current=[(here.path == api.path).then_some("page")] { ((api.name)(text)) } }
            p.keys {
                button.plain #desktop hidden { (text.desktop) }
                button.plain #sound hidden { (text.sound) }
                button.plain #keys hidden { (text.keys) } " " span #keys-list { (text.keys_list) }
            }
            form.inline method="post" action="/language" {
                input type="hidden" name="to" value=(visit.address);
                @for lang in Lang::ALL {
                    button.plain name="language" value=(lang.tag()) lang=(lang.tag())
                        aria-pressed=[(lang == visit.lang).then_some("true")] { (lang.name()) }
                }
            }
            @if visit.session.opened.is_some() {
                form.inline method="post" action="/sign-out" {
                    (stamp(visit))
                    button.plain { (text.sign_out) }
                }
            }
        }
    }
}

/// What makes a form one of this session's.
pub(super) fn stamp(visit: &PageRequest) -> Markup {
    html! { input type="hidden" name="csrf" value=(visit.session.csrf); }
}

/// A key that differs in each rendering, for a form whose operation must not run twice.
pub(super) fn once() -> Markup {
    let key = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>());
    html! { input type="hidden" name=(ONCE) value=(key); }
}

/// Where to sign in, to come back to `wanted`.
pub(super) fn sign_in_address(wanted: &str) -> String {
    format!("/sign-in?to={}", parts::encoded(wanted))
}

/// A figure with a name, as an empty state says it.
pub(super) fn empty(title: &str, lead: &str) -> Markup {
    html! { div.empty { h2 { (title) } p { (lead) } } }
}
