//! Where a body belongs that was sent to the address of another source.

use axum::body::Bytes;

use crate::config::Config;
use crate::jobs::Content;
use crate::sources::{Delivery, Source, Translated};

/// So many mappings at most are tried.
const TRIED: usize = 50;

/// What sends a delivery that came to the address of `source`, as people call it, and the path that it belongs to; `None`
/// if nobody knows it.
pub(super) fn address(
    source: &Source,
    sources: &[Source],
    delivery: &Delivery,
    config: &Config,
) -> Option<(String, String)> {
    let mut others = sources.iter().filter(|other| other.name != source.name);
    let of_other = others.find(|other| (other.looks_like)(delivery));
    let of_other =
        of_other.and_then(|other| Some((other.sender.to_owned(), *other.paths.first()?)));
    match of_other {
        Some((sender, path)) => Some((sender, path.to_owned())),
        None => sources.iter().find_map(|other| {
            let is_own = |name: &str| other.name == source.name && name == delivery.name;
            of_mapping(other, is_own, delivery, config)
        }),
    }
}

/// The one of a source that is many, each by what the settings say of it, that knows a delivery. Where several do, none is
/// named.
fn of_mapping(
    source: &Source,
    is_own: impl Fn(&str) -> bool,
    delivery: &Delivery,
    config: &Config,
) -> Option<(String, String)> {
    let names = source.senders?(config).into_iter().take(TRIED);
    let mut knowing = names.filter(|name| {
        let is_on = (source.admission)(config, name).enabled;
        is_on && !is_own(name) && knows(source, name, delivery, config)
    });
    let name = knowing.next().filter(|_| knowing.next().is_none())?;
    let path = source.paths.first()?.replace("{name}", name);
    Some((name.to_owned(), path))
}

/// Whether a mapping makes something of a delivery, and not of every other object, too.
fn knows(source: &Source, name: &str, delivery: &Delivery, config: &Config) -> bool {
    let makes_something = |body: Bytes| {
        let delivery = Delivery {
            method: delivery.method,
            path: delivery.path,
            name: name.to_owned(),
            received_at: delivery.received_at,
            headers: delivery.headers.clone(),
            query: Vec::new(),
            body,
        };
        let translated = (source.translate)(&delivery, config);
        translated.is_ok_and(|made| {
            let is_usable = !made.alerts.is_empty() && !is_useless(&made);
            is_usable || made.tests > 0 || made.confirmation.is_some()
        })
    };
    makes_something(delivery.body.clone()) && !makes_something(Bytes::from_static(b"{}"))
}

/// Whether it has alerts, and none of them can be used. A mapping may take anything for an alert that lacks everything.
pub(super) fn is_useless(translated: &Translated) -> bool {
    let is_alert = |content: &Content| matches!(content, Content::Alert(_));
    !translated.alerts.is_empty() && !translated.alerts.iter().any(is_alert)
}
