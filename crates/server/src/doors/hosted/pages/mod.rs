//! What the hosted door shows: typed views in, a whole answer with its headers out.
//!
//! Owns the templates, the style, the few scripts, the words in each language, and the Content-Security-Policy that fits each
//! page. Decides nothing, reads nothing from the store, and checks no field that comes back: it only names them ([`field`]).

use axum::response::Response;

mod account;
mod answer;
mod colour;
mod device;
mod ends;
mod headers;
mod invite;
mod language;
mod look;
mod parts;
pub mod phone;
mod qr;
mod sign_in;
mod templates;

pub use account::{
    AccountActivity, AccountAdd, AccountAddress, AccountApplications, AccountCode, AccountCodes, AccountInvite,
    AccountPasskey, AccountPassword, AccountPhone, AccountPlaces, AccountQuestions, AccountTotp, AccountWait,
    AccountWay, AccountWays, Allowed, Frame, Happened, Held, HeldPhone, Moment, Place, Said, Shared, Trusted,
};
pub use answer::{
    BypassEntry, Enrol, EnrolAddress, EnrolPasskey, EnrolTotp, NewPassword, PicturePage, PushWait, Question, Questions,
};
pub use device::{DeviceCode, DeviceConfirm, DeviceDone};
pub use ends::{CheckSession, ConfirmLogout, CookiesNeeded, ErrorPage, Expired, FormPost, LoggedOut, StillSignedIn};
pub use invite::{EnrolPhone, Invitation};
pub use language::{Language, TextProblem, Wanted, check_text, is_page_text};
pub use look::{Look, check_look};
pub use parts::{ClientView, Detail, Form, Keep, Person, Press, Problem, ProviderLink, Scope, Step, field};
pub use qr::svg as qr_svg;
pub use sign_in::{
    Account, ChooseAccount, ChooseWay, CodeEntry, Consent, Identify, NothingEnrolled, PasskeyStep, Reauthenticate,
    SignIn, SourceChoice, TotpEntry, Way,
};

/// One page.
#[derive(Debug)]
pub enum Page<'a> {
    /// User name and password on one page.
    SignIn(SignIn<'a>),
    /// The user name alone.
    Identify(Identify<'a>),
    /// The password of a person who is known.
    Reauthenticate(Reauthenticate<'a>),
    /// Which account to go on with.
    ChooseAccount(ChooseAccount<'a>),
    /// Which factor to use.
    ChooseWay(ChooseWay<'a>),
    /// A code that was sent.
    Code(CodeEntry<'a>),
    /// A code from an authenticator application.
    Totp(TotpEntry<'a>),
    /// A passkey.
    Passkey(PasskeyStep<'a>),
    /// A phone was asked.
    Push(PushWait<'a>),
    /// A picture for a phone.
    Picture(PicturePage<'a>),
    /// Questions whose answers the person chose.
    Questions(Questions<'a>),
    /// A code of a set.
    Bypass(BypassEntry<'a>),
    /// A password in place of one that no longer does.
    NewPassword(NewPassword<'a>),
    /// A factor that the person has not yet may or must be enrolled.
    Enrol(Enrol<'a>),
    /// An address or number to be enrolled.
    EnrolAddress(EnrolAddress<'a>),
    /// An authenticator application to be enrolled.
    EnrolTotp(EnrolTotp<'a>),
    /// A passkey to be enrolled.
    EnrolPasskey(EnrolPasskey<'a>),
    /// A phone to be enrolled.
    EnrolPhone(EnrolPhone<'a>),
    /// Another factor is demanded and the person has none.
    NothingEnrolled(NothingEnrolled<'a>),
    /// What an application asks for.
    Consent(Consent<'a>),
    /// The code a device shows.
    DeviceCode(DeviceCode<'a>),
    /// Which device is about to be let in.
    DeviceConfirm(DeviceConfirm<'a>),
    /// The device was let in, or not.
    DeviceDone(DeviceDone<'a>),
    /// Whether to sign out.
    ConfirmLogout(ConfirmLogout<'a>),
    /// Signed out.
    LoggedOut(LoggedOut<'a>),
    /// The person does not want to sign out.
    StillSignedIn(StillSignedIn<'a>),
    /// Something was wrong with the request.
    Error(ErrorPage<'a>),
    /// An authorization answer on its way to the application (OAuth 2.0 Form Post Response Mode).
    FormPost(FormPost<'a>),
    /// The frame that tells whether the session changed (Session Management §3.2).
    CheckSession(CheckSession<'a>),
    /// The browser keeps no cookies.
    CookiesNeeded(CookiesNeeded<'a>),
    /// The dialogue is over.
    Expired(Expired<'a>),
    /// My security: the ways to sign in.
    AccountWays(AccountWays),
    /// One way to sign in.
    AccountWay(AccountWay),
    /// One phone.
    AccountPhone(AccountPhone),
    /// What may be added.
    AccountAdd(AccountAdd),
    /// An address or number to be added.
    AccountAddress(AccountAddress),
    /// An authenticator application to be added.
    AccountTotp(AccountTotp),
    /// A passkey to be made, or tried.
    AccountPasskey(AccountPasskey),
    /// A phone to be added.
    AccountInvite(AccountInvite),
    /// Questions to be answered from now on.
    AccountQuestions(AccountQuestions),
    /// Recovery codes.
    AccountCodes(AccountCodes),
    /// Another password.
    AccountPassword(AccountPassword),
    /// A code that proves or tries an address.
    AccountCode(AccountCode),
    /// A phone is tried.
    AccountWait(AccountWait),
    /// Where the person is signed in.
    AccountPlaces(AccountPlaces),
    /// What the person allowed.
    AccountApplications(AccountApplications),
    /// What happened of late.
    AccountActivity(AccountActivity),
}

impl Page<'_> {
    /// The answer: this page in this look, with every header it needs.
    pub fn answer(&self, look: &Look) -> Response {
        headers::answer(look, self)
    }

    /// The page alone.
    ///
    /// # Errors
    /// A built-in template cannot be rendered, which the tests exclude.
    pub fn html(&self, look: &Look) -> Result<String, minijinja::Error> {
        templates::render(look, &self.sheet())
    }

    fn sheet(&self) -> Sheet<'_> {
        match self {
            Self::SignIn(page) => page.sheet(),
            Self::Identify(page) => page.sheet(),
            Self::Reauthenticate(page) => page.sheet(),
            Self::ChooseAccount(page) => page.sheet(),
            Self::ChooseWay(page) => page.sheet(),
            Self::Code(page) => page.sheet(),
            Self::Totp(page) => page.sheet(),
            Self::Passkey(page) => page.sheet(),
            Self::Push(page) => page.sheet(),
            Self::Picture(page) => page.sheet(),
            Self::Questions(page) => page.sheet(),
            Self::Bypass(page) => page.sheet(),
            Self::NewPassword(page) => page.sheet(),
            Self::Enrol(page) => page.sheet(),
            Self::EnrolAddress(page) => page.sheet(),
            Self::EnrolTotp(page) => page.sheet(),
            Self::EnrolPasskey(page) => page.sheet(),
            Self::EnrolPhone(page) => page.sheet(),
            Self::NothingEnrolled(page) => page.sheet(),
            Self::Consent(page) => page.sheet(),
            Self::DeviceCode(page) => page.sheet(),
            Self::DeviceConfirm(page) => page.sheet(),
            Self::DeviceDone(page) => page.sheet(),
            Self::ConfirmLogout(page) => page.sheet(),
            Self::LoggedOut(page) => page.sheet(),
            Self::StillSignedIn(page) => page.sheet(),
            Self::Error(page) => page.sheet(),
            Self::FormPost(page) => page.sheet(),
            Self::CheckSession(page) => page.sheet(),
            Self::CookiesNeeded(page) => page.sheet(),
            Self::Expired(page) => page.sheet(),
            Self::AccountWays(page) => page.sheet(),
            Self::AccountWay(page) => page.sheet(),
            Self::AccountPhone(page) => page.sheet(),
            Self::AccountAdd(page) => page.sheet(),
            Self::AccountAddress(page) => page.sheet(),
            Self::AccountTotp(page) => page.sheet(),
            Self::AccountPasskey(page) => page.sheet(),
            Self::AccountInvite(page) => page.sheet(),
            Self::AccountQuestions(page) => page.sheet(),
            Self::AccountCodes(page) => page.sheet(),
            Self::AccountPassword(page) => page.sheet(),
            Self::AccountCode(page) => page.sheet(),
            Self::AccountWait(page) => page.sheet(),
            Self::AccountPlaces(page) => page.sheet(),
            Self::AccountApplications(page) => page.sheet(),
            Self::AccountActivity(page) => page.sheet(),
        }
    }
}

/// A page as the templates and the headers need it.
struct Sheet<'a> {
    /// The template, which is also where its words are.
    name: &'static str,
    /// Its values.
    values: minijinja::Value,
    status: axum::http::StatusCode,
    /// The script it brings, if any.
    script: Option<&'static str>,
    /// Whether that script asks this server anything.
    asks: bool,
    /// Pictures from elsewhere.
    images: Vec<&'a str>,
    /// Frames it shows.
    frames: Vec<&'a str>,
    /// Where its form goes, if not to this server.
    form_target: Option<&'a str>,
    /// Whether anybody may put it into a frame.
    framed: bool,
    /// Whether no window of an application can have opened it, so that it may be cut off from its opener.
    alone: bool,
}

impl<'a> Sheet<'a> {
    fn new(name: &'static str, values: &impl serde::Serialize) -> Self {
        Self {
            name,
            values: minijinja::Value::from(minijinja::value::Serde(values)),
            status: axum::http::StatusCode::OK,
            script: None,
            asks: false,
            images: Vec::new(),
            frames: Vec::new(),
            form_target: None,
            framed: false,
            alone: false,
        }
    }

    /// With the logo of the application that asks.
    fn of_step(name: &'static str, values: &impl serde::Serialize, step: &Step<'a>) -> Self {
        let mut sheet = Self::new(name, values);
        sheet.images.extend(step.client.as_ref().and_then(|client| client.logo));
        sheet
    }
}
