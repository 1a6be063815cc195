//! Rows that are older than they are kept for, taken out in small steps.

use sea_orm::{ConnectionTrait, DbErr, Value};
use uuid::Uuid;

use crate::ids::first_id;
use crate::store::Db;
use crate::store::rows::{Rows, statement};
use crate::time::Timestamp;

/// One table that is pruned.
#[derive(Clone, Copy, Debug)]
pub struct Prune {
    /// What it is called in the log.
    pub what: &'static str,
    table: &'static str,
    key: Key,
    /// Which rows are old: `$1` is the moment before which they are, `$2` the first id of that moment.
    is_old: &'static str,
    /// So that who looks stops at the edge.
    order: &'static str,
}

/// What a table's rows are called.
#[derive(Clone, Copy, Debug)]
enum Key {
    Id,
    Text(&'static str),
    Number(&'static str),
}

/// Dead letters, past their death and what was decided about them. One whose push is pending stays.
pub const DEAD_LETTERS: Prune = Prune {
    what: "dead letters",
    table: "dead_letters",
    key: Key::Id,
    is_old: "died_at < $1 AND COALESCE(decided_at, died_at) < $1 AND push_owed_since IS NULL",
    order: "died_at, id",
};

/// Answers that are not remembered any more.
pub const REQUESTS: Prune = Prune {
    what: "idempotency keys",
    table: "requests",
    key: Key::Id,
    is_old: "at < $1",
    order: "at",
};

/// Tables that grow and that no counter is computed from. An incident's messages are pruned with it;
/// messages without an incident are digests and notices.
pub const REST: [Prune; 8] = [
    Prune {
        what: "audit entries",
        table: "audit",
        key: Key::Id,
        is_old: "id < $2 AND at < $1",
        order: "id",
    },
    Prune {
        what: "digests and notices",
        table: "notifications",
        key: Key::Id,
        is_old: "id < $2 AND owed_since < $1 AND state NOT IN ('owed', 'sending') \
                 AND NOT EXISTS (SELECT 1 FROM incidents i WHERE i.id = notifications.incident_id)",
        order: "id",
    },
    Prune {
        what: "repairs",
        table: "repairs",
        key: Key::Id,
        is_old: "repaired_at < $1",
        order: "repaired_at, id",
    },
    Prune {
        what: "contents of reports",
        table: "reports",
        key: Key::Number("due_at"),
        is_old: "due_at < $1",
        order: "due_at",
    },
    Prune {
        what: "outages",
        table: "outages",
        key: Key::Number("began_at"),
        is_old: "ended_at < $1",
        order: "began_at",
    },
    Prune {
        what: "silences of sources",
        table: "silent_sources",
        key: Key::Text("id"),
        is_old: "ended_at < $1",
        order: "ended_at",
    },
    Prune {
        what: "Telegram presses",
        table: "presses",
        key: Key::Text("id"),
        is_old: "at < $1",
        order: "at",
    },
    Prune {
        what: "data losses",
        table: "losses",
        key: Key::Text("epoch"),
        is_old: "noticed_at < $1",
        order: "epoch",
    },
];

/// Deletes at most `limit` old rows; returns how many there were. Looks for them without a lock.
pub async fn prune(db: &Db, prune: Prune, before: Timestamp, limit: i64) -> Result<u64, DbErr> {
    let Prune {
        table,
        is_old,
        order,
        ..
    } = prune;
    let key = match prune.key {
        Key::Id => "id",
        Key::Text(name) | Key::Number(name) => name,
    };
    let by_id = is_old.contains("$2");
    let edge = || {
        let first = by_id.then(|| Value::from(first_id(before)));
        std::iter::once(Value::from(before.0)).chain(first)
    };
    let n = if by_id { 3 } else { 2 };
    let find = format!("SELECT {key} FROM {table} WHERE {is_old} ORDER BY {order} LIMIT ${n}");
    let values = edge().chain([limit.into()]);
    let found = db
        .read()
        .query_all_raw(statement(db.backend(), &find, values))
        .await?;
    if found.is_empty() {
        return Ok(0);
    }
    let rows = match prune.key {
        Key::Id => {
            let ids = found.iter().map(|row| row.try_get_by_index::<Uuid>(0));
            Rows::new().uuid("key", ids.collect::<Result<Vec<_>, _>>()?)
        }
        Key::Text(_) => {
            let keys = found.iter().map(|row| row.try_get_by_index::<String>(0));
            Rows::new().text("key", keys.collect::<Result<Vec<_>, _>>()?)
        }
        Key::Number(_) => {
            let keys = found.iter().map(|row| row.try_get_by_index::<i64>(0));
            Rows::new().int("key", keys.collect::<Result<Vec<_>, _>>()?)
        }
    };
    let delete =
        format!("DELETE FROM {table} WHERE {key} IN (SELECT r.key FROM {{rows}}) AND {is_old}");
    let delete = rows.statement(db.backend(), &delete, edge());
    Ok(db.write().execute_raw(delete).await?.rows_affected())
}
