//! Every state of every small policy: all events of a small alphabet at each, breadth first, until nothing new comes up.

use std::collections::{HashSet, VecDeque};

use engine::FactorKind::{self, EmailOtp, Passkey, Password};
use engine::policy::{Action, Condition, Contact, Finding, Frequency, Policy, Rule};
use engine::{Closure, Event, Level, Refusal, SignIn, Stage, Who, advance};
use insta::assert_snapshot;

use crate::ghost::{Ghost, kept};
use crate::policies::{demand, policy, rule, setting};
use crate::support::{NOW, Setting, failed, failed_for_good, issue, issued, known, passed, submit, withdraw};

const KINDS: [FactorKind; 3] = [Password, EmailOtp, Passkey];

/// Nobody knows whether it holds, so the rule and those behind it are both taken.
fn perhaps() -> Condition {
    Condition::Finding { finding: Finding::NewDevice, expected: true }
}

/// One rule, or one that perhaps holds with another behind it.
fn up_to_two(contact: Contact, actions: &[Action]) -> Vec<Vec<Rule>> {
    let mut all: Vec<Vec<Rule>> =
        actions.iter().map(|action| vec![rule("1", contact, Vec::new(), action.clone())]).collect();
    for one in actions {
        for other in actions.iter().filter(|other| *other != one) {
            let perhaps = rule("1", contact, vec![perhaps()], one.clone());
            all.push(vec![perhaps, rule("2", contact, Vec::new(), other.clone())]);
        }
    }
    all
}

fn policies() -> Vec<Policy> {
    let often = Frequency::Always;
    let begins = [demand(&[Password], often), demand(&[EmailOtp], often), demand(&[Password, Passkey], often)];
    let follows = [
        Action::Deny,
        Action::Allow,
        demand(&[EmailOtp], often),
        demand(&[EmailOtp, Passkey], often),
        demand(&[Passkey], Frequency::PerGrant),
    ];
    let mut all = Vec::new();
    for first in up_to_two(Contact::First, &begins) {
        for after in up_to_two(Contact::After, &follows) {
            all.push(policy(first.iter().chain(&after).cloned().collect()));
        }
    }
    all
}

/// Everything that may come in where it stands, under names that come back, so that states do.
fn alphabet<'a>(state: &'a SignIn, setting: &'a Setting) -> Vec<Event<'a>> {
    let mut events = vec![
        issue(EmailOtp, Some("mail"), None),
        issue(EmailOtp, None, Some(Who::Nobody)),
        issue(Passkey, None, None),
        withdraw("email-otp"),
        withdraw("passkey"),
        passed("receipt"),
        failed(),
        failed_for_good(),
        setting.present("receipt"),
        setting.present("another"),
        setting.end_enrolment(),
        Event::Refuse(Refusal::NotEntitled),
        Event::Redeem,
    ];
    if let Stage::Issuing { kind, enrolment, .. } = &state.stage {
        events.push(issued(&format!("{}{}", kind.as_str(), enrolment.as_deref().unwrap_or_default())));
    } else {
        events.push(issued("unasked"));
    }
    for kind in KINDS {
        for who in [known("scott"), known("pat"), Who::Nobody] {
            events.push(submit(kind, who, None, Some(kind.as_str())));
        }
    }
    events.push(submit(EmailOtp, known("scott"), Some("mail"), Some("email-otpmail")));
    events.push(submit(EmailOtp, known("scott"), Some("mail"), Some("passkey")));
    events.push(submit(EmailOtp, known("scott"), Some("another"), Some("email-otpmail")));
    events
}

#[derive(Default)]
struct Tally {
    states: usize,
    steps: usize,
    refused: usize,
    ready: usize,
    longest: usize,
    /// Policies under which somebody comes through.
    passable: usize,
}

fn walk(setting: &Setting, tally: &mut Tally) {
    let begun = setting.begin(NOW);
    let ghost = Ghost::begin(setting, &begun);
    let mut seen = HashSet::new();
    let mut queue = VecDeque::from([(begun.sign_in, ghost, 0)]);
    let ready_before = tally.ready;
    while let Some((state, ghost, depth)) = queue.pop_front() {
        if !seen.insert((format!("{:?}{:?}", state.proofs, state.stage), ghost.clone())) {
            continue;
        }
        tally.states += 1;
        tally.longest = tally.longest.max(depth);
        match &state.stage {
            Stage::Ready => tally.ready += 1,
            Stage::Closed(Closure::Refused(_)) => tally.refused += 1,
            _ => {}
        }
        let mut accepted = 0;
        for event in alphabet(&state, setting) {
            let mut ghost = ghost.clone();
            let taken = advance(state.clone(), again(&event, setting), NOW);
            ghost.observe(setting, &state, &event, &taken);
            if let Ok(step) = taken {
                accepted += 1;
                // How many wrong answers there were changes nothing that follows.
                queue.push_back((SignIn { failures: 0, ..step.sign_in }, ghost, depth + 1));
            }
        }
        assert_eq!(accepted == 0, matches!(state.stage, Stage::Closed(_)), "stuck at {:?}", state.stage);
        tally.steps += accepted;
    }
    tally.passable += usize::from(tally.ready > ready_before);
}

/// The same event once more: events are spent by the step they take.
fn again<'a>(event: &Event<'a>, setting: &'a Setting) -> Event<'a> {
    match event {
        Event::Issue { kind, enrolment, who } => {
            Event::Issue { kind: *kind, enrolment: enrolment.clone(), who: who.clone() }
        }
        Event::Issued { challenge } => issued(challenge),
        Event::Withdraw { challenge } => withdraw(challenge),
        Event::Submit { kind, who, enrolment, challenge } => {
            submit(*kind, who.clone(), enrolment.as_deref(), challenge.as_deref())
        }
        Event::Judged(verdict) => Event::Judged(verdict.clone()),
        Event::Continue { receipt, .. } => setting.present(receipt),
        Event::Enrolled { kind, enrolment, user_verified } => {
            Event::Enrolled { kind: *kind, enrolment: enrolment.clone(), user_verified: *user_verified }
        }
        Event::EndEnrolment { .. } => setting.end_enrolment(),
        Event::Refuse(refusal) => Event::Refuse(*refusal),
        Event::Redeem => Event::Redeem,
    }
}

impl Tally {
    fn tell(&self, policies: usize) -> String {
        format!(
            "{policies} policies, {} let somebody through\n{} states, {} steps, longest way {}\n{} ready, {} refused",
            self.passable, self.states, self.steps, self.longest, self.ready, self.refused
        )
    }
}

#[test]
fn every_state_of_small_policies_is_sound() {
    let policies = policies();
    let mut tally = Tally::default();
    for policy in &policies {
        walk(&setting(Some(policy.clone()), None, &[]), &mut tally);
    }
    assert_snapshot!(tally.tell(policies.len()), @r"
    225 policies, 123 let somebody through
    6854 states, 22391 steps, longest way 14
    271 ready, 1249 refused
    ");
}

#[test]
fn every_state_of_small_policies_is_sound_where_the_first_factor_satisfies() {
    let policies = policies();
    let mut tally = Tally::default();
    for policy in &policies {
        walk(&Setting { first_satisfies: true, ..setting(Some(policy.clone()), None, &[]) }, &mut tally);
    }
    assert_snapshot!(tally.tell(policies.len()), @r"
    225 policies, 144 let somebody through
    7004 states, 22462 steps, longest way 14
    377 ready, 1240 refused
    ");
}

#[test]
fn every_state_of_a_renewed_grant_is_sound() {
    let policies = policies();
    let mut tally = Tally::default();
    for policy in &policies {
        let proofs = vec![kept(Password, false, true), kept(Passkey, false, false)];
        let prior = Some(engine::Prior { subject: "scott".to_owned(), proofs });
        walk(&Setting { prior, ..setting(Some(policy.clone()), None, &[]) }, &mut tally);
    }
    assert_snapshot!(tally.tell(policies.len()), @r"
    225 policies, 144 let somebody through
    1566 states, 3402 steps, longest way 6
    171 ready, 360 refused
    ");
}

#[test]
fn every_state_where_a_level_is_demanded_is_sound() {
    let policies = policies();
    let mut told = Vec::new();
    for (at_least, raised) in
        [(Some(Level::One), None), (Some(Level::Two), None), (None, Some(Level::PhishingResistant))]
    {
        let mut tally = Tally::default();
        for policy in &policies {
            walk(&Setting { at_least, raised, ..setting(Some(policy.clone()), None, &[]) }, &mut tally);
        }
        told.push(tally.tell(policies.len()));
    }
    assert_snapshot!(told.join("\n"), @r"
    225 policies, 123 let somebody through
    6854 states, 22391 steps, longest way 14
    271 ready, 1249 refused
    225 policies, 123 let somebody through
    7049 states, 23043 steps, longest way 14
    279 ready, 1270 refused
    225 policies, 123 let somebody through
    7275 states, 23381 steps, longest way 14
    272 ready, 1319 refused
    ");
}
