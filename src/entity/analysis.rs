//! Analyses in rows: as JSON, in a column of text. One that this version cannot read counts as none.

use sea_orm::sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr};
use sea_orm::{ColIdx, IntoActiveValue, QueryResult, Set, TryGetError, TryGetable, Value};

use crate::domain::analysis::Analysis;

impl From<Analysis> for Value {
    fn from(analysis: Analysis) -> Self {
        serde_json::to_string(&analysis).unwrap_or_default().into()
    }
}

impl TryGetable for Analysis {
    fn try_get_by<I: ColIdx>(row: &QueryResult, column: I) -> Result<Self, TryGetError> {
        let text = String::try_get_by(row, column)?;
        serde_json::from_str(&text)
            .map_err(|error| TryGetError::Null(format!("not an analysis of this version: {error}")))
    }
}

impl ValueType for Analysis {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        let text = <String as ValueType>::try_from(value)?;
        serde_json::from_str(&text).map_err(|_| ValueTypeErr)
    }

    fn type_name() -> String {
        "Analysis".to_owned()
    }

    fn array_type() -> ArrayType {
        ArrayType::String
    }

    fn column_type() -> ColumnType {
        ColumnType::Text
    }
}

impl Nullable for Analysis {
    fn null() -> Value {
        <String as Nullable>::null()
    }
}

impl IntoActiveValue<Self> for Analysis {
    fn into_active_value(self) -> sea_orm::ActiveValue<Self> {
        Set(self)
    }
}
