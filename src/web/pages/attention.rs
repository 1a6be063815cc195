//! How many incidents wait for somebody, for tabs in the background, and what came last.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::{PageError, PageRequest, Pages};
use crate::domain::window::Names;
use crate::entity::windows::holding;
use crate::store::views::attention::{self, Waiting};

/// How old it may be.
const KEPT: Duration = Duration::from_secs(2);

/// What waits.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Attention {
    /// How many, at most [`attention::MOST`].
    waiting: usize,
    /// The newest of them.
    newest: Option<Waiting>,
}

pub(super) async fn read(
    State(pages): State<Pages>,
    visit: PageRequest,
) -> Result<Json<Attention>, PageError> {
    let read = async {
        let mut found = attention::waiting(pages.context.db.view()).await?;
        found.retain(|one| {
            let names = Names {
                service: &one.service,
                namespace: &one.namespace,
                alert_name: &one.alert_name,
            };
            holding(&visit.windows, names, visit.now).is_none()
        });
        let waiting = found.len();
        found.truncate(1);
        let newest = found.pop();
        Ok::<_, sea_orm::DbErr>(Attention { waiting, newest })
    };
    Ok(Json(pages.shared.attention.get(KEPT, read).await?))
}
