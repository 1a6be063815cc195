//! Settings of people's identity, as a proxy in front says it: oauth2-proxy, Authelia and the like.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use axum::http::{HeaderName, header};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Config;

/// Everybody whom the proxy lets in.
const EVERYBODY: &str = "*";

/// Whom a proxy's headers name, and what they may do.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdentitySettings {
    /// The header with the person's name or address. Unset: no header says who somebody is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The header with the person's groups, with commas between them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups_header: Option<String>,
    /// Where the proxy is: a request from elsewhere that has one of the headers is refused.
    pub networks: Vec<Network>,
    /// People who may operate, or `*`. All others read, unless they are in one of `operator_groups`.
    pub operators: Vec<String>,
    /// Groups whose members may operate.
    pub operator_groups: Vec<String>,
}

impl IdentitySettings {
    /// Whether a proxy says who somebody is.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.header.is_some()
    }

    /// Whether the proxy may be at this address.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(peer))
    }

    /// Whether the person of this name, in these groups, may operate.
    #[must_use]
    pub fn operates(&self, name: &str, groups: &[&str]) -> bool {
        // Names and groups have lists of their own: a person with the name of a group is not its member.
        let by_name = |one: &String| one == EVERYBODY || one == name;
        let by_group = |one: &String| groups.contains(&one.as_str());
        self.operators.iter().any(by_name) || self.operator_groups.iter().any(by_group)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let Some(header) = &self.header else {
            let operators = [&self.operators, &self.operator_groups];
            let others = self.groups_header.is_some() || !self.networks.is_empty();
            return match others || operators.iter().any(|list| !list.is_empty()) {
                true => {
                    Err("identity.header must be set, or nothing else of [identity]".to_owned())
                }
                false => Ok(()),
            };
        };
        check_header("identity.header", header)?;
        if let Some(groups) = &self.groups_header {
            check_header("identity.groups_header", groups)?;
            if groups.eq_ignore_ascii_case(header) {
                return Err(
                    "identity.groups_header must be another one than identity.header".to_owned(),
                );
            }
        }
        if self.groups_header.is_none() && !self.operator_groups.is_empty() {
            return Err(
                "identity.operator_groups is set but identity.groups_header is not: no header names groups"
                    .to_owned(),
            );
        }
        if self
            .operator_groups
            .iter()
            .any(|group| group.trim().is_empty() || group == EVERYBODY)
        {
            return Err(
                "identity.operator_groups must name groups; for everybody, set identity.operators = [\"*\"]"
                    .to_owned(),
            );
        }
        if self.networks.is_empty() {
            return Err(
                "identity.header is set but identity.networks is not: name the addresses of the proxy, \
                 or anybody could send the header"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

fn check_header(setting: &str, name: &str) -> Result<(), String> {
    // What browsers and clients send by themselves says nothing of a proxy.
    const OTHERS: [HeaderName; 16] = [
        header::ACCEPT,
        header::ACCEPT_ENCODING,
        header::ACCEPT_LANGUAGE,
        header::AUTHORIZATION,
        header::CACHE_CONTROL,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::COOKIE,
        header::FORWARDED,
        header::HOST,
        header::ORIGIN,
        header::PROXY_AUTHORIZATION,
        header::REFERER,
        header::USER_AGENT,
        header::VIA,
    ];
    // What proxies write of addresses names nobody.
    const OF_PROXIES: [&str; 6] = [
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-forwarded-uri",
        "x-real-ip",
    ];
    match HeaderName::from_str(name) {
        Ok(name)
            if !OTHERS.contains(&name)
                && !OF_PROXIES.contains(&name.as_str())
                && !name.as_str().starts_with("sec-") =>
        {
            Ok(())
        }
        _ => Err(format!(
            "{setting} must be a header that only the proxy sets, such as X-Forwarded-Email"
        )),
    }
}

/// Addresses: one, or a network as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.bits);
                (u32::from(own) ^ u32::from(other))
                    .checked_shr(shift)
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.bits);
                (u128::from(own) ^ u128::from(other))
                    .checked_shr(shift)
                    .unwrap_or(0)
                    == 0
            }
            _ => false,
        }
    }

    fn read(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        // None would be everybody.
        (1..=most).contains(&bits).then_some(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "{text:?} is neither an address nor a network such as 10.0.0.0/8"
            ))
        })
    }
}

impl Config {
    /// Whether pages and API ask who is there.
    #[must_use]
    pub fn asks_who(&self) -> bool {
        !self.api_token.is_empty() || !self.read_token.is_empty() || self.identity.is_set()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::load;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
            ("fd00::/8", "10.0.0.1", false),
            ("10.1.2.3/32", "10.1.2.3", true),
        ] {
            let network = Network::read(network).unwrap();
            assert_eq!(
                network.contains(address.parse().unwrap()),
                expected,
                "{network} {address}"
            );
        }
        for wrong in [
            "",
            "10.0.0.0/0",
            "::/0",
            "10.0.0.0/33",
            "10.0.0/8",
            "proxy",
            "10.0.0.1/",
        ] {
            assert_eq!(Network::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_header_without_a_trusted_place_is_refused() {
        let set = |more: &str| {
            let loaded = load(
                &format!("[identity]\nheader = \"X-Forwarded-Email\"\n{more}"),
                &[],
            );
            loaded.map_err(|error| error.to_string())
        };
        assert!(set("").unwrap_err().contains("identity.networks"));
        assert!(set("networks = [\"0.0.0.0/0\"]").is_err());
        let settings = set(
            "networks = [\"10.0.0.0/8\"]\ngroups_header = \"X-Forwarded-Groups\"\n\
                 operators = [\"ann@x\"]\noperator_groups = [\"oncall\"]",
        )
        .unwrap();
        let identity = settings.identity;
        assert!(identity.operates("ann@x", &[]) && identity.operates("bob@x", &["dev", "oncall"]));
        assert!(!identity.operates("bob@x", &["dev"]) && !identity.operates("*", &[]));
        // A person is no group, and a group no person.
        assert!(!identity.operates("oncall", &[]) && !identity.operates("bob@x", &["ann@x"]));
        for refused in [
            "[identity]\nheader = \"Cookie\"\nnetworks = [\"10.0.0.1\"]",
            "[identity]\nheader = \"Referer\"\nnetworks = [\"10.0.0.1\"]",
            "[identity]\nheader = \"X-Forwarded-For\"\nnetworks = [\"10.0.0.1\"]",
            "[identity]\nheader = \"Sec-Fetch-Site\"\nnetworks = [\"10.0.0.1\"]",
            "[identity]\noperator_groups = [\"oncall\"]",
            "[identity]\nheader = \"X-A\"\nnetworks = [\"10.0.0.1\"]\noperator_groups = [\"oncall\"]",
            "[identity]\nheader = \"X-A\"\ngroups_header = \"X-B\"\nnetworks = [\"10.0.0.1\"]\noperator_groups = [\"*\"]",
            "[identity]\nheader = \"a b\"\nnetworks = [\"10.0.0.1\"]",
            "[identity]\nnetworks = [\"10.0.0.1\"]",
        ] {
            assert!(load(refused, &[]).is_err(), "{refused}");
        }
    }
}
