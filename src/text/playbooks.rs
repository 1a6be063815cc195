//! The words for what changes in a playbook.

use super::{Text, fill};
use crate::domain::playbook::proposal::Move;

/// That an action gets another place.
#[must_use]
pub fn moved(text: &Text, one: &Move) -> String {
    let form = match (one.from == one.to, one.is_up) {
        (true, true) => text.proposal_first,
        (true, false) => text.proposal_last,
        (false, true) => text.proposal_up,
        (false, false) => text.proposal_down,
    };
    let (from, to) = (one.from.number().to_string(), one.to.number().to_string());
    fill(
        form,
        &[("action", &one.action), ("from", &from), ("to", &to)],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tier::Tier;
    use crate::text::{EN, ZH_TW};

    #[test]
    fn each_move_is_said_with_its_tiers() {
        let of = |from, to, is_up| Move {
            action: "rollback".to_owned(),
            from,
            to,
            is_up,
        };
        let up = of(Tier::Mitigate, Tier::Restart, true);
        assert_eq!(moved(&EN, &up), "rollback moves up from tier 2 to tier 1");
        assert_eq!(moved(&ZH_TW, &up), "rollback 從第 2 層移到第 1 層（往前）");
        let last = of(Tier::Restart, Tier::Restart, false);
        assert_eq!(moved(&EN, &last), "rollback moves down within tier 1");
    }
}
