//! TLS: by one implementation for all that connects, ring's, which the database's driver has in any case.

/// Chooses it for this process. An earlier choice stays.
pub fn choose() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// To build a client for HTTP, which without a choice could not be built.
pub fn client() -> reqwest::ClientBuilder {
    choose();
    reqwest::Client::builder()
}
