//! `grant_type=urn:ietf:params:oauth:grant-type:device_code` (RFC 8628 §3.4, vendor page §4.4): a device polls until a person has
//! decided.

use protocol::oauth_error::{OAuthCode, Rejection};
use protocol::records::{Carried, GrantDetail, Seconds};
use store::{Change, CommitError, Item};

use super::super::device::{self, Approval, Decision, Kept};
use super::super::methods;
use super::super::person;
use super::super::refused::Refused;
use super::super::token::{Answer, TokenRequest};
use super::resume;
use crate::fault::Fault;
use crate::tokens;

/// Added to the interval by every poll that comes too early (RFC 8628 §3.5).
const PENALTY: Seconds = 5;
const LONGEST_INTERVAL: Seconds = 3600;
/// Times are whole seconds and answers take their way: who is this much early is not.
const TOLERANCE: Seconds = 1;

/// Answers a poll.
pub async fn exchange(request: &TokenRequest<'_>) -> Result<Answer, Refused> {
    let code = request.form.require("device_code")?;
    if code.len() > tokens::LONGEST {
        return Err(unusable());
    }
    // A second look finds what was decided, or polled, at the same moment.
    match poll(request, code).await? {
        Some(answer) => Ok(answer),
        None => poll(request, code).await?.ok_or_else(|| wait(OAuthCode::SlowDown)),
    }
}

fn unusable() -> Refused {
    Rejection::invalid_grant("unusable [authorization_grant], type [device_code]").into()
}

/// A no that every client of this grant knows. All have status 400 (vendor page §4.4).
fn wait(code: OAuthCode) -> Refused {
    let text = match code {
        OAuthCode::SlowDown => "the device asks too often",
        OAuthCode::ExpiredToken => "the device code has expired",
        OAuthCode::AccessDenied => "the request was denied",
        _ => "nobody has decided yet",
    };
    Refused::At { status: 400, rejection: Rejection::new(code, text) }
}

/// One look at the request. None when it changed meanwhile.
async fn poll(request: &TokenRequest<'_>, code: &str) -> Result<Option<Answer>, Refused> {
    let TokenRequest { app, call, client, .. } = request;
    let now = app.world.now();
    let (item, mut kept) = device::load(app, &call.tenant, code).await?.ok_or_else(unusable)?;
    if kept.client != client.id {
        tracing::warn!(client = %client.id, owner = %kept.client, "device code presented by another client");
        return Err(unusable());
    }
    if now >= kept.ends {
        return Err(wait(OAuthCode::ExpiredToken));
    }
    match kept.state.clone() {
        Decision::Spent => Err(unusable()),
        Decision::Denied => Err(wait(OAuthCode::AccessDenied)),
        Decision::Approved(approval) => redeem(request, item, kept, approval).await.map(Some),
        Decision::Open => {
            let early = kept.polled > 0 && now - kept.polled < kept.interval - TOLERANCE;
            kept.polled = now;
            if early {
                kept.interval = (kept.interval + PENALTY).min(LONGEST_INTERVAL);
            }
            let change = device::put(item, &kept)?;
            match app.commit(&call.tenant.tenant.id, "device poll", vec![change]).await {
                Ok(()) => Err(wait(if early { OAuthCode::SlowDown } else { OAuthCode::AuthorizationPending })),
                Err(CommitError::Refused { .. }) => Ok(None),
                Err(CommitError::Unavailable(error)) => Err(error.into()),
            }
        }
    }
}

/// Hands out the tokens, once: the request is spent in the transaction that writes them.
async fn redeem(request: &TokenRequest<'_>, item: Item, mut kept: Kept, by: Approval) -> Result<Answer, Refused> {
    let TokenRequest { app, call, client, .. } = request;
    let user = person::usable(app, call, client, &by.subject).await?;
    // Cut off since the approval: what was proved before counts no more.
    let proved = by.proofs.iter().map(|proof| proof.at).min().unwrap_or(by.at).min(by.at);
    if user.not_before.max(client.not_before) > proved {
        return Err(unusable());
    }
    let detail = GrantDetail {
        scope: kept.scope.clone(),
        original_grant_type: super::Grant::DeviceCode.name().to_owned(),
        grant_type: super::Grant::DeviceCode.name().to_owned(),
        proofs: Carried::of(&by.proofs).map_err(|error| Fault::internal("proofs", error))?,
        auth_time: by.auth_time,
        policy: by.policy,
        acr: by.acr,
        resource: kept.resource.clone(),
        claims: person::snapshot(&call.tenant, call.host(), client, &user)?,
        base: kept.base.clone(),
        issuer: kept.issuer.clone(),
        seed: app.world.token(22),
        ..GrantDetail::default()
    };
    let detail = GrantDetail { amr: methods::said(&detail, &by.proofs), ..detail };
    let scope = kept.scope.clone();
    let grant = resume::next_grant(request, &kept.grant, Some(user.id.clone()), detail, None)?;
    kept.state = Decision::Spent;
    let spent: Change = device::put(item, &kept)?;
    resume::hand_out(request, grant, &user, &scope, None, vec![spent]).await.map(Answer::Tokens)
}
