//! The session endpoints (Oracle page §4.7): what a sign-in page came to becomes a session of the browser, and the browser goes where
//! it wanted to.
//!
//! Owns who may bring a token, that it makes a cookie once, and where the browser goes. An authorization request that waits belongs
//! to the browser it came with: whoever else brings its token gets nothing of it.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use protocol::form::Form;
use protocol::idcs::roles::AppRole;
use store::{Change, CommitError};

use super::super::authorize::{Stop, Visit, see_other};
use super::authn_token::{self, Spoken};
use super::handover::dressed;
use crate::app::App;
use crate::browser::interaction::{self, Interaction};
use crate::browser::{Lost, cookies, keep, session};
use crate::call::{Call, Path};
use crate::doors::hosted;
use crate::doors::idcs::{Caller, Denied, authenticate, posted};
use crate::fault::Fault;

/// Where a browser goes on that came from another site, and so without its cookies.
const ON: &str = "/sso/v1/sdk/session";

/// Why there is no session.
enum No {
    /// What came is not in form.
    Bad(&'static str),
    /// It is worth nothing, or nothing any more.
    Dead,
    /// The page it came from may not bring it.
    Foreign,
    /// Whatever stops the request that waits.
    Stop(Stop),
}

impl<E: Into<Stop>> From<E> for No {
    fn from(error: E) -> Self {
        Self::Stop(error.into())
    }
}

/// `POST /sso/v1/sdk/session`.
pub async fn open(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let form = form(&call)?;
        came_from(&call)?;
        bring(&app, &call, &form).await
    };
    finish(&app, &call, run.await)
}

/// `POST /sso/v1/sdk/secure/session`: the same for whoever proves to be a sign-in page.
pub async fn open_secure(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let form = form(&call)?;
        let one = |name: &'static str| form.one(name).map_err(|_| No::Bad("a field is repeated"));
        let token = one("authorization")?.or(one("accesstoken")?).ok_or(No::Dead)?;
        let token = token.strip_prefix("Bearer ").unwrap_or(token);
        let caller = Caller::with_token(&app, &call, token).await.map_err(denied)?;
        caller.demand(&[AppRole::Signin]).map_err(denied)?;
        bring(&app, &call, &form).await
    };
    finish(&app, &call, run.await)
}

/// `GET /sso/v1/sdk/session/{handle}`: the browser comes back to what it came for.
pub async fn resume(State(app): State<App>, Path(handle): Path<String>, call: Call) -> Response {
    let run = async {
        let interaction = interaction::load(&app, &call, &handle).await.map_err(Stop::from)?;
        Ok(Visit::resume(&app, &call, interaction)?.came_back(None).await?)
    };
    finish(&app, &call, run.await)
}

fn form(call: &Call) -> Result<Form, No> {
    posted::form(call).map_err(|_| No::Bad("the form cannot be read"))
}

fn denied(denied: Denied) -> No {
    match denied {
        Denied::DeadToken | Denied::MissingRole => No::Dead,
        Denied::Busy(busy) => No::Stop(Stop::Busy(busy)),
        Denied::Fault(fault) => No::Stop(Stop::Fault(fault)),
    }
}

/// A browser says which page a form comes from: one of ours, one that may call, or the sign-in page of a client. Any other would sign
/// people in as somebody they are not.
fn came_from(call: &Call) -> Result<(), No> {
    let Some(origin) = call.headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().map_err(|_| No::Foreign)?;
    let settings = &call.tenant.tenant.settings.oracle;
    let pages = || call.tenant.clients.values().filter_map(|client| client.oracle.login_url.as_deref());
    let ours = call.tenant.tenant.urls.iter().any(|url| url.eq_ignore_ascii_case(origin));
    if ours || settings.admits_origin(origin) || pages().any(|page| is_at(page, origin)) {
        Ok(())
    } else {
        Err(No::Foreign)
    }
}

/// Whether a page is of this origin.
fn is_at(page: &str, origin: &str) -> bool {
    let rest =
        page.get(..origin.len()).filter(|start| start.eq_ignore_ascii_case(origin)).map(|_| &page[origin.len()..]);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

async fn bring(app: &App, call: &Call, form: &Form) -> Result<Response, No> {
    let one = |name: &'static str| form.one(name).map_err(|_| No::Bad("a field is repeated"));
    let minted;
    let token = match (one("authnToken")?, one("requestState")?) {
        (Some(token), _) => token,
        // The last answer listed `createSession`: the same check as for `createToken`, and its token.
        (None, Some(state)) => {
            minted = authenticate::token_of_state(app, call, state).await.ok_or(No::Dead)?;
            &minted
        }
        (None, None) => return Err(No::Bad("neither `authnToken` nor `requestState` is there")),
    };
    let spoken = authn_token::read(app, call, token).await?.ok_or(No::Dead)?;
    let waiting = match &spoken.errand {
        None => Waiting::Nothing,
        Some(handle) => match interaction::load(app, call, handle).await {
            Ok(interaction) => Waiting::Here(Box::new(interaction)),
            // A form from another site comes without cookies: the browser brings them when it is sent on.
            Err(Lost::NoCookie) => Waiting::Unseen(handle.clone()),
            Err(lost) => return Err(Stop::from(lost).into()),
        },
    };
    let (session, mut set) = take_up(app, call, &spoken).await?;
    set.extend(keep::bring(app, call, &spoken.user.id, one("trustToken")?, one("kmsiToken")?).await?);
    let response = match waiting {
        Waiting::Nothing => see_other(&landing(call))?,
        Waiting::Unseen(handle) => see_other(&format!("{}{ON}/{handle}", call.base))?,
        Waiting::Here(interaction) => {
            let visit = Visit::resume(app, call, *interaction)?;
            match visit.came_back(Some((session, spoken.user))).await {
                Ok(response) => response,
                // Signed in they are, whatever becomes of the request.
                Err(stop) => stop.into_response(app, call, &[]),
            }
        }
    };
    Ok(cookies::set(response, set))
}

/// What the browser came for.
enum Waiting {
    /// Nothing.
    Nothing,
    /// A request of this browser.
    Here(Box<Interaction>),
    /// Perhaps one: its cookies did not come along.
    Unseen(String),
}

/// The session in this browser, with its cookies. A token makes one once; brought again by the same browser it finds what is there.
async fn take_up(app: &App, call: &Call, spoken: &Spoken) -> Result<(session::Session, Vec<HeaderValue>), No> {
    let sessions = session::all(app, call).await?;
    if let Some(there) = sessions.iter().find(|session| session.id == spoken.session.id) {
        return Ok((there.clone(), session::cookies(call, there, &sessions).to_vec()));
    }
    let (session, changes) = session::take_up(app, call, &spoken.session)?;
    let spend = Change::Spend { key: format!("authn-token:{}", spoken.jti), expires: spoken.ends };
    let changes = changes.into_iter().chain([spend]).collect();
    match app.commit(&call.tenant.tenant.id, "session taken up", changes).await {
        Ok(()) => Ok((session.clone(), session::cookies(call, &session, &sessions).to_vec())),
        Err(CommitError::Refused { .. }) => Err(No::Dead),
        Err(CommitError::Unavailable(error)) => Err(Fault::from(error).into()),
    }
}

fn landing(call: &Call) -> String {
    let landing = &call.tenant.tenant.settings.oracle.landing;
    if landing.starts_with('/') { format!("{}{landing}", call.base) } else { landing.clone() }
}

fn finish(app: &App, call: &Call, outcome: Result<Response, No>) -> Response {
    let page = |status, id, phrase| hosted::error(app, call, &[], status, id, phrase, "CSIAQ9999E");
    match outcome {
        Ok(response) => dressed(response),
        Err(No::Bad(phrase)) => page(StatusCode::BAD_REQUEST, "unreadable_form", phrase),
        Err(No::Dead) => {
            let phrase = "the sign-in is over or was used already: begin again at the application";
            page(StatusCode::UNAUTHORIZED, "sign_in_over", phrase)
        }
        Err(No::Foreign) => page(
            StatusCode::BAD_REQUEST,
            "foreign_form",
            "the form was sent by a page that may not sign people in here",
        ),
        Err(No::Stop(stop)) => stop.into_response(app, call, &[]),
    }
}

/// Where a browser goes that came for nothing in particular.
pub fn home(call: &Call) -> String {
    landing(call)
}
