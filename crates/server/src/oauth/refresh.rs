//! The form of a refresh token: whose it is, which one in the line, and a proof that it is ours.
//!
//! A token is `grant (22) generation (4) proof (24)`, all of `[A-Za-z0-9]`. The proof is keyed with the server's master key
//! and the grant's own random seed, so that within the grace window the successor of a token comes out the same again
//! without ever being stored, and a token that was rotated long ago is still known for what it is.

use protocol::records::{Grant, GrantId, TenantId};
use subtle::ConstantTimeEq;

use crate::keys::MasterKey;
use crate::tokens;

const GRANT: usize = 22;
const GENERATION: usize = 4;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Refreshes one grant can see; beyond it the grant must be made anew.
pub const MOST_GENERATIONS: u32 = 62u32.pow(4) - 1;

/// The grant and generation a token names; none if it does not have the form of one.
pub fn read(token: &str) -> Option<(GrantId, u32)> {
    if token.len() != tokens::REFRESH_TOKEN_LENGTH || !token.is_ascii() {
        return None;
    }
    let id = number(&token[..GRANT])?;
    let generation = u32::try_from(number(&token[GRANT..GRANT + GENERATION])?).ok()?;
    Some((GrantId(uuid::Uuid::from_u128(id).to_string()), generation))
}

/// The token of this generation.
pub fn write(master: &MasterKey, tenant: &TenantId, grant: &GrantId, seed: &str, generation: u32) -> Option<String> {
    let id = uuid::Uuid::parse_str(grant.as_str()).ok()?.as_u128();
    let mut token = text(id, GRANT);
    token.push_str(&text(u128::from(generation), GENERATION));
    let rest = tokens::REFRESH_TOKEN_LENGTH - token.len();
    token.push_str(&derive(master, "refresh token", tenant, grant, seed, generation, rest));
    Some(token)
}

/// The access token handed out together with the refresh token of this generation.
pub fn access_token(master: &MasterKey, tenant: &TenantId, grant: &Grant, generation: u32) -> String {
    let seed = &grant.detail.seed;
    derive(master, "access token", tenant, &grant.id, seed, generation, tokens::ACCESS_TOKEN_LENGTH)
}

/// Whether `token` was really handed out for this grant, in whichever generation.
pub fn is_genuine(master: &MasterKey, grant: &Grant, token: &str, generation: u32) -> bool {
    write(master, &grant.tenant, &grant.id, &grant.detail.seed, generation)
        .is_some_and(|ours| bool::from(ours.as_bytes().ct_eq(token.as_bytes())))
}

fn derive(
    master: &MasterKey,
    purpose: &str,
    tenant: &TenantId,
    grant: &GrantId,
    seed: &str,
    generation: u32,
    len: usize,
) -> String {
    let mut named = format!("{tenant}\n{grant}\n{seed}\n{generation}\n").into_bytes();
    let stem = named.len();
    tokens::alphanumeric(len, |block| {
        named.truncate(stem);
        named.push(block);
        master.mac(purpose, &named)
    })
}

fn text(mut number: u128, len: usize) -> String {
    let mut digits = vec![b'0'; len];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[usize::try_from(number % 62).unwrap_or(0)];
        number /= 62;
    }
    String::from_utf8(digits).unwrap_or_default()
}

fn number(text: &str) -> Option<u128> {
    text.bytes().try_fold(0u128, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A' + 10,
            b'a'..=b'z' => byte - b'a' + 36,
            _ => return None,
        };
        number.checked_mul(62)?.checked_add(u128::from(digit))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_token_names_its_grant_and_generation_and_nothing_else_fits_it() {
        let master = MasterKey::new([7; 32]);
        let tenant = TenantId::from("t");
        let grant = GrantId::from("c14c63c1-6431-4c8f-a8fe-c939aff01744");
        let token = write(&master, &tenant, &grant, "seed", 61).unwrap();
        assert_eq!(token.len(), 50);
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(read(&token), Some((grant.clone(), 61)));
        assert_ne!(token, write(&master, &tenant, &grant, "seed", 62).unwrap());
        assert_ne!(token[26..], write(&master, &tenant, &grant, "other", 61).unwrap()[26..]);
        assert_ne!(token[26..], write(&master, &TenantId::from("u"), &grant, "seed", 61).unwrap()[26..]);
        for bad in ["", "x", &"z".repeat(50), &"é".repeat(25), &token[1..]] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
