//! Notices: messages about no incident.

use tocsin::domain::playbook::Held;
use tocsin::domain::playbook::proposal::Move;
use tocsin::report::Report;
use tocsin::text::playbooks::moved;
use tocsin::text::{Lang, address, fill, repairs};
use tocsin::time::Timestamp;

use super::markup::Line;
use super::report;
use super::text::tidy;

/// The longest name or list of figures, in UTF-16 code units.
const LONGEST: usize = 300;

/// What is told that is about no incident.
#[derive(Clone, Debug)]
pub enum Notice {
    /// The figures of a week.
    Report(Box<Report>),
    /// A playbook was changed without a person.
    Playbook(PlaybookChange),
}

/// A playbook as it was changed by what held.
#[derive(Clone, Debug)]
pub struct PlaybookChange {
    /// Its name.
    pub name: String,
    /// The new version.
    pub version: i64,
    /// The version before.
    pub replaces: i64,
    /// When it was changed.
    pub at: Timestamp,
    /// Which actions have another place.
    pub moves: Vec<Move>,
    /// How often its actions held.
    pub held: Vec<Held>,
}

impl Notice {
    /// The lines of its message.
    #[must_use]
    pub(super) fn lines(&self, page: Option<&str>, lang: Lang) -> Vec<Line> {
        match self {
            Self::Report(report) => report::lines(report, page, lang),
            Self::Playbook(change) => change.lines(page, lang),
        }
    }
}

impl PlaybookChange {
    fn lines(&self, page: Option<&str>, lang: Lang) -> Vec<Line> {
        let text = lang.text();
        let name = tidy(&self.name, LONGEST);
        let headline = fill(text.pbm_changed, &[("name", &name)]);
        let mut lines = vec![Line::new().symbol("📒").bold(headline)];
        lines.extend(self.moves.iter().map(|one| {
            let said = moved(text, one);
            Line::new().text(tidy(&said, LONGEST))
        }));
        let each = self.held.iter();
        let each = each.map(|one| (one.action.as_str(), one.held, one.verdicts));
        lines.push(Line::new().text(tidy(&repairs::held(text, each), LONGEST)));
        let [version, replaces] = [self.version, self.replaces].map(|one| one.to_string());
        let said = [("version", version.as_str()), ("replaces", &replaces)];
        // What somebody changed since is not overwritten.
        let command = format!(
            "tocsin playbooks restore {name} --version {replaces} --expect {version} --why undo"
        );
        let undo = Line::new().text(fill(text.pbm_undo, &said));
        lines.push(undo.dot().code(command));
        let page = page.and_then(address);
        lines.extend(page.map(|url| Line::new().link(text.pbm_open, url)));
        lines
    }
}

#[cfg(test)]
mod tests {
    use tocsin::domain::tier::Tier;

    use super::*;
    use crate::notifiers::markup::{html, plain};

    fn sample() -> PlaybookChange {
        let of = |action: &str, from, to, is_up| Move {
            action: action.to_owned(),
            from,
            to,
            is_up,
        };
        let held = |action: &str, held, verdicts| Held {
            action: action.to_owned(),
            held,
            verdicts,
        };
        PlaybookChange {
            name: "pods".to_owned(),
            version: 2,
            replaces: 1,
            at: Timestamp(1_795_382_909_000),
            moves: vec![
                of("rollback", Tier::Mitigate, Tier::Restart, true),
                of("restart_pod", Tier::Restart, Tier::Mitigate, false),
            ],
            held: vec![held("rollback", 4, 4), held("restart_pod", 2, 9)],
        }
    }

    #[test]
    fn that_a_playbook_changed_is_told_with_its_numbers_and_how_to_undo_it() {
        let page = "https://tocsin.example/playbooks/pods";
        let each = Lang::ALL.map(|lang| html(&sample().lines(Some(page), lang), 4096));
        insta::assert_snapshot!(each.join("\n\n"));
    }

    #[test]
    fn names_of_actions_stay_names() {
        let mut change = sample();
        change.moves[0].action = "a\n<b>\u{202e}".repeat(100);
        let lines = change.lines(None, Lang::English);
        assert!(!plain(&lines).contains('\u{202e}'));
        assert_eq!(html(&lines, 4096).lines().count(), lines.len());
        assert!(!html(&lines, 4096).contains("<b>a"));
    }
}
