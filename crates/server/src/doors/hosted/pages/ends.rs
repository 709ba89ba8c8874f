//! The pages at which a dialogue ends: signed out, an error, an answer on its way to the application.

use axum::http::StatusCode;
use serde::Serialize;

use super::parts::{ClientView, Form, Person};
use super::{Sheet, templates};

/// Whether to sign out. [`Press::Submit`](super::Press) does, [`Press::Cancel`](super::Press) does not.
#[derive(Debug, Serialize)]
pub struct ConfirmLogout<'a> {
    /// The form.
    pub form: Form<'a>,
    /// The application that asks for it, where known.
    pub client: Option<ClientView<'a>>,
    /// Who is signed in, where known.
    pub person: Option<Person<'a>>,
}

/// Signed out. Lets the other applications know by frames (Front-Channel Logout §3), then goes on.
#[derive(Debug, Serialize)]
pub struct LoggedOut<'a> {
    /// What the applications registered, with `iss` and `sid` where asked for.
    pub frames: &'a [&'a str],
    /// Where to go once the frames had their chance: a registered `post_logout_redirect_uri` with its `state`.
    pub continue_to: Option<&'a str>,
    /// The application it belongs to.
    pub client: Option<ClientView<'a>>,
}

/// The person does not want to sign out.
#[derive(Debug, Serialize)]
pub struct StillSignedIn<'a> {
    /// The application that asked.
    pub client: Option<ClientView<'a>>,
}

/// Something was wrong with the request, and nowhere is trusted enough to be told but the person.
#[derive(Debug, Serialize)]
pub struct ErrorPage<'a> {
    /// Status of the answer.
    #[serde(skip)]
    pub status: StatusCode,
    /// What was wrong, for programs. Known ones have words of their own in each language.
    pub id: &'static str,
    /// What was wrong, in fixed English. Never holds what came with the request.
    pub phrase: &'static str,
    /// What the logs know it by.
    pub reference: &'a str,
    /// Where to begin again.
    pub retry: Option<&'a str>,
}

/// An authorization answer that the browser posts (OAuth 2.0 Form Post Response Mode §2).
#[derive(Debug, Serialize)]
pub struct FormPost<'a> {
    /// The redirect URI.
    pub action: &'a str,
    /// The parameters.
    pub fields: &'a [(&'a str, &'a str)],
    /// The application.
    pub client: Option<ClientView<'a>>,
}

/// The frame that tells whether the session changed (Session Management §3.2).
#[derive(Debug, Serialize)]
pub struct CheckSession<'a> {
    /// The cookie that holds the browser state. Scripts must be able to read it.
    pub cookie: &'a str,
}

/// The browser keeps no cookies, so that no dialogue can be had with it.
#[derive(Debug, Serialize)]
pub struct CookiesNeeded<'a> {
    /// Where to begin again.
    pub retry: Option<&'a str>,
}

/// The dialogue took too long, or was finished in another window.
#[derive(Debug, Serialize)]
pub struct Expired<'a> {
    /// Where to begin again.
    pub retry: Option<&'a str>,
    /// The application, where known.
    pub client: Option<ClientView<'a>>,
}

impl ConfirmLogout<'_> {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        let mut sheet = Sheet::new("confirm_logout", self);
        sheet.images.extend(self.client.as_ref().and_then(|client| client.logo));
        sheet
    }
}

impl LoggedOut<'_> {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        let mut sheet = Sheet::new("logged_out", self);
        sheet.frames = self.frames.to_vec();
        sheet.script = self.continue_to.map(|_| templates::LOGGED_OUT_JS);
        sheet
    }
}

impl StillSignedIn<'_> {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        Sheet::new("still_signed_in", self)
    }
}

impl ErrorPage<'_> {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        Sheet { status: self.status, ..Sheet::new("error", self) }
    }
}

impl FormPost<'_> {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        let mut sheet = Sheet::new("form_post", self);
        sheet.script = Some(templates::FORM_POST_JS);
        sheet.form_target = Some(self.action);
        sheet
    }
}

impl CheckSession<'_> {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        let mut sheet = Sheet::new("check_session", self);
        sheet.script = Some(templates::CHECK_SESSION_JS);
        sheet.framed = true;
        sheet
    }
}

impl CookiesNeeded<'_> {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        Sheet { status: StatusCode::BAD_REQUEST, ..Sheet::new("cookies_needed", self) }
    }
}

impl Expired<'_> {
    pub(super) fn sheet(&self) -> Sheet<'_> {
        Sheet { status: StatusCode::GONE, ..Sheet::new("expired", self) }
    }
}
