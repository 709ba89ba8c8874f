//! Keys a tenant is to hold.

use std::collections::HashMap;
use std::path::Path;

use protocol::records::SigningAlg;
use zeroize::Zeroizing;

use super::{unique, words};
use crate::secret::Secret;
use crate::tenant_file::KeyPart;
use crate::tenant_file::problem::Place;
use crate::tenant_file::reader::Section;

const ALL: [SigningAlg; 4] = [SigningAlg::Rs256, SigningAlg::Es256, SigningAlg::EdDsa, SigningAlg::Ps256];
/// The kinds of key that others encrypt to. There is one of each, whatever signs.
const DECRYPTING: [SigningAlg; 2] = [SigningAlg::Rs256, SigningAlg::Es256];
/// Largest file a private key is read from.
const LARGEST: u64 = 64 * 1024;

/// `[[tenant.keys]]`; one key of each algorithm where the section is absent.
pub(super) fn keys(tenant: &mut Section<'_>, file: &Path) -> Vec<KeyPart> {
    let Some(item) = tenant.take("keys") else {
        let signing = ALL.map(|alg| KeyPart { alg, decrypts: false, kid: None, pkcs8: None });
        return signing.into_iter().chain(decrypting()).collect();
    };
    let (mut kids, mut keys) = (HashMap::new(), Vec::new());
    let report = tenant.report;
    for mut section in item.list().into_iter().filter_map(|item| item.section()) {
        let alg = section.need_text("alg", "one of `RS256`, `ES256`, `EdDSA`, `PS256`");
        let alg = alg.and_then(|(name, place)| {
            let alg = serde_json::from_value::<SigningAlg>(name.into()).ok();
            if alg.is_none() {
                let message = format!("no signature algorithm `{name}`");
                report.add(&place, message, "one of `RS256`, `ES256`, `EdDSA`, `PS256`");
            }
            alg
        });
        let place = section.place.clone();
        let kid = section.text("kid");
        if let Some((kid, place)) = &kid {
            unique(&mut kids, kid, "key", report, place);
            if !words::is_word(kid) {
                report.add(place, "the name of the key is empty, too long or not visible ASCII", "");
            }
        }
        let given = section.text("file");
        if let (Some((_, place)), None) = (&given, &kid) {
            report.add(place, "a key from a file has no name", "give it one with `kid`");
        }
        let pkcs8 = given.as_ref().map(|(path, place)| read(&section, file, path, place));
        section.finish();
        if let Some(alg) = alg {
            if keys.iter().any(|key: &KeyPart| key.alg == alg) {
                let fix = "one key of each algorithm signs; `countersign keys rotate` replaces it";
                report.add(&place, "a second key of this algorithm", fix);
            }
            let kid = kid.map(|(kid, _)| kid.to_owned());
            keys.push(KeyPart { alg, decrypts: false, kid, pkcs8: pkcs8.flatten() });
        }
    }
    if !keys.iter().any(|key| key.alg == SigningAlg::Rs256) {
        let fix = "add a key with `alg = \"RS256\"`, or leave `keys` out to have one of each algorithm";
        report.add(&item.place, "no key signs with RS256, as the assertions of factors must be", fix);
    }
    keys.extend(decrypting());
    keys
}

fn decrypting() -> impl Iterator<Item = KeyPart> {
    DECRYPTING.into_iter().map(|alg| KeyPart { alg, decrypts: true, kid: None, pkcs8: None })
}

/// A private key in PKCS#8, PEM or DER, from a file beside the tenant file.
fn read(section: &Section<'_>, file: &Path, path: &str, place: &Place) -> Option<Secret<Vec<u8>>> {
    let path = file.parent().unwrap_or(Path::new("")).join(path);
    let failed = |why: &str| {
        let message = format!("the key in `{}` cannot be read: {why}", path.display());
        section.report.add(place, message, "give a private key in PKCS#8 (`-----BEGIN PRIVATE KEY-----`)");
    };
    match std::fs::metadata(&path) {
        Err(error) => {
            failed(&error.to_string().to_lowercase());
            return None;
        }
        Ok(meta) if meta.len() > LARGEST => {
            failed("the file is too large");
            return None;
        }
        Ok(_) => {}
    }
    let bytes = Zeroizing::new(std::fs::read(&path).map_err(|error| failed(&error.to_string().to_lowercase())).ok()?);
    let key = decode(&bytes);
    if key.is_none() {
        failed("it is no private key in PKCS#8");
    }
    key
}

fn decode(bytes: &[u8]) -> Option<Secret<Vec<u8>>> {
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::pki_types::pem::PemObject as _;
    if bytes.starts_with(&[0x30]) {
        return Some(Secret::new(bytes.to_vec()));
    }
    let key = PrivatePkcs8KeyDer::from_pem_slice(bytes).ok()?;
    Some(Secret::new(key.secret_pkcs8_der().to_vec()))
}
