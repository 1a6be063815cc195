//! Where exactly a worker dies: at the moment at which it says to a server what comes next.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tocsin::queue::store::DEAD_AFTER;
use tokio::sync::mpsc;

use super::oracle::Scenario;
use crate::fleet::processes::Launch;
use crate::harness::On;
use crate::proxy::{Fate, Piece, Proxy, Way, port_of};

/// The name of an alert that kills who runs it.
pub const POISON: &str = "Poison";

/// A moment in the life of an alert's job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Its rows are committed, and it is about to be counted.
    Count,
    /// It is counted, and the next job is about to be pushed.
    Push,
    /// The next job is pushed, and this one is about to leave the queue.
    Ack,
    /// It has left the queue, and the worker does not have it.
    Acked,
}

/// How the queue in Redis takes jobs out, as the server knows it.
fn remove_script() -> String {
    let script = concat!(
        "#!lua flags=allow-oom\n",
        include_str!("../../../src/queue/redis/prelude.lua"),
        include_str!("../../../src/queue/redis/remove.lua"),
    );
    redis::Script::new(script).get_hash().to_owned()
}

impl Point {
    /// What is said to the server then, by a worker of alerts alone.
    fn said(self, on: On) -> String {
        match (self, on) {
            (Self::Count, _) => ":count:".to_owned(),
            (Self::Push, _) => "{\"incident\":\"".to_owned(),
            (Self::Ack | Self::Acked, On::Fleet) => remove_script(),
            (Self::Ack | Self::Acked, _) => "DELETE FROM jobs".to_owned(),
        }
    }

    /// Says what becomes of a piece: the one that shows the point is held, for good.
    fn judge(self, on: On, tell: mpsc::UnboundedSender<()>) -> impl FnMut(&Piece) -> Fate + Send {
        let said = self.said(on);
        let mut asked = HashSet::new();
        move |piece| {
            let is_it = match piece.way {
                Way::ToServer if piece.has(&said) => {
                    asked.insert(piece.connection);
                    self != Self::Acked
                }
                Way::FromServer if self == Self::Acked => {
                    asked.contains(&piece.connection) && is_answer(on, piece, &mut asked)
                }
                _ => false,
            };
            if is_it {
                let _ = tell.send(());
                return Fate::Hold;
            }
            Fate::Pass
        }
    }
}

/// Whether this is the answer to what was asked, and not a step on the way there.
fn is_answer(on: On, piece: &Piece, asked: &mut HashSet<usize>) -> bool {
    if on != On::Fleet {
        return piece.has("DELETE ");
    }
    if piece.has("NOSCRIPT") {
        asked.remove(&piece.connection);
        return false;
    }
    true
}

impl Scenario {
    /// What the queue is in: the setting, and where it leads.
    fn queue(&self) -> (&'static str, String) {
        match &self.fleet.redis {
            Some(keys) => ("TOCSIN_REDIS_URL", keys.url.clone()),
            None => ("TOCSIN_DATABASE_URL", self.fleet.database.clone()),
        }
    }

    /// Starts a worker, the process of this number, that reports when it is handed the poison, and
    /// hears no more: it is to be killed then. Nobody is killed by a job that is not run any more.
    pub async fn poisoned(
        &mut self,
        number: usize,
        deaths: &Arc<AtomicU32>,
        tell: &mpsc::UnboundedSender<usize>,
    ) -> Proxy {
        let (setting, url) = self.queue();
        let (deaths, tell) = (Arc::clone(deaths), tell.clone());
        let judge = move |piece: &Piece| {
            let is_it = piece.way == Way::FromServer && piece.has(POISON);
            if is_it && deaths.fetch_add(1, Ordering::SeqCst) < DEAD_AFTER {
                let _ = tell.send(number);
                return Fate::Hold;
            }
            Fate::Pass
        };
        let proxy = Proxy::start(port_of(&url), judge).await;
        let launch = Launch::with(setting, proxy.instead(&url));
        assert_eq!(self.fleet.start_as(&["work"], &launch).await, number);
        proxy
    }

    /// Starts a worker of alerts alone; returns when it has come to the point, and is dead.
    pub async fn die_at(&mut self, point: Point, on: On) {
        let (tell, mut told) = mpsc::unbounded_channel();
        let (setting, url) = self.queue();
        let proxy = Proxy::start(port_of(&url), point.judge(on, tell)).await;
        let launch = Launch::with(setting, proxy.instead(&url));
        let arguments = ["work", "--queues", "ingest"];
        let victim = self.fleet.start_as(&arguments, &launch).await;
        let reached = tokio::time::timeout(crate::process::PATIENCE, told.recv()).await;
        assert_eq!(reached, Ok(Some(())), "{point:?} is never reached");
        self.fleet.processes[victim].kill();
    }
}
