//! The answer to an authorization request: code, tokens and ID token, by the response type, in one transaction with everything
//! that made them due.

use axum::response::Response;
use engine::Level;
use protocol::authorize::{AccessToken, Issued};
use protocol::claims::{Dialect, Place};
use protocol::form::Form;
use protocol::logout;
use protocol::records::{Carried, Grant, GrantDetail, User};
use store::Change;

use super::super::codes::{self, Authorized};
use super::super::id_token::{IdTokenOf, id_token};
use super::super::issue::{self, Owner};
use super::super::methods;
use super::super::par;
use super::super::person;
use super::super::refused::Refused;
use super::super::token::TokenRequest;
use super::{Stop, Visit, levels, stop};
use crate::browser::interaction::Outcome;
use crate::browser::{Session, cookies};
use crate::fault::Fault;
use crate::signin::standing::not_cut_off;

/// Characters of the salt of `session_state`.
const SALT: usize = 16;

impl Visit<'_> {
    /// Issues what was asked for, and sends it on its way. The dialogue about it ends in the same transaction.
    ///
    /// # Errors
    /// Somebody was first, no key signs, or the store failed.
    pub(super) async fn answer(
        mut self,
        mut session: Session,
        user: User,
        outcome: Outcome,
        scope: Vec<String>,
        mut changes: Vec<Change>,
    ) -> Result<Response, Stop> {
        let (sid, used) = session.used(self.app, self.call, &self.client.id, &self.issuer)?;
        // A code is looked at again when it is redeemed; a token that leaves now is not.
        let used = match used {
            None if self.request.response_type.token => Some(session.hold(self.call)?),
            used => used,
        };
        changes.extend(used);
        changes.extend(self.interaction.as_ref().map(crate::browser::Interaction::finish));
        changes.extend(self.pushed.as_deref().map(par::spend));
        let detail = self.detail(&user, &outcome, scope, sid)?;
        let mut issued = self.issue(&user, outcome, detail, &mut changes).await?;
        if self.request.is_openid() {
            let salt = self.app.world.token(SALT);
            issued.session_state = logout::session_state(
                self.client.id.as_str(),
                self.request.target.redirect_uri(),
                session.state(),
                &salt,
            );
        }
        if !changes.is_empty() {
            self.commit("authorization", changes).await?;
        }
        let answer = self.request.target.grant(&self.issuer, issued);
        let response = stop::deliver(self.app, self.call, &self.request.ui_locales, answer.deliver())?;
        Ok(cookies::set(response, std::mem::take(&mut self.cookies)))
    }

    /// What is granted, and how the person signed in.
    fn detail(&self, user: &User, outcome: &Outcome, scope: Vec<String>, sid: String) -> Result<GrantDetail, Stop> {
        let request = &self.request;
        let kind = if request.response_type.code { "authorization_code" } else { "implicit" };
        let detail = GrantDetail {
            scope,
            original_grant_type: kind.to_owned(),
            grant_type: kind.to_owned(),
            proofs: Carried::of(&outcome.proofs).map_err(|error| Fault::internal("proofs", error))?,
            auth_time: Some(outcome.auth_time),
            policy: outcome.policy,
            resource: request.resource.clone(),
            authorization_details: request.authorization_details.clone(),
            sid: Some(sid),
            nonce: request.nonce.clone(),
            claims_request: if request.claims.is_empty() {
                None
            } else {
                Some(serde_json::to_value(&request.claims).map_err(|error| Fault::internal("claims", error))?)
            },
            acr: self.acr(outcome)?,
            claims: if request.response_type.has_tokens() {
                person::snapshot(&self.call.tenant, self.host(), &self.client, user)?
            } else {
                Carried::default()
            },
            base: self.call.base.clone(),
            issuer: self.issuer.clone(),
            seed: self.app.world.token(22),
            ..GrantDetail::default()
        };
        Ok(GrantDetail { amr: methods::said(&detail, &outcome.proofs), ..detail })
    }

    fn host(&self) -> &str {
        self.call.host()
    }

    /// The `acr` to be said: what was asked for and met; none where nothing was asked, and then the policy's own stands.
    fn acr(&self, outcome: &Outcome) -> Result<Option<String>, Stop> {
        let Some(asked) = &self.request.acr else { return Ok(None) };
        if let Some(own) = outcome.policy.map(super::super::acr).filter(|own| asked.is_met_by(own)) {
            return Ok(Some(own));
        }
        let reached = Level::of(&outcome.proofs);
        let said = reached.map(|level| levels::said(&asked.values, level));
        if asked.essential && !said.as_ref().is_some_and(|said| asked.is_met_by(said)) {
            return Err(self.unmet());
        }
        Ok(said)
    }

    async fn issue(
        &self,
        user: &User,
        outcome: Outcome,
        detail: GrantDetail,
        changes: &mut Vec<Change>,
    ) -> Result<Issued, Stop> {
        let Self { app, call, client, request, .. } = self;
        let kind = request.response_type;
        let now = app.world.now();
        let mut issued = Issued::default();
        if kind.code {
            let authorized = Authorized {
                client: client.id.clone(),
                grant: outcome.grant.clone(),
                subject: user.id.clone(),
                session: outcome.session.clone(),
                redirect_uri: request.target.redirect_uri_to_repeat().map(str::to_owned),
                challenge: request.challenge.clone(),
                given: now,
                // Set where its life is known.
                until: now,
                front: kind.token,
                detail: detail.clone(),
            };
            let (code, change) = codes::make(app, client, authorized)?;
            changes.push(change);
            issued.code = Some(code);
        }
        if kind.token {
            let lifetime = client.grant_lifetime.unwrap_or(call.tenant.tenant.settings.grant_lifetime);
            changes.insert(0, not_cut_off(user));
            changes.push(Change::AddGrant(Grant {
                id: outcome.grant.clone(),
                tenant: call.tenant.tenant.id.clone(),
                client: client.id.clone(),
                subject: Some(user.id.clone()),
                active: true,
                created: now,
                expires: now + lifetime,
                detail: detail.clone(),
                refresh: None,
                refresh_expires: 0,
                refresh_previous: None,
                rotated_at: now,
                session: codes::bound(client, &detail.scope).then(|| outcome.session.clone()).filter(|_| kind.code),
                // Not a new one any more when its code is redeemed.
                version: 1,
            }));
            let nothing = Form::parse(b"").map_err(|error| Fault::internal("an empty form", error))?;
            let asking = TokenRequest { app, call, form: &nothing, client: client.clone(), presenter: None };
            let owner = Owner { grant: outcome.grant.clone(), user: Some(user) };
            let made = issue::access_only(&asking, &owner, &detail).await.map_err(failed)?;
            changes.extend(made.changes);
            issued.access_token = Some(AccessToken {
                token: made.tokens.access_token,
                token_type: made.tokens.token_type,
                expires_in: made.tokens.expires_in,
                scope: detail.scope.clone(),
            });
            // The vendor's clients are told the grant (vendor page §4.3); the standard knows no such parameter (demand S-4).
            if Dialect::of(&detail) == Dialect::Vendor {
                issued.grant_id = Some(outcome.grant.0.clone());
            }
        }
        if kind.id_token {
            let of = IdTokenOf {
                app,
                tenant: &call.tenant,
                client,
                user: &user.id,
                detail: &detail,
                access_token: issued.access_token.as_ref().map(|given| given.token.as_str()),
                code: issued.code.as_deref(),
                state: request.target.state(),
                place: if kind.token || kind.code { Place::Lean } else { Place::Full },
                at: now,
            };
            issued.id_token = Some(id_token(of).await.map_err(failed)?);
        }
        Ok(issued)
    }
}

/// What went wrong while tokens were made is never the request's fault.
fn failed(refused: Refused) -> Stop {
    match refused {
        Refused::Busy(busy) => Stop::Busy(busy),
        Refused::Fault(fault) => Stop::Fault(fault),
        Refused::Rejected(rejection) => Stop::Fault(Fault::internal("tokens could not be made", rejection)),
        _ => Stop::Fault(Fault::stored("tokens could not be made")),
    }
}
