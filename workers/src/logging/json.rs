//! Lines for programs: one object each, flat.

use std::fmt;

use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::belongs_to;

/// `{"timestamp":…,"level":…,"message":…,"target":…}` and every field by its name.
pub(super) struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let meta = event.metadata();
        let time = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut line = Object::default();
        line.member("timestamp", &json!(time));
        line.member("level", &json!(meta.level().as_str()));
        line.member("message", &json!(fields.message));
        line.member("target", &json!(meta.target()));
        for (name, value) in &fields.others {
            line.member(name, value);
        }
        // What a line says itself is nearer to it.
        let is_said = |name| fields.others.iter().any(|(said, _)| *said == name);
        belongs_to(|name, value| {
            if !is_said(name) {
                line.member(name, &json!(value));
            }
        });
        writeln!(writer, "{}}}", line.0)
    }
}

/// An object that is not closed yet.
#[derive(Default)]
struct Object(String);

impl Object {
    fn member(&mut self, name: &str, value: &Value) {
        let before = if self.0.is_empty() { '{' } else { ',' };
        self.0.push_str(&format!("{before}{}:{value}", json!(name)));
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(message)) => self.message = message,
            (name, value) => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, json!(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, json!(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, json!(format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Written, followed};
    use super::*;

    #[tokio::test]
    async fn a_log_line_is_always_one_flat_object() {
        let written = Written::default();
        let log = tracing_subscriber::fmt()
            .event_format(Lines)
            .with_writer(written.clone());
        let log = log.finish();
        followed(|| {
            tracing::subscriber::with_default(log, || {
                let (tries, error) = (3, "\"}\n{");
                tracing::warn!(tries, queue = "own", share = 0.5, "failed: {error}");
            });
        })
        .await;
        let text = written.text();
        assert_eq!(text.lines().count(), 1, "{text}");
        let mut line: Value = serde_json::from_str(&text).unwrap();
        let timestamp = line.as_object_mut().unwrap().remove("timestamp").unwrap();
        let timestamp = chrono::DateTime::parse_from_rfc3339(timestamp.as_str().unwrap());
        assert!(timestamp.is_ok(), "{timestamp:?}");
        let expected = json!({
            "level": "WARN",
            "message": "failed: \"}\n{",
            "target": "tocsin::logging::json::tests",
            "tries": 3,
            "share": 0.5,
            "queue": "own",
            "request.id": "r-1",
            "job.id": "00000000-0000-0000-0000-000000000000",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        });
        assert_eq!(line, expected);
    }
}
