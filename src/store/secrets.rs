//! Secrets that an installation makes for itself, once, and that all its processes share.

use sea_orm::{ConnectionTrait, DbErr, Value};

use super::rows::statement;

/// The key of the mark that forms carry without sign-in.
pub const FORMS: &str = "forms";

/// What marks the silences that this installation makes.
pub const SILENCES: &str = "silences";

/// A secret.
pub type Secret = [u8; 32];

/// The secret of this name, which is `fresh` if there is none yet. Of two processes that make it at once
/// both have the first one's.
pub async fn find_or_make(
    db: &impl ConnectionTrait,
    name: &str,
    fresh: Secret,
) -> Result<Secret, DbErr> {
    if let Some(found) = find(db, name).await? {
        return Ok(found);
    }
    let sql = "INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    let values = [Value::from(name), fresh.to_vec().into()];
    let sql = statement(db.get_database_backend(), sql, values);
    db.execute_raw(sql).await?;
    let missing = || DbErr::RecordNotFound(format!("the secret {name}"));
    find(db, name).await?.ok_or_else(missing)
}

async fn find(db: &impl ConnectionTrait, name: &str) -> Result<Option<Secret>, DbErr> {
    let sql = "SELECT value FROM secrets WHERE name = $1";
    let sql = statement(db.get_database_backend(), sql, [Value::from(name)]);
    let Some(row) = db.query_one_raw(sql).await? else {
        return Ok(None);
    };
    let value: Vec<u8> = row.try_get("", "value")?;
    let unfit = |_| DbErr::Type(format!("the secret {name} has not 32 bytes"));
    value.try_into().map(Some).map_err(unfit)
}
