//! What the person does in a dialogue: every form of every page, each one call of the driver.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::form::Form;

use super::errand::Errand;
use super::pages::{Press, Problem, field};
use super::show::{self, Desk, Told};
use super::{Place, act_factor};
use crate::app::App;
use crate::browser::Passage;
use crate::browser::interaction::{self, Interaction, Lost, SignInStep, Step};
use crate::call::{Call, Path};
use crate::oauth::authorize::{Stop, see_other};
use crate::reply;
use crate::signin::{Failure, SignIns};

/// `POST /login/{handle}/{page}`.
pub async fn act(State(app): State<App>, Path((handle, page)): Path<(String, String)>, call: Call) -> Response {
    let Some(place) = Place::parse(&page) else {
        return reply::plain_error(StatusCode::NOT_FOUND, "there is nothing at this path");
    };
    let mut interaction = match interaction::load(&app, &call, &handle).await {
        Ok(interaction) => interaction,
        Err(lost) => return Stop::from(lost).into_response(&app, &call, &[]),
    };
    let locales = interaction.body.locales.clone();
    let bad = |status, id, phrase| show::error(&app, &call, &locales, status, id, phrase, "CSIAQ9999E");
    if !show::is_from_here(&call.headers, &call.base) {
        return bad(StatusCode::FORBIDDEN, "foreign_form", "the form was not sent by a page of this server");
    }
    let Ok(form) = call.form(&[]) else {
        return bad(StatusCode::BAD_REQUEST, "unreadable_form", "the form cannot be read");
    };
    let Some(press) = Press::parse(form.one(field::DO).ok().flatten()) else {
        return bad(StatusCode::BAD_REQUEST, "unknown_button", "the form does not say what is to be done");
    };
    if let Err(lost) = note_wishes(&app, &call, &mut interaction, &form).await {
        return Stop::from(lost).into_response(&app, &call, &locales);
    }
    let deed = Deed { app: &app, call: &call, place, form: &form, press };
    match deed.take(interaction).await {
        Ok(response) => response,
        // Somebody was first: what stands now is shown.
        Err(Stop::Again) => see_other(&format!("/login/{handle}")).unwrap_or_else(|fault| reply::fault(&fault)),
        Err(stop) => stop.into_response(&app, &call, &locales),
    }
}

/// Notes what the person wants kept of the sign-in, for when they are through.
async fn note_wishes(app: &App, call: &Call, interaction: &mut Interaction, form: &Form) -> Result<(), Lost> {
    let sent = |name| form.one(name).ok().flatten();
    let mut wishes = interaction.body.wishes;
    for (name, wish) in [(field::TRUST, &mut wishes.trust), (field::STAY, &mut wishes.stay)] {
        if sent(name).is_some() {
            *wish = true;
        } else if sent(field::OFFERS) == Some(name) {
            *wish = false;
        }
    }
    if wishes == interaction.body.wishes {
        return Ok(());
    }
    interaction.body.wishes = wishes;
    interaction.save(app, call).await
}

/// One form that was sent.
pub(super) struct Deed<'a> {
    pub(super) app: &'a App,
    pub(super) call: &'a Call,
    pub(super) place: Place,
    pub(super) form: &'a Form,
    pub(super) press: Press,
}

impl Deed<'_> {
    async fn take(self, interaction: Interaction) -> Result<Response, Stop> {
        if self.press == Press::Cancel {
            return Errand::of(self.app, self.call, interaction).await?.refused().await;
        }
        match interaction.body.step.clone() {
            Step::Account if self.place == Place::Account => {
                let id = match self.press {
                    Press::OtherAccount => None,
                    _ => self.field(field::ACCOUNT),
                };
                Errand::of(self.app, self.call, interaction).await?.chosen(id).await
            }
            Step::Consent(outcome) if self.place == Place::Consent => match self.press {
                Press::Allow => Errand::of(self.app, self.call, interaction).await?.allowed(outcome).await,
                Press::Deny => Errand::of(self.app, self.call, interaction).await?.refused().await,
                _ => Err(Stop::Again),
            },
            Step::Confirm(outcome) if self.place == Place::Device => match self.press {
                Press::Allow => Errand::of(self.app, self.call, interaction).await?.allowed(outcome).await,
                Press::Deny => Errand::of(self.app, self.call, interaction).await?.refused().await,
                _ => Err(Stop::Again),
            },
            Step::SignIn(step) => match self.press {
                Press::OtherAccount => self.somebody_else(interaction, step).await,
                _ => act_factor::act(&self, interaction, step).await,
            },
            Step::Account | Step::Consent(_) | Step::Confirm(_) => Err(Stop::Again),
        }
    }

    /// A field that is neither missing, empty nor sent twice.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.form.one(name).ok().flatten()
    }

    /// Not the person who was asked for.
    async fn somebody_else(&self, mut interaction: Interaction, step: SignInStep) -> Result<Response, Stop> {
        interaction.body.step = Step::SignIn(SignInStep { known: None, username: None, realm: None, ..step });
        interaction.save(self.app, self.call).await?;
        see_other(&interaction.path()).map_err(Stop::from)
    }
}

/// Goes on from a proof that is at hand.
pub(super) async fn go_on(app: &App, call: &Call, interaction: Interaction) -> Response {
    let locales = interaction.body.locales.clone();
    let Step::SignIn(step) = interaction.body.step.clone() else {
        return Stop::from(Lost::Gone).into_response(app, call, &locales);
    };
    let done = async {
        let flow = SignIns { app, tenant: &call.tenant }.by_grant(&step.grant).await?.ok_or(Lost::Gone)?;
        let errand = Errand::of(app, call, interaction.clone()).await?;
        let passage = errand.gate().at_hand(flow, &step).await.map_err(Stop::failed)?.ok_or(Lost::Gone)?;
        follow(app, call, interaction, errand, passage).await
    };
    match done.await {
        Ok(response) => response,
        Err(stop) => stop.into_response(app, call, &locales),
    }
}

/// What follows from a proof.
pub(super) async fn follow(
    app: &App,
    call: &Call,
    interaction: Interaction,
    errand: Errand<'_>,
    passage: Passage,
) -> Result<Response, Stop> {
    match passage {
        Passage::Through(flow) => errand.signed_in(*flow).await,
        Passage::Ask(step) => act_factor::asked(app, call, &interaction, &step).await,
        Passage::Refused { refusal, reference } => errand.denied(refusal, reference),
    }
}

/// Sends the browser to a page of its dialogue.
pub(super) fn go(interaction: &Interaction, place: Place) -> Result<Response, Stop> {
    see_other(&format!("/login/{}/{}", interaction.handle, place.as_str())).map_err(Stop::from)
}

/// A step that could not be taken, told on the page it was tried on.
pub(super) async fn failed(
    desk: &Desk<'_>,
    place: Place,
    failure: Failure,
    username: Option<&str>,
) -> Result<Response, Stop> {
    let problem = match failure {
        Failure::Wrong(cause) => act_factor::problem(place, cause),
        Failure::TooManyMessages => Problem::TooManyMessages { wait: None },
        Failure::Unusable(_) => Problem::WayUnavailable,
        Failure::NotNow(_) | Failure::Stale | Failure::Busy(_) | Failure::Fault(_) => {
            return Err(Stop::failed(failure));
        }
    };
    let told = Told::from(problem);
    // What was typed is there again, though nothing of it is stored.
    let shown = match (&desk.interaction.body.step, username) {
        (Step::SignIn(step), Some(username)) => {
            let mut interaction = desk.interaction.clone();
            interaction.body.step = Step::SignIn(SignInStep { username: Some(username.to_owned()), ..step.clone() });
            Desk::new(desk.app, desk.call, &interaction).show(Some(place), told).await?
        }
        _ => desk.show(Some(place), told).await?,
    };
    shown.ok_or(Stop::Again)
}
