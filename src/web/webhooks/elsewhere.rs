//! Where a body belongs that was sent to the address of another source.

use axum::body::Bytes;

use crate::config::Config;
use crate::jobs::Content;
use crate::sources::{Delivery, Source, Translated};

/// Whether a delivery that its address made this of belongs to another one: of those with mappings of the operator's, whose
/// own bodies are only known by what is made of them.
pub(super) fn is_misdirected(
    source: &Source,
    sources: &[Source],
    delivery: &Delivery,
    made: &Translated,
    config: &Config,
) -> bool {
    if source.senders.is_none() || (made.alerts.is_empty() && made.tests + made.unused == 0) {
        return false;
    }
    let is_its_own = is_more(made, &of_nothing(source, &delivery.name, delivery, config));
    !is_its_own && address(source, sources, delivery, config).is_some()
}

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

/// Whether a delivery is one of those that the mapping of this name is for: it makes something of it, and something else
/// than of an object in which nothing is. A mapping may take anything for an alert.
fn knows(source: &Source, name: &str, delivery: &Delivery, config: &Config) -> bool {
    let made = make(source, name, delivery, delivery.body.clone(), config);
    is_more(&made, &of_nothing(source, name, delivery, config))
}

/// What a mapping makes of an object in which nothing is.
fn of_nothing(source: &Source, name: &str, delivery: &Delivery, config: &Config) -> Translated {
    make(source, name, delivery, Bytes::from_static(b"{}"), config)
}

fn make(
    source: &Source,
    name: &str,
    delivery: &Delivery,
    body: Bytes,
    config: &Config,
) -> Translated {
    let delivery = Delivery {
        method: delivery.method,
        path: delivery.path,
        name: name.to_owned(),
        received_at: delivery.received_at,
        headers: delivery.headers.clone(),
        query: Vec::new(),
        body,
    };
    (source.translate)(&delivery, config).unwrap_or_default()
}

/// Whether a mapping that made `made` of a delivery made more of it than `of_nothing`.
fn is_more(made: &Translated, of_nothing: &Translated) -> bool {
    let is_alert = |content: &Content| matches!(content, Content::Alert(_));
    let is_usable = made.alerts.iter().any(is_alert);
    (is_usable && made.alerts != of_nothing.alerts)
        || made.tests > of_nothing.tests
        || made.unused > of_nothing.unused
        || made.confirmation.is_some()
}
