//! Proposals for playbooks: at most one for each state of a playbook, which is what it is based on.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, Value};
use uuid::Uuid;

use crate::domain::playbook::{Held, Playbook, ProposalState};
use crate::store::rows::statement;
use crate::time::Timestamp;

/// The columns of a proposal.
const COLUMNS: &str =
    "name, base, id, definition, figures, verdicts, state, proposed_at, decided_by";
/// Verdicts that are still to be counted: what was undone holds until as many new ones came since.
pub const UNCOUNTED: i64 = -1;

/// One proposal.
#[derive(Clone, Debug, FromQueryResult)]
pub struct Proposal {
    /// The playbook's name.
    pub name: String,
    /// What it is based on: the number of a version, or what the settings say.
    pub base: String,
    /// Its ID. What is proposed in its place has another one.
    pub id: Uuid,
    /// The playbook as it is proposed, as JSON.
    pub definition: String,
    /// How often its actions held, as JSON.
    pub figures: String,
    /// Verdicts on its actions.
    pub verdicts: i64,
    /// What became of it.
    pub state: ProposalState,
    /// When it was proposed.
    pub proposed_at: Timestamp,
    /// Who decided on it.
    pub decided_by: Option<String>,
}

impl Proposal {
    /// The playbook as it is proposed.
    ///
    /// # Errors
    /// A newer version of Tocsin wrote what this one does not know.
    pub fn playbook(&self) -> Result<Playbook, DbErr> {
        self.read(&self.definition)
    }

    /// How often its actions held.
    ///
    /// # Errors
    /// A newer version of Tocsin wrote what this one does not know.
    pub fn held(&self) -> Result<Vec<Held>, DbErr> {
        self.read(&self.figures)
    }

    fn read<T: serde::de::DeserializeOwned>(&self, json: &str) -> Result<T, DbErr> {
        let read = serde_json::from_str(json);
        read.map_err(|error| DbErr::Json(format!("proposal for {}: {error}", self.name)))
    }
}

/// Those that are open.
pub async fn open(db: &impl ConnectionTrait) -> Result<Vec<Proposal>, DbErr> {
    let sql = format!("SELECT {COLUMNS} FROM playbook_proposals WHERE state = 'open'");
    let sql = statement(db.get_database_backend(), &sql, []);
    Proposal::find_by_statement(sql).all(db).await
}

/// The one with this ID.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Proposal>, DbErr> {
    let sql = format!("SELECT {COLUMNS} FROM playbook_proposals WHERE id = $1");
    let sql = statement(db.get_database_backend(), &sql, [Value::from(id)]);
    Proposal::find_by_statement(sql).one(db).await
}

/// All for a playbook.
pub async fn of(db: &impl ConnectionTrait, name: &str) -> Result<Vec<Proposal>, DbErr> {
    let sql = format!("SELECT {COLUMNS} FROM playbook_proposals WHERE name = $1");
    let sql = statement(db.get_database_backend(), &sql, [Value::from(name)]);
    Proposal::find_by_statement(sql).all(db).await
}

/// Opens one, unless there is one for the same state of the playbook. Returns whether it did.
pub async fn open_new(db: &impl ConnectionTrait, new: &Proposal) -> Result<bool, DbErr> {
    let sql = "INSERT INTO playbook_proposals (name, base, id, definition, figures, verdicts, state, proposed_at) \
               VALUES ($1, $2, $3, $4, $5, $6, 'open', $7) ON CONFLICT (name, base) DO NOTHING";
    let values = [
        Value::from(new.name.as_str()),
        new.base.as_str().into(),
        new.id.into(),
        new.definition.as_str().into(),
        new.figures.as_str().into(),
        new.verdicts.into(),
        new.proposed_at.0.into(),
    ];
    let sql = statement(db.get_database_backend(), sql, values);
    Ok(db.execute_raw(sql).await?.rows_affected() == 1)
}

/// Puts one in the place of another, which is still as it was seen. Returns whether it did.
pub async fn open_again(
    db: &impl ConnectionTrait,
    seen: &Proposal,
    new: &Proposal,
) -> Result<bool, DbErr> {
    let sql = "UPDATE playbook_proposals SET id = $3, definition = $4, figures = $5, verdicts = $6, state = 'open', \
                   proposed_at = $7, decided_at = NULL, decided_by = NULL, why = NULL, version = NULL \
               WHERE id = $1 AND state = $2";
    let values = [
        Value::from(seen.id),
        seen.state.name().into(),
        new.id.into(),
        new.definition.as_str().into(),
        new.figures.as_str().into(),
        new.verdicts.into(),
        new.proposed_at.0.into(),
    ];
    let sql = statement(db.get_database_backend(), sql, values);
    Ok(db.execute_raw(sql).await?.rows_affected() == 1)
}

/// What is decided on a proposal.
#[derive(Clone, Debug)]
pub struct Decision<'a> {
    /// What becomes of it.
    pub state: ProposalState,
    /// Who decides.
    pub by: &'a str,
    /// Why.
    pub why: &'a str,
    /// The version that it became.
    pub version: Option<i64>,
    /// When.
    pub at: Timestamp,
}

/// Decides on an open one; of several who do so at once one does. Returns whether it was this one.
pub async fn decide(
    tx: &impl ConnectionTrait,
    id: Uuid,
    decision: &Decision<'_>,
) -> Result<bool, DbErr> {
    let sql = "UPDATE playbook_proposals SET state = $2, decided_by = $3, why = $4, version = $5, decided_at = $6 \
               WHERE id = $1 AND state = 'open'";
    let clean = |text: &str| text.replace('\0', "\u{fffd}");
    let values = [
        Value::from(id),
        decision.state.name().into(),
        clean(decision.by).into(),
        clean(decision.why).into(),
        decision.version.into(),
        decision.at.0.into(),
    ];
    let sql = statement(tx.get_database_backend(), sql, values);
    Ok(tx.execute_raw(sql).await?.rows_affected() == 1)
}

/// Those that became versions after this one are undone.
pub async fn undo(tx: &impl ConnectionTrait, name: &str, after: i64) -> Result<(), DbErr> {
    let sql = format!(
        "UPDATE playbook_proposals SET state = 'undone', verdicts = {UNCOUNTED} \
         WHERE name = $1 AND state = 'accepted' AND version > $2"
    );
    let values = [Value::from(name), after.into()];
    let sql = statement(tx.get_database_backend(), &sql, values);
    tx.execute_raw(sql).await.map(drop)
}

/// Counts the verdicts that there were when one was undone.
pub async fn count(db: &impl ConnectionTrait, id: Uuid, verdicts: i64) -> Result<(), DbErr> {
    let sql = format!(
        "UPDATE playbook_proposals SET verdicts = $2 WHERE id = $1 AND verdicts = {UNCOUNTED}"
    );
    let sql = statement(
        db.get_database_backend(),
        &sql,
        [Value::from(id), verdicts.into()],
    );
    db.execute_raw(sql).await.map(drop)
}

/// Deletes open ones for a playbook, but for one that is based on `base`.
pub async fn close(db: &impl ConnectionTrait, name: &str, base: Option<&str>) -> Result<(), DbErr> {
    // No base is empty.
    let sql = "DELETE FROM playbook_proposals WHERE name = $1 AND base <> $2 AND state = 'open'";
    let values = [Value::from(name), base.unwrap_or_default().into()];
    let sql = statement(db.get_database_backend(), sql, values);
    db.execute_raw(sql).await.map(drop)
}
