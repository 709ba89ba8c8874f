//! What several grants do once a sign-in says what is next: challenge, deny, or redeem into tokens.

use engine::Proof;
use protocol::form::Form;
use protocol::idcs::{self, roles::Holder};
use protocol::oauth_error::{OAuthCode, Rejection};
use protocol::records::{AccessTokenFormat, Carried, Client, Grant, GrantDetail, GrantId, Seconds, User, UserId};
use protocol::scope;
use store::Change;

use super::super::issue;
use super::super::methods;
use super::super::oracle;
use super::super::person;
use super::super::refresh;
use super::super::refused::Refused;
use super::super::token::{Answer, Challenge, Exchanged, TokenRequest, Tokens};
use crate::browser::session;
use crate::fault::Fault;
use crate::policy_document::allowed_factors;
use crate::signin::standing::not_cut_off;
use crate::signin::stored::Wanted;
use crate::signin::{Flow, Next, SignIns};
use crate::tokens;

/// Turns the next step into the answer of the token endpoint.
pub async fn answer(request: &TokenRequest<'_>, next: Next) -> Result<Answer, Refused> {
    match next {
        Next::Challenge { flow, handle, any_of } => Ok(Answer::Challenge(Challenge {
            access_token: handle,
            allowed_factors: allowed_factors(&any_of),
            scope: "mfa_challenge",
            grant_id: flow.id.0,
            token_type: "Bearer",
            expires_in: (flow.stored.state.expires - request.app.world.now()).max(0),
        })),
        Next::Enrol { .. } => Err(Fault::stored("a sign-in at a door that cannot enrol waits for an enrolment").into()),
        Next::Ready(flow) => redeem(request, flow).await,
        Next::Refused { refusal, reference } => Err(Refused::Denied { refusal, reference }),
    }
}

/// Hands out what the sign-in was for, exactly once: the sign-in is closed in the transaction that writes the tokens.
async fn redeem(request: &TokenRequest<'_>, flow: Flow) -> Result<Answer, Refused> {
    let TokenRequest { app, call, client, .. } = request;
    let now = app.world.now();
    let subject = flow.stored.state.subject.clone().map(UserId);
    let subject = subject.ok_or_else(|| Fault::stored("a sign-in is ready but names nobody"))?;
    let user = person::usable(app, call, client, &subject).await?;
    let resume = &flow.stored.resume;
    let earlier = if resume.renews { app.store.grant(&call.tenant.tenant.id, &flow.id).await? } else { None };
    if resume.renews && !earlier.as_ref().is_some_and(|grant| grant.active && grant.expires > now) {
        return Err(Rejection::invalid_grant("the grant has ended").into());
    }
    if resume.exchange.as_ref().is_some_and(|exchange| exchange.not_after <= now) {
        return Err(Rejection::invalid_grant("the token that was exchanged has expired").into());
    }
    // What is renewed or exchanged stays within its bounds: they were drawn when it began.
    let bounded = resume.renews || resume.exchange.is_some();
    let scope = if bounded { resume.scope.clone() } else { scope_now(request, &resume.scope)? };
    let said = if bounded { None } else { authorization_details(request.form)? };
    let state = &flow.stored.state;
    let outlives = scope.iter().any(|one| one == scope::OFFLINE_ACCESS);
    let of_session = resume.session.as_ref().filter(|_| !outlives);
    let begun = match &earlier {
        Some(grant) => GrantDetail {
            claims: match person::refresh(&call.tenant, call.host(), client, &user, &grant.detail)? {
                Some(anew) => anew,
                None => grant.detail.claims.clone(),
            },
            generation: grant.detail.generation.saturating_add(1),
            ..grant.detail.clone()
        },
        None => GrantDetail {
            scope: scope.clone(),
            original_grant_type: resume.grant_type.clone(),
            resource: resume.resource.clone(),
            authorization_details: said.or_else(|| resume.authorization_details.clone()),
            act: resume.exchange.as_ref().and_then(|exchange| exchange.act.clone()),
            not_after: resume.exchange.as_ref().map(|exchange| exchange.not_after).or(of_session.map(|of| of.ends)),
            claims: person::snapshot(&call.tenant, call.host(), client, &user)?,
            issuer: resume.issuer.clone(),
            seed: app.world.token(22),
            ..GrantDetail::default()
        },
    };
    let detail = GrantDetail {
        grant_type: grant_type(request),
        // In the words of the dialect, which the rest of it says.
        amr: Vec::new(),
        proofs: Carried::of(&state.proofs).map_err(|error| Fault::internal("proofs", error))?,
        auth_time: state.proofs.iter().map(|proof| proof.at).max(),
        policy: state.policy.map(|policy| policy.id),
        session_id: resume.context.as_ref().and_then(|context| context.session_id.clone()).or(begun.session_id),
        sid: resume.session.as_ref().map(|of| of.id.clone()).or_else(|| Some(app.world.uuid())),
        base: call.base.clone(),
        ..begun
    };
    let detail = GrantDetail { amr: methods::said(&detail, &state.proofs), ..detail };
    let mut grant = next_grant(request, &flow.id, Some(user.id.clone()), detail, earlier)?;
    if let Some(of) = of_session {
        grant.session = Some(of.id.clone());
    }
    let wanted = resume.exchange.as_ref().map(|exchange| exchange.wanted);
    // Even what outlives its session does not begin after its end.
    let mut changes: Vec<Change> = resume.session.iter().map(|of| session::not_ended(of.id.clone())).collect();
    changes.extend(SignIns { app, tenant: &call.tenant }.redeem(flow)?);
    let tokens = hand_out(request, grant, &user, &scope, wanted, changes).await?;
    Ok(match wanted {
        None => Answer::Tokens(tokens),
        Some(wanted) => Answer::Exchanged(Exchanged::of(tokens, wanted)),
    })
}

/// Issues the tokens of a grant in its new state, and commits them with it and with whatever made them due.
///
/// # Errors
/// What made them due was used by somebody else first (`invalid_grant`); no key signs; the store failed.
pub async fn hand_out(
    request: &TokenRequest<'_>,
    grant: Grant,
    user: &User,
    scope: &[String],
    wanted: Option<Wanted>,
    mut changes: Vec<Change>,
) -> Result<Tokens, Refused> {
    // They may have been cut off after what they proved was looked at.
    if earliest(&grant.detail)?.is_some_and(|at| at < user.not_before) {
        return Err(Rejection::invalid_grant("the user has to sign in anew").into());
    }
    let issued = match wanted {
        Some(Wanted::Jwt) => {
            let client = Client { access_token_format: AccessTokenFormat::Jwt, ..(*request.client).clone() };
            let TokenRequest { app, call, form, .. } = *request;
            let request = TokenRequest { app, call, form, client: client.into(), presenter: None };
            issue::all(&request, &grant, user, scope, issue::Turn::First).await?
        }
        Some(Wanted::IdToken) => issue::id_only(request, &grant, user).await?,
        Some(Wanted::AccessToken) | None => issue::all(request, &grant, user, scope, issue::Turn::First).await?,
    };
    changes.extend(issued.changes);
    changes.insert(0, not_cut_off(user));
    changes.push(match grant.version {
        // Stored as the first version: what comes back with it is no new grant.
        0 => Change::AddGrant(Grant { version: 1, ..grant }),
        _ => Change::UpdateGrant(grant),
    });
    issue::commit(request, "tokens", changes).await?;
    Ok(issued.tokens)
}

/// When the first of what a grant rests on was proved.
fn earliest(detail: &GrantDetail) -> Result<Option<Seconds>, Fault> {
    let proofs: Vec<Proof> = detail.proofs.read().map_err(|error| Fault::internal("the proofs of a grant", error))?;
    Ok(proofs.iter().map(|proof| proof.at).min())
}

/// The grant as it stands once these tokens are out: a new one, or the next state of an earlier one.
///
/// # Errors
/// Its id is no UUID.
pub fn next_grant(
    request: &TokenRequest<'_>,
    id: &GrantId,
    subject: Option<UserId>,
    detail: GrantDetail,
    earlier: Option<Grant>,
) -> Result<Grant, Refused> {
    let TokenRequest { app, call, client, .. } = request;
    let now = app.world.now();
    let settings = &call.tenant.tenant.settings;
    let mut grant = earlier.unwrap_or_else(|| Grant {
        id: id.clone(),
        tenant: call.tenant.tenant.id.clone(),
        client: client.id.clone(),
        subject,
        active: true,
        created: now,
        expires: now + client.grant_lifetime.unwrap_or(settings.grant_lifetime),
        detail: GrantDetail::default(),
        refresh: None,
        refresh_expires: 0,
        refresh_previous: None,
        rotated_at: now,
        session: None,
        version: 0,
    });
    if let Some(end) = detail.not_after {
        grant.expires = grant.expires.min(end);
    }
    // In Oracle's dialect who wants one says so.
    let wanted = !oracle::is_of(&call.tenant, &detail) || detail.scope.iter().any(|one| one == scope::OFFLINE_ACCESS);
    if wanted && client.grant_types.contains("refresh_token") {
        let token = refresh::write(&app.master, &grant.tenant, &grant.id, &detail.seed, detail.generation)
            .ok_or_else(|| Fault::stored("a grant id is no UUID"))?;
        grant.refresh_previous = grant.refresh.take();
        grant.refresh = Some(tokens::digest(&token));
        let lifetime = client.refresh_token_lifetime.unwrap_or(settings.refresh_token_lifetime);
        grant.refresh_expires = grant.expires.min(now + lifetime);
        grant.rotated_at = now;
    }
    grant.detail = detail;
    Ok(grant)
}

/// Scopes asked for in this request, as far as the client may have them; none where it asks for none.
///
/// # Errors
/// A scope that is malformed or that the client may not have.
pub fn scope_asked(request: &TokenRequest<'_>) -> Result<Option<Vec<String>>, Rejection> {
    scope_asked_by(request, Holder::Person { administrator: false })
}

/// The same where it is known in whose name the token will speak, which only Oracle's dialect asks.
///
/// # Errors
/// See [`scope_asked`].
pub fn scope_asked_by(request: &TokenRequest<'_>, holder: Holder) -> Result<Option<Vec<String>>, Rejection> {
    match request.form.one("scope")? {
        Some(text) if request.call.is_oracle() => idcs::scopes::grant(text, &request.client, holder).map(Some),
        Some(text) => scope::grant(text, &request.client).map(Some),
        None => Ok(None),
    }
}

/// The same for this person.
///
/// # Errors
/// See [`scope_asked`].
pub fn scope_asked_for(request: &TokenRequest<'_>, user: &User) -> Result<Option<Vec<String>>, Rejection> {
    scope_asked_by(request, oracle::holder(&request.call.tenant, user))
}

/// Scopes of the tokens about to be issued: those stored at the start. What is asked for beyond them is ignored (vendor page §2.5);
/// only a flow that began without any takes them from here.
fn scope_now(request: &TokenRequest<'_>, stored: &[String]) -> Result<Vec<String>, Rejection> {
    if stored.is_empty() { Ok(scope_asked(request)?.unwrap_or_default()) } else { Ok(stored.to_vec()) }
}

/// The resources asked for (RFC 8707 §2), each of which the client may name.
///
/// # Errors
/// `invalid_target` for any other.
pub fn resources(request: &TokenRequest<'_>) -> Result<Vec<String>, Rejection> {
    let asked: Vec<String> =
        request.form.many("resource").chain(request.form.many("audience")).map(str::to_owned).collect();
    match asked.iter().find(|resource| !request.client.audiences.contains(resource)) {
        Some(_) => Err(Rejection::new(OAuthCode::InvalidTarget, "the client may not ask for this resource")),
        None => Ok(asked),
    }
}

/// `authorization_details` (RFC 9396 §2): a JSON array of objects with a `type`.
///
/// # Errors
/// Anything else.
pub fn authorization_details(form: &Form) -> Result<Option<serde_json::Value>, Rejection> {
    let Some(text) = form.one("authorization_details")? else { return Ok(None) };
    let malformed = || Rejection::invalid_request("`authorization_details` is not an array of objects with a `type`");
    let value = protocol::json::parse(text.as_bytes(), protocol::json::USUAL).map_err(|_| malformed())?;
    let fits =
        value.as_array().is_some_and(|list| list.iter().all(|one| one.get("type").is_some_and(|t| t.is_string())));
    if fits { Ok(Some(value)) } else { Err(malformed()) }
}

/// Whether the person may use the application: it is open to all, or assigned to them or to one of their groups.
pub fn entitled(client: &Client, user: &User) -> bool {
    client.open_to_all
        || client.entitled_users.contains(&user.id)
        || user.groups.iter().any(|group| client.entitled_groups.contains(group))
}

/// The `grant_type` of the request that produces the tokens.
pub fn grant_type(request: &TokenRequest<'_>) -> String {
    request.form.one("grant_type").ok().flatten().unwrap_or_default().to_owned()
}
