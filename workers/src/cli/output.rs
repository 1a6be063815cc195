//! Output on the standard output.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

/// Prints `text` and ends the line. A reader that went away (`| head`) is no error.
///
/// # Errors
/// It cannot be written.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Prints a body as it comes. A reader that went away is no error.
pub(super) async fn stream(mut response: reqwest::Response) -> anyhow::Result<()> {
    while let Some(chunk) = response.chunk().await? {
        let mut out = io::stdout().lock();
        match out.write_all(&chunk).and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
            result => result?,
        }
    }
    Ok(())
}

/// Prints `value` as JSON, for programs.
///
/// # Errors
/// It cannot be written.
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&serde_json::to_string_pretty(value)?)?;
    Ok(())
}
