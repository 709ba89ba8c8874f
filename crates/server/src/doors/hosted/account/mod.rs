//! My security: where people look after how they sign in.
//!
//! Owns its addresses and what each form does. Who may change what is `signin`'s to say ([`may_add`](crate::signin::enrol::may_add)
//! and its like), and whether somebody proved well enough who they are is [`browser::account`](crate::browser::account)'s, by the gate every browser passes.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use engine::FactorKind;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use protocol::form::Form;
use protocol::records::Seconds;
use subtle::ConstantTimeEq as _;

use super::pages::{Frame, Page, Press, Problem, Said, field};
use super::setup::Kind;
use super::show;
use crate::app::App;
use crate::browser::account::{self as standing, Holder};
use crate::browser::session;
use crate::call::{Call, Path};
use crate::fault::Fault;
use crate::oauth::authorize::{Stop, see_other};
use crate::oauth::logout;
use crate::reply;
use crate::signin::{Asker, SignIns};

mod add;
mod confirm;
mod places;
mod ways;

/// The addresses of My security.
pub const PATHS: [&str; 4] = ["/", "/account", "/account/{page}", "/account/{page}/{item}"];

/// How old a proof may be for whoever begins to change something, and for whoever ends it: to scan a picture takes a while.
const FRESH: Seconds = 300;
const FINISH: Seconds = 900;

/// Its routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route(PATHS[0], get(home))
        .route(PATHS[1], get(show_home).post(act_home))
        .route(PATHS[2], get(show_page).post(act_page))
        .route(PATHS[3], get(show_item).post(act_item))
}

/// `GET /`: whoever types the name of this server means their account.
async fn home(State(_): State<App>) -> Response {
    see_other(PATHS[1]).unwrap_or_else(|fault| reply::fault(&fault))
}

async fn show_home(State(app): State<App>, call: Call) -> Response {
    visit(&app, &call, "", "").await
}

async fn act_home(State(app): State<App>, call: Call) -> Response {
    deed(&app, &call, "", "").await
}

async fn show_page(State(app): State<App>, Path(page): Path<String>, call: Call) -> Response {
    visit(&app, &call, &page, "").await
}

async fn act_page(State(app): State<App>, Path(page): Path<String>, call: Call) -> Response {
    deed(&app, &call, &page, "").await
}

async fn show_item(State(app): State<App>, Path((page, item)): Path<(String, String)>, call: Call) -> Response {
    visit(&app, &call, &page, &item).await
}

async fn act_item(State(app): State<App>, Path((page, item)): Path<(String, String)>, call: Call) -> Response {
    deed(&app, &call, &page, &item).await
}

async fn visit(app: &App, call: &Call, page: &str, item: &str) -> Response {
    shown(app, call, page, item).await.unwrap_or_else(|stop| stop.into_response(app, call, &[]))
}

async fn deed(app: &App, call: &Call, page: &str, item: &str) -> Response {
    acted(app, call, page, item).await.unwrap_or_else(|stop| stop.into_response(app, call, &[]))
}

fn nothing() -> Response {
    reply::plain_error(StatusCode::NOT_FOUND, "there is nothing at this path")
}

async fn shown(app: &App, call: &Call, page: &str, item: &str) -> Result<Response, Stop> {
    let Some(holder) = Holder::of(app, call).await? else {
        return standing::prove(app, call, None, call.uri.path()).await;
    };
    let desk = Desk { app, call, holder };
    // Looking needs nobody anew; what leads to a change does.
    let within = match page {
        "" | "places" | "applications" | "activity" => None,
        "confirm" | "wait" => Some(FINISH),
        _ => Some(FRESH),
    };
    if let Some(within) = within
        && !desk.holder.is_fresh(app, call, within).await?
    {
        return standing::prove(app, call, Some(&desk.holder), call.uri.path()).await;
    }
    if let Some(stopped) = standing::admit(app, call, &desk.holder, FINISH, call.uri.path()).await? {
        return Ok(stopped);
    }
    match (page, item) {
        ("", "") => ways::overview(&desk).await,
        ("places", "") => places::list(&desk).await,
        ("applications", "") => places::applications(&desk).await,
        ("activity", "") => places::activity(&desk).await,
        ("password", "") => Ok(ways::password(&desk, None)),
        ("codes", "") => add::codes_page(&desk, Vec::new(), None).await,
        ("add", "") => add::choose(&desk, None).await,
        ("add", word) => match Kind::parse(word) {
            Some(kind) => add::page(&desk, kind).await,
            None => Ok(nothing()),
        },
        ("way", id) => ways::way(&desk, id, None).await,
        ("phone", id) => ways::phone(&desk, id, None).await,
        ("confirm", id) => confirm::page(&desk, id, None).await,
        ("wait", id) if call.uri.query() == Some("wait") => confirm::poll(&desk, id).await,
        ("wait", id) => confirm::wait(&desk, id).await,
        _ => Ok(nothing()),
    }
}

async fn acted(app: &App, call: &Call, page: &str, item: &str) -> Result<Response, Stop> {
    let Some(holder) = Holder::of(app, call).await? else {
        return standing::prove(app, call, None, PATHS[1]).await;
    };
    let bad = |status, id, phrase| Ok(show::error(app, call, &[], status, id, phrase, "CSIAQ9999E"));
    let Ok(form) = call.form(&[]) else {
        return bad(StatusCode::BAD_REQUEST, "unreadable_form", "the form cannot be read");
    };
    let token = form.one(field::FORM).ok().flatten().unwrap_or_default();
    let own: bool = holder.token(app, call).as_bytes().ct_eq(token.as_bytes()).into();
    if !own || !show::is_from_here(&call.headers, &call.base) {
        return bad(StatusCode::FORBIDDEN, "foreign_form", "the form was not sent by a page of this server");
    }
    let Some(press) = Press::parse(form.one(field::DO).ok().flatten()) else {
        return bad(StatusCode::BAD_REQUEST, "unknown_button", "the form does not say what is to be done");
    };
    let desk = Desk { app, call, holder };
    // To close a door nobody is asked who they are once more.
    match (page, item, press) {
        ("", "", Press::SignOut) => {
            let sessions = session::all(app, call).await?;
            return Ok(logout::sign_out(app, call, &desk.holder.session, &sessions).await);
        }
        ("places", "", press) => return places::act(&desk, &form, press).await,
        ("applications", "", Press::Withdraw) => return places::withdraw(&desk, &form).await,
        _ => {}
    }
    let to = match page {
        "way" | "phone" | "password" | "codes" => call.uri.path(),
        "add" if Kind::parse(item).is_some_and(add::has_form) => call.uri.path(),
        "add" => "/account/add",
        _ => PATHS[1],
    };
    let ends = matches!((page, item, press), ("confirm", ..) | ("add", "totp", _) | (_, _, Press::Passkey));
    if !desk.holder.is_fresh(app, call, if ends { FINISH } else { FRESH }).await? {
        return standing::prove(app, call, Some(&desk.holder), to).await;
    }
    if let Some(stopped) = standing::admit(app, call, &desk.holder, FINISH, to).await? {
        return Ok(stopped);
    }
    match (page, item) {
        ("password", "") => ways::change_password(&desk, &form).await,
        ("codes", "") => add::codes(&desk).await,
        ("add", "") => add::chosen(&desk, &form).await,
        ("add", word) => match Kind::parse(word) {
            Some(kind) => add::act(&desk, kind, &form, press).await,
            None => Ok(nothing()),
        },
        ("way", id) => ways::act(&desk, id, &form, press).await,
        ("phone", id) => ways::act_phone(&desk, id, press).await,
        ("confirm", id) => confirm::act(&desk, id, &form).await,
        _ => Ok(nothing()),
    }
}

/// One request of somebody who is signed in.
struct Desk<'a> {
    app: &'a App,
    call: &'a Call,
    holder: Holder,
}

impl<'a> Desk<'a> {
    fn sign_ins(&self) -> SignIns<'a> {
        SignIns { app: self.app, tenant: &self.call.tenant }
    }

    /// As whom factors are tried and proved outside any sign-in.
    fn asker(&self) -> Asker {
        Asker { client: standing::client(self.call).id.clone(), person: Some(self.holder.user.id.clone()) }
    }

    /// What was proved of late enough to change something.
    fn kinds(&self) -> Vec<FactorKind> {
        self.holder.proofs_within(self.app, FINISH).into_iter().map(|proof| proof.kind).collect()
    }

    fn now(&self) -> Seconds {
        self.app.world.now()
    }

    fn frame(&self, problem: Option<Problem>) -> Frame {
        let said = self.call.query().ok();
        let said = said.as_ref().and_then(|query| query.one("said").ok().flatten()).and_then(Said::parse);
        let name = self.holder.user.attributes.get("name").and_then(|values| values.first());
        Frame {
            name: name.cloned(),
            username: self.holder.user.username.clone(),
            token: self.holder.token(self.app, self.call),
            said,
            problem,
            others: 0,
        }
    }

    /// The same, with the offer to sign out elsewhere where what was done makes that worth a thought.
    async fn frame_with_others(&self, problem: Option<Problem>) -> Result<Frame, Fault> {
        let mut frame = self.frame(problem);
        if frame.said.is_some_and(Said::matters) {
            let tenant = &self.call.tenant.tenant.id;
            let all = session::of_person(self.app, tenant, &self.holder.user.id).await?;
            frame.others = all.iter().filter(|session| session.id != self.holder.session.id).count();
        }
        Ok(frame)
    }

    fn answer(&self, page: &Page<'_>) -> Response {
        page.answer(&show::look(self.app, self.call, &[]))
    }
}

/// What is named in an address: everything but the unreserved characters of RFC 3986 §2.3 is encoded.
fn encoded(id: &str) -> String {
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(id, RESERVED).to_string()
}

/// On to a page that says what was done.
fn done(path: &str, said: Said) -> Result<Response, Stop> {
    see_other(&format!("{path}?said={}", said.as_str())).map_err(Stop::from)
}

/// A field that is neither missing, empty nor sent twice.
fn one<'f>(form: &'f Form, name: &str) -> Option<&'f str> {
    form.one(name).ok().flatten().map(str::trim).filter(|text| !text.is_empty())
}
