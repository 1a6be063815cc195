//! What pages tell beside the figures: why a level holds, what opens again, who muted what, and what an
//! address cannot ask for.

use serde_json::json;

use crate::harness::{Harness, alert};
use crate::on_both;

/// A page in a language, and its status.
async fn page(h: &Harness, lang: &str, path: &str) -> (u16, String) {
    let request = h.http.get(format!("{}{path}", h.url));
    let request = request
        .header("accept", "text/html")
        .header("accept-language", lang);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

on_both! {
    async fn a_card_names_its_alert_unless_the_title_does(on) {
        let h = Harness::start(on).await;
        let mut untitled = alert("Untitled", "a", h.now());
        untitled["annotations"] = json!({});
        let titled = alert("KubePodCrashLooping", "a", h.now());
        h.send_and_drain(vec![untitled, titled]).await;
        let (_, page) = page(&h, "en", "/incidents").await;
        let named = ">KubePodCrashLooping in prod</a> <code>KubePodCrashLooping</code></h2>";
        assert!(page.contains(named), "{page}");
        assert!(page.contains(">Untitled</a></h2>"), "{page}");
        h.finish().await;
    }
}
