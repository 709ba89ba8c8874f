//! My security: what a person sees of how they sign in, where they are signed in, what they allowed and what happened of late.
//!
//! Each page has its tab, its one form token, and what came of the last thing done. Times are told as how long ago.

use engine::FactorKind;
use protocol::records::Seconds;
use protocol::time::write_seconds;
use serde::Serialize;
use serde_json::Value;

use super::answer::grouped;
use super::invite::{Invitation, Shown};
use super::parts::Problem;
use super::{Sheet, qr, templates};

/// What every page of My security has.
#[derive(Clone, Debug, Serialize)]
pub struct Frame {
    /// The name the person goes by.
    pub name: Option<String>,
    /// What they sign in as.
    pub username: String,
    /// What makes a form one of this browser's.
    pub token: String,
    /// What was done last.
    pub said: Option<Said>,
    /// What went wrong with it.
    pub problem: Option<Problem>,
    /// How many other browsers are signed in, where the person is offered to sign them out.
    pub others: usize,
}

/// What was done, as the person is told. Each has a fixed word in `data-said`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// A way to sign in was added.
    Added,
    /// A way to sign in was removed.
    Removed,
    /// It has another name.
    Renamed,
    /// It is asked for first from now on.
    Preferred,
    /// It was tested, and works.
    Works,
    /// Another password.
    Password,
    /// A browser was signed out.
    Ended,
    /// All other browsers were signed out.
    EndedOthers,
    /// A device is no longer trusted.
    Forgotten,
    /// An application was allowed something and is no more.
    Withdrawn,
}

impl Said {
    const ALL: [Self; 10] = [
        Self::Added,
        Self::Removed,
        Self::Renamed,
        Self::Preferred,
        Self::Works,
        Self::Password,
        Self::Ended,
        Self::EndedOthers,
        Self::Forgotten,
        Self::Withdrawn,
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Renamed => "renamed",
            Self::Preferred => "preferred",
            Self::Works => "works",
            Self::Password => "password",
            Self::Ended => "ended",
            Self::EndedOthers => "ended_others",
            Self::Forgotten => "forgotten",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The one with this word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }

    /// Whether others who know what was true before should be signed out.
    pub fn matters(self) -> bool {
        matches!(self, Self::Added | Self::Removed | Self::Password)
    }
}

/// A moment in the past, as it is told.
#[derive(Clone, Debug, Serialize)]
pub struct Moment {
    /// For programs.
    iso: String,
    /// `now`, `minutes`, `hours`, `days`, `date`; with `minute`, `hour`, `day` for one of them.
    unit: &'static str,
    n: Seconds,
    year: String,
    month: String,
    day: String,
}

impl Moment {
    /// How long ago something was.
    pub fn of(at: Seconds, now: Seconds) -> Self {
        let iso = write_seconds(at);
        let part =
            |range: std::ops::Range<usize>| iso.get(range).unwrap_or_default().trim_start_matches('0').to_owned();
        let (year, month, day) = (part(0..4), part(5..7), part(8..10));
        let (unit, n) = match (now - at).max(0) {
            ..60 => ("now", 0),
            60..120 => ("minute", 1),
            ago @ 120..3600 => ("minutes", ago / 60),
            3600..7200 => ("hour", 1),
            ago @ 7200..86_400 => ("hours", ago / 3600),
            86_400..172_800 => ("day", 1),
            ago @ 172_800..2_592_000 => ("days", ago / 86_400),
            _ => ("date", 0),
        };
        Self { iso, unit, n, year, month, day }
    }
}

/// A way to sign in that the person has.
#[derive(Clone, Debug, Serialize)]
pub struct Held {
    /// What it is named by in addresses.
    pub id: String,
    /// What kind.
    pub kind: FactorKind,
    /// What its owner calls it, or where codes go.
    pub detail: String,
    /// When it was added.
    pub added: Moment,
    /// When it was last used.
    pub used: Option<Moment>,
    /// Whether it is asked for first.
    pub preferred: bool,
    /// Whether it was proved; one that was not cannot be used yet.
    pub ready: bool,
}

/// A phone that approves.
#[derive(Clone, Debug, Serialize)]
pub struct HeldPhone {
    /// What it is named by in addresses.
    pub id: String,
    /// What it calls itself.
    pub name: String,
    /// When it was registered.
    pub added: Moment,
    /// When it last approved.
    pub used: Option<Moment>,
    /// Whether it is asked for first.
    pub preferred: bool,
    /// Whether its registration was finished.
    pub ready: bool,
}

/// The ways to sign in.
#[derive(Debug, Serialize)]
pub struct AccountWays {
    /// The common part.
    pub frame: Frame,
    /// When the password was set, where there is one.
    pub password: Option<Moment>,
    /// What there is.
    pub ways: Vec<Held>,
    /// Phones.
    pub phones: Vec<HeldPhone>,
    /// Recovery codes that are left; none where they are not offered.
    pub codes: Option<usize>,
    /// Whether something can be added.
    pub can_add: bool,
}

/// One way to sign in.
#[derive(Debug, Serialize)]
pub struct AccountWay {
    /// The common part.
    pub frame: Frame,
    /// Which.
    pub way: Held,
    /// Its name, where it has one that may be changed.
    pub name: Option<String>,
}

/// One phone.
#[derive(Debug, Serialize)]
pub struct AccountPhone {
    /// The common part.
    pub frame: Frame,
    /// Which.
    pub phone: HeldPhone,
}

/// What may be added.
#[derive(Debug, Serialize)]
pub struct AccountAdd {
    /// The common part.
    pub frame: Frame,
    /// Kinds, each by the word its page has: `passkey`, `totp`, `phone`, ….
    pub kinds: Vec<&'static str>,
}

/// An address or number is typed.
#[derive(Debug, Serialize)]
pub struct AccountAddress {
    /// The common part.
    pub frame: Frame,
    /// The word of the kind: `email`, `sms`, `voice`.
    pub kind: &'static str,
    /// What was typed before, or stands in the directory.
    pub address: String,
}

/// An authenticator application reads its key.
#[derive(Debug)]
pub struct AccountTotp {
    /// The common part.
    pub frame: Frame,
    /// The enrolment.
    pub way: String,
    /// The key in the form that applications read.
    pub uri: String,
    /// The key to type.
    pub secret: String,
    /// What the browser brings back so that the page can be shown again, sealed.
    pub sealed: String,
    /// Digits of a code.
    pub length: u8,
}

/// A passkey is made, or tried.
#[derive(Debug, Serialize)]
pub struct AccountPasskey {
    /// The common part.
    pub frame: Frame,
    /// Options for `navigator.credentials.create`, or `.get` where one is tried.
    pub options: Value,
    /// Whether one is made.
    pub new: bool,
    /// Where the answer goes.
    pub action: String,
}

/// A phone is invited.
#[derive(Debug)]
pub struct AccountInvite {
    /// The common part.
    pub frame: Frame,
    /// What invites it.
    pub invitation: Invitation,
}

/// Questions are chosen and answered.
#[derive(Debug, Serialize)]
pub struct AccountQuestions {
    /// The common part.
    pub frame: Frame,
    /// Keys and texts.
    pub questions: Vec<(String, String)>,
    /// How many must be answered.
    pub required: usize,
}

/// Recovery codes: told of before, shown once after.
#[derive(Debug, Serialize)]
pub struct AccountCodes {
    /// The common part.
    pub frame: Frame,
    /// The codes; none before they are made.
    pub codes: Vec<String>,
    /// How many of an earlier set are left.
    pub left: usize,
}

/// Another password.
#[derive(Debug, Serialize)]
pub struct AccountPassword {
    /// The common part.
    pub frame: Frame,
    /// As the shared part of the form wants it.
    pub step: Shared,
    /// Fewest characters.
    pub fewest: u8,
}

/// What the field of a new password looks at.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Shared {
    /// What went wrong.
    pub problem: Option<Problem>,
}

/// A code that was sent is typed, to prove or to try an address.
#[derive(Debug, Serialize)]
pub struct AccountCode {
    /// The common part.
    pub frame: Frame,
    /// The challenge, in the address of the form.
    pub challenge: String,
    /// The kind.
    pub kind: FactorKind,
    /// Where it went, masked; empty for an application.
    pub destination: String,
    /// What the message shows beside the code.
    pub correlation: Option<String>,
    /// Characters of a code.
    pub length: u8,
}

/// A phone was asked, to try it.
#[derive(Debug, Serialize)]
pub struct AccountWait {
    /// The common part.
    pub frame: Frame,
    /// What it calls itself.
    pub device: String,
    /// The number to type there.
    pub number: Option<String>,
    /// Whether it may still answer.
    pub waiting: bool,
}

/// A browser that is signed in.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    /// Its public id.
    pub id: String,
    /// The browser, as far as it says; empty where it does not.
    pub browser: String,
    /// The system it runs on.
    pub system: String,
    /// Where it signed in from.
    pub address: String,
    /// When it signed in.
    pub since: Moment,
    /// When it was last used.
    pub seen: Moment,
    /// Whether it is this one.
    pub here: bool,
}

/// A device that is trusted, or on which the person stays signed in.
#[derive(Clone, Debug, Serialize)]
pub struct Trusted {
    /// Its public id.
    pub id: String,
    /// `device` or `stay`.
    pub kind: &'static str,
    /// Its name, or what it runs.
    pub name: String,
    /// Where it was made from.
    pub address: String,
    /// When it was last used.
    pub seen: Moment,
}

/// Where the person is signed in, and what they trust.
#[derive(Debug, Serialize)]
pub struct AccountPlaces {
    /// The common part.
    pub frame: Frame,
    /// Browsers.
    pub places: Vec<Place>,
    /// Devices.
    pub trusted: Vec<Trusted>,
}

/// What an application was allowed.
#[derive(Clone, Debug, Serialize)]
pub struct Allowed {
    /// The application.
    pub client: String,
    /// Its name.
    pub name: String,
    /// What it may.
    pub scopes: Vec<String>,
    /// Since when.
    pub since: Moment,
}

/// What the person allowed.
#[derive(Debug, Serialize)]
pub struct AccountApplications {
    /// The common part.
    pub frame: Frame,
    /// Applications.
    pub allowed: Vec<Allowed>,
}

/// A sign-in.
#[derive(Clone, Debug, Serialize)]
pub struct Happened {
    /// Where to.
    pub name: String,
    /// How it was proved.
    pub kinds: Vec<FactorKind>,
    /// When.
    pub at: Moment,
}

/// What happened of late.
#[derive(Debug, Serialize)]
pub struct AccountActivity {
    /// The common part.
    pub frame: Frame,
    /// Newest first.
    pub sign_ins: Vec<Happened>,
}

macro_rules! plain {
    ($($view:ident: $name:literal),*) => { $(impl $view {
        pub(super) fn sheet(&self) -> Sheet<'_> {
            Sheet { alone: true, ..Sheet::new($name, self) }
        }
    })* };
}

plain! {
    AccountWays: "account", AccountWay: "account_way", AccountPhone: "account_phone", AccountAdd: "account_add",
    AccountAddress: "account_address", AccountQuestions: "account_questions", AccountCodes: "account_codes",
    AccountPassword: "account_password", AccountCode: "account_code", AccountPlaces: "account_places",
    AccountApplications: "account_applications", AccountActivity: "account_activity"
}

impl AccountTotp {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        #[derive(Serialize)]
        struct Values<'a> {
            frame: &'a Frame,
            way: &'a str,
            qr: Option<String>,
            /// In groups, so that it can be typed.
            secret: String,
            sealed: &'a str,
            length: u8,
        }
        let values = Values {
            frame: &self.frame,
            way: &self.way,
            qr: qr::svg(&self.uri),
            secret: grouped(&self.secret),
            sealed: &self.sealed,
            length: self.length,
        };
        Sheet { alone: true, ..Sheet::new("account_totp", &values) }
    }
}

impl AccountInvite {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        #[derive(Serialize)]
        struct Values<'a> {
            frame: &'a Frame,
            invitation: Shown<'a>,
        }
        let values = Values { frame: &self.frame, invitation: self.invitation.shown() };
        Sheet { alone: true, ..Sheet::new("account_invite", &values) }
    }
}

impl AccountPasskey {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        let script = if self.new { templates::PASSKEY_NEW_JS } else { templates::PASSKEY_JS };
        Sheet { alone: true, script: Some(script), ..Sheet::new("account_passkey", self) }
    }
}

impl AccountWait {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        let script = self.waiting.then_some(templates::WAIT_JS);
        Sheet { alone: true, script, asks: self.waiting, ..Sheet::new("account_wait", self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_as_people_do() {
        let now = 1_777_608_000;
        let told = |ago: Seconds| {
            let moment = Moment::of(now - ago, now);
            (moment.unit, moment.n)
        };
        assert_eq!([told(-5), told(0), told(59)], [("now", 0); 3]);
        assert_eq!([told(60), told(119), told(120)], [("minute", 1), ("minute", 1), ("minutes", 2)]);
        assert_eq!([told(3600), told(7200), told(86_399)], [("hour", 1), ("hours", 2), ("hours", 23)]);
        assert_eq!([told(86_400), told(200_000)], [("day", 1), ("days", 2)]);
        let old = Moment::of(now - 90 * 86_400, now);
        assert_eq!((old.unit, old.year.as_str(), old.month.as_str(), old.day.as_str()), ("date", "2026", "1", "31"));
    }
}
