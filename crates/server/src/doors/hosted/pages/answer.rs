//! The pages on which a further factor is answered elsewhere, or by heart: a phone, a picture, questions, a code on paper; and a
//! password that another must take the place of.

use serde::Serialize;
use serde_json::Value;

use super::parts::{Person, Step};
use super::{Sheet, qr, templates};

/// A phone was asked. Looks again by itself, with scripts and without.
#[derive(Debug, Serialize)]
pub struct PushWait<'a> {
    /// The common part. [`Press::Resend`](super::Press) asks once more.
    pub step: Step<'a>,
    /// What its owner calls the phone.
    pub device: &'a str,
    /// The number to type there, where one is asked for.
    pub number: Option<&'a str>,
    /// Whether the phone may still answer.
    pub waiting: bool,
    /// Whether there are other ways.
    pub others: bool,
}

/// A picture that a registered phone scans. Looks again by itself, with scripts and without.
#[derive(Debug)]
pub struct PicturePage<'a> {
    /// The common part. [`Press::Resend`](super::Press) makes a new picture.
    pub step: Step<'a>,
    /// What is in the picture; none where it waited for too long.
    pub text: Option<&'a str>,
}

/// Questions whose answers the person chose.
#[derive(Debug, Serialize)]
pub struct Questions<'a> {
    /// The common part.
    pub step: Step<'a>,
    /// All of them must be answered.
    pub questions: &'a [Question<'a>],
    /// Whether there are other ways.
    pub others: bool,
}

/// A question.
#[derive(Clone, Debug, Serialize)]
pub struct Question<'a> {
    /// As its owner reads it.
    pub text: &'a str,
}

/// A code of a set that was handed out beforehand.
#[derive(Debug, Serialize)]
pub struct BypassEntry<'a> {
    /// The common part.
    pub step: Step<'a>,
    /// Whether there are other ways.
    pub others: bool,
}

/// A password in place of one that no longer does.
#[derive(Debug, Serialize)]
pub struct NewPassword<'a> {
    /// The common part.
    pub step: Step<'a>,
    /// Whose, as far as that was typed.
    pub person: Person<'a>,
    /// Fewest characters of the new one.
    pub fewest: u8,
}

/// A factor that policy wants and the person has not yet: one is chosen to be enrolled.
#[derive(Debug, Serialize)]
pub struct Enrol<'a> {
    /// The common part. [`Press::Skip`](super::Press) goes on without, where that may be.
    pub step: Step<'a>,
    /// Kinds, each by its word: `passkey`, `totp`, `email`, `sms`, `voice`.
    pub kinds: &'a [&'static str],
    /// Whether there is no going on without.
    pub required: bool,
}

/// An address or number is typed to be enrolled.
#[derive(Debug, Serialize)]
pub struct EnrolAddress<'a> {
    /// The common part.
    pub step: Step<'a>,
    /// The word of the kind.
    pub kind: &'static str,
    /// What was typed before, or stands in the directory.
    pub address: &'a str,
}

/// An authenticator application reads its key.
#[derive(Debug)]
pub struct EnrolTotp<'a> {
    /// The common part.
    pub step: Step<'a>,
    /// The key in the form that applications read.
    pub uri: &'a str,
    /// The key to type.
    pub secret: &'a str,
    /// Digits of a code.
    pub length: u8,
}

/// A passkey is made.
#[derive(Debug, Serialize)]
pub struct EnrolPasskey<'a> {
    /// The common part.
    pub step: Step<'a>,
    /// Options for `navigator.credentials.create`.
    pub options: &'a Value,
}

impl EnrolTotp<'_> {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        #[derive(Serialize)]
        struct Values<'a> {
            step: &'a Step<'a>,
            qr: Option<String>,
            secret: String,
            length: u8,
        }
        let values =
            Values { step: &self.step, qr: qr::svg(self.uri), secret: grouped(self.secret), length: self.length };
        Sheet::of_step("enrol_totp", &values, &self.step)
    }
}

impl EnrolPasskey<'_> {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        let sheet = Sheet::of_step("enrol_passkey", self, &self.step);
        Sheet { script: Some(templates::PASSKEY_NEW_JS), ..sheet }
    }
}

/// In groups of four, so that it can be typed.
pub(super) fn grouped(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

macro_rules! plain {
    ($($view:ident: $name:literal),*) => { $(impl $view<'_> {
        pub(super) fn sheet(&self) -> Sheet<'_> {
            Sheet::of_step($name, self, &self.step)
        }
    })* };
}

plain! { Enrol: "enrol", EnrolAddress: "enrol_address", Questions: "questions", BypassEntry: "bypass", NewPassword: "new_password" }

impl PushWait<'_> {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        let sheet = Sheet::of_step("push", self, &self.step);
        Sheet { script: self.waiting.then_some(templates::WAIT_JS), asks: self.waiting, ..sheet }
    }
}

impl PicturePage<'_> {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        #[derive(Serialize)]
        struct Values<'a> {
            step: &'a Step<'a>,
            qr: Option<String>,
        }
        let values = Values { step: &self.step, qr: self.text.and_then(qr::svg) };
        let waiting = values.qr.is_some();
        let sheet = Sheet::of_step("picture", &values, &self.step);
        Sheet { script: waiting.then_some(templates::WAIT_JS), asks: waiting, ..sheet }
    }
}
