//! The log of a long-running process: lines for people on a terminal, JSON for programs elsewhere.
//! Each line says which request or job, and which trace, it was written for.

mod json;
mod text;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal as _, stderr};
use std::panic::PanicHookInfo;

use tocsin::config::{Config, LogFormat};
use tocsin::telemetry::task_context;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt};

/// What is logged where `RUST_LOG` does not say.
const USUAL: &str = "info,apalis_core=warn,rmcp=warn,sea_orm_migration=warn,sqlx=warn";
/// Crates that log what they send and receive: addresses, headers, statements. A secret may be in
/// any of it, so nothing below INFO is taken from them, whatever `RUST_LOG` says.
const WIRE: [&str; 11] = [
    "h2",
    "hyper",
    "hyper_util",
    "opentelemetry",
    "redis",
    "reqwest",
    "rmcp",
    "rustls",
    "sea_orm",
    "sqlx",
    "tower",
];
/// It warns of a parameter of the database's address that it does not know, and shows its value.
const PARAMETERS: &str = "sqlx_postgres::options";

/// Starts the log on the standard error; `RUST_LOG` chooses how much.
pub(crate) fn start(config: &Config) {
    let is_terminal = stderr().is_terminal();
    let as_json = match config.log {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !is_terminal,
    };
    let usual = |_| EnvFilter::new(USUAL);
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(usual);
    let layer = fmt::layer().with_writer(stderr);
    let layer = if as_json {
        layer.event_format(json::Lines).boxed()
    } else {
        let colours = layer.with_ansi(is_terminal);
        colours.event_format(text::Lines::new(is_terminal)).boxed()
    };
    Registry::default()
        .with(filter)
        .with(filter_fn(is_safe))
        .with(layer)
        .init();
    std::panic::set_hook(Box::new(panicked));
}

fn is_safe(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let of = |name: &str| {
        let rest = target.strip_prefix(name);
        // `sqlx` is `sqlx_core` and its sisters, too.
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '_']))
    };
    (*metadata.level() <= Level::INFO || !WIRE.into_iter().any(of)) && !of(PARAMETERS)
}

/// A panic is a line like any other, with where it happened.
fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let place = place.unwrap_or_default();
    let said = panic.payload_as_str().unwrap_or("no message");
    // Where RUST_BACKTRACE asks for one.
    let backtrace = Backtrace::capture();
    let backtrace =
        matches!(backtrace.status(), BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        code.location = place,
        code.stacktrace = backtrace,
        "internal error (panic): {said}"
    );
}

/// What the present work belongs to, as fields of a line.
fn belongs_to(mut say: impl FnMut(&'static str, &str)) {
    task_context::look(|task_context| {
        if let Some(id) = &task_context.request {
            say("request.id", id.as_str());
        }
        if let Some((id, queue)) = task_context.job {
            say(
                "job.id",
                id.hyphenated()
                    .encode_lower(&mut uuid::Uuid::encode_buffer()),
            );
            say("queue", queue);
        }
        if let Some(trace) = task_context.trace {
            say("trace_id", &trace.to_string());
        }
    });
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tocsin::telemetry::task_context::{RequestId, TaskContext};
    use tocsin::telemetry::trace_context::Trace;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    /// What was written.
    #[derive(Clone, Default)]
    pub(super) struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        pub(super) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Written {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// Does `work` as a job of a request and a trace.
    pub(super) async fn followed(work: impl FnOnce()) {
        let header = axum::http::HeaderValue::from_static("r-1");
        let task_context = TaskContext {
            request: Some(RequestId::of(Some(&header))),
            job: Some((uuid::Uuid::nil(), "notify")),
            trace: Trace::of_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        };
        task_context.follow(async { work() }).await;
    }

    #[test]
    fn http_client_wire_logs_are_always_suppressed() {
        let written = Written::default();
        let layer = fmt::layer().with_writer(written.clone());
        let log = Registry::default()
            .with(EnvFilter::new("trace"))
            .with(filter_fn(is_safe))
            .with(layer);
        tracing::subscriber::with_default(log, || {
            tracing::debug!(target: "hyper::proto", "planted");
            tracing::trace!(target: "reqwest", "planted");
            tracing::debug!(target: "sqlx_core::logger", "planted");
            tracing::warn!(target: "sqlx_postgres::options::parse", "planted");
            tracing::warn!(target: "hyper", "said");
            tracing::trace!(target: "towers", "said");
        });
        let text = written.text();
        assert!(!text.contains("planted"), "{text}");
        assert_eq!(text.matches("said").count(), 2, "{text}");
    }
}
