//! Ports of 127.0.0.1.

use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

use rand::RngExt as _;

/// Programs that choose among their own ports, by their process IDs: those that run beside each other seldom choose the same.
const SHARES: u16 = 16;

/// A port that nothing listens on, that this was not said of before in this process, and that no
/// outgoing connection takes while a server is down.
#[must_use]
pub fn free() -> u16 {
    static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = taken.get_or_insert_default();
    let own = (std::process::id() % u32::from(SHARES)) as u16;
    loop {
        let port = rand::rng().random_range(20_000 / SHARES..32_000 / SHARES) * SHARES + own;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && taken.insert(port) {
            return port;
        }
    }
}
