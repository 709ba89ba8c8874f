//! The state machine: what each event does at each stage.

use std::borrow::Cow;

use crate::event::{Ask, Effect, Event, Next, NotNow, Prompt, Start, Step, Verdict, Who};
use crate::facts::Facts;
use crate::policy::{Contact, Demand, Frequency, LOCAL, Outcome, Policy, Unenrolled, decide, outstanding};
use crate::sign_in::{Closure, Issued, Open, PolicyRef, Proof, Refusal, SignIn, Stage, Timestamp, Upstream};
use crate::{FactorKind, Level, Strength};

/// What policy is asked with once the person is known.
struct Circumstances<'a> {
    after: Option<&'a Policy>,
    facts: &'a Facts,
    offered: &'a [FactorKind],
    first_satisfies: bool,
}

/// Begins a sign-in: asks the first-contact rules, or, where somebody is known already, the after-contact rules.
pub fn begin(start: Start<'_>, now: Timestamp) -> Step {
    let mut sign_in = SignIn {
        policy: start.policy.map(|policy| PolicyRef { id: policy.id, revision: policy.revision }),
        expires: start.expires,
        subject: None,
        proofs: Vec::new(),
        failures: 0,
        at_least: start.at_least,
        declined: false,
        stage: Stage::Ready,
    };
    if now >= start.expires {
        return refuse(sign_in, Refusal::DeniedByPolicy, Vec::new());
    }
    if let Some(prior) = start.prior {
        sign_in.subject = Some(prior.subject);
        sign_in.proofs = prior.proofs;
        let Start { after, facts, offered, first_satisfies, .. } = start;
        return after_contact(sign_in, &Circumstances { after, facts, offered, first_satisfies }, Vec::new());
    }
    // Nobody is known and no policy says which factor may begin: fail closed.
    let Some(policy) = start.policy else {
        return refuse(sign_in, Refusal::DeniedByPolicy, Vec::new());
    };
    let decision = decide(policy, Contact::First, start.facts, start.offered);
    let effects = vec![Effect::Decided(Box::new(decision.record))];
    match decision.outcome {
        Outcome::Demand(demands) if !demands.is_empty() => expect(sign_in, Contact::First, demands, effects),
        // "Allow" before anybody is known would sign in nobody.
        Outcome::Demand(_) | Outcome::Allow | Outcome::Deny => refuse(sign_in, Refusal::DeniedByPolicy, effects),
    }
}

/// Takes one step. The old sign-in is consumed, so no step can be taken twice.
///
/// # Errors
/// [`NotNow`] when the event does not fit; nothing happened then.
pub fn advance(sign_in: SignIn, event: Event<'_>, now: Timestamp) -> Result<Step, NotNow> {
    if let Stage::Closed(_) = sign_in.stage {
        return Err(NotNow::Closed);
    }
    if now >= sign_in.expires {
        return Err(NotNow::Expired);
    }
    match event {
        Event::Issue { kind, enrolment, who } => issue(sign_in, kind, enrolment, who),
        Event::Issued { challenge } => issued(sign_in, challenge),
        Event::Withdraw { challenge } => withdraw(sign_in, &challenge),
        Event::Submit { kind, who, enrolment, challenge } => submit(sign_in, kind, who, enrolment, challenge),
        Event::Judged(verdict) => judged(sign_in, verdict, now),
        Event::Continue { receipt, after, facts, offered, first_satisfies, at_least } => {
            let sign_in = SignIn { at_least: sign_in.at_least.max(at_least), ..sign_in };
            go_on(sign_in, receipt, &Circumstances { after, facts, offered, first_satisfies })
        }
        Event::Enrolled { kind, enrolment, user_verified } => enrolled(sign_in, kind, enrolment, user_verified, now),
        Event::EndEnrolment { after, facts, offered, first_satisfies } => {
            end_enrolment(sign_in, &Circumstances { after, facts, offered, first_satisfies })
        }
        Event::Refuse(refusal) => match sign_in.stage {
            Stage::Proven { .. } | Stage::ExpectEnrolment { .. } | Stage::Ready => {
                Ok(refuse(sign_in, refusal, Vec::new()))
            }
            Stage::ExpectFactor(_)
            | Stage::Issuing { .. }
            | Stage::ExpectResponse { .. }
            | Stage::Checking { .. }
            | Stage::Closed(_) => Err(NotNow::OutOfTurn),
        },
        Event::Redeem => match sign_in.stage {
            Stage::Ready => Ok(show(sign_in, Stage::Closed(Closure::Redeemed), Prompt::Done, Vec::new())),
            Stage::ExpectFactor(_)
            | Stage::Issuing { .. }
            | Stage::ExpectResponse { .. }
            | Stage::Checking { .. }
            | Stage::Proven { .. }
            | Stage::ExpectEnrolment { .. }
            | Stage::Closed(_) => Err(NotNow::OutOfTurn),
        },
    }
}

/// What is open, and what is in flight, wherever an answer or a new challenge is welcome.
fn take_open(stage: Stage) -> Result<(Open, Vec<Issued>), NotNow> {
    match stage {
        Stage::ExpectFactor(open) => Ok((open, Vec::new())),
        Stage::ExpectResponse { open, issued } => Ok((open, issued)),
        // A proof whose receipt was never asked for may be made again.
        Stage::Proven { open, .. } => Ok((open, Vec::new())),
        // A check that was charged but never judged (the process died) left its charge behind and goes on here.
        Stage::Checking { open, issued, .. } => Ok((open, issued)),
        Stage::Issuing { .. } | Stage::ExpectEnrolment { .. } | Stage::Ready | Stage::Closed(_) => {
            Err(NotNow::OutOfTurn)
        }
    }
}

fn allowed(open: &Open, kind: FactorKind) -> Result<(), NotNow> {
    if open.any_of().contains(&kind) { Ok(()) } else { Err(NotNow::NotAllowed { any_of: open.any_of().to_vec() }) }
}

fn same_person(subject: Option<&String>, who: &Who) -> Result<(), NotNow> {
    match (subject, who) {
        (Some(fixed), Who::Known(named)) if fixed != named => Err(NotNow::OtherPerson),
        (Some(_), Who::Nobody) => Err(NotNow::OtherPerson),
        (Some(_) | None, _) => Ok(()),
    }
}

fn issue(mut sign_in: SignIn, kind: FactorKind, enrolment: Option<String>, who: Option<Who>) -> Result<Step, NotNow> {
    let (open, mut in_flight) = take_open(sign_in.stage)?;
    allowed(&open, kind)?;
    if !kind.needs_challenge() {
        return Err(NotNow::OutOfTurn);
    }
    if let Some(who) = &who {
        same_person(sign_in.subject.as_ref(), who)?;
    }
    // One at a time of each kind: what was sent before must not be guessed at as well. Other kinds are left alone.
    let superseded: Vec<String> = in_flight.extract_if(.., |one| one.kind == kind).map(|one| one.challenge).collect();
    let effects =
        if superseded.is_empty() { Vec::new() } else { vec![Effect::CancelChallenges { only: Some(superseded) }] };
    sign_in.stage = Stage::Issuing { open, issued: in_flight, kind, enrolment: enrolment.clone() };
    Ok(Step { sign_in, next: Next::Ask(Ask::Issue { kind, enrolment }), effects })
}

fn issued(mut sign_in: SignIn, challenge: String) -> Result<Step, NotNow> {
    match sign_in.stage {
        Stage::Issuing { open, issued: mut in_flight, kind, enrolment } => {
            in_flight.push(Issued { challenge: challenge.clone(), kind, enrolment });
            sign_in.stage = Stage::ExpectResponse { open, issued: in_flight };
            Ok(Step { sign_in, next: Next::Show(Prompt::Respond { challenge, kind }), effects: Vec::new() })
        }
        Stage::ExpectFactor(_)
        | Stage::ExpectResponse { .. }
        | Stage::Checking { .. }
        | Stage::Proven { .. }
        | Stage::ExpectEnrolment { .. }
        | Stage::Ready
        | Stage::Closed(_) => Err(NotNow::OutOfTurn),
    }
}

fn withdraw(sign_in: SignIn, challenge: &str) -> Result<Step, NotNow> {
    let (stage, rest) = split(sign_in);
    let (open, mut in_flight) = take_open(stage)?;
    let before = in_flight.len();
    in_flight.retain(|one| one.challenge != challenge);
    if in_flight.len() == before {
        return Err(NotNow::NoChallenge);
    }
    let prompt = Prompt::Choose { contact: open.contact, any_of: open.any_of().to_vec() };
    Ok(show(rest, reopen(open, in_flight), prompt, Vec::new()))
}

fn submit(
    sign_in: SignIn,
    kind: FactorKind,
    who: Who,
    enrolment: Option<String>,
    challenge: Option<String>,
) -> Result<Step, NotNow> {
    let (stage, mut sign_in) = split(sign_in);
    let (open, in_flight) = take_open(stage)?;
    allowed(&open, kind)?;
    same_person(sign_in.subject.as_ref(), &who)?;
    if kind.needs_challenge() {
        // What was sent to one enrolment must not count as a proof of another. A passkey may be asked for by no name.
        let fits = |one: &Issued| {
            Some(&one.challenge) == challenge.as_ref()
                && one.kind == kind
                && (one.enrolment.is_none() || one.enrolment == enrolment)
        };
        if !in_flight.iter().any(fits) {
            return Err(NotNow::NoChallenge);
        }
    }
    let subject = match &who {
        Who::Known(subject) => Some(subject.clone()),
        Who::Nobody => None,
    };
    let effects = vec![Effect::Charge { who: who.clone(), kind }];
    sign_in.stage = Stage::Checking {
        open,
        issued: in_flight,
        kind,
        enrolment: enrolment.clone(),
        challenge: challenge.clone(),
        subject,
    };
    Ok(Step { sign_in, next: Next::Ask(Ask::Check { kind, who, enrolment, challenge }), effects })
}

fn judged(sign_in: SignIn, verdict: Verdict, now: Timestamp) -> Result<Step, NotNow> {
    let (stage, sign_in) = split(sign_in);
    let Stage::Checking { open, mut issued, kind, enrolment, challenge, subject } = stage else {
        return Err(NotNow::OutOfTurn);
    };
    match (verdict, subject) {
        (Verdict::Passed { receipt, user_verified, upstream }, Some(subject)) => {
            let first = sign_in.subject.is_none() && sign_in.proofs.is_empty();
            let proof = Proof { kind, at: now, enrolment, user_verified, this_run: true, first, upstream };
            let effects =
                vec![Effect::Clear { subject: subject.clone(), kind }, Effect::CancelChallenges { only: None }];
            let prompt = Prompt::Present { proof: proof.clone(), subject: subject.clone(), receipt: receipt.clone() };
            Ok(show(sign_in, Stage::Proven { open, proof, subject, receipt }, prompt, effects))
        }
        // A stranger can only fail, whatever the check says, and it counts like any other failure.
        (Verdict::Passed { .. }, None) => Ok(wrong(sign_in, open, issued)),
        (Verdict::Failed { challenge_dead }, _) => {
            if challenge_dead {
                issued.retain(|one| Some(&one.challenge) != challenge.as_ref());
            }
            Ok(wrong(sign_in, open, issued))
        }
    }
}

fn wrong(mut sign_in: SignIn, open: Open, issued: Vec<Issued>) -> Step {
    sign_in.failures = sign_in.failures.saturating_add(1);
    let prompt = Prompt::Again { any_of: open.any_of().to_vec() };
    show(sign_in, reopen(open, issued), prompt, Vec::new())
}

fn go_on(sign_in: SignIn, presented: &str, now: &Circumstances<'_>) -> Result<Step, NotNow> {
    let (stage, mut sign_in) = split(sign_in);
    let Stage::Proven { mut open, proof, subject, receipt } = stage else {
        return Err(NotNow::OutOfTurn);
    };
    if receipt != presented {
        return Err(NotNow::WrongReceipt);
    }
    same_person(sign_in.subject.as_ref(), &Who::Known(subject.clone()))?;
    sign_in.subject = Some(subject);
    sign_in.proofs.push(proof);
    // First-contact rules can leave more than one demand (an unknown fact): each is worked off before policy is asked again.
    open.demands.remove(0);
    if open.contact == Contact::First && !open.demands.is_empty() {
        return Ok(expect(sign_in, Contact::First, open.demands, Vec::new()));
    }
    Ok(after_contact(sign_in, now, Vec::new()))
}

/// Asks the after-contact rules what is still missing for the person now known, and then whether the level is reached.
fn after_contact(sign_in: SignIn, now: &Circumstances<'_>, mut effects: Vec<Effect>) -> Step {
    let Some(policy) = now.after else {
        // Where a policy governs the sign-in, none handed over is one that went missing, not one that asks for nothing.
        return match sign_in.policy {
            None => reach(sign_in, now.offered, effects),
            Some(_) => refuse(sign_in, Refusal::DeniedByPolicy, effects),
        };
    };
    let facts = with_upstream(policy, &sign_in, now.facts);
    let decision = decide(policy, Contact::After, &facts, now.offered);
    effects.push(Effect::Decided(Box::new(decision.record)));
    let fresh = || sign_in.proofs.iter().any(|proof| proof.first && proof.this_run);
    match decision.outcome {
        Outcome::Allow | Outcome::Demand(_) if decision.reauthenticate && !fresh() => {
            refuse(sign_in, Refusal::Reauthenticate, effects)
        }
        Outcome::Deny => refuse(sign_in, Refusal::DeniedByPolicy, effects),
        Outcome::Allow => reach(sign_in, now.offered, effects),
        Outcome::Demand(demands) => match still_missing(&sign_in, &demands, now) {
            None => refuse(sign_in, Refusal::DeniedByPolicy, effects),
            Some(left) => ask(sign_in, left, now, effects),
        },
    }
}

/// The facts, with what is known of where the person signed in: told by the proof that began, and looked at by few policies.
fn with_upstream<'f>(policy: &Policy, sign_in: &SignIn, facts: &'f Facts) -> Cow<'f, Facts> {
    if !policy.looks_upstream() {
        return Cow::Borrowed(facts);
    }
    let local = || Upstream { provider: LOCAL.to_owned(), ..Upstream::default() };
    let said = sign_in.proofs.iter().find(|proof| proof.first).and_then(|proof| match proof.kind {
        FactorKind::Federated => proof.upstream.as_deref().cloned(),
        _ => Some(local()),
    });
    Cow::Owned(Facts { upstream: said.into(), ..facts.clone() })
}

/// Asks for what is left, or has it enrolled where policy lets people who lack it do so.
fn ask(sign_in: SignIn, mut left: Vec<Demand>, now: &Circumstances<'_>, effects: Vec<Effect>) -> Step {
    // An offer that was declined asks for nothing more; whatever else is demanded stands.
    left.retain(|demand| !(sign_in.declined && demand.unenrolled == Unenrolled::Offer && lacks(demand, now.facts)));
    let Some(first) = left.first() else { return reach(sign_in, now.offered, effects) };
    if first.unenrolled == Unenrolled::Ask || !lacks(first, now.facts) || enrollable(&first.any_of).is_empty() {
        return expect(sign_in, Contact::After, left, effects);
    }
    // A stolen password must not enrol its way past the factors there are: one of them is proved first.
    let enrolled = now.facts.enrolled.known().map(Vec::as_slice).unwrap_or_default();
    let mut usable: Vec<FactorKind> =
        now.offered.iter().copied().filter(|kind| enrolled.contains(kind) && *kind != FactorKind::Password).collect();
    // What others may find out does not stand in for anything better.
    let weak = |kind: &FactorKind| kind.strength() == Strength::Weak;
    if !usable.iter().all(weak) {
        usable.retain(|kind| !weak(kind));
    }
    if !usable.is_empty() && now.offered.contains(&FactorKind::BypassCode) {
        // A code that was handed out for when they are not at hand stands in for them.
        usable.push(FactorKind::BypassCode);
    }
    let proved = sign_in.proofs.iter().any(|proof| proof.this_run && usable.contains(&proof.kind));
    if !usable.is_empty() && !proved {
        let demand = Demand { any_of: usable, frequency: Frequency::Always, unenrolled: Unenrolled::Ask };
        return expect(sign_in, Contact::After, vec![demand], effects);
    }
    let prompt = enrol_prompt(first, false);
    let open = Open { contact: Contact::After, demands: left };
    show(sign_in, Stage::ExpectEnrolment { open, met: false }, prompt, effects)
}

/// Whether the person is known to have none of the factors of a demand. A password is nothing one enrols in passing.
fn lacks(demand: &Demand, facts: &Facts) -> bool {
    facts.enrolled.known().is_some_and(|enrolled| {
        !demand.any_of.iter().any(|kind| *kind == FactorKind::Password || enrolled.contains(kind))
    })
}

/// The kinds of these that a person can enrol.
fn enrollable(kinds: &[FactorKind]) -> Vec<FactorKind> {
    let enrols = |kind: &FactorKind| match kind {
        FactorKind::Password | FactorKind::Qr | FactorKind::BypassCode | FactorKind::Federated => false,
        FactorKind::Passkey
        | FactorKind::EmailOtp
        | FactorKind::SmsOtp
        | FactorKind::VoiceOtp
        | FactorKind::Totp
        | FactorKind::Questions
        | FactorKind::PushPresence
        | FactorKind::PushFingerprint
        | FactorKind::PushFace => true,
    };
    kinds.iter().copied().filter(enrols).collect()
}

fn enrol_prompt(demand: &Demand, met: bool) -> Prompt {
    Prompt::Enrol { any_of: enrollable(&demand.any_of), required: demand.unenrolled != Unenrolled::Offer, met }
}

fn enrolled(
    sign_in: SignIn,
    kind: FactorKind,
    enrolment: String,
    user_verified: bool,
    now: Timestamp,
) -> Result<Step, NotNow> {
    let (stage, mut sign_in) = split(sign_in);
    let Stage::ExpectEnrolment { open, .. } = stage else { return Err(NotNow::OutOfTurn) };
    allowed(&open, kind)?;
    let prompt = match open.demands.first() {
        Some(demand) => enrol_prompt(demand, true),
        None => return Err(NotNow::OutOfTurn),
    };
    let enrolment = Some(enrolment);
    let proof = Proof { kind, at: now, enrolment, user_verified, this_run: true, first: false, upstream: None };
    sign_in.proofs.push(proof);
    Ok(show(sign_in, Stage::ExpectEnrolment { open, met: true }, prompt, Vec::new()))
}

fn end_enrolment(sign_in: SignIn, now: &Circumstances<'_>) -> Result<Step, NotNow> {
    let (stage, mut sign_in) = split(sign_in);
    let Stage::ExpectEnrolment { open, met } = stage else { return Err(NotNow::OutOfTurn) };
    if !met {
        if open.demands.first().is_none_or(|demand| demand.unenrolled != Unenrolled::Offer) {
            return Err(NotNow::MustEnrol);
        }
        sign_in.declined = true;
    }
    Ok(after_contact(sign_in, now, Vec::new()))
}

/// What of these demands is neither proved nor, where that is enough, remembered of a device that this very person trusted.
fn still_missing(sign_in: &SignIn, demands: &[Demand], now: &Circumstances<'_>) -> Option<Vec<Demand>> {
    let remembered = now.facts.remembered.known().filter(|device| Some(&device.subject) == sign_in.subject.as_ref());
    let kinds = remembered.map_or(&[][..], |device| &device.kinds);
    outstanding(demands, &sign_in.proofs, kinds, now.first_satisfies)
}

/// Policy is content: what is still missing for the level, where one is demanded.
fn reach(sign_in: SignIn, offered: &[FactorKind], effects: Vec<Effect>) -> Step {
    let Some(level) = sign_in.at_least.filter(|level| Level::of(&sign_in.proofs) < Some(*level)) else {
        return show(sign_in, Stage::Ready, Prompt::Finish, effects);
    };
    let any_of = level.reached_by(offered, &sign_in.proofs);
    if any_of.is_empty() {
        return refuse(sign_in, Refusal::LevelOutOfReach, effects);
    }
    expect(
        sign_in,
        Contact::After,
        vec![Demand { any_of, frequency: Frequency::Always, unenrolled: Unenrolled::Ask }],
        effects,
    )
}

fn expect(sign_in: SignIn, contact: Contact, demands: Vec<Demand>, effects: Vec<Effect>) -> Step {
    let open = Open { contact, demands };
    let prompt = Prompt::Choose { contact, any_of: open.any_of().to_vec() };
    show(sign_in, Stage::ExpectFactor(open), prompt, effects)
}

fn refuse(sign_in: SignIn, refusal: Refusal, mut effects: Vec<Effect>) -> Step {
    effects.push(Effect::CancelChallenges { only: None });
    show(sign_in, Stage::Closed(Closure::Refused(refusal)), Prompt::Refused(refusal), effects)
}

fn reopen(open: Open, issued: Vec<Issued>) -> Stage {
    if issued.is_empty() { Stage::ExpectFactor(open) } else { Stage::ExpectResponse { open, issued } }
}

fn show(mut sign_in: SignIn, stage: Stage, prompt: Prompt, effects: Vec<Effect>) -> Step {
    sign_in.stage = stage;
    Step { sign_in, next: Next::Show(prompt), effects }
}

/// Takes the stage out, so that it can be matched by value; every path puts one back.
fn split(mut sign_in: SignIn) -> (Stage, SignIn) {
    let stage = std::mem::replace(&mut sign_in.stage, Stage::Ready);
    (stage, sign_in)
}
