//! The scheduled canary: every few minutes one goes the whole way, and a link that fails or is late is an alert of
//! Tocsin's own until the next canary passes it. Of several workers one sends it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tocsin::context::Context;
use tocsin::domain::canary::{Link, SCHEDULE};
use tocsin::http_client;
use tocsin::jobs::JobError;
use tocsin::operations::canary::{CanarySpec, PreparedCanary, make};
use tocsin::operations::own::{self, OwnAlert};
use tocsin::sources::SOURCES;
use tocsin::sources::canary::CanaryRequest;
use tocsin::store::canaries::{self, Canary};
use tocsin::store::marks;
use tocsin::store::{maintenance, watches};
use tocsin::text::fill;
use tokio::time::sleep;

use super::failed;

/// The mark that says when the last one was sent.
const MARK: &str = "canary";
/// The name of the alert.
const NAME: &str = "ChainBroken";
/// How long between two looks.
const INTERVAL: Duration = Duration::from_millis(50);
/// How long all of it may take: less than a part of recount may.
const WHOLE: Duration = Duration::from_secs(25);

/// What the store calls the watch of a link.
fn watch_name(link: Link) -> String {
    format!("link: {}", link.name())
}

/// Sends a canary if one is due, follows it, and says which link is broken.
///
/// # Errors
/// The store or the queue cannot be reached now.
pub async fn send_canary(context: &Context) -> Result<(), JobError> {
    let Some(every) = context.config.canary.every else {
        return tell(context, None).await;
    };
    let db = context.db.write();
    // Read first: what another worker writes meanwhile must not look like a clock that was ahead.
    let last = marks::find(db, MARK).await?.map(|mark| mark.at);
    let now = context.clock.of_store(maintenance::now(db).await?);
    let is_due = last.is_none_or(|last| last > now || now.since(last) >= every.0);
    if !is_due || !marks::claim(db, MARK, last, now).await? {
        return Ok(());
    }
    let spec = CanarySpec {
        source: &context.config.canary.source,
        channel: None,
        made_by: SCHEDULE,
    };
    let made = make(context, &SOURCES, &spec, None).await.map_err(failed)?;
    let broken = follow(context, &made).await?;
    if let Some((link, why)) = &broken {
        canaries::failed(db, made.canary.id, *link, why).await?;
    }
    tell(context, broken).await
}

/// Fires for the link that is broken, and ends what was said of the others.
async fn tell(context: &Context, broken: Option<(Link, String)>) -> Result<(), JobError> {
    let db = context.db.read();
    let known = watches::all(db).await?;
    let now = context.clock.of_store(maintenance::now(db).await?);
    for link in Link::ALL {
        let watch = watch_name(link);
        match &broken {
            Some((which, why)) if *which == link => {
                let alert = alert(context, link, why);
                own::fire(context, &watch, now, &alert, now).await
            }
            _ => match known.iter().find(|known| known.name == watch) {
                Some(known) => {
                    own::resolve(context, known, &alert(context, link, ""), (None, now)).await
                }
                None => Ok(()),
            },
        }
        .map_err(failed)?;
    }
    Ok(())
}

fn alert(context: &Context, link: Link, why: &str) -> OwnAlert {
    let text = context.config.language.text();
    let places = [("link", link.name()), ("why", why)];
    OwnAlert {
        name: NAME,
        reason: link.name().to_owned(),
        severity: "critical",
        summary: fill(text.chain_broken, &places),
        description: fill(text.chain_broken_look, &places),
        silent: None,
    }
}

/// Sends it, waits for each link, and ends it; returns the link that is broken, and why.
async fn follow(
    context: &Context,
    made: &PreparedCanary,
) -> Result<Option<(Link, String)>, JobError> {
    let began = Instant::now();
    if let Err(error) = post(context, &made.firing).await {
        return Ok(Some((Link::Ingress, format!("{error:#}"))));
    }
    for link in [Link::Queue, Link::Incident, Link::Tier, Link::Message] {
        if let Some(why) = wait(context, made, link, began).await? {
            return Ok(Some((link, why)));
        }
    }
    let Ok(end) = &made.resolved else {
        return Ok(None);
    };
    if let Err(error) = post(context, end).await {
        return Ok(Some((Link::Ingress, format!("{error:#}"))));
    }
    let why = wait(context, made, Link::Resolve, began).await?;
    Ok(why.map(|why| (Link::Resolve, why)))
}

async fn post(context: &Context, request: &CanaryRequest) -> anyhow::Result<()> {
    let config = &context.config;
    let http = http_client::builder()
        .timeout(config.canary.within.0)
        .build()?;
    let url = format!("{}{}", config.own_url(), request.path);
    let mut post = http.post(url).body(request.body.clone());
    for (name, value) in &request.headers {
        post = post.header(name, value);
    }
    if let Some(token) = config.webhook_token.first() {
        post = post.bearer_auth(token.expose());
    }
    let sent = post.send().await.map_err(reqwest::Error::without_url);
    let status = sent.context("the ingress does not answer")?.status();
    if !status.is_success() {
        bail!("the ingress answered {status}");
    }
    Ok(())
}

/// Waits until a link is done; returns why it is broken, if it is.
async fn wait(
    context: &Context,
    made: &PreparedCanary,
    link: Link,
    began: Instant,
) -> Result<Option<String>, JobError> {
    let (since, within) = (Instant::now(), context.config.canary.within.0);
    loop {
        let found = canaries::find(context.db.read(), made.canary.id).await?;
        let Some(canary) = found else {
            return Ok(Some("it was deleted".to_owned()));
        };
        if canary.failed_link == Some(link) {
            return Ok(Some(canary.error.unwrap_or_default()));
        }
        if let Some(took) = took(&canary, link) {
            let late = format!("it took {took:.1?}, and may take {within:?}");
            return Ok((took > within).then_some(late));
        }
        if since.elapsed() > within || began.elapsed() > WHOLE {
            return Ok(Some(format!("it is not done within {within:?}")));
        }
        sleep(INTERVAL).await;
    }
}

fn took(canary: &Canary, link: Link) -> Option<Duration> {
    let links = canary.links().into_iter();
    let mut of_link = links.filter(|(known, ..)| *known == link);
    let (_, _, ms) = of_link.next()?;
    ms.map(Duration::from_millis)
}
