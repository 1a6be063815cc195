//! Buttons beneath a card: which are offered, and what each says back when it is pressed.
//!
//! What comes back is not to be trusted (a modified client can send anything), so it says only what
//! is wanted, of which incident; who wants it, the provider says.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::aggregation::Status;

/// The version of what a button carries; others are ignored.
const VERSION: &str = "1";
/// Bytes that a button can carry.
const CARRIED: usize = 64;
/// Bytes of an action that fits into a button.
pub const ACTION: usize = CARRIED - "1:n::".len() - 32;

/// The action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ButtonAction {
    /// To take the incident.
    Acknowledge,
    /// To take it from who has it.
    TakeOver {
        /// The [mark](mark_of) of who had it when the button was shown.
        from: String,
    },
    /// To say that it is over.
    Resolve,
    /// To hear nothing of its anomaly for an hour.
    Mute,
    /// To hear of it again.
    Unmute,
    /// To see which repairs there are.
    Repairs,
    /// To see the other buttons again.
    Back,
    /// To say that this was done, and whether it helped.
    Repaired {
        /// What was done.
        action: String,
        /// Whether it helped.
        success: bool,
    },
    /// To have the recommended action run by its hook.
    Run {
        /// Which: the one that was recommended when the button was shown.
        action: String,
    },
}

/// What a button carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackData {
    /// About which incident.
    pub incident: Uuid,
    /// What is wanted.
    pub action: ButtonAction,
}

impl CallbackData {
    /// As a button carries it, in 64 bytes at most.
    #[must_use]
    pub fn data(&self) -> String {
        let (word, action) = match &self.action {
            ButtonAction::Acknowledge => ("a", None),
            ButtonAction::TakeOver { from } => ("t", Some(from)),
            ButtonAction::Resolve => ("r", None),
            ButtonAction::Mute => ("m", None),
            ButtonAction::Unmute => ("u", None),
            ButtonAction::Repairs => ("p", None),
            ButtonAction::Back => ("b", None),
            ButtonAction::Repaired { action, success } => {
                (if *success { "y" } else { "n" }, Some(action))
            }
            ButtonAction::Run { action } => ("x", Some(action)),
        };
        let incident = self.incident.simple();
        match action {
            None => format!("{VERSION}:{word}:{incident}"),
            Some(action) => format!("{VERSION}:{word}:{incident}:{action}"),
        }
    }

    /// Reads what [`CallbackData::data`] wrote; `None` for anything else.
    #[must_use]
    pub fn read(data: &str) -> Option<Self> {
        if data.len() > CARRIED {
            return None;
        }
        let mut parts = data.splitn(4, ':');
        let (version, word, incident) = (parts.next()?, parts.next()?, parts.next()?);
        let action = parts.next();
        if version != VERSION || incident.len() != 32 {
            return None;
        }
        let action = match (word, action) {
            ("a", None) => ButtonAction::Acknowledge,
            ("r", None) => ButtonAction::Resolve,
            ("m", None) => ButtonAction::Mute,
            ("u", None) => ButtonAction::Unmute,
            ("p", None) => ButtonAction::Repairs,
            ("b", None) => ButtonAction::Back,
            ("t", Some(from)) if is_action(from) => ButtonAction::TakeOver {
                from: from.to_owned(),
            },
            ("y" | "n", Some(action)) if is_action(action) => ButtonAction::Repaired {
                action: action.to_owned(),
                success: word == "y",
            },
            ("x", Some(action)) if is_action(action) => ButtonAction::Run {
                action: action.to_owned(),
            },
            _ => return None,
        };
        Some(Self {
            incident: incident.parse().ok()?,
            action,
        })
    }
}

/// What a button carries of a name: too little to read it, and enough to tell it from another one.
#[must_use]
pub fn mark_of(name: Option<&str>) -> String {
    let Some(name) = name else {
        return "-".to_owned();
    };
    let digest = Sha256::digest(name);
    let bytes = digest.iter().take(8);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// Whether an action can be on a button.
#[must_use]
pub fn is_action(action: &str) -> bool {
    !action.trim().is_empty() && action.len() <= ACTION && !action.contains(char::is_control)
}

/// The rows of buttons beneath a card. What is not possible any more is not offered; who acknowledged the incident is
/// `holder`, and `run` is the action that a hook can be asked to run.
#[must_use]
pub fn offered(
    incident: Uuid,
    (status, holder): (Status, Option<&str>),
    is_muted: bool,
    run: Option<&str>,
) -> Vec<Vec<CallbackData>> {
    let press = |action| CallbackData { incident, action };
    let first = match status {
        Status::Open | Status::Analyzing => vec![
            press(ButtonAction::Acknowledge),
            press(ButtonAction::Resolve),
        ],
        Status::Acknowledged => {
            let from = mark_of(holder);
            vec![
                press(ButtonAction::TakeOver { from }),
                press(ButtonAction::Resolve),
            ]
        }
        Status::Resolved => vec![],
    };
    let mute = if is_muted {
        ButtonAction::Unmute
    } else {
        ButtonAction::Mute
    };
    let second = vec![press(mute), press(ButtonAction::Repairs)];
    let run = run.filter(|action| is_action(action) && status != Status::Resolved);
    let third = run.map(|action| ButtonAction::Run {
        action: action.to_owned(),
    });
    [first, second, third.into_iter().map(press).collect()]
        .into_iter()
        .filter(|row| !row.is_empty())
        .collect()
}

/// The rows of buttons that ask which repair it was.
#[must_use]
pub fn repairs(incident: Uuid, actions: &[String]) -> Vec<Vec<CallbackData>> {
    let press = |action| CallbackData { incident, action };
    let each = actions.iter().filter(|action| is_action(action));
    let mut rows: Vec<Vec<CallbackData>> = each
        .map(|action| {
            let repaired = |success| ButtonAction::Repaired {
                action: action.clone(),
                success,
            };
            vec![press(repaired(true)), press(repaired(false))]
        })
        .collect();
    rows.push(vec![press(ButtonAction::Back)]);
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: Uuid = Uuid::from_u128(0x019a_ad6b_8bae_7c31_9d0e_52a1_7fb3_09c4);

    #[test]
    fn callback_data_round_trips_and_fits_in_64_bytes() {
        let longest = "x".repeat(ACTION);
        let actions = ["restart_pod".to_owned(), longest, "a:b".to_owned()];
        let mut rows = repairs(ID, &actions);
        for status in [Status::Open, Status::Acknowledged, Status::Resolved] {
            rows.extend(offered(ID, (status, None), false, None));
            rows.extend(offered(
                ID,
                (status, Some("Ann Ø")),
                true,
                Some("restart_pod"),
            ));
        }
        assert!(rows.len() > 12);
        for press in rows.into_iter().flatten() {
            let data = press.data();
            assert!(data.len() <= 64, "{data}");
            assert_eq!(CallbackData::read(&data), Some(press), "{data}");
        }
    }

    #[test]
    fn an_action_that_does_not_fit_is_not_offered() {
        let actions = ["x".repeat(ACTION + 1), " ".to_owned()];
        assert_eq!(repairs(ID, &actions).len(), 1);
        let rows = |status, action| offered(ID, (status, None), false, Some(action)).len();
        assert_eq!(rows(Status::Open, &actions[0]), 2);
        assert_eq!(rows(Status::Open, "restart_pod"), 3);
        assert_eq!(rows(Status::Resolved, "restart_pod"), 1);
    }

    #[test]
    fn buttons_offer_only_possible_operations() {
        let actions = |status, muted| -> Vec<ButtonAction> {
            let rows = offered(ID, (status, Some("ann")), muted, None);
            let rows = rows.into_iter().flatten();
            rows.map(|press| press.action).collect()
        };
        let open = actions(Status::Open, false);
        let expected = [
            ButtonAction::Acknowledge,
            ButtonAction::Resolve,
            ButtonAction::Mute,
            ButtonAction::Repairs,
        ];
        assert_eq!(open, expected);
        let taken = actions(Status::Acknowledged, true);
        assert_eq!(
            taken,
            [
                ButtonAction::TakeOver {
                    from: mark_of(Some("ann"))
                },
                ButtonAction::Resolve,
                ButtonAction::Unmute,
                ButtonAction::Repairs
            ]
        );
        let over = actions(Status::Resolved, false);
        assert_eq!(over, [ButtonAction::Mute, ButtonAction::Repairs]);
    }

    #[test]
    fn names_have_different_marks() {
        let names = [
            None,
            Some(""),
            Some("-"),
            Some("ann"),
            Some("Ann"),
            Some("bob"),
        ];
        let marks: std::collections::BTreeSet<String> = names.into_iter().map(mark_of).collect();
        assert_eq!(marks.len(), names.len(), "{marks:?}");
    }

    #[test]
    fn anything_else_is_not_read() {
        let id = ID.simple();
        for data in [
            String::new(),
            "1".to_owned(),
            "1:a".to_owned(),
            format!("2:a:{id}"),
            format!("1:z:{id}"),
            format!("1:a:{id}:restart_pod"),
            format!("1:y:{id}"),
            format!("1:t:{id}"),
            format!("1:y:{id}:"),
            format!("1:x:{id}"),
            format!("1:x:{id}: "),
            format!("1:y:{id}:a\nb"),
            format!("1:a:{}", ID),
            format!("1:a:{}", "g".repeat(32)),
            format!("1:y:{id}:{}", "x".repeat(ACTION + 1)),
        ] {
            assert_eq!(CallbackData::read(&data), None, "{data:?}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_input_causes_no_panic(data in "\\PC{0,80}") {
            if let Some(press) = CallbackData::read(&data) {
                prop_assert!(press.data().len() <= 64);
            }
        }
    }
}
