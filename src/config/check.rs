//! Settings that do not go together, and those that hold and should not.

use std::ops::RangeInclusive;
use std::time::Duration;

use reqwest::Url;

use super::{
    Config, DatabaseKind, Reconcile, Secret, Tokens, discord, hooks, pagerduty, playbooks, teams,
    webhooks,
};

/// What is due for longer than this and a little more counts as overdue, as if its job were lost.
const LATEST_FIGURES: Duration = Duration::from_secs(30);
/// Alertmanager needs as long to send what is new.
const SHORTEST_RECONCILE: Duration = Duration::from_secs(10);
/// A firing must expire before its row is pruned: within half of the time that rows are kept.
const MOST_LEASES: u32 = 15;
/// The most incidents that a rule may ask for: that many are read whenever a level is worked out.
const MOST_INCIDENTS: i64 = 1000;

/// The most firings of an anomaly, of one series or several, that are read to decide whether it flaps.
const MOST_CYCLES: u32 = 100;
/// What is counted in a shorter time is too little, in a longer one is read of rows that are too many.
const FLAPPING_WINDOWS: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(86_400);

/// Whether it is written as Telegram writes bots' tokens: digits, a colon, then letters, digits, - and _.
fn is_bot_token(token: &str) -> bool {
    let is_secret = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-');
    token.split_once(':').is_some_and(|(bot, secret)| {
        let is_bot = !bot.is_empty() && bot.bytes().all(|c| c.is_ascii_digit());
        is_bot && !secret.is_empty() && secret.bytes().all(is_secret)
    })
}

impl Config {
    pub(super) fn check(&self) -> Result<(), String> {
        let guarded = !self.webhook_token.is_empty() && !self.api_token.is_empty();
        if !self.listen.ip().is_loopback() && !guarded && !self.insecure {
            return Err(format!(
                "listen = {} is reachable from other computers: set TOCSIN_WEBHOOK_TOKEN and \
                 TOCSIN_API_TOKEN, or TOCSIN_INSECURE=true if a proxy in front authenticates \
                 clients",
                self.listen
            ));
        }
        self.check_databases()?;
        let token = self.telegram_token.as_ref().map(Secret::expose);
        if token.is_some_and(|token| !is_bot_token(token)) {
            return Err(
                "telegram_token is not a bot token: it must be digits, a colon, then letters, digits, \
                        - and _"
                    .to_owned(),
            );
        }
        if self.telegram_token.is_some()
            && self.telegram_chat.is_none()
            && !self.routes_to_telegram()
        {
            return Err(
                "telegram_token is set but telegram_chat is not: set telegram_chat".to_owned(),
            );
        }
        self.check_routes()?;
        self.check_telegram()?;
        self.check_redis()?;
        self.queues.check()?;
        self.check_buttons()?;
        self.check_analysis()?;
        self.repairs.check()?;
        self.effectiveness.check()?;
        playbooks::check(&self.playbooks)?;
        self.check_report()?;
        webhooks::check(&self.webhooks)?;
        self.sources.check()?;
        pagerduty::check(&self.pagerduty)?;
        discord::check(&self.discord)?;
        teams::check(&self.teams)?;
        self.email.check()?;
        self.sentry.check()?;
        let scheme = self
            .telegram_api
            .split_once("://")
            .map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("http" | "https")) {
            return Err("telegram_api must start with https:// or http://".to_owned());
        }
        let otlp = self.otlp_endpoint.as_ref().map(Secret::expose);
        if otlp.is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            return Err("otlp_endpoint must start with http:// or https://".to_owned());
        }
        self.check_counting()?;
        self.check_public_url()?;
        self.identity.check()?;
        let positive = [
            ("database_connections", self.database_connections as usize),
            ("ingest.batch", self.ingest.batch),
            ("ingest.batchers", self.ingest.batchers),
            ("queue.in_flight_bytes", self.queue.in_flight_bytes),
            ("limits.body", self.limits.body),
            ("limits.alerts", self.limits.alerts),
            ("limits.labels", self.limits.labels),
            ("limits.label_bytes", self.limits.label_bytes),
            ("limits.annotation_bytes", self.limits.annotation_bytes),
            ("limits.connections", self.limits.connections),
            ("limits.anonymous", self.limits.anonymous),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{name} must be at least 1"));
        }
        if self.anomalies.per_minute == 0 || self.anomalies.total == 0 {
            return Err("anomalies.per_minute and anomalies.total must be at least 1".to_owned());
        }
        if !(1..=100).contains(&self.counter.memory) {
            return Err("counter.memory must be from 1 to 100, in percent".to_owned());
        }
        if self.limits.query.0 < Duration::from_millis(100) {
            return Err("limits.query must be at least 100ms".to_owned());
        }
        self.check_escalation()?;
        self.check_flapping()?;
        self.check_chain()?;
        let month = Duration::from_secs(30 * 24 * 3600);
        for (name, kept) in [
            ("occurrences", self.retention.occurrences),
            ("rest", self.retention.rest),
        ] {
            if kept.0 < month {
                return Err(format!(
                    "retention.{name} must be at least 30d: the longest counting window needs these rows"
                ));
            }
        }
        if self.retention.dead_letters.0 < Duration::from_secs(24 * 3600) {
            return Err("retention.dead_letters must be at least 1d".to_owned());
        }
        Ok(())
    }

    fn check_counting(&self) -> Result<(), String> {
        let counting = &self.counting;
        let (unheard, unseen) = (counting.unheard.0, counting.unseen.0);
        if unheard <= counting.skew.0 {
            return Err("counting.unheard must be longer than counting.skew".to_owned());
        }
        if unseen <= unheard {
            return Err("counting.unseen must be longer than counting.unheard".to_owned());
        }
        if counting.unheard_leases == 0 {
            return Err("counting.unheard_leases must be at least 1".to_owned());
        }
        if counting.unseen_leases <= counting.unheard_leases {
            return Err(
                "counting.unseen_leases must be greater than counting.unheard_leases".to_owned(),
            );
        }
        // Leases are of a day at most, and rows are kept for at least 30.
        if counting.unseen_leases > MOST_LEASES {
            return Err(format!(
                "counting.unseen_leases must be at most {MOST_LEASES}"
            ));
        }
        let families = counting.families.check();
        families.map_err(|why| format!("counting.families: {why}"))?;
        // Where Alertmanager does not answer, twice that passes first.
        if unseen > self.retention.occurrences.0 / 2 {
            return Err(
                "counting.unseen must be at most half of retention.occurrences: a firing must expire \
                 before its row is pruned"
                    .to_owned(),
            );
        }
        let url = self.alertmanager_url.as_ref();
        let is_of_web = |url: &Secret| {
            let url = Url::parse(url.expose());
            url.is_ok_and(|url| matches!(url.scheme(), "https" | "http"))
        };
        if !url.is_none_or(is_of_web) {
            return Err(
                "alertmanager_url must be an address that starts with https:// or http://"
                    .to_owned(),
            );
        }
        let Reconcile {
            receiver,
            prometheus,
            ..
        } = &self.reconcile;
        if !prometheus.iter().all(|server| is_of_web(&server.url)) {
            return Err(
                "reconcile.prometheus needs a url that starts with https:// or http://".to_owned(),
            );
        }
        if receiver.is_none() && prometheus.is_empty() {
            return Ok(());
        }
        if receiver.is_some() && url.is_none() {
            return Err("reconcile.receiver needs alertmanager_url".to_owned());
        }
        let after = self.reconcile.after.0;
        if after < SHORTEST_RECONCILE || after > unheard {
            return Err("reconcile.after must be from 10s to counting.unheard".to_owned());
        }
        Ok(())
    }

    fn check_escalation(&self) -> Result<(), String> {
        for rule in &self.escalation.rules {
            let wrong = if rule.count < 1 {
                "count must be at least 1"
            } else if !(1..=MOST_INCIDENTS).contains(&rule.incidents) {
                "incidents must be from 1 to 1000"
            } else if rule.incidents > rule.count {
                "can never match: incidents is greater than count"
            } else {
                continue;
            };
            return Err(format!("escalation.rules: {} {wrong}", rule.level));
        }
        if self.escalation.figures.0 > LATEST_FIGURES {
            return Err("escalation.figures must be at most 30s".to_owned());
        }
        self.notify.check()
    }

    fn check_flapping(&self) -> Result<(), String> {
        let (set, windows) = (&self.flapping, FLAPPING_WINDOWS);
        if set.start > 0 && set.end >= set.start {
            return Err("flapping.end must be less than flapping.start".to_owned());
        }
        if set.start > MOST_CYCLES {
            return Err(format!("flapping.start must be at most {MOST_CYCLES}"));
        }
        match windows.contains(&set.window.0) {
            true => Ok(()),
            false => Err("flapping.window must be from 1m to 24h".to_owned()),
        }
    }

    fn roles(&self) -> [(&'static str, &Tokens); 3] {
        [
            ("webhook_token", &self.webhook_token),
            ("read_token", &self.read_token),
            ("api_token", &self.api_token),
        ]
    }

    /// What holds and should not, for the log.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let roles = self.roles();
        for (n, (name, tokens)) in roles.iter().enumerate() {
            if tokens.any_is_short() && !self.listen.ip().is_loopback() {
                warnings.push(format!(
                    "a token in {name} has fewer than 16 characters and can be guessed: \
                     generate one with openssl rand -hex 32"
                ));
            }
            for (other, others) in &roles[n + 1..] {
                if tokens.share_one_with(others) {
                    warnings.push(format!(
                        "the same token is in {name} and in {other}: use different tokens"
                    ));
                }
            }
        }
        for name in webhooks::guessable(&self.webhooks) {
            warnings.push(format!(
                "webhooks.{name}.secret has fewer than 16 bytes and can be guessed: \
                 generate one with openssl rand -hex 32"
            ));
        }
        for name in hooks::guessable(&self.repairs.hooks) {
            warnings.push(format!(
                "repairs.hooks.{name}.secret has fewer than 16 bytes and can be guessed: \
                 generate one with openssl rand -hex 32"
            ));
        }
        for name in self.sources.guessable() {
            warnings.push(format!(
                "{name} has fewer than 16 bytes and can be guessed: \
                 generate one with openssl rand -hex 32"
            ));
        }
        warnings.extend(self.warn_of_buttons());
        warnings
    }

    fn check_databases(&self) -> Result<(), String> {
        DatabaseKind::of(self.database_url.expose()).map_err(|error| error.to_string())?;
        let Some(replica) = &self.database_read_url else {
            return Ok(());
        };
        if self.is_embedded() {
            return Err(
                "database_read_url is set and database_url is a SQLite file, which has no standby"
                    .to_owned(),
            );
        }
        match DatabaseKind::of(replica.expose()) {
            Ok(DatabaseKind::Postgres) => Ok(()),
            _ => Err("database_read_url must start with postgres://".to_owned()),
        }
    }

    fn check_redis(&self) -> Result<(), String> {
        let Some(url) = &self.redis_url else {
            return Ok(());
        };
        if self.is_embedded() {
            return Err(
                "redis_url is set and database_url is a SQLite file: Redis carries the queue of \
                 several processes, and a SQLite file serves one. Set TOCSIN_DATABASE_URL=postgres://…"
                    .to_owned(),
            );
        }
        let scheme = url.expose().split_once("://").map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("redis" | "rediss")) {
            return Err("redis_url must start with redis:// or rediss://".to_owned());
        }
        if self.redis_ca.is_some() && scheme != Some("rediss") {
            return Err("redis_ca is set and redis_url does not start with rediss://".to_owned());
        }
        // Braces mark what Redis hashes; the queue's name is to be the only such mark.
        if self.redis_prefix.is_empty() || self.redis_prefix.contains(['{', '}']) {
            return Err("redis_prefix must be a word without braces".to_owned());
        }
        Ok(())
    }
}
