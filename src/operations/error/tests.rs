use std::time::Duration;

use super::*;
use crate::domain::mute::Ends;
use crate::time::Timestamp;

#[test]
fn errors_name_the_cause_and_the_remedy() {
    let by = || "ann".to_owned();
    let replayed = |with_another_payload| Conflict::AlreadyReplayed {
        by: by(),
        with_another_payload,
    };
    let nothing = Invalid::NothingSelected {
        filters: &["status", "level", "q"],
    };
    for (error, expected) in [
        (replayed(false).into(), "already replayed by ann"),
        (
            replayed(true).into(),
            "already replayed by ann, with another payload",
        ),
        (
            Conflict::AlreadyDiscarded { by: by() }.into(),
            "already discarded by ann",
        ),
        (
            nothing.into(),
            "nothing selected: give a status, level or q, or \"all\": true",
        ),
        (
            Invalid::MuteEnd(
                Ends::After(Duration::ZERO)
                    .moment(Timestamp(1))
                    .unwrap_err(),
            )
            .into(),
            "the end of a mute must be in the future",
        ),
        (
            OperationError::NotFound(Resource::Queue),
            &format!("unknown queue; known: {}", QUEUES.join(", ")),
        ),
    ] {
        assert_eq!(OperationError::to_string(&error), expected);
        assert_eq!(error.refusal().unwrap().detail(), expected);
    }
}
