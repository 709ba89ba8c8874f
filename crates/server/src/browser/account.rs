//! Who is at My security, how well and how lately they proved it, and the sign-in that leads there. The pages are the hosted door's.
//!
//! Looking takes a session. Changing takes a proof of the last minutes, and by two means where the person has two: a browser left open,
//! or a password that leaked, must not be enough to take an account over.

use std::sync::{Arc, LazyLock};

use axum::http::StatusCode;
use axum::response::Response;
use engine::{FactorKind, Level, Proof, Refusal, Strength};
use protocol::records::{Client, Seconds, User, UserId};
use serde_json::json;

use super::interaction::{self, Begin, Interaction, Purpose, SignInStep, Step};
use super::{Expected, Gate, Passage, Session, SignedIn, cookies, gate, session};
use crate::app::App;
use crate::call::Call;
use crate::doors::hosted;
use crate::fault::Fault;
use crate::oauth::authorize::{Stop, see_other};
use crate::oauth::grants::entitled;
use crate::signin::{Flow, SignIns};
use crate::tokens;

/// Where it is.
pub const HOME: &str = "/account";

/// What My security is called as a client. A tenant that has a client of this id sets its name, its policy and who may use it.
pub const CLIENT: &str = "my-security";

/// Where the tenant has none: everybody, and what every browser needs that no policy says anything about.
static BUILT_IN: LazyLock<Arc<Client>> = LazyLock::new(|| {
    let client = serde_json::from_value(json!({ "id": CLIENT, "auth_method": "none" }));
    Arc::new(client.expect("a client needs no more than an id"))
});

/// The client whose policy applies.
pub fn client(call: &Call) -> &Arc<Client> {
    call.tenant.client(CLIENT).filter(|client| client.enabled).unwrap_or(&BUILT_IN)
}

/// Somebody who is signed in.
pub struct Holder {
    /// By which session.
    pub session: Session,
    /// Who.
    pub user: User,
}

impl Holder {
    /// The person of the session in use.
    ///
    /// # Errors
    /// The store failed.
    pub async fn of(app: &App, call: &Call) -> Result<Option<Self>, Fault> {
        for session in session::all(app, call).await? {
            let user = app.store.user(&call.tenant.tenant.id, &session.subject).await?;
            if let Some(user) = user.filter(|user| session.speaks_for(user) && entitled(client(call), user)) {
                return Ok(Some(Self { session, user }));
            }
        }
        Ok(None)
    }

    /// What makes a form one of this session's.
    pub fn token(&self, app: &App, call: &Call) -> String {
        let bound = format!("{}\n{}\n{}", call.tenant.tenant.id, self.session.id, self.session.name());
        tokens::hex(&app.master.mac("account form", bound.as_bytes())[..16])
    }

    /// What was proved within so many seconds.
    pub fn proofs_within(&self, app: &App, within: Seconds) -> Vec<Proof> {
        let since = app.world.now() - within;
        self.session.proofs().into_iter().filter(|proof| proof.at >= since).collect()
    }

    /// Whether that is enough to change something.
    ///
    /// # Errors
    /// The store failed.
    pub async fn is_fresh(&self, app: &App, call: &Call, within: Seconds) -> Result<bool, Fault> {
        let proofs = self.proofs_within(app, within);
        Ok(!proofs.is_empty() && Level::of(&proofs) >= wanted(app, call, &self.user.id).await?)
    }
}

/// Two means where the person has something beside a password that proves more than what others may find out.
async fn wanted(app: &App, call: &Call, user: &UserId) -> Result<Option<Level>, Fault> {
    let all = SignIns { app, tenant: &call.tenant }.enrolments_of(user).await?;
    let second = all.iter().filter(|one| one.enabled && one.validated).filter_map(|one| FactorKind::parse(&one.kind));
    let mut usable = second.filter(|kind| call.tenant.offered.contains(kind) && kind.strength() > Strength::Weak);
    Ok(usable.next().map(|_| Level::Two))
}

fn gate_of<'a>(app: &'a App, call: &'a Call, issuer: &'a str, at_least: Option<Level>) -> Gate<'a> {
    Gate {
        app,
        call,
        client: client(call),
        issuer,
        grant_type: "authorization_code",
        at_least,
        acr_values: &[],
        claims: Vec::new(),
    }
}

fn denied(app: &App, call: &Call, refusal: Refusal) -> Response {
    let (message_id, phrase) = if refusal == Refusal::NotEntitled {
        ("CSIAQ0279E", "the user may not use this application")
    } else {
        ("CSIAQ0278E", "access is denied by the access policy")
    };
    hosted::error(app, call, &[], StatusCode::FORBIDDEN, "access_denied", phrase, message_id)
}

/// Asks somebody to sign in, or to prove anew who they are, and to come back here then.
///
/// # Errors
/// Whatever stops it.
pub async fn prove(app: &App, call: &Call, holder: Option<&Holder>, to: &str) -> Result<Response, Stop> {
    let issuer = call.issuer();
    let (at_least, expected) = match holder {
        Some(holder) => {
            let expected = Expected {
                username: Some(holder.user.username.clone()),
                realm: None,
                known: Some(holder.user.id.clone()),
            };
            (wanted(app, call, &holder.user.id).await?, expected)
        }
        None => (None, Expected::default()),
    };
    match gate_of(app, call, &issuer, at_least).first_contact(expected).await.map_err(Stop::failed)? {
        Passage::Ask(step) => ask(app, call, step, to).await,
        Passage::Refused { refusal, .. } => Ok(denied(app, call, refusal)),
        Passage::Through(_) => Err(Fault::stored("a sign-in is through before anybody is known").into()),
    }
}

/// Asks the policy of My security, where somebody wrote one, whether who is signed in may be here: what was proved elsewhere may be less
/// than it wants, and another address may be none to come from. None where they may.
///
/// A rule that wants a factor at every sign-in is content with one of so many seconds: no page is a sign-in of its own.
///
/// # Errors
/// Whatever stops it.
pub async fn admit(
    app: &App,
    call: &Call,
    holder: &Holder,
    within: Seconds,
    to: &str,
) -> Result<Option<Response>, Stop> {
    if client(call).policy.is_none() {
        return Ok(None);
    }
    let (issuer, since) = (call.issuer(), app.world.now() - within);
    let lately = |proof: Proof| Proof { this_run: proof.at >= since, ..proof };
    let proofs = holder.session.proofs().into_iter().map(lately).collect();
    let passage = gate_of(app, call, &issuer, None).with_proofs(&holder.user, proofs).await;
    match passage.map_err(Stop::failed)? {
        Passage::Through(_) => Ok(None),
        Passage::Ask(step) => ask(app, call, step, to).await.map(Some),
        Passage::Refused { refusal, .. } => Ok(Some(denied(app, call, refusal))),
    }
}

/// Begins a dialogue that leads back here.
async fn ask(app: &App, call: &Call, step: SignInStep, to: &str) -> Result<Response, Stop> {
    let begin = Begin {
        purpose: Purpose::Account(to.to_owned()),
        step: Step::SignIn(step),
        client: call.tenant.client(CLIENT).map(|client| client.id.clone()),
        locales: Vec::new(),
        pushed: None,
    };
    let (interaction, change, cookie) = interaction::begin(app, call, begin)?;
    app.commit(&call.tenant.tenant.id, "account sign-in", vec![change]).await?;
    Ok(cookies::set(see_other(&interaction.path())?, cookie))
}

/// A sign-in on the way to My security.
pub struct Account<'a> {
    app: &'a App,
    call: &'a Call,
    issuer: String,
    interaction: Interaction,
}

impl<'a> Account<'a> {
    /// Goes on with a dialogue that leads here.
    pub fn resume(app: &'a App, call: &'a Call, interaction: Interaction) -> Self {
        Self { app, call, issuer: interaction.body.issuer.clone(), interaction }
    }

    /// What policy is asked with.
    pub fn gate(&self) -> Gate<'_> {
        gate_of(self.app, self.call, &self.issuer, None)
    }

    /// It is through: there is a session now.
    ///
    /// # Errors
    /// Whatever stops it.
    pub async fn signed_in(self, flow: Flow) -> Result<Response, Stop> {
        let Self { app, call, issuer, interaction } = self;
        let subject = flow.stored.state.subject.clone().map(UserId);
        let subject = subject.ok_or_else(|| Fault::stored("a sign-in is ready but names nobody"))?;
        let user = app.store.user(&call.tenant.tenant.id, &subject).await?.filter(|user| user.active);
        let Some(user) = user.filter(|user| entitled(client(call), user)) else {
            return Ok(denied(app, call, Refusal::NotEntitled));
        };
        let sessions = session::all(app, call).await?;
        let signed_in = SignedIn { user: &user, proofs: gate::proofs(&flow), client: None, issuer: &issuer };
        let (session, mut changes) = session::open(app, call, &sessions, signed_in)?;
        changes.extend(SignIns { app, tenant: &call.tenant }.redeem(flow).map_err(Stop::failed)?);
        changes.push(interaction.finish());
        app.commit(&call.tenant.tenant.id, "account sign-in", changes).await?;
        // Somebody else than expected finds nothing of their own where the other was.
        let same = match &interaction.body.step {
            Step::SignIn(step) => step.known.as_ref().is_none_or(|known| *known == user.id),
            Step::Account | Step::Consent(_) | Step::Confirm(_) => true,
        };
        let to = match &interaction.body.purpose {
            Purpose::Account(to) if same => to.as_str(),
            _ => HOME,
        };
        Ok(cookies::set(see_other(to)?, session::cookies(call, &session, &sessions)))
    }

    /// Policy says no.
    pub fn denied(&self, refusal: Refusal) -> Response {
        denied(self.app, self.call, refusal)
    }

    /// The person gives up: what they looked at before is still there to be looked at.
    ///
    /// # Errors
    /// The dialogue was over already, or the store failed.
    pub async fn refused(self) -> Result<Response, Stop> {
        self.app.commit(&self.call.tenant.tenant.id, "account sign-in", vec![self.interaction.finish()]).await?;
        Ok(see_other(HOME)?)
    }
}
