//! A client of the official SDK: by HTTP, and of a process that it starts.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use futures::stream::BoxStream;
use reqwest::header::{ACCEPT, HeaderName, HeaderValue};
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientJsonRpcMessage, ContentBlock, ProtocolVersion,
};
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpClientTransportConfig, StreamableHttpError,
    StreamableHttpPostResponse,
};
use rmcp::{ClientLifecycleMode, ClientServiceExt as _, RoleClient, ServiceError};
use serde_json::Value;
use sse_stream::Sse;

use crate::process;

/// As most clients begin, and as those of the newest revision do.
pub fn lifecycles() -> [ClientLifecycleMode; 2] {
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    [
        ClientLifecycleMode::Initialize,
        ClientLifecycleMode::Discover { preferred_versions },
    ]
}

/// A client that is connected.
pub struct Client {
    running: RunningService<RoleClient, ()>,
    /// The server, if it was started for this client.
    child: Option<Child>,
}

impl Client {
    /// By HTTP.
    pub async fn by_http(
        url: &str,
        token: Option<&str>,
        lifecycle: ClientLifecycleMode,
    ) -> Result<Self, String> {
        let config = StreamableHttpClientTransportConfig::with_uri(format!("{url}/mcp"));
        let config = match token {
            Some(token) => config.auth_header(token),
            None => config,
        };
        let http = Http(tocsin::tls::client().build().unwrap());
        let transport = StreamableHttpClientTransport::with_client(http, config);
        let running = ().serve_with_lifecycle(transport, lifecycle).await;
        let running = running.map_err(|error| format!("{error:?}"))?;
        Ok(Self {
            running,
            child: None,
        })
    }

    /// Of `tocsin mcp` with these arguments and environment.
    pub async fn of_program(
        arguments: &[&str],
        environment: &[(&str, &str)],
        lifecycle: ClientLifecycleMode,
    ) -> Self {
        let mut child = Command::new(process::program())
            .arg("mcp")
            .args(arguments)
            .envs(environment.iter().copied())
            .env("USER", "kim")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let file = |pipe: OwnedFd| tokio::fs::File::from_std(File::from(pipe));
        let output = file(child.stdout.take().unwrap().into());
        let input = file(child.stdin.take().unwrap().into());
        let running = ().serve_with_lifecycle((output, input), lifecycle).await;
        Self {
            running: running.unwrap(),
            child: Some(child),
        }
    }

    pub fn instructions(&self) -> String {
        let server = self.running.peer_info().unwrap();
        server.instructions.clone().unwrap_or_default()
    }

    /// The tools that are offered, by name, with whether they only read.
    pub async fn tools(&self) -> Vec<(String, bool)> {
        let tools = self.running.list_all_tools().await.unwrap();
        let told = tools.into_iter().map(|tool| {
            let only_reads = tool.annotations.and_then(|hints| hints.read_only_hint);
            (tool.name.into_owned(), only_reads.unwrap())
        });
        told.collect()
    }

    /// Calls a tool: its result, or its error.
    pub async fn call(&self, name: &str, arguments: Value) -> Result<Value, String> {
        let result = self.ask(name, arguments).await;
        let result = result.unwrap_or_else(|error| panic!("{name}: {error}"));
        let [ContentBlock::Text(text)] = &result.content[..] else {
            panic!("{name}: {result:?}");
        };
        if result.is_error == Some(true) {
            return Err(text.text.clone());
        }
        Ok(serde_json::from_str(&text.text).unwrap())
    }

    pub async fn ask(&self, name: &str, arguments: Value) -> Result<CallToolResult, ServiceError> {
        let mut request = CallToolRequestParams::new(name.to_owned());
        request.arguments = arguments.as_object().cloned();
        self.running.call_tool(request).await
    }

    /// Says no more. A process that was started for it ends, too.
    pub async fn leave(self) {
        self.running.cancel().await.unwrap();
        if let Some(mut child) = self.child {
            let ended = tokio::task::spawn_blocking(move || child.wait());
            assert!(ended.await.unwrap().unwrap().success());
        }
    }
}

/// The SDK's HTTP client with the HTTP library as it is built here.
#[derive(Clone)]
struct Http(reqwest::Client);

type Failed = StreamableHttpError<reqwest::Error>;
type Headers = HashMap<HeaderName, HeaderValue>;

impl StreamableHttpClient for Http {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        url: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        token: Option<String>,
        headers: Headers,
    ) -> Result<StreamableHttpPostResponse, Failed> {
        assert_eq!(session, None);
        let mut request = self.0.post(&*url).json(&message);
        request = request.header(ACCEPT, "application/json, text/event-stream");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(Failed::Client)?;
        let status = response.status();
        let text = response.text().await.map_err(Failed::Client)?;
        match status.as_u16() {
            200 => {
                let message = serde_json::from_str(&text).unwrap();
                Ok(StreamableHttpPostResponse::Json(message, None))
            }
            202 => Ok(StreamableHttpPostResponse::Accepted),
            status => Err(Failed::UnexpectedServerResponse(
                format!("{status}: {text}").into(),
            )),
        }
    }

    async fn delete_session(
        &self,
        _: Arc<str>,
        _: Arc<str>,
        _: Option<String>,
        _: Headers,
    ) -> Result<(), Failed> {
        Err(Failed::ServerDoesNotSupportDeleteSession)
    }

    async fn get_stream(
        &self,
        _: Arc<str>,
        _: Option<Arc<str>>,
        _: Option<String>,
        _: Option<String>,
        _: Headers,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, Failed> {
        Err(Failed::ServerDoesNotSupportSse)
    }
}
