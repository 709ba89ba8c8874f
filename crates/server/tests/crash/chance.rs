//! Chance from a seed (SplitMix64), so that a run can be had again.

/// A stream of numbers.
pub struct Chance(u64);

impl Chance {
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

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    /// The position of one of these; none of none.
    pub fn one_of(&mut self, positions: &[usize]) -> Option<usize> {
        let count = u64::try_from(positions.len()).unwrap();
        if count == 0 { None } else { positions.get(usize::try_from(self.below(count)).unwrap()).copied() }
    }

    /// Another stream, for another hand.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }
}
