//! How values are compared. Knows nothing of where they come from.

use serde::{Deserialize, Serialize};

/// What is known of a statement. Conjunction follows Kleene.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody could tell.
    Unknown,
}

impl Truth {
    /// Both hold: false if either is false, else unknown if either is unknown.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::True, Self::True) => Self::True,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

impl From<Option<bool>> for Truth {
    fn from(holds: Option<bool>) -> Self {
        holds.map_or(Self::Unknown, Self::from)
    }
}

/// How a fact is compared with the values of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operator {
    /// Equal: with one value as `In`, with several only equal as sets.
    Eq,
    /// Not `Eq`.
    Neq,
    /// Shares a value.
    In,
    /// Shares none.
    NotIn,
    /// Within a network, or like a pattern with `*`.
    Match,
    /// Not `Match`.
    NoMatch,
    /// Some value begins so.
    StartsWith,
    /// Some value ends so.
    EndsWith,
    /// There is a value.
    Exists,
    /// Some value contains it.
    Contains,
    /// A yes.
    Is,
    /// A no.
    IsNot,
}

impl Operator {
    /// Every operator.
    pub const ALL: [Self; 12] = [
        Self::Eq,
        Self::Neq,
        Self::In,
        Self::NotIn,
        Self::Match,
        Self::NoMatch,
        Self::StartsWith,
        Self::EndsWith,
        Self::Exists,
        Self::Contains,
        Self::Is,
        Self::IsNot,
    ];

    /// For kinds that know only membership: whether the operator asks for it or against it.
    pub fn membership(self) -> Option<bool> {
        match self {
            Self::Eq | Self::In | Self::Match => Some(true),
            Self::Neq | Self::NotIn | Self::NoMatch => Some(false),
            Self::StartsWith | Self::EndsWith | Self::Exists | Self::Contains | Self::Is | Self::IsNot => None,
        }
    }

    /// Compares the `actual` values of an attribute with the `wanted` ones of a condition.
    ///
    /// Equality and membership are exact; patterns, beginnings, endings and parts ignore letter case.
    pub fn compare(self, actual: &[&str], wanted: &[String]) -> bool {
        match self {
            Self::In => shares(actual, wanted),
            Self::NotIn => !shares(actual, wanted),
            Self::Eq => equal(actual, wanted),
            Self::Neq => !equal(actual, wanted),
            Self::Match => any_pair(actual, wanted, matches_pattern),
            Self::NoMatch => !any_pair(actual, wanted, matches_pattern),
            Self::StartsWith => any_pair(actual, wanted, |value, part| value.starts_with(part)),
            Self::EndsWith => any_pair(actual, wanted, |value, part| value.ends_with(part)),
            Self::Contains => any_pair(actual, wanted, |value, part| value.contains(part)),
            Self::Exists => !actual.is_empty(),
            Self::Is => says_yes(actual),
            Self::IsNot => !says_yes(actual),
        }
    }
}

fn shares(actual: &[&str], wanted: &[String]) -> bool {
    actual.iter().any(|value| wanted.iter().any(|want| want == value))
}

/// With several wanted values a live tenant never matches; equality as sets is the reading that stays closest to that.
fn equal(actual: &[&str], wanted: &[String]) -> bool {
    if wanted.len() == 1 {
        return shares(actual, wanted);
    }
    !wanted.is_empty()
        && actual.iter().all(|value| wanted.iter().any(|want| want == value))
        && wanted.iter().all(|want| actual.contains(&want.as_str()))
}

fn says_yes(actual: &[&str]) -> bool {
    matches!(actual, [value] if value.eq_ignore_ascii_case("true"))
}

fn any_pair(actual: &[&str], wanted: &[String], test: impl Fn(&str, &str) -> bool) -> bool {
    let wanted: Vec<String> = wanted.iter().map(|want| want.to_lowercase()).collect();
    actual.iter().any(|value| {
        let value = value.to_lowercase();
        wanted.iter().any(|want| test(&value, want))
    })
}

/// Whether the whole `value` is like `pattern`, where `*` stands for anything, also nothing.
///
/// Goes back only to the last `*`, so the time is at most the product of the lengths.
fn matches_pattern(value: &str, pattern: &str) -> bool {
    let (value, pattern) = (value.as_bytes(), pattern.as_bytes());
    let (mut at, mut want) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < value.len() {
        if pattern.get(want) == Some(&b'*') {
            retry = Some((want, at));
            want += 1;
        } else if pattern.get(want) == Some(&value[at]) {
            at += 1;
            want += 1;
        } else if let Some((star, from)) = retry {
            retry = Some((star, from + 1));
            at = from + 1;
            want = star + 1;
        } else {
            return false;
        }
    }
    pattern[want..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(operator: Operator, actual: &[&str], wanted: &[&str]) -> bool {
        let wanted: Vec<String> = wanted.iter().map(|want| (*want).to_owned()).collect();
        operator.compare(actual, &wanted)
    }

    #[test]
    fn membership_is_exact_and_absence_is_in_nothing() {
        assert!(holds(Operator::In, &["a", "b"], &["x", "b"]));
        assert!(!holds(Operator::In, &["B"], &["b"]));
        assert!(!holds(Operator::In, &[], &["b"]));
        assert!(holds(Operator::NotIn, &[], &["b"]));
        assert!(!holds(Operator::NotIn, &["a", "b"], &["b"]));
    }

    #[test]
    fn equality_with_several_values_is_that_of_sets() {
        assert!(holds(Operator::Eq, &["a", "b"], &["a"]));
        assert!(!holds(Operator::Eq, &["a"], &["a", "b"]));
        assert!(holds(Operator::Eq, &["b", "a", "a"], &["a", "b"]));
        assert!(holds(Operator::Neq, &["a"], &["a", "b"]));
        assert!(!holds(Operator::Neq, &["a", "b"], &["a"]));
        assert!(!holds(Operator::Eq, &[], &[]));
    }

    #[test]
    fn patterns_cover_the_whole_value_and_ignore_case() {
        for (value, pattern, expected) in [
            ("Example Net", "example*", true),
            ("Example Net", "example", false),
            ("abcabd", "*abd", true),
            ("abc", "a*b*c*", true),
            ("abc", "*", true),
            ("", "*", true),
            ("", "", true),
            ("abc", "a**c", true),
            ("abc", "a*d", false),
            ("aaaa", "*a*a*a*a*a", false),
        ] {
            assert_eq!(holds(Operator::Match, &[value], &[pattern]), expected, "{value} {pattern}");
            assert_eq!(holds(Operator::NoMatch, &[value], &[pattern]), !expected, "{value} {pattern}");
        }
        assert!(holds(Operator::NoMatch, &[], &["*"]));
    }

    #[test]
    fn parts_ignore_case() {
        assert!(holds(Operator::StartsWith, &["Admin-1"], &["admin"]));
        assert!(holds(Operator::EndsWith, &["a@ACME.org"], &["@acme.ORG"]));
        assert!(holds(Operator::Contains, &["xYz"], &["y"]));
        assert!(!holds(Operator::Contains, &[], &[""]));
        assert!(holds(Operator::Exists, &["x"], &[]));
        assert!(!holds(Operator::Exists, &[], &[]));
    }

    #[test]
    fn yes_is_one_value_that_says_true() {
        assert!(holds(Operator::Is, &["TRUE"], &[]));
        assert!(!holds(Operator::Is, &["true", "false"], &[]));
        assert!(holds(Operator::IsNot, &[], &[]));
        assert!(!holds(Operator::IsNot, &["true"], &[]));
    }

    #[test]
    fn conjunction_is_false_before_it_is_unknown() {
        use Truth::{False, True, Unknown};
        assert_eq!(Unknown.and(False), False);
        assert_eq!(False.and(Unknown), False);
        assert_eq!(Unknown.and(True), Unknown);
        assert_eq!(True.and(True), True);
    }
}
