//! A real Alertmanager, to compare with: how fast does its own API take alerts?

use std::net::SocketAddr;
use std::process::Command;

use super::http;
use super::process::{Folder, Missing, Process, find, free_address, version};

const CONFIG: &str = "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n";
/// Debian's name for it, and its own.
const NAMES: [&str; 2] = ["prometheus-alertmanager", "alertmanager"];

/// An Alertmanager that tells nobody.
pub(super) struct Alertmanager {
    pub(super) address: SocketAddr,
    process: Process,
    _folder: Folder,
}

impl Alertmanager {
    pub(super) async fn start(folder: Folder) -> anyhow::Result<Self> {
        let program = NAMES.into_iter().find_map(find).ok_or(Missing {
            program: "Alertmanager",
            package: "prometheus-alertmanager",
        })?;
        let config = folder.path().join("alertmanager.yml");
        std::fs::write(&config, CONFIG)?;
        let address = free_address()?;
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .arg("--log.level=warn");
        let mut process = Process::start("alertmanager", command, folder.path())?;
        let asked = async || http::call(address, "GET", "/-/ready").await.is_ok();
        process.ready(asked).await?;
        Ok(Self {
            address,
            process,
            _folder: folder,
        })
    }

    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        self.process.check()
    }

    /// The version that is installed.
    pub(super) fn version() -> Option<String> {
        let said = version(&NAMES.into_iter().find_map(find)?)?;
        let mut words = said.split_whitespace();
        words.find(|word| *word == "version")?;
        words.next().map(str::to_owned)
    }
}
