//! `tocsin mcp`: serves the Model Context Protocol on standard input and output, by the API of an instance.

use std::fs::File;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream as Socket;
use std::thread;

use anyhow::Context as _;
use axum::http::request::Parts;
use clap::Args;
use tocsin::web::mcp::{Api, ApiAnswer, ApiRequest, serve_lines};
use tokio::net::UnixStream;

use super::client::{Client, Remote};

/// Serve the Model Context Protocol (MCP) on standard input and output
///
/// An MCP client starts this command. Its tools read; with --operate, some change something, too.
#[derive(Debug, Args)]
pub struct McpArgs {
    /// Also offer the tools that acknowledge, mute and record repairs; needs an operator token, if tokens are set
    #[arg(long)]
    operate: bool,
    /// Who acts where a call does not say it, for the audit
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: Option<String>,
}

impl McpArgs {
    /// Serves until standard input ends. Standard output has nothing but MCP.
    ///
    /// # Errors
    /// What comes in is no MCP.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let api = Remotely {
            client: Client::new(remote)?,
            operate: self.operate,
            operator: self.operator.filter(|name| !name.trim().is_empty()),
        };
        let input = input().context("cannot read standard input")?;
        let output = io::stdout().as_fd().try_clone_to_owned();
        let output = output.context("cannot write to standard output")?;
        let output = tokio::fs::File::from_std(File::from(output));
        let served = serve_lines(api, input, output).await;
        served.context("the client does not speak MCP: it must begin with a line of JSON-RPC")
    }
}

/// Standard input, read by a thread of its own: the process can end while that waits for more.
fn input() -> io::Result<UnixStream> {
    let (mut writes, reads) = Socket::pair()?;
    reads.set_nonblocking(true)?;
    thread::spawn(move || {
        // If nobody reads any more, the process ends.
        let _ = io::copy(&mut io::stdin().lock(), &mut writes);
        let _ = writes.shutdown(Shutdown::Write);
    });
    UnixStream::from_std(reads)
}

/// Has an instance execute requests to the API.
struct Remotely {
    client: Client,
    operate: bool,
    operator: Option<String>,
}

impl Api for Remotely {
    async fn execute(&self, request: ApiRequest, _: Option<&Parts>) -> Result<ApiAnswer, String> {
        let answer = self.client.execute(&request).await;
        answer.map_err(|error| error.to_string())
    }

    fn may_operate(&self, _: Option<&Parts>) -> bool {
        self.operate
    }

    fn cannot_operate(&self) -> &'static str {
        "this tool is not offered: start tocsin mcp with --operate"
    }

    fn operator(&self) -> Option<&str> {
        self.operator.as_deref()
    }
}
