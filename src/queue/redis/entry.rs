//! The format of a job in a stream entry.
//!
//! ```text
//! j   ID[ aMS][ rN][ u][ tTRACE], newline, payload
//!     the ID in hex; when it was first queued, added by deferring; replays; whether the ID is in `:ids`; its trace
//! e   the failed attempts, as JSON; absent while there are none
//! ```

use redis::Value;
use uuid::Uuid;

use crate::queue::store::{Delivery, FailedAttempt, Lease, NewJob, StorePosition};
use crate::time::Timestamp;

/// A job that is pushed.
pub(super) fn written(job: &NewJob) -> String {
    let mut written = String::with_capacity(40 + job.payload.len());
    let mut id = [0; 32];
    written.push_str(job.id.simple().encode_lower(&mut id));
    if job.replay > 0 {
        written.push_str(&format!(" r{}", job.replay));
    }
    if job.named {
        written.push_str(" u");
    }
    if let Some(trace) = &job.trace_id {
        written.push_str(" t");
        // A trace ID comes from a client, and a line break in it would end the header.
        written.extend(trace.chars().filter(|c| !['\n', '\0'].contains(c)));
    }
    written.push('\n');
    written.push_str(&job.payload);
    written
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
                // PostgreSQL's text refuses NUL, so no dead letter could be written.
                header.trace_id = Some(trace.replace('\0', ""));
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

/// An entry's ID as a position: milliseconds and sequence number.
pub(super) fn place(id: &[u8]) -> Option<(u64, u64)> {
    let (ms, number) = std::str::from_utf8(id).ok()?.split_once('-')?;
    Some((ms.parse().ok()?, number.parse().ok()?))
}

/// The ID of the entry at a position.
pub(super) fn entry_id(place: StorePosition) -> String {
    format!("{}-{}", place.major, place.minor)
}

/// An entry's fields.
pub(super) struct Parts {
    id: Vec<u8>,
    job: Vec<u8>,
    errors: Vec<u8>,
}

impl Parts {
    /// Reads an entry as Redis answers it: its ID, then names and values.
    pub(super) fn of_entry(entry: Value) -> Option<Self> {
        let [id, fields] = array(entry)?;
        let mut parts = Self {
            id: bytes(id)?,
            job: Vec::new(),
            errors: Vec::new(),
        };
        let Value::Array(fields) = fields else {
            return Some(parts);
        };
        let mut fields = fields.into_iter();
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            match bytes(name)?.as_slice() {
                b"j" => parts.job = bytes(value)?,
                b"e" => parts.errors = bytes(value)?,
                _ => {}
            }
        }
        Some(parts)
    }

    /// The job. If its header cannot be read, it gets an ID made from its entry's, and the whole entry as its
    /// payload, which becomes a dead letter.
    pub(super) fn into_delivery(mut self, delivery: u32) -> Option<Delivery> {
        let (ms, number) = place(&self.id)?;
        let enqueued_at = Timestamp(i64::try_from(ms).unwrap_or(i64::MAX));
        let header = self.take_header().unwrap_or_else(|| Header {
            id: Uuid::from_u64_pair(ms, number),
            enqueued_at: None,
            replay: 0,
            named: false,
            trace_id: None,
        });
        Some(Delivery {
            lease: Lease {
                id: header.id,
                delivery,
                replay: header.replay,
                place: StorePosition {
                    major: ms,
                    minor: number,
                    named: header.named,
                },
            },
            payload: self.job,
            failed: FailedAttempt::read_all(&self.errors),
            trace_id: header.trace_id,
            enqueued_at: header.enqueued_at.unwrap_or(enqueued_at),
            put_off: header.enqueued_at.is_some(),
        })
    }

    /// Reads the header; the rest is the payload.
    fn take_header(&mut self) -> Option<Header> {
        let end = self.job.iter().position(|byte| *byte == b'\n')?;
        let header = Header::parse(std::str::from_utf8(&self.job[..end]).ok()?)?;
        self.job.drain(..=end);
        Some(header)
    }
}

/// A script's answer: a number, then a list of jobs.
pub(super) fn number_and_jobs(answer: Vec<Value>) -> (bool, Vec<Delivery>) {
    let mut answer = answer.into_iter();
    let number = matches!(answer.next(), Some(Value::Int(1)));
    (number, answer.filter_map(claimed).collect())
}

/// The entries in the answer to XREADGROUP on one stream; nil if there are none.
pub(super) fn entries_of(read: Value) -> impl Iterator<Item = Parts> {
    let mut entries = Vec::new();
    if let Value::Array(streams) = read {
        for stream in streams {
            if let Value::Array(mut name_and_entries) = stream
                && let Some(Value::Array(of_stream)) = name_and_entries.pop()
            {
                entries = of_stream;
            }
        }
    }
    entries.into_iter().filter_map(Parts::of_entry)
}

/// A job in a script's answer: entry ID, header and payload, errors, delivery.
pub(super) fn claimed(job: Value) -> Option<Delivery> {
    let [id, job, errors, delivery] = array(job)?;
    let Value::Int(delivery) = delivery else {
        return None;
    };
    let parts = Parts {
        id: bytes(id)?,
        job: bytes(job)?,
        errors: bytes(errors)?,
    };
    parts.into_delivery(u32::try_from(delivery).ok()?)
}

pub(super) fn array<const N: usize>(value: Value) -> Option<[Value; N]> {
    match value {
        Value::Array(items) => items.try_into().ok(),
        _ => None,
    }
}

pub(super) fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    }
}

#[cfg(test)]
mod any_job;

#[cfg(test)]
mod tests {
    use super::*;

    /// The job as it would be delivered, from the entry `7-3`.
    fn delivered(job: &str) -> Delivery {
        let parts = Parts {
            id: b"7-3".to_vec(),
            job: job.as_bytes().to_vec(),
            errors: Vec::new(),
        };
        parts.into_delivery(1).unwrap()
    }

    #[test]
    fn a_job_is_read_as_it_was_written() {
        let mut job = NewJob {
            queue: "mail",
            id: Uuid::now_v7(),
            payload: "{\n}".to_owned(),
            ..NewJob::default()
        };
        let plain = delivered(&written(&job));
        assert_eq!((plain.lease.id, plain.lease.replay), (job.id, 0));
        assert_eq!((&plain.payload[..], plain.trace_id), (&b"{\n}"[..], None));
        assert_eq!(plain.enqueued_at, Timestamp(7), "the entry says since when");
        assert!(!plain.put_off);

        job.replay = 12;
        job.named = true;
        job.trace_id = Some("of two words".to_owned());
        let full = delivered(&written(&job));
        assert_eq!((full.lease.replay, full.lease.place.named), (12, true));
        assert_eq!(full.trace_id, job.trace_id);
        let since = written(&job).replacen(' ', " a1795382909102 ", 1);
        assert_eq!(delivered(&since).enqueued_at, Timestamp(1_795_382_909_102));
        assert_eq!(delivered(&since).lease.replay, 12);
        assert!(delivered(&since).put_off);
    }

    #[test]
    fn an_entry_without_a_header_is_delivered_whole_under_an_id_from_its_position() {
        for job in [
            "",
            "x",
            "{}\n",
            "0192 u\n{}",
            "00000000000000000000000000000000 x1\n",
            "é u\n",
        ] {
            let delivery = delivered(job);
            assert_eq!(delivery.lease.id, Uuid::from_u64_pair(7, 3), "{job}");
            assert_eq!(delivery.payload, job.as_bytes());
        }
    }
}
