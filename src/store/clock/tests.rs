//! A clock that was ahead: when that is noticed, and what is put back.

use tocsin_migration::MigratorTrait as _;

use super::*;

#[test]
fn a_step_back_and_a_gap_are_noticed_and_what_is_usual_is_not() {
    let now = Timestamp(1_800_000_000_000);
    let (hour, second) = (Duration::from_secs(3600), Duration::from_secs(1));
    for (last, expected) in [
        (now, None),
        (now.before(hour), None),
        (now.after(5 * second), None),
        (now.before(hour + second), Some(Noticed::Gap(hour + second))),
        (now.after(6 * second), Some(Noticed::WasAhead(6 * second))),
        (now.after(8 * hour), Some(Noticed::WasAhead(8 * hour))),
    ] {
        assert_eq!(notice(last, now), expected, "{last}");
    }
}

#[test]
fn a_request_begun_before_a_clock_step_is_waited_for_a_minute() {
    let now = Timestamp(1_800_000_000_000);
    let (hour, second) = (Duration::from_secs(3600), Duration::from_secs(1));
    let was_ahead = |ago: Duration, noticed: Noticed| {
        let gap = Mark {
            at: now.before(ago),
            place: noticed.place(),
            ..Mark::default()
        };
        super::was_ahead(&gap, now)
    };
    let hour_ahead = Noticed::WasAhead(hour);
    assert_eq!(was_ahead(second, hour_ahead), Some(hour));
    assert_eq!(was_ahead(59 * second, hour_ahead), Some(hour));
    assert_eq!(was_ahead(60 * second, hour_ahead), None);
    assert_eq!(was_ahead(second, Noticed::WasAhead(60 * second)), None);
    assert_eq!(was_ahead(second, Noticed::Gap(hour)), None);
}

#[tokio::test]
async fn every_moment_that_is_stored_is_put_back_or_held_against_now_where_it_is_read() {
    // Marks are forgotten; what is left of a session is held against now.
    const HELD: [&str; 7] = [
        "marks.at",
        "marks.upto",
        "ended_sessions.until",
        "occurrences.ended_at",
        // By the sender's clock.
        "occurrences.lease_until",
        // One that began after its end, which is put back, was none.
        "outages.began_at",
        // The week that it is of, whenever it was written.
        "reports.due_at",
    ];
    let db = sea_orm::Database::connect("sqlite::memory:").await.unwrap();
    tocsin_migration::Migrator::up(&db, None).await.unwrap();
    let columns = "SELECT m.name || '.' || c.name AS name FROM sqlite_master m \
                       JOIN pragma_table_info(m.name) c \
                       WHERE m.type = 'table' AND m.name <> 'seaql_migrations' \
                           AND (c.name IN ('at', 'upto', 'until') OR c.name LIKE '%!_at' ESCAPE '!' \
                               OR c.name LIKE '%!_since' ESCAPE '!' OR c.name LIKE '%!_seen' ESCAPE '!' \
                               OR c.name LIKE '%!_until' ESCAPE '!' OR c.name LIKE '%!_start' ESCAPE '!')";
    let columns = sea_orm::Statement::from_string(db.get_database_backend(), columns);
    let rows = db.query_all_raw(columns).await.unwrap();
    let statements: Vec<String> = put_off()
        .into_iter()
        .chain(happened())
        .chain(held())
        .chain(OCCURRENCES.map(|column| format!("UPDATE occurrences SET {column} = ")))
        .collect();
    let sets = |table: &str, column: &str| {
        let update = format!("UPDATE {table} SET ");
        let mut of = statements.iter().filter(|sql| sql.starts_with(&update));
        of.any(|sql| {
            let words = sql.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.into_iter().any(|word| word == column)
        })
    };
    assert!(rows.len() > 50, "{}", rows.len());
    for row in rows {
        let name: String = row.try_get("", "name").unwrap();
        let (table, column) = name.split_once('.').unwrap();
        assert!(HELD.contains(&&*name) || sets(table, column), "{name}");
    }
}
