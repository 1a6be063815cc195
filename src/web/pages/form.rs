//! Bodies of forms: small, and received within a bounded time.

use std::collections::{BTreeMap, HashMap};

use axum::Form;
use axum::body::Body;
use axum::extract::{FromRequest, Request};

use super::{PageError, Pages};
use crate::domain::refusal::{Code, Refusal};
use crate::web::body;

/// Bytes of a form.
const BYTES: usize = 64 << 10;

/// The fields of a form.
#[derive(Debug)]
pub(super) struct Fields(HashMap<String, String>);

impl Fields {
    /// What a field says; nothing if it was not sent.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

impl Fields {
    /// All fields, by name.
    pub(super) fn sorted(&self) -> BTreeMap<&str, &str> {
        let fields = self.0.iter();
        fields
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }
}

impl FromRequest<Pages> for Fields {
    type Rejection = PageError;

    async fn from_request(request: Request, pages: &Pages) -> Result<Self, PageError> {
        let (parts, body) = request.into_parts();
        let body = body::read(body, BYTES).await?;
        let request = Request::from_parts(parts, Body::from(body));
        let form = Form::<HashMap<String, String>>::from_request(request, pages).await;
        let Form(fields) = form.map_err(|error| {
            let code = Code::of_status(error.status().as_u16());
            PageError::of(error.status(), Refusal::new(code, error.body_text()))
        })?;
        Ok(Self(fields))
    }
}
