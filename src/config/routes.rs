//! Which channels there are, and which messages go where.

use super::telegram::is_chat;
use super::{CHANNELS, ChannelKind, Config, channels};
use crate::domain::messages::{Policy, Tell};

impl Config {
    /// Where messages go that no route matches: one entry per channel. The log, where there is no other.
    #[must_use]
    pub fn channels(&self) -> Vec<String> {
        let usual = CHANNELS.iter().flat_map(|kind| (kind.usual)(self));
        let mut channels: Vec<String> = usual.collect();
        if channels.is_empty() {
            channels.push(channels::LOG.name.to_owned());
        }
        channels
    }

    /// Every channel that messages may go to.
    #[must_use]
    pub fn all_channels(&self) -> Vec<String> {
        let mut channels = self.channels();
        let routed = self.routes.iter().flat_map(|route| &route.to.0).cloned();
        let notices = match self.effectiveness.auto_update {
            true => self.notice_channels(),
            false => self.report_channels(),
        };
        for channel in routed.chain(notices) {
            if !channels.contains(&channel) {
                channels.push(channel);
            }
        }
        channels.extend(self.comments().map(str::to_owned));
        channels
    }

    /// What messages obey.
    #[must_use]
    pub fn messages(&self) -> Policy<'_> {
        let tells = self.all_channels().into_iter().map(|channel| {
            let (kind, target) = parts(&channel);
            let tell = kind.map_or(&Tell::USUAL[..], |kind| (kind.tell)(self, target));
            (channel, tell)
        });
        let again = self.telegram.again.0;
        let goes_on = CHANNELS.iter().filter(|kind| kind.goes_on);
        Policy {
            routes: &self.routes,
            otherwise: self.channels(),
            tells: tells.collect(),
            quiet: self.quiet.as_ref(),
            settle: self.notify.settle.0,
            severities: &self.notify.severities,
            edits: self.edits(),
            cards: goes_on.map(|kind| kind.name).collect(),
            again: Some(again).filter(|again| !again.is_zero()),
            comments: self.comments(),
        }
    }

    /// The kinds of the channels that are set up and whose messages are kept up to date.
    #[must_use]
    pub fn edits(&self) -> Vec<&'static str> {
        let edited = CHANNELS.iter().filter(|kind| (kind.edits)(self));
        edited.map(|kind| kind.name).collect()
    }

    /// What is wrong with the routes, by the setting's name.
    pub(super) fn check_routes(&self) -> Result<(), String> {
        if let Some(chat) = &self.telegram_chat {
            is_chat(chat).map_err(|wrong| format!("telegram_chat = {chat:?}: {wrong}"))?;
        }
        for (n, route) in self.routes.iter().enumerate() {
            for channel in &route.to.0 {
                self.check_channel(channel)
                    .map_err(|wrong| format!("routes[{n}].to = {channel:?}: {wrong}"))?;
            }
        }
        Ok(())
    }

    pub(super) fn check_channel(&self, channel: &str) -> Result<(), String> {
        let (kind, target) = parts(channel);
        let kind = kind.ok_or_else(|| channels::UNKNOWN.to_owned())?;
        (kind.check)(self, target)
    }

    /// Whether a route leads to Telegram.
    pub(super) fn routes_to_telegram(&self) -> bool {
        let channels = self.routes.iter().flat_map(|route| &route.to.0);
        channels
            .into_iter()
            .any(|channel| channel.starts_with("telegram:"))
    }
}

/// The kind of a channel, if there is such a kind, and what of that kind it is.
fn parts(channel: &str) -> (Option<&'static ChannelKind>, Option<&str>) {
    let (name, target) = match channel.split_once(':') {
        Some((name, target)) => (name, Some(target)),
        None => (channel, None),
    };
    (CHANNELS.iter().find(|kind| kind.name == name), target)
}

#[cfg(test)]
mod tests {
    use crate::config::tests::load;
    use crate::domain::escalation::Level;
    use crate::domain::notification::Kind;
    use crate::domain::routing::RoutingKey;
    use crate::time::Timestamp;

    const TOKEN: (&str, &str) = ("TOCSIN_TELEGRAM_TOKEN", "1:t");

    #[test]
    fn messages_go_where_the_routes_say_and_elsewhere_to_the_chat() {
        let config = load(
            r#"
            telegram_chat = -100
            [[routes]]
            namespace = "prod"
            to = ["telegram:-200/45", "log"]
            quiet = { from = "12:00", to = "13:00", zone = "UTC" }
            [quiet]
            from = "22:00"
            to = "07:00"
            zone = "Asia/Taipei"
            until_level = "PERMANENT_FIX"
            [telegram]
            tell = ["opened", "resolved"]
            "#,
            &[TOKEN],
        )
        .unwrap();
        let prod = RoutingKey {
            namespace: "prod".to_owned(),
            level: Level::Repeat,
            ..RoutingKey::default()
        };
        let other = RoutingKey::default();
        let topic = "telegram:-200/45";
        let messages = config.messages();
        assert_eq!(messages.channels(&prod, Kind::Opened), [topic, "log"]);
        assert_eq!(messages.channels(&prod, Kind::Escalated), ["log"]);
        assert_eq!(messages.channels(&prod, Kind::Resolved), [topic]);
        assert_eq!(messages.channels(&other, Kind::Opened), ["telegram:-100"]);
        assert_eq!(config.all_channels(), ["telegram:-100", topic, "log"]);
        let (noon, night) = ("2026-11-25T12:30:00Z", "2026-11-25T15:00:00Z");
        for (channel, facts, at, expected) in [
            (topic, &prod, noon, true),
            (topic, &prod, night, false),
            ("telegram:-100", &other, noon, false),
            ("telegram:-100", &other, night, true),
        ] {
            let at = Timestamp::parse(at).unwrap();
            let found = messages.is_quiet(channel, facts, at);
            assert_eq!(found, expected, "{channel} at {at}");
        }
        let shown = toml::to_string(&config).unwrap();
        let again = load(&shown, &[TOKEN]).unwrap();
        assert_eq!((again.routes, again.quiet), (config.routes, config.quiet));
    }

    #[test]
    fn a_digest_is_quiet_if_all_its_messages_are() {
        let config = load(
            r#"
            telegram_chat = -100
            [[routes]]
            namespace = "night"
            to = ["telegram:-200", "telegram:-300"]
            quiet = { from = "22:00", to = "06:00", zone = "UTC" }
            [[routes]]
            namespace = "noon"
            to = ["telegram:-200", "telegram:-100"]
            quiet = { from = "12:00", to = "13:00", zone = "UTC" }
            [[routes]]
            namespace = "usual"
            to = "telegram:-400"
            [quiet]
            from = "23:00"
            to = "13:00"
            zone = "UTC"
            "#,
            &[TOKEN],
        )
        .unwrap();
        for (channel, level, at, expected) in [
            ("telegram:-300", Level::None, "22:30", true),
            ("telegram:-300", Level::Escalate, "22:30", false),
            ("telegram:-300", Level::None, "12:30", false),
            // Of the one route that leads there it would make a sound.
            ("telegram:-200", Level::None, "22:30", false),
            ("telegram:-200", Level::None, "12:30", false),
            // By the hours of all, and those of the route.
            ("telegram:-100", Level::None, "12:30", true),
            ("telegram:-100", Level::None, "23:30", false),
            ("telegram:-400", Level::None, "23:30", true),
            ("telegram:-400", Level::None, "22:30", false),
        ] {
            let now = Timestamp::parse(&format!("2026-11-25T{at}:00Z")).unwrap();
            let found = config.messages().is_digest_quiet(channel, level, now);
            assert_eq!(found, expected, "{channel} {level} at {at}");
        }
    }

    #[test]
    fn routes_can_come_from_the_environment() {
        let routes = r#"[{level="ESCALATE",to="telegram:@ops"},{to="log"}]"#;
        let config = load("", &[TOKEN, ("TOCSIN_ROUTES", routes)]).unwrap();
        assert_eq!(config.routes.len(), 2);
        assert_eq!(config.all_channels(), ["log", "telegram:@ops"]);
    }

    #[test]
    fn an_invalid_route_is_refused_by_name() {
        for (toml, message) in [
            ("[[routes]]\nto = \"telegram:chat\"", "routes[0].to"),
            ("[[routes]]\nto = \"telegram:-1/x\"", "routes[0].to"),
            ("[[routes]]\nto = \"webhook:nobody\"", "webhook:nobody"),
            ("[[routes]]\nto = \"pager\"", "pager"),
            ("[[routes]]\nto = \"log\"\nlevel = \"HIGH\"", "routes"),
            ("[[routes]]\nto = \"log\"\nsevirity = \"x\"", "sevirity"),
            ("telegram_chat = \"-1 00\"", "telegram_chat"),
            (
                "[quiet]\nfrom = \"22:00\"\nto = \"07:00\"\nzone = \"Taipei\"",
                "quiet.zone",
            ),
            (
                "[quiet]\nfrom = \"22\"\nto = \"07:00\"\nzone = \"UTC\"",
                "quiet.from",
            ),
            ("[telegram]\ntell = [\"everything\"]", "telegram.tell"),
            ("[telegram]\nstorm_above = 0", "telegram.storm_above"),
            ("[telegram]\ngroup_per_minute = 1", "group_per_minute"),
        ] {
            let chat = ("TOCSIN_TELEGRAM_CHAT", "-100");
            let variables = if toml.starts_with("telegram_chat") {
                vec![TOKEN]
            } else {
                vec![TOKEN, chat]
            };
            let refused = load(toml, &variables).unwrap_err().to_string();
            assert!(refused.contains(message), "{toml}: {refused}");
        }
        let refused = load("[[routes]]\nto = \"telegram:-1\"", &[]).unwrap_err();
        assert!(refused.to_string().contains("telegram_token"), "{refused}");
    }
}
