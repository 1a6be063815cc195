//! The files of `deploy/` for servers in one folder: other addresses and shorter times, and nothing else. What is
//! replaced must be there, so that a change of the shipped files that breaks this is noticed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use regex::{Captures, Regex};

use crate::Fault;

/// Whatever is the speed, nothing is evaluated or sent again more often.
const SHORTEST: Duration = Duration::from_secs(1);
/// PostgreSQL's exporter takes a second to say that its server is down, and a scrape may take as long as its interval.
const SHORTEST_SCRAPE: Duration = Duration::from_secs(2);
/// A rate needs some scrapes.
const SHORTEST_RANGE: Duration = Duration::from_secs(10);

/// Expressions that compare with a number of seconds: the file, and the text before the number.
const AGES: [(&str, &str, u32); 3] = [
    (
        "postgres-sessions.yml",
        "(pg_lock_waits_oldest_seconds) > ",
        30,
    ),
    (
        "postgres-availability.yml",
        "(pg_server_start_time_seconds or pg_postmaster_start_time_seconds) < ",
        600,
    ),
    (
        "redis-availability.yml",
        "(redis_uptime_in_seconds) < ",
        300,
    ),
];

/// Where the servers are.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Tocsin's, such as `127.0.0.1:9099`.
    pub tocsin: String,
    /// Prometheus'.
    pub prometheus: String,
    /// Alertmanager's.
    pub alertmanager: String,
    /// That of PostgreSQL's exporter.
    pub postgres_exporter: String,
    /// That of Redis' exporter.
    pub redis_exporter: String,
}

/// The shipped files, for other servers.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The shipped ones.
    pub deploy: PathBuf,
    /// Where they are written to.
    pub folder: PathBuf,
    /// Who is where.
    pub addresses: Addresses,
    /// Times are divided by this.
    pub faster: u32,
}

impl Configuration {
    /// The configuration of Prometheus with its rules. Returns its path.
    ///
    /// # Errors
    /// A shipped file is not as it is expected to be.
    pub fn prometheus(&self) -> anyhow::Result<PathBuf> {
        let rules = self.folder.join("rules");
        std::fs::create_dir_all(&rules)?;
        let shipped = std::fs::read_dir(self.deploy.join("prometheus/rules"))?;
        let mut aged = 0;
        for file in shipped {
            let file = file?;
            let name = file.file_name();
            let name = name.to_str().context("the name of a file is no text")?;
            let mut text = shortened(&std::fs::read_to_string(file.path())?, self.faster)?;
            for (_, before, seconds) in AGES.iter().filter(|(of, _, _)| *of == name) {
                let fewer = f64::from(*seconds) / f64::from(self.faster);
                let from = format!("{before}{seconds}\n");
                text = replaced(&text, &from, &format!("{before}{fewer}\n"))?;
                aged += 1;
            }
            std::fs::write(rules.join(name), text)?;
        }
        ensure!(aged == AGES.len(), "a file of rules is missing");
        self.write_prometheus(true)
    }

    /// The configuration of Prometheus; without its entry for Tocsin it sends by Alertmanager alone. Returns its path.
    ///
    /// # Errors
    /// The shipped file is not as it is expected to be.
    pub fn write_prometheus(&self, sends_directly: bool) -> anyhow::Result<PathBuf> {
        let mut text = self.shipped("prometheus/prometheus.yml")?;
        if !sends_directly {
            text = without(&text, "    # Tocsin beside it", "  # Of a pair")?;
        }
        // There is neither a certificate nor a server that looks at it.
        text = without(&text, "  # Tocsin as its senders reach it", "")?;
        let at = &self.addresses;
        for (from, to) in [
            ("127.0.0.1:9090", &at.prometheus),
            ("127.0.0.1:9093", &at.alertmanager),
            ("127.0.0.1:9099", &at.tocsin),
            ("127.0.0.1:9187", &at.postgres_exporter),
            ("127.0.0.1:9121", &at.redis_exporter),
        ] {
            text = replaced(&text, from, to)?;
        }
        if sends_directly {
            text = self.with_token(&text)?;
        }
        self.write("prometheus.yml", &text)
    }

    /// The configuration of Alertmanager. Returns its path.
    ///
    /// # Errors
    /// The shipped file is not as it is expected to be.
    pub fn alertmanager(&self) -> anyhow::Result<PathBuf> {
        let text = self.shipped("alertmanager/alertmanager.yml")?;
        let webhook = |address: &str| format!("http://{address}/api/v1/alertmanager");
        let text = replaced(
            &text,
            &webhook("127.0.0.1:9099"),
            &webhook(&self.addresses.tocsin),
        )?;
        self.write("alertmanager.yml", &self.with_token(&text)?)
    }

    /// What the token is read from.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn token(&self, token: &str) -> anyhow::Result<PathBuf> {
        self.write("tocsin-webhook-token", token)
    }

    /// The role of PostgreSQL's exporter.
    ///
    /// # Errors
    /// The shipped file cannot be read.
    pub fn exporter_role(&self) -> anyhow::Result<String> {
        let path = self.deploy.join("exporters/create-exporter-role.sql");
        Ok(std::fs::read_to_string(path)?)
    }

    /// The variables that Debian's service gives to PostgreSQL's exporter, for the server on this port: where its
    /// server is, and its arguments.
    ///
    /// # Errors
    /// The shipped file is not as it is expected to be.
    pub fn postgres_exporter(&self, port: u16) -> anyhow::Result<(String, Vec<String>)> {
        let settings = self.settings("exporters/prometheus-postgres-exporter.default")?;
        let source = variable(&settings, "DATA_SOURCE_NAME")?;
        let place = format!("host=127.0.0.1 port={port} sslmode=disable");
        let source = replaced(&source, "host=/run/postgresql", &place)?;
        let arguments = variable(&settings, "ARGS")?;
        let queries = "exporters/postgres_exporter-queries.yaml";
        let queries = self.deploy.join(queries).display().to_string();
        let installed = "/etc/prometheus/postgres_exporter-queries.yaml";
        Ok((source, words(&replaced(&arguments, installed, &queries)?)))
    }

    /// The same for Redis'.
    ///
    /// # Errors
    /// The shipped file is not as it is expected to be.
    pub fn redis_exporter(&self, port: u16) -> anyhow::Result<(String, Vec<String>)> {
        let settings = self.settings("exporters/prometheus-redis-exporter.default")?;
        let address = variable(&settings, "REDIS_ADDR")?;
        let address = replaced(&address, ":6379", &format!(":{port}"))?;
        Ok((address, words(&variable(&settings, "ARGS")?)))
    }

    fn shipped(&self, name: &str) -> anyhow::Result<String> {
        shortened(&self.settings(name)?, self.faster)
    }

    fn settings(&self, name: &str) -> anyhow::Result<String> {
        let path = self.deploy.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    }

    fn with_token(&self, text: &str) -> anyhow::Result<String> {
        let file = self.folder.join("tocsin-webhook-token");
        let installed = "/etc/prometheus/tocsin-webhook-token\n";
        // Their heads say how it is installed.
        let key = "credentials_file: ";
        let to = format!("{key}{}\n", file.display());
        replaced(text, &format!("{key}{installed}"), &to)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}

/// A text in which one part is another.
fn replaced(text: &str, from: &str, to: &str) -> anyhow::Result<String> {
    ensure!(text.contains(from), "{from:?} is not there any more");
    Ok(text.replace(from, to))
}

/// A text without what begins with `from` and ends before `to`; before its end, if that is empty.
fn without(text: &str, from: &str, to: &str) -> anyhow::Result<String> {
    let (before, rest) = text
        .split_once(from)
        .with_context(|| format!("{from:?} is not there any more"))?;
    let at = match to {
        "" => rest.len(),
        _ => rest
            .find(to)
            .with_context(|| format!("{to:?} is not there any more"))?,
    };
    Ok(format!("{before}{}", &rest[at..]))
}

/// The value of a variable in a file for systemd or a shell.
fn variable(settings: &str, name: &str) -> anyhow::Result<String> {
    let mut lines = settings.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let value = value.with_context(|| format!("{name} is not set"))?;
    Ok(value.trim_matches(['\'', '"']).to_owned())
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// A configuration in which each time is divided: intervals, waits, ranges and offsets.
fn shortened(text: &str, faster: u32) -> anyhow::Result<String> {
    let fields = Regex::new(
        r"(for|scrape_interval|evaluation_interval|group_wait|group_interval|repeat_interval|offset)(:? )(\d+)([smhd])\b",
    )?;
    let text = fields.replace_all(text, |found: &Captures<'_>| {
        let shortest = match &found[1] {
            "scrape_interval" => SHORTEST_SCRAPE,
            "evaluation_interval" | "group_interval" => SHORTEST,
            _ => Duration::ZERO,
        };
        let time = divided(&found[3], &found[4], faster, shortest);
        format!("{}{}{time}", &found[1], &found[2])
    });
    let ranges = Regex::new(r"\[(\d+)([smhd])(?::(\d+)([smhd]))?\]")?;
    let text = ranges.replace_all(&text, |found: &Captures<'_>| {
        let range = divided(&found[1], &found[2], faster, SHORTEST_RANGE);
        match (found.get(3), found.get(4)) {
            (Some(step), Some(unit)) => {
                let step = divided(step.as_str(), unit.as_str(), faster, SHORTEST);
                format!("[{range}:{step}]")
            }
            _ => format!("[{range}]"),
        }
    });
    Ok(text.into_owned())
}

fn divided(number: &str, unit: &str, faster: u32, shortest: Duration) -> String {
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => 86_400,
    };
    let time = Duration::from_secs(number.parse().unwrap_or(0) * unit) / faster;
    format!("{}ms", time.max(shortest).as_millis())
}

/// Settings of Tocsin: the actions of the faults' runbooks as playbooks.
///
/// # Errors
/// A runbook cannot be read.
pub fn playbooks() -> anyhow::Result<String> {
    let mut settings = String::new();
    for fault in Fault::ALL {
        let page = format!("../docs/runbooks/{}.md", fault.runbook());
        let page = std::fs::read_to_string(deploy().join(page))?;
        let alert = fault.alert();
        settings.push_str(&format!(
            "[[playbooks]]\nname = \"{alert}\"\nalert_name = \"{alert}\"\n"
        ));
        for (tier, action) in page.lines().filter_map(action_of) {
            settings.push_str(&format!("tier_{tier} = \"{action}\"\n"));
        }
    }
    Ok(settings)
}

/// The tier and the action in a line of a runbook's table.
fn action_of(line: &str) -> Option<(&str, &str)> {
    let (tier, rest) = line.strip_prefix("| ")?.split_once(" | `")?;
    let is_tier = ["1", "2", "3", "4"].contains(&tier);
    is_tier.then_some((tier, rest.split_once('`')?.0))
}

/// The folder of the shipped files.
#[must_use]
pub fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_divided_and_nothing_else() {
        let text = "for: 2m\ngroup_wait: 5s\nscrape_interval: 15s\nrate(x[10m]) > 10 or y offset 5m and \
                    max_over_time(z[1h:1m]) [1d] timeout: 2s for 2 minutes {10m}";
        let expected = "for: 2000ms\ngroup_wait: 83ms\nscrape_interval: 2000ms\nrate(x[10000ms]) > 10 or y offset \
                        5000ms and max_over_time(z[60000ms:1000ms]) [1440000ms] timeout: 2s for 2 minutes {10m}";
        assert_eq!(shortened(text, 60).unwrap(), expected);
        assert!(shortened("rate(x[1m])", 60).unwrap().contains("[10000ms]"));
    }

    #[test]
    fn what_is_to_be_replaced_must_be_there() {
        assert_eq!(replaced("a b a", "a", "c").unwrap(), "c b c");
        assert!(replaced("a", "b", "c").is_err());
        assert_eq!(without("abcde", "b", "d").unwrap(), "ade");
        assert_eq!(without("abcde", "b", "").unwrap(), "a");
        assert!(without("abc", "x", "").is_err() && without("abc", "a", "x").is_err());
        assert_eq!(variable("#A=1\nA='2 3'\n", "A").unwrap(), "2 3");
        assert!(variable("#A=1\n", "A").is_err());
    }

    #[test]
    fn a_playbook_has_the_actions_of_the_runbook() {
        let settings = playbooks().unwrap();
        let lock = "alert_name = \"PostgresLockWait\"\ntier_1 = \"terminate_blocker\"\ntier_2 = \"set_lock_timeout\"\n";
        assert!(settings.contains(lock), "{settings}");
        assert_eq!(settings.matches("tier_4").count(), Fault::ALL.len());
    }
}
