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
pub(super) struct Fields(HashMap<String, Vec<String>>);

impl Fields {
    /// What a field says; nothing if it was not sent.
    pub(super) fn get(&self, name: &str) -> &str {
        let said = self.0.get(name).and_then(|values| values.first());
        said.map_or("", String::as_str)
    }

    /// All that a field says, which is there more than once.
    pub(super) fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// All fields, by name.
    pub(super) fn sorted(&self) -> BTreeMap<&str, &[String]> {
        let fields = self.0.iter();
        fields
            .map(|(name, values)| (name.as_str(), values.as_slice()))
            .collect()
    }
}

impl FromRequest<Pages> for Fields {
    type Rejection = PageError;

    async fn from_request(request: Request, pages: &Pages) -> Result<Self, PageError> {
        let (parts, body) = request.into_parts();
        let body = body::read(body, BYTES).await?;
        let request = Request::from_parts(parts, Body::from(body));
        let form = Form::<Vec<(String, String)>>::from_request(request, pages).await;
        let Form(said) = form.map_err(|error| {
            let code = Code::of_status(error.status().as_u16());
            PageError::of(error.status(), Refusal::new(code, error.body_text()))
        })?;
        let mut fields: HashMap<String, Vec<String>> = HashMap::new();
        for (name, value) in said {
            fields.entry(name).or_default().push(value);
        }
        Ok(Self(fields))
    }
}
