//! A real Alertmanager, to compare with: how fast does its own API take alerts?

use std::net::SocketAddr;

use tocsin_kit::folder::Folder;
use tocsin_kit::process::Process;
use tocsin_kit::{alertmanager, port};

use crate::http;
use crate::launch::start;

const CONFIG: &str = "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n";
/// An Alertmanager whose notifications go nowhere.
pub(crate) struct Alertmanager {
    pub(crate) address: SocketAddr,
    process: Process,
    _folder: Folder,
}

impl Alertmanager {
    pub(crate) async fn start(folder: Folder) -> anyhow::Result<Self> {
        let config = folder.path().join("alertmanager.yml");
        std::fs::write(&config, CONFIG)?;
        let port = port::free();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = alertmanager::command(&config, folder.path(), port)?;
        command.arg("--log.level=warn");
        let mut process = start("alertmanager", command, folder.path())?;
        let is_ready = async || http::call(address, "GET", "/-/ready").await.is_ok();
        process.ready(is_ready).await?;
        Ok(Self {
            address,
            process,
            _folder: folder,
        })
    }

    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        self.process.check()
    }
}
