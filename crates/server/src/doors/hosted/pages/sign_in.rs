//! The pages on which people say who they are, prove it, and allow what an application asks for.

use engine::FactorKind;
use serde::Serialize;
use serde_json::Value;

use super::parts::{Detail, Person, Scope, Step};
use super::{Sheet, templates};

/// User name and password on one page.
#[derive(Debug, Serialize)]
pub struct SignIn<'a> {
    /// The common part.
    pub step: Step<'a>,
    /// The user name to begin with: a hint, or what was typed before.
    pub username: &'a str,
    /// Where the password may be checked; fewer than two are not shown.
    pub sources: &'a [SourceChoice<'a>],
    /// Whether a passkey may be used instead.
    pub passkey: bool,
    /// Whether a phone may scan a picture instead.
    pub picture: bool,
    /// Options for `navigator.credentials.get` that name no credential. With them the browser offers passkeys beside the field and
    /// the button needs no further page.
    pub passkey_options: Option<&'a Value>,
}

/// The user name alone.
#[derive(Debug, Serialize)]
pub struct Identify<'a> {
    /// The common part.
    pub step: Step<'a>,
    /// The user name to begin with.
    pub username: &'a str,
    /// As on [`SignIn`].
    pub sources: &'a [SourceChoice<'a>],
    /// As on [`SignIn`].
    pub passkey: bool,
    /// As on [`SignIn`].
    pub passkey_options: Option<&'a Value>,
}

/// An identity source to choose.
#[derive(Clone, Debug, Serialize)]
pub struct SourceChoice<'a> {
    /// Its id, the value of [`field::SOURCE`](super::field::SOURCE).
    pub id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Whether it is chosen already.
    pub selected: bool,
}

/// The password of a person who is known: signed in once, and asked again.
#[derive(Debug, Serialize)]
pub struct Reauthenticate<'a> {
    /// The common part.
    pub step: Step<'a>,
    /// Who.
    pub person: Person<'a>,
    /// Whether somebody else may sign in instead ([`Press::OtherAccount`](super::Press)).
    pub other: bool,
    /// As on [`SignIn`].
    pub passkey: bool,
    /// As on [`SignIn`].
    pub passkey_options: Option<&'a Value>,
}

/// Which account to go on with (`prompt=select_account`).
#[derive(Debug, Serialize)]
pub struct ChooseAccount<'a> {
    /// The common part.
    pub step: Step<'a>,
    /// Those the browser knows.
    pub accounts: &'a [Account<'a>],
}

/// An account to choose.
#[derive(Clone, Debug, Serialize)]
pub struct Account<'a> {
    /// The value of [`field::ACCOUNT`](super::field::ACCOUNT).
    pub id: &'a str,
    /// Whose.
    pub person: Person<'a>,
    /// Whether it is signed in at present.
    pub signed_in: bool,
}

/// Which factor to use.
#[derive(Debug, Serialize)]
pub struct ChooseWay<'a> {
    /// The common part.
    pub step: Step<'a>,
    /// What there is.
    pub ways: &'a [Way<'a>],
}

/// A factor to choose.
#[derive(Clone, Debug, Serialize)]
pub struct Way<'a> {
    /// The value of [`field::WAY`](super::field::WAY).
    pub id: &'a str,
    /// What kind.
    pub kind: FactorKind,
    /// The masked destination, or the name its owner gave it.
    pub detail: &'a str,
}

/// A code that was sent by mail, text message or call.
#[derive(Debug, Serialize)]
pub struct CodeEntry<'a> {
    /// The common part.
    pub step: Step<'a>,
    /// How it was sent.
    pub kind: FactorKind,
    /// Where to, masked.
    pub destination: &'a str,
    /// What the message shows beside the code, so that the right one is typed.
    pub correlation: Option<&'a str>,
    /// Characters of the code.
    pub length: u8,
    /// Whether it is all digits.
    pub digits: bool,
    /// Whether it was just sent once more.
    pub resent: bool,
    /// Whether there are other ways ([`Press::Another`](super::Press)).
    pub others: bool,
}

/// A code from an authenticator application.
#[derive(Debug, Serialize)]
pub struct TotpEntry<'a> {
    /// The common part.
    pub step: Step<'a>,
    /// Digits of the code.
    pub length: u8,
    /// Whether there are other ways.
    pub others: bool,
}

/// A passkey, which needs JavaScript.
#[derive(Debug, Serialize)]
pub struct PasskeyStep<'a> {
    /// The common part.
    pub step: Step<'a>,
    /// Options for `navigator.credentials.get` in JSON, binary members in base64url.
    pub options: &'a Value,
    /// Whether there are other ways.
    pub others: bool,
}

/// Another factor is demanded and the person has none that would do.
#[derive(Debug, Serialize)]
pub struct NothingEnrolled<'a> {
    /// The common part. The only button is [`Press::Cancel`](super::Press), if there is one.
    pub step: Step<'a>,
    /// Who.
    pub person: Option<Person<'a>>,
}

/// What an application asks for.
#[derive(Debug, Serialize)]
pub struct Consent<'a> {
    /// The common part; the client must be there. Answered by [`Press::Allow`](super::Press) or [`Press::Deny`](super::Press).
    pub step: Step<'a>,
    /// Who is asked.
    pub person: Person<'a>,
    /// What the application would be allowed.
    pub scopes: &'a [Scope<'a>],
    /// More that is asked for.
    pub details: &'a [Detail<'a>],
    /// The host the answer goes to, where it is not one everybody knows: shown for clients that registered themselves.
    pub host: Option<&'a str>,
}

macro_rules! with_passkey {
    ($($view:ident: $name:literal),*) => { $(impl $view<'_> {
        pub(super) fn sheet(&self) -> Sheet<'_> {
            let mut sheet = Sheet::of_step($name, self, &self.step);
            sheet.script = self.passkey_options.is_some().then_some(templates::PASSKEY_JS);
            sheet
        }
    })* };
}

macro_rules! plain {
    ($($view:ident: $name:literal),*) => { $(impl $view<'_> {
        pub(super) fn sheet(&self) -> Sheet<'_> {
            Sheet::of_step($name, self, &self.step)
        }
    })* };
}

with_passkey! { SignIn: "sign_in", Identify: "identify", Reauthenticate: "reauthenticate" }
plain! {
    ChooseAccount: "choose_account", ChooseWay: "choose_way", CodeEntry: "code", TotpEntry: "totp",
    NothingEnrolled: "nothing_enrolled", Consent: "consent"
}

impl PasskeyStep<'_> {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        let mut sheet = Sheet::of_step("passkey", self, &self.step);
        sheet.script = Some(templates::PASSKEY_JS);
        sheet
    }
}
