//! A list of values as a relation that a statement can select from or join.

use sea_orm::sea_query::ArrayType;
use sea_orm::{DbBackend, EntityTrait, IdenStatic as _, Iterable as _, Statement, Value};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::time::Timestamp;

/// Columns of equal length. On PostgreSQL they travel as arrays (`UNNEST`), on SQLite as one JSON
/// text (`jsonb_each`): either way the statement's text does not depend on the number of rows, so
/// it is prepared once.
///
/// The empty string, the nil UUID and `i64::MIN` stand for NULL in the columns that may be NULL.
#[derive(Debug, Default)]
pub struct Rows {
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    name: &'static str,
    nullable: bool,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Uuid(Vec<Uuid>),
    Text(Vec<String>),
    Int(Vec<i64>),
    Bool(Vec<bool>),
}

impl Rows {
    /// No columns yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn column(mut self, name: &'static str, nullable: bool, values: Values) -> Self {
        self.columns.push(Column {
            name,
            nullable,
            values,
        });
        self
    }

    /// UUIDs.
    #[must_use]
    pub fn uuid(self, name: &'static str, values: impl IntoIterator<Item = Uuid>) -> Self {
        self.column(name, false, Values::Uuid(values.into_iter().collect()))
    }

    /// UUIDs or NULL.
    #[must_use]
    pub fn uuid_or_null(
        self,
        name: &'static str,
        values: impl IntoIterator<Item = Option<Uuid>>,
    ) -> Self {
        let values = values.into_iter().map(Option::unwrap_or_default).collect();
        self.column(name, true, Values::Uuid(values))
    }

    /// Texts.
    #[must_use]
    pub fn text(self, name: &'static str, values: impl IntoIterator<Item = String>) -> Self {
        self.column(name, false, Values::Text(values.into_iter().collect()))
    }

    /// Texts or NULL.
    #[must_use]
    pub fn text_or_null(
        self,
        name: &'static str,
        values: impl IntoIterator<Item = Option<String>>,
    ) -> Self {
        let values = values.into_iter().map(Option::unwrap_or_default).collect();
        self.column(name, true, Values::Text(values))
    }

    /// Integers.
    #[must_use]
    pub fn int(self, name: &'static str, values: impl IntoIterator<Item = i64>) -> Self {
        self.column(name, false, Values::Int(values.into_iter().collect()))
    }

    /// Integers or NULL.
    #[must_use]
    pub fn int_or_null(
        self,
        name: &'static str,
        values: impl IntoIterator<Item = Option<i64>>,
    ) -> Self {
        let values = values.into_iter().map(|n| n.unwrap_or(i64::MIN));
        self.column(name, true, Values::Int(values.collect()))
    }

    /// Moments.
    #[must_use]
    pub fn time(self, name: &'static str, values: impl IntoIterator<Item = Timestamp>) -> Self {
        self.int(name, values.into_iter().map(|at| at.0))
    }

    /// Moments or NULL.
    #[must_use]
    pub fn time_or_null(
        self,
        name: &'static str,
        values: impl IntoIterator<Item = Option<Timestamp>>,
    ) -> Self {
        self.int_or_null(name, values.into_iter().map(|at| at.map(|at| at.0)))
    }

    /// Truth values.
    #[must_use]
    pub fn bool(self, name: &'static str, values: impl IntoIterator<Item = bool>) -> Self {
        self.column(name, false, Values::Bool(values.into_iter().collect()))
    }

    /// The statement `sql`, in which `{rows}` stands for this relation (aliased `r`), `{skip}` for
    /// `FOR UPDATE SKIP LOCKED` and `{json}` for the cast that a JSON column wants; `more` are the
    /// values of `$1`, `$2`, … in it.
    #[must_use]
    pub fn statement(
        self,
        backend: DbBackend,
        sql: &str,
        more: impl IntoIterator<Item = Value>,
    ) -> Statement {
        let mut values: Vec<Value> = more.into_iter().collect();
        let first = values.len() + 1;
        let sql = match backend {
            DbBackend::Postgres => fill(backend, sql, |to| self.unnest(to, first)),
            _ => fill(backend, sql, |to| self.json_each(to, first)),
        };
        match backend {
            DbBackend::Postgres => {
                let arrays = self.columns.into_iter();
                values.extend(arrays.map(|column| column.values.into_array()));
            }
            _ => values.push(self.into_json()),
        }
        Statement::from_sql_and_values(backend, sql, values)
    }

    /// The relation on PostgreSQL; its columns are the values from `first` on.
    fn unnest(&self, to: &mut String, first: usize) {
        to.push_str("(SELECT ");
        listed(to, &self.columns, |to, _, column| match column.nullable {
            true => {
                let (name, null) = (column.name, column.values.null());
                extend(to, &["NULLIF(", name, ", ", null, ") AS ", name]);
            }
            false => to.push_str(column.name),
        });
        to.push_str(" FROM UNNEST(");
        listed(to, &self.columns, |to, at, column| {
            let number = (first + at).to_string();
            extend(to, &["$", &number, "::", column.values.sql_type(), "[]"]);
        });
        to.push_str(") AS u(");
        listed(to, &self.columns, |to, _, column| to.push_str(column.name));
        to.push_str(")) AS r");
    }

    /// The relation on SQLite; all of it is the value `first`.
    fn json_each(&self, to: &mut String, first: usize) {
        to.push_str("(SELECT ");
        listed(to, &self.columns, |to, at, column| {
            let (open, close) = match column.values {
                Values::Uuid(_) => ("unhex(", ")"),
                _ => ("", ""),
            };
            let at = at.to_string();
            let read = [open, "json_extract(value, '$[", &at, "]')", close];
            extend(to, &read);
            extend(to, &[" AS ", column.name]);
        });
        extend(
            to,
            &[" FROM jsonb_each(jsonb($", &first.to_string(), "))) AS r"],
        );
    }

    fn into_json(self) -> Value {
        let mut rows: Vec<Vec<Json>> = Vec::new();
        for column in self.columns {
            let cells = column.values.into_json(column.nullable);
            rows.resize_with(cells.len(), Vec::new);
            for (row, cell) in rows.iter_mut().zip(cells) {
                row.push(cell);
            }
        }
        Value::from(json!(rows).to_string())
    }
}

fn extend(to: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| to.push_str(part));
}

fn listed(to: &mut String, columns: &[Column], say: impl Fn(&mut String, usize, &Column)) {
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            to.push_str(", ");
        }
        say(to, at, column);
    }
}

impl Values {
    const fn sql_type(&self) -> &'static str {
        match self {
            Self::Uuid(_) => "uuid",
            Self::Text(_) => "text",
            Self::Int(_) => "bigint",
            Self::Bool(_) => "boolean",
        }
    }

    /// What stands for NULL.
    const fn null(&self) -> &'static str {
        match self {
            Self::Uuid(_) => "'00000000-0000-0000-0000-000000000000'",
            Self::Text(_) => "''",
            Self::Int(_) => "-9223372036854775808",
            Self::Bool(_) => "NULL",
        }
    }

    fn into_array(self) -> Value {
        fn array<T: Into<Value>>(of: ArrayType, values: Vec<T>) -> Value {
            Value::Array(
                of,
                Some(Box::new(values.into_iter().map(Into::into).collect())),
            )
        }
        match self {
            Self::Uuid(values) => array(ArrayType::Uuid, values),
            Self::Text(values) => array(ArrayType::String, values),
            Self::Int(values) => array(ArrayType::BigInt, values),
            Self::Bool(values) => array(ArrayType::Bool, values),
        }
    }

    fn into_json(self, nullable: bool) -> Vec<Json> {
        match self {
            Self::Uuid(values) => values
                .into_iter()
                .map(|v| {
                    if nullable && v.is_nil() {
                        Json::Null
                    } else {
                        json!(v.simple().to_string())
                    }
                })
                .collect(),
            Self::Text(values) => values
                .into_iter()
                .map(|v| {
                    if nullable && v.is_empty() {
                        Json::Null
                    } else {
                        Json::String(v)
                    }
                })
                .collect(),
            Self::Int(values) => values
                .into_iter()
                .map(|v| {
                    if nullable && v == i64::MIN {
                        Json::Null
                    } else {
                        json!(v)
                    }
                })
                .collect(),
            Self::Bool(values) => values.into_iter().map(Json::Bool).collect(),
        }
    }
}

/// The columns that `E` has, of the relation that a statement calls `of`. Never `*`: PostgreSQL refuses what a
/// connection prepared of that for as long as the connection lasts, once a newer version has added a column.
#[must_use]
pub fn columns<E: EntityTrait>(of: &str) -> String {
    let columns = E::Column::iter().map(|column| format!("{of}.{}", column.as_str()));
    columns.collect::<Vec<_>>().join(", ")
}

/// A statement without rows of its own, with the same placeholders.
#[must_use]
pub fn statement(
    backend: DbBackend,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    let sql = fill(backend, sql, |to| to.push_str("{rows}"));
    Statement::from_sql_and_values(backend, sql, values)
}

/// Fills in `{rows}` and what the databases say differently, in one pass: every statement of an alert's
/// way is written here.
///
/// `{now}` is the store's clock in milliseconds; `{skip}` passes over rows that another
/// transaction holds, `{lock}` waits for them, `{share}` waits for their writers, and `{after_lock}`
/// waits for who took them by `{lock}` and for no other writer (SQLite has one writer, so there is
/// nothing to wait for); `{json}` casts a text to the type of a JSON column.
fn fill(backend: DbBackend, sql: &str, rows: impl Fn(&mut String)) -> String {
    let is_postgres = matches!(backend, DbBackend::Postgres);
    let mut filled = String::with_capacity(sql.len() * 2);
    let mut rest = sql;
    while let Some((before, from)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, after)) = from.split_once('}') else {
            filled.push('{');
            rest = from;
            continue;
        };
        rest = after;
        match (name, is_postgres) {
            ("rows", _) => rows(&mut filled),
            ("now", true) => {
                filled.push_str("(extract(epoch from clock_timestamp()) * 1000)::bigint");
            }
            ("now", false) => filled.push_str("CAST(unixepoch('subsec') * 1000 AS INTEGER)"),
            ("skip", true) => filled.push_str("FOR UPDATE SKIP LOCKED"),
            ("lock", true) => filled.push_str("FOR UPDATE"),
            ("share", true) => filled.push_str("FOR SHARE"),
            ("after_lock", true) => filled.push_str("FOR KEY SHARE"),
            ("json", true) => filled.push_str("::jsonb"),
            ("skip" | "lock" | "share" | "after_lock" | "json", false) => {}
            _ => extend(&mut filled, &["{", name, "}"]),
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests;
