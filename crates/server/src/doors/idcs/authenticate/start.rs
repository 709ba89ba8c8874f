//! The first stage: nobody is known and nothing is stored. Which factor begins is policy's to say.

use std::sync::Arc;

use engine::FactorKind;
use protocol::records::{Client, ClientId, GrantId};
use serde_json::{Value, json};

use super::factor::Factor;
use super::scene::clean;
use super::state::{Stage, State};
use super::step::{GRANT_TYPE, Members, Step, Stop, credentials, governing, members, served};
use super::{password, username};
use crate::app::App;
use crate::call::Call;
use crate::doors::idcs::fault::{Code, Failed};
use crate::signin::context::{Context, gather};
use crate::signin::stored::Resume;
use crate::signin::trust::TrustKind;
use crate::signin::{Begin, SignIns};

/// How a dialogue begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// With a name and a password.
    Password,
    /// With a name alone.
    Username,
}

impl First {
    /// What these kinds, in their order, come to; none where nothing of them is served here.
    pub fn of(any_of: &[FactorKind]) -> Option<Self> {
        match any_of.iter().find(|kind| served(**kind)) {
            None => None,
            Some(FactorKind::Password) => Some(Self::Password),
            Some(_) => Some(Self::Username),
        }
    }

    fn factor(self) -> Factor {
        match self {
            Self::Password => Factor::UsernamePassword,
            Self::Username => Factor::Username,
        }
    }
}

/// What a first contact is asked for.
struct Asked {
    first: Option<First>,
    /// Other providers may be chosen.
    elsewhere: bool,
}

/// The application of this name; the client itself where none is named.
///
/// # Errors
/// There is none of this name, or it is switched off.
pub fn application(call: &Call, caller: &Arc<Client>, name: Option<&str>) -> Result<Arc<Client>, Failed> {
    let Some(name) = name else { return Ok(Arc::clone(caller)) };
    let mut all = call.tenant.clients.values().filter(|client| client.name == name || client.id.as_str() == name);
    let found = all.next().ok_or_else(|| Failed::from(Code::AppUnknown))?;
    if found.enabled { Ok(Arc::clone(found)) } else { Err(Code::AppInactive.into()) }
}

/// Who begins a dialogue, for the session endpoint and the hand-over of a browser as well.
pub struct Opening<'a> {
    /// The process.
    pub app: &'a App,
    /// The request.
    pub call: &'a Call,
    /// The client that runs it; none where the browser is handed to whichever page.
    pub caller: Option<&'a Client>,
    /// The application that is signed in to.
    pub application: &'a Arc<Client>,
    /// What brought the browser here, for the session endpoint to go back to.
    pub errand: Option<String>,
    /// Tokens of devices that were trusted, as the browser brought them.
    pub devices: Vec<String>,
}

impl Opening<'_> {
    /// The body of the first stage.
    ///
    /// # Errors
    /// Policy lets nobody begin; the server failed.
    pub async fn body(&self) -> Result<Members, Stop> {
        let asked = preview(self.app, self.call, self.caller.unwrap_or(self.application), self.application).await?;
        let caller = self.caller.map(|client| client.id.clone());
        let mut state = State::begin(self.app, &self.call.tenant, caller, Some(self.application.id.clone()));
        state.errand.clone_from(&self.errand);
        state.devices.clone_from(&self.devices);
        Ok(body(self.app, self.call, &asked, Some(&state)))
    }
}

impl Opening<'_> {
    /// The same for whoever hands a browser over: a no comes as its code and its text.
    ///
    /// # Errors
    /// Policy lets nobody begin; the server failed, which is logged.
    pub async fn told(&self) -> Result<Members, (&'static str, String)> {
        self.body().await.map_err(|stop| match stop {
            Stop::Failed(failed) => (failed.0.code.as_str(), failed.0.message),
            Stop::Busy(_) => (Code::Overloaded.as_str(), Code::Overloaded.text().to_owned()),
            Stop::Fault(fault) => {
                fault.log();
                (Code::SystemError.as_str(), Code::SystemError.text().to_owned())
            }
        })
    }
}

/// How a dialogue would begin now.
async fn preview(app: &App, call: &Call, speaks: &Client, application: &Client) -> Result<Asked, Stop> {
    let policy = governing(call, application)?;
    let facts = gather(&call.tenant, speaks, Some(&Context::default()), call.peer, None, &app.geo);
    let begin = Begin {
        client: application.id.clone(),
        grant: GrantId(String::new()),
        policy: Some(&policy),
        after: None,
        facts: &facts,
        prior: None,
        resume: Resume { grant_type: GRANT_TYPE.to_owned(), ..Resume::default() },
    };
    let sign_ins = SignIns { app, tenant: &call.tenant };
    let asked = sign_ins.preview(begin).await;
    let any_of = asked.map_err(|failure| Stop::of(failure, Factor::UsernamePassword))?.unwrap_or_default();
    let elsewhere = any_of.contains(&FactorKind::Federated) && sign_ins.providers().next().is_some();
    let asked = Asked { first: First::of(&any_of), elsewhere };
    if asked.first.is_some() || asked.elsewhere { Ok(asked) } else { Err(Code::DeniedByPolicy.into()) }
}

/// The body of the first stage.
fn body(app: &App, call: &Call, asked: &Asked, state: Option<&State>) -> Members {
    let sign_ins = SignIns { app, tenant: &call.tenant };
    let (mut next_op, mut factors, mut objects) = (Vec::new(), Vec::new(), Members::new());
    if let Some(first) = asked.first {
        let factor = first.factor();
        next_op.push("credSubmit");
        factors.push(factor.as_str());
        objects.insert(factor.as_str().to_owned(), credentials(factor.credentials()));
    }
    if asked.elsewhere {
        next_op.push("chooseIDP");
        factors.push(Factor::Idp.as_str());
        let all: Vec<Value> = sign_ins
            .providers()
            .map(|(id, provider)| {
                let mut shown = json!({ "idpId": id, "idpName": clean(&provider.name), "idpType": "Social" });
                if let Some(icon) = &provider.icon {
                    shown["iconUrl"] = icon.as_str().into();
                }
                shown
            })
            .collect();
        let object = json!({ "configuredIDPs": all, "credentials": Factor::Idp.credentials() });
        objects.insert(Factor::Idp.as_str().to_owned(), object);
    }
    let mut body = members(json!({ "status": "success", "nextOp": next_op, "nextAuthFactors": factors }));
    body.extend(objects);
    if sign_ins.trust_settings(TrustKind::StaySignedIn).enabled {
        body.insert("keepMeSignedInEnabled".to_owned(), Value::Bool(true));
    }
    if let Some(state) = state {
        body.insert("requestState".to_owned(), state.seal(app, &call.tenant).into());
    }
    body
}

/// The first stage once more, as a step leaves it behind that came to nothing.
///
/// # Errors
/// See [`Opening::body`].
pub async fn again(step: &Step<'_>) -> Result<Members, Stop> {
    let asked = preview(step.app, step.call, &step.caller.client, step.application).await?;
    let mut again = body(step.app, step.call, &asked, None);
    again.remove("keepMeSignedInEnabled");
    again.insert("requestState".to_owned(), step.next(Stage::Start).into());
    Ok(again)
}

/// `credSubmit` at the first stage.
///
/// # Errors
/// What was sent does not fit, or is wrong.
pub async fn submit(step: &Step<'_>) -> Result<Members, Stop> {
    let sent = &step.request.credentials;
    let (name, password) = (sent.text("username")?, sent.text("password")?);
    match step.request.factor {
        None | Some(Factor::UsernamePassword | Factor::Username) => {}
        Some(_) => return Err(not_offered(step).await?),
    }
    let name = name.filter(|name| !name.trim().is_empty());
    match (name, password, step.request.factor) {
        (Some(name), Some(password), None | Some(Factor::UsernamePassword)) => {
            password::submit(step, name.trim(), password.into()).await
        }
        (Some(name), _, None | Some(Factor::Username)) => username::name(step, name.trim()).await,
        (Some(_), _, Some(_)) => Err(missing(step, "password").await?),
        (None, ..) => Err(missing(step, "username").await?),
    }
}

async fn missing(step: &Step<'_>, member: &str) -> Result<Stop, Stop> {
    let failed = Failed::incomplete(format!("The credential {member} is missing."));
    Ok(Stop::from(failed).with(again(step).await?))
}

async fn not_offered(step: &Step<'_>) -> Result<Stop, Stop> {
    let again = again(step).await?;
    let offered: Vec<&str> = again
        .get("nextAuthFactors")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let text = format!("The factor is not supported here; supported: {}.", offered.join(", "));
    Ok(Stop::from(Failed::saying(Code::FactorNotOffered, text)).with(again))
}

/// What a sign-in begins with. `client` is whoever runs the dialogue.
pub fn resume(step: &Step<'_>) -> Resume {
    Resume {
        grant_type: GRANT_TYPE.to_owned(),
        context: Some(step.context()),
        issuer: step.call.tenant.tenant.settings.oracle.issuer.clone(),
        began: step.app.world.now(),
        enrols: true,
        ..Resume::default()
    }
}

/// The client a stored sign-in is kept under.
pub fn runner(step: &Step<'_>) -> ClientId {
    step.caller.client.id.clone()
}
