//! The factor assertion: the signed JWT that carries a performed factor back to the token endpoint (vendor page §2.4).
//!
//! Owns its claims and how it is read back. Whether it may be used is the sign-in's to say: it carries the receipt of one proof.

use protocol::oauth_error::Rejection;
use protocol::records::SigningAlg;
use serde::Serialize;
use serde_json::Value;

use crate::app::App;
use crate::call::Call;
use crate::keys::{KeyError, Sign, Typ};
use crate::oauth::grants::amr;
use crate::policy_document::factor_name;
use crate::signin::driver::Proved;

/// The path of the issuer under the tenant's base URL.
const ISSUER: &str = "/v2.0/factors";

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    jti: &'a str,
    iat: i64,
    exp: i64,
    #[serde(rename = "tenantId")]
    tenant: &'a str,
    iss: String,
    aud: [String; 2],
    factor: &'static str,
    amr: Vec<String>,
    grant_id: &'a str,
}

/// Signs the receipt of a proof.
///
/// # Errors
/// No key signs with RS256.
pub async fn write(app: &App, call: &Call, proved: &Proved) -> Result<String, KeyError> {
    let now = app.world.now();
    let mut proofs = proved.flow.stored.state.proofs.clone();
    proofs.push(proved.proof.clone());
    let claims = Claims {
        sub: proved.subject.as_str(),
        jti: &proved.receipt,
        iat: now,
        exp: now + call.tenant.tenant.settings.assertion_lifetime,
        tenant: call.host(),
        iss: format!("{}{ISSUER}", call.base),
        aud: [proved.flow.client.0.clone(), format!("{}/v1.0/endpoint/default/token", call.base)],
        factor: factor_name(proved.proof.kind),
        amr: amr(&proofs),
        grant_id: proved.flow.id.as_str(),
    };
    call.tenant.keys.sign_off_thread(Sign::With(SigningAlg::Rs256), Typ::Absent, &claims, now).await
}

/// An assertion that was read back.
pub struct Assertion {
    /// The person.
    pub subject: String,
    /// The grant whose sign-in it belongs to.
    pub grant: protocol::records::GrantId,
    /// The receipt of the proof.
    pub receipt: String,
    /// `aud`.
    pub audience: Vec<String>,
}

/// Reads an assertion of ours; none when the issuer is another. Accepts every host name the tenant owns.
///
/// # Errors
/// It claims to be ours and is not, or has expired, or is not meant for our token endpoint.
pub fn read(app: &App, call: &Call, jwt: &str) -> Result<Option<Assertion>, Rejection> {
    let refuse = || Rejection::invalid_grant("the assertion cannot be used");
    let Ok(peeked) = protocol::jwt::peek(jwt) else { return Ok(None) };
        let urls = &call.tenant.tenant.urls;
    let named = peeked.claim_text("iss").unwrap_or_default();
    let Some(base) = named.strip_suffix(ISSUER) else { return Ok(None) };
    if !urls.iter().any(|url| url == base) {
        return Ok(None);
    }
    let now = app.world.now();
    let claims = call.tenant.keys.verify(jwt, Typ::Absent, now).ok_or_else(refuse)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
    let audience: Vec<String> = match claims.get("aud") {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => return Err(refuse()),
    };
    let ours = crate::oauth::client::accepted_audiences(call);
    if !audience.iter().any(|one| ours.contains(one)) || claims.get("exp").and_then(Value::as_i64).is_none_or(|exp| exp <= now)
    {
        return Err(refuse());
    }
    Ok(Some(Assertion {
        subject: text("sub").ok_or_else(refuse)?,
        grant: text("grant_id").ok_or_else(refuse)?.into(),
        receipt: text("jti").ok_or_else(refuse)?,
        audience,
    }))
}
