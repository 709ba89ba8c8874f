//! The ways to sign in that a person has: listed, named, preferred, removed; and the password.

use axum::response::Response;
use engine::FactorKind;
use protocol::form::Form;
use protocol::json;
use protocol::records::{Enrolment, EnrolmentId, SourceKind};
use serde_json::Value;

use super::super::act_password::unfit_problem;
use super::super::pages::{
    AccountPassword, AccountPhone, AccountWay, AccountWays, Held, HeldPhone, Moment, Page, Press, Problem, Said,
    Shared, field,
};
use super::super::setup::{self, problem};
use super::super::show::{fewest, relying_party};
use super::super::wait::is_push;
use super::{Desk, add, confirm, done, encoded, nothing, one};
use crate::oauth::authorize::Stop;
use crate::secret::Secret;
use crate::signin::devices::Device;
use crate::signin::enrol::{Edit, may_change};
use crate::signin::factors::{otp, push::device_of, webauthn};
use crate::signin::passwords::NotChanged;
use crate::signin::preferred::Preferred;
use crate::signin::ways::mask;
use crate::signin::{Failure, IssueRequest, Submission};

const LONGEST_NAME: usize = 60;

/// What a person calls an enrolment, for those that have a name.
fn name_of(enrolment: &Enrolment) -> Option<&str> {
    ["nickname", "accountName"].into_iter().find_map(|member| enrolment.attributes.get(member)?.as_str())
}

fn wish_for(kind: FactorKind, enrolment: &Enrolment) -> Preferred {
    // Any passkey of the person is asked for, whichever is at hand.
    let enrolment = (kind != FactorKind::Passkey).then(|| enrolment.id.0.clone());
    Preferred { kind, enrolment }
}

impl Desk<'_> {
    /// The person's enrolment with this id, as long as it is none of a phone's.
    async fn own(&self, id: &str) -> Result<Option<(FactorKind, Enrolment)>, Stop> {
        let found = self.sign_ins().enrolment(&EnrolmentId::from(id)).await?;
        let found = found.filter(|one| one.user == self.holder.user.id);
        let kind = |one: Enrolment| FactorKind::parse(&one.kind).map(|kind| (kind, one));
        Ok(found.and_then(kind).filter(|(kind, _)| !is_push(*kind)))
    }

    /// The person's phone with this id.
    pub(super) async fn own_phone(&self, id: &str) -> Result<Option<Device>, Stop> {
        Ok(self.sign_ins().device(id).await?.filter(|device| device.user == self.holder.user.id))
    }

    fn held(&self, kind: FactorKind, enrolment: &Enrolment, wish: Option<&Preferred>) -> Held {
        let detail = name_of(enrolment).map(str::to_owned).or_else(|| otp::address(enrolment).map(mask));
        Held {
            id: encoded(enrolment.id.as_str()),
            kind,
            detail: detail.unwrap_or_default(),
            added: Moment::of(enrolment.created, self.now()),
            used: enrolment.attempted.map(|at| Moment::of(at, self.now())),
            preferred: wish == Some(&wish_for(kind, enrolment)),
            ready: enrolment.enabled && enrolment.validated,
        }
    }

    fn held_phone(&self, device: &Device, all: &[Enrolment], wish: Option<&Preferred>) -> HeldPhone {
        let keys: Vec<&Enrolment> = keys_of(device, all).collect();
        HeldPhone {
            id: encoded(&device.id),
            name: device.name().to_owned(),
            added: Moment::of(device.created, self.now()),
            used: keys.iter().filter_map(|key| key.attempted).max().map(|at| Moment::of(at, self.now())),
            preferred: wish
                .is_some_and(|wish| keys.iter().any(|key| wish.enrolment.as_deref() == Some(key.id.as_str()))),
            ready: keys.iter().any(|key| key.enabled),
        }
    }
}

fn keys_of<'e>(device: &Device, all: &'e [Enrolment]) -> impl Iterator<Item = &'e Enrolment> {
    let id = device.id.clone();
    all.iter().filter(move |one| device_of(one) == Some(id.as_str()))
}

/// `GET /account`.
pub(super) async fn overview(desk: &Desk<'_>) -> Result<Response, Stop> {
    let sign_ins = desk.sign_ins();
    let user = &desk.holder.user;
    let all = sign_ins.enrolments_of(&user.id).await?;
    let wish = sign_ins.preferred(&user.id).await?;
    let ways = all
        .iter()
        .filter_map(|one| FactorKind::parse(&one.kind).map(|kind| (kind, one)))
        .filter(|(kind, _)| !is_push(*kind))
        .map(|(kind, one)| desk.held(kind, one, wish.as_ref()))
        .collect();
    let devices = sign_ins.devices_of(&user.id).await?;
    let phones = devices.iter().map(|device| desk.held_phone(device, &all, wish.as_ref())).collect();
    let password = match has_password(desk) {
        true => Some(Moment::of(sign_ins.password_since(user).await?, desk.now())),
        false => None,
    };
    let bypass = desk.call.tenant.tenant.settings.bypass.enabled;
    let codes = if bypass { Some(sign_ins.bypass_codes_left(&user.id).await?) } else { None };
    let can_add = !add::kinds(desk).await?.is_empty();
    let frame = desk.frame_with_others(None).await?;
    Ok(desk.answer(&Page::AccountWays(AccountWays { frame, password, ways, phones, codes, can_add })))
}

fn has_password(desk: &Desk<'_>) -> bool {
    let user = &desk.holder.user;
    let source = desk.call.tenant.source(user.source.as_str());
    user.password.is_some() && source.is_none_or(|source| source.kind == SourceKind::CloudDirectory)
}

/// `GET /account/way/{id}`.
pub(super) async fn way(desk: &Desk<'_>, id: &str, problem: Option<Problem>) -> Result<Response, Stop> {
    let Some((kind, enrolment)) = desk.own(id).await? else { return Ok(nothing()) };
    let wish = desk.sign_ins().preferred(&desk.holder.user.id).await?;
    let page = AccountWay {
        frame: desk.frame(problem),
        way: desk.held(kind, &enrolment, wish.as_ref()),
        name: name_of(&enrolment).map(str::to_owned),
    };
    Ok(desk.answer(&Page::AccountWay(page)))
}

/// `POST /account/way/{id}`.
pub(super) async fn act(desk: &Desk<'_>, id: &str, form: &Form, press: Press) -> Result<Response, Stop> {
    let Some((kind, enrolment)) = desk.own(id).await? else { return Ok(nothing()) };
    let sign_ins = desk.sign_ins();
    let here = format!("/account/way/{}", encoded(id));
    match press {
        Press::Rename => {
            let name: String = one(form, field::NAME).unwrap_or_default().chars().take(LONGEST_NAME).collect();
            match sign_ins.change_enrolment(enrolment, Edit { name: Some(&name), ..Edit::default() }).await {
                Ok(_) => done(&here, Said::Renamed),
                Err(not) => way(desk, id, Some(problem(not)?)).await,
            }
        }
        Press::Prefer => {
            sign_ins.prefer(&desk.holder.user.id, &wish_for(kind, &enrolment)).await?;
            done(&here, Said::Preferred)
        }
        Press::Remove => {
            if !may_change(&desk.kinds(), &enrolment) {
                return way(desk, id, Some(Problem::Stronger)).await;
            }
            match sign_ins.remove_enrolment(enrolment.id).await {
                Ok(()) => done("/account", Said::Removed),
                Err(not) => way(desk, id, Some(problem(not)?)).await,
            }
        }
        Press::Test => match kind {
            FactorKind::EmailOtp | FactorKind::SmsOtp | FactorKind::VoiceOtp => {
                match confirm::send(desk, &enrolment).await? {
                    Ok(response) => Ok(response),
                    Err(told) => way(desk, id, Some(told)).await,
                }
            }
            FactorKind::Totp => confirm::page(desk, confirm::TOTP, None).await,
            FactorKind::Passkey => try_passkey(desk, id, &enrolment).await,
            FactorKind::Password
            | FactorKind::Qr
            | FactorKind::Questions
            | FactorKind::PushPresence
            | FactorKind::PushFingerprint
            | FactorKind::PushFace
            | FactorKind::BypassCode
            | FactorKind::Federated => Ok(nothing()),
        },
        Press::Passkey => tried_passkey(desk, id, enrolment, form).await,
        _ => Ok(nothing()),
    }
}

async fn try_passkey(desk: &Desk<'_>, id: &str, enrolment: &Enrolment) -> Result<Response, Stop> {
    let Some(relying_party) = relying_party(desk.call) else {
        return way(desk, id, Some(Problem::WayUnavailable)).await;
    };
    let request = IssueRequest::Passkey {
        relying_party,
        user: Some(desk.holder.user.id.clone()),
        credentials: std::slice::from_ref(enrolment),
        user_verification: "preferred",
    };
    match desk.sign_ins().issue_alone(&desk.asker(), request).await {
        Ok(made) => Ok(add::passkey_page(
            desk,
            made.options.unwrap_or_default(),
            false,
            &format!("/account/way/{}", encoded(id)),
        )),
        Err(failure) => way(desk, id, Some(setup::told(failure)?)).await,
    }
}

async fn tried_passkey(desk: &Desk<'_>, id: &str, enrolment: Enrolment, form: &Form) -> Result<Response, Stop> {
    let response = one(form, field::CREDENTIAL).and_then(|text| json::parse_object(text.as_bytes(), json::USUAL).ok());
    let (Some(response), Some(relying_party)) = (response.map(Value::Object), relying_party(desk.call)) else {
        return way(desk, id, Some(Problem::PasskeyRefused)).await;
    };
    let challenge = match webauthn::challenge_id(&response) {
        Some(challenge) => desk.sign_ins().challenge(&challenge).await?,
        None => None,
    };
    let named = webauthn::credential_id(&response);
    let (Some(challenge), true) = (challenge, named.is_some() && named == enrolment.lookup) else {
        return way(desk, id, Some(Problem::PasskeyRefused)).await;
    };
    let submission = Submission::Passkey { relying_party, challenge, enrolment: Some(enrolment), response };
    match desk.sign_ins().submit_alone(&desk.asker(), submission).await {
        Ok(_) => done(&format!("/account/way/{}", encoded(id)), Said::Works),
        Err(Failure::Wrong(_) | Failure::NotNow(_)) => way(desk, id, Some(Problem::PasskeyRefused)).await,
        Err(failure) => Err(Stop::failed(failure)),
    }
}

/// `GET /account/phone/{id}`.
pub(super) async fn phone(desk: &Desk<'_>, id: &str, problem: Option<Problem>) -> Result<Response, Stop> {
    let Some(device) = desk.own_phone(id).await? else { return Ok(nothing()) };
    let all = desk.sign_ins().enrolments_of(&desk.holder.user.id).await?;
    let wish = desk.sign_ins().preferred(&desk.holder.user.id).await?;
    let phone = desk.held_phone(&device, &all, wish.as_ref());
    Ok(desk.answer(&Page::AccountPhone(AccountPhone { frame: desk.frame(problem), phone })))
}

/// `POST /account/phone/{id}`.
pub(super) async fn act_phone(desk: &Desk<'_>, id: &str, press: Press) -> Result<Response, Stop> {
    let Some(device) = desk.own_phone(id).await? else { return Ok(nothing()) };
    let sign_ins = desk.sign_ins();
    let all = sign_ins.enrolments_of(&desk.holder.user.id).await?;
    let first = keys_of(&device, &all).find(|key| key.enabled);
    match (press, first) {
        (Press::Remove, _) => {
            let kinds = desk.kinds();
            if !keys_of(&device, &all).all(|key| may_change(&kinds, key)) {
                return phone(desk, id, Some(Problem::Stronger)).await;
            }
            match sign_ins.remove_device(&device).await {
                Ok(()) => done("/account", Said::Removed),
                Err(not) => phone(desk, id, Some(problem(not)?)).await,
            }
        }
        (Press::Prefer, Some(key)) => {
            let kind = FactorKind::parse(&key.kind).ok_or(Stop::Again)?;
            sign_ins.prefer(&desk.holder.user.id, &wish_for(kind, key)).await?;
            done(&format!("/account/phone/{}", encoded(id)), Said::Preferred)
        }
        (Press::Test, Some(key)) => match confirm::push(desk, key).await? {
            Ok(response) => Ok(response),
            Err(told) => phone(desk, id, Some(told)).await,
        },
        _ => Ok(nothing()),
    }
}

/// `GET /account/password`.
pub(super) fn password(desk: &Desk<'_>, problem: Option<Problem>) -> Response {
    if !has_password(desk) {
        return nothing();
    }
    let page = AccountPassword { frame: desk.frame(problem), step: Shared { problem }, fewest: fewest(desk.call) };
    desk.answer(&Page::AccountPassword(page))
}

/// `POST /account/password`.
pub(super) async fn change_password(desk: &Desk<'_>, form: &Form) -> Result<Response, Stop> {
    let user = &desk.holder.user;
    let typed = |name| form.one(name).ok().flatten().filter(|text: &&str| !text.is_empty());
    let (Some(old), Some(new)) = (typed(field::PASSWORD), typed(field::NEW_PASSWORD)) else {
        return Ok(password(desk, Some(Problem::Missing)));
    };
    let (old, new) = (Secret::from(old), Secret::from(new));
    match desk.sign_ins().change_password(Some(&user.id), &user.source, &user.username, old, new).await {
        Ok(_) => {
            tracing::info!(tenant = %desk.call.tenant.tenant.id, user = %user.id, "password changed");
            done("/account", Said::Password)
        }
        Err(NotChanged::Unfit(unfit)) => Ok(password(desk, Some(unfit_problem(unfit)))),
        Err(NotChanged::Failure(failure)) => Ok(password(desk, Some(confirm::told_of_password(failure)?))),
    }
}
