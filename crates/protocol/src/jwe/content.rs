//! The content ciphers (RFC 7518 §5). Owns lengths of keys, initialisation vectors and tags.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    AES_128, AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey,
    UnboundCipherKey,
};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{ContentEnc, JweProblem};

const GCM_NONCE: usize = 12;
const GCM_TAG: usize = 16;
const CBC_IV: usize = 16;

/// The last three parts of a token.
pub(super) struct Sealed {
    pub(super) iv: Vec<u8>,
    pub(super) text: Vec<u8>,
    pub(super) tag: Vec<u8>,
}

pub(super) fn seal(
    enc: ContentEnc,
    key: &[u8],
    header: &[u8],
    plain: &[u8],
    random: &mut dyn FnMut(&mut [u8]),
) -> Result<Sealed, JweProblem> {
    let mut text = plain.to_vec();
    match enc {
        ContentEnc::A128Gcm | ContentEnc::A256Gcm => {
            let mut iv = vec![0; GCM_NONCE];
            random(&mut iv);
            let nonce = Nonce::try_assume_unique_for_key(&iv).map_err(|_| JweProblem::Closed)?;
            let tag = gcm(enc, key)?
                .seal_in_place_separate_tag(nonce, Aad::from(header), &mut text)
                .map_err(|_| JweProblem::Closed)?;
            Ok(Sealed { iv, text, tag: tag.as_ref().to_vec() })
        }
        ContentEnc::A128CbcHs256 | ContentEnc::A256CbcHs512 => {
            let mut iv = [0; CBC_IV];
            random(&mut iv);
            seal_cbc(enc, key, header, text, iv)
        }
    }
}

pub(super) fn open(
    enc: ContentEnc,
    key: &[u8],
    header: &[u8],
    sealed: &Sealed,
) -> Result<Zeroizing<Vec<u8>>, JweProblem> {
    match enc {
        ContentEnc::A128Gcm | ContentEnc::A256Gcm => {
            if sealed.iv.len() != GCM_NONCE || sealed.tag.len() != GCM_TAG {
                return Err(JweProblem::Closed);
            }
            let nonce = Nonce::try_assume_unique_for_key(&sealed.iv).map_err(|_| JweProblem::Closed)?;
            let mut plain = Zeroizing::new(vec![0; sealed.text.len()]);
            gcm(enc, key)?
                .open_separate_gather(nonce, Aad::from(header), &sealed.text, &sealed.tag, &mut plain)
                .map_err(|_| JweProblem::Closed)?;
            Ok(plain)
        }
        ContentEnc::A128CbcHs256 | ContentEnc::A256CbcHs512 => open_cbc(enc, key, header, sealed),
    }
}

fn gcm(enc: ContentEnc, key: &[u8]) -> Result<LessSafeKey, JweProblem> {
    let algorithm = if enc == ContentEnc::A128Gcm { &AES_128_GCM } else { &AES_256_GCM };
    UnboundKey::new(algorithm, key).map(LessSafeKey::new).map_err(|_| JweProblem::Closed)
}

/// RFC 7518 §5.2.2.1: the first half of the key is for the MAC, the second for the cipher.
fn halves(enc: ContentEnc, key: &[u8]) -> Result<(hmac::Key, UnboundCipherKey), JweProblem> {
    if key.len() != enc.key_length() {
        return Err(JweProblem::Closed);
    }
    let (mac, cipher) = key.split_at(key.len() / 2);
    let (hash, aes) =
        if enc == ContentEnc::A128CbcHs256 { (hmac::HMAC_SHA256, &AES_128) } else { (hmac::HMAC_SHA512, &AES_256) };
    let cipher = UnboundCipherKey::new(aes, cipher).map_err(|_| JweProblem::Closed)?;
    Ok((hmac::Key::new(hash, mac), cipher))
}

/// The tag: half of the MAC over header, vector, text and the length of the header in bits.
fn tag(key: &hmac::Key, header: &[u8], iv: &[u8], text: &[u8]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(key);
    context.update(header);
    context.update(iv);
    context.update(text);
    context.update(&(header.len() as u64 * 8).to_be_bytes());
    let whole = context.sign();
    whole.as_ref()[..whole.as_ref().len() / 2].to_vec()
}

fn seal_cbc(
    enc: ContentEnc,
    key: &[u8],
    header: &[u8],
    mut text: Vec<u8>,
    iv: [u8; CBC_IV],
) -> Result<Sealed, JweProblem> {
    let (mac, cipher) = halves(enc, key)?;
    let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(cipher).map_err(|_| JweProblem::Closed)?;
    cipher
        .less_safe_encrypt(&mut text, EncryptionContext::Iv128(FixedLength::from(iv)))
        .map_err(|_| JweProblem::Closed)?;
    let tag = tag(&mac, header, &iv, &text);
    Ok(Sealed { iv: iv.to_vec(), text, tag })
}

/// The tag is judged before anything is decrypted, so that nobody learns of padding.
fn open_cbc(enc: ContentEnc, key: &[u8], header: &[u8], sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, JweProblem> {
    let (mac, cipher) = halves(enc, key)?;
    let iv: [u8; CBC_IV] = sealed.iv.as_slice().try_into().map_err(|_| JweProblem::Closed)?;
    let expected = tag(&mac, header, &iv, &sealed.text);
    if !bool::from(expected.as_slice().ct_eq(&sealed.tag)) {
        return Err(JweProblem::Closed);
    }
    let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(cipher).map_err(|_| JweProblem::Closed)?;
    let mut plain = Zeroizing::new(sealed.text.clone());
    let context = DecryptionContext::Iv128(FixedLength::from(iv));
    let length = cipher.decrypt(&mut plain, context).map_err(|_| JweProblem::Closed)?.len();
    plain.truncate(length);
    Ok(plain)
}
