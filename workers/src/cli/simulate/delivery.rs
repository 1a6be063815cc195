//! One request of the storm: sent, and sent again for as long as that can help.

use std::time::{Duration, Instant};

use tocsin::config::Secret;
use tokio_util::sync::CancellationToken;

use super::super::client::Client;
use super::super::error::Error;
use super::super::fields::number;

/// So often a request is sent at most.
const ATTEMPTS: u32 = 8;
/// The wait before the second attempt; doubled for each that follows.
const BACKOFF: Duration = Duration::from_millis(200);
/// The longest wait, whatever the instance asks for.
const LONGEST: Duration = Duration::from_secs(10);

/// Sends requests. Waits end when the storm is stopped.
#[derive(Clone)]
pub(super) struct Sender {
    client: Client,
    token: Option<Secret>,
    stop: CancellationToken,
}

/// What became of one request.
#[derive(Debug)]
pub(super) struct Delivery {
    /// The episode of each of its alerts.
    pub(super) episodes: Vec<usize>,
    /// What was answered last.
    pub(super) answer: Result<Answer, Error>,
    /// How often it was sent again.
    pub(super) retries: u32,
    /// How long each answered attempt took.
    pub(super) latencies: Vec<Duration>,
}

/// What the ingress says that it did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// Alerts that are queued.
    pub(super) enqueued: u64,
    /// Alerts that it cannot use.
    pub(super) rejected: u64,
}

impl Sender {
    pub(super) fn new(client: Client, token: Option<Secret>, stop: CancellationToken) -> Self {
        let token = token.filter(|token| !token.expose().is_empty());
        Self {
            client,
            token,
            stop,
        }
    }

    /// Sends `body`, which carries `episodes`.
    pub(super) async fn deliver(self, body: Vec<u8>, episodes: Vec<usize>) -> Delivery {
        let mut delivery = Delivery {
            episodes,
            answer: Err(Error::Unanswered {
                base: self.client.instance(),
                why: "not sent".to_owned(),
            }),
            retries: 0,
            latencies: Vec::new(),
        };
        loop {
            delivery.answer = self.attempt(&body, &mut delivery.latencies).await;
            let Err(error) = &delivery.answer else {
                return delivery;
            };
            let is_over = !error.is_passing() || delivery.retries + 1 == ATTEMPTS;
            if is_over || !self.waited(pause(error, delivery.retries)).await {
                return delivery;
            }
            delivery.retries += 1;
        }
    }

    async fn attempt(&self, body: &[u8], latencies: &mut Vec<Duration>) -> Result<Answer, Error> {
        let began = Instant::now();
        let answer = self
            .client
            .post_webhook(body.to_vec(), self.token.as_ref())
            .await?;
        latencies.push(began.elapsed());
        let count = |field: &str| {
            let count = number(&answer, field).unwrap_or_default();
            u64::try_from(count).unwrap_or_default()
        };
        Ok(Answer {
            enqueued: count("/enqueued"),
            rejected: count("/rejected"),
        })
    }

    /// Waits; false if the storm was stopped meanwhile.
    async fn waited(&self, pause: Duration) -> bool {
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }
}

fn pause(error: &Error, retries: u32) -> Duration {
    let backoff = || (BACKOFF * 2_u32.pow(retries)).mul_f64(rand::random_range(0.75..1.25));
    error.retry_after().unwrap_or_else(backoff).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::matchers::{body_string, header, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    fn sender(server: &MockServer) -> Sender {
        let token = Some(Secret::from("hook"));
        Sender::new(Client::of(&server.uri()), token, CancellationToken::new())
    }

    #[tokio::test]
    async fn a_full_queue_is_tried_again_when_it_says() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(503).insert_header("Retry-After", "0"))
            .up_to_n_times(2)
            .mount(&server)
            .await;
        let answer = json!({"status": "ok", "processed": 3, "enqueued": 2, "rejected": 1});
        Mock::given(path("/api/v1/alertmanager"))
            .and(header("Authorization", "Bearer hook"))
            .and(header("Content-Type", "application/json"))
            .and(body_string("{}"))
            .respond_with(ResponseTemplate::new(200).set_body_json(answer))
            .expect(1)
            .mount(&server)
            .await;
        let delivery = sender(&server).deliver(b"{}".to_vec(), vec![4, 5, 6]).await;
        let answer = delivery.answer.unwrap();
        assert_eq!((answer.enqueued, answer.rejected), (2, 1));
        assert_eq!((delivery.retries, delivery.latencies.len()), (2, 1));
        assert_eq!(delivery.episodes, [4, 5, 6]);
    }

    #[tokio::test]
    async fn a_refusal_is_not_tried_again() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(413))
            .expect(1)
            .mount(&server)
            .await;
        let delivery = sender(&server).deliver(b"{}".to_vec(), vec![1]).await;
        let message = delivery.answer.unwrap_err().to_string();
        assert_eq!(message, "Payload Too Large (HTTP 413)");
        assert_eq!(delivery.retries, 0);
    }

    #[tokio::test]
    async fn trying_again_ends_when_the_storm_is_stopped() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(503).insert_header("Retry-After", "600"))
            .expect(1)
            .mount(&server)
            .await;
        let sender = sender(&server);
        sender.stop.cancel();
        let delivery = sender.deliver(b"{}".to_vec(), vec![1]).await;
        assert!(delivery.answer.is_err());
    }

    #[test]
    fn no_wait_is_longer_than_the_longest() {
        let lost = Error::Unanswered {
            base: String::new(),
            why: String::new(),
        };
        assert!(pause(&lost, 0) <= BACKOFF * 2);
        assert_eq!(pause(&lost, ATTEMPTS), LONGEST);
    }
}
