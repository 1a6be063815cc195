//! How a job is written into an entry of a stream, and read again.
//!
//! ```text
//! h   ID[ aMS][ rN][ u][ tTRACE]   the id in hex; queued since; replays; its id is kept; its trace
//! p   the payload
//! e   the attempts that failed, as JSON; absent while there are none
//! ```

use redis::Value;
use uuid::Uuid;

use crate::queue::store::{Delivery, FailedAttempt, Lease, NewJob, Place};
use crate::time::Timestamp;

/// The header of a job that is pushed.
pub(super) fn header(job: &NewJob) -> String {
    let mut header = job.id.simple().to_string();
    if job.replay > 0 {
        header.push_str(&format!(" r{}", job.replay));
    }
    if job.named {
        header.push_str(" u");
    }
    if let Some(trace) = &job.trace_id {
        header.push_str(" t");
        header.push_str(trace);
    }
    header
}

struct Header {
    id: Uuid,
    enqueued_at: Option<Timestamp>,
    replay: u32,
    named: bool,
    trace_id: Option<String>,
}

impl Header {
    fn parse(text: &str) -> Option<Self> {
        let (id, mut rest) = text.split_once(' ').unwrap_or((text, ""));
        let mut header = Self {
            id: Uuid::try_parse(id).ok()?,
            enqueued_at: None,
            replay: 0,
            named: false,
            trace_id: None,
        };
        while !rest.is_empty() {
            // The trace comes last and may contain spaces.
            if let Some(trace) = rest.strip_prefix('t') {
                header.trace_id = Some(trace.to_owned());
                break;
            }
            let (word, more) = rest.split_once(' ').unwrap_or((rest, ""));
            match word.split_at_checked(1)? {
                ("a", ms) => header.enqueued_at = Some(Timestamp(ms.parse().ok()?)),
                ("r", n) => header.replay = n.parse().ok()?,
                ("u", "") => header.named = true,
                _ => return None,
            }
            rest = more;
        }
        Some(header)
    }
}

/// The id of an entry, as a place: milliseconds and number.
pub(super) fn place(id: &[u8]) -> Option<(u64, u64)> {
    let (ms, number) = std::str::from_utf8(id).ok()?.split_once('-')?;
    Some((ms.parse().ok()?, number.parse().ok()?))
}

/// The id of the entry at a place.
pub(super) fn entry_id(place: Place) -> String {
    format!("{}-{}", place.major, place.minor)
}

/// What was read of an entry.
pub(super) struct Parts {
    pub(super) id: Vec<u8>,
    pub(super) header: Vec<u8>,
    pub(super) payload: Vec<u8>,
    pub(super) errors: Vec<u8>,
}

impl Parts {
    /// An entry as the server lists it: its id, then names and values.
    pub(super) fn of_entry(entry: Value) -> Option<Self> {
        let [id, fields] = array(entry)?;
        let mut parts = Self {
            id: bytes(id)?,
            header: Vec::new(),
            payload: Vec::new(),
            errors: Vec::new(),
        };
        let Value::Array(fields) = fields else {
            return Some(parts);
        };
        let mut fields = fields.into_iter();
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            let value = bytes(value)?;
            match bytes(name)?.as_slice() {
                b"h" => parts.header = value,
                b"p" => parts.payload = value,
                b"e" => parts.errors = value,
                _ => {}
            }
        }
        Some(parts)
    }

    /// The job. One whose header cannot be read is nobody's: it gets an id of its entry's, and what
    /// it carries is for the dead letters.
    pub(super) fn into_delivery(self, delivery: u32) -> Option<Delivery> {
        let (ms, number) = place(&self.id)?;
        let header = std::str::from_utf8(&self.header)
            .ok()
            .and_then(Header::parse);
        let header = header.unwrap_or_else(|| Header {
            id: Uuid::from_u64_pair(ms, number),
            enqueued_at: None,
            replay: 0,
            named: false,
            trace_id: None,
        });
        let failed: Vec<FailedAttempt> = serde_json::from_slice(&self.errors).unwrap_or_default();
        Some(Delivery {
            lease: Lease {
                id: header.id,
                delivery,
                replay: header.replay,
                place: Place {
                    major: ms,
                    minor: number,
                    named: header.named,
                },
            },
            payload: self.payload,
            failed,
            trace_id: header.trace_id,
            enqueued_at: header
                .enqueued_at
                .unwrap_or_else(|| Timestamp(i64::try_from(ms).unwrap_or(i64::MAX))),
        })
    }
}

/// Jobs that a script handed out: id, header, payload, errors, delivery.
pub(super) fn claimed(job: Value) -> Option<Delivery> {
    let [id, header, payload, errors, delivery] = array(job)?;
    let Value::Int(delivery) = delivery else {
        return None;
    };
    let parts = Parts {
        id: bytes(id)?,
        header: bytes(header)?,
        payload: bytes(payload)?,
        errors: bytes(errors)?,
    };
    parts.into_delivery(u32::try_from(delivery).ok()?)
}

fn array<const N: usize>(value: Value) -> Option<[Value; N]> {
    match value {
        Value::Array(items) => items.try_into().ok(),
        _ => None,
    }
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn read(header: &str) -> Option<Header> {
        Header::parse(header)
    }

    #[test]
    fn a_header_says_what_is_not_usual() {
        let mut job = NewJob {
            queue: "mail",
            id: Uuid::now_v7(),
            payload: String::new(),
            delay: Duration::ZERO,
            trace_id: None,
            replay: 0,
            named: false,
        };
        assert_eq!(header(&job), job.id.simple().to_string());
        let plain = read(&header(&job)).unwrap();
        assert_eq!((plain.id, plain.replay, plain.named), (job.id, 0, false));
        assert_eq!((plain.enqueued_at, plain.trace_id), (None, None));

        job.replay = 12;
        job.named = true;
        job.trace_id = Some("of two words".to_owned());
        let full = read(&header(&job)).unwrap();
        assert_eq!((full.id, full.replay, full.named), (job.id, 12, true));
        assert_eq!(full.trace_id, job.trace_id);
        let since = header(&job).replacen(' ', " a1795382909102 ", 1);
        assert_eq!(
            read(&since).unwrap().enqueued_at,
            Some(Timestamp(1_795_382_909_102))
        );
    }

    #[test]
    fn what_is_no_header_is_not_read() {
        for text in [
            "",
            "x",
            "0192 u",
            "00000000000000000000000000000000 x1",
            "é u",
        ] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}
