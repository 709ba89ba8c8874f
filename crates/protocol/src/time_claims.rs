//! Owns `exp`, `nbf` and `iat` of a JWT (RFC 7519 §4.1), judged against a moment given by the caller.

use serde_json::{Map, Value};

use crate::records::Seconds;

/// Seconds another machine's clock may run ahead of ours before `nbf` or `iat` count as future, whatever the skew setting
/// (FAPI 2.0 §5.3.2.1 (13): accept up to 10, refuse beyond 60).
pub const AHEAD: Seconds = 10;

/// The times a JWT gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// When it ends.
    pub exp: Option<Seconds>,
    /// When it starts.
    pub nbf: Option<Seconds>,
    /// When it was made.
    pub iat: Option<Seconds>,
}

/// Why the times are not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeProblem {
    /// A time is there and no number within reason.
    #[error("`{0}` is no time")]
    NoTime(&'static str),
    /// `exp` is past.
    #[error("it is expired")]
    Expired,
    /// `nbf` or `iat` lie ahead.
    #[error("`{0}` lies in the future")]
    Future(&'static str),
}

/// Judges the times that are there; which must be there is the caller's rule. `exp` has passed when `now` is not before it
/// (RFC 7519 §4.1.4), give or take `skew`.
pub fn check_times(claims: &Map<String, Value>, now: Seconds, skew: Seconds) -> Result<Times, TimeProblem> {
    let skew = skew.max(0);
    let times = Times { exp: read(claims, "exp")?, nbf: read(claims, "nbf")?, iat: read(claims, "iat")? };
    if times.exp.is_some_and(|exp| now >= exp.saturating_add(skew)) {
        return Err(TimeProblem::Expired);
    }
    let horizon = now.saturating_add(skew.max(AHEAD));
    for (name, time) in [("nbf", times.nbf), ("iat", times.iat)] {
        if time.is_some_and(|t| t > horizon) {
            return Err(TimeProblem::Future(name));
        }
    }
    Ok(times)
}

/// A `NumericDate`: whole or fractional seconds (RFC 7519 §2), not before 1970 and not beyond the year 9999.
fn read(claims: &Map<String, Value>, name: &'static str) -> Result<Option<Seconds>, TimeProblem> {
    const LAST: Seconds = 253_402_300_799;
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = match (value.as_i64(), value.as_f64()) {
        (Some(whole), _) => whole,
        // In range, so the cast keeps the value but for the fraction.
        (None, Some(real)) if (0.0..=LAST as f64).contains(&real) => real as Seconds,
        _ => return Err(TimeProblem::NoTime(name)),
    };
    if (0..=LAST).contains(&seconds) { Ok(Some(seconds)) } else { Err(TimeProblem::NoTime(name)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn check(claims: Value, now: Seconds, skew: Seconds) -> Result<Times, TimeProblem> {
        check_times(claims.as_object().unwrap(), now, skew)
    }

    #[test]
    fn the_last_second_is_not_in() {
        assert!(check(json!({"exp": 100}), 99, 0).is_ok());
        assert_eq!(check(json!({"exp": 100}), 100, 0), Err(TimeProblem::Expired));
        assert!(check(json!({"exp": 100}), 129, 30).is_ok());
        assert_eq!(check(json!({"exp": 100}), 130, 30), Err(TimeProblem::Expired));
        assert_eq!(check(json!({"exp": 100}), 100, -5), Err(TimeProblem::Expired));
    }

    #[test]
    fn a_clock_a_little_ahead_is_tolerated_a_minute_is_not() {
        assert!(check(json!({"iat": 1008, "nbf": 1010}), 1000, 0).is_ok());
        assert_eq!(check(json!({"nbf": 1061}), 1000, 0), Err(TimeProblem::Future("nbf")));
        assert_eq!(check(json!({"iat": 87_400}), 1000, 300), Err(TimeProblem::Future("iat")));
    }

    #[test]
    fn fractions_are_times_and_texts_are_not() {
        assert_eq!(check(json!({"exp": 2000.75}), 1000, 0).unwrap().exp, Some(2000));
        for bad in [json!("2000"), json!(null), json!(-1), json!(1e20), json!(u64::MAX), json!([1])] {
            assert_eq!(check(json!({"exp": bad}), 0, 0), Err(TimeProblem::NoTime("exp")));
        }
        assert_eq!(check(json!({}), 0, 0), Ok(Times::default()));
    }

    proptest! {
        #[test]
        fn never_panics_and_never_honours_the_expired(exp in any::<i64>(), now in any::<i64>(), skew in any::<i64>()) {
            if check(json!({"exp": exp, "iat": 0.5}), now, skew).is_ok() {
                prop_assert!(now < exp.saturating_add(skew.max(0)));
            }
        }
    }
}
