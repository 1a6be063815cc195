//! Senders that ask for an address to be fetched before they send anything: by us where the settings say so, else by
//! a person, to whom pages, log and command line show it.

use std::time::Duration;

use super::tallies::Tallies;
use crate::http_client;
use crate::sources::Confirmation;

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const ANSWER: usize = 4 << 10;
/// How many are fetched at a time; more are for a person.
static AT_ONCE: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(2);

/// Tells of what a source asks for, and does it after the answer if that is ours. It is asked again by a sender that
/// finds it undone.
pub(super) fn take(tallies: &Tallies, source: &str, asked: Confirmation) {
    let Confirmation { url, is_ours } = asked;
    tallies.asked(source, url.clone());
    let Some(room) = is_ours.then(|| AT_ONCE.try_acquire().ok()).flatten() else {
        tracing::warn!(
            source,
            url,
            "the sender asks for a confirmation before it sends alerts: open this address, if you subscribed it"
        );
        return;
    };
    let (tallies, source) = (tallies.clone(), source.to_owned());
    tokio::spawn(async move {
        match fetch(&url).await {
            Ok(()) => {
                tallies.asked(&source, String::new());
                tracing::info!(source, "confirmed the sender's subscription");
            }
            Err(why) => {
                tracing::warn!(
                    source,
                    url,
                    "cannot confirm the sender's subscription, open this address: {why}"
                );
            }
        }
        drop(room);
    });
}

/// Fetches an address and nothing that it may lead to.
async fn fetch(url: &str) -> Result<(), String> {
    let fetched = async {
        let client = http_client::builder().build()?;
        let answer = client.get(url).send().await?;
        let status = answer.status();
        http_client::read(answer, ANSWER).await;
        Ok::<_, reqwest::Error>(status)
    };
    match tokio::time::timeout(PATIENCE, fetched).await {
        Ok(Ok(status)) if status.is_success() => Ok(()),
        Ok(Ok(status)) => Err(format!("it answered {status}")),
        Ok(Err(error)) => Err(http_client::causes(&error.without_url())),
        Err(_) => Err("it does not respond".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::{method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    #[tokio::test]
    async fn an_address_is_fetched_and_not_what_it_leads_to() {
        let server = MockServer::start().await;
        let answers = |at: &str, status| {
            let answer = ResponseTemplate::new(status).insert_header("location", "/inside");
            Mock::given(method("GET"))
                .and(path(at))
                .respond_with(answer)
        };
        answers("/yes", 200).expect(1).mount(&server).await;
        answers("/elsewhere", 302).expect(1).mount(&server).await;
        answers("/inside", 200).expect(0).mount(&server).await;
        assert_eq!(fetch(&format!("{}/yes", server.uri())).await, Ok(()));
        let refused = fetch(&format!("{}/elsewhere", server.uri()))
            .await
            .unwrap_err();
        assert!(refused.starts_with("it answered 302"), "{refused}");
    }
}
