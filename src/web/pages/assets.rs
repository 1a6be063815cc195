//! The style sheet, the script and the icon: in the program, at addresses that change with them, so
//! that browsers may keep them for good.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use super::PageError;

/// A file that is served as it is.
#[derive(Debug)]
pub(super) struct Asset {
    /// Its address.
    pub(super) address: String,
    kind: &'static str,
    body: &'static str,
}

impl Asset {
    fn new(name: &str, kind: &'static str, body: &'static str) -> Self {
        let digest = Sha256::digest(body);
        let hash: String = digest[..6].iter().map(|b| format!("{b:02x}")).collect();
        let (stem, ending) = name.split_once('.').unwrap_or((name, ""));
        Self {
            address: format!("/assets/{stem}.{hash}.{ending}"),
            kind,
            body,
        }
    }
}

/// The style sheet.
pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "page.css",
        "text/css; charset=utf-8",
        include_str!("page.css"),
    )
});

/// The script.
pub(super) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "page.js",
        "text/javascript; charset=utf-8",
        include_str!("page.js"),
    )
});

/// The icon.
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon.svg", "image/svg+xml", include_str!("icon.svg")));

/// The icon while incidents wait for somebody.
pub(super) static WAITING: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "icon-waiting.svg",
        "image/svg+xml",
        include_str!("icon-waiting.svg"),
    )
});

pub(super) async fn serve(Path(name): Path<String>) -> Result<Response, PageError> {
    let all = [&STYLE, &SCRIPT, &ICON, &WAITING];
    let named = |asset: &&&LazyLock<Asset>| asset.address.strip_prefix("/assets/") == Some(&*name);
    let asset = all.iter().find(named).ok_or(PageError::NotFound)?;
    let mut response = asset.body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    let for_good = HeaderValue::from_static("public, max-age=31536000, immutable");
    headers.insert(header::CACHE_CONTROL, for_good);
    Ok(response)
}
