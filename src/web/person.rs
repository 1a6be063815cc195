//! Who somebody is, as the proxy in front says in a header.
//!
//! | promise | how |
//! |---|---|
//! | only the proxy says it | from anywhere else a request with the header is refused, counted and logged |
//! | what the proxy let pass without sign-in is nobody's | a request with an `Authorization` header is judged by that alone |
//! | no page that its owner points here (DNS rebinding) is one of ours | a person is believed at a known host only |
//! | no alert is lost | at webhooks and health, which go by no person, the headers are dropped |

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::middleware::Next;
use axum::response::Response;

use super::webhooks::source_at;
use super::{Ingress, Problem, origin};
use crate::config::{Config, IdentitySettings};
use crate::domain::refusal::Code;
use crate::sources::Source;
use crate::telemetry::log_throttle::LogThrottle;
use crate::telemetry::metrics::{ByRole, Metrics};

/// The longest name, in bytes.
const NAME_BYTES: usize = 200;

/// How often the log says that headers are refused.
const SAID: Duration = Duration::from_secs(60);

/// Paths that tell of the process, beside the webhooks.
const HEALTH: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// A person whom the proxy let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) name: String,
    /// Whether they may operate; else they read.
    pub(crate) operates: bool,
}

impl Person {
    /// What the audit has where it has a token of others.
    pub(crate) const fn role(&self) -> &'static str {
        match self.operates {
            true => "operate:proxy",
            false => "read:proxy",
        }
    }
}

/// The headers, and the settings that say whom they name.
pub(super) struct Headers {
    name: HeaderName,
    groups: Option<HeaderName>,
    config: Arc<Config>,
}

/// What notes people, and those who only say that they are one.
pub(super) struct Doorman {
    headers: Headers,
    sources: Arc<[Source]>,
    metrics: Arc<Metrics>,
    said: LogThrottle<()>,
}

impl Doorman {
    /// That of the settings; `None` if no header says who somebody is.
    pub(super) fn of(ingress: &Ingress) -> Option<Arc<Self>> {
        let context = &ingress.context;
        Some(Arc::new(Self {
            headers: Headers::of(&context.config)?,
            sources: Arc::clone(&ingress.sources),
            metrics: context.metrics.clone(),
            said: LogThrottle::new(SAID),
        }))
    }

    /// Whether no person matters there: what senders and monitoring send is not refused for what a proxy adds.
    fn is_for_programs(&self, path: &str) -> bool {
        HEALTH.contains(&path) || source_at(&self.sources, path).is_some()
    }

    fn note(&self, request: &Request) {
        let role = "proxy";
        self.metrics
            .auth_failures
            .get_or_create(&ByRole { role })
            .inc();
        if let Some(more) = self.said.says(()) {
            let peer = peer(request).map(|peer| peer.ip().to_canonical());
            tracing::warn!(
                client.address = ?peer,
                more,
                "refused a request with the header {}: see identity.networks and public_url",
                self.headers.name
            );
        }
    }
}

fn peer(request: &Request) -> Option<SocketAddr> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    peer.map(|peer| peer.0)
}

impl Headers {
    /// Those of the settings; `None` if no header says who somebody is.
    fn of(config: &Arc<Config>) -> Option<Self> {
        let read = |name: &String| name.parse().ok();
        let identity = &config.identity;
        Some(Self {
            name: identity.header.as_ref().and_then(read)?,
            groups: identity.groups_header.as_ref().and_then(read),
            config: Arc::clone(config),
        })
    }

    fn drop_from(&self, headers: &mut HeaderMap) {
        headers.remove(&self.name);
        if let Some(groups) = &self.groups {
            headers.remove(groups);
        }
    }

    fn person(&self, request: &Request) -> Result<Option<Person>, Problem> {
        let (headers, identity) = (request.headers(), &self.config.identity);
        let has_groups = self
            .groups
            .as_ref()
            .is_some_and(|name| headers.contains_key(name));
        if !headers.contains_key(&self.name) && !has_groups {
            return Ok(None);
        }
        if !peer(request).is_some_and(|peer| identity.trusts(peer.ip())) {
            let detail = format!(
                "the header {} is believed from the proxy alone (identity.networks)",
                self.name
            );
            return Err(Problem::new(Code::UntrustedProxy, detail));
        }
        // A proxy lets programs with a token pass without sign-in, and perhaps with headers of their own.
        if headers.contains_key(header::AUTHORIZATION) {
            return Ok(None);
        }
        let person = self.named(headers, identity)?;
        // A browser beside the proxy has its address, and sends what headers a page wants to the page's own host.
        if person.is_some() && origin::check_host(&self.config, request).is_err() {
            let detail = "unknown host: where a proxy says who somebody is, it must be the host of public_url, \
                          an IP address or localhost";
            return Err(Problem::new(Code::UnknownHost, detail));
        }
        Ok(person)
    }

    fn named(
        &self,
        headers: &HeaderMap,
        identity: &IdentitySettings,
    ) -> Result<Option<Person>, Problem> {
        let name = one(headers, &self.name)?.unwrap_or_default();
        if name.is_empty() {
            return Ok(None);
        }
        if name.len() > NAME_BYTES || name.contains(char::is_control) {
            return Err(unreadable(&self.name));
        }
        let groups = match &self.groups {
            Some(header) => one(headers, header)?.unwrap_or_default(),
            None => "",
        };
        let groups: Vec<&str> = groups.split(',').map(str::trim).collect();
        Ok(Some(Person {
            operates: identity.operates(name, &groups),
            name: name.to_owned(),
        }))
    }
}

/// The value of a header that is there once: of two, one may be the client's own.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match (std::str::from_utf8(value.as_bytes()), values.next()) {
        (Ok(value), None) => Ok(Some(value.trim())),
        _ => Err(unreadable(name)),
    }
}

fn unreadable(name: &HeaderName) -> Problem {
    let detail = format!("the header {name} must be there once, with a name that can be read");
    Problem::new(Code::UntrustedProxy, detail)
}

/// Notes the person that the proxy names for those who check what they may do.
pub(super) async fn identify(
    State(doorman): State<Arc<Doorman>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if doorman.is_for_programs(request.uri().path()) {
        doorman.headers.drop_from(request.headers_mut());
        return Ok(next.run(request).await);
    }
    match doorman.headers.person(&request) {
        Ok(Some(person)) => drop(request.extensions_mut().insert(person)),
        Ok(None) => {}
        Err(problem) => {
            doorman.note(&request);
            return Err(problem);
        }
    }
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn found(peer: &str, given: &[(&'static str, &str)]) -> Result<Option<Person>, ()> {
        let settings = serde_json::json!({"identity": {
            "header": "X-Forwarded-Email", "groups_header": "X-Forwarded-Groups",
            "networks": ["10.0.0.0/8"], "operators": ["ann@x"],
            "operator_groups": ["oncall"],
        }, "public_url": "https://tocsin.example"});
        let config = Arc::new(Config::with(&settings).unwrap());
        let mut request = Request::new(Body::empty());
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        request.extensions_mut().insert(ConnectInfo(peer));
        for (name, value) in given {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        Headers::of(&config).unwrap().person(&request).map_err(drop)
    }

    #[test]
    fn only_the_proxy_says_who_somebody_is() {
        let (email, groups) = ("x-forwarded-email", "x-forwarded-groups");
        let person = |name: &str, operates| {
            let name = name.to_owned();
            Ok(Some(Person { name, operates }))
        };
        let (proxy, other) = ("::ffff:10.0.0.7", "192.0.2.1");
        for (peer, given, expected) in [
            (proxy, &[(email, " ann@x ")][..], person("ann@x", true)),
            (proxy, &[(email, "bob@x")], person("bob@x", false)),
            (
                proxy,
                &[(email, "bob@x"), (groups, "dev, oncall")],
                person("bob@x", true),
            ),
            (proxy, &[(email, "")], Ok(None)),
            (proxy, &[], Ok(None)),
            (other, &[], Ok(None)),
            (proxy, &[(groups, "oncall")], Ok(None)),
            (other, &[(email, "ann@x")], Err(())),
            (other, &[(email, "")], Err(())),
            (other, &[(groups, "oncall")], Err(())),
            (proxy, &[(email, "bob@x"), (email, "ann@x")], Err(())),
            // A group's name is no person's, and a person's no group's.
            (proxy, &[(email, "oncall")], person("oncall", false)),
            (
                proxy,
                &[(email, "bob@x"), (groups, "ann@x")],
                person("bob@x", false),
            ),
            // With whatever authorization, nobody: a token has to say what it may.
            (
                proxy,
                &[(email, "ann@x"), ("authorization", "Basic eA==")],
                Ok(None),
            ),
            (
                proxy,
                &[(email, "ann@x"), ("authorization", "Bearer x")],
                Ok(None),
            ),
            (
                other,
                &[(email, "ann@x"), ("authorization", "Bearer x")],
                Err(()),
            ),
            // At a host that is not ours, a page may have sent it.
            (
                proxy,
                &[(email, "ann@x"), ("host", "evil.example")],
                Err(()),
            ),
            (
                proxy,
                &[(email, "ann@x"), ("host", "tocsin.example")],
                person("ann@x", true),
            ),
            (proxy, &[("host", "evil.example")], Ok(None)),
        ] {
            assert_eq!(found(peer, given), expected, "{peer} {given:?}");
        }
    }
}
