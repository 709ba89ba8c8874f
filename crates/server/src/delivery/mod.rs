//! Messages to people: their texts, their sealed form, and the way out. Owns how a message leaves; does not decide
//! whether one is sent, and keeps none ([`jobs::outbox`](crate::jobs::outbox) works off what the store keeps).

mod dev;
mod http;
mod link;
mod notice;
mod smtp;
mod text;

pub use dev::DevOutbox;
pub use http::{Http, HttpError};
pub(crate) use http::{sign, signing_secret};
pub use link::{LinkText, Opens};
pub use notice::{Happened, NoticeText};
pub use smtp::{Smtp, SmtpConfig, SmtpError};
pub use text::{CodeText, TEXT_NAMES, TextError, check_text};

use std::sync::{Arc, OnceLock};

use protocol::records::Seconds;
use serde::{Deserialize, Serialize};
use store::Mail;
use tokio::sync::{Mutex, MutexGuard, watch};
use zeroize::Zeroizing;

use crate::keys::MasterKey;
use crate::metrics::Metrics;
use crate::secret::Secret;
use crate::world::World;

/// The way a message takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Mail.
    Email,
    /// Text message.
    Sms,
    /// Voice call.
    Voice,
}

/// How many kinds of messages there are.
const LANE_COUNT: usize = 4;

/// What the outbox holds, by the names messages are stored under: each kind is worked off by itself, so that one whose receiver does
/// not answer keeps none of another waiting.
pub const LANES: [&str; LANE_COUNT] =
    [Channel::Email.as_str(), Channel::Sms.as_str(), Channel::Voice.as_str(), crate::oauth::logout::notices::CHANNEL];

impl Channel {
    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Voice => "voice",
        }
    }
}

/// A message to one person, in clear: it lives between its writing and its sealing, and again while it is sent.
#[derive(Clone)]
pub struct Outgoing {
    /// The way it takes.
    pub channel: Channel,
    /// The sender's address; for mail only.
    pub from: String,
    /// The recipient's address or number.
    pub to: String,
    /// The subject; for mail only. May hold the code.
    pub subject: String,
    /// The text. Holds the code.
    pub text: Secret<String>,
    /// The same as HTML; for mail only.
    pub html: Option<Secret<String>>,
    /// The code alone, for the development outbox.
    pub code: Option<Secret<String>>,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing").field("channel", &self.channel).finish_non_exhaustive()
    }
}

/// The sealed form of a message.
#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    channel: Channel,
    from: std::borrow::Cow<'a, str>,
    to: std::borrow::Cow<'a, str>,
    subject: std::borrow::Cow<'a, str>,
    text: std::borrow::Cow<'a, str>,
    html: Option<std::borrow::Cow<'a, str>>,
    code: Option<std::borrow::Cow<'a, str>>,
}

/// What became of one attempt to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is out of our hands.
    Delivered,
    /// Not now; a later attempt may succeed. With the reason, which names no recipient and no code.
    Later(String),
    /// Never: trying again would change nothing.
    Never(String),
}

/// The way out of this process.
pub struct Delivery {
    master: Arc<MasterKey>,
    route: Route,
    bell: watch::Sender<()>,
    lanes: [Mutex<()>; LANE_COUNT],
    metrics: OnceLock<Arc<Metrics>>,
}

enum Route {
    Out(Box<Ways>),
    Dev(DevOutbox),
}

/// The ways out, one for each channel that has one.
#[derive(Debug, Default)]
pub struct Ways {
    /// Mail.
    pub mail: Option<Smtp>,
    /// Text messages.
    pub sms: Option<Http>,
    /// Calls.
    pub voice: Option<Http>,
}

impl Ways {
    fn has(&self, channel: Channel) -> bool {
        match channel {
            Channel::Email => self.mail.is_some(),
            Channel::Sms => self.sms.is_some(),
            Channel::Voice => self.voice.is_some(),
        }
    }

    async fn send(&self, world: &World, mail: &Mail, message: &Outgoing) -> Outcome {
        let over_http = match message.channel {
            Channel::Email => {
                return match &self.mail {
                    Some(smtp) => smtp.send(&mail.id, mail.created, message).await,
                    None => Outcome::Never("no way out is configured for `email`".to_owned()),
                };
            }
            Channel::Sms => &self.sms,
            Channel::Voice => &self.voice,
        };
        match over_http {
            Some(http) => {
                let envelope = http::Envelope { id: &mail.id, created: mail.created, expires: mail.expires };
                http.send(world, &envelope, message).await
            }
            None => Outcome::Never(format!("no way out is configured for `{}`", message.channel.as_str())),
        }
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.route {
            Route::Out(ways) => f.debug_tuple("Delivery").field(ways).finish(),
            Route::Dev(_) => f.write_str("Delivery(development)"),
        }
    }
}

impl Delivery {
    /// Mail by SMTP; text messages and calls have no way out.
    pub fn smtp(master: Arc<MasterKey>, smtp: Smtp) -> Self {
        Self::out(master, Ways { mail: Some(smtp), ..Ways::default() })
    }

    /// By these ways.
    pub fn out(master: Arc<MasterKey>, ways: Ways) -> Self {
        Self::by(master, Route::Out(Box::new(ways)))
    }

    /// Development: every message is shown in the terminal and kept for a look.
    pub fn dev(master: Arc<MasterKey>, outbox: DevOutbox) -> Self {
        Self::by(master, Route::Dev(outbox))
    }

    /// No way out is configured: nothing is promised.
    pub fn nowhere(master: Arc<MasterKey>) -> Self {
        Self::out(master, Ways::default())
    }

    fn by(master: Arc<MasterKey>, route: Route) -> Self {
        Self { master, route, bell: watch::Sender::new(()), lanes: Default::default(), metrics: OnceLock::new() }
    }

    /// Counts every attempt from now on.
    pub fn count_in(&self, metrics: Arc<Metrics>) {
        // Counted in two places would be counted wrong: the first stays.
        let _ = self.metrics.set(metrics);
    }

    /// Whether messages of this kind can leave at all. What cannot is to be refused when it is asked for.
    pub fn supports(&self, channel: Channel) -> bool {
        match &self.route {
            Route::Dev(_) => true,
            Route::Out(ways) => ways.has(channel),
        }
    }

    /// What was sent, in development.
    pub fn dev_outbox(&self) -> Option<&DevOutbox> {
        match &self.route {
            Route::Dev(outbox) => Some(outbox),
            Route::Out(_) => None,
        }
    }

    /// The form in which a message is kept until it is delivered.
    pub fn seal(&self, world: &World, message: &Outgoing, expires: Seconds) -> Mail {
        let id = world.ordered_uuid();
        let clear = Sealed {
            channel: message.channel,
            from: message.from.as_str().into(),
            to: message.to.as_str().into(),
            subject: message.subject.as_str().into(),
            text: message.text.expose().as_str().into(),
            html: message.html.as_ref().map(|html| html.expose().as_str().into()),
            code: message.code.as_ref().map(|code| code.expose().as_str().into()),
        };
        let plain = Zeroizing::new(serde_json::to_vec(&clear).expect("text always serialises"));
        let sealed = self.master.seal(&purpose(&id), &plain);
        Mail { id, channel: message.channel.as_str().to_owned(), sealed, created: world.now(), expires }
    }

    /// The message that was sealed; none if it was altered, or sealed by another installation.
    pub fn open(&self, mail: &Mail) -> Option<Outgoing> {
        let plain = Zeroizing::new(self.master.open(&purpose(&mail.id), &mail.sealed)?);
        let Sealed { channel, from, to, subject, text, html, code } = serde_json::from_slice(&plain).ok()?;
        Some(Outgoing {
            channel,
            from: from.into_owned(),
            to: to.into_owned(),
            subject: subject.into_owned(),
            text: Secret::new(text.into_owned()),
            html: html.map(|html| Secret::new(html.into_owned())),
            code: code.map(|code| Secret::new(code.into_owned())),
        })
    }

    /// Says that the outbox has something new.
    pub fn wake(&self) {
        self.bell.send_replace(());
    }

    /// Tells of every [`wake`](Self::wake) from now on.
    pub fn bell(&self) -> watch::Receiver<()> {
        self.bell.subscribe()
    }

    /// Held by who works off this lane of the outbox, so that whoever gets it next finds nothing half done in this process.
    pub async fn alone(&self, lane: usize) -> MutexGuard<'_, ()> {
        self.lanes[lane].lock().await
    }

    /// Tries to deliver a message once.
    pub async fn deliver(&self, world: &World, mail: &Mail) -> Outcome {
        let Some(message) = self.open(mail) else {
            return Outcome::Never("the message does not open under this master key".to_owned());
        };
        let outcome = self.attempt(world, mail, &message).await;
        if let Some(metrics) = self.metrics.get() {
            metrics.delivered(message.channel.as_str(), outcome == Outcome::Delivered);
        }
        outcome
    }

    async fn attempt(&self, world: &World, mail: &Mail, message: &Outgoing) -> Outcome {
        match &self.route {
            Route::Out(ways) => ways.send(world, mail, message).await,
            Route::Dev(outbox) => {
                outbox.push(message, world.now_millis());
                Outcome::Delivered
            }
        }
    }
}

/// The id is part of the purpose: a sealed message moved to another row does not open.
fn purpose(id: &str) -> String {
    format!("outbox {id}")
}
