//! Failed sign-ins: how many came from where, and when that is too many.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Wrong tokens from one address within [`WINDOW`] that are answered as wrong; after that the address must wait.
const MOST: u32 = 10;
/// The time from the first of them.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered at most; those that began longest ago are forgotten first.
const ADDRESSES: usize = 10_000;
/// Failed sign-ins are logged at most once in this time.
pub(super) const TELL: Duration = Duration::from_secs(1);

/// Wrong tokens by address. An address that sends too many is asked to wait, which is logged; each token is
/// still checked, so this does not limit guessing. If it did, ten wrong tokens a minute would lock out all others
/// who come from the same address, which behind a proxy is everybody, and a long random token needs no
/// such help.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<FailureLog>);

#[derive(Debug, Default)]
struct FailureLog {
    /// How many, and when the first was.
    failures: HashMap<IpAddr, (u32, Instant)>,
    /// Addresses by their first. All windows are equally long, so they end in this order.
    order: VecDeque<IpAddr>,
    logged_at: Option<Instant>,
    unlogged: u64,
    /// For what the last of them was presented, and from where.
    last_unlogged: Option<(&'static str, IpAddr)>,
}

/// Failures that were not logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unlogged {
    /// How many there were.
    pub(super) more: u64,
    /// For what the last of them was presented.
    pub(super) role: &'static str,
    /// Where that came from.
    pub(super) client: IpAddr,
}

/// What a failed sign-in comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    /// How long the address must wait.
    pub(super) wait: Option<Duration>,
    /// If it is to be logged: how many were not logged since the last time.
    pub(super) tell: Option<u64>,
    /// It is the first since then that is not logged: after [`TELL`], log the
    /// [rest](Attempts::rest).
    pub(super) is_first_untold: bool,
}

impl Attempts {
    /// Counts a wrong token.
    pub(super) fn failed(&self, role: &'static str, address: IpAddr, now: Instant) -> Failed {
        let mut log = self.log();
        let wait = log.count(network(address), now);
        let is_told = log
            .logged_at
            .is_some_and(|logged_at| now.duration_since(logged_at) < TELL);
        let tell = if is_told {
            log.unlogged += 1;
            log.last_unlogged = Some((role, address));
            None
        } else {
            log.logged_at = Some(now);
            Some(std::mem::take(&mut log.unlogged))
        };
        Failed {
            wait,
            tell,
            is_first_untold: tell.is_none() && log.unlogged == 1,
        }
    }

    /// What was not logged, once it may be logged again; nothing if it was logged meanwhile.
    pub(super) fn rest(&self, now: Instant) -> Option<Unlogged> {
        let mut log = self.log();
        let logged_at = log.logged_at?;
        if log.unlogged == 0 || now.duration_since(logged_at) < TELL {
            return None;
        }
        let (role, client) = log.last_unlogged?;
        log.logged_at = Some(now);
        Some(Unlogged {
            more: std::mem::take(&mut log.unlogged),
            role,
            client,
        })
    }

    fn log(&self) -> MutexGuard<'_, FailureLog> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FailureLog {
    fn count(&mut self, address: IpAddr, now: Instant) -> Option<Duration> {
        while self
            .oldest()
            .is_some_and(|began| now.duration_since(began) >= WINDOW)
        {
            self.forget_oldest();
        }
        if !self.failures.contains_key(&address) {
            if self.failures.len() >= ADDRESSES {
                self.forget_oldest();
            }
            self.order.push_back(address);
        }
        let (failures, began) = self.failures.entry(address).or_insert((0, now));
        *failures = failures.saturating_add(1);
        (*failures > MOST).then(|| WINDOW.saturating_sub(now.duration_since(*began)))
    }

    fn oldest(&self) -> Option<Instant> {
        let (_, began) = self.failures.get(self.order.front()?)?;
        Some(*began)
    }

    fn forget_oldest(&mut self) {
        if let Some(address) = self.order.pop_front() {
            self.failures.remove(&address);
        }
    }
}

/// A client with one IPv6 address has all of its /64.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn after_ten_wrong_tokens_an_address_waits_until_a_minute_after_the_first() {
        let (attempts, began) = (Attempts::default(), Instant::now());
        let wait = |who: &str, after| {
            let now = began + Duration::from_secs(after);
            attempts.failed("read", address(who), now).wait
        };
        for n in 0..10 {
            assert_eq!(wait("192.0.2.1", n), None);
        }
        assert_eq!(wait("192.0.2.1", 20), Some(Duration::from_secs(40)));
        assert_eq!(wait("::ffff:192.0.2.1", 59), Some(Duration::from_secs(1)));
        assert_eq!(wait("192.0.2.2", 59), None);
        assert_eq!(wait("192.0.2.1", 60), None);
        for n in 0..10 {
            wait(&format!("2001:db8::{n}"), 60);
        }
        assert!(wait("2001:db8::ffff", 60).is_some());
        assert_eq!(wait("2001:db8:0:1::1", 60), None);
    }

    #[test]
    fn no_more_addresses_are_remembered_than_there_is_room_for() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for n in 0..ADDRESSES as u32 + 5 {
            attempts.failed("read", IpAddr::V4(n.into()), now);
        }
        let log = attempts.log();
        assert_eq!(
            (log.failures.len(), log.order.len()),
            (ADDRESSES, ADDRESSES)
        );
        assert!(!log.failures.contains_key(&address("0.0.0.4")));
    }

    #[test]
    fn failures_are_logged_once_a_second_with_their_number() {
        let (attempts, began) = (Attempts::default(), Instant::now());
        let tell = |ms| {
            let now = began + Duration::from_millis(ms);
            attempts.failed("read", address("192.0.2.1"), now).tell
        };
        let logged = [tell(0), tell(1), tell(2), tell(1000), tell(1001)];
        assert_eq!(logged, [Some(0), None, None, Some(2), None]);
    }

    #[test]
    fn the_rest_of_a_burst_is_logged_once_at_its_end() {
        let (attempts, began) = (Attempts::default(), Instant::now());
        let at = |ms| began + Duration::from_millis(ms);
        let failed = |role, who, ms| {
            let failed = attempts.failed(role, address(who), at(ms));
            failed.is_first_untold
        };
        let fail = |ms| failed("read", "192.0.2.1", ms);
        assert_eq!(attempts.rest(at(0)), None);
        assert_eq!([fail(0), fail(1)], [false, true]);
        assert!(!failed("operate", "192.0.2.2", 2));
        assert_eq!(attempts.rest(at(500)), None);
        let rest = Unlogged {
            more: 2,
            role: "operate",
            client: address("192.0.2.2"),
        };
        assert_eq!(attempts.rest(at(1001)), Some(rest));
        assert_eq!(attempts.rest(at(3000)), None);
        // What was logged with the next one is not logged again.
        assert_eq!([fail(4000), fail(4001), fail(5000)], [false, true, false]);
        assert_eq!(attempts.rest(at(5001)), None);
    }
}
