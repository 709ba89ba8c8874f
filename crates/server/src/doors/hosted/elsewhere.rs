//! A browser that is sent to another identity provider, and comes back. Owns the two addresses; what is believed is the driver's.

use axum::extract::State;
use axum::response::Response;
use engine::{NotNow, Stage};
use protocol::authorize::Freshness;
use protocol::form::Form;

use super::act_factor;
use super::pages::Problem;
use super::show::{Desk, Told};
use crate::app::App;
use crate::browser::interaction::{self, Interaction, Lost, Purpose, SignInStep, Step};
use crate::call::{Call, Path};
use crate::oauth::authorize::{Stop, see_other};
use crate::signin::upstream::{Answer, Away, Back, CALLBACK, Going, NotFrom};
use crate::signin::{Failure, SignIns};

/// `GET /login/{handle}/with/{provider}`: off to the other provider.
pub async fn leave(State(app): State<App>, Path((handle, provider)): Path<(String, String)>, call: Call) -> Response {
    let done = async {
        let interaction = interaction::load(&app, &call, &handle).await?;
        let step = sign_in(&interaction)?;
        let desk = Desk::new(&app, &call, &interaction);
        let flow = desk.flow(&step).await?;
        if !matches!(
            flow.stored.state.stage,
            Stage::ExpectFactor(_) | Stage::ExpectResponse { .. } | Stage::Checking { .. } | Stage::Proven { .. }
        ) {
            return Err(Stop::Again);
        }
        let going = Going {
            provider: &provider,
            redirect_uri: format!("{}{CALLBACK}", call.base),
            back: Back::Dialogue(handle.clone()),
            // Whoever is to prove anew who they are must do so there.
            fresh: step.known.is_some() || wants_fresh(&interaction.body.purpose),
        };
        match desk.sign_ins().send_upstream(flow, going).await {
            Ok(url) => see_other(&url).map_err(Stop::from),
            Err(refused) => told(&desk, refused).await,
        }
    };
    match done.await {
        Ok(response) => response,
        Err(Stop::Again) => see_other(&format!("/login/{handle}")).unwrap_or_else(|fault| crate::reply::fault(&fault)),
        Err(stop) => stop.into_response(&app, &call, &[]),
    }
}

/// `GET /federation/callback`: back from there, with a code or with an error.
pub async fn back(State(app): State<App>, call: Call) -> Response {
    match came_back(&app, &call).await {
        Ok(response) => response,
        Err(Stop::Again) => Stop::from(Lost::Gone).into_response(&app, &call, &[]),
        Err(stop) => stop.into_response(&app, &call, &[]),
    }
}

async fn came_back(app: &App, call: &Call) -> Result<Response, Stop> {
    let form = Form::parse(call.uri.query().unwrap_or_default().as_bytes()).map_err(|_| Lost::Gone)?;
    let one = |name: &'static str| form.one(name).ok().flatten();
    let sign_ins = SignIns { app, tenant: &call.tenant };
    let state = one("state").ok_or(Lost::Gone)?;
    let away = sign_ins.take_away(state).await?.ok_or(Lost::Gone)?;
    let Back::Dialogue(handle) = &away.back else { return Err(Lost::Gone.into()) };
    // Only the browser that was sent comes back: another's dialogue does not open (OpenID Connect Core §3.1.2.7, RFC 9700 §4.7).
    let interaction = interaction::load(app, call, handle).await?;
    let step = sign_in(&interaction)?;
    if step.grant != away.grant {
        return Err(Lost::Gone.into());
    }
    let desk = Desk::new(app, call, &interaction);
    let flow = desk.flow(&step).await?;
    let answer = Answer { code: one("code"), iss: one("iss"), error: one("error") };
    proved(&desk, &step, flow, away, answer).await
}

/// Whether a sign-in from before will not do for what is asked.
fn wants_fresh(purpose: &Purpose) -> bool {
    match purpose {
        Purpose::Authorize(request) => !matches!(request.freshness(), Freshness::Any),
        Purpose::Device(_) | Purpose::Account(_) | Purpose::Logout(_) => false,
    }
}

async fn proved(
    desk: &Desk<'_>,
    step: &SignInStep,
    flow: crate::signin::Flow,
    away: Away,
    answer: Answer<'_>,
) -> Result<Response, Stop> {
    match desk.sign_ins().back_from_upstream(flow, away, answer).await {
        Ok(proved) => act_factor::proved(desk, step, proved).await,
        Err(refused) => told(desk, refused).await,
    }
}

fn sign_in(interaction: &Interaction) -> Result<SignInStep, Stop> {
    match &interaction.body.step {
        Step::SignIn(step) => Ok(step.clone()),
        Step::Account | Step::Consent(_) | Step::Confirm(_) => Err(Stop::Again),
    }
}

/// The page to begin with, and that nothing came of it. Why is for the log: who signs in there learns nothing of who is here.
async fn told(desk: &Desk<'_>, refused: NotFrom) -> Result<Response, Stop> {
    let problem = match refused {
        NotFrom::NoProvider => Problem::WayUnavailable,
        NotFrom::Declined
        | NotFrom::NotBelieved
        | NotFrom::Nobody
        // People register at sign-in pages of another door.
        | NotFrom::Newcomer(_)
        | NotFrom::NameTaken => Problem::ProviderRefused,
        NotFrom::Failure(Failure::Wrong(_) | Failure::NotNow(NotNow::NoChallenge | NotNow::OtherPerson)) => {
            Problem::ProviderRefused
        }
        NotFrom::Failure(Failure::NotNow(NotNow::NotAllowed { .. })) => Problem::WayUnavailable,
        NotFrom::Failure(failure) => return Err(Stop::failed(failure)),
    };
    desk.show(None, Told::from(problem)).await?.ok_or(Stop::Again)
}
