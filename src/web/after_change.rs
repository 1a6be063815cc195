//! What people see after they changed something.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::store::Db;

/// Has the database itself answer for a while after a request that may change something, so that a read replica that
/// is a little behind does not show what was before.
pub(super) async fn shown(State(db): State<Db>, request: Request, next: Next) -> Response {
    let changes = !request.method().is_safe();
    if changes {
        db.changes();
    }
    let response = next.run(request).await;
    if changes {
        db.changes();
    }
    response
}
