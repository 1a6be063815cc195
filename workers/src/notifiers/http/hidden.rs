//! Parts of an address that must not be shown.

use reqwest::Url;
use tocsin::config::Secret;

/// Shorter parts of an address are no secrets, and are parts of too many words.
const SHORTEST: usize = 4;

/// The parts of an address that may be secret: user, password, path and query; and the key.
pub(super) struct Hidden(Vec<String>);

impl Hidden {
    pub(super) fn of(url: &Url, secret: Option<&Secret>) -> Self {
        let mut parts: Vec<String> = [
            Some(url.path()),
            url.query(),
            Some(url.username()),
            url.password(),
            secret.map(Secret::expose),
        ]
        .into_iter()
        .flatten()
        .chain(url.path().split('/'))
        .map(str::to_owned)
        .collect();
        parts.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
        parts.retain(|part| part.len() >= SHORTEST);
        // The longest first: a part of it may be another.
        parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        Self(parts)
    }

    /// The text without them.
    pub(super) fn taken_out_of(&self, text: String) -> String {
        let without = |text: String, part: &String| text.replace(part, "***");
        self.0.iter().fold(text, without)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_parts_of_the_address_are_removed() -> Result<(), Box<dyn std::error::Error>> {
        let url = "https://user:password@h.example/services/T0001/planted?token=pl%61nted2&a=1";
        let hidden = Hidden::of(&Url::parse(url)?, Some(&Secret::from("whsec_key")));
        let said = "no /services/T0001/planted?token=pl%61nted2&a=1 at h.example for user with \
                    password: planted planted2 T0001 whsec_key, a=1";
        assert_eq!(
            hidden.taken_out_of(said.to_owned()),
            "no ***?*** at h.example for *** with ***: *** *** *** ***, a=1"
        );
        Ok(())
    }
}
