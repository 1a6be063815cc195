//! The network breaks between Tocsin, its senders and its providers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use super::oracle::Scenario;
use super::storm::Storm;
use crate::proxy::{Fate, Piece, Proxy, Way, port_of};

/// How often a request, or the reply to one, is lost.
const CUT: f64 = 0.2;
/// A message is given 10 s, and is tried again after some seconds more each time.
const TOLD: Duration = Duration::from_secs(60);

const STORM: Storm = Storm {
    anomalies: 40,
    pods: 50,
    together: 20,
    pace: Duration::from_millis(40),
};

scenarios! {
    async fn cut_at_the_ingress(on: sqlite postgres fleet) {
        let mut scenario = Scenario::new(on).await;
        let (urls, _) = scenario.start(on, 1).await;
        let mut random = StdRng::seed_from_u64(scenario.random.random());
        let cuts: [Arc<AtomicUsize>; 2] = Default::default();
        let counted = cuts.clone();
        let proxy = Proxy::start(port_of(&urls[0]), move |piece| {
            if !random.random_bool(CUT) {
                return Fate::Pass;
            }
            counted[usize::from(piece.way == Way::FromServer)].fetch_add(1, Ordering::Relaxed);
            Fate::Cut
        })
        .await;
        let load = scenario.post(STORM, &[proxy.instead(&urls[0])]);
        let unanswered = load.await.unwrap().len();
        let [requests, replies] = cuts.map(|cut| cut.load(Ordering::Relaxed));
        eprintln!("{requests} requests and {replies} replies were cut, {unanswered} sent again");
        assert!(requests > 0 && replies > 0 && unanswered > 0);
        scenario.verdict(Instant::now(), &STORM.expected()).await;
    }

    async fn telegram_in_trouble(on: sqlite postgres fleet) {
        let mut scenario = Scenario::new(on).await;
        let mut troubles: Vec<Trouble> = TROUBLES.repeat(2);
        troubles.shuffle(&mut scenario.random);
        let unsaid = troubles.iter().filter(|trouble| trouble.0 == Way::FromServer).count();
        let telegram = scenario.fleet.telegram.url.clone();
        let proxy = Proxy::start(port_of(&telegram), judge(troubles)).await;
        scenario.fleet.telegram.url = proxy.instead(&telegram);
        refuse(&scenario);
        let (urls, _) = scenario.start(on, 2).await;
        scenario.post(STORM, &urls).await.unwrap();
        let expected = STORM.expected().within(TOLD).doubled(unsaid);
        scenario.verdict(Instant::now(), &expected).await;
    }
}

/// What happens to a request that is on this way.
type Trouble = (Way, Fate);

/// Lost or kept for good, before Telegram took it and after.
const TROUBLES: [Trouble; 4] = [
    (Way::ToServer, Fate::Cut),
    (Way::ToServer, Fate::Hold),
    (Way::FromServer, Fate::Cut),
    (Way::FromServer, Fate::Hold),
];

/// One trouble after the other, at most one for each connection: so each hits a message of its own.
fn judge(troubles: Vec<Trouble>) -> impl FnMut(&Piece) -> Fate + Send {
    let mut left = VecDeque::from(troubles);
    let mut begun = Vec::new();
    move |piece| {
        while begun.len() <= piece.connection {
            begun.push(left.pop_front());
        }
        match begun[piece.connection] {
            Some((way, fate)) if way == piece.way => fate,
            _ => Fate::Pass,
        }
    }
}

/// The first messages that come through are refused in each way that Telegram has, and in one that
/// is somebody else's.
fn refuse(scenario: &Scenario) {
    let telegram = &scenario.fleet.telegram;
    for _ in 0..2 {
        telegram.answer_next(500, json!({"ok": false, "description": "Internal"}));
        telegram.answer_next(429, json!({"ok": false, "parameters": {"retry_after": 1}}));
        telegram.answer_next(200, json!("<html>Welcome to this hotel</html>"));
        telegram.answer_next(502, json!("<html>Bad Gateway</html>"));
    }
}
