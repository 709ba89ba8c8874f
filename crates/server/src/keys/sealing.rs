//! The master key: seals what must not lie in the database in clear, and makes keyed hashes of what need not be read
//! back. Owns the sealed form; does not know what is sealed.

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::{Zeroize, Zeroizing};

use super::KeyError;
use crate::world;

/// First byte of everything sealed, so that the form can change one day.
const FORM: u8 = 1;
const SALT: usize = 12;
const NONCE: usize = 12;
const TAG: usize = 16;
/// Largest thing that is sealed or opened.
const LARGEST: usize = 16 * 1024 * 1024;

/// The one key of the installation. Everything sealed or keyed is derived from it by purpose.
pub struct MasterKey {
    seal: hmac::Key,
    mac: hmac::Key,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

impl MasterKey {
    /// From its 32 bytes, which are wiped.
    pub fn new(mut bytes: [u8; 32]) -> Self {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"countersign master key").extract(&bytes);
        bytes.zeroize();
        Self { seal: derive(&root, b"seal"), mac: derive(&root, b"mac") }
    }

    /// A new random one, for development: what it sealed is lost with the process.
    pub fn generate() -> Self {
        let mut bytes = [0; 32];
        world::fill(&mut bytes);
        Self::new(bytes)
    }

    /// From a file that holds 32 raw bytes, 64 hexadecimal digits or the base64 form, with or without a final newline.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let contents =
            std::fs::read(path).map_err(|source| KeyError::Unreadable { path: path.display().to_string(), source })?;
        Self::parse(&Zeroizing::new(contents))
    }

    /// From the contents of such a file.
    pub fn parse(contents: &[u8]) -> Result<Self, KeyError> {
        if let Ok(raw) = <[u8; 32]>::try_from(contents) {
            return Ok(Self::new(raw));
        }
        let text = std::str::from_utf8(contents).map_err(|_| KeyError::Form)?.trim();
        let bytes = Zeroizing::new(match text.len() {
            64 => from_hex(text).ok_or(KeyError::Form)?,
            43 | 44 => STANDARD
                .decode(format!("{}=", text.trim_end_matches('=').replace('-', "+").replace('_', "/")))
                .map_err(|_| KeyError::Form)?,
            _ => return Err(KeyError::Form),
        });
        <[u8; 32]>::try_from(bytes.as_slice()).map(Self::new).map_err(|_| KeyError::Form)
    }

    /// Writes a new random key to `path`, which must not exist, readable by its owner alone.
    pub fn create_file(path: &Path) -> Result<Self, KeyError> {
        use std::io::Write as _;
        let failed = |source| KeyError::Unreadable { path: path.display().to_string(), source };
        let mut bytes = Zeroizing::new([0; 32]);
        world::fill(bytes.as_mut_slice());
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(failed)?;
        let text = Zeroizing::new(STANDARD.encode(bytes.as_slice()) + "\n");
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        Ok(Self::new(*bytes))
    }

    /// Seals `plain` so that only this installation can read it, and only for the same `purpose`.
    ///
    /// Each message has a key of its own, derived from half of its 24 random bytes: a single AES-GCM key would be
    /// worn out after 2^32 random nonces (NIST SP 800-38D §8.3), a few days of refreshes.
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Vec<u8> {
        let mut random = [0; SALT + NONCE];
        world::fill(&mut random);
        let (salt, nonce) = random.split_at(SALT);
        let mut sealed = Vec::with_capacity(1 + random.len() + plain.len() + TAG);
        sealed.push(FORM);
        sealed.extend_from_slice(&random);
        sealed.extend_from_slice(plain);
        let tag = self
            .message_key(salt)
            .seal_in_place_separate_tag(
                Nonce::try_assume_unique_for_key(nonce).expect("twelve bytes"),
                Aad::from(purpose.as_bytes()),
                &mut sealed[1 + SALT + NONCE..],
            )
            .expect("the message is far below the limit of the cipher");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// What was sealed for this purpose; none if it was altered, or sealed by another key or for another purpose.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        if sealed.len() > LARGEST {
            return None;
        }
        let (&form, rest) = sealed.split_first()?;
        let (salt, rest) = rest.split_at_checked(SALT)?;
        let (nonce, rest) = rest.split_at_checked(NONCE)?;
        if form != FORM {
            return None;
        }
        let mut plain = rest.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let length = self.message_key(salt).open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }

    /// A keyed hash (HMAC-SHA256) of `data`, different for each purpose.
    pub fn mac(&self, purpose: &str, data: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.mac);
        // The length keeps (`a`, `bc`) and (`ab`, `c`) apart.
        context.update(&(purpose.len() as u64).to_be_bytes());
        context.update(purpose.as_bytes());
        context.update(data);
        context.sign().as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
    }

    fn message_key(&self, salt: &[u8]) -> LessSafeKey {
        let key = hmac::sign(&self.seal, salt);
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).expect("HMAC-SHA256 has the 32 bytes of a key"))
    }
}

fn derive(root: &hkdf::Prk, label: &'static [u8]) -> hmac::Key {
    let mut key = Zeroizing::new([0; 32]);
    root.expand(&[label], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(key.as_mut_slice()))
        .expect("32 bytes are within what HKDF-SHA256 yields (RFC 5869 §2.3)");
    hmac::Key::new(hmac::HMAC_SHA256, key.as_slice())
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16);
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::try_from(digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_purpose_only() {
        let key = MasterKey::generate();
        let sealed = key.seal("outbox", b"code 123456");
        assert_eq!(key.open("outbox", &sealed).as_deref(), Some(&b"code 123456"[..]));
        assert_eq!(key.open("challenge", &sealed), None);
        assert_eq!(MasterKey::generate().open("outbox", &sealed), None);
        assert!(!sealed.windows(6).any(|w| w == b"123456"));
    }

    #[test]
    fn every_altered_byte_and_every_cut_is_noticed() {
        let key = MasterKey::generate();
        let sealed = key.seal("p", b"text");
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert_eq!(key.open("p", &altered), None, "byte {at}");
            assert_eq!(key.open("p", &sealed[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn sealing_twice_gives_two_texts() {
        let key = MasterKey::generate();
        assert_ne!(key.seal("p", b""), key.seal("p", b""));
        assert_eq!(key.open("p", &key.seal("p", b"")), Some(Vec::new()));
    }

    #[test]
    fn keyed_hashes_differ_by_purpose_and_key_and_are_stable() {
        let key = MasterKey::new([7; 32]);
        assert_eq!(key.mac("a", b"bc"), MasterKey::new([7; 32]).mac("a", b"bc"));
        assert_ne!(key.mac("a", b"bc"), key.mac("ab", b"c"));
        assert_ne!(key.mac("a", b"bc"), MasterKey::new([8; 32]).mac("a", b"bc"));
    }

    #[test]
    fn a_key_file_may_be_raw_hexadecimal_or_base64() {
        let raw = [0xfb; 32];
        let same = MasterKey::new(raw).mac("p", b"x");
        let hex = "fb".repeat(32);
        let standard = STANDARD.encode(raw);
        let url_safe = standard.replace('+', "-").replace('/', "_").replace('=', "");
        for form in [hex + "\n", standard + "\n", url_safe] {
            assert_eq!(MasterKey::parse(form.as_bytes()).unwrap().mac("p", b"x"), same, "{form}");
        }
        assert_eq!(MasterKey::parse(&raw).unwrap().mac("p", b"x"), same);
        for wrong in ["", "short", &"g".repeat(64), &"é".repeat(32), &"!".repeat(43)] {
            assert!(matches!(MasterKey::parse(wrong.as_bytes()), Err(KeyError::Form)), "{wrong}");
        }
    }

    #[test]
    fn a_created_key_file_reads_back_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let made = MasterKey::create_file(&path).unwrap();
        assert_eq!(MasterKey::from_file(&path).unwrap().mac("p", b""), made.mac("p", b""));
        assert!(matches!(MasterKey::create_file(&path), Err(KeyError::Unreadable { .. })));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
