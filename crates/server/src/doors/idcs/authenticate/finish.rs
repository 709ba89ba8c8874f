//! The end of a dialogue: what a person still has to agree to, and the token that says who they are.

use axum::http::header;
use protocol::records::User;
use serde_json::{Value, json};

use super::after;
use super::factor::Factor;
use super::scene::clean;
use super::state::Stage;
use super::step::{Members, Step, Stop, members};
use crate::doors::idcs::enrol;
use crate::doors::idcs::fault::{Code, Failed};
use crate::doors::idcs::oauth::authn_token::{self, For};
use crate::signin::terms::Due;
use crate::signin::trust::{TrustKind, Wish};
use crate::signin::{Failure, Flow};

/// Languages of a request that are looked at.
const MOST_LANGUAGES: usize = 10;

/// Everything that policy asks for is proved.
///
/// # Errors
/// The person has to agree to something that cannot be shown; the server failed.
pub async fn ready(step: &Step<'_>, flow: Flow, user: &User) -> Result<Members, Stop> {
    let flow = match enrol::recovery(step, flow, user).await? {
        Ok(offer) => return Ok(offer),
        Err(flow) => flow,
    };
    let tags = languages(step, user);
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    match step.sign_ins().terms_due(step.application, &user.id, &tags).await? {
        Some(due) => ask(step, flow, &due, &tags).await,
        None => done(step, flow, user, None).await,
    }
}

/// The languages a person reads, the one liked best first: what the request says, what their record says, the tenant's.
fn languages(step: &Step<'_>, user: &User) -> Vec<String> {
    let accepted =
        step.call.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut weighed: Vec<(String, u32)> = accepted
        .split(',')
        .take(MOST_LANGUAGES)
        .filter_map(|one| {
            let mut parts = one.split(';');
            let tag = parts.next()?.trim();
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
            let weight = (weight.clamp(0.0, 1.0) * 1000.0) as u32;
            (!tag.is_empty() && tag != "*" && weight > 0).then(|| (tag.to_owned(), weight))
        })
        .collect();
    weighed.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    let mut tags: Vec<String> = weighed.into_iter().map(|(tag, _)| tag).collect();
    tags.extend(user.attributes.get("locale").and_then(|locale| locale.first()).cloned());
    tags.push(step.call.tenant.tenant.settings.language.clone());
    tags
}

/// Puts the terms before the person. The sign-in waits, ready.
async fn ask(step: &Step<'_>, flow: Flow, due: &Due<'_>, tags: &[&str]) -> Result<Members, Stop> {
    let Some(statement) = due.statement else {
        let locale = clean(tags.first().copied().unwrap_or_default());
        let text = format!("There are no terms of use in the language {locale}.");
        return Err(Failed::saying(Code::TermsMissing, text).into());
    };
    let grant = flow.id.clone();
    step.sign_ins().hold(flow).await.map_err(|failure| Stop::of(failure, Factor::UsernamePassword))?;
    Ok(members(json!({
        "status": "success",
        "nextOp": ["acceptTOU"],
        "TOU": { "statement": statement.statement, "credentials": ["consent"], "locale": statement.locale },
        "requestState": step.next(Stage::Terms { grant }),
    })))
}

/// `acceptTOU`.
///
/// # Errors
/// The terms are refused, or consent is missing.
pub async fn accept(step: &Step<'_>) -> Result<Members, Stop> {
    let flow = step.flow().await?;
    if !matches!(flow.stored.state.stage, engine::Stage::Ready) {
        return Err(Code::SessionGone.into());
    }
    let user = after::person(step, &flow).await?;
    match step.request.credentials.flag("consent")? {
        Some(true) => {}
        Some(false) => return Err(Code::TermsRefused.into()),
        None => {
            let failed = Failed::incomplete("The credential consent is missing.");
            return Err(Stop::from(failed).with(again(step).await?));
        }
    }
    let tags = languages(step, &user);
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let due = step.sign_ins().terms_due(step.application, &user.id, &tags).await?;
    done(step, flow, &user, due.as_ref()).await
}

/// The terms once more.
///
/// # Errors
/// The sign-in is over; the store failed.
pub async fn again(step: &Step<'_>) -> Result<Members, Stop> {
    let flow = step.flow().await?;
    let user = after::person(step, &flow).await?;
    let tags = languages(step, &user);
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    match step.sign_ins().terms_due(step.application, &user.id, &tags).await? {
        Some(due) => {
            let statement = due.statement.ok_or_else(|| Stop::from(Code::TermsMissing))?;
            Ok(members(json!({
                "nextOp": ["acceptTOU"],
                "TOU": { "statement": statement.statement, "credentials": ["consent"], "locale": statement.locale },
                "requestState": step.next(Stage::Terms { grant: flow.id }),
            })))
        }
        None => Ok(Members::new()),
    }
}

/// Nothing more is needed: the sign-in is closed with everything that comes of it.
async fn done(step: &Step<'_>, flow: Flow, user: &User, accepted: Option<&Due<'_>>) -> Result<Members, Stop> {
    let sign_ins = step.sign_ins();
    let mut also = Vec::new();
    if let Some(due) = accepted {
        also.push(sign_ins.accept_terms(&user.id, due).await?);
    }
    let proofs = flow.stored.state.proofs.clone();
    let agent = step.call.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let address = step.call.peer.to_string();
    let wish = |kind, name| Wish {
        kind,
        user,
        client: Some(&step.application.id),
        name,
        agent,
        address: &address,
        proofs: &proofs,
        replaces: None,
    };
    let mut kept = Members::new();
    for (kind, name, member) in
        [(TrustKind::Device, step.trust(), "trustToken"), (TrustKind::StaySignedIn, step.stay(), "kmsiToken")]
    {
        let Some(name) = name else { continue };
        if let Some(one) = sign_ins.trust(wish(kind, name)).await? {
            kept.insert(member.to_owned(), Value::from(one.token.expose().as_str()));
            also.extend(one.changes);
        }
    }
    if let Some(token) = &step.state.stayed {
        kept.insert("kmsiToken".to_owned(), Value::from(token.as_str()));
    }
    let application = Some(step.application.as_ref()).filter(|application| application.id != step.caller.client.id);
    let of = For { client: &step.caller.client, application, errand: step.state.errand.as_deref() };
    let minted = authn_token::mint(step.app, step.call, flow, of, also).await.map_err(ended)?;
    let mut body = members(json!({ "status": "success", "authnToken": minted.token }));
    body.extend(kept);
    Ok(body)
}

/// Of two who end a sign-in at the same moment one is late.
fn ended(failure: Failure) -> Stop {
    match failure {
        Failure::Stale => Code::SessionGone.into(),
        other => Stop::of(other, Factor::UsernamePassword),
    }
}
