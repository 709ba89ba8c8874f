//! Opaque credentials: how long they are and in which form they are stored.

use aws_lc_rs::digest::{SHA256, digest as hash};
use protocol::records::Digest;

/// Characters of an opaque access token or challenge token: 238 random bits.
pub const ACCESS_TOKEN_LENGTH: usize = 40;

/// Characters of a refresh token.
pub const REFRESH_TOKEN_LENGTH: usize = 50;

/// The longest credential worth looking up; anything longer was never issued.
pub const LONGEST: usize = 8192;

/// The only form in which a credential is stored or looked up.
pub fn digest(token: &str) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash(&SHA256, token.as_bytes()).as_ref());
    Digest(bytes)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `len` characters of `[A-Za-z0-9]` drawn evenly from blocks of a keyed hash, for credentials that must come out the same again.
pub fn alphanumeric(len: usize, mut block: impl FnMut(u8) -> [u8; 32]) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(len);
    for number in 0..=u8::MAX {
        // 248 is the largest multiple of 62 in a byte: what lies above would favour the first letters.
        for byte in block(number).into_iter().filter(|byte| *byte < 248) {
            if text.len() == len {
                return text;
            }
            text.push(char::from(ALPHABET[usize::from(byte % 62)]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_credential_is_alphanumeric_and_as_long_as_asked() {
        let one = alphanumeric(40, |number| [number.wrapping_mul(31).wrapping_add(7); 32]);
        assert_eq!(one.len(), 40);
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(one, alphanumeric(40, |number| [number.wrapping_mul(31).wrapping_add(8); 32]));
    }
}
