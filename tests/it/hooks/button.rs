//! The button on a card that has the recommended action run.

use serde_json::{Value, json};
use tocsin::domain::buttons::{ButtonAction, CallbackData};
use tocsin::telegram::poller::Poll;

use super::set;
use crate::buttons::{ALICE, people};
use crate::harness::{Harness, alert, resolved};
use crate::on_both;
use crate::receiver::Receiver;
use crate::telegram::presses::encode;

const STRANGER: i64 = 666;

on_both! {
    async fn a_press_has_the_recommended_action_run_once(on) {
        let receiver = Receiver::start().await;
        let h = Harness::start_with(on, |config| {
            set(config, &receiver, "suggest", &json!({}));
            people(config);
        }).await;
        let mut poller = h.poller();
        let firing = alert("Loop", "a", h.now());
        h.send_and_drain(vec![firing.clone()]).await;
        let incident = h.newest_id().await;
        let offered = encode(&h.telegram.messages().remove(0).markup);
        let of = |action| {
            let incident = incident.parse().unwrap();
            CallbackData { incident, action }.data()
        };
        let run = of(ButtonAction::Run { action: "restart_pod".to_owned() });
        assert_eq!(offered.last(), Some(&run), "{offered:?}");
        assert!(receiver.deliveries().is_empty());

        // Who is not on the list may not; what is not recommended is not run.
        h.telegram.presses.press(STRANGER, &run);
        h.telegram.presses.press(ALICE, &of(ButtonAction::Run { action: "rollback".to_owned() }));
        assert_eq!(poller.poll().await.unwrap(), Poll::Done(2));
        let (said, is_alert) = h.answered(&mut poller).await;
        assert!(is_alert && said.contains("not recommended"), "{said}");
        h.drain().await;
        assert!(receiver.deliveries().is_empty());

        for said in ["The executor is asked to run restart_pod.",
            "The executor was asked to run restart_pod before. It is not asked again."] {
            h.telegram.presses.press(ALICE, &run);
            poller.poll().await.unwrap();
            assert_eq!(h.answered(&mut poller).await, (said.to_owned(), false));
            h.drain().await;
        }
        let [asked] = &receiver.deliveries()[..] else {
            panic!("{:#?}", receiver.deliveries());
        };
        assert_eq!((&asked.body["data"]["action"], &asked.body["data"]["wanted_by"]), (&json!("restart_pod"), &json!("alice")));
        let shown: Vec<String> = h.telegram.presses.keyboards().pop().unwrap();
        assert!(!shown.contains(&run), "what was run is not offered again: {shown:?}");
        let execution = h.executions(&incident).await.remove(0);
        assert_eq!((&execution["state"], &execution["wanted_by"]), (&json!("asked"), &json!("alice")));
        let audit = h.get("/api/v1/audit?action=execution.ask").await;
        let entries: &Vec<Value> = audit["items"].as_array().unwrap();
        assert_eq!((entries.len(), &entries[0]["actor"], &entries[0]["operator"]), (1, &json!("telegram"), &json!("alice")));
        h.send_and_drain(vec![resolved(firing, h.now())]).await;
        h.finish().await;
    }
}
