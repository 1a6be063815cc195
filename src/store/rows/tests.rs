//! Relations of values, as each database takes them.

use super::*;

#[test]
fn the_columns_of_an_entity_are_listed_one_by_one() {
    let found = columns::<crate::entity::dead_letters::Entity>("d");
    assert!(found.starts_with("d."), "{found}");
    assert!(found.contains(", d.payload, "), "{found}");
    assert!(!found.contains('*'), "{found}");
}

#[test]
fn known_placeholders_in_braces_are_replaced() {
    let rows = || {
        let rows = Rows::new().uuid("id", [Uuid::nil()]);
        rows.int("n", [1]).time_or_null("at", [None])
    };
    let sql = "SELECT '{}', 'a' FROM {rows} WHERE x > $1 {lock} -- {json}{";
    let written = |backend| rows().statement(backend, sql, [Value::from(7_i64)]);
    let postgres = written(DbBackend::Postgres);
    assert_eq!(
        postgres.sql,
        "SELECT '{}', 'a' FROM (SELECT id, n, NULLIF(at, -9223372036854775808) AS at \
             FROM UNNEST($2::uuid[], $3::bigint[], $4::bigint[]) AS u(id, n, at)) AS r \
             WHERE x > $1 FOR UPDATE -- ::jsonb{"
    );
    let sqlite = written(DbBackend::Sqlite);
    assert_eq!(
        sqlite.sql,
        "SELECT '{}', 'a' FROM (SELECT unhex(json_extract(value, '$[0]')) AS id, \
             json_extract(value, '$[1]') AS n, json_extract(value, '$[2]') AS at \
             FROM jsonb_each(jsonb($2))) AS r WHERE x > $1  -- {"
    );
    let rows = r#"[["00000000000000000000000000000000",1,null]]"#;
    assert_eq!(
        sqlite.values.map(|v| v.0),
        Some(vec![7_i64.into(), rows.into()])
    );
}
