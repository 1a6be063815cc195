//! The token that a command presents: given to it, in the environment, or in a file.

use std::path::Path;

use anyhow::{anyhow, ensure};
use tocsin::config::{Secret, read_secret};

/// The token that was `given` by an option or by the variable `name`, else the one in the file that
/// `name` and `_FILE` names. The first of several: the server may accept more than one, and one is
/// presented.
///
/// # Errors
/// The variable and the file are both set, or there is no token in the file. The token is never part
/// of the error.
pub(super) fn of(name: &str, given: Option<&Secret>) -> anyhow::Result<Option<Secret>> {
    let file = std::env::var_os(format!("{name}_FILE"));
    let is_set = std::env::var_os(name).is_some();
    choose(name, given, is_set, file.as_ref().map(Path::new))
}

fn choose(
    name: &str,
    given: Option<&Secret>,
    is_set: bool,
    file: Option<&Path>,
) -> anyhow::Result<Option<Secret>> {
    ensure!(
        !is_set || file.is_none(),
        "{name} and {name}_FILE are both set: unset one"
    );
    match (given, file) {
        (Some(given), _) => Ok(first(given.expose().split(','))),
        (None, Some(file)) => {
            let held = read_secret(file).map_err(|why| anyhow!("{name}_FILE: {why}"))?;
            Ok(first(held.lines()))
        }
        (None, None) => Ok(None),
    }
}

fn first<'a>(mut tokens: impl Iterator<Item = &'a str>) -> Option<Secret> {
    tokens
        .find(|token| !token.trim().is_empty())
        .map(|token| Secret::from(token.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_win_over_the_file_and_the_first_token_is_used() {
        let file = std::env::temp_dir().join(format!("tocsin-{}", uuid::Uuid::now_v7()));
        std::fs::write(&file, "\nfrom-file\nold\n").unwrap();
        let given = Secret::from(" new , old");
        let chosen = |given: Option<&Secret>, is_set, file| {
            let token = choose("TOCSIN_API_TOKEN", given, is_set, file);
            token.map(|token| token.map(|token| token.expose().to_owned()))
        };
        let new = Some("new".to_owned());
        assert_eq!(chosen(Some(&given), true, None).unwrap(), new);
        assert_eq!(chosen(Some(&given), false, Some(&file)).unwrap(), new);
        let held = Some("from-file".to_owned());
        assert_eq!(chosen(None, false, Some(&file)).unwrap(), held);
        assert_eq!(chosen(None, false, None).unwrap(), None);
        let both = chosen(Some(&given), true, Some(&file)).unwrap_err();
        assert!(both.to_string().contains("TOCSIN_API_TOKEN_FILE"), "{both}");
        std::fs::remove_file(&file).unwrap();
        let missing = chosen(None, false, Some(&file)).unwrap_err();
        assert!(missing.to_string().starts_with("TOCSIN_API_TOKEN_FILE: "));
    }
}
