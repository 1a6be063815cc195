//! Asking a person before much is changed at once.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::ensure;

/// Whether a person wants `verb` done to `what`.
///
/// # Errors
/// There is no terminal to ask at.
pub(super) fn is_wanted(verb: &str, what: &str) -> anyhow::Result<bool> {
    ensure!(
        io::stdin().is_terminal() && io::stderr().is_terminal(),
        "cannot ask for confirmation without a terminal: pass --yes to {verb} {what}"
    );
    eprint!("{} {what}? [y/N] ", capitalised(verb));
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}

fn capitalised(verb: &str) -> String {
    let mut chars = verb.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}
