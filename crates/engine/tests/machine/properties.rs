//! What holds for every policy and every order of events.

use engine::FactorKind::{self, Password};
use engine::facts::{Fact, Facts, Remembered};
use engine::policy::{Contact, Frequency, Policy, Rule, Unenrolled};
use engine::{Event, Level, Prior, Refusal, SignIn, Stage, Verdict, Who, advance};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::generate::{World, numbered, offered, policy, world};
use crate::ghost::{Ghost, asked_for, kept};
use crate::naive::{Asks, deciding};
use crate::policies::demand;
use crate::support::{LIFETIME, NOW, Setting};

/// What to do next, made into an event where the sign-in stands.
#[derive(Clone, Debug)]
enum Move {
    /// Whatever leads on, taking this one of the factors asked for.
    Right(Index),
    Issue {
        kind: Index,
        enrolment: Option<u8>,
        who: Option<u8>,
    },
    Issued,
    Withdraw(Index),
    Submit {
        kind: Index,
        who: u8,
        challenge: Option<Index>,
    },
    Pass {
        user_verified: bool,
    },
    Fail {
        dead: bool,
    },
    Present {
        right: bool,
    },
    Enrol(Index),
    EndEnrolment,
    Refuse,
    Redeem,
    /// Facts are those of the other world from now on.
    Elsewhere,
    Wait(i64),
}

fn step() -> impl Strategy<Value = Move> {
    let index = any::<Index>;
    prop_oneof![
        12 => index().prop_map(Move::Right),
        2 => (index(), prop::option::of(0..3_u8), prop::option::of(0..3_u8))
            .prop_map(|(kind, enrolment, who)| Move::Issue { kind, enrolment, who }),
        1 => Just(Move::Issued),
        1 => index().prop_map(Move::Withdraw),
        3 => (index(), 0..3_u8, prop::option::of(index()))
            .prop_map(|(kind, who, challenge)| Move::Submit { kind, who, challenge }),
        1 => any::<bool>().prop_map(|user_verified| Move::Pass { user_verified }),
        2 => any::<bool>().prop_map(|dead| Move::Fail { dead }),
        2 => any::<bool>().prop_map(|right| Move::Present { right }),
        1 => Just(Move::Redeem),
        1 => index().prop_map(Move::Enrol),
        1 => Just(Move::EndEnrolment),
        1 => Just(Move::Elsewhere),
        1 => (0..40_i64).prop_map(Move::Wait),
        1 => prop::bool::weighted(0.2).prop_map(|refuse| if refuse { Move::Refuse } else { Move::Issued }),
    ]
}

fn who(number: u8) -> Who {
    match number {
        0 => Who::Known("scott".to_owned()),
        1 => Who::Known("pat".to_owned()),
        _ => Who::Nobody,
    }
}

fn in_flight(state: &SignIn) -> &[engine::Issued] {
    match &state.stage {
        Stage::ExpectResponse { issued, .. } | Stage::Issuing { issued, .. } | Stage::Checking { issued, .. } => issued,
        Stage::ExpectFactor(_)
        | Stage::Proven { .. }
        | Stage::ExpectEnrolment { .. }
        | Stage::Ready
        | Stage::Closed(_) => &[],
    }
}

fn enrolled(kind: FactorKind, fresh: &str) -> Event<'static> {
    Event::Enrolled { kind, enrolment: format!("enrolment-{fresh}"), user_verified: false }
}

/// One of those asked for that can be enrolled.
fn enrollable(open: &engine::Open, choice: &Index) -> FactorKind {
    let kinds: Vec<FactorKind> =
        open.any_of().iter().copied().filter(|kind| !matches!(kind, FactorKind::Qr | FactorKind::BypassCode)).collect();
    *choice.get(&kinds)
}

/// Of the factors asked for mostly, of all sometimes.
fn pick(kind: Index, state: &SignIn) -> FactorKind {
    let asked = asked_for(state);
    let nth = kind.index(asked.len() * 3 + FactorKind::ALL.len());
    if nth < asked.len() * 3 { asked[nth % asked.len()] } else { FactorKind::ALL[nth - asked.len() * 3] }
}

impl Move {
    /// The event; none where only the world moved. `fresh` names what the driver would draw.
    fn event<'a>(&self, state: &SignIn, setting: &'a Setting, fresh: &str, receipt: &'a str) -> Option<Event<'a>> {
        let passed = |user_verified| {
            Event::Judged(Verdict::Passed { receipt: format!("receipt-{fresh}"), user_verified, upstream: None })
        };
        let issued = || Event::Issued { challenge: format!("challenge-{fresh}") };
        Some(match self {
            Self::Right(choice) => match &state.stage {
                Stage::ExpectFactor(open) | Stage::ExpectResponse { open, .. } => {
                    let kind = *choice.get(open.any_of());
                    let who = Who::Known(state.subject.clone().unwrap_or_else(|| "scott".to_owned()));
                    let challenge = in_flight(state).iter().find(|one| one.kind == kind);
                    if kind.needs_challenge() && challenge.is_none() {
                        return Some(Event::Issue { kind, enrolment: Some(kind.as_str().to_owned()), who: Some(who) });
                    }
                    let enrolment = challenge.and_then(|one| one.enrolment.clone());
                    Event::Submit { kind, who, enrolment, challenge: challenge.map(|one| one.challenge.clone()) }
                }
                Stage::Issuing { .. } => issued(),
                Stage::Checking { .. } => passed(false),
                Stage::Proven { .. } => setting.present(receipt),
                Stage::ExpectEnrolment { met: true, .. } => setting.end_enrolment(),
                Stage::ExpectEnrolment { open, .. } => enrolled(enrollable(open, choice), fresh),
                Stage::Ready | Stage::Closed(_) => Event::Redeem,
            },
            Self::Issue { kind, enrolment, who: number } => Event::Issue {
                kind: pick(*kind, state),
                enrolment: enrolment.map(|number| format!("enrolment-{number}")),
                who: number.map(who),
            },
            Self::Issued => issued(),
            Self::Withdraw(which) => Event::Withdraw {
                challenge: match in_flight(state) {
                    [] => "challenge-0".to_owned(),
                    some => which.get(some).challenge.clone(),
                },
            },
            Self::Submit { kind, who: number, challenge } => {
                let flying = in_flight(state);
                let challenge = challenge.filter(|_| !flying.is_empty()).map(|which| which.get(flying));
                Event::Submit {
                    kind: challenge.map_or_else(|| pick(*kind, state), |one| one.kind),
                    who: who(*number),
                    enrolment: challenge.and_then(|one| one.enrolment.clone()),
                    challenge: challenge.map(|one| one.challenge.clone()),
                }
            }
            Self::Pass { user_verified } => passed(*user_verified),
            Self::Fail { dead } => Event::Judged(Verdict::Failed { challenge_dead: *dead }),
            Self::Present { right } => setting.present(if *right { receipt } else { "receipt" }),
            Self::Enrol(choice) => enrolled(*choice.get(&FactorKind::ALL), fresh),
            Self::EndEnrolment => setting.end_enrolment(),
            Self::Refuse => Event::Refuse(Refusal::NotEntitled),
            Self::Redeem => Event::Redeem,
            Self::Elsewhere | Self::Wait(_) => return None,
        })
    }
}

/// A random policy that mostly lets a password begin.
fn beginnable() -> impl Strategy<Value = Policy> {
    (policy(), prop::bool::weighted(0.8), any::<bool>(), prop::bool::weighted(0.9)).prop_map(
        |(mut policy, begins, allows, enforced)| {
            policy.enforced = enforced;
            let rule = |contact, action| Rule {
                id: String::new(),
                name: "a rule".to_owned(),
                always: false,
                contact,
                conditions: Vec::new(),
                action,
                unenrolled: Unenrolled::Ask,
                reauthenticate: false,
            };
            if begins {
                let at = policy.rules.len() / 2;
                policy.rules.insert(at, rule(Contact::First, demand(&[Password], Frequency::Always)));
            }
            if allows {
                policy.rules.push(rule(Contact::After, engine::policy::Action::Allow));
            }
            policy.rules = numbered(policy.rules);
            policy
        },
    )
}

fn prior() -> impl Strategy<Value = Option<Prior>> {
    let proof = (prop::sample::select(FactorKind::ALL.to_vec()), prop::bool::weighted(0.2));
    let proofs = prop::collection::vec(proof, 0..=3).prop_map(|drawn| Prior {
        subject: "scott".to_owned(),
        proofs: drawn.into_iter().enumerate().map(|(nth, (kind, this_run))| kept(kind, this_run, nth == 0)).collect(),
    });
    prop::option::weighted(0.3, proofs)
}

/// A setting and the two worlds its facts come from.
#[derive(Clone, Debug)]
struct Scene {
    setting: Setting,
    worlds: [World; 2],
}

impl Scene {
    /// What is known of the person from now on is what this world says.
    fn enter(&mut self, nth: usize) {
        let remembered = self.setting.known.remembered.clone();
        let enrolled = self.setting.known.enrolled.clone();
        self.setting.known = Facts { remembered, enrolled, ..self.worlds[nth % 2].facts() };
    }
}

fn level() -> impl Strategy<Value = Option<Level>> {
    prop::option::weighted(0.3, prop::sample::select(vec![Level::One, Level::Two, Level::PhishingResistant]))
}

/// The device of the request: unknown, or trusted by somebody for some factors.
fn device() -> impl Strategy<Value = Fact<Remembered>> {
    let kinds = prop::sample::subsequence(FactorKind::ALL.to_vec(), 0..=4);
    let device = (prop::sample::select(vec!["scott", "pat"]), kinds)
        .prop_map(|(subject, kinds)| Remembered { subject: subject.to_owned(), kinds });
    prop::option::of(device).prop_map(Fact::from)
}

/// What the person has enrolled: unknown, nothing, or some.
fn has() -> impl Strategy<Value = Fact<Vec<FactorKind>>> {
    let kinds = prop::sample::subsequence(FactorKind::ALL[1..11].to_vec(), 0..=2);
    prop::option::weighted(0.8, kinds).prop_map(Fact::from)
}

fn scene() -> impl Strategy<Value = Scene> {
    let offered = prop_oneof![2 => Just(FactorKind::ALL.to_vec()), 1 => offered()];
    let levels = (level(), level(), device(), has());
    (prop::option::weighted(0.95, beginnable()), world(), world(), offered, prior(), any::<bool>(), levels).prop_map(
        |(policy, here, elsewhere, offered, prior, first_satisfies, (at_least, raised, remembered, enrolled))| Scene {
            setting: Setting {
                after: policy.clone(),
                policy,
                before: World { admin: None, ..here.clone() }.facts(),
                known: Facts { remembered, enrolled, ..here.facts() },
                offered,
                first_satisfies,
                at_least,
                raised,
                prior,
            },
            worlds: [here, elsewhere],
        },
    )
}

/// Where a random flow came to.
struct Played {
    state: SignIn,
    /// How often it stood at `Ready`.
    ready: bool,
}

/// Plays the moves, every step held against the second account and taken from the stored form of the last.
fn play(mut scene: Scene, moves: &[Move]) -> Played {
    let begun = scene.setting.begin(NOW);
    let mut ghost = Ghost::begin(&scene.setting, &begun);
    let mut state = begun.sign_in;
    let (mut now, mut at) = (NOW, 0);
    let mut ready = state.stage == Stage::Ready;
    if ready {
        must_satisfy_every_completion(&ghost, &scene, at);
    }
    for (nth, step) in moves.iter().enumerate() {
        match step {
            Move::Wait(seconds) => now += seconds,
            Move::Elsewhere => {
                at += 1;
                scene.enter(at);
            }
            _ => {}
        }
        let receipt = if let Stage::Proven { receipt, .. } = &state.stage { receipt.clone() } else { String::new() };
        let fresh = nth.to_string();
        let make = || step.event(&state, &scene.setting, &fresh, &receipt);
        let (Some(event), Some(same)) = (make(), make()) else { continue };
        let taken = advance(state.clone(), event, now);
        if now >= NOW + LIFETIME {
            assert!(taken.is_err(), "a step after the end of time");
        } else if taken.is_err() {
            assert_ne!(taken.clone().unwrap_err(), engine::NotNow::Expired);
        }
        ghost.observe(&scene.setting, &state, &same, &taken);
        let Ok(step) = taken else { continue };
        if step.sign_in.stage == Stage::Ready {
            ready = true;
            must_satisfy_every_completion(&ghost, &scene, at);
        }
        let stored = serde_json::to_string(&step.sign_in).unwrap();
        state = serde_json::from_str(&stored).unwrap();
        assert_eq!(state, step.sign_in, "what is stored is not what was meant");
    }
    Played { state, ready }
}

/// However the facts nobody knew turn out, no rule denies and each rule that decides has its proof: by the second
/// evaluator, which knows neither the engine's decision nor its bookkeeping.
fn must_satisfy_every_completion(ghost: &Ghost, scene: &Scene, at: usize) {
    let Some(policy) = scene.setting.after.as_ref().filter(|policy| policy.enforced) else { return };
    for world in scene.worlds[at % 2].completions() {
        for ask in deciding(policy, Contact::After, &world, &scene.setting.offered) {
            match ask {
                Asks::Deny => panic!("ready though denied in {world:?}"),
                Asks::Nothing => {}
                Asks::One(demand) => assert!(
                    ghost.excused(&demand, &scene.setting)
                        || demand.any_of.iter().any(|kind| ghost.counts(*kind, demand.frequency, &scene.setting)),
                    "{demand:?} was asked for in {world:?}, {:?} proved",
                    ghost.counted
                ),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_through_without_the_proofs_policy_asked_for(
        scene in scene(), moves in prop::collection::vec(step(), 0..40),
    ) {
        play(scene, &moves);
    }

    /// Whoever proves what is asked for is through, or refused, in bounded time: policy never asks in a circle.
    #[test]
    fn whoever_does_what_is_asked_comes_to_an_end(scene in scene(), choices in prop::collection::vec(any::<Index>(), 60)) {
        let moves: Vec<Move> = choices.into_iter().map(Move::Right).collect();
        let played = play(scene, &moves);
        prop_assert!(matches!(played.state.stage, Stage::Closed(_)), "stands at {:?}", played.state.stage);
    }

    #[test]
    fn what_is_closed_stays_closed(
        scene in scene(), choices in prop::collection::vec(any::<Index>(), 60), moves in prop::collection::vec(step(), 0..40),
    ) {
        let mut all: Vec<Move> = choices.into_iter().map(Move::Right).collect();
        let closed = play(scene.clone(), &all).state;
        prop_assert!(matches!(closed.stage, Stage::Closed(_)));
        all.extend(moves);
        prop_assert_eq!(play(scene, &all).state, closed);
    }

    /// The transcript must not tell a wrong password from a person who does not exist.
    #[test]
    fn strangers_are_treated_like_wrong_answers(
        scene in scene(), moves in prop::collection::vec(step(), 0..30), verdicts in prop::collection::vec(any::<bool>(), 30),
    ) {
        let mut scene = scene;
        scene.setting.prior = None;
        let tell = |stranger: bool| {
            let mut script = crate::support::Script::begin(scene.setting.clone());
            for (nth, (step, passes)) in moves.iter().zip(&verdicts).enumerate() {
                let fresh = nth.to_string();
                let event = match step.event(&script.state, &scene.setting, &fresh, "") {
                    Some(Event::Submit { kind, enrolment, challenge, .. }) => {
                        let who = if stranger { Who::Nobody } else { Who::Known("nobody".to_owned()) };
                        Event::Submit { kind, who, enrolment, challenge }
                    }
                    Some(Event::Issue { kind, enrolment, who: Some(_) }) => {
                        let who = if stranger { Who::Nobody } else { Who::Known("nobody".to_owned()) };
                        Event::Issue { kind, enrolment, who: Some(who) }
                    }
                    Some(Event::Judged(Verdict::Passed { .. })) if stranger && *passes => {
                        // A check that passes a stranger by mistake still looks like one that failed.
                        script.judged_alike(true);
                        continue;
                    }
                    Some(Event::Judged(Verdict::Passed { .. })) => {
                        script.judged_alike(false);
                        continue;
                    }
                    Some(event) => event,
                    None => continue,
                };
                script.does(event);
            }
            (script.transcript(), script.state)
        };
        let ((of_stranger, stranger), (of_person, person)) = (tell(true), tell(false));
        prop_assert_eq!(of_stranger, of_person);
        prop_assert_eq!(stranger.failures, person.failures);
        prop_assert!(stranger.subject.is_none() && stranger.proofs.is_empty());
    }
}

/// A tripwire for the generator: random flows must come through, be denied, be redeemed and stand half way, or the
/// properties above would prove little.
#[test]
fn random_flows_come_everywhere() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut ready, mut denied, mut redeemed, mut halfway, mut several) = (0, 0, 0, 0, 0);
    for _ in 0..400 {
        let (scene, moves) = (scene(), prop::collection::vec(step(), 0..40)).new_tree(&mut runner).unwrap().current();
        let played = play(scene, &moves);
        ready += usize::from(played.ready);
        several += usize::from(played.state.proofs.iter().filter(|proof| proof.this_run).count() > 1);
        match played.state.stage {
            Stage::Closed(engine::Closure::Redeemed) => redeemed += 1,
            Stage::Closed(engine::Closure::Refused(_)) => denied += 1,
            _ => halfway += 1,
        }
    }
    let counts = [ready, denied, redeemed, halfway, several];
    assert!(counts.iter().all(|count| *count >= 20), "ready, denied, redeemed, half way, several proofs: {counts:?}");
}
