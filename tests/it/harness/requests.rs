//! A test's requests: by HTTP, by SQL, of the metrics, by the command line.

use std::process::Stdio;

use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use tocsin::context::Context;

use super::{Harness, body};
use crate::process;

impl Harness {
    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.url)).json(&body);
        answer(request.send().await.unwrap()).await
    }

    pub async fn get(&self, path: &str) -> Value {
        let response = self
            .http
            .get(format!("{}{path}", self.url))
            .send()
            .await
            .unwrap();
        let (status, body) = answer(response).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Posts alerts as Alertmanager does, and expects all of them to be taken.
    pub async fn send(&self, alerts: Vec<Value>) {
        let n = alerts.len();
        let (status, taken) = self.post("/api/v1/alertmanager", body(&alerts)).await;
        assert_eq!((status, &taken["enqueued"]), (200, &json!(n)), "{taken}");
    }

    /// Posts alerts and waits until all that follows is done.
    pub async fn send_and_drain(&self, alerts: Vec<Value>) {
        self.send(alerts).await;
        self.drain().await;
    }

    pub async fn incidents(&self) -> Vec<Value> {
        let list = self.get("/api/v1/incidents?limit=200").await;
        list["items"].as_array().unwrap().clone()
    }

    /// The one incident that there is.
    pub async fn incident(&self) -> Value {
        let mut incidents = self.incidents().await;
        assert_eq!(incidents.len(), 1, "{incidents:#?}");
        incidents.remove(0)
    }

    /// A number that a query finds.
    pub async fn sql(&self, query: &str) -> i64 {
        number(&self.context, query).await
    }

    /// A text that a query finds.
    pub async fn sql_text(&self, query: &str) -> String {
        let db = self.context.db.read();
        let query = Statement::from_string(db.get_database_backend(), query);
        let row = db.query_one_raw(query).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    /// Changes rows behind the instance's back.
    pub async fn execute(&self, sql: &str) {
        self.context
            .db
            .write()
            .execute_unprepared(sql)
            .await
            .unwrap();
    }

    /// Measures the figures of the stores once.
    pub async fn measure_figures(&self) {
        let (stores, metrics) = (self.context.stores(), &self.context.metrics);
        self.context.figures.pass(&stores, metrics).await;
    }

    /// What `/metrics` says, with figures that are measured now.
    pub async fn metrics(&self) -> String {
        self.measure_figures().await;
        self.metrics_as_they_are().await
    }

    /// What `/metrics` says, with figures as they were measured last.
    pub async fn metrics_as_they_are(&self) -> String {
        let response = self
            .http
            .get(format!("{}/metrics", self.url))
            .send()
            .await
            .unwrap();
        response.text().await.unwrap()
    }

    /// Whether the program succeeds with these arguments and this instance, and its output.
    pub fn tocsin(&self, arguments: &[&str]) -> (bool, String) {
        let ended = std::process::Command::new(process::program())
            .args(arguments)
            .env("TOCSIN_URL", &self.url)
            .env("USER", "kim")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [ended.stdout, ended.stderr].concat();
        let code = ended.status.code();
        assert!(matches!(code, Some(0 | 1)), "{arguments:?}: {code:?}");
        (code == Some(0), String::from_utf8_lossy(&said).into_owned())
    }
}

pub async fn answer(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

pub async fn number(context: &Context, query: &str) -> i64 {
    let db = context.db.read();
    let query = Statement::from_string(db.get_database_backend(), query);
    let row = db.query_one_raw(query).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}
