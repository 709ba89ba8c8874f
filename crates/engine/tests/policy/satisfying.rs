//! Demands held against proofs.

use engine::policy::{Demand, Frequency, Outcome, Unenrolled, outstanding};
use engine::{FactorKind, Proof};
use proptest::prelude::*;

use FactorKind::{EmailOtp, Passkey, Password, SmsOtp, Totp};
use Frequency::{Always, PerDevice, PerGrant};

fn demand(any_of: &[FactorKind], frequency: Frequency) -> Demand {
    Demand { any_of: any_of.to_vec(), frequency, unenrolled: Unenrolled::Ask }
}

fn proof(kind: FactorKind, this_run: bool, first: bool) -> Proof {
    Proof { kind, at: 1_800_000_000, enrolment: None, user_verified: false, this_run, first, upstream: None }
}

#[test]
fn a_demand_stands_until_one_of_its_factors_is_proved() {
    let demands = [demand(&[EmailOtp, Totp], Always)];
    let first = proof(Password, true, true);
    assert_eq!(outstanding(&demands, std::slice::from_ref(&first), &[], false), Some(demands.to_vec()));
    assert_eq!(outstanding(&demands, &[first, proof(Totp, true, false)], &[], false), Some(Vec::new()));
}

#[test]
fn the_first_factor_counts_only_where_the_tenant_says_so() {
    let demands = [demand(&[Passkey, EmailOtp], Always)];
    let first = [proof(Passkey, true, true)];
    assert_eq!(outstanding(&demands, &first, &[], false), Some(vec![demand(&[EmailOtp], Always)]));
    assert_eq!(outstanding(&demands, &first, &[], true), Some(Vec::new()));
    // Proved a second time it is still the factor that began it.
    let twice = [proof(Passkey, true, true), proof(Passkey, true, false)];
    assert_eq!(outstanding(&demands, &twice, &[], false), Some(vec![demand(&[EmailOtp], Always)]));
}

#[test]
fn a_demand_for_nothing_but_the_first_factor_cannot_be_satisfied() {
    assert_eq!(outstanding(&[demand(&[Password], PerGrant)], &[proof(Password, true, true)], &[], false), None);
}

#[test]
fn an_earlier_proof_of_the_grant_counts_once_per_grant_but_not_for_always() {
    let earlier = [proof(Password, false, true), proof(EmailOtp, false, false)];
    assert_eq!(outstanding(&[demand(&[EmailOtp], PerGrant)], &earlier, &[], false), Some(Vec::new()));
    assert_eq!(
        outstanding(&[demand(&[EmailOtp], Always)], &earlier, &[], false),
        Some(vec![demand(&[EmailOtp], Always)])
    );
    assert_eq!(outstanding(&[demand(&[Password], PerGrant)], &earlier, &[], true), Some(Vec::new()));
}

#[test]
fn a_trusted_device_stands_in_only_where_a_demand_says_so() {
    let begun = [proof(Password, true, true)];
    let totp = |frequency| [demand(&[Totp, EmailOtp], frequency)];
    assert_eq!(outstanding(&totp(PerDevice), &begun, &[Totp], false), Some(Vec::new()));
    for stricter in [PerGrant, Always] {
        assert_eq!(outstanding(&totp(stricter), &begun, &[Totp], false), Some(totp(stricter).to_vec()));
    }
    // Another factor than those asked for, or the one that began, does not do.
    assert_eq!(outstanding(&totp(PerDevice), &begun, &[SmsOtp], false), Some(totp(PerDevice).to_vec()));
    assert_eq!(outstanding(&[demand(&[Password], PerDevice)], &begun, &[Password], false), None);
}

/// Attack case 31.
#[test]
fn what_is_remembered_of_a_device_answers_one_demand_only() {
    let both = [demand(&[EmailOtp, Totp], PerDevice), demand(&[Totp, SmsOtp], PerDevice)];
    let left = outstanding(&both, &[proof(Password, true, true)], &[Totp], false).unwrap();
    assert_eq!(left, vec![demand(&[SmsOtp], PerDevice)]);
}

/// Attack case 31.
#[test]
fn one_kind_of_factor_never_answers_two_demands() {
    let both = [demand(&[EmailOtp, Totp], Always), demand(&[EmailOtp, SmsOtp], Always)];
    for mails in 1..=3 {
        let proofs: Vec<Proof> = (0..mails).map(|_| proof(EmailOtp, true, false)).collect();
        assert_eq!(outstanding(&both, &proofs, &[], false).unwrap().len(), 1, "{mails}");
    }
    // Two demands that only one kind could answer can never both be satisfied.
    let same = [demand(&[EmailOtp], Always), demand(&[EmailOtp], PerGrant)];
    assert_eq!(outstanding(&same, &[], &[], false), None);
    assert_eq!(outstanding(&same, &[proof(EmailOtp, true, false)], &[], false), None);
}

#[test]
fn a_proof_goes_to_the_demand_that_has_no_other_choice() {
    let demands = [demand(&[EmailOtp, Totp], Always), demand(&[EmailOtp], Always)];
    let left = outstanding(&demands, &[proof(EmailOtp, true, false)], &[], false);
    assert_eq!(left, Some(vec![demand(&[Totp], Always)]));
}

const KINDS: [FactorKind; 5] = [Password, EmailOtp, SmsOtp, Totp, Passkey];

fn demands() -> impl Strategy<Value = Vec<Demand>> {
    let one =
        (prop::sample::subsequence(KINDS.to_vec(), 1..=3), prop::sample::select(vec![PerDevice, PerGrant, Always]))
            .prop_map(|(any_of, frequency)| Outcome::Demand(vec![demand(&any_of, frequency)]));
    prop::collection::vec(one, 0..=3).prop_map(|all| match all.into_iter().fold(Outcome::Allow, Outcome::and) {
        Outcome::Demand(demands) => demands,
        Outcome::Allow | Outcome::Deny => Vec::new(),
    })
}

fn remembered() -> impl Strategy<Value = Vec<FactorKind>> {
    prop::sample::subsequence(KINDS.to_vec(), 0..=2)
}

fn proofs() -> impl Strategy<Value = Vec<Proof>> {
    prop::collection::vec((prop::sample::select(KINDS.to_vec()), any::<bool>()), 0..=4).prop_map(|drawn| {
        drawn.into_iter().enumerate().map(|(nth, (kind, this_run))| proof(kind, this_run, nth == 0)).collect()
    })
}

proptest! {
    /// Demands put together by policy share no factor, so each stands or falls by itself.
    #[test]
    fn each_demand_is_judged_by_its_own_factors(
        demands in demands(), proofs in proofs(), remembered in remembered(), first_counts in any::<bool>(),
    ) {
        let begun_with = proofs.first().filter(|_| !first_counts).map(|proof| proof.kind);
        let mut expected = Some(Vec::new());
        for demand in &demands {
            let any_of: Vec<FactorKind> = demand.any_of.iter().copied().filter(|kind| Some(*kind) != begun_with).collect();
            let satisfied = proofs
                .iter()
                .any(|proof| any_of.contains(&proof.kind) && (proof.this_run || demand.frequency != Always));
            let waived = demand.frequency == PerDevice && any_of.iter().any(|kind| remembered.contains(kind));
            if satisfied || waived {
                continue;
            }
            expected = if any_of.is_empty() { None } else {
                expected.map(|mut left| { left.push(Demand { any_of, ..demand.clone() }); left })
            };
        }
        prop_assert_eq!(outstanding(&demands, &proofs, &remembered, first_counts), expected);
    }

    /// Whoever proves one factor of each demand left, in this run, is through.
    #[test]
    fn what_is_left_is_enough(
        demands in demands(), proofs in proofs(), remembered in remembered(), first_counts in any::<bool>(),
    ) {
        if let Some(left) = outstanding(&demands, &proofs, &remembered, first_counts) {
            let mut all = proofs;
            all.extend(left.iter().map(|demand| proof(demand.any_of[0], true, false)));
            prop_assert_eq!(outstanding(&demands, &all, &remembered, first_counts), Some(Vec::new()));
        }
    }

    /// Forgetting a device never lets more in.
    #[test]
    fn a_device_forgotten_only_tightens(demands in demands(), proofs in proofs(), remembered in remembered()) {
        if outstanding(&demands, &proofs, &[], false) == Some(Vec::new()) {
            prop_assert_eq!(outstanding(&demands, &proofs, &remembered, false), Some(Vec::new()));
        }
        let strict: Vec<Demand> =
            demands.iter().map(|demand| Demand { frequency: demand.frequency.max(PerGrant), ..demand.clone() }).collect();
        prop_assert_eq!(outstanding(&strict, &proofs, &remembered, false), outstanding(&strict, &proofs, &[], false));
    }
}
