//! Signing in and out.

use reqwest::header::SET_COOKIE;
use tocsin::config::Tokens;

use super::visitor::{OPERATE, Visitor, to};
use crate::harness::{Harness, On};

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_is_rate_limited_and_valid_tokens_still_work() {
    let h = Harness::start_with(On::Sqlite, |config| {
        config.api_token = Tokens::from(OPERATE);
        config.public_url = Some("https://tocsin.example".to_owned());
    })
    .await;
    let visitor = Visitor::new(&h);
    for n in 0..12 {
        let answer = visitor.post("/sign-in", &[("token", "guess")]).await;
        assert_eq!(answer.status(), if n < 10 { 401 } else { 429 }, "{n}");
    }
    let answer = visitor.post("/sign-in", &[("token", OPERATE)]).await;
    assert_eq!(answer.status(), 303, "others come from the same address");
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_every_copy_of_the_session() {
    for on in [On::Sqlite, On::Postgres] {
        let h = Harness::start_with(on, |config| config.api_token = Tokens::from(OPERATE)).await;
        let leaves = Visitor::signed_in(&h, OPERATE).await;
        let stays = Visitor::signed_in(&h, OPERATE).await;
        let mut copied = Visitor::new(&h);
        copied.cookie.clone_from(&leaves.cookie);
        assert_eq!(copied.get("/incidents").await.status(), 200);
        let csrf = leaves.csrf("/incidents").await;
        let answer = leaves.post("/sign-out", &[("csrf", &csrf)]).await;
        assert_eq!(
            (answer.status().as_u16(), to(&answer)),
            (303, "/sign-in?out=1".to_owned())
        );
        for visitor in [&leaves, &copied] {
            let refused = visitor.get("/incidents").await;
            assert_eq!(
                (refused.status().as_u16(), to(&refused)),
                (303, "/sign-in?to=%2Fincidents".to_owned())
            );
            assert_eq!(
                visitor.get("/sign-in").await.status(),
                200,
                "it leads nowhere"
            );
        }
        assert_eq!(stays.get("/incidents").await.status(), 200);
        h.advance(std::time::Duration::from_secs(14 * 3600));
        tocsin_workers::recount::prune(&h.context).await.unwrap();
        assert_eq!(h.sql("SELECT count(*) FROM ended_sessions").await, 0);
        h.finish().await;
    }
}
