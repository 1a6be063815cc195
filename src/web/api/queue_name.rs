//! Queues' names, as the API's description has them.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::jobs::QUEUES;

/// One of the queues.
pub(super) enum QueueName {}

/// One of the queues, or nothing: where a list of them begins.
pub(super) enum QueueCursor {}

impl ToSchema for QueueName {}
impl ToSchema for QueueCursor {}

impl PartialSchema for QueueName {
    fn schema() -> RefOr<Schema> {
        one_of(&QUEUES)
    }
}

impl PartialSchema for QueueCursor {
    fn schema() -> RefOr<Schema> {
        let names: Vec<&str> = [""].into_iter().chain(QUEUES).collect();
        one_of(&names)
    }
}

fn one_of(names: &[&str]) -> RefOr<Schema> {
    let name = ObjectBuilder::new().schema_type(Type::String);
    name.enum_values(Some(names.iter().copied())).into()
}
