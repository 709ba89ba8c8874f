//! The pages at which a device is let in (RFC 8628 §3.3): where its code is typed, and what came of it. The dialogue in between is
//! like any other.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::records::Client;

use super::pages::{ClientView, DeviceCode, DeviceDone, Form, Page, Problem, Step, field};
use super::show;
use crate::app::App;
use crate::call::Call;
use crate::oauth::admission::Admission;
use crate::oauth::authorize::Stop;
use crate::oauth::device::{self, Entered};
use crate::reply;

/// The longest code any client shows, with what people type between its letters.
const LONGEST: usize = 512;

/// `GET /user_authorization` under every path family: where the code is typed, filled in where the link brought it.
pub async fn page(State(app): State<App>, call: Call) -> Response {
    let query = call.query().ok();
    let brought = query.as_ref().and_then(|query| query.one(field::USER_CODE).ok().flatten());
    let brought = brought.filter(|code| code.len() <= LONGEST).unwrap_or_default();
    entry(&app, &call, brought, None)
}

/// `POST /user_authorization` under every path family: a code was typed.
pub async fn enter(State(app): State<App>, call: Call) -> Response {
    let bad = |status, id, phrase| show::error(&app, &call, &[], status, id, phrase, "CSIAQ9999E");
    // Codes are guessed from here alone.
    if !show::is_from_here(&call.headers, &call.base) {
        return bad(StatusCode::FORBIDDEN, "foreign_form", "the form was not sent by a page of this server");
    }
    let Ok(form) = call.form(&[]) else {
        return bad(StatusCode::BAD_REQUEST, "unreadable_form", "the form cannot be read");
    };
    let typed = form.one(field::USER_CODE).ok().flatten().filter(|code| code.len() <= LONGEST).unwrap_or_default();
    if typed.trim().is_empty() {
        return entry(&app, &call, "", Some(Problem::Missing));
    }
    let done = match device::enter(&app, &call, typed).await {
        Ok(Entered::Found(asked)) => Admission::begin(&app, &call, *asked, typed).await,
        Ok(Entered::Unknown) => return entry(&app, &call, typed, Some(Problem::UnknownUserCode)),
        Ok(Entered::TooMany) => {
            let mut response = entry(&app, &call, "", Some(Problem::Resting { wait: Some(device::ENTRY_WINDOW) }));
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            return reply::retry_after(response, Some(device::ENTRY_WINDOW.unsigned_abs()));
        }
        Err(fault) => Err(Stop::from(fault)),
    };
    done.unwrap_or_else(|stop| stop.into_response(&app, &call, &[]))
}

fn entry(app: &App, call: &Call, user_code: &str, problem: Option<Problem>) -> Response {
    let link = format!("{}{}", call.base, call.uri.path());
    let page = DeviceCode {
        step: Step {
            form: Form { action: call.uri.path(), hidden: &[] },
            client: None,
            problem,
            cancel: false,
            keep: None,
            providers: Vec::new(),
        },
        user_code,
        phone_link: Some(&link),
    };
    Page::DeviceCode(page).answer(&show::look(app, call, &[]))
}

/// The device was let in, or not.
pub fn done(app: &App, call: &Call, client: &Client, approved: bool) -> Response {
    let page = DeviceDone { approved, client: Some(ClientView::of(client)) };
    Page::DeviceDone(page).answer(&show::look(app, call, &[]))
}
