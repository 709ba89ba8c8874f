//! Oracle's dialect of OAuth under `/oauth2/v1`: its tokens, its answers, its documents. The pipeline, the grants and the
//! records are those of every other path family.
//!
//! Owns what the dialect says differently (Oracle page §4). Decides nothing that the pipeline decides.

use protocol::idcs::roles::Holder;
use protocol::oauth_error::{OAuthCode, Rejection};
use protocol::records::{Client, GrantDetail, User};
use serde::Serialize;

use super::refused::Refused;
use super::token::{Answer, Tokens};
use crate::directory::TenantView;

pub mod asked;
pub mod authn_token;
pub mod claims;
pub mod handover;
pub mod logout;
pub mod metadata;
pub mod page_key;
pub mod session;

/// Whether a grant was made in this dialect, and its tokens speak it.
pub fn is_of(tenant: &TenantView, detail: &GrantDetail) -> bool {
    detail.issuer == tenant.tenant.settings.oracle.issuer
}

/// A client that is to know people by names of its own has no tokens of this dialect, which name them as everybody does.
///
/// # Errors
/// It is one.
pub fn may_name_people(client: &Client) -> Result<(), Rejection> {
    if client.pairwise {
        let text = "a client with pairwise subjects cannot have tokens that name people";
        return Err(Rejection::new(OAuthCode::UnauthorizedClient, text));
    }
    Ok(())
}

/// Whether the tenant counts a person among its administrators.
pub fn administers(tenant: &TenantView, user: &User) -> bool {
    let named = &tenant.tenant.settings.oracle.administrators;
    user.groups.iter().any(|id| {
        named.contains(id.as_str()) || tenant.groups.get(id).is_some_and(|group| named.contains(group.name.as_str()))
    })
}

/// In whose name a token of this person speaks.
pub fn holder(tenant: &TenantView, user: &User) -> Holder {
    Holder::Person { administrator: administers(tenant, user) }
}

/// Tokens, in the member order of the vendor's samples.
#[derive(Debug, Serialize)]
pub struct Said {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}

impl From<Tokens> for Said {
    fn from(tokens: Tokens) -> Self {
        let Tokens { access_token, refresh_token, id_token, token_type, expires_in, .. } = tokens;
        Self { access_token, token_type, expires_in, refresh_token, id_token }
    }
}

/// An answer of the pipeline as this dialect can say it. It knows no further factor at the token endpoint: who needs one signs in at
/// the Authenticate API (Oracle page §4.3).
///
/// # Errors
/// A factor must be proved first, or the answer is of a kind the dialect does not have.
pub fn say(answer: Answer) -> Result<Said, Refused> {
    match answer {
        Answer::Tokens(tokens) => Ok(tokens.into()),
        Answer::Exchanged(exchanged) => Ok(exchanged.tokens.into()),
        Answer::Challenge(_) => Err(Rejection::invalid_grant("the user must pass MFA, which this grant cannot").into()),
    }
}
