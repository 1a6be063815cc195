//! The trace that a piece of work belongs to, from the webhook to the message: W3C's Trace Context
//! where it comes in, and a compact text where a job carries it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Characters of the ids in a job: 24 bytes.
const IDS: usize = 32;

/// A trace, and the span in it that what comes next belongs under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The trace. Not all zero.
    pub id: [u8; 16],
    /// The span. Not all zero.
    pub span: [u8; 8],
    /// Whether its caller sampled it.
    pub sampled: bool,
}

impl Trace {
    /// One that begins here.
    #[must_use]
    pub fn begin() -> Self {
        // Never zero: that means "none".
        let id = rand::random::<u128>().max(1).to_be_bytes();
        let span = rand::random::<u64>().max(1).to_be_bytes();
        Self {
            id,
            span,
            sampled: true,
        }
    }

    /// Reads a `traceparent` header (<https://www.w3.org/TR/trace-context/#traceparent-header>);
    /// one that is not as it must be is none.
    #[must_use]
    pub fn of_traceparent(header: &str) -> Option<Self> {
        let (version, rest) = header.split_once('-')?;
        let [version] = hex(version)?;
        let (id, rest) = rest.split_once('-')?;
        let (span, rest) = rest.split_once('-')?;
        // Later versions may have more to say.
        let flags = match (version, rest.split_once('-')) {
            (0xff, _) | (0, Some(_)) => return None,
            (_, Some((flags, _))) => flags,
            (_, None) => rest,
        };
        let [flags] = hex(flags)?;
        Self {
            id: hex(id)?,
            span: hex(span)?,
            sampled: flags & 1 == 1,
        }
        .valid()
    }

    /// As a job carries it: 24 bytes in base64, and whether it is to be kept.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut ids = [0; 24];
        ids[..16].copy_from_slice(&self.id);
        ids[16..].copy_from_slice(&self.span);
        let mut text = String::with_capacity(IDS + 1);
        URL_SAFE_NO_PAD.encode_string(ids, &mut text);
        text.push(if self.sampled { '1' } else { '0' });
        text
    }

    /// Reads what a job carries, or the trace's id alone, as a dead letter has it: what follows
    /// belongs to that trace then, under no known span.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        if text.len() == IDS {
            let id: [u8; 16] = hex(text)?;
            let mut span = [0; 8];
            span.copy_from_slice(&id[8..]);
            let sampled = true;
            return Self { id, span, sampled }.valid();
        }
        let (ids, sampled) = text.split_at_checked(IDS)?;
        let ids: [u8; 24] = URL_SAFE_NO_PAD.decode(ids).ok()?.try_into().ok()?;
        let (mut id, mut span) = ([0; 16], [0; 8]);
        id.copy_from_slice(&ids[..16]);
        span.copy_from_slice(&ids[16..]);
        let sampled = match sampled {
            "1" => true,
            "0" => false,
            _ => return None,
        };
        Self { id, span, sampled }.valid()
    }

    fn valid(self) -> Option<Self> {
        (self.id != [0; 16] && self.span != [0; 8]).then_some(self)
    }
}

/// The trace's id in hex, as people and their tools know it.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.id))
    }
}

/// Exactly `N` bytes in lower-case hex.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_is_read_as_w3c_writes_it() {
        let trace = Trace::of_traceparent(PARENT).unwrap();
        assert_eq!(trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.span, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
        assert!(trace.sampled);
        let unsampled = PARENT.replace("-01", "-00");
        assert!(!Trace::of_traceparent(&unsampled).unwrap().sampled);
        let later = PARENT.replacen("00", "cc", 1) + "-more";
        assert_eq!(Trace::of_traceparent(&later), Some(trace));
    }

    #[test]
    fn a_header_that_is_not_as_it_must_be_is_none() {
        for wrong in [
            "",
            "00",
            &PARENT.replacen("00", "ff", 1),
            &PARENT.to_uppercase(),
            &format!("{PARENT}-more"),
            &format!("{PARENT}0"),
            &PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &PARENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &PARENT.replace('-', " "),
            "00-é-é-01",
        ] {
            assert_eq!(Trace::of_traceparent(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_job_carries_it_in_33_characters() {
        for sampled in [true, false] {
            let trace = Trace {
                sampled,
                ..Trace::begin()
            };
            let encode = trace.encode();
            assert_eq!(encode.len(), 33);
            assert_eq!(Trace::decode(&encode), Some(trace));
        }
        let known = Trace::decode("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
        assert_eq!(known.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        for wrong in [
            "",
            "of two words",
            &"A".repeat(33),
            &"0".repeat(32),
            &"é".repeat(16),
        ] {
            assert_eq!(Trace::decode(wrong), None, "{wrong}");
        }
    }
}
