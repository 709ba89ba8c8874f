//! Outcomes put together, compared, and held against what was proved.

use super::{Demand, Frequency, Outcome};
use crate::{FactorKind, Proof};

impl Outcome {
    /// What satisfies both: deny before demands before allow.
    ///
    /// A further demand is merged with the first one it shares a factor with, so that one proof answers both, at the
    /// stricter frequency; sharing none, it stands as a demand of its own behind them. The demands of an outcome built
    /// this way never share a factor.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Deny, _) | (_, Self::Deny) => Self::Deny,
            (Self::Allow, other) => other,
            (this, Self::Allow) => this,
            (Self::Demand(mut demands), Self::Demand(more)) => {
                for demand in more {
                    merge(&mut demands, demand);
                }
                Self::Demand(demands)
            }
        }
    }

    /// Whether whatever satisfies this one satisfies the other as well, no proof counted twice.
    pub fn at_least_as_strict(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Deny, _) | (_, Self::Allow) => true,
            (_, Self::Deny) | (Self::Allow, Self::Demand(_)) => false,
            (Self::Demand(these), Self::Demand(those)) => {
                let covers = |that: usize, this: usize| these[this].covers(&those[that]);
                assign(those.len(), these.len(), covers).iter().all(Option::is_some)
            }
        }
    }
}

impl Demand {
    /// Whether whatever satisfies this demand satisfies the other one.
    pub fn covers(&self, other: &Self) -> bool {
        self.frequency >= other.frequency
            && self.unenrolled >= other.unenrolled
            && self.any_of.iter().all(|kind| other.any_of.contains(kind))
    }
}

fn merge(demands: &mut Vec<Demand>, further: Demand) {
    for demand in demands.iter_mut() {
        let shared: Vec<FactorKind> =
            demand.any_of.iter().copied().filter(|kind| further.any_of.contains(kind)).collect();
        if !shared.is_empty() {
            demand.any_of = shared;
            demand.frequency = demand.frequency.max(further.frequency);
            demand.unenrolled = demand.unenrolled.max(further.unenrolled);
            return;
        }
    }
    demands.push(further);
}

/// The demands not satisfied yet, each less the factors that can no longer count for it; `Some` of none when all are
/// satisfied, `None` when one of them cannot be satisfied at all, which means deny.
///
/// A kind of factor counts for one demand only, however often it was proved: two codes by mail are not two factors. The
/// factor that fixed who it is does not count, nor does its kind, unless the tenant says that
/// `first_factor_satisfies`. Kinds `remembered` of a trusted device count as proved for demands that say so, and for no others.
pub fn outstanding(
    demands: &[Demand],
    proofs: &[Proof],
    remembered: &[FactorKind],
    first_factor_satisfies: bool,
) -> Option<Vec<Demand>> {
    let counts =
        |kind: FactorKind| first_factor_satisfies || !proofs.iter().any(|proof| proof.first && proof.kind == kind);
    let proved = |kind: FactorKind, frequency: Frequency| {
        let earlier = frequency < Frequency::Always;
        proofs.iter().any(|proof| proof.kind == kind && (proof.this_run || earlier))
            || frequency == Frequency::PerDevice && remembered.contains(&kind)
    };
    let open: Vec<Vec<FactorKind>> =
        demands.iter().map(|demand| demand.any_of.iter().copied().filter(|kind| counts(*kind)).collect()).collect();
    // Every demand needs a kind of its own, proved already or still to be proved. Those with the least choice are served
    // first, so that a proof is not spent on a demand that something else could satisfy.
    let mut order: Vec<usize> = (0..demands.len()).collect();
    order.sort_by_key(|position| open[*position].len());
    let satisfied = assign(demands.len(), FactorKind::ALL.len(), |nth, kind| {
        let (demand, kind) = (order[nth], FactorKind::ALL[kind]);
        open[demand].contains(&kind) && proved(kind, demands[demand].frequency)
    });
    let used: Vec<FactorKind> = satisfied.iter().flatten().map(|kind| FactorKind::ALL[*kind]).collect();
    let mut unsatisfied: Vec<usize> =
        order.iter().zip(&satisfied).filter(|(_, kind)| kind.is_none()).map(|(position, _)| *position).collect();
    unsatisfied.sort_unstable();
    let left: Vec<Demand> = unsatisfied
        .into_iter()
        .map(|position| Demand {
            any_of: open[position].iter().copied().filter(|kind| !used.contains(kind)).collect(),
            frequency: demands[position].frequency,
            unenrolled: demands[position].unenrolled,
        })
        .collect();
    let possible =
        assign(left.len(), FactorKind::ALL.len(), |demand, kind| left[demand].any_of.contains(&FactorKind::ALL[kind]));
    possible.iter().all(Option::is_some).then_some(left)
}

/// Pairs each of `askers` with a `giver` of its own where they fit, as many as possible, earlier askers first served
/// (augmenting paths). The answer holds the giver of each asker.
fn assign(askers: usize, givers: usize, fits: impl Fn(usize, usize) -> bool) -> Vec<Option<usize>> {
    fn place(
        asker: usize,
        taken: &mut [Option<usize>],
        tried: &mut [bool],
        fits: &impl Fn(usize, usize) -> bool,
    ) -> bool {
        for giver in 0..taken.len() {
            if tried[giver] || !fits(asker, giver) {
                continue;
            }
            tried[giver] = true;
            let free = match taken[giver] {
                None => true,
                Some(holder) => place(holder, taken, tried, fits),
            };
            if free {
                taken[giver] = Some(asker);
                return true;
            }
        }
        false
    }

    let mut taken: Vec<Option<usize>> = vec![None; givers];
    for asker in 0..askers {
        place(asker, &mut taken, &mut vec![false; givers], &fits);
    }
    (0..askers).map(|asker| taken.iter().position(|holder| *holder == Some(asker))).collect()
}
