//! The factor assertion: the signed JWT that carries a performed factor back to the token endpoint (vendor page §2.4).
//!
//! Owns its claims and how it is read back. Whether it may be used is the sign-in's to say: it carries the receipt of one proof.

use engine::FactorKind;
use protocol::oauth_error::Rejection;
use protocol::records::{GrantId, Seconds, SigningAlg};
use serde::Serialize;
use serde_json::Value;

use super::perform::Performed;
use crate::app::App;
use crate::call::Call;
use crate::keys::{KeyError, Sign, Typ};
use crate::oauth::methods::vendor as amr;
use crate::policy_document::{factor_from_name, factor_name};
use crate::signin::factors::otp;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    grant_id: Option<&'a str>,
}

/// Signs what says that a factor was proved: the receipt of a sign-in, or, outside any, a statement of its own. None where
/// none is given: nobody is known, or a code was sent for a token that may perform anybody's factors (vendor page G7).
///
/// # Errors
/// No key signs with RS256.
pub async fn write(app: &App, call: &Call, performed: &Performed) -> Result<Option<String>, KeyError> {
    let now = app.world.now();
    let (subject, receipt, client, proof, grant, amr) = match performed {
        Performed::InGrant(proved) => {
            let mut proofs = proved.flow.stored.state.proofs.clone();
            proofs.push(proved.proof.clone());
            let grant = Some(proved.flow.id.as_str());
            (&proved.subject, &proved.receipt, &proved.flow.client, &proved.proof, grant, amr(&proofs))
        }
        Performed::Alone { checked, asker, any } => {
            let Some(user) = &checked.user else { return Ok(None) };
            // Of codes that were sent no assertion is given to a token that may perform anybody's factors, unless it is a challenge
            // token (vendor page G7).
            if *any && otp::is_sent(checked.proof.kind) {
                return Ok(None);
            }
            let amr = amr(std::slice::from_ref(&checked.proof));
            (&user.id, &checked.receipt, &asker.client, &checked.proof, None, amr)
        }
    };
    let claims = Claims {
        sub: subject.as_str(),
        jti: receipt,
        iat: now,
        exp: now + call.tenant.tenant.settings.assertion_lifetime,
        tenant: call.host(),
        iss: format!("{}{ISSUER}", call.base),
        aud: [client.0.clone(), format!("{}/v1.0/endpoint/default/token", call.base)],
        factor: factor_name(proof.kind),
        amr,
        grant_id: grant,
    };
    call.tenant.keys.sign_off_thread(Sign::With(SigningAlg::Rs256), Typ::Absent, &claims, now).await.map(Some)
}

/// An assertion that was read back.
pub struct Assertion {
    /// The person.
    pub subject: String,
    /// What it says: the receipt of a sign-in, or a factor proved outside any.
    pub of: Of,
    /// `jti`: the receipt, or the name of the proof.
    pub receipt: String,
    /// `aud`.
    pub audience: Vec<String>,
    /// `exp`.
    pub expires: Seconds,
}

/// What an assertion says.
pub enum Of {
    /// It goes on with this grant.
    Grant(GrantId),
    /// A factor was proved outside any grant.
    Factor {
        /// Which.
        kind: FactorKind,
        /// When.
        at: Seconds,
    },
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
    let number = |name: &str| claims.get(name).and_then(Value::as_i64);
    let ours = crate::oauth::client::accepted_audiences(call);
    let expires = number("exp").filter(|exp| *exp > now).ok_or_else(refuse)?;
    if !audience.iter().any(|one| ours.contains(one)) {
        return Err(refuse());
    }
    let of = match text("grant_id") {
        Some(grant) => Of::Grant(grant.into()),
        None => Of::Factor {
            kind: text("factor").and_then(|name| factor_from_name(&name)).ok_or_else(refuse)?,
            at: number("iat").filter(|at| *at <= now).ok_or_else(refuse)?,
        },
    };
    Ok(Some(Assertion {
        subject: text("sub").ok_or_else(refuse)?,
        of,
        receipt: text("jti").ok_or_else(refuse)?,
        audience,
        expires,
    }))
}
