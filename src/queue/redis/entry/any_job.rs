//! Whatever is written is read again, and whatever is read is there.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::string::string_regex;
use proptest::test_runner::{RngAlgorithm, TestRunner};

use super::*;

/// As many cases as `TOCSIN_TEST_CASES` says, or some.
fn runner() -> TestRunner {
    let wanted = std::env::var("TOCSIN_TEST_CASES").ok();
    TestRunner::new(ProptestConfig {
        cases: wanted.map_or(2000, |wanted| wanted.parse().unwrap()),
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::XorShift,
        ..ProptestConfig::default()
    })
}

/// Texts that a pattern matches, which is read once, not for every text.
fn like(pattern: &str) -> impl Strategy<Value = String> + use<> {
    string_regex(pattern).unwrap()
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![like(".{0,40}"), like("[ \n\0arutx0-9{}\":,é]{0,40}")]
}

fn delivered(entry: &[u8], job: Vec<u8>, errors: Vec<u8>) -> Option<Delivery> {
    let id = entry.to_vec();
    Parts { id, job, errors }.into_delivery(1)
}

#[test]
fn any_job_is_read_as_it_was_written() {
    let jobs = (
        any::<u128>(),
        any::<u32>(),
        any::<bool>(),
        proptest::option::of(texts()),
        texts(),
    );
    let check =
        |(id, replay, named, trace_id, payload): (u128, u32, bool, Option<String>, String)| {
            let job = NewJob {
                queue: "mail",
                id: Uuid::from_u128(id),
                named,
                payload,
                trace_id,
                replay,
                ..NewJob::default()
            };
            let read = delivered(b"7-3", written(&job).into_bytes(), Vec::new()).unwrap();
            prop_assert_eq!(read.lease.id, job.id);
            prop_assert_eq!((read.lease.replay, read.lease.place.named), (replay, named));
            prop_assert_eq!(read.payload, job.payload.into_bytes());
            // It comes from outside: what a header or a database cannot hold is left out.
            let trace = job.trace_id.map(|trace| trace.replace(['\n', '\0'], ""));
            prop_assert_eq!(read.trace_id, trace);
            Ok(())
        };
    runner().run(&jobs, check).unwrap();
}

#[test]
fn any_bytes_are_a_delivery_with_all_that_is_no_header() {
    let header = (like("[0-9a-f]{32}"), like("[ arut0-9\0x-]{0,12}"))
        .prop_map(|(id, rest): (String, String)| [id, rest].concat().into_bytes());
    let job = prop_oneof![
        vec(any::<u8>(), 0..80),
        (header, vec(any::<u8>(), 0..40)).prop_map(|(header, payload)| [
            &header,
            &b"\n"[..],
            &payload
        ]
        .concat()),
    ];
    let errors = prop_oneof![
        vec(any::<u8>(), 0..20),
        texts().prop_map(|error| {
            let error = serde_json::to_string(&error).unwrap();
            format!(r#"[{{"at":"2026-11-22T21:28:29.102Z","error":{error}}}]"#).into_bytes()
        }),
    ];
    let entry = prop_oneof![Just(b"7-3".to_vec()), vec(any::<u8>(), 0..12)];
    let check = |(entry, job, errors): (Vec<u8>, Vec<u8>, Vec<u8>)| {
        let Some(read) = delivered(&entry, job.clone(), errors) else {
            prop_assert_ne!(&entry[..], b"7-3");
            return Ok(());
        };
        prop_assert!(job.ends_with(&read.payload));
        let header = &job[..job.len() - read.payload.len()];
        let is_header = header.last() == Some(&b'\n') && header.len() > 32;
        prop_assert!(header.is_empty() || is_header, "{:?}", header);
        // What a database's text or JSON cannot hold would keep it from being buried.
        prop_assert!(read.trace_id.is_none_or(|trace| !trace.contains('\0')));
        prop_assert!(
            read.failed
                .iter()
                .all(|failed| !failed.error.contains('\0'))
        );
        Ok(())
    };
    runner().run(&(entry, job, errors), check).unwrap();
}
