//! Owns how moments are written in the vendor's JSON: `YYYY-MM-DDTHH:MM:SS.mmmZ`, always UTC, always three decimals (§0).
//!
//! Reads no clock.

use jiff::Timestamp;
use jiff::tz::Offset;

use crate::records::Seconds;

/// 0001-01-01T00:00:00Z: nothing earlier has a year of four digits.
const EARLIEST: i64 = -62_135_596_800_000;

/// Writes a moment given in milliseconds since 1970. Moments beyond the years 1 to 9999 are written as the nearest within.
pub fn write_millis(millis: i64) -> String {
    let latest = Timestamp::MAX.as_millisecond();
    let moment = Timestamp::from_millisecond(millis.clamp(EARLIEST, latest)).unwrap_or(Timestamp::UNIX_EPOCH);
    let t = Offset::UTC.to_datetime(moment);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        t.year(),
        t.month(),
        t.day(),
        t.hour(),
        t.minute(),
        t.second(),
        t.millisecond()
    )
}

/// Writes a moment given in seconds since 1970, with `.000`.
pub fn write_seconds(seconds: Seconds) -> String {
    write_millis(seconds.saturating_mul(1000))
}

/// Reads an RFC 3339 moment with any offset and any number of decimals, as milliseconds since 1970 (rounded down).
pub fn read_millis(text: &str) -> Option<i64> {
    if text.len() > 40 || !text.bytes().all(|b| b.is_ascii_digit() || b"-+:.TtZz ".contains(&b)) {
        return None;
    }
    let moment: Timestamp = text.parse().ok()?;
    Some(moment.as_nanosecond().div_euclid(1_000_000) as i64)
}

/// Reads an RFC 3339 moment as seconds since 1970 (rounded down).
pub fn read_seconds(text: &str) -> Option<Seconds> {
    read_millis(text).map(|millis| millis.div_euclid(1000))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_three_decimals_always() {
        assert_eq!(write_millis(1_777_608_030_120), "2026-05-01T04:00:30.120Z"); // vendor page A.2
        assert_eq!(write_seconds(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(write_millis(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(write_millis(i64::MIN), "0001-01-01T00:00:00.000Z");
        assert_eq!(write_seconds(i64::MAX).len(), 24);
    }

    #[test]
    fn reads_offsets_and_refuses_the_rest() {
        assert_eq!(read_seconds("2026-05-01T06:00:30.120+02:00"), Some(1_777_608_030));
        assert_eq!(read_millis("1969-12-31T23:59:59.9999Z"), Some(-1));
        for bad in ["", "2026-05-01", "2026-05-01T04:00:30", "2026-13-01T00:00:00Z", "now", "2026-05-01T04:00:30Z[UTC]"]
        {
            assert_eq!(read_millis(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in EARLIEST..=253_402_207_200_999i64) {
            let text = write_millis(millis);
            prop_assert_eq!(text.len(), 24);
            prop_assert_eq!(read_millis(&text), Some(millis));
        }

        #[test]
        fn text_order_is_time_order(a in EARLIEST..=253_402_207_200_999i64, b in EARLIEST..=253_402_207_200_999i64) {
            prop_assert_eq!(write_millis(a).cmp(&write_millis(b)), a.cmp(&b));
        }

        #[test]
        fn never_panics(text in ".{0,60}", millis in any::<i64>()) {
            let _ = read_millis(&text);
            let _ = write_millis(millis);
            let _ = write_seconds(millis);
        }
    }
}
