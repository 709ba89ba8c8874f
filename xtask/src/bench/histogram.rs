//! Counts of latencies in buckets that are never wider than about 1.6 % of their value.

use std::time::Duration;

/// Buckets between two powers of two.
const FINE: u32 = 6;

/// Latencies, in nanoseconds.
#[derive(Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; bucket(u64::MAX) + 1], total: 0 }
    }
}

impl Histogram {
    /// One more.
    pub fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
    }

    /// How many.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The latency that this share of all stay below, in milliseconds.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let wanted = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return upper(index) as f64 / 1e6;
            }
        }
        0.0
    }
}

/// Below 2^FINE each value has its own bucket; above, the FINE bits after the leading one decide.
fn bucket(value: u64) -> usize {
    let bits = 64 - value.leading_zeros();
    if bits <= FINE {
        return value as usize;
    }
    let shift = bits - FINE - 1;
    let within = (value >> shift) as usize - (1 << FINE);
    (((shift + 1) as usize) << FINE) + within
}

/// The largest value of a bucket.
fn upper(index: usize) -> u64 {
    let (row, within) = (index >> FINE, (index & ((1 << FINE) - 1)) as u64);
    if row == 0 {
        return within;
    }
    let shift = row as u32 - 1;
    // In 128 bits: the end of the last bucket is 2^64 - 1.
    let end = ((u128::from(within) + (1 << FINE) + 1) << shift) - 1;
    u64::try_from(end).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_narrow_bucket_that_ends_at_or_above_it() {
        for value in (0..5_000).chain((12..63).flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit, (1 << bit) + 12_345])) {
            let end = upper(bucket(value));
            assert!(end >= value, "{value} ends at {end}");
            assert!(end - value <= value / 32, "{value} ends as far as {end}");
        }
        assert_eq!(upper(bucket(u64::MAX)), u64::MAX);
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut histogram = Histogram::default();
        for millis in 1..=1000 {
            histogram.record(Duration::from_millis(millis));
        }
        assert_eq!(histogram.total(), 1000);
        for (share, expected) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = histogram.quantile_ms(share);
            assert!((expected..expected * 1.03).contains(&found), "{share}: {found}");
        }
    }
}
