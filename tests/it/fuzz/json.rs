//! JSON as text, so that it can be wrong in every way that JSON can be wrong.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::string::string_regex;

/// A text as JSON writes it: plain, long, with escapes that stand for what nobody can keep.
pub fn text() -> BoxedStrategy<String> {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let odd = select(vec![
        r#""""#,
        r#""\u0000""#,
        r#""A\u0000B""#,
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#""\ud83d\ude00""#,
        r#""\uFFFF\u200b\u202e""#,
        r#""{{.}} $1 {now} %s ' OR 1=1 --""#,
        r#""<b>&amp;</i>""#,
    ]);
    prop_oneof![
        8 => like("[a-zA-Z_]{1,12}").prop_map(move |text| quoted(&text)),
        3 => like(".{0,30}").prop_map(move |text| quoted(&text)),
        1 => (like("[aé\u{1F525}\u{0}]"), 1..3000_usize)
            .prop_map(move |(c, n)| quoted(&c.repeat(n))),
        2 => odd.prop_map(ToOwned::to_owned),
    ]
    .boxed()
}

/// Texts that a pattern matches, which is read once, not for every text.
fn like(pattern: &str) -> impl Strategy<Value = String> + use<> {
    string_regex(pattern).unwrap()
}

pub fn number() -> impl Strategy<Value = String> {
    let odd = select(vec![
        "-0",
        "1e400",
        "-1E-400",
        "0.1e+1",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "340282366920938463463374607431768211456",
        "1.00000000000000000000000000000000000000000000000001",
    ]);
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        proptest::num::f64::NORMAL.prop_map(|number| number.to_string()),
        odd.prop_map(ToOwned::to_owned),
    ]
}

/// What stands where JSON should, and is none.
fn broken() -> impl Strategy<Value = String> {
    select(vec![
        "",
        "nul",
        "TRUE",
        "'A'",
        "\"\\x41\"",
        "\"\\\"",
        "\"\u{7}\"",
        "\"\n\"",
        "00",
        "-",
        "1.",
        ".5",
        "+1",
        "0x10",
        "NaN",
        "Infinity",
        "-Infinity",
        "{",
        "]",
        "{\"a\"}",
        "{1:2}",
        "[1,]",
        "/**/1",
        "\u{feff}1",
    ])
    .prop_map(ToOwned::to_owned)
}

/// Anything, and once in a while no JSON; at times nested deeper than anybody reads.
pub fn anything() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        40 => text(),
        20 => number(),
        20 => select(vec!["null", "true", "false", "{}", "[]"]).prop_map(ToOwned::to_owned),
        10 => (1..300_usize).prop_map(|n| format!("{}{}", "[".repeat(n), "]".repeat(n))),
        10 => (1..300_usize).prop_map(|n| format!("{}1{}", r#"{"a":"#.repeat(n), "}".repeat(n))),
        1 => broken(),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![list(inner.clone(), 4), object(text(), inner, 4)]
    })
    .boxed()
}

pub fn list(entry: BoxedStrategy<String>, most: usize) -> BoxedStrategy<String> {
    let entries = vec(entry, 0..=most);
    entries
        .prop_map(|entries| format!("[{}]", entries.join(",")))
        .boxed()
}

/// An object, with names that may come twice.
pub fn object(
    name: BoxedStrategy<String>,
    value: BoxedStrategy<String>,
    most: usize,
) -> BoxedStrategy<String> {
    let entries = vec((name, value), 0..=most);
    entries.prop_map(|entries| of(&entries)).boxed()
}

/// An object of these names and values.
pub fn of(entries: &[(String, String)]) -> String {
    let entries = entries
        .iter()
        .map(|(name, value)| format!("{name}:{value}"));
    format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
}

/// A few bytes of it replaced, left out, put in, or all from somewhere on missing.
pub fn damaged(text: BoxedStrategy<Vec<u8>>) -> BoxedStrategy<Vec<u8>> {
    let byte = prop_oneof![
        any::<u8>(),
        select(b"\"\\{}[]:,0-e. \x00\x80\xff\xc3\n".to_vec()),
    ];
    let damage = (0..4_u8, any::<prop::sample::Index>(), byte);
    let damages = vec(damage, 1..4);
    (text, damages)
        .prop_map(|(mut bytes, damages)| {
            for (kind, at, byte) in damages {
                let at = at.index(bytes.len() + 1);
                match kind {
                    0 if at < bytes.len() => bytes[at] = byte,
                    1 if at < bytes.len() => drop(bytes.remove(at)),
                    2 => bytes.insert(at, byte),
                    3 if at % 4 == 0 => bytes.truncate(at),
                    _ => {}
                }
            }
            bytes
        })
        .boxed()
}
