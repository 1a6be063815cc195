//! Playbooks that are settings.

use std::collections::BTreeSet;

use crate::domain::playbook::Playbook;

/// What is wrong with them, by the setting's name.
pub(super) fn check(playbooks: &[Playbook]) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for (n, playbook) in playbooks.iter().enumerate() {
        let name = &playbook.name;
        playbook
            .check()
            .map_err(|wrong| format!("playbooks[{n}] ({name}): {wrong}"))?;
        if !names.insert(name) {
            return Err(format!("playbooks[{n}]: {name} is the name of another one"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::tests::load;

    #[test]
    fn playbooks_are_read_and_have_names_of_their_own() {
        let one = "[[playbooks]]\nname = 'pods'\nalert_name = 'KubePod*'\ntier_1 = 'restart_pod'\n";
        let config = load(one, &[]).unwrap();
        assert_eq!(config.playbooks[0].tier_1.0, ["restart_pod"]);
        for (given, wrong) in [
            (format!("{one}{one}"), "the name of another one"),
            ("[[playbooks]]\nname = 'pods'\n".to_owned(), "no action"),
            (format!("{one}tier_5 = 'pray'\n"), "tier_5"),
        ] {
            let refused = load(&given, &[]).unwrap_err().to_string();
            assert!(refused.contains(wrong), "{refused}");
        }
    }
}
