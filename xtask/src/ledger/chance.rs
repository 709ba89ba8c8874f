//! Chance from a seed (SplitMix64), so that a run can be had again.

/// A stream of numbers.
#[derive(Clone)]
pub struct Chance(u64);

impl Chance {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number below `end`, which is above 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// A number from `-most` to `most`.
    pub fn around(&mut self, most: i64) -> i64 {
        i64::try_from(self.below(2 * most.unsigned_abs() + 1)).unwrap_or(0) - most
    }

    /// True once in so many times.
    pub fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    /// A position below `end`, which is above 0.
    pub fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap_or(0)
    }

    /// The position of one that is wanted; none where none is.
    pub fn position<T>(&mut self, all: &[T], wanted: impl Fn(&T) -> bool) -> Option<usize> {
        let found: Vec<usize> = all.iter().enumerate().filter(|(_, one)| wanted(one)).map(|(at, _)| at).collect();
        if found.is_empty() { None } else { Some(found[self.index(found.len())]) }
    }

    /// Another stream, for somebody else.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_again_and_forks_differ() {
        let draw = |mut chance: Chance| (0..50).map(|_| chance.below(1000)).collect::<Vec<_>>();
        assert_eq!(draw(Chance::new(7)), draw(Chance::new(7)));
        let mut parent = Chance::new(7);
        assert_ne!(draw(parent.fork()), draw(parent.fork()));
        assert!((0..1000).all(|_| (-30..=30).contains(&parent.around(30))));
    }
}
