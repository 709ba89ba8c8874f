//! The hosted door: pages for a person with a browser, driving the same engine as every other door.
//!
//! Owns the addresses of a dialogue and what each of its forms does: one call of the driver. What may be asked, and what follows,
//! is decided behind it.

use axum::Router;
use axum::routing::get;

use crate::app::App;

mod account;
mod act;
mod act_factor;
mod act_password;
mod device;
mod elsewhere;
mod enrol;
mod enrol_phone;
mod errand;
pub mod pages;
mod phone;
mod setup;
mod show;
mod wait;

pub use account::PATHS as ACCOUNT_PATHS;
pub use device::{done as device_done, enter as enter_user_code, page as user_code_page};
pub use phone::{PATHS as PHONE_PATHS, link as phone_link};
pub use show::{cookies_needed, error, expired, fault, form_post, is_from_here, look};

/// The addresses of a dialogue.
pub const PATHS: [&str; 4] =
    ["/login/{handle}", "/login/{handle}/{page}", "/login/{handle}/with/{provider}", crate::signin::upstream::CALLBACK];

/// The routes of the door.
pub fn routes() -> Router<App> {
    Router::new()
        .route(PATHS[0], get(show::due))
        .route(PATHS[1], get(show::page).post(act::act))
        .route(PATHS[2], get(elsewhere::leave))
        .route(PATHS[3], get(elsewhere::back))
        .merge(phone::routes())
        .merge(account::routes())
}

/// A page of a dialogue: the last part of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// User name and password.
    Password,
    /// Which factor.
    Way,
    /// A code that was sent.
    Code,
    /// A code of an authenticator application.
    Totp,
    /// A passkey.
    Passkey,
    /// A phone that was asked.
    Push,
    /// A picture for a phone.
    Picture,
    /// Questions.
    Questions,
    /// A recovery code.
    Bypass,
    /// A password in place of one that no longer does.
    NewPassword,
    /// A factor that the person has not yet.
    Enrol,
    /// Which account.
    Account,
    /// What the client may have.
    Consent,
    /// Whether a device is let in.
    Device,
}

impl Place {
    const ALL: [Self; 14] = [
        Self::Password,
        Self::Way,
        Self::Code,
        Self::Totp,
        Self::Passkey,
        Self::Push,
        Self::Picture,
        Self::Questions,
        Self::Bypass,
        Self::NewPassword,
        Self::Enrol,
        Self::Account,
        Self::Consent,
        Self::Device,
    ];

    /// As it stands in the address.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Way => "factor",
            Self::Code => "code",
            Self::Totp => "totp",
            Self::Passkey => "passkey",
            Self::Push => "push",
            Self::Picture => "picture",
            Self::Questions => "questions",
            Self::Bypass => "recovery",
            Self::NewPassword => "new-password",
            Self::Enrol => "enrol",
            Self::Account => "account",
            Self::Consent => "consent",
            Self::Device => "device",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|place| place.as_str() == text)
    }
}
