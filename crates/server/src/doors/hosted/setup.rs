//! Setting up a way to sign in at our own pages: what a sign-in in progress and My security share. Who may is theirs to ask.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use engine::FactorKind;
use protocol::json;
use protocol::records::{Enrolment, EnrolmentId, RelyingParty, User, UserId};
use serde_json::{Value, json};

use super::Place;
use super::act_factor;
use super::pages::Problem;
use crate::app::App;
use crate::fault::Fault;
use crate::oauth::authorize::Stop;
use crate::signin::enrol::NotEnrolled;
use crate::signin::factors::{Cause, Unusable, otp, webauthn};
use crate::signin::{Failure, SignIns};

/// Characters of a sealed picture that are looked at.
const LONGEST_SEALED: usize = 4096;
/// Characters of a passkey's name.
const LONGEST_NAME: usize = 60;

/// What can be set up here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Passkey,
    Totp,
    Phone,
    Address(Address),
    Questions,
    Codes,
}

/// Where codes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Email,
    Sms,
    Voice,
}

impl Kind {
    /// All of them, the best first.
    pub(super) const ALL: [Self; 8] = [
        Self::Passkey,
        Self::Totp,
        Self::Phone,
        Self::Address(Address::Email),
        Self::Address(Address::Sms),
        Self::Address(Address::Voice),
        Self::Questions,
        Self::Codes,
    ];

    /// Its word in forms, paths and pages.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Passkey => "passkey",
            Self::Totp => "totp",
            Self::Phone => "phone",
            Self::Address(Address::Email) => "email",
            Self::Address(Address::Sms) => "sms",
            Self::Address(Address::Voice) => "voice",
            Self::Questions => "questions",
            Self::Codes => "codes",
        }
    }

    /// The kind of a word.
    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl Address {
    /// The factor it serves.
    pub(super) const fn factor(self) -> FactorKind {
        match self {
            Self::Email => FactorKind::EmailOtp,
            Self::Sms => FactorKind::SmsOtp,
            Self::Voice => FactorKind::VoiceOtp,
        }
    }

    /// The address of a factor whose codes are sent.
    pub(super) fn of(factor: FactorKind) -> Option<Self> {
        [Self::Email, Self::Sms, Self::Voice].into_iter().find(|address| address.factor() == factor)
    }

    /// The one the directory has.
    pub(super) fn known(self, user: &User) -> Option<&String> {
        let attribute = match self {
            Self::Email => "email",
            Self::Sms | Self::Voice => "phone_number",
        };
        user.attributes.get(attribute)?.first()
    }

    /// As it was meant: people write numbers in groups.
    pub(super) fn read(self, typed: &str) -> String {
        match self {
            Self::Email => typed.to_owned(),
            Self::Sms | Self::Voice => {
                typed.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '/' | '.')).collect()
            }
        }
    }
}

/// What is told where something was not enrolled, changed or removed.
///
/// # Errors
/// What no page of its own is shown for.
pub(super) fn problem(not: NotEnrolled) -> Result<Problem, Stop> {
    Ok(match not {
        NotEnrolled::Unusable(Unusable::BadAddress | Unusable::DomainNotAllowed) => Problem::BadAddress,
        NotEnrolled::Unusable(Unusable::BadSettings) | NotEnrolled::NotAccepted(_) => Problem::NotAccepted,
        NotEnrolled::Unusable(_) => Problem::WayUnavailable,
        NotEnrolled::Limit => Problem::Limit,
        NotEnrolled::NoSuchPerson | NotEnrolled::Stale => return Err(Stop::Again),
        NotEnrolled::Fault(fault) => return Err(fault.into()),
    })
}

/// What is told of a step of proving it that could not be taken.
///
/// # Errors
/// What no page of its own is shown for.
pub(super) fn told(failure: Failure) -> Result<Problem, Stop> {
    Ok(match failure {
        Failure::Wrong(cause) => act_factor::problem(Place::Code, cause),
        Failure::TooManyMessages => Problem::TooManyMessages { wait: None },
        Failure::Unusable(_) => Problem::WayUnavailable,
        Failure::NotNow(_) => Problem::CodeExpired,
        Failure::Busy(_) => Problem::Busy,
        Failure::Stale | Failure::Fault(_) => return Err(Stop::failed(failure)),
    })
}

/// The enrolment of an address: one that was begun and never confirmed goes on.
///
/// # Errors
/// See [`NotEnrolled`].
pub(super) async fn address(
    sign_ins: SignIns<'_>,
    user: &UserId,
    kind: Address,
    to: &str,
) -> Result<Enrolment, NotEnrolled> {
    let factor = kind.factor();
    let before = sign_ins.enrolments_of(user).await?;
    let same = before.into_iter().find(|one| one.kind == factor.as_str() && otp::address(one) == Some(to));
    match same {
        Some(one) if !one.validated && one.enabled => Ok(one),
        Some(_) | None => sign_ins.enrol_address(user, factor, to, true).await,
    }
}

/// An authenticator application about to be enrolled, with what its picture says.
pub(super) struct Picture {
    pub(super) enrolment: Enrolment,
    pub(super) uri: String,
    pub(super) secret: String,
    /// The same for the form, so that the picture is there again after a mistyped code.
    pub(super) sealed: String,
}

impl Picture {
    fn purpose(way: &str) -> String {
        format!("totp picture {way}")
    }

    /// A new one.
    ///
    /// # Errors
    /// See [`NotEnrolled`].
    pub(super) async fn new(app: &App, sign_ins: SignIns<'_>, user: &UserId) -> Result<Self, NotEnrolled> {
        // One that was begun and never confirmed makes room: nobody holds its key.
        for one in sign_ins.enrolments_of(user).await? {
            if one.kind == FactorKind::Totp.as_str() && !one.validated {
                match sign_ins.remove_enrolment(one.id).await {
                    Ok(()) | Err(NotEnrolled::Stale) => {}
                    Err(not) => return Err(not),
                }
            }
        }
        let made = sign_ins.enrol_totp(user, None, true).await?;
        let (uri, secret) = (made.uri.expose().clone(), made.secret.expose().clone());
        let shown = json!([uri, secret]).to_string();
        let purpose = Self::purpose(made.enrolment.id.as_str());
        let sealed = STANDARD_NO_PAD.encode(app.master.seal(&purpose, shown.as_bytes()));
        Ok(Self { enrolment: made.enrolment, uri, secret, sealed })
    }

    /// The one a form brings back, where it is this person's.
    ///
    /// # Errors
    /// The store failed.
    pub(super) async fn of_form(
        app: &App,
        sign_ins: SignIns<'_>,
        user: &UserId,
        way: &str,
        sealed: &str,
    ) -> Result<Option<Self>, Fault> {
        if sealed.len() > LONGEST_SEALED {
            return Ok(None);
        }
        let plain = STANDARD_NO_PAD.decode(sealed).ok().and_then(|bytes| app.master.open(&Self::purpose(way), &bytes));
        let shown = plain.and_then(|plain| serde_json::from_slice::<(String, String)>(&plain).ok());
        let Some((uri, secret)) = shown else { return Ok(None) };
        let enrolment = sign_ins.enrolment(&EnrolmentId::from(way)).await?;
        let own = enrolment.filter(|one| one.user == *user && one.kind == FactorKind::Totp.as_str());
        Ok(own.map(|enrolment| Self { enrolment, uri, secret, sealed: sealed.to_owned() }))
    }
}

/// The passkey a form brings along, under the name it gives.
///
/// # Errors
/// See [`NotEnrolled`].
pub(super) async fn passkey(
    sign_ins: SignIns<'_>,
    party: &RelyingParty,
    user: &UserId,
    credential: Option<&str>,
    name: Option<&str>,
) -> Result<Enrolment, NotEnrolled> {
    let response = credential.and_then(|text| json::parse_object(text.as_bytes(), json::USUAL).ok());
    let Some(mut response) = response else { return Err(NotEnrolled::NotAccepted(Cause::Malformed)) };
    let name: String = name.unwrap_or_default().trim().chars().take(LONGEST_NAME).collect();
    response.insert("nickname".to_owned(), Value::String(name));
    let response = Value::Object(response);
    let challenge = match webauthn::challenge_id(&response) {
        Some(id) => sign_ins.challenge(&id).await?,
        None => None,
    };
    let Some(challenge) = challenge else { return Err(NotEnrolled::NotAccepted(Cause::NotPending)) };
    sign_ins.finish_registration(party, &challenge, user, &response, true).await
}
