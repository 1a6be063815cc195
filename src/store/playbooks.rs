//! Playbooks that are stored: every version is a row that stays, and the newest of a name is the one that counts.

pub mod proposals;

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};

use super::rows::statement;
use crate::domain::playbook::{Origin, Playbook, State};
use crate::time::Timestamp;

/// The columns of a version.
const COLUMNS: &str =
    "name, version, definition, state, origin, restored_from, actor, operator, why, created_at";

/// One version of a playbook.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Version {
    /// The playbook's name.
    pub name: String,
    /// Its number, from 1.
    pub version: i64,
    /// The playbook, as JSON.
    pub definition: String,
    /// Whether it is in effect while it is the newest.
    pub state: State,
    /// Where it comes from.
    pub origin: Origin,
    /// The version that was restored with it.
    pub restored_from: Option<i64>,
    /// Whose token made it.
    pub actor: String,
    /// Who, by their own account.
    pub operator: Option<String>,
    /// Why.
    pub why: String,
    /// When.
    pub created_at: Timestamp,
}

impl Version {
    /// The playbook itself.
    ///
    /// # Errors
    /// A newer version of Tocsin wrote what this one does not know.
    pub fn playbook(&self) -> Result<Playbook, DbErr> {
        let read = serde_json::from_str(&self.definition);
        read.map_err(|error| DbErr::Json(format!("playbook {}: {error}", self.name)))
    }

    /// Whether it is in effect while it is the newest.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state == State::Active
    }

    /// Who made it: by name, else by token.
    #[must_use]
    pub fn by(&self) -> &str {
        self.operator.as_deref().unwrap_or(&self.actor)
    }
}

/// The newest version of each stored playbook, by name.
pub async fn newest(db: &impl ConnectionTrait) -> Result<Vec<Version>, DbErr> {
    let sql =
        format!("SELECT {COLUMNS} FROM playbook_versions WHERE replaced_at IS NULL ORDER BY name");
    let sql = statement(db.get_database_backend(), &sql, []);
    Version::find_by_statement(sql).all(db).await
}

/// The newest version of one.
pub async fn newest_of(db: &impl ConnectionTrait, name: &str) -> Result<Option<Version>, DbErr> {
    let sql =
        format!("SELECT {COLUMNS} FROM playbook_versions WHERE name = $1 AND replaced_at IS NULL");
    let sql = statement(db.get_database_backend(), &sql, [Value::from(name)]);
    Version::find_by_statement(sql).one(db).await
}

/// One version.
pub async fn find(
    db: &impl ConnectionTrait,
    name: &str,
    version: i64,
) -> Result<Option<Version>, DbErr> {
    let sql = format!("SELECT {COLUMNS} FROM playbook_versions WHERE name = $1 AND version = $2");
    let values = [Value::from(name), version.into()];
    let sql = statement(db.get_database_backend(), &sql, values);
    Version::find_by_statement(sql).one(db).await
}

/// The newest versions of one, newest first.
pub async fn versions(
    db: &impl ConnectionTrait,
    name: &str,
    limit: u64,
) -> Result<Vec<Version>, DbErr> {
    let sql = format!(
        "SELECT {COLUMNS} FROM playbook_versions WHERE name = $1 ORDER BY version DESC LIMIT {limit}"
    );
    let sql = statement(db.get_database_backend(), &sql, [Value::from(name)]);
    Version::find_by_statement(sql).all(db).await
}

/// Writes a version, which replaces `replaced` (0: there was none). Returns whether it did: of several who replace the
/// same, one does, and the transaction of the others is to be rolled back.
pub async fn add(tx: &impl ConnectionTrait, new: &Version, replaced: i64) -> Result<bool, DbErr> {
    let backend = tx.get_database_backend();
    if replaced > 0 {
        // Who waits here for another who replaces it finds that it is replaced.
        let sql = "UPDATE playbook_versions SET replaced_at = $3 \
                   WHERE name = $1 AND version = $2 AND replaced_at IS NULL";
        let values = [
            Value::from(new.name.as_str()),
            replaced.into(),
            new.created_at.0.into(),
        ];
        let done = tx.execute_raw(statement(backend, sql, values)).await?;
        if done.rows_affected() != 1 {
            return Ok(false);
        }
    }
    let sql = format!(
        "INSERT INTO playbook_versions ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
         ON CONFLICT (name, version) DO NOTHING"
    );
    let clean = |text: &str| text.replace('\0', "\u{fffd}");
    let values = [
        Value::from(new.name.as_str()),
        new.version.into(),
        new.definition.as_str().into(),
        new.state.name().into(),
        new.origin.name().into(),
        new.restored_from.into(),
        clean(&new.actor).into(),
        new.operator.as_deref().map(clean).into(),
        clean(&new.why).into(),
        new.created_at.0.into(),
    ];
    let done = tx.execute_raw(statement(backend, &sql, values)).await?;
    Ok(done.rows_affected() == 1)
}
