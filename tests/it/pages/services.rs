//! A service's page, and what an incident's page copies.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::harness::{Harness, On, alert, firing, resolved};
use crate::on_both;

/// A name that an address has to write otherwise.
const NAME: &str = "pay/ments & co";
const PAGE: &str = "/services/pay%2Fments%20%26%20co";

async fn page(h: &Harness, path: &str) -> (u16, String) {
    let request = h.http.get(format!("{}{path}", h.url));
    let answer = request.header("accept", "text/html").send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn of(service: &str, mut alert: Value) -> Value {
    alert["labels"]["job"] = json!(service);
    alert
}

/// A part of a page, up to the next section.
fn part<'a>(page: &'a str, id: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("id=\"{id}\"")).unwrap();
    rest.split("</section>").next().unwrap()
}

on_both! {
    async fn a_services_page_has_its_incidents_anomalies_and_repairs_and_no_others(on) {
        let h = Harness::start(on).await;
        let over = of(NAME, alert("DiskFull", "x", h.now()));
        let pods = ["a", "b", "c"].map(|pod| of(NAME, firing(pod, h.now())));
        h.send_and_drain(pods.into()).await;
        h.send_and_drain(vec![over.clone(), of("other", alert("Foreign", "y", h.now()))]).await;
        h.send_and_drain(vec![resolved(over, h.now())]).await;
        let incidents = h.incidents().await;
        let one = incidents.iter().find(|one| one["alert_name"] == "CrashLooping").unwrap();
        let path = format!("/incidents/{}", one["id"].as_str().unwrap());
        let repair = json!({"action": "rollback", "success": true, "operator": "ann"});
        let (status, said) = h.post(&format!("/api/v1{path}/repairs"), repair).await;
        assert!(status < 300, "{said}");
        h.drain().await;

        let (status, shown) = page(&h, PAGE).await;
        assert_eq!(status, 200);
        assert!(shown.contains("<h1>pay/ments &amp; co</h1>"), "{shown}");
        assert!(part(&shown, "head").contains("1 unresolved"), "{shown}");
        let figures = part(&shown, "head");
        assert!(figures.contains("<dd>4</dd>"), "{figures}");
        let open = part(&shown, "open-list");
        assert_eq!(open.matches("<li class=\"card").count(), 1, "{open}");
        assert!(open.contains("CrashLooping") && !open.contains("DiskFull"), "{open}");
        let anomalies = part(&shown, "anomaly-list");
        assert!(anomalies.contains("CrashLooping") && anomalies.contains("DiskFull"), "{anomalies}");
        assert!(!shown.contains("Foreign"), "{shown}");
        let tried = part(&shown, "tried-list");
        assert!(tried.contains("rollback") && tried.contains("ann"), "{tried}");

        // Names lead there, from wherever they stand.
        let anomaly = format!("/anomalies/{}", one["anomaly_key"].as_str().unwrap());
        for from in ["/incidents", &path, "/anomalies", &anomaly] {
            let (_, shown) = page(&h, from).await;
            assert!(shown.contains(&format!("href=\"{PAGE}\"")), "{from}: {shown}");
        }
        for none in ["/services/nobody", "/services/%00", "/services/%20", "/services/PAY%2Fments%20%26%20co"] {
            assert_eq!(page(&h, none).await.0, 404, "{none}");
        }
        h.finish().await;
    }

    async fn a_services_page_shows_a_part_of_what_is_much(on) {
        let h = Harness::start(on).await;
        let names: Vec<String> = (0..26).map(|n| format!("Alert{n:02}")).collect();
        let alerts = names.iter().map(|name| of(NAME, alert(name, "p", h.now())));
        h.send_and_drain(alerts.collect()).await;
        let (status, shown) = page(&h, PAGE).await;
        assert_eq!(status, 200);
        assert_eq!(shown.matches("<li class=\"card").count(), 20);
        assert!(part(&shown, "open-list").contains("26 unresolved →"), "{shown}");
        assert_eq!(part(&shown, "anomaly-list").matches("<th scope=\"row\">").count(), 25);
        assert!(shown.contains("The 25 anomalies that were seen last."), "{shown}");
        assert!(part(&shown, "head").contains("Only of the 25 anomalies"), "{shown}");
        let watched = shown.split("data-watch=\"").nth(1).unwrap().split('"').next().unwrap();
        assert!(watched.starts_with("of=anomalies") && watched.matches(',').count() == 19, "{watched}");
        h.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incidents_page_copies_its_id_and_its_address() {
    let h = Harness::start(On::Sqlite).await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    let browser = Browser::start(&h.url).await;
    browser.look_as("en", "light", 1280).await;
    let id = h.incident().await["id"].as_str().unwrap().to_owned();
    let path = format!("/incidents/{id}");
    browser.open(&format!("{path}?done=note")).await;
    browser
        .script("navigator.clipboard.writeText = async (text) => { window.copied = text; };")
        .await;
    browser.click("#copies button").await;
    browser.wait_for("Copied").await;
    assert_eq!(browser.script("return window.copied").await, json!(id));
    browser.click("#copies button:last-child").await;
    let began = std::time::Instant::now();
    while browser.script("return window.copied").await == json!(id) {
        assert!(began.elapsed() < crate::process::PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let copied = browser.script("return window.copied").await;
    assert_eq!(copied, json!(format!("{}{path}", h.url)));

    // Without script, or without a clipboard, there is nothing to press.
    let (_, shown) = page(&h, &path).await;
    assert!(shown.contains("id=\"copies\" hidden"), "{shown}");
    browser.close().await;
    h.finish().await;
}
