//! Spans: what was worked on, for how long, and under what, sent to an OTLP collector. Without one
//! no span is made, and nothing is sent.

mod collector;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider,
};

pub use opentelemetry::trace::SpanKind;

use crate::config::Secret;
use crate::telemetry::trace_context::Trace;
use collector::Collector;

/// Spans that wait to be sent at most; more are dropped. `OTEL_BSP_MAX_QUEUE_SIZE` says otherwise.
const WAITING: usize = 16_384;
/// How long the last spans may take to be sent when the process stops.
const LAST: Duration = Duration::from_secs(5);

/// Makes spans. Cheap to clone. What it does never waits: spans are sent beside the work, and
/// dropped where that is too slow.
#[derive(Clone, Debug, Default)]
pub struct Tracer(Option<Arc<Exporting>>);

#[derive(Debug)]
struct Exporting {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
}

/// Spans cannot be sent as the settings say. The address is not part of it: it may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("invalid otlp_endpoint: it must be http://… or https://…, without a path")]
pub struct OpenError;

impl Tracer {
    /// Sends to the collector at `endpoint`, which `/v1/traces` is added to. Headers and sampling
    /// are what the variables `OTEL_EXPORTER_OTLP_HEADERS` and `OTEL_TRACES_SAMPLER` say.
    ///
    /// # Errors
    /// The endpoint is no address, or no client can be set up for it.
    pub fn open(endpoint: Option<&Secret>) -> Result<Self, OpenError> {
        let Some(endpoint) = endpoint.map(|endpoint| endpoint.expose().trim_end_matches('/'))
        else {
            return Ok(Self::default());
        };
        let collector = Collector::new(endpoint).map_err(|_| OpenError)?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(collector)
            .with_endpoint(format!("{endpoint}/v1/traces"))
            .build()
            .map_err(|_| OpenError)?;
        let mut batches = BatchConfigBuilder::default();
        if std::env::var_os("OTEL_BSP_MAX_QUEUE_SIZE").is_none() {
            batches = batches.with_max_queue_size(WAITING);
        }
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches.build());
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor.build())
            .with_resource(resource())
            .build();
        Ok(Self(Some(Arc::new(Exporting {
            tracer: provider.tracer("tocsin"),
            provider,
        }))))
    }

    /// Begins a span under another, or one that is the first of its trace. It ends when it is
    /// dropped.
    pub fn start(
        &self,
        kind: SpanKind,
        name: impl FnOnce() -> Cow<'static, str>,
        under: Option<Trace>,
    ) -> Span {
        let Some(exporting) = &self.0 else {
            return Span {
                trace: under,
                otel: None,
            };
        };
        let above = under.map_or_else(Context::new, |trace| {
            Context::new().with_remote_span_context(otel(&trace))
        });
        let builder = exporting.tracer.span_builder(name()).with_kind(kind);
        let span = exporting.tracer.build_with_context(builder, &above);
        Span {
            trace: Some(identity_of(span.span_context())),
            otel: Some(span),
        }
    }

    /// Sends what waits, for a few seconds at most.
    pub async fn close(&self) {
        let Some(exporting) = self.0.clone() else {
            return;
        };
        let close = move || exporting.provider.shutdown_with_timeout(LAST);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(close).await {
            tracing::warn!("cannot export the last spans: {error}");
        }
    }
}

/// Something that is being worked on.
#[derive(Debug)]
#[must_use]
pub struct Span {
    trace: Option<Trace>,
    otel: Option<opentelemetry_sdk::trace::Span>,
}

impl Span {
    /// What comes of it belongs under this: the span, or what it would have been under.
    #[must_use]
    pub const fn trace(&self) -> Option<Trace> {
        self.trace
    }

    /// Says more of it. What that is, is worked out only if it is sent.
    pub fn note<V: Into<Value>>(&mut self, name: &'static str, value: impl FnOnce() -> V) {
        if let Some(span) = &mut self.otel {
            span.set_attribute(KeyValue::new(name, value()));
        }
    }

    /// It failed.
    pub fn fail(&mut self, why: impl FnOnce() -> String) {
        if let Some(span) = &mut self.otel {
            span.set_status(Status::error(why()));
        }
    }
}

fn otel(trace: &Trace) -> SpanContext {
    let flags = match trace.sampled {
        true => TraceFlags::SAMPLED,
        false => TraceFlags::NOT_SAMPLED,
    };
    SpanContext::new(
        TraceId::from_bytes(trace.id),
        SpanId::from_bytes(trace.span),
        flags,
        true,
        TraceState::NONE,
    )
}

fn identity_of(context: &SpanContext) -> Trace {
    Trace {
        id: context.trace_id().to_bytes(),
        span: context.span_id().to_bytes(),
        sampled: context.is_sampled(),
    }
}

/// What the spans are of. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` add to it.
fn resource() -> Resource {
    let resource = Resource::builder()
        .with_attribute(KeyValue::new("service.version", crate::VERSION))
        .with_attribute(KeyValue::new("process.pid", i64::from(std::process::id())));
    if std::env::var_os("OTEL_SERVICE_NAME").is_some() {
        return resource.build();
    }
    resource.with_service_name("tocsin").build()
}
