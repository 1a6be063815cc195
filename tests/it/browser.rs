//! A browser for one test: Chromium without a window, driven over WebDriver.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thirtyfour::common::capabilities::chromium::ChromiumLikeCapabilities as _;
use thirtyfour::prelude::*;

use crate::process::{Folder, PATIENCE, folder, free_port};

/// Runs axe-core. What it does to judge contrast is 30 s of work on the page of the API, whose operations look alike: of
/// those it is judged on the ones that together have every element of every class in every place.
const JUDGE: &str = "
    const done = arguments[arguments.length - 1];
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
    const lines = (found) => found.violations.flatMap((v) => v.nodes.map((n) =>
        `${v.id}: ${n.html.slice(0, 200)} ${n.failureSummary}`));
    const name = (e) => `${e.tagName}.${e.className}`;
    const path = (e) => `${name(e.parentElement.parentElement)} ${name(e.parentElement)} ${name(e)}`;
    const judge = (options) => axe.run({resultTypes: ['violations'], ...options}).then(lines);
    const operations = document.querySelectorAll('.op');
    if (operations.length === 0) {
        judge({runOnly: tags}).then(done, (e) => done([String(e)]));
        return;
    }
    const contrast = 'color-contrast';
    judge({runOnly: tags, rules: {[contrast]: {enabled: false}}}).then((first) => {
        const seen = new Set();
        for (const one of operations) {
            const before = seen.size;
            one.querySelectorAll('*').forEach((e) => seen.add(path(e)));
            if (seen.size === before) one.remove();
        }
        return judge({runOnly: {type: 'rule', values: [contrast]}}).then((second) => done(first.concat(second)));
    }).catch((e) => done([String(e)]));";

/// Chromium and its driver, which end with the test.
pub struct Browser {
    pub driver: WebDriver,
    url: String,
    process: Child,
    _profile: Folder,
}

impl Browser {
    /// A new browser that knows nothing, for the Tocsin at `url`.
    pub async fn start(url: &str) -> Self {
        let program = std::env::var("TOCSIN_TEST_CHROMEDRIVER")
            .expect("TOCSIN_TEST_CHROMEDRIVER is not set: run ./scripts/test, which installs it");
        let (port, profile) = (free_port(), folder());
        let process = Command::new(program)
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut capabilities = DesiredCapabilities::chrome();
        for argument in [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--lang=en",
        ] {
            capabilities.add_arg(argument).unwrap();
        }
        let folder = format!("--user-data-dir={}", profile.path().display());
        capabilities.add_arg(&folder).unwrap();
        let (began, server) = (Instant::now(), format!("http://127.0.0.1:{port}"));
        let driver = loop {
            match WebDriver::new(&server, capabilities.clone()).await {
                Ok(driver) => break driver,
                Err(error) => assert!(began.elapsed() < PATIENCE, "no browser: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        // What axe-core has to say of a long page takes a busy machine longer than the 30 s of WebDriver.
        let long = Duration::from_secs(180);
        driver.set_script_timeout(long).await.unwrap();
        Self {
            driver,
            url: url.to_owned(),
            process,
            _profile: profile,
        }
    }

    pub async fn open(&self, path: &str) {
        let url = format!("{}{path}", self.url);
        self.driver.goto(url).await.unwrap();
    }

    /// The page's address, without the server's.
    pub async fn address(&self) -> String {
        let url = self.driver.current_url().await.unwrap();
        url.as_str().strip_prefix(&self.url).unwrap().to_owned()
    }

    /// The first element that fits, as soon as there is one: a page may still be on its way.
    pub async fn element(&self, css: &str) -> WebElement {
        let began = Instant::now();
        loop {
            match self.driver.find(By::Css(css)).await {
                Ok(element) => return element,
                Err(_) if began.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(error) => panic!("{css}: {error}\n{}", self.page().await),
            }
        }
    }

    /// What can be read on the page.
    pub async fn page(&self) -> String {
        let body = self.driver.find(By::Css("body")).await.unwrap();
        body.text().await.unwrap()
    }

    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.element(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Clicks, once more where what was found was replaced meanwhile.
    pub async fn click(&self, css: &str) {
        let began = Instant::now();
        while let Err(error) = self.element(css).await.click().await {
            assert!(began.elapsed() < PATIENCE, "{css}: {error}");
        }
    }

    /// Waits until the page says `text`; returns how long that took.
    pub async fn wait_for(&self, text: &str) -> Duration {
        let began = Instant::now();
        loop {
            // A page that is on its way is none yet.
            let body = match self.driver.find(By::Css("body")).await {
                Ok(body) => body.text().await.unwrap_or_default(),
                Err(_) => String::new(),
            };
            if body.contains(text) {
                return began.elapsed();
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{text:?} does not come:\n{body}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the page's address ends so.
    pub async fn wait_to_be_at(&self, end: &str) {
        let began = Instant::now();
        while !self.address().await.ends_with(end) {
            assert!(began.elapsed() < PATIENCE, "not at {end}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn script(&self, script: &str) -> Value {
        let done = self.driver.execute(script, Vec::new()).await;
        done.unwrap().json().clone()
    }

    /// Whether pages may run scripts from the next one on.
    pub async fn allow_scripts(&self, allow: bool) {
        self.command(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": !allow}),
        )
        .await;
    }

    /// As a reader of this language with this theme and a screen of this width sees it.
    pub async fn look_as(&self, lang: &str, theme: &str, width: u32) {
        let agent = self.script("return navigator.userAgent").await;
        let language = json!({"userAgent": agent, "acceptLanguage": lang});
        self.command("Emulation.setUserAgentOverride", language)
            .await;
        let scheme = json!({"name": "prefers-color-scheme", "value": theme});
        self.command("Emulation.setEmulatedMedia", json!({"features": [scheme]}))
            .await;
        let screen =
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", screen)
            .await;
    }

    async fn command(&self, name: &str, parameters: Value) {
        let sent = self.driver.cdp().send_raw(name, parameters).await;
        sent.unwrap();
    }

    /// What axe-core finds that people with a disability could not use, one line each.
    pub async fn accessibility(&self) -> Vec<String> {
        let axe = std::env::var("TOCSIN_TEST_AXE")
            .expect("TOCSIN_TEST_AXE is not set: run ./scripts/test, which installs it");
        let axe = std::fs::read_to_string(axe).unwrap();
        self.driver.execute(&axe, Vec::new()).await.unwrap();
        let found = self.driver.execute_async(JUDGE, Vec::new()).await.unwrap();
        serde_json::from_value(found.json().clone()).unwrap()
    }

    /// A picture of the whole page for people to look at, in the folder `TOCSIN_TEST_PICTURES`, if
    /// that is set: taking them takes longer than all that is tested of a page.
    pub async fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("TOCSIN_TEST_PICTURES").map(PathBuf::from) else {
            return;
        };
        std::fs::create_dir_all(&folder).unwrap();
        let whole = json!({"captureBeyondViewport": true, "format": "png"});
        let cdp = self.driver.cdp();
        let taken = cdp.send_raw("Page.captureScreenshot", whole).await.unwrap();
        let data = taken["data"].as_str().unwrap();
        let png = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, data);
        std::fs::write(folder.join(format!("{name}.png")), png.unwrap()).unwrap();
    }

    pub async fn close(self) {
        self.driver.clone().quit().await.unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked to end, it ends its browser, too.
        let _ = Command::new("kill")
            .arg(self.process.id().to_string())
            .status();
        let _ = self.process.wait();
    }
}
