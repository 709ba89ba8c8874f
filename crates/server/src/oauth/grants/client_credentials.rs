//! `grant_type=client_credentials` (RFC 6749 §4.4): a token for the client itself. Policy never applies.

use protocol::idcs::roles::Holder;
use protocol::oauth_error::{OAuthCode, Rejection};
use protocol::records::{ClientAuthMethod, GrantDetail, GrantId};

use super::super::issue::{self, Owner};
use super::super::refused::Refused;
use super::super::token::{Answer, TokenRequest};
use super::resume::{resources, scope_asked_by};

/// Issues an access token; no refresh token, no ID token.
pub async fn exchange(request: &TokenRequest<'_>) -> Result<Answer, Refused> {
    if request.client.auth_method == ClientAuthMethod::None {
        let text = "a public client cannot have a token of its own";
        return Err(Rejection::new(OAuthCode::UnauthorizedClient, text).into());
    }
    let mut scope = scope_asked_by(request, Holder::Client)?.unwrap_or_default();
    // There is no person an ID token could speak of.
    scope.retain(|scope| scope != "openid");
    let detail = GrantDetail {
        scope,
        grant_type: "client_credentials".to_owned(),
        original_grant_type: "client_credentials".to_owned(),
        resource: resources(request)?,
        issuer: request.call.issuer(),
        ..GrantDetail::default()
    };
    let owner = Owner { grant: GrantId(request.app.world.ordered_uuid()), user: None };
    let issued = issue::access_only(request, &owner, &detail).await?;
    issue::commit(request, "client credentials", issued.changes).await?;
    Ok(Answer::Tokens(issued.tokens))
}
