//! The report that is sent once a week.

use serde::{Deserialize, Serialize};

use super::{CHANNELS, Config, channels};
use crate::domain::routing::{self, List, RoutingKey, Zone};
use crate::domain::week::{Weekday, Weekly};

/// What routes know notices by: as the name of an alert. They have no severity, namespace, service or level.
const NOTICE: &str = "TocsinReport";

/// When a report is sent, and where.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReportSettings {
    /// How often.
    pub schedule: Schedule,
    /// On which day.
    pub weekday: Weekday,
    /// At which full hour of it, 0 to 23.
    pub hour: u8,
    /// Where that is the time.
    pub zone: Zone,
    /// Which channels get it. None named: those of the routes, as far as they can show a report.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub channels: List<String>,
}

impl Default for ReportSettings {
    fn default() -> Self {
        Self {
            schedule: Schedule::Off,
            weekday: Weekday::Monday,
            hour: 9,
            zone: Zone(chrono_tz::UTC),
            channels: List::default(),
        }
    }
}

/// How often a report is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Never.
    #[default]
    Off,
    /// Once a week.
    Weekly,
}

impl ReportSettings {
    /// When a report is due, if ever.
    #[must_use]
    pub fn weekly(&self) -> Option<Weekly> {
        (self.schedule == Schedule::Weekly).then_some(Weekly {
            weekday: self.weekday,
            hour: self.hour,
            zone: self.zone,
        })
    }
}

impl Config {
    /// The channels that get the report, if it is sent.
    #[must_use]
    pub fn report_channels(&self) -> Vec<String> {
        match self.report.weekly() {
            Some(_) => self.notice_channels(),
            None => Vec::new(),
        }
    }

    /// The channels that get notices, messages about no incident: those of reports, whether these are sent or not.
    /// Routes choose them, by the name `TocsinReport`, unless the settings name them.
    #[must_use]
    pub fn notice_channels(&self) -> Vec<String> {
        if !self.report.channels.is_empty() {
            let mut channels: Vec<String> = Vec::new();
            for channel in &self.report.channels.0 {
                if !channels.contains(channel) {
                    channels.push(channel.clone());
                }
            }
            return channels;
        }
        let facts = RoutingKey {
            alert_name: NOTICE.to_owned(),
            ..RoutingKey::default()
        };
        let mut channels = routing::channels(&self.routes, &self.channels(), &facts);
        channels.retain(|channel| shows_reports(channel));
        if channels.is_empty() {
            channels.push(channels::LOG.name.to_owned());
        }
        channels
    }

    pub(super) fn check_report(&self) -> Result<(), String> {
        let report = &self.report;
        if report.hour > 23 {
            return Err("report.hour must be from 0 to 23".to_owned());
        }
        for channel in &report.channels.0 {
            self.check_channel(channel)
                .map_err(|wrong| format!("report.channels: {channel:?}: {wrong}"))?;
            if !shows_reports(channel) {
                return Err(format!(
                    "report.channels: {channel:?} takes incidents only: choose another channel"
                ));
            }
        }
        Ok(())
    }
}

/// Whether a channel is more than a place for single incidents.
fn shows_reports(channel: &str) -> bool {
    let name = channel.split(':').next().unwrap_or_default();
    let mut kinds = CHANNELS.iter();
    kinds.any(|kind| kind.name == name && kind.reports)
}

#[cfg(test)]
mod tests {
    use crate::config::tests::load;

    const ROUTING_KEY: &str = "[pagerduty.sre]\nrouting_key = \"abc\"\n";

    #[test]
    fn the_report_goes_where_the_settings_say_and_else_where_messages_go() {
        let channels = |toml: &str| load(toml, &[]).unwrap().report_channels();
        assert!(channels("").is_empty());
        let weekly = "[report]\nschedule = \"weekly\"\n";
        assert_eq!(channels(weekly), ["log"]);
        assert_eq!(channels(&format!("{ROUTING_KEY}{weekly}")), ["log"]);
        let named = format!(
            "{weekly}weekday = \"friday\"\nhour = 17\nzone = \"Asia/Taipei\"\nchannels = \"log\""
        );
        let config = load(&named, &[]).unwrap();
        assert_eq!(config.report_channels(), ["log"]);
        assert_eq!(config.report.weekly().unwrap().hour, 17);
    }

    #[test]
    fn the_report_goes_by_route() {
        let weekly = "[report]\nschedule = \"weekly\"\n";
        let named = "[[routes]]\nalert_name = \"TocsinReport\"\nto = [\"telegram:-200\", \"pagerduty:sre\"]\n";
        let severe = "[[routes]]\nseverity = \"critical\"\nto = \"telegram:-300\"\n";
        let rest = "[[routes]]\nto = \"telegram:-400\"\n";
        let pages = "[[routes]]\nto = \"pagerduty:sre\"\n";
        let over = format!("{weekly}channels = \"log\"\n");
        let variables = [
            ("TOCSIN_TELEGRAM_TOKEN", "1:t"),
            ("TOCSIN_TELEGRAM_CHAT", "-100"),
        ];
        for (toml, expected) in [
            (format!("{severe}{named}{rest}{weekly}"), "telegram:-200"),
            (format!("{severe}{rest}{named}{weekly}"), "telegram:-400"),
            (format!("{severe}{weekly}"), "telegram:-100"),
            (format!("{pages}{weekly}"), "log"),
            (format!("{rest}{over}"), "log"),
        ] {
            let config = load(&format!("{ROUTING_KEY}{toml}"), &variables).unwrap();
            assert_eq!(config.report_channels(), [expected], "{toml}");
            assert!(config.all_channels().contains(&expected.to_owned()));
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused_by_name() {
        for (toml, message) in [
            ("[report]\nhour = 24", "report.hour"),
            ("[report]\nweekday = \"someday\"", "report.weekday"),
            ("[report]\nzone = \"Taipei\"", "report.zone"),
            ("[report]\nchannels = [\"fax\"]", "report.channels"),
            (
                &format!("{ROUTING_KEY}[report]\nchannels = \"pagerduty:sre\""),
                "takes incidents only",
            ),
        ] {
            let refused = load(toml, &[]).unwrap_err().to_string();
            assert!(refused.contains(message), "{toml}: {refused}");
        }
    }
}
