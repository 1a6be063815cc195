//! Lines for people.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::belongs_to;

/// Time, level, message, fields; what is said stays on its line.
pub(super) struct Lines(Format<Full>);

impl Lines {
    pub(super) fn new(colours: bool) -> Self {
        Self(Format::default().with_target(false).with_ansi(colours))
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        belongs_to(|name, value| {
            line.truncate(line.trim_end_matches('\n').len());
            line.push_str(&format!(" {name}={value}"));
        });
        // Otherwise a client whose text is logged could forge lines.
        let line = line.trim_end_matches('\n').replace('\r', "\\r");
        writeln!(writer, "{}", line.replace('\n', "\\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Written, followed};
    use super::*;

    #[tokio::test]
    async fn a_line_says_what_it_belongs_to_and_stays_one_line() {
        let written = Written::default();
        let log = tracing_subscriber::fmt()
            .event_format(Lines::new(false))
            .with_writer(written.clone());
        let log = log.finish();
        followed(|| {
            tracing::subscriber::with_default(log, || {
                let error = "one\r\n2026-01-01T00:00:00Z ERROR two \u{1b}[31m";
                tracing::warn!(tries = 3, "failed: {error}");
            });
        })
        .await;
        let text = written.text();
        let (_, said) = text.split_once(' ').unwrap();
        assert_eq!(
            said,
            " WARN failed: one\\r\\n2026-01-01T00:00:00Z ERROR two \\x1b[31m tries=3 \
             request.id=r-1 job.id=00000000-0000-0000-0000-000000000000 queue=notify \
             trace_id=4bf92f3577b34da6a3ce929d0e0e4736\n"
        );
    }
}
