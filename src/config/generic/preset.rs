//! Mappings that are shipped: a section takes one by its name, and what it sets itself overrules it.

use super::Mapping;

/// The shipped mappings.
pub const PRESETS: [(&str, &str); 3] = [
    ("cloudwatch", include_str!("presets/cloudwatch.toml")),
    ("uptime-kuma", include_str!("presets/uptime-kuma.toml")),
    ("zabbix", include_str!("presets/zabbix.toml")),
];

/// The mapping of this name.
///
/// # Errors
/// There is none.
pub(super) fn find(name: &str) -> Result<Mapping, String> {
    let Some((_, text)) = PRESETS.iter().find(|(known, _)| *known == name) else {
        let names = PRESETS.map(|(known, _)| known);
        return Err(format!(
            "{name:?} is not a preset: expected one of {}",
            names.join(", ")
        ));
    };
    toml::from_str(text).map_err(|error| error.to_string())
}

/// Takes from the shipped mapping what the section does not set. An entry of a table is a setting of its own.
macro_rules! fill {
    ($own:ident, $shipped:ident; $($field:ident)*; $($table:ident)*) => {
        $( $own.$field = $own.$field.take().or($shipped.$field); )*
        $( for (name, value) in $shipped.$table {
            $own.$table.entry(name).or_insert(value);
        } )*
    };
}

/// A section with what it takes from a shipped mapping.
pub(super) fn filled(mut own: Mapping, shipped: Mapping) -> Mapping {
    fill!(own, shipped;
        sns alerts inner alert_name service namespace error_type status firing resolved tests unused other
        starts_at ends_at changed_at fingerprint severity summary description url;
        severities labels annotations links);
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shipped_mapping_goes_together() {
        for (name, _) in PRESETS {
            assert_eq!(find(name).unwrap().check(), Ok(()), "{name}");
        }
        let refused = find("nagios").unwrap_err();
        assert!(
            refused.contains("cloudwatch, uptime-kuma, zabbix"),
            "{refused}"
        );
    }
}
