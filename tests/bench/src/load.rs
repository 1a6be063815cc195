//! The load: alerts posted over several connections, as fast as they are answered or at a pace.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tocsin::time::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::body::{Bodies, Shape};
use crate::http::{Connection, refusal, write_request};
use crate::progress::Progress;

/// The pause before a request that was answered with 503 is sent again.
const AGAIN: Duration = Duration::from_millis(100);
/// Connections where each sends again as soon as it was answered.
pub(crate) const AS_FAST_AS_ANSWERED: usize = 16;
/// Connections where a rate is to be kept up, however long answers take.
pub(crate) const AT_A_PACE: usize = 64;
/// How often is looked how far it is.
const LOOK: Duration = Duration::from_millis(200);

/// What is to be posted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// To whom.
    pub(crate) address: SocketAddr,
    /// In whose words.
    pub(crate) shape: Shape,
    /// Alerts per request.
    pub(crate) together: usize,
    /// Connections.
    pub(crate) connections: usize,
    /// Alerts per second; none: as fast as they are answered.
    pub(crate) rate: Option<f64>,
    /// How many; none: until it is stopped.
    pub(crate) alerts: Option<u64>,
}

/// A load that runs. Ends when it is dropped.
pub(crate) struct Load {
    posting: Arc<Posting>,
    connections: JoinSet<anyhow::Result<()>>,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    /// Alerts that were answered with 200.
    pub(crate) accepted: u64,
    /// Requests that were answered with 503 and sent again.
    pub(crate) refused: u64,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
}

impl Tally {
    /// Accepted alerts per second.
    pub(crate) fn rate(&self) -> f64 {
        self.accepted as f64 / self.took.as_secs_f64().max(f64::EPSILON)
    }
}

struct Posting {
    plan: Plan,
    bodies: Bodies,
    began: Instant,
    /// What makes this load's firings other than those of the one before.
    salt: u64,
    requests: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    stop: CancellationToken,
}

impl Load {
    pub(crate) fn start(plan: Plan) -> Self {
        let posting = Arc::new(Posting {
            plan,
            bodies: Bodies::new(plan.shape),
            began: Instant::now(),
            salt: u64::from(rand::random::<u32>()) << 32,
            requests: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            stop: CancellationToken::new(),
        });
        let mut connections = JoinSet::new();
        for _ in 0..plan.connections {
            connections.spawn(post(Arc::clone(&posting)));
        }
        Self {
            posting,
            connections,
        }
    }

    /// Alerts that were accepted so far.
    pub(crate) fn accepted(&self) -> u64 {
        self.posting.accepted.load(Ordering::Relaxed)
    }

    /// Whether all goes well; an error is what ended a connection.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        while let Some(ended) = self.connections.try_join_next() {
            ended??;
        }
        Ok(())
    }

    /// Lets it run for so long.
    pub(crate) async fn run_for(
        &mut self,
        duration: Duration,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let until = Instant::now() + duration;
        while Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            tokio::time::sleep(LOOK.min(left)).await;
            self.check()?;
            progress.show(&self.words());
        }
        Ok(())
    }

    /// Waits until everything that was planned is accepted.
    pub(crate) async fn run_to_end(mut self, progress: &Progress) -> anyhow::Result<Tally> {
        while !self.connections.is_empty() {
            tokio::time::sleep(LOOK / 10).await;
            self.check()?;
            progress.show(&self.words());
        }
        Ok(self.tally())
    }

    /// Ends it, and waits for the answers that are under way.
    pub(crate) async fn stop(mut self) -> anyhow::Result<Tally> {
        self.posting.stop.cancel();
        while let Some(ended) = self.connections.join_next().await {
            ended??;
        }
        Ok(self.tally())
    }

    fn tally(&self) -> Tally {
        Tally {
            accepted: self.accepted(),
            refused: self.posting.refused.load(Ordering::Relaxed),
            took: self.posting.began.elapsed(),
        }
    }

    fn words(&self) -> String {
        let tally = self.tally();
        format!("{} alerts, {:.0}/s", tally.accepted, tally.rate())
    }
}

impl Posting {
    /// The next request's number, if there is one.
    fn next(&self) -> Option<u64> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let before = number * self.plan.together as u64;
        let is_over = self.plan.alerts.is_some_and(|alerts| before >= alerts);
        (!is_over).then_some(number)
    }

    /// Waits until it is time for that request.
    async fn turn(&self, number: u64) {
        let Some(rate) = self.plan.rate else { return };
        let due = number as f64 * self.plan.together as f64 / rate;
        let due = self.began + Duration::from_secs_f64(due);
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
    }
}

/// One connection: one request after the other, until it is over.
async fn post(posting: Arc<Posting>) -> anyhow::Result<()> {
    let plan = &posting.plan;
    let path = match plan.shape {
        Shape::Webhook => "/api/v1/alertmanager",
        Shape::Alertmanager => "/api/v2/alerts",
    };
    let mut connection = Connection::open(plan.address).await?;
    let size = Bodies::size(plan.together);
    let (mut body, mut request) = (Vec::with_capacity(size), Vec::with_capacity(size + 200));
    while let Some(number) = posting.next() {
        tokio::select! {
            () = posting.stop.cancelled() => break,
            () = posting.turn(number) => {}
        }
        let first = posting.salt + number * plan.together as u64;
        let now = Timestamp::now().to_rfc3339();
        posting.bodies.write(&mut body, plan.together, first, &now);
        write_request(&mut request, "POST", path, &body);
        loop {
            let answer = connection.send(&request).await;
            let answer = answer.with_context(|| format!("posting to http://{}", plan.address))?;
            match answer.status {
                200 => break,
                503 => posting.refused.fetch_add(1, Ordering::Relaxed),
                _ => bail!("a post was answered with {}", refusal(&answer)),
            };
            tokio::select! {
                () = posting.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
        let together = plan.together as u64;
        posting.accepted.fetch_add(together, Ordering::Relaxed);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::{method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    async fn post_to(server: &MockServer, alerts: u64) -> anyhow::Result<Tally> {
        let load = Load::start(Plan {
            address: *server.address(),
            shape: Shape::Webhook,
            together: 5,
            connections: 3,
            rate: None,
            alerts: Some(alerts),
        });
        load.run_to_end(&Progress::new()?).await
    }

    fn webhook() -> wiremock::MockBuilder {
        Mock::given(method("POST")).and(path("/api/v1/alertmanager"))
    }

    #[tokio::test]
    async fn every_alert_is_posted_once_and_again_if_it_was_refused_for_now() {
        let server = MockServer::start().await;
        let refuse = webhook().respond_with(ResponseTemplate::new(503));
        refuse.up_to_n_times(2).mount(&server).await;
        let take = webhook().respond_with(ResponseTemplate::new(200).set_body_string("{}"));
        take.mount(&server).await;
        let tally = post_to(&server, 50).await.unwrap();
        assert_eq!((tally.accepted, tally.refused), (50, 2));
        assert_eq!(server.received_requests().await.unwrap().len(), 12);
    }

    #[tokio::test]
    async fn any_other_answer_ends_it() {
        let server = MockServer::start().await;
        let refuse =
            webhook().respond_with(ResponseTemplate::new(413).set_body_string("too large"));
        refuse.mount(&server).await;
        let error = post_to(&server, 50).await.unwrap_err().to_string();
        assert_eq!(error, "a post was answered with HTTP 413: too large");
    }
}
