//! `/admin/v1/Me`: people read and change their own record (reference §4.8).
//!
//! Where messages go is changed with the present password only: whoever has a token for an hour must not come to own the account.
//! Telephone numbers written without it are kept, and no code is ever sent there.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use engine::FactorKind;
use protocol::idcs::roles::AppRole;
use protocol::records::User;
use protocol::scim::oracle::{self, Beside, ORACLE_USER};
use protocol::scim::patch;
use serde_json::{Value, json};

use super::answer::{self, Document, Refusal, WRONG_PASSWORD};
use super::{guard, names, state, users};
use crate::app::App;
use crate::call::Call;
use crate::doors::idcs::Caller;
use crate::doors::idcs::enrol::questions;
use crate::scim::{self, Demand, OWN, People, own};
use crate::secret::Secret;
use crate::signin::enrol::may_add;
use crate::signin::preferred::Preferred;
use crate::signin::{Asker, Failure, SignIns, Submission};

/// What a person changes with the present password.
const EMAILS: &str = "emails";
/// What a person changes freely, but for those numbers codes may be sent to.
const PHONES: [&str; 2] = ["phoneNumbers", "scim.apart"];

/// `GET /Me`.
pub(super) async fn read(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let (_, user) = guard::person(&app, &call, &[AppRole::Me, AppRole::AuthenticatedClient]).await?;
        let people = People::of(&app, &call).as_me();
        let found = people.find(user.id.as_str()).await?;
        Demand::of(&call).allows_read(found.version)?;
        users::shown(&app, &call, &people, StatusCode::OK, &found).await
    };
    answer::finish(&app, &call, run.await)
}

/// `PUT /Me`.
pub(super) async fn replace(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let (caller, user) = guard::person(&app, &call, &[AppRole::Me]).await?;
        let mut sent = oracle::resource(&answer::body(&call)?)?;
        let beside = oracle::take_beside(&mut sent)?;
        write(&app, &call, &caller, user, beside, true, |_| Ok(sent.clone())).await
    };
    answer::finish(&app, &call, run.await)
}

/// `PATCH /Me`.
pub(super) async fn change(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let (caller, user) = guard::person(&app, &call, &[AppRole::Me]).await?;
        let operations = scim::answer::operations(&call)?;
        let make = |before: &Document| -> Result<Document, scim::Refusal> {
            let mut after = before.clone();
            patch::apply(&ORACLE_USER, &mut after, &operations)?;
            Ok(after)
        };
        let people = People::of(&app, &call).as_me();
        let found = people.find(user.id.as_str()).await?;
        let beside = oracle::take_beside(&mut make(&people.document(&found.user, found.version))?)?;
        let make = |before: &Document| {
            let mut after = make(before)?;
            oracle::take_beside(&mut after)?;
            Ok(after)
        };
        write(&app, &call, &caller, user, beside, false, make).await
    };
    answer::finish(&app, &call, run.await)
}

/// The document that comes of a change by the person: what is not theirs is as before.
fn judged(before: &Document, mut after: Document, proved: bool, is_whole: bool) -> Result<Document, scim::Refusal> {
    if proved {
        oracle::trust_phones(&mut after);
    } else if !is_whole || after.contains_key(PHONES[0]) {
        oracle::keep_phones_apart(before, &mut after);
    }
    let mut allowed: Vec<&str> = OWN.iter().chain(&PHONES).copied().collect();
    allowed.extend(proved.then_some(EMAILS));
    own(before, after, is_whole, &allowed)
}

async fn write(
    app: &App,
    call: &Call,
    caller: &Caller,
    user: User,
    beside: Beside,
    is_whole: bool,
    make: impl Fn(&Document) -> Result<Document, scim::Refusal>,
) -> Result<Response, Refusal> {
    let make = |before: &Document| {
        let mut after = make(before)?;
        oracle::keep_same(before, &mut after, EMAILS);
        Ok::<_, scim::Refusal>(after)
    };
    let sign_ins = SignIns { app, tenant: &call.tenant };
    let proved = prove(sign_ins, caller, &user, beside.password.as_deref()).await?;
    let people = People::of(app, call).as_me().by(protocol::scim::oracle::Actor::user(&user));
    // Nothing of a request happens where one part of it cannot.
    let found = people.find(user.id.as_str()).await?;
    Demand::of(call).allows_write(found.version)?;
    let before = people.document(&found.user, found.version);
    let made = make(&before)?;
    if !proved && made.get(EMAILS).is_some_and(|emails| before.get(EMAILS) != Some(emails)) {
        return Err(Refusal::no(WRONG_PASSWORD, "mail addresses are changed with the current password"));
    }
    judged(&before, made, proved, is_whole)?;
    let wish = wish(sign_ins, &user, &beside).await?;
    if !beside.questions.is_empty() {
        enrol_questions(sign_ins, caller, &user, &beside).await?;
    }
    if let Some(wish) = wish {
        sign_ins.prefer(&user.id, &wish).await?;
    }
    let edit = |before: &Document| judged(before, make(before)?, proved, is_whole);
    let changed = people.edit(user.id.as_str(), Demand::of(call), edit).await?;
    tracing::info!(tenant = %call.tenant.tenant.id, user = %user.id, "person changed themselves");
    users::shown(app, call, &people, StatusCode::OK, &changed).await
}

/// Whether the present password was shown. A wrong one is refused, and counts like any other.
async fn prove(sign_ins: SignIns<'_>, caller: &Caller, user: &User, password: Option<&str>) -> Result<bool, Refusal> {
    let Some(password) = password else { return Ok(false) };
    let asker = Asker { client: caller.client.id.clone(), person: Some(user.id.clone()) };
    let submission =
        Submission::Password { source: &user.source, username: &user.username, password: Secret::from(password) };
    match sign_ins.submit_alone(&asker, submission).await {
        Ok(_) => Ok(true),
        Err(Failure::Wrong(_) | Failure::NotNow(_)) => {
            Err(Refusal::no(WRONG_PASSWORD, "the current password is wrong"))
        }
        Err(failure) => Err(failure.into()),
    }
}

async fn enrol_questions(sign_ins: SignIns<'_>, caller: &Caller, user: &User, beside: &Beside) -> Result<(), Refusal> {
    // The same rules as where questions are set up at a sign-in.
    let hint = |id: &String| beside.hints.iter().find(|(of, _)| of == id).map(|(_, hint)| hint);
    let sent = beside.questions.iter();
    let sent: Vec<Value> =
        sent.map(|(id, answer)| json!({ "questionId": id, "answer": answer, "hint": hint(id) })).collect();
    let given = questions::read(&sign_ins.tenant.tenant.settings.questions, Some(&Value::from(sent)))
        .map_err(|failed| Refusal::value(failed.message))?;
    let proved = sign_ins.proved_in(&caller.token.grant).await?;
    let mut enrolled = sign_ins.enrolments_of(&user.id).await?;
    // Answers take the place of those before: these protect nothing any more once they are gone.
    enrolled.retain(|one| one.kind != FactorKind::Questions.as_str());
    if !may_add(&proved, &enrolled) {
        return Err(Refusal::No {
            status: 403,
            message: "error.ssocommon.auth.factorNotProved",
            detail: "this needs a sign-in with one of the enrolled factors".to_owned(),
        });
    }
    sign_ins.enrol_hinted_questions(&user.id, &given.answers, &given.hints, true).await?;
    Ok(())
}

/// What the person wants to be asked for first.
async fn wish(sign_ins: SignIns<'_>, user: &User, beside: &Beside) -> Result<Option<Preferred>, Refusal> {
    if beside.factor.is_none() && beside.device.is_none() {
        return Ok(None);
    }
    let kinds = match &beside.factor {
        Some(name) => names::kinds(name),
        None => FactorKind::ALL.into(),
    };
    let fits = |kind: &str| kinds.iter().any(|one| one.as_str() == kind);
    let all = state::devices(sign_ins, user).await?;
    let device = all.iter().find(|device| match &beside.device {
        Some(id) => device.is(id) && device.enrolled.iter().any(|one| fits(&one.kind)),
        None => device.enrolled.iter().any(|one| fits(&one.kind)),
    });
    let enrolment = device.and_then(|device| {
        let exact = beside.device.as_deref();
        let own = device.enrolled.iter().filter(|one| fits(&one.kind));
        own.clone().find(|one| Some(one.id.as_str()) == exact).or_else(|| own.clone().next())
    });
    if let Some(one) = enrolment {
        let kind = FactorKind::parse(&one.kind);
        return Ok(kind.map(|kind| Preferred { kind, enrolment: Some(one.id.0.clone()) }));
    }
    let questions = sign_ins.enrolments_of(&user.id).await?;
    let asked = questions.iter().find(|one| one.kind == FactorKind::Questions.as_str() && fits(&one.kind));
    match (asked, &beside.device) {
        (Some(one), None) => Ok(Some(Preferred { kind: FactorKind::Questions, enrolment: Some(one.id.0.clone()) })),
        _ => Err(Refusal::value("the person has no such factor or device")),
    }
}
