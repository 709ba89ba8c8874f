//! How a phone is invited: the picture that its authenticator scans, and what a phone without one does.

use protocol::records::Seconds;
use serde::Serialize;

use super::parts::Step;
use super::{Sheet, qr, templates};

/// What invites a phone.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// What is in the picture.
    pub text: String,
    /// A link that opens the web phone with it, where that would do.
    pub link: Option<String>,
    /// Where the web phone is.
    pub address: String,
    /// Minutes it is good for.
    pub minutes: Seconds,
}

/// The same as a template needs it.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    qr: Option<String>,
    text: &'a str,
    link: Option<&'a str>,
    link_qr: Option<String>,
    address: &'a str,
    minutes: Seconds,
}

impl Invitation {
    pub(super) fn shown(&self) -> Shown<'_> {
        Shown {
            qr: qr::svg(&self.text),
            text: &self.text,
            link: self.link.as_deref(),
            link_qr: self.link.as_deref().and_then(qr::svg),
            address: &self.address,
            minutes: self.minutes,
        }
    }
}

/// A phone is invited in the middle of a sign-in.
#[derive(Debug)]
pub struct EnrolPhone<'a> {
    /// The common part.
    pub step: Step<'a>,
    /// What invites it; none where that is over and another is to be asked for ([`Press::Resend`](super::Press)).
    pub invitation: Option<&'a Invitation>,
}

impl EnrolPhone<'_> {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        #[derive(Serialize)]
        struct Values<'a> {
            step: &'a Step<'a>,
            invitation: Option<Shown<'a>>,
        }
        let values = Values { step: &self.step, invitation: self.invitation.map(Invitation::shown) };
        let mut sheet = Sheet::of_step("enrol_phone", &values, &self.step);
        if self.invitation.is_some() {
            (sheet.script, sheet.asks) = (Some(templates::WAIT_JS), true);
        }
        sheet
    }
}
