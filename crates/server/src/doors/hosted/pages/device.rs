//! The pages for people who let a device in (RFC 8628 §3.3).

use serde::Serialize;

use super::Sheet;
use super::parts::{ClientView, Person, Scope, Step};
use super::qr;

/// Where the code that a device shows is typed.
#[derive(Debug)]
pub struct DeviceCode<'a> {
    /// The common part; no client is known yet.
    pub step: Step<'a>,
    /// What was typed before, or came in the link.
    pub user_code: &'a str,
    /// A link to this same page, to be drawn as a QR code for a phone.
    pub phone_link: Option<&'a str>,
}

/// Which device is about to be let in, and the warning not to do it for somebody else (RFC 8628 §5.4).
#[derive(Debug, Serialize)]
pub struct DeviceConfirm<'a> {
    /// The common part; the client must be there. Answered by [`Press::Allow`](super::Press) or [`Press::Deny`](super::Press).
    pub step: Step<'a>,
    /// Who is asked.
    pub person: Person<'a>,
    /// The code, as the device shows it.
    pub user_code: &'a str,
    /// What the application on the device would be allowed.
    pub scopes: &'a [Scope<'a>],
    /// The address the device asked from.
    pub address: Option<&'a str>,
}

/// The device was let in, or not.
#[derive(Debug, Serialize)]
pub struct DeviceDone<'a> {
    /// Whether it was.
    pub approved: bool,
    /// The application on the device.
    pub client: Option<ClientView<'a>>,
}

impl DeviceCode<'_> {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        #[derive(Serialize)]
        struct Values<'a> {
            step: &'a Step<'a>,
            user_code: &'a str,
            qr: Option<String>,
        }
        let qr = self.phone_link.and_then(qr::svg);
        let values = Values { step: &self.step, user_code: self.user_code, qr };
        Sheet { alone: true, ..Sheet::of_step("device_code", &values, &self.step) }
    }
}

impl DeviceConfirm<'_> {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        Sheet { alone: true, ..Sheet::of_step("device_confirm", self, &self.step) }
    }
}

impl DeviceDone<'_> {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        Sheet { alone: true, ..Sheet::new("device_done", self) }
    }
}
