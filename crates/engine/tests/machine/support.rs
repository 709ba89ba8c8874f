//! A driver without a world: takes steps and writes down, a line each, what came in, what must be recorded, what is asked
//! and where the sign-in stands.

use std::fmt::Write;

use engine::facts::Facts;
use engine::policy::{Contact, Demand, Frequency, Outcome, Policy, Unenrolled};
use engine::{
    Ask, Closure, Effect, Event, FactorKind, Level, Next, NotNow, Prior, Prompt, Refusal, SignIn, Stage, Start, Step,
    Verdict, Who, advance, begin,
};

/// When scripts begin.
pub const NOW: i64 = 1_800_000_000;
/// How long a sign-in lasts.
pub const LIFETIME: i64 = 600;

/// What a flow is played under.
#[derive(Clone, Debug)]
pub struct Setting {
    pub policy: Option<Policy>,
    pub after: Option<Policy>,
    /// What is known while nobody is.
    pub before: Facts,
    /// What is known once the person is.
    pub known: Facts,
    pub offered: Vec<FactorKind>,
    pub first_satisfies: bool,
    /// The level demanded when it begins, and when a receipt comes back.
    pub at_least: Option<Level>,
    pub raised: Option<Level>,
    pub prior: Option<Prior>,
}

impl Setting {
    pub fn begin(&self, now: i64) -> Step {
        let start = Start {
            policy: self.policy.as_ref(),
            after: self.after.as_ref(),
            facts: if self.prior.is_some() { &self.known } else { &self.before },
            offered: &self.offered,
            prior: self.prior.clone(),
            first_satisfies: self.first_satisfies,
            at_least: self.at_least,
            expires: NOW + LIFETIME,
        };
        begin(start, now)
    }

    /// The receipt comes back, under what is known of the person.
    pub fn present<'a>(&'a self, receipt: &'a str) -> Event<'a> {
        Event::Continue {
            receipt,
            after: self.after.as_ref(),
            facts: &self.known,
            offered: &self.offered,
            first_satisfies: self.first_satisfies,
            at_least: self.raised,
        }
    }
}

impl Setting {
    /// Nothing more is enrolled, under what is known of the person.
    pub fn end_enrolment(&self) -> Event<'_> {
        Event::EndEnrolment {
            after: self.after.as_ref(),
            facts: &self.known,
            offered: &self.offered,
            first_satisfies: self.first_satisfies,
        }
    }
}

pub fn known(subject: &str) -> Who {
    Who::Known(subject.to_owned())
}

pub fn issue(kind: FactorKind, enrolment: Option<&str>, who: Option<Who>) -> Event<'static> {
    Event::Issue { kind, enrolment: enrolment.map(str::to_owned), who }
}

pub fn issued(challenge: &str) -> Event<'static> {
    Event::Issued { challenge: challenge.to_owned() }
}

pub fn withdraw(challenge: &str) -> Event<'static> {
    Event::Withdraw { challenge: challenge.to_owned() }
}

pub fn submit(kind: FactorKind, who: Who, enrolment: Option<&str>, challenge: Option<&str>) -> Event<'static> {
    Event::Submit { kind, who, enrolment: enrolment.map(str::to_owned), challenge: challenge.map(str::to_owned) }
}

pub fn passed(receipt: &str) -> Event<'static> {
    Event::Judged(Verdict::Passed { receipt: receipt.to_owned(), user_verified: false, upstream: None })
}

pub fn failed() -> Event<'static> {
    Event::Judged(Verdict::Failed { challenge_dead: false })
}

pub fn failed_for_good() -> Event<'static> {
    Event::Judged(Verdict::Failed { challenge_dead: true })
}

/// A flow and its transcript.
#[derive(Clone)]
pub struct Script {
    pub state: SignIn,
    pub now: i64,
    setting: Setting,
    log: String,
}

impl Script {
    pub fn begin(setting: Setting) -> Self {
        let step = setting.begin(NOW);
        let mut script = Self { state: step.sign_in.clone(), now: NOW, setting, log: String::new() };
        script.write("> begin");
        script.took(step);
        script
    }

    pub fn setting(&mut self) -> &mut Setting {
        &mut self.setting
    }

    /// One event. What does not fit is written down and changes nothing, as in a driver that keeps what it loaded.
    pub fn does(&mut self, event: Event<'_>) -> &mut Self {
        self.write(&format!("> {}", came_in(&event)));
        match advance(self.state.clone(), event, self.now) {
            Ok(step) => self.took(step),
            Err(not_now) => self.write(&format!("  not now: {}", spell_not_now(&not_now))),
        }
        self
    }

    pub fn presents(&mut self, receipt: &str) -> &mut Self {
        let setting = self.setting.clone();
        self.does(setting.present(receipt))
    }

    /// A challenge asked for and made.
    pub fn is_sent(&mut self, kind: FactorKind, enrolment: &str, challenge: &str) -> &mut Self {
        self.does(issue(kind, Some(enrolment), None)).does(issued(challenge))
    }

    /// A verdict that must lead to the same: wrong, or right for somebody who does not exist. Written down alike.
    pub fn judged_alike(&mut self, right: bool) {
        let verdict = if right { passed("receipt") } else { failed() };
        self.write("> judged");
        match advance(self.state.clone(), verdict, self.now) {
            Ok(step) => self.took(step),
            Err(not_now) => self.write(&format!("  not now: {}", spell_not_now(&not_now))),
        }
    }

    pub fn redeems(&mut self) -> &mut Self {
        self.does(Event::Redeem)
    }

    /// The clock is set so many seconds after the beginning.
    pub fn at(&mut self, seconds: i64) -> &mut Self {
        self.now = NOW + seconds;
        self.write(&format!("> {seconds} seconds after it began"));
        self
    }

    /// What was written down so far; the log starts anew.
    pub fn transcript(&mut self) -> String {
        std::mem::take(&mut self.log)
    }

    fn took(&mut self, step: Step) {
        for effect in &step.effects {
            self.write(&format!("  record: {}", spell_effect(effect)));
        }
        self.write(&format!("  {}", spell_next(&step.next)));
        self.write(&format!("  stands: {}", spell_stage(&step.sign_in.stage)));
        self.state = step.sign_in;
    }

    fn write(&mut self, line: &str) {
        writeln!(self.log, "{line}").unwrap();
    }
}

fn came_in(event: &Event<'_>) -> String {
    match event {
        Event::Issue { kind, enrolment, who } => {
            let who = who.as_ref().map(|who| format!(" for {}", spell_who(who))).unwrap_or_default();
            format!("issue {}{}{who}", kind.as_str(), to(enrolment.as_ref()))
        }
        Event::Issued { challenge } => format!("issued {challenge}"),
        Event::Withdraw { challenge } => format!("withdraw {challenge}"),
        Event::Submit { kind, who, enrolment, challenge } => format!(
            "submit {} by {}{}{}",
            kind.as_str(),
            spell_who(who),
            to(enrolment.as_ref()),
            challenge.as_ref().map(|challenge| format!(" answering {challenge}")).unwrap_or_default()
        ),
        Event::Judged(Verdict::Passed { receipt, user_verified, .. }) => {
            format!("passed, receipt {receipt}{}", if *user_verified { ", user verified" } else { "" })
        }
        Event::Judged(Verdict::Failed { challenge_dead }) => {
            format!("failed{}", if *challenge_dead { ", challenge dead" } else { "" })
        }
        Event::Continue { receipt, .. } => format!("present {receipt}"),
        Event::Enrolled { kind, enrolment, .. } => format!("enrolled {} as {enrolment}", kind.as_str()),
        Event::EndEnrolment { .. } => "no more to enrol".to_owned(),
        Event::Refuse(refusal) => format!("refuse {}", spell_refusal(*refusal)),
        Event::Redeem => "redeem".to_owned(),
    }
}

fn to(enrolment: Option<&String>) -> String {
    enrolment.map(|enrolment| format!(" with {enrolment}")).unwrap_or_default()
}

fn spell_who(who: &Who) -> &str {
    match who {
        Who::Known(subject) => subject,
        Who::Nobody => "nobody",
    }
}

pub fn spell_kinds(kinds: &[FactorKind]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    format!("[{}]", names.join(" "))
}

pub fn spell_demands(demands: &[Demand]) -> String {
    let each: Vec<String> = demands
        .iter()
        .map(|demand| {
            let often = match demand.frequency {
                Frequency::Always => "",
                Frequency::PerGrant => " once per grant",
                Frequency::PerDevice => " once per device",
            };
            let lacking = match demand.unenrolled {
                Unenrolled::Ask => "",
                Unenrolled::Require => " or enrol",
                Unenrolled::Offer => " or enrol or decline",
            };
            format!("{}{often}{lacking}", spell_kinds(&demand.any_of))
        })
        .collect();
    each.join(" and ")
}

pub fn spell_outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Deny => "deny".to_owned(),
        Outcome::Allow => "allow".to_owned(),
        Outcome::Demand(demands) => format!("demand {}", spell_demands(demands)),
    }
}

pub fn spell_contact(contact: Contact) -> &'static str {
    match contact {
        Contact::First => "first",
        Contact::After => "after",
    }
}

fn spell_effect(effect: &Effect) -> String {
    match effect {
        Effect::Charge { who, kind } => format!("charge {} for {}", spell_who(who), kind.as_str()),
        Effect::Clear { subject, kind } => format!("clear {} for {}", subject, kind.as_str()),
        Effect::CancelChallenges { only: None } => "cancel all challenges".to_owned(),
        Effect::CancelChallenges { only: Some(challenges) } => format!("cancel {}", challenges.join(" ")),
        Effect::Decided(record) => format!(
            "{} contact of policy {} revision {}, rules [{}]: {}",
            spell_contact(record.contact),
            record.policy,
            record.revision,
            record.deciding.join(" "),
            spell_outcome(&record.outcome)
        ),
    }
}

fn spell_next(next: &Next) -> String {
    match next {
        Next::Ask(Ask::Issue { kind, enrolment }) => {
            format!("ask: make a challenge for {}{}", kind.as_str(), to(enrolment.as_ref()))
        }
        Next::Ask(Ask::Check { kind, who, enrolment, challenge }) => format!(
            "ask: check {} of {}{}{}",
            kind.as_str(),
            spell_who(who),
            to(enrolment.as_ref()),
            challenge.as_ref().map(|challenge| format!(" against {challenge}")).unwrap_or_default()
        ),
        Next::Show(prompt) => format!("show: {}", spell_prompt(prompt)),
    }
}

fn spell_prompt(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Choose { contact, any_of } => {
            format!("choose {} at {} contact", spell_kinds(any_of), spell_contact(*contact))
        }
        Prompt::Respond { challenge, kind } => format!("respond to {challenge} ({})", kind.as_str()),
        Prompt::Again { any_of } => format!("wrong, again {}", spell_kinds(any_of)),
        Prompt::Present { proof, subject, receipt } => {
            let first = if proof.first { ", first" } else { "" };
            format!("present {receipt} for {}{} of {subject}{first}", proof.kind.as_str(), to(proof.enrolment.as_ref()))
        }
        Prompt::Enrol { any_of, required, met } => {
            let must = if *required { ", required" } else { "" };
            let done = if *met { ", one is there" } else { "" };
            format!("enrol {}{must}{done}", spell_kinds(any_of))
        }
        Prompt::Finish => "finish".to_owned(),
        Prompt::Done => "done".to_owned(),
        Prompt::Refused(refusal) => format!("refused, {}", spell_refusal(*refusal)),
    }
}

fn spell_refusal(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::DeniedByPolicy => "denied by policy",
        Refusal::NotEntitled => "not entitled",
        Refusal::LevelOutOfReach => "level out of reach",
        Refusal::MustEnrol => "must enrol",
        Refusal::Reauthenticate => "must sign in anew",
    }
}

pub fn spell_not_now(not_now: &NotNow) -> String {
    match not_now {
        NotNow::NotAllowed { any_of } => format!("{not_now}, {}", spell_kinds(any_of)),
        other => other.to_string(),
    }
}

pub fn spell_stage(stage: &Stage) -> String {
    let in_flight = |issued: &[engine::Issued]| {
        if issued.is_empty() {
            return String::new();
        }
        let names: Vec<&str> = issued.iter().map(|one| one.challenge.as_str()).collect();
        format!(", in flight {}", names.join(" "))
    };
    match stage {
        Stage::ExpectFactor(open) => format!("expect-factor {}", spell_demands(&open.demands)),
        Stage::Issuing { kind, issued, .. } => format!("issuing {}{}", kind.as_str(), in_flight(issued)),
        Stage::ExpectResponse { open, issued } => {
            format!("expect-response {}{}", spell_demands(&open.demands), in_flight(issued))
        }
        Stage::Checking { kind, issued, .. } => format!("checking {}{}", kind.as_str(), in_flight(issued)),
        Stage::Proven { proof, .. } => format!("proven {}", proof.kind.as_str()),
        Stage::ExpectEnrolment { open, met } => {
            format!("expect-enrolment {}{}", spell_demands(&open.demands), if *met { ", met" } else { "" })
        }
        Stage::Ready => "ready".to_owned(),
        Stage::Closed(Closure::Redeemed) => "closed, redeemed".to_owned(),
        Stage::Closed(Closure::Refused(refusal)) => format!("closed, {}", spell_refusal(*refusal)),
    }
}
