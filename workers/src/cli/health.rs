//! `tocsin health`: whether a process can do its work, for whatever watches over it.

use clap::Args;
use tocsin::config::{Config, ConfigError};

use super::client::{Client, on_this_computer};
use super::fields::{plain, text};
use super::output::print;

/// Check whether a process is ready; exit with 0 or 1
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// URL of the process; default: metrics_listen, else listen, from the settings
    #[arg(long, env = "TOCSIN_URL")]
    url: Option<String>,
}

impl HealthArgs {
    /// Asks once. `config` reads the settings, if it takes them to know whom to ask.
    ///
    /// # Errors
    /// The process does not answer within three seconds, or names what is not ready; or the
    /// settings are refused.
    pub async fn run(
        self,
        config: impl FnOnce() -> Result<Config, ConfigError>,
    ) -> anyhow::Result<()> {
        let url = match self.url {
            Some(url) => url,
            None => url_of(&config()?),
        };
        let answer = Client::at(&url, None)?.ready().await?;
        print(&text(&answer, "/status"))?;
        let warnings = answer["warnings"].as_array().into_iter().flatten();
        for warning in warnings.filter_map(serde_json::Value::as_str) {
            eprintln!("warning: {}", plain(warning));
        }
        for paused in answer["paused_queues"].as_array().into_iter().flatten() {
            eprintln!("note: {}", text(paused, "/note"));
        }
        Ok(())
    }
}

/// Where a process with these settings is reached from its own computer.
fn url_of(config: &Config) -> String {
    on_this_computer(config.metrics_listen.unwrap_or(config.listen))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wiremock::matchers::{method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    async fn ask(status: u16, says: Value) -> anyhow::Result<()> {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .and(path("/base/readyz"))
            .respond_with(ResponseTemplate::new(status).set_body_json(says))
            .expect(1)
            .mount(&server)
            .await;
        let args = HealthArgs {
            url: Some(format!("{}/base", server.uri())),
        };
        args.run(|| panic!("the settings are not needed")).await
    }

    #[tokio::test]
    async fn a_process_that_is_ready_is_healthy() {
        ask(200, json!({"status": "ready"})).await.unwrap();
    }

    #[tokio::test]
    async fn an_unhealthy_instance_is_reported_with_its_problems() {
        let says = json!({"title": "Service Unavailable", "detail": "not ready: store"});
        let message = ask(503, says).await.unwrap_err().to_string();
        assert_eq!(message, "not ready: store (HTTP 503)");
    }

    #[tokio::test]
    async fn a_collector_that_hangs_is_not_waited_for() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = Config {
            listen: silent.local_addr().unwrap(),
            ..Config::default()
        };
        let error = HealthArgs { url: None }.run(|| Ok(config)).await;
        let message = error.unwrap_err().to_string();
        assert!(message.ends_with("timed out"), "{message}");
    }

    #[test]
    fn the_settings_say_whom_to_ask() {
        let mut config = Config::default();
        assert_eq!(url_of(&config), "http://127.0.0.1:9099");
        config.listen = "[::]:80".parse().unwrap();
        assert_eq!(url_of(&config), "http://[::1]:80");
        config.metrics_listen = Some("0.0.0.0:9101".parse().unwrap());
        assert_eq!(url_of(&config), "http://127.0.0.1:9101");
    }
}
