//! E-mail: the server that takes it, who writes, and to whom.

use serde::{Deserialize, Serialize};

use super::channels::{self, ChannelKind};
use super::value::text;
use super::{Secret, Tell};

/// The server that takes e-mail, who writes, and to whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmailSettings {
    /// The server: `HOST` or `HOST:PORT`. Unset: no e-mail.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub server: Option<String>,
    /// How the connection is encrypted.
    pub security: Security,
    /// The user that signs in. Unset: no sign-in.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub user: Option<String>,
    /// With what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Who writes: an address, or `NAME <ADDRESS>`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub from: Option<String>,
    /// Who gets what no route matches: addresses.
    pub to: Vec<String>,
    /// The kinds of notifications that are sent.
    pub tell: Vec<Tell>,
}

/// How a connection to the server is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// From the command STARTTLS on, which the server must know.
    #[default]
    Starttls,
    /// From its beginning.
    Tls,
    /// Not at all: for a relay on this computer.
    None,
}

impl Security {
    /// The port where none is set.
    #[must_use]
    pub const fn usual_port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

impl Default for EmailSettings {
    fn default() -> Self {
        Self {
            server: None,
            security: Security::default(),
            user: None,
            password: None,
            from: None,
            to: Vec::new(),
            tell: Tell::usual(),
        }
    }
}

/// Addresses.
pub(super) const CHANNEL: ChannelKind = ChannelKind {
    name: "email",
    usual: |config| {
        let to = config.email.to.iter().filter(|_| config.email.is_set());
        to.map(|address| format!("email:{address}")).collect()
    },
    check: |config, target| match target {
        None => Err(channels::UNKNOWN.to_owned()),
        Some(_) if !config.email.is_set() => Err("email.server is not set".to_owned()),
        Some(address) => is_address(address),
    },
    secrets: &["email__password"],
    tell: |config, _| &config.email.tell,
    ..channels::PLAIN
};

impl EmailSettings {
    /// Whether there is a server.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.server.is_some()
    }

    /// The server's host and port, if it is written as one.
    #[must_use]
    pub fn place(&self) -> Option<(&str, u16)> {
        let server = self.server.as_deref()?;
        let usual = self.security.usual_port();
        let (host, port) = match server.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, port.parse().ok().filter(|port| *port > 0)?)
            }
            _ => (server, usual),
        };
        let host = host
            .strip_prefix('[')
            .map_or(host, |host| host.trim_end_matches(']'));
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        (!host.is_empty() && host.chars().all(fits)).then_some((host, port))
    }

    /// The name and the address of who writes.
    #[must_use]
    pub fn sender(&self) -> Option<(Option<&str>, &str)> {
        let from = self.from.as_deref()?.trim();
        Some(
            match from
                .strip_suffix('>')
                .and_then(|from| from.rsplit_once('<'))
            {
                Some((name, address)) => {
                    let name = name.trim().trim_matches('"');
                    ((!name.is_empty()).then_some(name), address)
                }
                None => (None, from),
            },
        )
    }

    pub(super) fn check(&self) -> Result<(), String> {
        for (n, address) in self.to.iter().enumerate() {
            is_address(address).map_err(|why| format!("email.to[{n}] = {address:?}: {why}"))?;
        }
        let needed = [
            ("to", !self.to.is_empty()),
            ("from", self.from.is_some()),
            ("user", self.user.is_some()),
            ("password", self.password.is_some()),
        ];
        if self.server.is_none() {
            return match needed.iter().find(|(_, is_set)| *is_set) {
                Some((name, _)) => Err(format!("email.{name} is set and email.server is not")),
                None => Ok(()),
            };
        }
        if self.place().is_none() {
            return Err("email.server must be a host, or HOST:PORT".to_owned());
        }
        let Some((_, address)) = self.sender() else {
            return Err("email.server is set and email.from is not: set email.from".to_owned());
        };
        is_address(address).map_err(|why| format!("email.from: {why}"))?;
        if self.user.is_some() != self.password.is_some() {
            return Err(
                "email.user and email.password go together: set both, or neither".to_owned(),
            );
        }
        if self.password.is_some() && self.security == Security::None {
            return Err(
                "email.security = \"none\" would send email.password unencrypted: set \"starttls\" or \"tls\""
                    .to_owned(),
            );
        }
        Ok(())
    }
}

/// An address as most are written: quoted ones and those with other letters than ASCII's are not taken.
fn is_address(text: &str) -> Result<(), String> {
    let wrong = || "an e-mail address must be NAME@DOMAIN, such as oncall@example.org".to_owned();
    let (local, domain) = text.rsplit_once('@').ok_or_else(wrong)?;
    let in_local = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-=?^_`{|}~.".contains(c);
    let in_domain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let is_dotted = |part: &str| !part.split('.').any(str::is_empty);
    let fits = is_dotted(local)
        && is_dotted(domain)
        && (local.len() <= 64 && domain.len() <= 190)
        && local.chars().all(in_local)
        && domain.chars().all(in_domain);
    fits.then_some(()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_may_have_a_port() {
        let place = |server: &str, security| {
            let settings = EmailSettings {
                server: Some(server.to_owned()),
                security,
                ..EmailSettings::default()
            };
            settings.place().map(|(host, port)| (host.to_owned(), port))
        };
        let at = |host: &str, port| Some((host.to_owned(), port));
        for (server, security, expected) in [
            (
                "smtp.example.org",
                Security::Starttls,
                at("smtp.example.org", 587),
            ),
            (
                "smtp.example.org",
                Security::Tls,
                at("smtp.example.org", 465),
            ),
            ("127.0.0.1", Security::None, at("127.0.0.1", 25)),
            ("localhost:2525", Security::None, at("localhost", 2525)),
            ("[::1]:2525", Security::None, at("::1", 2525)),
            ("::1", Security::None, at("::1", 25)),
            ("smtp.example.org:0", Security::Tls, None),
            ("smtp.example.org:smtp", Security::Tls, None),
            ("smtp://example.org", Security::Tls, None),
            ("a b", Security::Tls, None),
            ("", Security::Tls, None),
        ] {
            assert_eq!(place(server, security), expected, "{server}");
        }
    }

    #[test]
    fn a_sender_has_an_address_and_may_have_a_name() {
        for (from, expected) in [
            ("a@b.c", (None, "a@b.c")),
            ("<a@b.c>", (None, "a@b.c")),
            ("Tocsin <a@b.c>", (Some("Tocsin"), "a@b.c")),
            ("\"Tocsin, prod\" <a@b.c>", (Some("Tocsin, prod"), "a@b.c")),
        ] {
            let settings = EmailSettings {
                from: Some(from.to_owned()),
                ..EmailSettings::default()
            };
            assert_eq!(settings.sender(), Some(expected), "{from}");
        }
    }

    #[test]
    fn an_address_is_one_that_no_header_can_be_broken_with() {
        for address in [
            "oncall@example.org",
            "a.b+c@localhost",
            "o'neil@x-y.example",
        ] {
            assert_eq!(is_address(address), Ok(()), "{address}");
        }
        for wrong in [
            "oncall",
            "@example.org",
            "a@",
            "a b@example.org",
            "a@b\r\nBcc: c@d",
            "a@b,c@d",
            "<a@b>",
            "a/b@example.org",
            "a..b@example.org",
            "a@example..org",
            "\"a\"@example.org",
        ] {
            assert!(is_address(wrong).is_err(), "{wrong}");
        }
    }
}
