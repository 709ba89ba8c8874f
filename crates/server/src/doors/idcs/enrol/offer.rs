//! What may be set up, and how each stage of it is told (table 2.4 of the reference).

use engine::policy::Unenrolled;
use engine::{FactorKind, Stage as Stands};
use protocol::records::{Enrolment, User};
use serde_json::{Value, json};

use super::detail::Detail;
use crate::doors::idcs::authenticate::challenge::relying_party;
use crate::doors::idcs::authenticate::factor::Factor;
use crate::doors::idcs::authenticate::state::Stage;
use crate::doors::idcs::authenticate::step::{Members, Step, Stop};
use crate::fault::Fault;
use crate::signin::Flow;
use crate::signin::factors::otp;

/// A sign-in that stands at an enrolment, and what may be set up in it.
pub struct Place {
    /// The sign-in.
    pub flow: Flow,
    /// Whose it is.
    pub user: User,
    /// How far it is.
    pub detail: Detail,
    /// What may be set up, in order.
    pub factors: Vec<Factor>,
    /// Something must be set up before the sign-in goes on.
    pub required: bool,
}

impl Place {
    /// Looks at a sign-in.
    ///
    /// # Errors
    /// The store failed.
    pub async fn of(step: &Step<'_>, flow: Flow, user: User, detail: Detail) -> Result<Self, Stop> {
        let (mut kinds, mut required) = (Vec::new(), false);
        if let Stands::ExpectEnrolment { open, met } = &flow.stored.state.stage {
            let must = open.demands.first().is_some_and(|demand| demand.unenrolled != Unenrolled::Offer);
            (kinds, required) = (open.any_of().to_vec(), must && !met);
        }
        let has = step.sign_ins().enrolments_of(&user.id).await?;
        let mut factors: Vec<Factor> = Vec::new();
        for kind in kinds {
            let Some(factor) = Factor::of(kind) else { continue };
            if !factors.contains(&factor) && can_be_set_up(step, &user, kind) && !has_one(&has, factor) {
                factors.push(factor);
            }
        }
        Ok(Self { flow, user, detail, factors, required })
    }

    /// The operations that go on from here.
    fn next_op(&self, pending: Option<Factor>) -> Vec<&'static str> {
        let mut all = Vec::new();
        if let Some(factor) = pending {
            all.push("credSubmit");
            if !self.required {
                all.extend(["createToken", "createSession"]);
            }
            if factor.is_sent() {
                all.push("resendCode");
            }
        } else if !self.required {
            all.extend(["createToken", "createSession"]);
        }
        all.push("enrollment");
        all
    }

    pub(super) fn common(&self, step: &Step<'_>, body: &mut Members, detail: Detail) -> Result<(), Fault> {
        body.insert("scenario".to_owned(), "ENROLLMENT".into());
        let stage = Stage::Enrolment { grant: self.flow.id.clone(), detail: detail.write()? };
        body.insert("requestState".to_owned(), step.next(stage).into());
        Ok(())
    }

    /// ENROL OFFER, and ENROL MORE.
    ///
    /// # Errors
    /// The state could not be written.
    pub fn offer(&self, step: &Step<'_>) -> Result<Members, Stop> {
        let mut body = Members::new();
        body.insert("status".to_owned(), "success".into());
        body.insert("nextOp".to_owned(), json!(self.next_op(None)));
        let names: Vec<&str> = self.factors.iter().map(|factor| factor.as_str()).collect();
        body.insert("nextAuthFactors".to_owned(), json!(names));
        for factor in &self.factors {
            let wanted = to_begin(*factor);
            if !wanted.is_empty() {
                body.insert(factor.as_str().to_owned(), json!({ "credentials": wanted }));
            }
        }
        body.insert("mfaSettings".to_owned(), json!({ "enrollmentRequired": self.required }));
        self.common(step, &mut body, self.detail.without())?;
        Ok(body)
    }

    /// ENROL PENDING: exactly one factor, with what is to be sent.
    ///
    /// # Errors
    /// The state could not be written.
    pub fn pending(
        &self,
        step: &Step<'_>,
        detail: &Detail,
        factor: Factor,
        object: Option<Value>,
    ) -> Result<Members, Stop> {
        let mut body = Members::new();
        body.insert("status".to_owned(), "success".into());
        body.insert("nextOp".to_owned(), json!(self.next_op(Some(factor))));
        if let Some(object) = object {
            body.insert(factor.as_str().to_owned(), object);
        }
        body.insert("mfaSettings".to_owned(), json!({ "enrollmentRequired": self.required }));
        self.common(step, &mut body, detail.clone())?;
        Ok(body)
    }

    /// ENROLLED. Without `nextAuthFactors`: that is how clients know.
    ///
    /// # Errors
    /// The state could not be written.
    pub fn enrolled(&self, step: &Step<'_>, name: Option<String>) -> Result<Members, Stop> {
        let mut body = Members::new();
        body.insert("status".to_owned(), "success".into());
        body.insert("nextOp".to_owned(), json!(["createToken", "createSession", "enrollment"]));
        if let Some(name) = name {
            body.insert("displayName".to_owned(), name.into());
        }
        self.common(step, &mut body, self.detail.without())?;
        Ok(body)
    }
}

/// Whether the person has one that works.
pub fn has_one(all: &[Enrolment], factor: Factor) -> bool {
    all.iter().any(|one| {
        let kind = FactorKind::parse(&one.kind);
        one.enabled && one.validated && kind.and_then(Factor::of) == Some(factor)
    })
}

/// Whether this server can set it up for this person, here.
fn can_be_set_up(step: &Step<'_>, user: &User, kind: FactorKind) -> bool {
    let leaves = || otp::channel_of(kind.as_str()).is_some_and(|channel| step.app.delivery.supports(channel));
    match kind {
        FactorKind::EmailOtp => leaves() && mail_of(user).is_some(),
        FactorKind::SmsOtp | FactorKind::VoiceOtp => leaves() || step.request.thumbprint.is_some(),
        FactorKind::Passkey => relying_party(step).is_some(),
        FactorKind::Totp
        | FactorKind::Questions
        | FactorKind::PushPresence
        | FactorKind::PushFingerprint
        | FactorKind::PushFace => true,
        FactorKind::Password | FactorKind::Qr | FactorKind::BypassCode | FactorKind::Federated => false,
    }
}

/// The address of a person's profile.
pub fn mail_of(user: &User) -> Option<&str> {
    user.attributes.get("email").and_then(|all| all.first()).map(String::as_str)
}

/// What is to be sent to begin with a factor.
pub fn to_begin(factor: Factor) -> &'static [&'static str] {
    match factor {
        Factor::Totp => &["offlineTotp"],
        Factor::Sms | Factor::PhoneCall => &["phoneNumber", "countryCode"],
        Factor::UsernamePassword
        | Factor::Username
        | Factor::Idp
        | Factor::Email
        | Factor::Push
        | Factor::SecurityQuestions
        | Factor::BypassCode
        | Factor::Fido
        | Factor::Yubico
        | Factor::Duo
        | Factor::Kmsi => &[],
    }
}
