//! Reasons in rows: as text, in a column into which versions without rules wrote sentences.

use sea_orm::sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr};
use sea_orm::{ColIdx, IntoActiveValue, QueryResult, Set, TryGetError, TryGetable, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::reason::Reason;

impl<R: Serialize> From<Reason<R>> for Value {
    fn from(reason: Reason<R>) -> Self {
        reason.to_row().into()
    }
}

impl<R: DeserializeOwned> TryGetable for Reason<R> {
    fn try_get_by<I: ColIdx>(row: &QueryResult, column: I) -> Result<Self, TryGetError> {
        String::try_get_by(row, column).map(Self::of_row)
    }
}

impl<R: DeserializeOwned> ValueType for Reason<R> {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        <String as ValueType>::try_from(value).map(Self::of_row)
    }

    fn type_name() -> String {
        "Reason".to_owned()
    }

    fn array_type() -> ArrayType {
        ArrayType::String
    }

    fn column_type() -> ColumnType {
        ColumnType::Text
    }
}

impl<R> Nullable for Reason<R> {
    fn null() -> Value {
        <String as Nullable>::null()
    }
}

impl<R> IntoActiveValue<Self> for Reason<R>
where
    Value: From<Self>,
{
    fn into_active_value(self) -> sea_orm::ActiveValue<Self> {
        Set(self)
    }
}
