//! The report of a week as a message: sent once, also if a process dies on the way.

use std::time::Duration;

use tocsin::config::{Config, Schedule};
use tocsin::domain::week::Weekday;
use tocsin_workers::recount;

use super::{DAY, HOUR};
use crate::harness::Harness;
use crate::on_all;

impl Harness {
    async fn report_messages(&self) -> usize {
        let told = self.telegram.headlines();
        told.iter().filter(|line| line.contains("Report:")).count()
    }
}

fn weekly(config: &mut Config) {
    config.report.schedule = Schedule::Weekly;
    config.report.weekday = Weekday::Wednesday;
}

on_all! {
    async fn the_report_of_a_week_is_sent_once_to_each_channel(on) {
        let h = Harness::start_with(on, |config| {
            weekly(config);
            config.report.channels.0 = vec!["telegram:-100".to_owned(), "telegram:-200".to_owned()];
        }).await;
        recount::report(&h.context).await.unwrap();
        h.drain().await;
        assert_eq!(h.report_messages().await, 0, "what was due before is not sent");
        h.fire_often("DiskFull", 2).await;
        h.advance(7 * DAY);
        // Two at once; and what they pushed is lost.
        h.pause("notify", true).await;
        let (one, other) = tokio::join!(recount::report(&h.context), recount::report(&h.context));
        one.and(other).unwrap();
        h.lose("notify").await;
        h.pause("notify", false).await;
        h.advance(Duration::from_secs(120));
        h.recount().await;
        assert_eq!(h.report_messages().await, 2, "{:?}", h.telegram.headlines());
        for _ in 0..2 {
            h.advance(HOUR);
            recount::report(&h.context).await.unwrap();
            h.recount().await;
        }
        assert_eq!(h.report_messages().await, 2, "it is sent once");
        // Nobody worked for weeks: one report, of the last week.
        h.advance(21 * DAY);
        recount::report(&h.context).await.unwrap();
        h.drain().await;
        assert_eq!(h.report_messages().await, 4);
        assert_eq!(h.sql("SELECT count(*) FROM reports").await, 2);
        let kinds = "SELECT count(*) FROM notifications WHERE kind = 'report' AND state = 'sent'";
        assert_eq!(h.sql(kinds).await, 4);
        h.finish().await;
    }
}
