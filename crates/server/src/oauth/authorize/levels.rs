//! The `acr` values that stand for levels of assurance, both ways.

use engine::Level;

/// Each level with its name.
pub const NAMES: [(&str, Level); 3] = [
    ("urn:countersign:acr:1", Level::One),
    ("urn:countersign:acr:2", Level::Two),
    // OpenID Connect Extended Authentication Profile ACR Values 1.0 §4.
    ("phr", Level::PhishingResistant),
];

/// The level an `acr` value stands for.
pub fn parse(acr: &str) -> Option<Level> {
    NAMES.iter().find(|(name, _)| *name == acr).map(|(_, level)| *level)
}

/// The name of a level.
pub fn name(level: Level) -> &'static str {
    match level {
        Level::One => NAMES[0].0,
        Level::Two => NAMES[1].0,
        Level::PhishingResistant => NAMES[2].0,
    }
}

/// What must be reached so that one of these values is met; none where none of them is a level.
pub fn least(values: &[String]) -> Option<Level> {
    values.iter().filter_map(|value| parse(value)).min()
}

/// The value to be said of a level that was reached: the first asked for that it meets, or its own name.
pub fn said(values: &[String], reached: Level) -> String {
    let met = values.iter().find(|value| parse(value).is_some_and(|level| level <= reached));
    met.cloned().unwrap_or_else(|| name(reached).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_of_the_values_asked_for_will_do_and_the_first_that_is_met_is_said() {
        let values = ["phr", "unknown", "urn:countersign:acr:2"].map(str::to_owned);
        assert_eq!(least(&values), Some(Level::Two));
        assert_eq!(said(&values, Level::Two), "urn:countersign:acr:2");
        assert_eq!(said(&values, Level::PhishingResistant), "phr");
        assert_eq!(said(&["1".to_owned()], Level::One), "urn:countersign:acr:1");
        assert_eq!(least(&["1".to_owned(), "2".to_owned()]), None);
    }

    #[test]
    fn every_level_has_a_name() {
        for (text, level) in NAMES {
            assert_eq!((parse(text), name(level)), (Some(level), text));
        }
    }
}
