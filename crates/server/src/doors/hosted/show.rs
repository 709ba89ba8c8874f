//! What the person sees of a dialogue: the page that is due, with everything on it.
//!
//! Reads where things stand and changes nothing.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use engine::policy::Contact;
use engine::{FactorKind, Issued, Open, Stage};
use protocol::records::{ChallengeId, Client, OtpSettings, RelyingParty, SourceKind, UserId};
use serde_json::Value;

use super::act_factor::questions_of;
use super::pages::{
    self, Account, BypassEntry, ChooseAccount, ChooseWay, ClientView, CodeEntry, Consent, CookiesNeeded, DeviceConfirm,
    ErrorPage, Expired, Form, FormPost, Keep, Look, NewPassword, NothingEnrolled, Page, PasskeyStep, Person,
    PicturePage, Problem, ProviderLink, PushWait, Question, Questions, Reauthenticate, Scope, SignIn, SourceChoice,
    TotpEntry, Wanted,
};
use super::{Place, act, enrol_phone, wait};
use crate::app::App;
use crate::browser::interaction::{self, Interaction, Lost, Purpose, SignInStep, Step};
use crate::browser::session;
use crate::call::{Call, Path};
use crate::fault::Fault;
use crate::oauth::admission::Admission;
use crate::oauth::authorize::{Stop, Visit, see_other};
use crate::reply;
use crate::signin::alone::shown;
use crate::signin::factors::otp;
use crate::signin::trust::{self, TrustKind};
use crate::signin::ways::{Way, mask};
use crate::signin::{Flow, SignIns};

/// What is told beside the page.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    /// What went wrong with the last answer.
    pub(super) problem: Option<Problem>,
    /// A code was sent once more.
    pub(super) resent: bool,
}

impl From<Problem> for Told {
    fn from(problem: Problem) -> Self {
        Self { problem: Some(problem), resent: false }
    }
}

/// `GET /login/{handle}`: the page that is due.
pub async fn due(State(app): State<App>, Path(handle): Path<String>, call: Call) -> Response {
    at(&app, &call, &handle, None).await
}

/// `GET /login/{handle}/{page}`: this page, if it may be shown now; otherwise the one that is due.
pub async fn page(State(app): State<App>, Path((handle, page)): Path<(String, String)>, call: Call) -> Response {
    match Place::parse(&page) {
        Some(place) if call.uri.query() == Some("wait") => poll(&app, &call, &handle, place).await,
        Some(place) => at(&app, &call, &handle, Some(place)).await,
        None => reply::plain_error(StatusCode::NOT_FOUND, "there is nothing at this path"),
    }
}

/// What a page that waits asks by script: whether it still does.
async fn poll(app: &App, call: &Call, handle: &str, place: Place) -> Response {
    let done = match interaction::load(app, call, handle).await {
        Ok(interaction) => wait::poll(&Desk::new(app, call, &interaction), place).await,
        Err(lost) => Err(Stop::from(lost)),
    };
    done.unwrap_or_else(|stop| stop.into_response(app, call, &[]))
}

async fn at(app: &App, call: &Call, handle: &str, place: Option<Place>) -> Response {
    let interaction = match interaction::load(app, call, handle).await {
        Ok(interaction) => interaction,
        Err(lost) => return Stop::from(lost).into_response(app, call, &[]),
    };
    let locales = interaction.body.locales.clone();
    let again = interaction.clone();
    let desk = Desk::new(app, call, &interaction);
    if let Some(place @ (Place::Push | Place::Picture | Place::Enrol)) = place {
        match wait::look(&desk, place).await {
            Ok(None) => {}
            Ok(Some(response)) => return response,
            // Another window looked at the same moment and went on.
            Err(Stop::Again) => {
                return see_other(&interaction.path()).unwrap_or_else(|fault| reply::fault(&fault));
            }
            Err(stop) => return stop.into_response(app, call, &locales),
        }
    }
    match desk.show(place, Told::default()).await {
        Ok(Some(response)) => response,
        // A proof is at hand from which nothing followed yet: the process ended between the two.
        Ok(None) => super::act::go_on(app, call, again).await,
        Err(stop) => stop.into_response(app, call, &locales),
    }
}

/// Everything needed to show a page of one dialogue.
#[derive(Clone, Copy)]
pub(super) struct Desk<'a> {
    pub(super) app: &'a App,
    pub(super) call: &'a Call,
    pub(super) interaction: &'a Interaction,
    client: Option<&'a Client>,
    /// What the browser may keep of the sign-in.
    keep: Option<Keep>,
    /// Whether the person may sign in at another identity provider instead.
    elsewhere: bool,
}

impl<'a> Desk<'a> {
    pub(super) fn new(app: &'a App, call: &'a Call, interaction: &'a Interaction) -> Self {
        let client = interaction.body.client.as_ref().and_then(|id| call.tenant.client(id.as_str()));
        Self { app, call, interaction, client: client.map(AsRef::as_ref), keep: None, elsewhere: false }
    }

    /// The same, with a box on its pages where the browser may keep something of this sign-in: that it is trusted, where that would
    /// spare the person what is asked for now; or who signs in, while nobody is known.
    pub(super) async fn keeping(self, flow: &Flow) -> Result<Self, Stop> {
        // A device is let in for elsewhere: nothing of that stays here.
        if !matches!(self.interaction.body.purpose, Purpose::Authorize(_)) {
            return Ok(self);
        }
        let wishes = self.interaction.body.wishes;
        let subject = flow.stored.state.subject.as_deref().map(UserId::from);
        let keep = match subject {
            None if self.sign_ins().trust_settings(TrustKind::StaySignedIn).enabled => {
                Some(Keep { what: pages::field::STAY, ticked: wishes.stay })
            }
            Some(user) if trust::would_help(flow) && self.sign_ins().may_trust(TrustKind::Device, &user).await? => {
                Some(Keep { what: pages::field::TRUST, ticked: wishes.trust })
            }
            None | Some(_) => None,
        };
        Ok(Self { keep, ..self })
    }

    pub(super) fn sign_ins(&self) -> SignIns<'a> {
        SignIns { app: self.app, tenant: &self.call.tenant }
    }

    pub(super) fn look(&self) -> Look {
        look(self.app, self.call, &self.interaction.body.locales)
    }

    /// Who asks the person to sign in, as a person calls it.
    pub(super) fn asker(&self) -> &str {
        let settings = &self.call.tenant.tenant.settings;
        let title = settings.look.title.as_deref().unwrap_or(&self.call.tenant.tenant.name);
        self.client.map_or(title, |client| ClientView::of(client).name)
    }

    /// Whether the person wants to be asked for this one first.
    pub(super) async fn prefers(&self, flow: &Flow, way: &Way) -> Result<bool, Stop> {
        let Some(subject) = &flow.stored.state.subject else { return Ok(false) };
        let wish = self.sign_ins().preferred(&UserId::from(subject.as_str())).await?;
        Ok(wish.is_some_and(|wish| wish.means(way)))
    }

    pub(super) fn answer(&self, page: &Page<'_>) -> Response {
        let look = self.look();
        let look = match &self.interaction.body.purpose {
            Purpose::Authorize(request) => look.answering_to(request.target.redirect_uri()),
            Purpose::Device(_) | Purpose::Account(_) | Purpose::Logout(_) => look,
        };
        page.answer(&look)
    }

    /// The page for where things stand; none where the next step is not the person's.
    pub(super) async fn show(&self, place: Option<Place>, told: Told) -> Result<Option<Response>, Stop> {
        match &self.interaction.body.step {
            Step::Account => self.accounts(told).await.map(Some),
            Step::SignIn(step) => self.sign_in(step, place, told).await,
            Step::Consent(outcome) => self.consent(&outcome.subject, told).await.map(Some),
            Step::Confirm(outcome) => self.device(&outcome.subject, told).await.map(Some),
        }
    }

    /// Where the person may sign in instead.
    fn providers(&self) -> Vec<ProviderLink> {
        if !self.elsewhere {
            return Vec::new();
        }
        let link = |(id, provider): (&str, &protocol::records::IdentityProvider)| ProviderLink {
            id: id.to_owned(),
            name: provider.name.clone(),
            href: format!("/login/{}/with/{id}", self.interaction.handle),
        };
        self.sign_ins().providers().map(link).collect()
    }

    pub(super) fn action(&self, place: Place) -> String {
        format!("/login/{}/{}", self.interaction.handle, place.as_str())
    }

    pub(super) fn step<'s>(&'s self, action: &'s str, hidden: &'s [(&'s str, &'s str)], told: Told) -> pages::Step<'s> {
        pages::Step {
            form: Form { action, hidden },
            client: self.client.map(ClientView::of),
            problem: told.problem,
            // From a device there is no way back; who does not want it says so where it is asked.
            cancel: match &self.interaction.body.purpose {
                Purpose::Authorize(_) => true,
                // Back to what can be seen without: only for who is there already.
                Purpose::Account(_) => {
                    matches!(&self.interaction.body.step, Step::SignIn(step) if step.known.is_some())
                }
                Purpose::Device(_) | Purpose::Logout(_) => false,
            },
            keep: self.keep,
            providers: self.providers(),
        }
    }

    async fn accounts(&self, told: Told) -> Result<Response, Stop> {
        let mut known = Vec::new();
        for session in session::all(self.app, self.call).await? {
            let user = self.sign_ins().person(&session.subject).await?;
            if let Some(user) = user.filter(|user| session.speaks_for(user)) {
                known.push((session.id, user));
            }
        }
        let accounts: Vec<Account<'_>> =
            known.iter().map(|(id, user)| Account { id, person: person(user), signed_in: true }).collect();
        let action = self.action(Place::Account);
        let page = ChooseAccount { step: self.step(&action, &[], told), accounts: &accounts };
        Ok(self.answer(&Page::ChooseAccount(page)))
    }

    async fn consent(&self, subject: &UserId, told: Told) -> Result<Response, Stop> {
        let visit = Visit::resume(self.app, self.call, self.interaction.clone())?;
        let user = self.sign_ins().person(subject).await?.ok_or(Lost::Gone)?;
        let granted = visit.scope()?;
        let scopes: Vec<Scope<'_>> = granted.iter().map(|name| Scope { name, description: None }).collect();
        let details = details(visit.request().authorization_details.as_ref());
        let shown: Vec<pages::Detail<'_>> = details
            .iter()
            .map(|(title, members)| pages::Detail {
                title,
                members: members.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
            })
            .collect();
        // Who registered by themselves may call themselves anything: where the answer goes they cannot choose to hide.
        let host = visit.client().registration.as_ref().and_then(|_| host_of(visit.request().target.redirect_uri()));
        let action = self.action(Place::Consent);
        let page = Consent {
            step: pages::Step { cancel: false, ..self.step(&action, &[], told) },
            person: person(&user),
            scopes: &scopes,
            details: &shown,
            host,
        };
        Ok(self.answer(&Page::Consent(page)))
    }

    /// Whether the device that shows the code is let in.
    async fn device(&self, subject: &UserId, told: Told) -> Result<Response, Stop> {
        let admission = Admission::resume(self.app, self.call, self.interaction.clone()).await?;
        let user = self.sign_ins().person(subject).await?.ok_or(Lost::Gone)?;
        let asked = admission.asked();
        let scopes: Vec<Scope<'_>> = asked.scope.iter().map(|name| Scope { name, description: None }).collect();
        let action = self.action(Place::Device);
        let page = DeviceConfirm {
            step: pages::Step { cancel: false, ..self.step(&action, &[], told) },
            person: person(&user),
            user_code: admission.user_code(),
            scopes: &scopes,
            address: Some(&asked.from),
        };
        Ok(self.answer(&Page::DeviceConfirm(page)))
    }

    /// The sign-in under way.
    pub(super) async fn flow(&self, step: &SignInStep) -> Result<Flow, Stop> {
        Ok(self.sign_ins().by_grant(&step.grant).await?.ok_or(Lost::Gone)?)
    }

    async fn sign_in(&self, step: &SignInStep, place: Option<Place>, told: Told) -> Result<Option<Response>, Stop> {
        let flow = self.flow(step).await?;
        self.keeping(&flow).await?.sign_in_at(step, &flow, place, told).await
    }

    async fn sign_in_at(
        &self,
        step: &SignInStep,
        flow: &Flow,
        place: Option<Place>,
        told: Told,
    ) -> Result<Option<Response>, Stop> {
        let (open, all): (&Open, &[Issued]) = match &flow.stored.state.stage {
            Stage::ExpectFactor(open) => (open, &[]),
            Stage::ExpectResponse { open, issued } | Stage::Checking { open, issued, .. } => (open, issued),
            Stage::Proven { .. } => return Ok(None),
            Stage::ExpectEnrolment { .. } => {
                // The page that waits for a phone asks at an address of its own.
                if place.is_none() && enrol_phone::is_due(self, flow).await? {
                    return act::go(self.interaction, Place::Enrol).map(Some);
                }
                return self.enrol(flow, told).await.map(Some);
            }
            Stage::Issuing { .. } | Stage::Ready | Stage::Closed(_) => return Err(Lost::Gone.into()),
        };
        if let (Some(Place::Picture), Some(issued)) = (place, wait::awaited(Place::Picture, all)) {
            return self.picture(step, issued, told).await.map(Some);
        }
        if open.contact == Contact::First {
            return self.first(step, open, told).await.map(Some);
        }
        let ways = self.ways(flow, open).await?;
        let others = ways.len() > 1;
        let in_flight = all.last().filter(|one| otp::is_sent(one.kind));
        if let (Some(Place::Push), Some(issued)) = (place, wait::awaited(Place::Push, all)) {
            return self.push(issued, others, told).await.map(Some);
        }
        let asked = all.iter().rev().find(|one| one.kind == FactorKind::Questions);
        if let (Some(Place::Questions), Some(issued)) = (place, asked) {
            return self.questions(issued, others, told).await.map(Some);
        }
        if place.is_none() && all.last().is_some_and(|one| wait::is_push(one.kind)) {
            return act::go(self.interaction, Place::Push).map(Some);
        }
        match (place, ways.as_slice(), in_flight) {
            (_, [], _) => self.nothing(flow, told).await,
            (Some(Place::Way), [_, _, ..], _) => Ok(self.choose(&ways, told)),
            (Some(Place::Totp), all, _) if all.iter().any(|way| way.kind == FactorKind::Totp) => {
                Ok(self.totp(others, told))
            }
            (Some(Place::Bypass), all, _) if all.iter().any(|way| way.kind == FactorKind::BypassCode) => {
                Ok(self.bypass(others, told))
            }
            (Some(Place::Password), all, _) if all.iter().any(|way| way.kind == FactorKind::Password) => {
                self.again(flow, told).await
            }
            (_, _, Some(issued)) => self.code(issued, others, told).await,
            (_, [only], None) if only.kind == FactorKind::Totp => Ok(self.totp(others, told)),
            (_, [only], None) if only.kind == FactorKind::Password => self.again(flow, told).await,
            (_, all, None) => Ok(self.choose(all, told)),
        }
        .map(Some)
    }

    /// The ways this door can offer.
    pub(super) async fn ways(&self, flow: &Flow, open: &Open) -> Result<Vec<Way>, Stop> {
        let mut ways = self.sign_ins().ways(flow, open.any_of()).await?;
        ways.retain(|way| self.offers(way.kind));
        Ok(ways)
    }

    fn offers(&self, kind: FactorKind) -> bool {
        match kind {
            FactorKind::Password
            | FactorKind::EmailOtp
            | FactorKind::SmsOtp
            | FactorKind::VoiceOtp
            | FactorKind::Totp => true,
            FactorKind::Passkey => self.relying_party().is_some(),
            FactorKind::Questions | FactorKind::BypassCode | FactorKind::Federated => true,
            FactorKind::PushPresence | FactorKind::PushFingerprint | FactorKind::PushFace => {
                self.call.tenant.tenant.settings.push.enabled
            }
            FactorKind::Qr => {
                let push = &self.call.tenant.tenant.settings.push;
                push.enabled && push.qr
            }
        }
    }

    /// The relying party that our own pages may run a ceremony for.
    pub(super) fn relying_party(&self) -> Option<&'a RelyingParty> {
        relying_party(self.call)
    }

    async fn first(&self, step: &SignInStep, open: &Open, told: Told) -> Result<Response, Stop> {
        let has = |kind: FactorKind| open.any_of().contains(&kind) && self.offers(kind);
        let (passkey, picture) = (has(FactorKind::Passkey), has(FactorKind::Qr));
        let desk = Self { elsewhere: has(FactorKind::Federated), ..*self };
        desk.first_of(step, told, (has(FactorKind::Password), passkey, picture)).await
    }

    async fn first_of(
        &self,
        step: &SignInStep,
        told: Told,
        (password, passkey, picture): (bool, bool, bool),
    ) -> Result<Response, Stop> {
        let action = self.action(Place::Password);
        if !password {
            let begin = [(FactorKind::Passkey, passkey), (FactorKind::Qr, picture)];
            let ways: Vec<pages::Way<'_>> = begin
                .into_iter()
                .filter_map(|(kind, there)| there.then_some(pages::Way { id: kind.as_str(), kind, detail: "" }))
                .collect();
            if ways.is_empty() && !self.elsewhere {
                let page = NothingEnrolled { step: self.step(&action, &[], told), person: None };
                return Ok(self.answer(&Page::NothingEnrolled(page)));
            }
            let action = self.action(Place::Way);
            let page = ChooseWay { step: self.step(&action, &[], told), ways: &ways };
            return Ok(self.answer(&Page::ChooseWay(page)));
        }
        if let Some(known) = &step.known
            && let Some(user) = self.sign_ins().person(known).await?
        {
            // The name stands in a field of its own.
            let hidden = [("source", user.source.as_str())];
            let page = Reauthenticate {
                step: self.step(&action, &hidden, told),
                person: person(&user),
                other: true,
                passkey,
                passkey_options: None,
            };
            return Ok(self.answer(&Page::Reauthenticate(page)));
        }
        let sources: Vec<SourceChoice<'_>> = self
            .call
            .tenant
            .sources
            .iter()
            .filter(|source| source.kind == SourceKind::CloudDirectory)
            .map(|source| SourceChoice {
                id: source.id.as_str(),
                name: &source.name,
                selected: step.realm.as_deref() == Some(source.realm.as_str()),
            })
            .collect();
        let page = SignIn {
            step: self.step(&action, &[], told),
            username: step.username.as_deref().unwrap_or_default(),
            sources: &sources,
            passkey,
            picture,
            passkey_options: None,
        };
        Ok(self.answer(&Page::SignIn(page)))
    }

    pub(super) async fn nothing(&self, flow: &Flow, told: Told) -> Result<Response, Stop> {
        let user = self.subject(flow).await?;
        let action = self.action(Place::Way);
        let page = NothingEnrolled { step: self.step(&action, &[], told), person: user.as_ref().map(person) };
        Ok(self.answer(&Page::NothingEnrolled(page)))
    }

    async fn subject(&self, flow: &Flow) -> Result<Option<protocol::records::User>, Stop> {
        Ok(match &flow.stored.state.subject {
            Some(id) => self.sign_ins().person(&UserId(id.clone())).await?,
            None => None,
        })
    }

    /// The password of somebody known, as a further factor.
    async fn again(&self, flow: &Flow, told: Told) -> Result<Response, Stop> {
        let user = self.subject(flow).await?.ok_or(Lost::Gone)?;
        let action = self.action(Place::Password);
        let hidden = [("source", user.source.as_str())];
        let page = Reauthenticate {
            step: self.step(&action, &hidden, told),
            person: person(&user),
            other: false,
            passkey: false,
            passkey_options: None,
        };
        Ok(self.answer(&Page::Reauthenticate(page)))
    }

    fn choose(&self, ways: &[Way], told: Told) -> Response {
        let ids: Vec<String> = ways.iter().map(Way::id).collect();
        let shown: Vec<pages::Way<'_>> = ways
            .iter()
            .zip(&ids)
            .map(|(way, id)| pages::Way {
                id,
                kind: way.kind,
                detail: way.masked.as_deref().or(way.name.as_deref()).unwrap_or_default(),
            })
            .collect();
        let action = self.action(Place::Way);
        self.answer(&Page::ChooseWay(ChooseWay { step: self.step(&action, &[], told), ways: &shown }))
    }

    fn totp(&self, others: bool, told: Told) -> Response {
        let action = self.action(Place::Totp);
        let length = self.call.tenant.tenant.settings.totp.digits;
        let page = TotpEntry { step: self.step(&action, &[], told), length, others };
        self.answer(&Page::Totp(page))
    }

    fn bypass(&self, others: bool, told: Told) -> Response {
        let action = self.action(Place::Bypass);
        self.answer(&Page::Bypass(BypassEntry { step: self.step(&action, &[], told), others }))
    }

    /// A phone that was asked.
    async fn push(&self, issued: &Issued, others: bool, told: Told) -> Result<Response, Stop> {
        let id = ChallengeId(issued.challenge.clone());
        let challenge = self.sign_ins().challenge(&id).await?.ok_or(Lost::Gone)?;
        let standing = wait::Standing::of(&challenge, self.app.world.now());
        let enrolment = match &challenge.enrolment {
            Some(id) => self.sign_ins().enrolment(id).await?,
            None => None,
        };
        let device = enrolment.as_ref().and_then(|one| one.attributes.get("deviceName")?.as_str());
        let members = shown(&challenge);
        let told = match standing {
            wait::Standing::Over(problem) if told.problem.is_none() => Told::from(problem),
            _ => told,
        };
        let waiting = standing == wait::Standing::Waits && told.problem.is_none();
        let action = self.action(Place::Push);
        let look = self.look();
        let device = match device.filter(|name| !name.is_empty()) {
            Some(name) => name.to_owned(),
            None => look.say("phone", &[]),
        };
        let page = PushWait {
            step: self.step(&action, &[], told),
            device: &device,
            number: members.get("numberMatch").and_then(Value::as_str),
            waiting,
            others,
        };
        Ok(self.answer(&Page::Push(page)))
    }

    /// A picture that waits for a phone.
    async fn picture(&self, step: &SignInStep, issued: &Issued, told: Told) -> Result<Response, Stop> {
        let id = ChallengeId(issued.challenge.clone());
        let challenge = self.sign_ins().challenge(&id).await?.ok_or(Lost::Gone)?;
        let (text, told) = match wait::Standing::of(&challenge, self.app.world.now()) {
            wait::Standing::Over(problem) => (None, Told::from(problem)),
            wait::Standing::Waits | wait::Standing::Settled => {
                (Some(wait::text_of(&self.app.master, step, &challenge)?), told)
            }
        };
        let action = self.action(Place::Picture);
        let page = PicturePage { step: self.step(&action, &[], told), text: text.as_deref() };
        Ok(self.answer(&Page::Picture(page)))
    }

    async fn questions(&self, issued: &Issued, others: bool, told: Told) -> Result<Response, Stop> {
        let id = ChallengeId(issued.challenge.clone());
        let challenge = self.sign_ins().challenge(&id).await?.ok_or(Lost::Gone)?;
        let all = questions_of(&challenge);
        let questions: Vec<Question<'_>> = all.iter().map(|(_, text)| Question { text }).collect();
        let action = self.action(Place::Questions);
        let page = Questions { step: self.step(&action, &[], told), questions: &questions, others };
        Ok(self.answer(&Page::Questions(page)))
    }

    /// Where a password is replaced that proves nothing any more.
    pub(super) fn new_password(&self, username: &str, source: &str, told: Told) -> Response {
        let action = self.action(Place::NewPassword);
        let hidden = [("source", source)];
        let page = NewPassword {
            step: self.step(&action, &hidden, told),
            person: Person { name: None, username },
            fewest: fewest(self.call),
        };
        self.answer(&Page::NewPassword(page))
    }

    async fn code(&self, issued: &Issued, others: bool, told: Told) -> Result<Response, Stop> {
        let challenge = self.sign_ins().challenge(&ChallengeId(issued.challenge.clone())).await?;
        let members = challenge.as_ref().map(shown).unwrap_or_default();
        let text = |name: &str| members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let to = text("emailAddress").or_else(|| text("phoneNumber")).map(mask).unwrap_or_default();
        let settings = self.otp_settings(issued.kind);
        let action = self.action(Place::Code);
        let page = CodeEntry {
            step: self.step(&action, &[], told),
            kind: issued.kind,
            destination: &to,
            correlation: text("correlation"),
            length: settings.length,
            digits: settings.charset.bytes().all(|b| b.is_ascii_digit()),
            resent: told.resent,
            others,
        };
        Ok(self.answer(&Page::Code(page)))
    }

    pub(super) fn otp_settings(&self, kind: FactorKind) -> &'a OtpSettings {
        otp_settings(self.call, kind)
    }

    /// A ceremony that was just begun.
    pub(super) fn passkey(&self, options: &Value, others: bool) -> Response {
        let action = self.action(Place::Passkey);
        let page = PasskeyStep { step: self.step(&action, &[], Told::default()), options, others };
        self.answer(&Page::Passkey(page))
    }
}

/// The relying party that our own pages may run a ceremony for.
pub(super) fn relying_party(call: &Call) -> Option<&RelyingParty> {
    let host = call.host();
    let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
    // A ceremony works only at the party's own name and below it (WebAuthn §5.1.3): elsewhere no button must promise one.
    let below = |name: &str| host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
    let serves = |party: &&RelyingParty| party.enabled && party.origins.contains(&call.base) && below(&party.rp_id);
    call.tenant.relying_parties.iter().find(serves)
}

/// How codes of this kind are made.
pub(super) fn otp_settings(call: &Call, kind: FactorKind) -> &OtpSettings {
    let settings = &call.tenant.tenant.settings;
    match kind {
        FactorKind::SmsOtp => &settings.sms_otp,
        FactorKind::VoiceOtp => &settings.voice_otp,
        FactorKind::EmailOtp
        | FactorKind::Password
        | FactorKind::Passkey
        | FactorKind::Qr
        | FactorKind::Totp
        | FactorKind::Questions
        | FactorKind::PushPresence
        | FactorKind::PushFingerprint
        | FactorKind::PushFace
        | FactorKind::Federated
        | FactorKind::BypassCode => &settings.email_otp,
    }
}

/// Fewest characters of a new password.
pub(super) fn fewest(call: &Call) -> u8 {
    call.tenant.tenant.settings.password.shortest.max(8)
}

pub(super) fn person(user: &protocol::records::User) -> Person<'_> {
    let name = user.attributes.get("name").and_then(|values| values.first());
    Person { name: name.map(String::as_str), username: &user.username }
}

/// What `authorization_details` ask for, as words.
fn details(value: Option<&Value>) -> Vec<(String, Vec<(String, String)>)> {
    let list = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .filter_map(Value::as_object)
        .map(|one| {
            let title = one.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
            let members = one.iter().filter(|(name, _)| *name != "type").map(|(name, value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                (name.clone(), text)
            });
            (title, members.collect())
        })
        .collect()
}

fn host_of(uri: &str) -> Option<&str> {
    let rest = uri.split_once("://")?.1;
    rest.split(['/', '?', '#']).next().filter(|host| !host.is_empty())
}

/// How this tenant's pages look in the language that fits best.
pub fn look(app: &App, call: &Call, locales: &[String]) -> Look {
    let wished = locales.join(" ");
    let wished = (!wished.is_empty()).then_some(wished.as_str());
    Look::of(&call.tenant.tenant, Wanted::by(&call.headers, wished), &app.world)
}

/// A page that says what is wrong with a request: to the person, and nowhere else.
pub fn error(
    app: &App,
    call: &Call,
    locales: &[String],
    status: StatusCode,
    id: &'static str,
    phrase: &'static str,
    message_id: &'static str,
) -> Response {
    let request = crate::listen::current_request();
    let reference = request.as_ref().map_or(message_id, |request| request.as_str());
    let page = ErrorPage { status, id, phrase, reference, retry: None };
    Page::Error(page).answer(&look(app, call, locales))
}

/// A page for a failure of our own: logged here, once; nothing of it is shown.
pub fn fault(app: &App, call: &Call, locales: &[String], fault: &Fault) -> Response {
    fault.log();
    let (status, _) = reply::fault_status(fault);
    let response =
        error(app, call, locales, status, "server_error", "the server could not complete the request", "CSIAQ9998E");
    reply::retry_after(response, fault.unavailable.then_some(1))
}

/// The page of a browser without cookies.
pub fn cookies_needed(app: &App, call: &Call) -> Response {
    Page::CookiesNeeded(CookiesNeeded { retry: None }).answer(&look(app, call, &[]))
}

/// The page of a dialogue that is over.
pub fn expired(app: &App, call: &Call) -> Response {
    Page::Expired(Expired { retry: None, client: None }).answer(&look(app, call, &[]))
}

/// The page that posts an answer to the client.
pub fn form_post(
    app: &App,
    call: &Call,
    locales: &[String],
    action: &str,
    fields: &[(&'static str, String)],
) -> Response {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Page::FormPost(FormPost { action, fields: &fields, client: None }).answer(&look(app, call, locales))
}

/// Whether a form was sent by a page of ours, as far as the browser says (demand O-4): silence is no objection, the handle
/// and the cookie decide; a wrong word is.
pub fn is_from_here(headers: &HeaderMap, base: &str) -> bool {
    let word = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let origin = word(header::ORIGIN.as_str()).is_none_or(|origin| origin.eq_ignore_ascii_case(base));
    let site = word("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    origin && site
}
