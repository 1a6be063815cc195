//! Workers that are killed while they comment: Sentry holds what they said last.

use serde_json::{Value, json};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::analysis::until;
use super::oracle::{RECOVERY, Scenario};
use crate::fleet::processes::Launch;
use crate::harness::On;
use crate::sentry::server::Sentry;
use crate::sentry::{CREATED, RESOLVED, of_issue};
use crate::telegram::Hold;

scenarios! {
    async fn killed_between_a_claim_and_the_comment(on: postgres fleet) {
        let sentry = killed_at_each_comment(on, Hold::Requests).await;
        // Each was searched for, and not found.
        assert_eq!(sentry.searched(), 3);
    }

    async fn killed_between_the_answer_to_a_comment_and_its_note(on: postgres fleet) {
        let sentry = killed_at_each_comment(on, Hold::Answers).await;
        assert_eq!(sentry.searched(), 3);
    }

    async fn killed_between_a_claim_and_the_edit_of_a_comment(on: postgres fleet) {
        // It did not arrive.
        killed_at_the_edit(on, Hold::Requests, 1).await;
    }

    async fn killed_between_the_answer_to_the_edit_of_a_comment_and_its_note(on: postgres fleet) {
        // The same text is written over itself.
        killed_at_the_edit(on, Hold::Answers, 2).await;
    }
}

/// So many issues of one type rise to `ESCALATE`.
const ISSUES: u64 = 5;

/// An incident opens, rises and is over; whoever comments dies at each of the three comments, when it has arrived and
/// is held.
async fn killed_at_each_comment(on: On, held: Hold) -> Sentry {
    let mut scenario = Scenario::new(on).await;
    let sentry = Sentry::start().await;
    scenario.fleet.settings.extend(sentry.settings());
    let url = scenario.fleet.start("ingress", 1).await.remove(0);
    let rest = ["work", "--queues", "ingest,tier,repair,recount"];
    scenario.fleet.start_as(&rest, &Launch::default()).await;
    let launch = Launch::default();
    let notifies = scenario
        .fleet
        .start_as(&["work", "--queues", "notify"], &launch)
        .await;
    let mut arrived = 0;
    for (n, body, issues) in [
        (1, CREATED, 1..=1),
        (2, CREATED, 2..=ISSUES),
        (3, RESOLVED, 1..=ISSUES),
    ] {
        sentry.hold(held);
        for issue in issues {
            post(&scenario, &url, &of_issue(body, issue)).await;
        }
        arrived += 1;
        sentry.arrives(arrived).await;
        scenario.fleet.processes[notifies].kill();
        sentry.abandoned().await;
        let taken = n - usize::from(held == Hold::Requests);
        assert_eq!(sentry.comments().len(), taken);
        sentry.hold(Hold::Nothing);
        scenario.fleet.processes[notifies].restart().unwrap();
        let episodes = if n == 1 { 1 } else { ISSUES };
        let episodes = usize::try_from(episodes).unwrap();
        scenario.fleet.settled(episodes, RECOVERY).await;
        assert_eq!(sentry.comments().len(), n, "{:#?}", sentry.comments());
        // What was not taken has arrived twice.
        arrived += usize::from(held == Hold::Requests);
    }
    let unsent = "SELECT count(*) FROM notifications WHERE channel = 'sentry' AND (state <> 'sent' OR attempts <> 2)";
    assert_eq!(scenario.fleet.sql(unsent).await, 0);
    for (headline, expected) in sentry
        .headlines()
        .iter()
        .zip(["Opened", "Escalated", "Resolved"])
    {
        assert!(headline.contains(expected), "{:#?}", sentry.headlines());
    }
    sentry
}

/// An incident gets a comment and then an analysis. The worker that edits the comment is killed while the server holds its
/// request.
async fn killed_at_the_edit(on: On, held: Hold, edits: usize) {
    let mut scenario = Scenario::new(on).await;
    let sentry = Sentry::start().await;
    let model = model().await;
    scenario.fleet.settings.extend(sentry.settings());
    scenario.fleet.settings.extend([
        ("TOCSIN_ANALYSIS__ENABLED", "true".to_owned()),
        ("TOCSIN_ANALYSIS__MODEL__URL", model.uri()),
        ("TOCSIN_ANALYSIS__MODEL__NAME", "small".to_owned()),
        ("TOCSIN_TELEGRAM__FOLD", "100ms".to_owned()),
    ]);
    let url = scenario.fleet.start("ingress", 1).await.remove(0);
    let mut started = Vec::new();
    for queues in ["ingest,tier,repair,recount", "notify"] {
        let work = ["work", "--queues", queues];
        started.push(scenario.fleet.start_as(&work, &Launch::default()).await);
    }
    let notifies = started[1];
    post(&scenario, &url, CREATED).await;
    let sent = "SELECT count(*) FROM notifications WHERE channel = 'sentry' AND state = 'sent'";
    until("it is commented on", async || {
        scenario.fleet.sql(sent).await == 1
    })
    .await;
    assert!(!sentry.comments()[0].1.contains(FOUND));

    sentry.hold(held);
    scenario
        .fleet
        .start_as(&["work", "--queues", "analyze"], &Launch::default())
        .await;
    sentry.arrives(2).await;
    scenario.fleet.processes[notifies].kill();
    sentry.abandoned().await;
    assert_eq!(sentry.edits().len(), edits - 1);
    sentry.hold(Hold::Nothing);
    scenario.fleet.processes[notifies].restart().unwrap();
    sentry.arrives(3).await;
    scenario.fleet.settled(1, RECOVERY).await;
    let texts = sentry.edits();
    assert_eq!(texts.len(), edits, "{texts:#?}");
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:#?}");
    assert_eq!(
        sentry.comments(),
        [("9000042".to_owned(), texts[0].1.clone())]
    );
    assert!(texts[0].1.contains(FOUND), "{texts:#?}");
    let unsettled = "SELECT count(*) FROM notifications WHERE edit_due_since IS NOT NULL OR edits_ended IS NOT NULL";
    assert_eq!(scenario.fleet.sql(unsettled).await, 0);
}

/// What the language model says.
const FOUND: &str = "Roll back the checkout.";

async fn model() -> MockServer {
    let server = MockServer::start().await;
    let answer = json!({"choices": [{"message": {"role": "assistant", "content": FOUND}}]});
    Mock::given(path("/chat/completions"))
        .respond_with(ResponseTemplate::new(200).set_body_json(answer))
        .mount(&server)
        .await;
    server
}

async fn post(scenario: &Scenario, url: &str, body: &str) {
    let post = scenario.fleet.http.post(format!("{url}/api/v1/sentry"));
    let post = post.header("Sentry-Hook-Resource", "issue");
    let taken = post.body(body.to_owned()).send().await.unwrap();
    let taken: Value = taken.json().await.unwrap();
    assert_eq!(taken["enqueued"], json!(1));
}
