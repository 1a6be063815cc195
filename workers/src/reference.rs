//! Completions for shells, manual pages, the API's description.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use tocsin::web::description;

/// Where the completions go.
#[derive(clap::Args)]
pub(crate) struct CompletionsArgs {
    /// Shell to complete for.
    #[arg(value_enum)]
    shell: Shell,
}

/// Where the manual goes.
#[derive(clap::Args)]
pub(crate) struct ManArgs {
    /// Folder to write one page per command to; default: print the main page.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

/// Prints what a shell reads to complete our commands.
pub(crate) fn completions(mut program: Command, args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "tocsin", &mut script);
    print(&script)
}

/// Prints the manual's first page, or writes all of them.
pub(crate) fn manual(program: Command, args: &ManArgs) -> anyhow::Result<()> {
    let Some(folder) = &args.dir else {
        let mut page = Vec::new();
        Man::new(program).render(&mut page)?;
        return print(&page);
    };
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    clap_mangen::generate_to(program, folder)
        .with_context(|| format!("cannot write to {}", folder.display()))
}

/// Prints the API's description.
pub(crate) fn openapi() -> anyhow::Result<()> {
    print(format!("{:#}\n", description()).as_bytes())
}

/// The reader may have closed the pipe.
fn print(text: &[u8]) -> anyhow::Result<()> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::{CommandFactory as _, ValueEnum as _};

    use super::*;
    use crate::Cli;

    #[test]
    fn the_commands_are_in_order() {
        Cli::command().debug_assert();
    }

    #[test]
    fn there_is_a_page_for_every_command() {
        let folder = std::env::temp_dir().join(format!("tocsin-man-{}", std::process::id()));
        let args = ManArgs {
            dir: Some(folder.clone()),
        };
        manual(Cli::command(), &args).unwrap();
        for (page, says) in [
            ("tocsin", "tocsin\\-incidents"),
            ("tocsin-incidents-acknowledge", "Acknowledge incidents"),
            ("tocsin-migrate-down", "Revert"),
        ] {
            let text = std::fs::read_to_string(folder.join(format!("{page}.1"))).unwrap();
            assert!(text.contains(&format!(".TH {page} 1")), "{text}");
            assert!(text.contains(says), "{page}: {text}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn every_shell_can_complete_what_is_below_a_command() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "tocsin", &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(
                script.contains("permanent") || script.contains("unfix"),
                "{shell}"
            );
        }
    }
}
