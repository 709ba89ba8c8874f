//! What holds for every policy.

use engine::FactorKind;
use engine::facts::Fact;
use engine::policy::{Contact, Demand, Frequency, Outcome, Truth, decide};
use proptest::prelude::*;

use crate::generate::{contact, numbered, offered, policy, rule, unenrolled, world};
use crate::naive::{Asks, anew, deciding, obeys, together};

fn outcome() -> impl Strategy<Value = Outcome> {
    let kinds = prop::sample::subsequence(FactorKind::ALL[..5].to_vec(), 1..=3);
    let frequency = prop::sample::select(vec![Frequency::PerDevice, Frequency::PerGrant, Frequency::Always]);
    let demand = (kinds, frequency, unenrolled())
        .prop_map(|(any_of, frequency, unenrolled)| Outcome::Demand(vec![Demand { any_of, frequency, unenrolled }]));
    prop_oneof![1 => Just(Outcome::Deny), 1 => Just(Outcome::Allow), 4 => demand]
}

fn share_nothing(asks: &[Asks]) -> bool {
    let demands: Vec<&Demand> =
        asks.iter().filter_map(|ask| if let Asks::One(demand) = ask { Some(demand) } else { None }).collect();
    demands.iter().enumerate().all(|(position, one)| {
        demands[..position].iter().all(|other| one.any_of.iter().all(|kind| !other.any_of.contains(kind)))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, ..ProptestConfig::default() })]

    #[test]
    fn known_facts_are_decided_as_the_second_evaluator_decides_them(
        policy in policy(), contact in contact(), world in world(), offered in offered(), pick in any::<prop::sample::Index>(),
    ) {
        let worlds = world.completions();
        let world = &worlds[pick.index(worlds.len())];
        let decision = decide(&policy, contact, &world.facts(), &offered);
        prop_assert_eq!(&decision.outcome, &together(&deciding(&policy, contact, world, &offered)));
        prop_assert!(decision.record.rules.iter().all(|rule| rule.truth != Truth::Unknown));
        prop_assert_eq!(decision.reauthenticate, anew(&policy, contact, world));
    }

    /// Attack case 33. Every rule that would decide, however the unknown turns out, is obeyed.
    #[test]
    fn unknown_facts_never_loosen(
        policy in policy(), contact in contact(), world in world(), offered in offered(),
    ) {
        let decision = decide(&policy, contact, &world.facts(), &offered);
        for completion in world.completions() {
            prop_assert!(decision.reauthenticate || !anew(&policy, contact, &completion));
            let asks = deciding(&policy, contact, &completion, &offered);
            prop_assert!(obeys(&decision.outcome, &asks), "{:?} against {asks:?} in {completion:?}", decision.outcome);
            if share_nothing(&asks) {
                prop_assert!(decision.outcome.at_least_as_strict(&together(&asks)));
            }
        }
    }

    #[test]
    fn an_always_rule_only_tightens(
        policy in policy(), further in rule(), at in any::<prop::sample::Index>(),
        contact in contact(), world in world(), offered in offered(),
    ) {
        let mut tightened = policy.clone();
        let mut further = further;
        further.always = true;
        tightened.rules.insert(at.index(policy.rules.len() + 1), further.clone());
        tightened.rules = numbered(tightened.rules);
        let decision = decide(&tightened, contact, &world.facts(), &offered);
        for completion in world.completions() {
            let asks = deciding(&policy, contact, &completion, &offered);
            prop_assert!(obeys(&decision.outcome, &asks));
        }
        // Behind all others it meets what they come to, and then the outcomes themselves compare.
        let (mut before, mut behind) = (policy.clone(), policy);
        before.adaptive = None;
        behind.adaptive = None;
        behind.rules.push(further);
        let behind = decide(&behind, contact, &world.facts(), &offered).outcome;
        prop_assert!(behind.at_least_as_strict(&decide(&before, contact, &world.facts(), &offered).outcome));
    }

    #[test]
    fn switching_a_factor_off_never_lets_more_in(
        policy in policy(), contact in contact(), world in world(), offered in offered(), off in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!offered.is_empty());
        let mut fewer = offered.clone();
        let gone = fewer.remove(off.index(offered.len()));
        match decide(&policy, contact, &world.facts(), &fewer).outcome {
            Outcome::Deny => {}
            Outcome::Allow => prop_assert_eq!(decide(&policy, contact, &world.facts(), &offered).outcome, Outcome::Allow),
            Outcome::Demand(demands) => prop_assert!(demands.iter().all(|demand| !demand.any_of.contains(&gone))),
        }
    }

    #[test]
    fn demands_are_never_empty_and_share_no_factor(
        policy in policy(), contact in contact(), world in world(), offered in offered(),
    ) {
        if let Outcome::Demand(demands) = decide(&policy, contact, &world.facts(), &offered).outcome {
            prop_assert!(!demands.is_empty());
            let kinds: Vec<_> = demands.iter().flat_map(|demand| demand.any_of.iter().copied()).collect();
            let distinct: std::collections::BTreeSet<_> = kinds.iter().collect();
            prop_assert_eq!(distinct.len(), kinds.len());
            prop_assert!(demands.iter().all(|demand| !demand.any_of.is_empty()));
        }
    }

    #[test]
    fn first_contact_never_allows_and_never_begins_with_questions(
        policy in policy(), world in world(), offered in offered(),
    ) {
        let outcome = decide(&policy, Contact::First, &world.facts(), &offered).outcome;
        prop_assert_ne!(&outcome, &Outcome::Allow);
        if let Outcome::Demand(demands) = outcome {
            for kind in [FactorKind::Questions, FactorKind::BypassCode] {
                prop_assert!(demands.iter().all(|demand| !demand.any_of.contains(&kind)));
            }
        }
    }

    #[test]
    fn a_policy_on_trial_asks_nothing_after_contact_and_says_what_it_would_have_asked(
        policy in policy(), contact in contact(), world in world(), offered in offered(),
    ) {
        let mut trial = policy.clone();
        trial.enforced = false;
        let facts = world.facts();
        let (enforced, trial) = (decide(&policy, contact, &facts, &offered), decide(&trial, contact, &facts, &offered));
        prop_assert_eq!(&trial.record.outcome, &enforced.outcome);
        prop_assert!(!trial.record.enforced);
        match contact {
            Contact::First => prop_assert_eq!(trial.outcome, enforced.outcome),
            Contact::After => prop_assert_eq!(trial.outcome, Outcome::Allow),
        }
    }

    #[test]
    fn records_survive_storage(policy in policy(), contact in contact(), world in world(), offered in offered()) {
        let facts = world.facts();
        let record = decide(&policy, contact, &facts, &offered).record;
        let stored = serde_json::to_string(&record).unwrap();
        prop_assert_eq!(serde_json::from_str::<engine::policy::DecisionRecord>(&stored).unwrap(), record);
        let stored = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(serde_json::from_str::<engine::policy::Policy>(&stored).unwrap(), policy);
    }

    #[test]
    fn both_together_are_as_strict_as_each(one in outcome(), other in outcome(), third in outcome()) {
        let both = one.clone().and(other.clone());
        prop_assert!(both.at_least_as_strict(&one));
        prop_assert!(both.at_least_as_strict(&other));
        let all = both.clone().and(third);
        prop_assert!(all.at_least_as_strict(&both));
        prop_assert!(all.at_least_as_strict(&all));
    }
}

/// A tripwire for the generator itself: unknown facts, allowed ones and demands must all come up, or the properties
/// above would prove little.
#[test]
fn the_generator_reaches_every_kind_of_outcome() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut deny, mut allow, mut demand, mut unknown) = (0, 0, 0, 0);
    for _ in 0..500 {
        let drawn = (policy(), world(), offered()).new_tree(&mut runner).unwrap().current();
        let (policy, world, offered) = drawn;
        let facts = world.facts();
        unknown += usize::from(matches!(facts.ip, Fact::Unknown));
        match decide(&policy, Contact::After, &facts, &offered).outcome {
            Outcome::Deny => deny += 1,
            Outcome::Allow => allow += 1,
            Outcome::Demand(_) => demand += 1,
        }
    }
    assert!(deny > 20 && allow > 20 && demand > 20 && unknown > 20, "{deny} {allow} {demand} {unknown}");
}
