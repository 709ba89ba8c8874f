//! Password hashes that other systems made: bcrypt, PBKDF2, scrypt and salted SHA. Owns their forms and what they may cost.
//! They are verified and replaced at the next sign-in; none is ever made.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, pbkdf2};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Costs beyond these are not computed: whoever may import a hash must not be able to fell the server with it.
const MOST_ROUNDS: u32 = 15;
const MOST_ITERATIONS: u32 = 2_000_000;
const MOST_SCRYPT_BYTES: u64 = 256 * 1024 * 1024;
const MOST_SCRYPT_PARALLEL: u32 = 16;
const LONGEST: usize = 512;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

/// A hash that was made elsewhere.
pub(super) struct Imported {
    way: Way,
    /// What the right password comes to.
    pub(super) output: Vec<u8>,
}

enum Way {
    Bcrypt(String),
    Pbkdf2 { algorithm: pbkdf2::Algorithm, iterations: NonZeroU32, salt: Vec<u8> },
    Scrypt { params: scrypt::Params, salt: Vec<u8> },
    Salted { algorithm: &'static digest::Algorithm, salt: Vec<u8> },
}

impl Imported {
    /// Reads one; none for another form, or a cost beyond reason.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let text = strip(strip(text, "{CRYPT}"), "{BCRYPT}");
        if text.starts_with("$2") {
            return bcrypt(text);
        }
        if let Some(rest) = text.strip_prefix('{') {
            let (name, rest) = rest.split_once('}')?;
            return match name.to_ascii_uppercase().as_str() {
                "SSHA" => salted(&digest::SHA1_FOR_LEGACY_USE_ONLY, rest),
                "SSHA256" => salted(&digest::SHA256, rest),
                "SSHA512" => salted(&digest::SHA512, rest),
                "PBKDF2" | "PBKDF2-SHA1" => passlib(pbkdf2::PBKDF2_HMAC_SHA1, rest),
                "PBKDF2-SHA256" => passlib(pbkdf2::PBKDF2_HMAC_SHA256, rest),
                "PBKDF2-SHA512" => passlib(pbkdf2::PBKDF2_HMAC_SHA512, rest),
                _ => None,
            };
        }
        if let Some(rest) = text.strip_prefix('$') {
            let (name, rest) = rest.split_once('$')?;
            return match name {
                "pbkdf2" | "pbkdf2-sha1" => pbkdf2(pbkdf2::PBKDF2_HMAC_SHA1, rest),
                "pbkdf2-sha256" => pbkdf2(pbkdf2::PBKDF2_HMAC_SHA256, rest),
                "pbkdf2-sha512" => pbkdf2(pbkdf2::PBKDF2_HMAC_SHA512, rest),
                "scrypt" => scrypt(rest),
                _ => None,
            };
        }
        // As Django writes it: the salt is text.
        let (name, rest) = text.split_once('$')?;
        let algorithm = match name {
            "pbkdf2_sha1" => pbkdf2::PBKDF2_HMAC_SHA1,
            "pbkdf2_sha256" => pbkdf2::PBKDF2_HMAC_SHA256,
            "pbkdf2_sha512" => pbkdf2::PBKDF2_HMAC_SHA512,
            _ => return None,
        };
        let mut parts = rest.split('$');
        let iterations = iterations(parts.next()?)?;
        let (salt, output) = (parts.next()?.as_bytes().to_vec(), STANDARD.decode(parts.next()?).ok()?);
        made(Way::Pbkdf2 { algorithm, iterations, salt }, output, parts.next().is_some())
    }

    /// Whether this costs so little that the time it takes would tell it from any other.
    pub(super) fn is_quick(&self) -> bool {
        matches!(self.way, Way::Salted { .. })
    }

    /// What a password comes to.
    pub(super) fn compute(&self, password: &[u8]) -> Option<Vec<u8>> {
        match &self.way {
            // The library compares: what is handed on is its word.
            Way::Bcrypt(text) => {
                let right = bcrypt::verify(password, text).ok()?;
                right.then(|| self.output.clone())
            }
            Way::Pbkdf2 { algorithm, iterations, salt } => {
                let mut output = vec![0; self.output.len()];
                pbkdf2::derive(*algorithm, *iterations, salt, password, &mut output);
                Some(output)
            }
            Way::Scrypt { params, salt } => {
                let mut output = vec![0; self.output.len()];
                scrypt::scrypt(password, salt, params, &mut output).ok()?;
                Some(output)
            }
            Way::Salted { algorithm, salt } => {
                let mut context = digest::Context::new(algorithm);
                context.update(password);
                context.update(salt);
                Some(context.finish().as_ref().to_vec())
            }
        }
    }
}

fn strip<'t>(text: &'t str, prefix: &str) -> &'t str {
    match text.get(..prefix.len()) {
        Some(head) if head.eq_ignore_ascii_case(prefix) => &text[prefix.len()..],
        Some(_) | None => text,
    }
}

fn made(way: Way, output: Vec<u8>, trailing: bool) -> Option<Imported> {
    (!trailing && (16..=128).contains(&output.len())).then_some(Imported { way, output })
}

/// `$2b$12$` and 53 characters.
fn bcrypt(text: &str) -> Option<Imported> {
    let parts: bcrypt::HashParts = text.parse().ok()?;
    let sound = text.len() == 60 && parts.get_cost() <= MOST_ROUNDS;
    sound.then(|| Imported { way: Way::Bcrypt(text.to_owned()), output: text.as_bytes().to_vec() })
}

fn iterations(text: &str) -> Option<NonZeroU32> {
    NonZeroU32::new(text.parse().ok().filter(|number| *number <= MOST_ITERATIONS)?)
}

/// PHC form (`i=29000,l=32$salt$hash`), or the older one of passlib.
fn pbkdf2(algorithm: pbkdf2::Algorithm, rest: &str) -> Option<Imported> {
    let Some(phc) = rest.strip_prefix("i=") else { return passlib(algorithm, rest) };
    let mut parts = phc.split('$');
    let rounds = iterations(parts.next()?.split(',').next()?)?;
    let (salt, output) = (STANDARD.decode(parts.next()?).ok()?, STANDARD.decode(parts.next()?).ok()?);
    made(Way::Pbkdf2 { algorithm, iterations: rounds, salt }, output, parts.next().is_some())
}

/// `29000$salt$hash`, in base64 with `.` for `+`.
fn passlib(algorithm: pbkdf2::Algorithm, rest: &str) -> Option<Imported> {
    let adapted = |text: &str| STANDARD.decode(text.replace('.', "+")).ok();
    let mut parts = rest.split('$');
    let rounds = iterations(parts.next()?)?;
    let (salt, output) = (adapted(parts.next()?)?, adapted(parts.next()?)?);
    made(Way::Pbkdf2 { algorithm, iterations: rounds, salt }, output, parts.next().is_some())
}

/// `ln=16,r=8,p=1$salt$hash`.
fn scrypt(rest: &str) -> Option<Imported> {
    let mut parts = rest.split('$');
    let (mut log, mut block, mut parallel) = (None, None, None);
    for cost in parts.next()?.split(',') {
        let (name, value) = cost.split_once('=')?;
        let value: u32 = value.parse().ok()?;
        match name {
            "ln" => log = Some(value),
            "r" => block = Some(value),
            "p" => parallel = Some(value),
            _ => return None,
        }
    }
    let (log, block, parallel) = (log?, block?, parallel?);
    let bytes = 1_u64.checked_shl(log).filter(|_| log < 32)?.checked_mul(u64::from(block))?.checked_mul(128)?;
    if bytes > MOST_SCRYPT_BYTES || parallel > MOST_SCRYPT_PARALLEL {
        return None;
    }
    let params = scrypt::Params::new(u8::try_from(log).ok()?, block, parallel).ok()?;
    let (salt, output) = (STANDARD.decode(parts.next()?).ok()?, STANDARD.decode(parts.next()?).ok()?);
    made(Way::Scrypt { params, salt }, output, parts.next().is_some())
}

/// Base64 of the digest and, behind it, the salt.
fn salted(algorithm: &'static digest::Algorithm, rest: &str) -> Option<Imported> {
    let mut output = STANDARD.decode(rest).ok()?;
    if output.len() <= algorithm.output_len() {
        return None;
    }
    let salt = output.split_off(algorithm.output_len());
    made(Way::Salted { algorithm, salt }, output, false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn fits(text: &str, password: &str) -> bool {
        let imported = Imported::parse(text).unwrap_or_else(|| panic!("not read: {text}"));
        imported.compute(password.as_bytes()).is_some_and(|found| found == imported.output)
    }

    /// Vectors of the systems that made them.
    const KNOWN: [(&str, &str); 11] = [
        ("{SSHA}ZPeztGLZUREzgQWoP02WcuGCzQowMTIzNDU2Nw==", "hunter22"),
        ("{SSHA256}1BGmP6PPv9vgLx4ytTb9sGdl8hlBjfsY/b6AXzREh7AwMTIzNDU2Nw==", "hunter22"),
        (
            "{SSHA512}He5ZyCfbUtEeBnN6/dvlBKcKalj6qQPffVY9/r/BCetvWIvWeyWowNTMjzR8jp13IwcSvR7IBOYjUQ9uDRjwzzAxMjM0NTY3",
            "hunter22",
        ),
        ("$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$ueBbYQVkDHSR2wInfuEbu55EoAdDx3ozbiXKophExIU", "hunter22"),
        (
            "$pbkdf2-sha512$1000$MDEyMzQ1Njc4OWFiY2RlZg$Xg4EL7.rA8./LUT63Xnyx.M07DB00Ik0jgihW.CwUKZ/i0YJ7ls5kTqGHv6FnbyBgjbhv/S9rJboL4EAjFPYtw",
            "hunter22",
        ),
        ("{PBKDF2}1000$MDEyMzQ1Njc4OWFiY2RlZg$KwthxV9WuFwB/bguLKmJmXZCg0c", "hunter22"),
        ("pbkdf2_sha256$1000$abcdefgh1234$mexccCaenj2NPCHgR+GrQ8yKKSxBB5CJkwU0ni2engc=", "hunter22"),
        ("$scrypt$ln=4,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$GbVBK2XBbz+abfTyNSWbAT5eN+L8yo30aihNtx21k7E", "hunter22"),
        ("$2b$04$DBF1.Q5ajLeEtAqeRX4oU.jOa788U9v7H90HIy/58El1JyL1mD9Vu", "hunter22"),
        ("{CRYPT}$2b$04$DBF1.Q5ajLeEtAqeRX4oU.jOa788U9v7H90HIy/58El1JyL1mD9Vu", "hunter22"),
        ("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"),
    ];

    #[test]
    fn hashes_of_other_systems_are_verified() {
        for (text, password) in KNOWN {
            assert!(fits(text, password), "{text}");
            assert!(!fits(text, "wrong"), "{text}");
        }
    }

    #[test]
    fn attack_68_a_hash_of_absurd_cost_is_not_computed() {
        for text in [
            "$2b$31$abcdefghijklmnopqrstuuJYnRMbvNFhYYqJ0eX6dO3X1qkq2y0rS",
            "$pbkdf2-sha256$i=4000000000,l=32$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$scrypt$ln=24,r=8,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$scrypt$ln=4294967295,r=4294967295,p=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$scrypt$ln=4,r=8,p=5000$c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert!(Imported::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_no_hash_is_not_read_as_one() {
        for text in
            ["", "$", "{", "{SSHA}", "{SSHA}AAAA", "{MD5}x", "plain", "$1$salt$hash", "$2b$10$short", "$scrypt$ln=4$a"]
        {
            assert!(Imported::parse(text).is_none(), "{text}");
        }
    }
}
