//! What several pages share: forms and their fields, buttons, the application that asks, the person, and what went wrong.

use std::collections::BTreeMap;

use protocol::records::{Client, Seconds};
use serde::{Serialize, Serializer};

/// Names of the fields that come back.
pub mod field {
    /// The user name.
    pub const USERNAME: &str = "username";
    /// The password.
    pub const PASSWORD: &str = "password";
    /// The identity source, by its id.
    pub const SOURCE: &str = "source";
    /// A one-time code as it was typed: people put blanks and hyphens into it.
    pub const CODE: &str = "code";
    /// The factor that was chosen, by [`Way::id`](super::super::Way).
    pub const WAY: &str = "way";
    /// The account that was chosen, by [`Account::id`](super::super::Account).
    pub const ACCOUNT: &str = "account";
    /// The answer of a passkey (`PublicKeyCredential` as JSON, members in base64url).
    pub const CREDENTIAL: &str = "credential";
    /// The code a device shows, as it was typed.
    pub const USER_CODE: &str = "user_code";
    /// The answers to questions, numbered from 1 in the order they were asked: `answer-1`, ….
    pub const ANSWER: &str = "answer-";
    /// A password in place of the present one.
    pub const NEW_PASSWORD: &str = "new_password";
    /// Ticked where this browser is to be trusted.
    pub const TRUST: &str = "trust";
    /// Ticked where the person wants to stay signed in.
    pub const STAY: &str = "stay";
    /// Which of the two the page had a box for: one that is not ticked is not sent.
    pub const OFFERS: &str = "offers";
    /// What a thing of the person's is called.
    pub const NAME: &str = "name";
    /// A mail address or a number.
    pub const ADDRESS: &str = "address";
    /// What a thing of the person's is named by.
    pub const ID: &str = "id";
    /// What makes a form of My security one of this browser's.
    pub const FORM: &str = "form";
    /// What the browser carries to and fro unread.
    pub const SEALED: &str = "sealed";
    /// The questions that were chosen, numbered from 1.
    pub const QUESTION: &str = "question-";
    /// Which button was pressed, by [`Press`](super::Press).
    pub const DO: &str = "do";
}

/// A button of a form. The main one sends no word of its own, since some browsers send none on Enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// The main button, or Enter.
    Submit,
    /// Sign in with a passkey instead.
    Passkey,
    /// Another way than this one.
    Another,
    /// Send the code again.
    Resend,
    /// Use another account.
    OtherAccount,
    /// Give up, back to the application.
    Cancel,
    /// Allow what is asked for.
    Allow,
    /// Do not.
    Deny,
    /// Sign in by a picture that a phone scans.
    Picture,
    /// Sign out of this browser.
    SignOut,
    /// Sign another browser out.
    End,
    /// Sign all other browsers out.
    EndOthers,
    /// Trust a device no longer.
    Forget,
    /// Take back what an application was allowed.
    Withdraw,
    /// Give it another name.
    Rename,
    /// Ask for it first.
    Prefer,
    /// Try it.
    Test,
    /// Remove it.
    Remove,
    /// Go on without what is offered.
    Skip,
}

impl Press {
    /// The value of [`field::DO`].
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Passkey => "passkey",
            Self::Another => "another",
            Self::Resend => "resend",
            Self::OtherAccount => "other",
            Self::Cancel => "cancel",
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Picture => "picture",
            Self::SignOut => "sign-out",
            Self::End => "end",
            Self::EndOthers => "end-others",
            Self::Forget => "forget",
            Self::Withdraw => "withdraw",
            Self::Rename => "rename",
            Self::Prefer => "prefer",
            Self::Test => "test",
            Self::Remove => "remove",
            Self::Skip => "skip",
        }
    }

    /// The button that was pressed. None for a word no page sends.
    pub fn parse(value: Option<&str>) -> Option<Self> {
        Some(match value {
            None | Some("" | "submit") => Self::Submit,
            Some("passkey") => Self::Passkey,
            Some("another") => Self::Another,
            Some("resend") => Self::Resend,
            Some("other") => Self::OtherAccount,
            Some("cancel") => Self::Cancel,
            Some("allow") => Self::Allow,
            Some("deny") => Self::Deny,
            Some("picture") => Self::Picture,
            Some("sign-out") => Self::SignOut,
            Some("end") => Self::End,
            Some("end-others") => Self::EndOthers,
            Some("forget") => Self::Forget,
            Some("withdraw") => Self::Withdraw,
            Some("rename") => Self::Rename,
            Some("prefer") => Self::Prefer,
            Some("test") => Self::Test,
            Some("remove") => Self::Remove,
            Some("skip") => Self::Skip,
            Some(_) => return None,
        })
    }
}

/// Where a form goes and what it carries unseen. Always posted.
#[derive(Clone, Debug, Serialize)]
pub struct Form<'a> {
    /// The path.
    pub action: &'a str,
    /// Names and values of hidden fields: the anti-forgery token and the like.
    pub hidden: &'a [(&'a str, &'a str)],
}

/// What every page of a dialogue has.
#[derive(Clone, Debug, Serialize)]
pub struct Step<'a> {
    /// The form.
    pub form: Form<'a>,
    /// The application that asks, where there is one.
    pub client: Option<ClientView<'a>>,
    /// What went wrong with the last answer.
    pub problem: Option<Problem>,
    /// Whether the person may give up and go back to the application ([`Press::Cancel`]).
    pub cancel: bool,
    /// What the browser may keep of the sign-in, where that is offered.
    pub keep: Option<Keep>,
    /// Other identity providers the person may sign in at instead.
    pub providers: Vec<ProviderLink>,
}

/// Another identity provider, to be followed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProviderLink {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Where its link leads, on this server.
    pub href: String,
}

/// A box to tick: what the browser is to keep of a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Keep {
    /// [`field::TRUST`] or [`field::STAY`].
    pub what: &'static str,
    /// Whether it was ticked before.
    pub ticked: bool,
}

/// An application as people see it. Links that are not `http` or `https` are left out when it is made with [`ClientView::of`].
#[derive(Clone, Debug, Serialize)]
pub struct ClientView<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its picture (`logo_uri`).
    pub logo: Option<&'a str>,
    /// Its home page (`client_uri`).
    pub home: Option<&'a str>,
    /// How it treats personal data (`policy_uri`).
    pub policy: Option<&'a str>,
    /// Its terms (`tos_uri`).
    pub terms: Option<&'a str>,
}

impl<'a> ClientView<'a> {
    /// What a client registered (OpenID Connect Registration §2).
    pub fn of(client: &'a Client) -> Self {
        let name = if client.name.is_empty() { client.id.as_str() } else { &client.name };
        Self {
            name,
            logo: picture(client.logo_uri.as_deref()),
            home: web(client.client_uri.as_deref()),
            policy: web(client.policy_uri.as_deref()),
            terms: web(client.tos_uri.as_deref()),
        }
    }
}

/// A link a person may be given: anything but `http` and `https` could run or show something in our place.
pub(super) fn web(uri: Option<&str>) -> Option<&str> {
    uri.filter(|uri| {
        let scheme = uri.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        matches!(scheme.as_deref(), Some("http" | "https"))
    })
}

/// A picture that may be shown: one whose host can stand in the Content-Security-Policy.
pub(super) fn picture(uri: Option<&str>) -> Option<&str> {
    web(uri).filter(|uri| super::headers::origin(uri).is_some())
}

/// A person who is known.
#[derive(Clone, Debug, Serialize)]
pub struct Person<'a> {
    /// The name they go by, where there is one.
    pub name: Option<&'a str>,
    /// The user name.
    pub username: &'a str,
}

/// A scope that is asked for.
#[derive(Clone, Debug, Serialize)]
pub struct Scope<'a> {
    /// Its name on the wire. The well-known ones have words of their own in each language.
    pub name: &'a str,
    /// What it means, for others; the name alone where absent.
    pub description: Option<&'a str>,
}

/// One more thing that is asked for (a member of `authorization_details`, a resource).
#[derive(Clone, Debug, Serialize)]
pub struct Detail<'a> {
    /// What it is.
    pub title: &'a str,
    /// Names and values that describe it.
    pub members: BTreeMap<&'a str, &'a str>,
}

/// What went wrong with the last answer, as the person is told. Each has a fixed word in `data-problem`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// User name or password are wrong. Never says which.
    WrongCredentials,
    /// A field was left empty.
    Missing,
    /// The code is wrong.
    WrongCode,
    /// The code is too old, or was used.
    CodeExpired,
    /// Too many wrong answers; the account rests.
    Resting {
        /// For how long, where that may be told.
        wait: Option<Seconds>,
    },
    /// Too many messages were asked for.
    TooManyMessages {
        /// When the next may be, where that may be told.
        wait: Option<Seconds>,
    },
    /// The message cannot be sent.
    NotSent,
    /// The passkey was not accepted.
    PasskeyRefused,
    /// The password is right but another must take its place first.
    PasswordExpired,
    /// What was asked on the phone was answered with no.
    PushDenied,
    /// Nobody answered on the phone in time.
    PushExpired,
    /// The picture waited for too long.
    PictureExpired,
    /// Nothing came of the sign-in at another identity provider.
    ProviderRefused,
    /// The answers are not those that were given.
    WrongAnswers,
    /// The new password has too few characters.
    PasswordTooShort,
    /// The new password is absurdly long.
    PasswordTooLong,
    /// The new password is the user name.
    PasswordIsName,
    /// The new password is soon guessed.
    PasswordTooWeak,
    /// The new password leaked somewhere.
    PasswordLeaked,
    /// The new password is one of those before.
    PasswordUsedBefore,
    /// The address or number is none that can be written to.
    BadAddress,
    /// There are as many as may be, or this one is there already.
    Limit,
    /// What was set up did not prove itself.
    NotAccepted,
    /// What is to be changed is stronger than what was proved.
    Stronger,
    /// No device waits with this code.
    UnknownUserCode,
    /// This way cannot be used now.
    WayUnavailable,
    /// Too much to do at the moment.
    Busy,
}

impl Problem {
    /// Every kind once, for tests and documents.
    pub const ALL: [Self; 27] = [
        Self::WrongCredentials,
        Self::Missing,
        Self::WrongCode,
        Self::CodeExpired,
        Self::Resting { wait: Some(60) },
        Self::TooManyMessages { wait: Some(60) },
        Self::NotSent,
        Self::PasskeyRefused,
        Self::PasswordExpired,
        Self::PushDenied,
        Self::PushExpired,
        Self::PictureExpired,
        Self::ProviderRefused,
        Self::WrongAnswers,
        Self::PasswordTooShort,
        Self::PasswordTooLong,
        Self::PasswordIsName,
        Self::PasswordTooWeak,
        Self::PasswordLeaked,
        Self::PasswordUsedBefore,
        Self::BadAddress,
        Self::Limit,
        Self::NotAccepted,
        Self::Stronger,
        Self::UnknownUserCode,
        Self::WayUnavailable,
        Self::Busy,
    ];

    /// The fixed word, in `data-problem` of `#error`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WrongCredentials => "wrong_credentials",
            Self::Missing => "missing",
            Self::WrongCode => "wrong_code",
            Self::CodeExpired => "code_expired",
            Self::Resting { .. } => "resting",
            Self::TooManyMessages { .. } => "too_many_messages",
            Self::NotSent => "not_sent",
            Self::PasskeyRefused => "passkey_refused",
            Self::PasswordExpired => "password_expired",
            Self::PushDenied => "push_denied",
            Self::PushExpired => "push_expired",
            Self::PictureExpired => "picture_expired",
            Self::ProviderRefused => "provider_refused",
            Self::WrongAnswers => "wrong_answers",
            Self::PasswordTooShort => "password_too_short",
            Self::PasswordTooLong => "password_too_long",
            Self::PasswordIsName => "password_is_name",
            Self::PasswordTooWeak => "password_too_weak",
            Self::PasswordLeaked => "password_leaked",
            Self::PasswordUsedBefore => "password_used_before",
            Self::BadAddress => "bad_address",
            Self::Limit => "limit",
            Self::NotAccepted => "not_accepted",
            Self::Stronger => "stronger",
            Self::UnknownUserCode => "unknown_user_code",
            Self::WayUnavailable => "way_unavailable",
            Self::Busy => "busy",
        }
    }

    fn wait(self) -> Option<Seconds> {
        match self {
            Self::Resting { wait } | Self::TooManyMessages { wait } => wait,
            _ => None,
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown {
            code: &'static str,
            wait: Option<Seconds>,
        }
        Shown { code: self.as_str(), wait: self.wait() }.serialize(serializer)
    }
}
