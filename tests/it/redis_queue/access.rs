//! Access to Redis: TLS, users and passwords, databases; and the errors where it fails.

use std::path::Path;

use tocsin::config::Secret;
use tocsin::queue::redis::RedisQueue;
use tocsin::queue::store::Capacity;
use tocsin::queue::store::QueueStore as _;
use tocsin::redis::Redis;
use tocsin::time::Clock;

use super::{QUEUE, jobs};
use crate::process::{beside_others, folder, free_port};
use crate::redis_server::{self, Fsync};

const PASSWORD: &str = "s3cret-of-redis";

async fn open(url: &str, ca: Option<&Path>) -> Result<Redis, String> {
    let redis = Redis::open(&Secret::from(url), ca, "tocsin").await;
    redis.map_err(|error| error.to_string())
}

async fn works(redis: &Redis) {
    let store = RedisQueue::new(redis, Clock::default()).unwrap();
    store.push(&jobs(2)).await.unwrap();
    assert_eq!(
        store
            .fetch(QUEUE, "a", Capacity::jobs(10))
            .await
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_the_rights_that_the_readme_names_is_enough() {
    let _turn = beside_others().await;
    let server = redis_server::start(Fsync::EverySecond).await;
    let mut connection = server.connect().await.unwrap();
    let mut user = redis::cmd("ACL");
    user.arg(&["SETUSER", "tocsin", "on"])
        .arg(format!(">{PASSWORD}"));
    user.arg(&["~tocsin:*", "+@all", "-@admin", "-@dangerous", "+info"]);
    user.exec_async(&mut connection).await.unwrap();
    let place = server.url().replace("redis://", "");

    let redis = open(&format!("redis://tocsin:{PASSWORD}@{place}/3"), None)
        .await
        .unwrap();
    works(&redis).await;
    let in_three: i64 = {
        redis::cmd("SELECT")
            .arg(3)
            .exec_async(&mut connection)
            .await
            .unwrap();
        redis::cmd("DBSIZE")
            .query_async(&mut connection)
            .await
            .unwrap()
    };
    assert!(in_three > 0, "the keys are in the database that was named");

    let wrong = open(&format!("redis://tocsin:{PASSWORD}x@{place}"), None)
        .await
        .unwrap_err();
    assert!(
        wrong.contains(&place) && wrong.contains("uthentication"),
        "{wrong}"
    );
    assert!(!wrong.contains(PASSWORD), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_used_and_an_unknown_authority_is_refused() {
    let _turn = beside_others().await;
    let folder = folder();
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, signed.cert.pem()).unwrap();
    std::fs::write(&key, signed.signing_key.serialize_pem()).unwrap();
    let (port, path) = (free_port().to_string(), |path: &Path| {
        path.display().to_string()
    });
    let (certificate_path, key_path) = (path(&certificate), path(&key));
    let _server = redis_server::start_with(
        Fsync::EverySecond,
        &[
            "--tls-port",
            &port,
            "--tls-auth-clients",
            "no",
            "--tls-cert-file",
            &certificate_path,
            "--tls-key-file",
            &key_path,
        ],
    )
    .await;
    let url = format!("rediss://localhost:{port}");
    works(&open(&url, Some(&certificate)).await.unwrap()).await;
    let refused = open(&url, None).await.unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
    let missing = open(&url, Some(&folder.join("nothing.pem")))
        .await
        .unwrap_err();
    assert!(missing.contains("nothing.pem"), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_is_named_without_its_password() {
    let port = free_port();
    let error = open(&format!("redis://:{PASSWORD}@127.0.0.1:{port}/1"), None)
        .await
        .unwrap_err();
    assert!(
        error.contains(&format!("127.0.0.1:{port}, database 1")),
        "{error}"
    );
    assert!(!error.contains(PASSWORD), "{error}");
}
