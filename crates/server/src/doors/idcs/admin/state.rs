//! What is shown of a person beside the record: whether they are locked out, and their second factors.

use engine::FactorKind;
use protocol::records::{Enrolment, User};
use protocol::scim::oracle::{Mfa, State};
use serde_json::Value;

use super::answer::Refusal;
use super::names;
use crate::app::App;
use crate::directory::TenantView;
use crate::signin::SignIns;
use crate::signin::factors::push;

/// A device as people see it: an authenticator, an address, a phone with all that it enrolled.
#[derive(Clone, Debug)]
pub(super) struct Device {
    /// Its identifier: of the phone, or of what is enrolled.
    pub(super) id: String,
    /// The name of its factor.
    pub(super) factor: &'static str,
    /// What is enrolled of it, never empty.
    pub(super) enrolled: Vec<Enrolment>,
}

impl Device {
    /// What it is called.
    pub(super) fn name(&self) -> String {
        let text = |name: &str| {
            let found = self.enrolled.iter().find_map(|one| one.attributes.get(name).and_then(Value::as_str));
            found.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        ["displayName", "nickname", "accountName", "deviceName"]
            .into_iter()
            .find_map(text)
            .or_else(|| self.address().map(str::to_owned))
            .unwrap_or_else(|| self.factor.to_owned())
    }

    /// Where codes go.
    pub(super) fn address(&self) -> Option<&str> {
        self.enrolled.iter().find_map(crate::signin::factors::otp::address)
    }

    /// Whether this identifier is its own or that of something enrolled of it.
    pub(super) fn is(&self, id: &str) -> bool {
        self.id == id || self.enrolled.iter().any(|one| one.id.as_str() == id)
    }
}

/// The devices of a person that can be used, the one enrolled first in front.
///
/// # Errors
/// The store failed.
pub(super) async fn devices(sign_ins: SignIns<'_>, user: &User) -> Result<Vec<Device>, Refusal> {
    let mut found: Vec<Device> = Vec::new();
    for one in sign_ins.enrolments_of(&user.id).await? {
        let kind = FactorKind::parse(&one.kind);
        let Some(factor) = kind.and_then(names::factor).filter(|_| one.enabled && one.validated) else { continue };
        if kind == Some(FactorKind::Questions) {
            continue;
        }
        let id = push::device_of(&one).map_or_else(|| one.id.0.clone(), str::to_owned);
        match found.iter_mut().find(|device| device.id == id) {
            Some(device) => device.enrolled.push(one),
            None => found.push(Device { id, factor, enrolled: vec![one] }),
        }
    }
    Ok(found)
}

/// What is shown of a person beside the record.
///
/// # Errors
/// The store failed.
pub(super) async fn of(app: &App, tenant: &TenantView, user: &User) -> Result<State, Refusal> {
    let sign_ins = SignIns { app, tenant };
    let standing = sign_ins.standing(&user.id).await?;
    let devices = devices(sign_ins, user).await?;
    let questions = sign_ins
        .enrolments_of(&user.id)
        .await?
        .into_iter()
        .any(|one| one.kind == FactorKind::Questions.as_str() && one.enabled && one.validated);
    let mut state = State { locked_until: standing.rests_until, mfa: None };
    if devices.is_empty() && !questions {
        return Ok(state);
    }
    let preferred = sign_ins.preferred(&user.id).await?;
    let wanted = preferred.as_ref().and_then(|wish| {
        let enrolment = wish.enrolment.as_deref()?;
        devices.iter().find(|device| device.is(enrolment))
    });
    let named = preferred.as_ref().and_then(|wish| names::factor(wish.kind));
    let first = wanted.or_else(|| devices.iter().find(|device| named.is_none_or(|name| device.factor == name)));
    let factor = named.or(first.map(|device| device.factor)).or(questions.then_some("SECURITY_QUESTIONS"));
    state.mfa = Some(Mfa {
        attempts: standing.failures,
        factor: factor.map(str::to_owned),
        device: first.filter(|device| Some(device.factor) == factor).map(|device| (device.id.clone(), device.name())),
        devices: devices.len(),
    });
    Ok(state)
}
