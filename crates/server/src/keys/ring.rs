//! A tenant's keys, opened and parsed once. Owns which key signs at a given moment, which keys are published, how a token of our own
//! is recognised, and what others encrypted to us. Does not judge what a token claims.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use protocol::jwe::{self, JweProblem, Opened};
use protocol::records::{KeyRecord, Seconds, SigningAlg, TenantId};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tracing::Instrument as _;
use zeroize::Zeroizing;

use super::decryption::Decrypter;
use super::signer::{Signer, Typ, name_of};
use super::{KeyError, MasterKey};
use crate::logging::SPANS;

/// Longest token that is looked at.
const LONGEST_TOKEN: usize = 16 * 1024;

/// Which key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign<'a> {
    /// The key in force for an algorithm.
    With(SigningAlg),
    /// The key of this name, if it is in force.
    Key(&'a str),
}

/// The signing keys of one tenant.
pub struct KeyRing {
    signers: Vec<Arc<Signer>>,
    decrypters: Vec<Arc<Decrypter>>,
    published: ArcSwapOption<Jwks>,
}

/// A key set as it stands for a span of time.
#[derive(Debug)]
pub struct Jwks {
    /// The JWK Set (RFC 7517 §5).
    pub document: Value,
    /// The same, as it is sent.
    pub body: Bytes,
    from: Seconds,
    until: Seconds,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.signers.iter().map(|signer| &signer.kid)).finish()
    }
}

/// What a tenant's signing keys are sealed for: bound to their owner and name, so that rows cannot be swapped.
pub(super) fn purpose(tenant: &TenantId, kid: &str) -> String {
    format!("signing key\0{tenant}\0{kid}")
}

/// The record as a node must take it whose clock may run behind the one that wrote it: the first key of an algorithm has no
/// predecessor to wait for, and by its own clock such a node would find no key in force.
fn unhurried(record: &KeyRecord, all: &[KeyRecord]) -> KeyRecord {
    let mut rivals = all.iter().filter(|other| other.alg == record.alg && !other.decrypts);
    let first = rivals.all(|other| record.signs_from <= other.signs_from);
    let signs_from = if first { Seconds::MIN } else { record.signs_from };
    KeyRecord { signs_from, ..record.clone() }
}

impl KeyRing {
    /// Opens and parses the keys of `tenant`.
    pub fn open(records: &[KeyRecord], master: &MasterKey, tenant: &TenantId) -> Result<Self, KeyError> {
        let mut signers = Vec::with_capacity(records.len());
        let mut decrypters = Vec::new();
        for record in records {
            let pkcs8 = master
                .open(&purpose(tenant, &record.kid), &record.sealed)
                .ok_or_else(|| KeyError::Sealed { kid: record.kid.clone() })?;
            let pkcs8 = Zeroizing::new(pkcs8);
            if record.decrypts {
                decrypters.push(Arc::new(Decrypter::parse(record, &pkcs8)?));
            } else {
                signers.push(Arc::new(Signer::parse(&unhurried(record, records), &pkcs8)?));
            }
        }
        // The newest first: where two keys of an algorithm may sign, the newer one does.
        signers.sort_by(|a, b| b.signs_from.cmp(&a.signs_from).then_with(|| b.created.cmp(&a.created)));
        decrypters.sort_by_key(|decrypter| std::cmp::Reverse(decrypter.created));
        Ok(Self { signers, decrypters, published: ArcSwapOption::empty() })
    }

    /// Signs `claims`. An RSA signature takes about 0.4 ms of the calling thread.
    pub fn sign(&self, key: Sign<'_>, typ: Typ, claims: &impl Serialize, now: Seconds) -> Result<String, KeyError> {
        let signer = self.signer(key, now)?;
        let claims = serde_json::to_vec(claims).map_err(KeyError::Claims)?;
        signer.finish(signer.signing_input(typ, &claims)?)
    }

    /// Signs as [`sign`](Self::sign) does, but an RSA signature is made on a thread of its own where the runtime has
    /// more than one core to use; on a single core the detour would only cost.
    pub async fn sign_off_thread(
        &self,
        key: Sign<'_>,
        typ: Typ,
        claims: &impl Serialize,
        now: Seconds,
    ) -> Result<String, KeyError> {
        let signer = self.signer(key, now)?;
        let input = signer.signing_input(typ, &serde_json::to_vec(claims).map_err(KeyError::Claims)?)?;
        let span = tracing::trace_span!(target: SPANS, "sign", alg = name_of(signer.alg));
        let costly = matches!(signer.alg, SigningAlg::Rs256 | SigningAlg::Ps256);
        if !costly || tokio::runtime::Handle::current().metrics().num_workers() < 2 {
            return span.in_scope(|| signer.finish(input));
        }
        let signer = Arc::clone(signer);
        let signed = tokio::task::spawn_blocking(move || signer.finish(input)).instrument(span).await;
        signed.unwrap_or(Err(KeyError::Library))
    }

    /// The algorithms some key may sign with at `now`, in the order of [`SigningAlg`].
    pub fn algorithms(&self, now: Seconds) -> Vec<SigningAlg> {
        let mut found: Vec<_> = self.signers.iter().filter(|s| s.signs(now)).map(|s| s.alg).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether others can encrypt to this tenant at `now`.
    pub fn decrypts(&self, now: Seconds) -> bool {
        self.decrypters.iter().any(|decrypter| decrypter.listed(now))
    }

    /// The `kid` of the key that signs with `alg` at `now`.
    pub fn kid(&self, alg: SigningAlg, now: Seconds) -> Option<&str> {
        self.signer(Sign::With(alg), now).ok().map(|signer| signer.kid.as_str())
    }

    /// The key set to publish at `now`; written anew only when a key comes or goes.
    pub fn jwks(&self, now: Seconds) -> Arc<Jwks> {
        if let Some(jwks) = self.published.load().as_ref()
            && (jwks.from..jwks.until).contains(&now)
        {
            return Arc::clone(jwks);
        }
        let signing = self.signers.iter().filter(|s| s.published(now)).map(|s| s.jwk.clone());
        let encrypting = self.decrypters.iter().filter(|d| d.listed(now)).map(|d| d.key.to_jwk());
        let keys: Vec<_> = signing.chain(encrypting).collect();
        let document = json!({ "keys": keys });
        let body = Bytes::from(document.to_string());
        let of_signers = self.signers.iter().flat_map(|s| [Some(s.created), s.published_until]);
        let of_decrypters = self.decrypters.iter().flat_map(|d| [Some(d.created), d.listed_until]);
        let edges = of_signers.chain(of_decrypters).flatten().collect::<Vec<_>>();
        let from = edges.iter().copied().filter(|edge| *edge <= now).max().unwrap_or(Seconds::MIN);
        let until = edges.iter().copied().filter(|edge| *edge > now).min().unwrap_or(Seconds::MAX);
        let jwks = Arc::new(Jwks { document, body, from, until });
        self.published.store(Some(Arc::clone(&jwks)));
        jwks
    }

    /// The key set of Oracle's dialect at `now`: RSA keys with their certificates, the one that signs first. All bear the same `kid`,
    /// which is what its clients look for; the thumbprint tells them apart.
    pub fn certified_jwks(&self, now: Seconds) -> Value {
        let published = || self.signers.iter().filter(|signer| signer.published(now));
        let (signing, waiting): (Vec<_>, Vec<_>) = published().partition(|signer| signer.signs(now));
        let keys: Vec<&Value> =
            signing.into_iter().chain(waiting).filter_map(|signer| Some(&signer.certified()?.jwk)).collect();
        json!({ "keys": keys })
    }

    /// An RSA PKCS #1 v1.5 signature with SHA-256 over a text that is no token, by the key in force.
    pub fn sign_text(&self, text: &[u8], now: Seconds) -> Result<Vec<u8>, KeyError> {
        self.signer(Sign::With(SigningAlg::Rs256), now)?.signature(text)
    }

    /// The claims of a token this tenant signed as `typ` with a key still published; none for anything else.
    ///
    /// A token of ours bears a header we wrote, so the header is compared, not parsed: there is no algorithm to be
    /// confused about, no embedded key to be believed, and a token of one kind never passes for another. Times,
    /// issuer and audience are the caller's to check.
    pub fn verify(&self, token: &str, typ: Typ, now: Seconds) -> Option<Map<String, Value>> {
        if token.len() > LONGEST_TOKEN {
            return None;
        }
        let (input, signature) = token.rsplit_once('.')?;
        let (header, claims) = input.split_once('.')?;
        let signer = self.signers.iter().find(|s| s.published(now) && s.header(typ) == Some(header))?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        if !signer.verifies(input.as_bytes(), &signature) {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }

    /// Opens what somebody encrypted to this tenant, on a thread of its own: RSA takes about a millisecond.
    ///
    /// # Errors
    /// It does not open. Why is for the log alone.
    pub async fn decrypt_off_thread(&self, token: &str, now: Seconds) -> Result<Opened, JweProblem> {
        if token.len() > jwe::MAX_TOKEN {
            return Err(JweProblem::TooLong);
        }
        let token = token.to_owned();
        let usable: Vec<_> = self.decrypters.iter().filter(|decrypter| decrypter.opens(now)).cloned().collect();
        let opened = tokio::task::spawn_blocking(move || {
            let keys: Vec<_> = usable.iter().map(|decrypter| &decrypter.key).collect();
            jwe::decrypt(&token, &keys)
        });
        opened.await.unwrap_or(Err(JweProblem::Closed))
    }

    fn signer(&self, key: Sign<'_>, now: Seconds) -> Result<&Arc<Signer>, KeyError> {
        let found = self.signers.iter().filter(|signer| signer.signs(now)).find(|signer| match key {
            Sign::With(alg) => signer.alg == alg,
            Sign::Key(kid) => signer.kid == kid,
        });
        found.ok_or(KeyError::NoKey(match key {
            Sign::With(alg) => name_of(alg),
            Sign::Key(_) => "the name asked for",
        }))
    }
}
