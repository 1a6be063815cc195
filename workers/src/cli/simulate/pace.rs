//! Posting the storm at its rate, whether or not the instance keeps up.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::interval;
use tokio_util::sync::CancellationToken;

use super::bar::Bar;
use super::delivery::{Delivery, Sender};
use super::payload::{Alert, webhook};
use super::storm::Storm;
use super::tally::Tally;

/// Requests under way at once. Above that, the storm waits, and makes up for it afterwards.
const IN_FLIGHT: usize = 32;

/// Posts the storm until it is over, it is refused, or it is stopped.
pub(super) async fn post(
    storm: &mut Storm,
    sender: &Sender,
    stop: &CancellationToken,
) -> anyhow::Result<Tally> {
    let bar = Bar::of_storm(storm.plan().alerts)?;
    let period = storm.plan().batch as f64 / storm.plan().rate;
    let mut ticks = interval(Duration::from_secs_f64(period));
    let mut under_way: JoinSet<Delivery> = JoinSet::new();
    let mut tally = Tally::default();
    let began = Instant::now();
    while !tally.is_refused {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(delivery) = under_way.join_next() => tally.add(delivery?),
            _ = ticks.tick(), if under_way.len() < IN_FLIGHT => {
                let Some(batch) = storm.next_batch() else { break };
                let alerts: Vec<&Alert> = batch.iter().map(|telling| &telling.alert).collect();
                let body = webhook(storm.namespace(), &alerts)?;
                let episodes = batch.iter().map(|telling| telling.episode).collect();
                under_way.spawn(sender.clone().deliver(body, episodes));
            }
        }
        bar.show(&tally, began.elapsed());
    }
    while let Some(delivery) = under_way.join_next().await {
        tally.add(delivery?);
        bar.show(&tally, began.elapsed());
    }
    tally.took = began.elapsed();
    Ok(tally)
}
