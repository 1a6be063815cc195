//! Execute: asks executors to run recommended actions, each request under one `Idempotency-Key` however often it is
//! sent.
//!
//! The row says that a request is sent before it is, and that it was taken after that. A process that dies in between
//! leaves a job that sends it again with the same key: an executor that takes a key once runs the action once.

mod request;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::Data;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, USER_AGENT};
use serde_json::json;
use tocsin::config::Hook;
use tocsin::context::Context;
use tocsin::domain::execution::{Reason, State};
use tocsin::executions::{Request, hindered, itself};
use tocsin::jobs::{Execute, JobError};
use tocsin::queue::consumer::JobHandle;
use tocsin::store::audit::{self, Action, AuditEntry};
use tocsin::store::{anomalies, executions, incidents, maintenance};
use tocsin::telemetry::spans::SpanKind;
use tocsin::telemetry::task_context;
use tocsin::time::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::awaited;
use crate::notifiers::http::{HttpReceiver, Reads};
use crate::notifiers::webhook::signature::Key;
use crate::notifiers::{SendError, TOTAL_TIMEOUT};

/// How long a request that an executor wants to be sent later waits at most, so that it is known to be late soon.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// The handler's state: how each executor is reached.
#[derive(Clone)]
pub struct Executors {
    context: Context,
    by_hook: Arc<BTreeMap<String, Executor>>,
}

/// One executor.
struct Executor {
    http: HttpReceiver,
    url: Url,
    key: Key,
}

impl Executors {
    /// Those of the settings. One that cannot be used is logged and left out.
    #[must_use]
    pub fn new(context: &Context) -> Self {
        let hooks = context.config.repairs.hooks.iter();
        let by_hook = hooks.filter_map(|(name, hook)| match Executor::new(name, hook) {
            Ok(executor) => Some((name.clone(), executor)),
            Err(error) => {
                tracing::error!("the hook {name} cannot be used: {error}");
                None
            }
        });
        Self {
            by_hook: Arc::new(by_hook.collect()),
            context: context.clone(),
        }
    }
}

impl Executor {
    fn new(name: &str, hook: &Hook) -> Result<Self, String> {
        let url = Url::parse(hook.url.expose()).map_err(|_| "its url is no address".to_owned())?;
        let key = hook.key().map_err(|why| format!("its secret {why}"))?;
        let channel = format!("hook:{name}");
        let http = HttpReceiver::new(&channel, &url, Some(&hook.secret), TOTAL_TIMEOUT);
        Ok(Self {
            http: http.map_err(|error| error.to_string())?,
            key: Key::new(key),
            url,
        })
    }

    /// Asks it; returns what it answered.
    async fn ask(&self, id: Uuid, body: String, now: Timestamp) -> Result<String, SendError> {
        let (id, at) = (id.to_string(), now.0.div_euclid(1000));
        let request = self
            .http
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("tocsin/", env!("CARGO_PKG_VERSION")))
            .header("idempotency-key", &id)
            .header("webhook-id", &id)
            .header("webhook-timestamp", at)
            .header("webhook-signature", self.key.sign(&id, at, &body))
            .body(body);
        let answer = self
            .http
            .call(Instant::now, request, Reads::Refusals)
            .await?;
        self.http.outcome(Instant::now, &answer)
    }
}

/// One request.
///
/// # Errors
/// The executor cannot take it now, or never.
pub async fn handle(
    job: Execute,
    held: Data<Arc<JobHandle>>,
    executors: Data<Executors>,
) -> Result<(), JobError> {
    let context = &executors.context;
    let Some(request) = prepare(context, job.execution).await? else {
        return Ok(());
    };
    let hook = &request.execution.hook;
    let Some(executor) = executors.by_hook.get(hook) else {
        let why = format!("this process cannot use the hook {hook}");
        return give_up(context, &request, Reason::NoHook, why).await;
    };
    let body = request::body(context, &request);
    let mut span = context.tracer.start(
        SpanKind::Client,
        || "ask an executor".into(),
        task_context::trace(),
    );
    span.note("hook", || hook.clone());
    let asked = executor.ask(job.execution, body, context.clock.now()).await;
    if let Err(error) = &asked {
        span.fail(|| error.to_string());
    }
    let attempts = context.config.policy::<Execute>().attempts as usize;
    match asked {
        Ok(answer) => remember(context, &request, &answer).await,
        Err(SendError::Wait { after, why }) => Err(JobError::RetryAfter {
            after: after.min(WAIT_MAX),
            why,
        }),
        Err(SendError::Retry(why)) if held.failed.len() + 1 < attempts => Err(JobError::Retry(why)),
        Err(SendError::Retry(why)) => give_up(context, &request, Reason::Unreachable, why).await,
        Err(SendError::GiveUp(why)) => give_up(context, &request, Reason::Rejected, why).await,
    }
}

/// Looks whether the executor is to be asked still, and notes that it is; `None` if not.
async fn prepare(context: &Context, id: Uuid) -> Result<Option<Request>, JobError> {
    let Some(execution) = executions::find(context.db.read(), id).await? else {
        return Ok(None);
    };
    let tx = context.db.begin().await?;
    let locked = anomalies::lock(&tx, &execution.anomaly_key).await?;
    let found = incidents::find(&tx, execution.incident_id).await?;
    // As it is under the lock.
    let execution = executions::find(&tx, id).await?;
    let (Some((anomaly, now)), Some(incident), Some(execution)) = (locked, found, execution) else {
        return Ok(None);
    };
    // A dead letter that is replayed was given up.
    if !matches!(execution.state, State::Asking | State::Failed) {
        return Ok(None);
    }
    let now = context.clock.of_store(now);
    let request = Request {
        execution,
        incident,
        anomaly,
    };
    let (incident, anomaly) = (&request.incident, &request.anomaly);
    let of = &request.execution;
    if let Some(reason) = hindered(context, &tx, of, (incident, anomaly), now).await? {
        if reason == Reason::NoHook {
            let why = format!("the hook {} is not set up for it", of.hook);
            awaited::wait(of.wanted_at.unwrap_or(of.created_at), now, &why)?;
        }
        note_failure(context, &tx, &request, (reason, None), now).await?;
        tx.commit().await?;
        return Ok(None);
    }
    executions::sending(&tx, id, now).await?;
    tx.commit().await?;
    Ok(Some(request))
}

/// Notes that the executor took the request. Where that fails, the request comes again with the same key.
async fn remember(context: &Context, request: &Request, answer: &str) -> Result<(), JobError> {
    let db = context.db.write();
    let now = context.clock.of_store(maintenance::now(db).await?);
    let hook = context.config.repairs.hooks.get(&request.execution.hook);
    let within = hook.map(|hook| hook.within.0).unwrap_or_default();
    let id = request.execution.id;
    if executions::asked(db, id, answer, (now, now.after(within))).await? {
        context.metrics.count_execution(State::Asked, None);
        tracing::info!(
            execution.id = %id,
            incident.id = %request.incident.id,
            action = request.execution.action,
            hook = request.execution.hook,
            "an executor took an action to run"
        );
    }
    Ok(())
}

/// Notes that the executor will not be asked again: its job is a dead letter.
async fn give_up(
    context: &Context,
    request: &Request,
    reason: Reason,
    why: String,
) -> Result<(), JobError> {
    let tx = context.db.begin().await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    note_failure(context, &tx, request, (reason, Some(&why)), now).await?;
    tx.commit().await?;
    Err(JobError::GiveUp(why))
}

async fn note_failure(
    context: &Context,
    tx: &sea_orm::DatabaseTransaction,
    request: &Request,
    (reason, why): (Reason, Option<&str>),
    now: Timestamp,
) -> Result<(), JobError> {
    let of = &request.execution;
    if !executions::fail(tx, of.id, reason, why).await? {
        return Ok(());
    }
    let was_sent = of.sent_at.is_some() || why.is_some();
    let state = if was_sent {
        State::Failed
    } else {
        State::Refused
    };
    context.metrics.count_execution(state, Some(reason));
    let target = of.incident_id.to_string();
    let entry = AuditEntry {
        action: Action::FailExecution,
        target: &target,
        detail: json!({
            "execution": of.id, "action": of.action, "hook": of.hook, "reason": reason,
        }),
    };
    Ok(audit::record(tx, &itself(&of.hook), entry, now).await?)
}
