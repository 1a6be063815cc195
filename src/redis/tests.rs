//! Tests of how a server's settings are read, and of the warnings about them.

use super::*;

#[test]
fn an_old_redis_is_distinguished_from_a_new_one() {
    for (version, too_old) in [
        ("6.2.14", true),
        ("7.0.15", false),
        ("8.0", false),
        ("", true),
    ] {
        assert_eq!(is_too_old(version), too_old, "{version}");
    }
    assert_eq!(
        value("a:1\r\nredis_version:7.0.15\r\n", "redis_version").as_deref(),
        Some("7.0.15")
    );
}

#[test]
fn memory_is_nearly_full_some_time_before_it_is() {
    let info = |used, most| format!("used_memory:{used}\r\nmaxmemory:{most}\r\n");
    for (used, most, expected) in [
        (84, 100, Some(false)),
        (85, 100, Some(true)),
        (120, 100, Some(true)),
        (120, 0, None),
    ] {
        let memory = Memory::of(&info(used, most));
        assert_eq!(
            memory.map(Memory::is_nearly_full),
            expected,
            "{used} of {most}"
        );
    }
}

#[test]
fn only_possible_losses_are_reported() {
    let safe = "# Memory\r\nmaxmemory_policy:noeviction\r\n";
    assert!(warnings(safe, "aof_enabled:1\r\n").is_empty());
    let warned = warnings(
        "maxmemory_policy:allkeys-lru\r\n",
        "loading:0\r\naof_enabled:0\r\n",
    );
    assert!(warned[0].contains("allkeys-lru"), "{warned:?}");
    assert!(
        warned[1].contains("without an append-only file"),
        "{warned:?}"
    );
    assert!(
        warnings("", "").is_empty(),
        "a server that does not say is not accused"
    );
}
