//! Answers between the signal to stop and the end of the listener: each closes its connection.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use super::Ingress;

/// Asks clients not to send another request over this connection, so that none is under way when it
/// is closed.
pub(super) async fn close_connections(
    State(ingress): State<Ingress>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if ingress.gate.is_stopping() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}
