//! A second account of a sign-in, kept beside the engine from what came in and what was recorded: who is being checked,
//! what was proved, which challenges the store holds alive. Every step is held against it.

use engine::policy::{Contact, Demand, Frequency, Outcome, Unenrolled, decide};
use engine::{
    Ask, Closure, Effect, Event, FactorKind, Level, Next, NotNow, Prompt, Proof, SignIn, Stage, Step, Verdict, Who,
};

use crate::support::Setting;

/// A proof that counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Counted {
    pub kind: FactorKind,
    pub subject: String,
    pub this_run: bool,
    pub first: bool,
    pub user_verified: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ghost {
    /// Charged for and not judged yet.
    charged: Option<Charged>,
    /// Proved, with its receipt.
    proved: Option<(FactorKind, String, String, bool)>,
    pub counted: Vec<Counted>,
    /// What the first contact asked for.
    asked_first: Vec<(Vec<FactorKind>, Frequency)>,
    /// Challenges alive in the store: name, kind, enrolment.
    alive: Vec<(String, FactorKind, Option<String>)>,
    /// A challenge being made.
    making: Option<(FactorKind, Option<String>)>,
    /// The highest level demanded so far.
    demanded: Option<Level>,
    /// An offer to enrol was declined.
    pub declined: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Charged {
    kind: FactorKind,
    /// None is a stranger.
    subject: Option<String>,
    challenge: Option<String>,
}

impl Ghost {
    /// The account as it begins, and the first step held against it.
    pub fn begin(setting: &Setting, step: &Step) -> Self {
        let mut ghost = Self {
            charged: None,
            proved: None,
            counted: Vec::new(),
            asked_first: Vec::new(),
            alive: Vec::new(),
            making: None,
            demanded: setting.at_least,
            declined: false,
        };
        if let Some(prior) = &setting.prior {
            ghost.counted.extend(prior.proofs.iter().map(|proof| Counted {
                kind: proof.kind,
                subject: prior.subject.clone(),
                this_run: proof.this_run,
                first: proof.first,
                user_verified: proof.user_verified,
            }));
        } else if let Some(policy) = &setting.policy {
            match decide(policy, Contact::First, &setting.before, &setting.offered).outcome {
                Outcome::Demand(demands) => ghost.asked_first = plain(&demands),
                Outcome::Deny | Outcome::Allow => assert!(matches!(step.sign_in.stage, Stage::Closed(_))),
            }
        } else {
            assert!(matches!(step.sign_in.stage, Stage::Closed(_)), "without a policy nobody begins");
        }
        assert_eq!(step.sign_in.failures, 0);
        assert_eq!(step.sign_in.subject, setting.prior.as_ref().map(|prior| prior.subject.clone()));
        if step.sign_in.stage == Stage::Ready {
            assert!(setting.prior.is_some(), "ready before anybody was known");
            ghost.must_be_enough(setting, &step.sign_in);
        }
        ghost.must_be_sound(step);
        ghost
    }

    /// One step held against the account.
    pub fn observe(&mut self, setting: &Setting, before: &SignIn, event: &Event<'_>, taken: &Result<Step, NotNow>) {
        let step = match taken {
            Ok(step) => step,
            Err(not_now) => {
                assert_eq!(*not_now == NotNow::Closed, matches!(before.stage, Stage::Closed(_)));
                return;
            }
        };
        let after = &step.sign_in;
        assert!(!matches!(before.stage, Stage::Closed(_)), "what is closed took a step");
        assert_eq!((after.policy, after.expires), (before.policy, before.expires));
        assert!(before.subject.is_none() || after.subject == before.subject, "the person changed");
        assert!(after.proofs.starts_with(&before.proofs), "a proof was dropped");
        let presented = matches!(event, Event::Continue { .. });
        let grew = presented || matches!(event, Event::Enrolled { .. });
        assert_eq!(after.proofs.len() - before.proofs.len(), usize::from(grew));
        assert_eq!(after.failures - before.failures, u32::from(self.must_fail(event)), "failures after {event:?}");
        let charges: Vec<_> = step
            .effects
            .iter()
            .filter_map(|effect| if let Effect::Charge { who, kind } = effect { Some((who, *kind)) } else { None })
            .collect();
        if let Next::Ask(Ask::Check { kind, who, enrolment, challenge }) = &step.next {
            assert_eq!(charges, [(who, *kind)], "checked without being charged for, once");
            assert!(matches!(after.stage, Stage::Checking { .. }), "checked before the charge is stored");
            assert!(asked_for(before).contains(kind), "{kind:?} was never asked for");
            assert!(
                !kind.needs_challenge()
                    || self.alive.iter().any(|(name, of, sent_to)| {
                        Some(name) == challenge.as_ref() && of == kind && (sent_to.is_none() || sent_to == enrolment)
                    }),
                "answers a challenge that is not alive, or went elsewhere"
            );
            assert!(before.subject.is_none() || *who == Who::Known(before.subject.clone().unwrap()));
        } else {
            assert!(charges.is_empty(), "charged for without a check");
        }
        self.follow(event, step);
        if after.stage == Stage::Ready {
            assert!(presented || matches!(event, Event::EndEnrolment { .. }), "ready after {event:?}");
            self.must_be_enough(setting, after);
        }
        self.must_be_sound(step);
        self.must_agree_on_challenges(after);
    }

    /// Whether this event is a wrong answer: a stranger's always is.
    fn must_fail(&self, event: &Event<'_>) -> bool {
        let stranger = self.charged.as_ref().is_some_and(|charged| charged.subject.is_none());
        match event {
            Event::Judged(Verdict::Failed { .. }) => true,
            Event::Judged(Verdict::Passed { .. }) => stranger,
            _ => false,
        }
    }

    fn follow(&mut self, event: &Event<'_>, step: &Step) {
        for effect in &step.effects {
            match effect {
                Effect::CancelChallenges { only: None } => self.alive.clear(),
                Effect::CancelChallenges { only: Some(these) } => {
                    let before = self.alive.len();
                    self.alive.retain(|(name, ..)| !these.contains(name));
                    assert_eq!(before - self.alive.len(), these.len(), "cancelled what was not alive");
                }
                Effect::Clear { subject, kind } => {
                    let of = self.charged.as_ref().map(|charged| (charged.kind, charged.subject.as_ref()));
                    assert_eq!(of, Some((*kind, Some(subject))), "cleared without a right answer");
                }
                Effect::Charge { .. } | Effect::Decided(_) => {}
            }
        }
        match event {
            Event::Issue { kind, enrolment, .. } => {
                self.forget();
                self.making = Some((*kind, enrolment.clone()));
            }
            Event::Issued { challenge } => {
                let (kind, enrolment) = self.making.take().expect("a challenge is being made");
                self.alive.push((challenge.clone(), kind, enrolment));
            }
            Event::Withdraw { challenge } => {
                self.forget();
                self.alive.retain(|(name, ..)| name != challenge);
            }
            Event::Submit { kind, who, challenge, .. } => {
                self.forget();
                let subject = if let Who::Known(subject) = who { Some(subject.clone()) } else { None };
                self.charged = Some(Charged { kind: *kind, subject, challenge: challenge.clone() });
            }
            Event::Judged(verdict) => {
                let Charged { kind, subject, challenge } = self.charged.take().expect("an answer is being judged");
                if *verdict == (Verdict::Failed { challenge_dead: true }) {
                    self.alive.retain(|(name, ..)| Some(name) != challenge.as_ref());
                }
                if let (Verdict::Passed { receipt, user_verified, .. }, Some(subject)) = (verdict, subject) {
                    assert!(matches!(step.next, Next::Show(Prompt::Present { .. })));
                    self.proved = Some((kind, subject, receipt.clone(), *user_verified));
                } else {
                    assert!(matches!(step.next, Next::Show(Prompt::Again { .. })));
                }
            }
            Event::Continue { receipt, at_least, .. } => {
                self.demanded = self.demanded.max(*at_least);
                let (kind, subject, expected, user_verified) = self.proved.take().expect("something is proved");
                assert_eq!(expected, *receipt);
                let first = self.counted.is_empty() && !self.asked_first.is_empty();
                self.counted.push(Counted { kind, subject, this_run: true, first, user_verified });
            }
            Event::Enrolled { kind, user_verified, .. } => {
                let subject = step.sign_in.subject.clone().expect("somebody enrols");
                let (kind, user_verified) = (*kind, *user_verified);
                self.counted.push(Counted { kind, subject, this_run: true, first: false, user_verified });
            }
            Event::EndEnrolment { .. } => self.declined |= step.sign_in.declined,
            Event::Refuse(_) => self.forget(),
            Event::Redeem => assert_eq!(step.sign_in.stage, Stage::Closed(Closure::Redeemed)),
        }
    }

    /// Another answer or challenge takes the place of what was being judged, or was proved and not presented.
    fn forget(&mut self) {
        self.charged = None;
        self.proved = None;
    }

    /// What holds wherever a sign-in stands.
    fn must_be_sound(&self, step: &Step) {
        let sign_in = &step.sign_in;
        let kept: Vec<_> =
            sign_in.proofs.iter().map(|proof| (proof.kind, proof.this_run, proof.first, proof.user_verified)).collect();
        let counted: Vec<_> =
            self.counted.iter().map(|one| (one.kind, one.this_run, one.first, one.user_verified)).collect();
        assert_eq!(kept, counted, "proofs are not those that were made");
        assert_eq!(sign_in.declined, self.declined, "declined by nobody");
        assert_eq!(sign_in.at_least, self.demanded, "the level demanded was forgotten or made up");
        let mut kinds: Vec<_> = self.alive.iter().map(|(_, kind, _)| *kind).collect();
        kinds.sort_unstable();
        assert!(kinds.windows(2).all(|two| two[0] != two[1]), "two challenges of one kind are alive");
        let subjects = self.counted.iter().all(|one| sign_in.subject.as_ref() == Some(&one.subject));
        assert!(subjects, "proofs of different people");
        match &sign_in.stage {
            Stage::ExpectFactor(open)
            | Stage::ExpectResponse { open, .. }
            | Stage::Issuing { open, .. }
            | Stage::Checking { open, .. }
            | Stage::ExpectEnrolment { open, .. }
            | Stage::Proven { open, .. } => {
                assert!(!open.any_of().is_empty(), "nothing that could be proved is asked for");
                assert!(open.demands.iter().all(|demand| !demand.any_of.is_empty()));
            }
            Stage::Ready => assert!(sign_in.subject.is_some(), "ready without a person"),
            Stage::Closed(Closure::Refused(refusal)) => {
                assert_eq!(step.next, Next::Show(Prompt::Refused(*refusal)));
            }
            Stage::Closed(Closure::Redeemed) => assert_eq!(step.next, Next::Show(Prompt::Done)),
        }
    }

    /// The challenges that may be answered are those the store holds alive.
    fn must_agree_on_challenges(&self, sign_in: &SignIn) {
        let mut in_flight: Vec<_> = match &sign_in.stage {
            Stage::ExpectResponse { issued, .. } | Stage::Issuing { issued, .. } | Stage::Checking { issued, .. } => {
                issued.iter().map(|one| (one.challenge.clone(), one.kind, one.enrolment.clone())).collect()
            }
            Stage::ExpectFactor(_) | Stage::ExpectEnrolment { .. } | Stage::Proven { .. } => Vec::new(),
            // What may still be alive cannot be answered any more.
            Stage::Ready | Stage::Closed(_) => return,
        };
        let mut alive = self.alive.clone();
        in_flight.sort();
        alive.sort();
        assert_eq!(in_flight, alive, "answers are taken to challenges that are dead in the store, or the other way");
    }

    /// What policy asked for was proved, each demand by a kind of its own.
    fn must_be_enough(&self, setting: &Setting, sign_in: &SignIn) {
        let reached = match self.demanded {
            None => true,
            Some(Level::One) => self.counted.iter().any(|one| one.kind != FactorKind::Questions),
            Some(Level::Two) => self.has_two(),
            Some(Level::PhishingResistant) => {
                self.has_two() && self.counted.iter().any(|one| one.kind == FactorKind::Passkey)
            }
        };
        assert!(reached, "{:?} was demanded, {:?} proved", self.demanded, self.counted);
        let here = |kind: FactorKind| self.counted.iter().any(|one| one.kind == kind && one.this_run);
        assert!(
            each_its_own(&self.asked_first, &|kind, _| here(kind), &mut Vec::new()),
            "{:?} was asked for first, {:?} proved",
            self.asked_first,
            self.counted
        );
        let Some(after) = &setting.after else {
            assert!(setting.policy.is_none(), "ready without asking the policy");
            return;
        };
        let decision = decide(after, Contact::After, &setting.known, &setting.offered);
        let anew = self.counted.iter().any(|one| one.first && one.this_run);
        assert!(anew || !decision.reauthenticate, "ready without having signed in anew");
        match decision.outcome {
            Outcome::Deny => panic!("ready though denied: {sign_in:?}"),
            Outcome::Allow => {}
            Outcome::Demand(mut demands) => {
                demands.retain(|demand| !self.excused(demand, setting));
                assert!(
                    each_its_own(&plain(&demands), &|kind, often| self.counts(kind, often, setting), &mut Vec::new()),
                    "{demands:?} was asked for, {:?} proved",
                    self.counted
                );
            }
        }
    }

    /// Whether the person may go without: it was offered to enrol what they lack, and they declined.
    pub fn excused(&self, demand: &Demand, setting: &Setting) -> bool {
        let lacks = |enrolled: &Vec<FactorKind>| {
            demand.any_of.iter().all(|kind| *kind != FactorKind::Password && !enrolled.contains(kind))
        };
        self.declined && demand.unenrolled == Unenrolled::Offer && setting.known.enrolled.known().is_some_and(lacks)
    }

    /// Whether this kind was proved so that it counts for a demand of this frequency.
    pub fn counts(&self, kind: FactorKind, often: Frequency, setting: &Setting) -> bool {
        let began = self.counted.iter().any(|one| one.kind == kind && one.first);
        let proved = self.counted.iter().any(|one| one.kind == kind && (one.this_run || often != Frequency::Always));
        let vouched = setting.prior.as_ref().map(|prior| &prior.subject);
        let person = vouched.or(self.counted.first().map(|one| &one.subject));
        let device = setting.known.remembered.known().filter(|device| Some(&device.subject) == person);
        let waived = often == Frequency::PerDevice && device.is_some_and(|device| device.kinds.contains(&kind));
        (proved || waived) && (setting.first_satisfies || !began)
    }
}

impl Ghost {
    /// Two factors that do not fall together, or a device that saw who holds it.
    fn has_two(&self) -> bool {
        use FactorKind::{
            BypassCode, EmailOtp, Federated, Passkey, Password, PushFace, PushFingerprint, PushPresence, Qr, Questions,
            SmsOtp, Totp, VoiceOtp,
        };
        const FALL_TOGETHER: [&[FactorKind]; 8] = [
            &[Password],
            &[EmailOtp],
            &[SmsOtp, VoiceOtp],
            &[Totp],
            &[Qr, PushPresence, PushFingerprint, PushFace],
            &[Passkey],
            &[BypassCode],
            &[Federated],
        ];
        let devices = [Totp, Qr, PushPresence, PushFingerprint, PushFace, Passkey];
        let alone = self.counted.iter().any(|one| one.user_verified && devices.contains(&one.kind));
        let means = FALL_TOGETHER.iter().filter(|kinds| self.counted.iter().any(|one| kinds.contains(&one.kind)));
        assert!(
            FALL_TOGETHER.concat().len() + 1 == FactorKind::ALL.len() && !FALL_TOGETHER.concat().contains(&Questions)
        );
        alone || means.count() > 1
    }
}

/// Tries every way of giving each demand a kind of its own.
pub fn each_its_own(
    demands: &[(Vec<FactorKind>, Frequency)],
    counts: &dyn Fn(FactorKind, Frequency) -> bool,
    used: &mut Vec<FactorKind>,
) -> bool {
    let Some(((any_of, often), rest)) = demands.split_first() else { return true };
    any_of.iter().any(|kind| {
        if used.contains(kind) || !counts(*kind, *often) {
            return false;
        }
        used.push(*kind);
        let found = each_its_own(rest, counts, used);
        used.pop();
        found
    })
}

fn plain(demands: &[Demand]) -> Vec<(Vec<FactorKind>, Frequency)> {
    demands.iter().map(|demand| (demand.any_of.clone(), demand.frequency)).collect()
}

/// What may be proved where a sign-in stands.
pub fn asked_for(sign_in: &SignIn) -> &[FactorKind] {
    match &sign_in.stage {
        Stage::ExpectFactor(open)
        | Stage::ExpectResponse { open, .. }
        | Stage::Issuing { open, .. }
        | Stage::Checking { open, .. }
        | Stage::Proven { open, .. } => open.any_of(),
        Stage::ExpectEnrolment { .. } | Stage::Ready | Stage::Closed(_) => &[],
    }
}

/// A proof as a grant keeps it from an earlier run.
pub fn kept(kind: FactorKind, this_run: bool, first: bool) -> Proof {
    Proof {
        kind,
        at: crate::support::NOW - 3600,
        enrolment: None,
        user_verified: false,
        this_run,
        first,
        upstream: None,
    }
}
