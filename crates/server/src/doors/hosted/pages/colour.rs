//! Colours of a tenant, made readable: whatever is chosen, words on it and in it keep the contrast that people need
//! (WCAG 2.2 §1.4.3, level AA).

use std::fmt;

/// The contrast that words of normal size need.
const READABLE: f64 = 4.5;

/// A colour, 8 bits a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour([u8; 3]);

pub(super) const WHITE: Colour = Colour([255, 255, 255]);
pub(super) const BLACK: Colour = Colour([0, 0, 0]);
const INK: Colour = Colour([16, 20, 24]);

impl Colour {
    pub(super) const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self([red, green, blue])
    }

    /// Red, green and blue.
    pub(super) const fn channels(self) -> [u8; 3] {
        self.0
    }

    /// `#rrggbb`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix('#').filter(|hex| hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let number = u32::from_str_radix(hex, 16).ok()?;
        let [_, red, green, blue] = number.to_be_bytes();
        Some(Self([red, green, blue]))
    }

    /// Relative luminance (WCAG 2.2, definitions).
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|channel| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// Contrast ratio, from 1 to 21.
    pub(super) fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// This much (of 100) of the other mixed in.
    pub(super) fn mix(self, other: Self, percent: u16) -> Self {
        let mut mixed = self.0;
        for (channel, other) in mixed.iter_mut().zip(other.0) {
            let sum = u16::from(*channel) * (100 - percent) + u16::from(other) * percent;
            *channel = u8::try_from(sum / 100).unwrap_or(u8::MAX);
        }
        Self(mixed)
    }

    /// White, near-black or black, the first that can be read on this colour: one of white and black always can.
    pub(super) fn words_on(self) -> Self {
        [WHITE, INK].into_iter().find(|words| self.contrast(*words) >= READABLE).unwrap_or(BLACK)
    }

    /// This colour, moved towards black or white as little as words on every one of these surfaces need.
    pub(super) fn readable_on(self, surfaces: &[Self]) -> Self {
        let dark = surfaces.iter().all(|surface| surface.luminance() < 0.2);
        let towards = if dark { WHITE } else { BLACK };
        (0..=20)
            .map(|step| self.mix(towards, step * 5))
            .find(|colour| surfaces.iter().all(|surface| colour.contrast(*surface) >= READABLE))
            .unwrap_or(towards)
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_the_guidelines() {
        assert!((WHITE.contrast(BLACK) - 21.0).abs() < 0.01);
        // #767676 is the lightest grey that passes on white.
        let grey = |value| Colour::new(value, value, value);
        assert!(grey(0x76).contrast(WHITE) >= READABLE);
        assert!(grey(0x77).contrast(WHITE) < READABLE);
    }

    #[test]
    fn any_accent_becomes_readable() {
        for number in (0..=0xff_ff_ff_u32).step_by(4_099) {
            let [_, red, green, blue] = number.to_be_bytes();
            let accent = Colour::new(red, green, blue);
            assert!(accent.words_on().contrast(accent) >= READABLE, "{accent}");
            for surfaces in [[WHITE, Colour::new(0xf4, 0xf5, 0xf3)], [INK, Colour::new(0x1c, 0x20, 0x24)]] {
                let words = accent.readable_on(&surfaces);
                assert!(surfaces.iter().all(|surface| words.contrast(*surface) >= READABLE), "{accent} {words}");
            }
        }
    }

    #[test]
    fn only_six_hexadecimal_digits_are_a_colour() {
        assert_eq!(Colour::parse("#0f5Fd7"), Some(Colour::new(0x0f, 0x5f, 0xd7)));
        assert_eq!(Colour::parse("#0f5Fd7").map(|colour| colour.to_string()), Some("#0f5fd7".to_owned()));
        for wrong in ["", "#", "0f5fd7", "#0f5fd", "#0f5fd7a", "#+f5fd7", "red", "#0f5fd7;}", "#äöü"] {
            assert_eq!(Colour::parse(wrong), None, "{wrong}");
        }
    }
}
