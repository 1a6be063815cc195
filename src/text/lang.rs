//! The languages.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{EN, Text, ZH_TW};

/// A language that people can choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lang {
    /// English.
    #[default]
    #[serde(rename = "en")]
    English,
    /// Traditional Chinese, as it is written in Taiwan.
    #[serde(rename = "zh-TW")]
    Chinese,
}

impl Lang {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// As HTML and HTTP write it.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-TW",
        }
    }

    /// Its own name for itself.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Chinese => "中文",
        }
    }

    /// The language with this tag, or with another of the same tongue.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        let tongue = tag.trim().split(['-', '_']).next().unwrap_or_default();
        match tongue.to_ascii_lowercase().as_str() {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    /// The one of ours that `Accept-Language` likes best.
    #[must_use]
    pub fn accepted(header: &str) -> Option<Self> {
        let weighed = header.split(',').filter_map(|entry| {
            let mut parts = entry.split(';');
            let lang = Self::from_tag(parts.next()?)?;
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")?.parse().ok());
            Some((lang, weight.unwrap_or(1.0_f32)))
        });
        // Of equal ones the first.
        weighed
            .filter(|(_, weight)| *weight > 0.0)
            .reduce(|best, next| if next.1 > best.1 { next } else { best })
            .map(|(lang, _)| lang)
    }

    /// Its texts.
    #[must_use]
    pub fn text(self) -> &'static Text {
        match self {
            Self::English => &EN,
            Self::Chinese => &ZH_TW,
        }
    }

    /// The language of these texts.
    #[must_use]
    pub fn of(text: &Text) -> Self {
        match std::ptr::eq(text, &ZH_TW) {
            true => Self::Chinese,
            false => Self::English,
        }
    }

    /// A duration in its largest unit that it is at least one of: `3 min`, `2 h`, `5 d`.
    #[must_use]
    pub fn age(self, age: Duration) -> String {
        let seconds = age.as_secs();
        let (n, at) = match seconds {
            0..60 => (seconds, 0),
            60..3600 => (seconds / 60, 1),
            3600..172_800 => (seconds / 3600, 2),
            _ => (seconds / 86_400, 3),
        };
        let units = match self {
            Self::English => ["s", "min", "h", "d"],
            Self::Chinese => ["秒", "分鐘", "小時", "天"],
        };
        format!("{n} {}", units[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browser_s_best_liked_language_is_chosen() {
        let table = [
            ("zh-TW,zh;q=0.9,en-US;q=0.8,en;q=0.7", Some(Lang::Chinese)),
            ("de-DE,de;q=0.9,en;q=0.5", Some(Lang::English)),
            ("en;q=0.4,zh-HK;q=0.6", Some(Lang::Chinese)),
            ("zh;q=0,en", Some(Lang::English)),
            ("fr", None),
            ("", None),
        ];
        for (header, expected) in table {
            assert_eq!(Lang::accepted(header), expected, "{header}");
        }
    }
}
