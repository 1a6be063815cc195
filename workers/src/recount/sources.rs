//! Sources that are not as they always were: one that is quiet against its habit, one whose sender leaves out alerts, one
//! that never says that an alert is over. Each is an incident of Tocsin's own until that ends, so it is told once.

use std::collections::BTreeSet;

use tocsin::context::Context;
use tocsin::domain::labels::Labels;
use tocsin::domain::source_watch::{Moment, SourceFigures, Told, Warning};
use tocsin::domain::verdict::SilentSource;
use tocsin::jobs::JobError;
use tocsin::operations::own::{self, OwnAlert};
use tocsin::store::watches::{self, Watch};
use tocsin::store::{maintenance, outages, silent_sources, source_tallies};
use tocsin::text::fill;
use tocsin::time::Timestamp;

use super::expected::listens;
use super::failed;

/// Looks at each source, and tells what is to be told.
///
/// # Errors
/// The store or the queue cannot be reached now.
pub async fn watch_sources(context: &Context) -> Result<(), JobError> {
    let db = context.db.read();
    let limits = context.config.watch.limits();
    let now = context.clock.of_store(maintenance::now(db).await?);
    let listens_since = match listens(db, now).await? {
        true => Some(outages::last_end(db).await?.unwrap_or(Timestamp(0))),
        false => None,
    };
    let at = Moment { now, listens_since };
    let known = watches::all(db).await?;
    let figures = source_tallies::figures(db, &at, limits.quiet).await?;
    let none = SourceFigures::default();
    for warning in Warning::ALL {
        let prefix = warning.watch("");
        let watched = known.iter().filter_map(|w| w.name.strip_prefix(&prefix));
        let sources: BTreeSet<&str> = watched.chain(figures.keys().map(String::as_str)).collect();
        for source in sources.into_iter().filter(|source| warning.is_of(source)) {
            let name = warning.watch(source);
            let watch = known.iter().find(|watch| watch.name == name);
            let late = watch.and_then(|watch| watch.late_since);
            let figures = figures.get(source).unwrap_or(&none);
            let told = warning.judge(figures, &limits, late, &at);
            let mut alert = alert(context, warning, source, figures, &at);
            let since = match told {
                Told::Since(since) => Some(late.unwrap_or(since)),
                Told::AsBefore => late,
                Told::Over => None,
            };
            alert.silent = since
                .filter(|_| warning == Warning::Quiet)
                .map(|since| SilentSource {
                    source: source.to_owned(),
                    labels: Labels::new(),
                    since,
                });
            tell(context, (told, &name, watch), &alert, &at).await?;
        }
    }
    // A source that has not been heard for so long that nobody expects it is silent all the same.
    let silent = silent_sources::open(db).await?;
    let prefix = Warning::Quiet.watch("");
    for (watch, since) in &silent {
        let Some(source) = watch.strip_prefix(&prefix) else {
            continue;
        };
        let delivered_at = figures.get(source).and_then(|found| found.delivered_at);
        let heard = match limits.quiet {
            0 => Some(now),
            _ => delivered_at.filter(|delivered_at| delivered_at > since),
        };
        if let Some(heard) = heard {
            own::hear(context, watch, (heard, now)).await?;
        }
    }
    Ok(())
}

async fn tell(
    context: &Context,
    (told, name, watch): (Told, &str, Option<&Watch>),
    alert: &OwnAlert,
    at: &Moment,
) -> Result<(), JobError> {
    let since = match (told, watch.and_then(|watch| watch.late_since)) {
        // Each pass says again what holds: whoever died before it pushed loses nothing.
        (Told::Since(_) | Told::AsBefore, Some(since)) | (Told::Since(since), None) => since,
        (Told::AsBefore, None) => return Ok(()),
        (Told::Over, _) => {
            let Some(watch) = watch else {
                return Ok(());
            };
            let resolved = own::resolve(context, watch, alert, (None, at.now)).await;
            resolved.map_err(failed)?;
            return Ok(watches::forget(context.db.write(), name).await?);
        }
    };
    let fired = own::fire(context, name, since, alert, at.now).await;
    fired.map_err(failed)
}

fn alert(
    context: &Context,
    warning: Warning,
    source: &str,
    figures: &SourceFigures,
    at: &Moment,
) -> OwnAlert {
    let text = context.config.language.text();
    let (summary, look, count) = match warning {
        Warning::Quiet => (text.source_quiet, text.source_quiet_look, 0),
        Warning::Truncated => (
            text.source_truncated,
            text.source_truncated_look,
            figures.truncated,
        ),
        Warning::Unresolved => (
            text.source_unresolved,
            text.source_unresolved_look,
            figures.expired,
        ),
    };
    let last = figures.delivered_at;
    let last = last.map_or_else(|| "–".to_owned(), |at| at.to_rfc3339());
    let (time, count) = (at.hour().to_rfc3339(), count.to_string());
    let places = [
        ("name", source),
        ("time", &*time),
        ("last", &*last),
        ("count", &*count),
    ];
    OwnAlert {
        name: warning.alert(),
        reason: source.to_owned(),
        severity: "warning",
        summary: fill(summary, &places),
        description: fill(look, &places),
        silent: None,
    }
}
