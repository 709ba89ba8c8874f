//! The little of DER that RSA public keys need (RFC 8017 appendix A.1.1, RFC 5280 §4.1.2.7).

/// Algorithm identifier `rsaEncryption` with its NULL.
const RSA_ENCRYPTION: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// A `SubjectPublicKeyInfo` of an RSA key.
pub(super) fn rsa_public_key(n: &[u8], e: &[u8]) -> Vec<u8> {
    let pair = element(0x30, &[unsigned(n), unsigned(e)].concat());
    // A bit string begins with the number of bits that do not count: none.
    let bits = element(0x03, &[&[0], pair.as_slice()].concat());
    element(0x30, &[RSA_ENCRYPTION.as_slice(), &bits].concat())
}

/// Modulus and exponent of an `RSAPublicKey`, without leading zeros.
pub(super) fn read_rsa_public_key(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (inner, _) = read(der, 0x30)?;
    let (n, rest) = read(inner, 0x02)?;
    let (e, _) = read(rest, 0x02)?;
    Some((significant(n), significant(e)))
}

fn unsigned(number: &[u8]) -> Vec<u8> {
    let digits = significant(number);
    let mut body = Vec::with_capacity(digits.len() + 1);
    // A leading bit would make it negative.
    if digits.first().is_none_or(|first| *first >= 0x80) {
        body.push(0);
    }
    body.extend_from_slice(digits);
    element(0x02, &body)
}

fn significant(number: &[u8]) -> &[u8] {
    &number[number.iter().position(|byte| *byte != 0).unwrap_or(number.len())..]
}

fn element(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(body.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = body.len().to_be_bytes();
            let digits = significant(&bytes);
            out.push(0x80 | digits.len() as u8);
            out.extend_from_slice(digits);
        }
    }
    out.extend_from_slice(body);
    out
}

/// The contents of the element with this tag at the start of `der`, and what follows it.
fn read(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if bytes.len() > 4 {
            return None;
        }
        (bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
    };
    if found == tag { rest.split_at_checked(length) } else { None }
}

/// A number, for tests that build private keys from their published parts.
#[cfg(test)]
pub(super) fn test_unsigned(number: &[u8]) -> Vec<u8> {
    unsigned(number)
}

/// A PKCS#8 document around the numbers of an RSA private key (RFC 8017 appendix A.1.2).
#[cfg(test)]
pub(super) fn test_rsa_pkcs8(numbers: &[u8]) -> Vec<u8> {
    let key = element(0x30, &[unsigned(&[0]).as_slice(), numbers].concat());
    element(0x30, &[unsigned(&[0]).as_slice(), &RSA_ENCRYPTION, &element(0x04, &key)].concat())
}
