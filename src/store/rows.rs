//! A list of values as a relation that a statement can select from or join.

use sea_orm::sea_query::ArrayType;
use sea_orm::{DbBackend, Statement, Value};
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
        let values = values.into_iter().map(|at| at.map_or(i64::MIN, |at| at.0));
        self.column(name, true, Values::Int(values.collect()))
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
        let source = match backend {
            DbBackend::Postgres => self.unnest(&mut values),
            _ => self.json_each(&mut values),
        };
        Statement::from_sql_and_values(
            backend,
            dialect(backend, sql).replace("{rows}", &source),
            values,
        )
    }

    fn unnest(self, values: &mut Vec<Value>) -> String {
        let (mut arrays, mut names, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
        for column in self.columns {
            let name = column.name;
            let (sql_type, null) = match &column.values {
                Values::Uuid(_) => ("uuid", "'00000000-0000-0000-0000-000000000000'"),
                Values::Text(_) => ("text", "''"),
                Values::Int(_) => ("bigint", "-9223372036854775808"),
                Values::Bool(_) => ("boolean", "NULL"),
            };
            values.push(column.values.into_array());
            arrays.push(format!("${}::{sql_type}[]", values.len()));
            names.push(name);
            outputs.push(if column.nullable {
                format!("NULLIF({name}, {null}) AS {name}")
            } else {
                name.to_owned()
            });
        }
        format!(
            "(SELECT {} FROM UNNEST({}) AS u({})) AS r",
            outputs.join(", "),
            arrays.join(", "),
            names.join(", ")
        )
    }

    fn json_each(self, values: &mut Vec<Value>) -> String {
        let mut outputs = Vec::new();
        let mut rows: Vec<Vec<Json>> = Vec::new();
        for (at, column) in self.columns.into_iter().enumerate() {
            let name = column.name;
            let read = format!("json_extract(value, '$[{at}]')");
            outputs.push(match column.values {
                Values::Uuid(_) => format!("unhex({read}) AS {name}"),
                _ => format!("{read} AS {name}"),
            });
            let cells = column.values.into_json(column.nullable);
            rows.resize_with(cells.len(), Vec::new);
            for (row, cell) in rows.iter_mut().zip(cells) {
                row.push(cell);
            }
        }
        values.push(Value::from(json!(rows).to_string()));
        format!(
            "(SELECT {} FROM jsonb_each(jsonb(${}))) AS r",
            outputs.join(", "),
            values.len()
        )
    }
}

impl Values {
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

/// A statement without rows of its own, with the same placeholders.
#[must_use]
pub fn statement(
    backend: DbBackend,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    Statement::from_sql_and_values(backend, dialect(backend, sql), values)
}

/// Fills in what the databases say differently.
///
/// `{now}` is the store's clock in milliseconds; `{skip}` passes over rows that another
/// transaction holds, `{lock}` waits for them, `{share}` waits for their writers, and `{after_lock}`
/// waits for who took them by `{lock}` and for no other writer (SQLite has one writer, so there is
/// nothing to wait for); `{json}` casts a text to the type of a JSON column.
fn dialect(backend: DbBackend, sql: &str) -> String {
    let (now, skip, lock, share, after_lock, json) = match backend {
        DbBackend::Postgres => (
            "(extract(epoch from clock_timestamp()) * 1000)::bigint",
            "FOR UPDATE SKIP LOCKED",
            "FOR UPDATE",
            "FOR SHARE",
            "FOR KEY SHARE",
            "::jsonb",
        ),
        _ => (
            "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
            "",
            "",
            "",
            "",
            "",
        ),
    };
    sql.replace("{now}", now)
        .replace("{skip}", skip)
        .replace("{lock}", lock)
        .replace("{share}", share)
        .replace("{after_lock}", after_lock)
        .replace("{json}", json)
}
