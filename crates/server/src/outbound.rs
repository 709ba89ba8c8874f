//! The one client for everything the server fetches from others: https, bounded in size and time, never into the
//! private network unless the host is allowed by name.
//!
//! Owns where a fetch may go and how much of an answer is read. Does not know what is fetched.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use protocol::jwk::JwkSet;
use protocol::records::Seconds;
use quick_cache::sync::Cache;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Url};
use serde_json::Value;

use crate::config;
use crate::keys_of::NoKeys;
use crate::secret::Secret;
use crate::world::World;

/// The most bytes of an answer that are read.
const LARGEST: usize = 256 * 1024;
const TIMEOUT: Duration = Duration::from_secs(3);
/// The same for what nobody waits for.
const PATIENCE: Duration = Duration::from_secs(15);
/// Seconds a fetched key set is used without asking again: its owner may replace a key at any time (OpenID Connect Core §10.1.1).
const FRESH: Seconds = 60;
/// Seconds an old one is still used while its owner does not answer.
const STALE: Seconds = 3600;
/// Seconds between two attempts for the same URL.
const PAUSE: Seconds = 1;
/// Seconds between two attempts because of a name that is not in the set: whoever makes names up must not make us fetch.
const PAUSE_FOR_NAMES: Seconds = 5;
const KEY_SETS: usize = 1024;
/// Seconds a document that seldom changes is used without asking again.
const KEPT: Seconds = 300;

/// Why nothing was fetched. The cause is for the log: whoever made us fetch learns only that it failed.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL is not one we fetch from.
    #[error("the URL is not allowed")]
    NotAllowed,
    /// Nobody answered, or not in time.
    #[error("there was no answer")]
    NoAnswer(#[source] reqwest::Error),
    /// The answer was no success.
    #[error("the answer has status {0}")]
    Status(u16),
    /// The answer is longer than what is read.
    #[error("the answer is too long")]
    TooLong,
    /// The answer is no JSON.
    #[error("the answer is not JSON")]
    NoJson,
}

/// Why the client cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The certificate file cannot be read.
    #[error("the certificates in `{path}` cannot be used")]
    Certificates {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The client cannot be built.
    #[error("the client cannot be built")]
    Client(#[source] reqwest::Error),
}

/// The guarded client.
pub struct Outbound {
    client: Client,
    allowed: Arc<[String]>,
    key_sets: Cache<String, Fetched>,
    documents: Cache<String, (Arc<Value>, Seconds)>,
}

/// What was fetched.
#[derive(Debug)]
pub struct Document {
    /// Its `Content-Type`, if it has one.
    pub media_type: Option<String>,
    /// What it holds.
    pub body: Vec<u8>,
}

#[derive(Clone)]
struct Fetched {
    keys: Option<Arc<JwkSet>>,
    /// When the keys were had.
    had: Seconds,
    /// When the last attempt was made.
    tried: Seconds,
}

impl Outbound {
    /// Sets up the client.
    ///
    /// # Errors
    /// The extra certificates cannot be used.
    pub fn new(config: &config::Outbound) -> Result<Self, OutboundError> {
        let allowed: Arc<[String]> = config.allow.iter().map(|host| host.to_ascii_lowercase()).collect();
        let mut builder = Client::builder()
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .connect_timeout(TIMEOUT)
            .user_agent("countersign")
            .dns_resolver(Arc::new(Guarded { allowed: Arc::clone(&allowed) }));
        if let Some(path) = &config.ca {
            let unusable = |source| OutboundError::Certificates { path: path.display().to_string(), source };
            let pem = std::fs::read(path).map_err(|error| unusable(error.into()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unusable(error.into()))?;
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let client = builder.build().map_err(OutboundError::Client)?;
        Ok(Self { client, allowed, key_sets: Cache::new(KEY_SETS), documents: Cache::new(KEY_SETS) })
    }

    /// Fetches a JSON document.
    ///
    /// # Errors
    /// The URL is not allowed, or there was no usable answer.
    pub async fn json(&self, url: &str) -> Result<Value, FetchError> {
        let body = self.document(url, "application/json").await?.body;
        let bounds = protocol::json::Bounds { bytes: LARGEST, ..protocol::json::USUAL };
        protocol::json::parse(&body, bounds).map_err(|_| FetchError::NoJson)
    }

    /// Fetches a document of whatever kind.
    ///
    /// # Errors
    /// The URL is not allowed, or there was no usable answer.
    pub async fn document(&self, url: &str, accept: &'static str) -> Result<Document, FetchError> {
        let url = self.admit(url)?;
        let request = self.client.get(url).header(reqwest::header::ACCEPT, accept);
        let response = request.send().await.map_err(FetchError::NoAnswer)?;
        if !response.status().is_success() {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let media_type = response.headers().get(reqwest::header::CONTENT_TYPE);
        let media_type = media_type.map(|value| value.to_str().unwrap_or_default().to_owned());
        Ok(Document { media_type, body: read(response).await? })
    }

    /// Posts a form and answers the status. What comes back besides is not read.
    ///
    /// # Errors
    /// The URL is not allowed, or nobody answered.
    pub async fn post_form(&self, url: &str, pairs: &[(&str, &str)]) -> Result<u16, FetchError> {
        let url = self.admit(url)?;
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let request =
            self.client.post(url).header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        let response = request.send().await.map_err(FetchError::NoAnswer)?;
        Ok(response.status().as_u16())
    }

    /// Posts JSON under these headers and answers the status. What comes back besides is not read. The other side may take a little
    /// longer: nobody waits for it.
    ///
    /// # Errors
    /// The URL is not allowed, or nobody answered.
    pub async fn post_json(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: String,
    ) -> Result<u16, FetchError> {
        let url = self.admit(url)?;
        let mut request = self
            .client
            .post(url)
            .timeout(PATIENCE)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let response = request.send().await.map_err(FetchError::NoAnswer)?;
        Ok(response.status().as_u16())
    }

    /// Fetches a JSON document under a bearer token.
    ///
    /// # Errors
    /// The URL is not allowed, or there was no usable answer.
    pub async fn json_under(&self, url: &str, token: &Secret<String>) -> Result<Value, FetchError> {
        let url = self.admit(url)?;
        let request =
            self.client.get(url).header(reqwest::header::ACCEPT, "application/json").bearer_auth(token.expose());
        let response = request.send().await.map_err(FetchError::NoAnswer)?;
        if !response.status().is_success() {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let bounds = protocol::json::Bounds { bytes: LARGEST, ..protocol::json::USUAL };
        protocol::json::parse(&read(response).await?, bounds).map_err(|_| FetchError::NoJson)
    }

    /// Posts a form whose answer is JSON, and answers the status with it; by name and secret where they are given (RFC 6749 §2.3.1).
    ///
    /// # Errors
    /// The URL is not allowed, nobody answered, or not with JSON.
    pub async fn exchange(
        &self,
        url: &str,
        pairs: &[(&str, String)],
        basic: Option<(&str, &Secret<String>)>,
    ) -> Result<(u16, Value), FetchError> {
        let url = self.admit(url)?;
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let mut request = self
            .client
            .post(url)
            .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(reqwest::header::ACCEPT, "application/json")
            .body(body);
        if let Some((id, secret)) = basic {
            let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            request = request.basic_auth(encoded(id), Some(encoded(secret.expose())));
        }
        let response = request.send().await.map_err(FetchError::NoAnswer)?;
        let status = response.status().as_u16();
        let body = read(response).await?;
        let bounds = protocol::json::Bounds { bytes: LARGEST, ..protocol::json::USUAL };
        Ok((status, protocol::json::parse(&body, bounds).map_err(|_| FetchError::NoJson)?))
    }

    /// A JSON document that seldom changes: kept for a while, and longer while its owner does not answer.
    ///
    /// # Errors
    /// The URL is not allowed, or there was no usable answer and none before.
    pub async fn kept_json(&self, world: &World, url: &str) -> Result<Arc<Value>, FetchError> {
        let now = world.now();
        let known = self.documents.get(url);
        if let Some((document, had)) = &known
            && (0..KEPT).contains(&(now - had))
        {
            return Ok(Arc::clone(document));
        }
        match self.json(url).await {
            Ok(document) => {
                let document = Arc::new(document);
                self.documents.insert(url.to_owned(), (Arc::clone(&document), now));
                Ok(document)
            }
            Err(error) => match known {
                Some((document, had)) if now - had < STALE => Ok(document),
                Some(_) | None => Err(error),
            },
        }
    }

    /// The URL, if it may be fetched: https, no user part, and no address written out that lies in a private network.
    /// (Names are judged when they are resolved.)
    fn admit(&self, url: &str) -> Result<Url, FetchError> {
        let url = Url::parse(url).map_err(|_| FetchError::NotAllowed)?;
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        let plain =
            url.scheme() == "https" && url.username().is_empty() && url.password().is_none() && !host.is_empty();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let inside = address.is_some_and(|address| !is_public(address)) && !self.allowed.contains(&host);
        if plain && !inside { Ok(url) } else { Err(FetchError::NotAllowed) }
    }

    /// The key set at `url`: fetched when it is not fresh or does not know the name `kid`, kept for a while when its owner does not answer.
    ///
    /// # Errors
    /// There is none to be had.
    pub async fn key_set(&self, world: &World, url: &str, kid: Option<&str>) -> Result<Arc<JwkSet>, NoKeys> {
        let now = world.now();
        let known = self.key_sets.get(url);
        if let Some(known) = &known {
            let usable = |most: Seconds| known.keys.clone().filter(|_| now - known.had < most);
            if let Some(keys) = usable(FRESH) {
                let unknown = kid.is_some_and(|kid| !keys.knows(kid));
                if !unknown || now - known.tried < PAUSE_FOR_NAMES {
                    return Ok(keys);
                }
            }
            if now - known.tried < PAUSE {
                return usable(STALE).ok_or(NoKeys::Unreachable);
            }
        }
        match self.json(url).await {
            Ok(document) => {
                let keys = crate::keys_of::parse(&document)?;
                self.key_sets.insert(url.to_owned(), Fetched { keys: Some(Arc::clone(&keys)), had: now, tried: now });
                Ok(keys)
            }
            Err(error) => {
                tracing::warn!(url, %error, "a key set could not be fetched");
                let (keys, had) = known.map_or((None, 0), |known| (known.keys, known.had));
                self.key_sets.insert(url.to_owned(), Fetched { keys: keys.clone(), had, tried: now });
                keys.filter(|_| now - had < STALE).ok_or(NoKeys::Unreachable)
            }
        }
    }
}

/// The body of an answer, as far as it is read.
async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(FetchError::NoAnswer)? {
        if body.len() + chunk.len() > LARGEST {
            return Err(FetchError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A resolver that drops every address of a private network, unless the name is allowed.
struct Guarded {
    allowed: Arc<[String]>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_ascii_lowercase();
        let allowed = self.allowed.contains(&host);
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let kept: Vec<SocketAddr> = found.filter(|address| allowed || is_public(address.ip())).collect();
            if kept.is_empty() {
                return Err("no address that may be called".into());
            }
            let addresses: Addrs = Box::new(kept.into_iter());
            Ok(addresses)
        })
    }
}

/// Whether an address lies in the public Internet: not loopback, private, link-local (where clouds keep their metadata),
/// shared, documentation, multicast or reserved.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_unspecified()
                || v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (18..20).contains(&b)))
        }
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            // Only 2000::/3 is handed out; of it, documentation, 6to4 and Teredo lead elsewhere.
            (first & 0xe000) == 0x2000 && first != 0x2002 && !(first == 0x2001 && (second == 0 || second == 0xdb8))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn outbound(allow: &[&str]) -> Outbound {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let allow = allow.iter().map(|host| (*host).to_owned()).collect();
        Outbound::new(&config::Outbound { allow, ca: None }).unwrap()
    }

    #[test]
    fn attack_60_private_addresses_in_every_spelling_are_not_called() {
        let outbound = outbound(&[]);
        for url in [
            "http://example.org/jwks",
            "https://127.0.0.1/jwks",
            "https://2130706433/jwks",
            "https://0x7f.1/jwks",
            "https://[::1]/jwks",
            "https://[::ffff:10.0.0.1]/jwks",
            "https://169.254.169.254/latest/meta-data",
            "https://[fd00:ec2::254]/",
            "https://10.1.2.3/",
            "https://100.64.0.1/",
            "https://user@example.org/",
            "file:///etc/passwd",
            "",
        ] {
            assert!(matches!(outbound.admit(url), Err(FetchError::NotAllowed)), "{url}");
        }
        assert!(outbound.admit("https://example.org/jwks").is_ok());
    }

    #[tokio::test]
    async fn attack_60_a_name_that_resolves_into_the_private_network_is_not_called() {
        let outbound = outbound(&[]);
        assert!(matches!(outbound.json("https://localhost:9/jwks").await, Err(FetchError::NoAnswer(_))));
    }

    #[test]
    fn a_private_host_may_be_allowed_by_name() {
        assert!(outbound(&["10.1.2.3"]).admit("https://10.1.2.3/jwks").is_ok());
    }
}
