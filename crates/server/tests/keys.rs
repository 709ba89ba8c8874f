//! Signing keys: what they sign is accepted by a foreign judge, and they come and go without a gap.
#![allow(clippy::unwrap_used, clippy::panic)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::keys::{KeyError, KeyRing, MasterKey, Overlap, Rotation, Sign, Typ, generate, missing, rotate};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use protocol::records::{KeyRecord, SigningAlg, TenantId};
use serde_json::{Value, json};

const ALL: [SigningAlg; 4] = [SigningAlg::Rs256, SigningAlg::Ps256, SigningAlg::Es256, SigningAlg::EdDsa];
const NOW: i64 = 1_800_000_000;

fn tenant() -> TenantId {
    TenantId::from("acme")
}

fn master() -> MasterKey {
    MasterKey::new([3; 32])
}

fn ring(records: &[KeyRecord]) -> KeyRing {
    KeyRing::open(records, &master(), &tenant()).unwrap()
}

/// Verifies with another library and the published key set alone.
fn judge(token: &str, jwks: &Value) -> Value {
    let set: JwkSet = serde_json::from_value(jwks.clone()).unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    let jwk = set.find(header.kid.as_deref().unwrap()).unwrap();
    let mut validation = Validation::new(header.alg);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(jwk).unwrap(), &validation).unwrap().claims
}

fn header(token: &str) -> String {
    let first = token.split('.').next().unwrap();
    String::from_utf8(URL_SAFE_NO_PAD.decode(first).unwrap()).unwrap()
}

#[test]
fn every_algorithm_is_accepted_by_another_library_from_the_published_set() {
    let records = missing(&[], &master(), &tenant(), &ALL, NOW).unwrap();
    let ring = ring(&records);
    let jwks = ring.jwks(NOW);
    assert_eq!(ring.algorithms(NOW), ALL);
    for (alg, expected) in ALL.into_iter().zip([Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA])
    {
        let token = ring.sign(Sign::With(alg), Typ::AccessToken, &json!({ "sub": "pat" }), NOW).unwrap();
        assert_eq!(judge(&token, &jwks.document), json!({ "sub": "pat" }));
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!((header.alg, header.typ.as_deref()), (expected, Some("at+jwt")));
        assert_eq!(ring.verify(&token, Typ::AccessToken, NOW).unwrap()["sub"], "pat");
    }
    assert!(!jwks.body.is_empty());
    assert_eq!(serde_json::from_slice::<Value>(&jwks.body).unwrap(), jwks.document);
    for key in jwks.document["keys"].as_array().unwrap() {
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(private).is_none(), "a private member is published");
        }
    }
}

#[test]
fn the_first_rs256_key_is_named_server_and_its_assertions_have_the_promised_header() {
    let records = missing(&[], &master(), &tenant(), &[SigningAlg::Rs256], NOW).unwrap();
    let token = ring(&records).sign(Sign::Key("server"), Typ::Absent, &json!({}), NOW).unwrap();
    assert_eq!(header(&token), r#"{"alg":"RS256","kid":"server"}"#);
}

#[test]
fn the_name_server_is_not_given_twice_in_a_line_of_keys() {
    let mut records = missing(&[], &master(), &tenant(), &[SigningAlg::Rs256], NOW).unwrap();
    let overlap = Overlap { ahead: 10, tail: 10 };
    for round in 1..4 {
        let now = NOW + round * 100;
        records = apply(&records, rotate(&records, &master(), &tenant(), SigningAlg::Rs256, now, overlap).unwrap());
        let fresh = records.iter().find(|record| record.signs_until.is_none()).unwrap();
        assert_ne!(fresh.kid, "server");
    }
}

#[test]
fn a_token_of_one_kind_never_passes_for_another() {
    let ring = ring(&missing(&[], &master(), &tenant(), &[SigningAlg::EdDsa], NOW).unwrap());
    let token = ring.sign(Sign::With(SigningAlg::EdDsa), Typ::Jwt, &json!({}), NOW).unwrap();
    assert!(ring.verify(&token, Typ::Jwt, NOW).is_some());
    for other in [Typ::Absent, Typ::AccessToken, Typ::Introspection, Typ::Logout] {
        assert!(ring.verify(&token, other, NOW).is_none(), "{other:?}");
    }
}

#[test]
fn altered_foreign_and_headerless_tokens_are_refused() {
    let records = missing(&[], &master(), &tenant(), &[SigningAlg::Es256], NOW).unwrap();
    let ring = ring(&records);
    let claims = json!({ "sub": "pat" });
    let token = ring.sign(Sign::With(SigningAlg::Es256), Typ::Jwt, &claims, NOW).unwrap();
    let parts: Vec<_> = token.split('.').collect();
    let forged = URL_SAFE_NO_PAD.encode(r#"{"sub":"root"}"#);
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let other = ring_of_another();
    let foreign = other.sign(Sign::With(SigningAlg::Es256), Typ::Jwt, &claims, NOW).unwrap();
    for bad in [
        format!("{}.{forged}.{}", parts[0], parts[2]),
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{token}."),
        format!("{token}="),
        foreign,
        String::new(),
        "...".to_owned(),
        "a".repeat(100_000),
    ] {
        assert!(ring.verify(&bad, Typ::Jwt, NOW).is_none(), "{}", &bad[..bad.len().min(80)]);
    }
}

fn ring_of_another() -> KeyRing {
    ring(&missing(&[], &master(), &tenant(), &[SigningAlg::Es256], NOW).unwrap())
}

#[test]
fn keys_open_only_for_their_tenant_their_name_and_their_master_key() {
    let record = generate(&master(), &tenant(), SigningAlg::EdDsa, None, NOW).unwrap();
    let renamed = KeyRecord { kid: "other".to_owned(), ..record.clone() };
    let recast = KeyRecord { alg: SigningAlg::Es256, ..record.clone() };
    let open = |record: &KeyRecord, master: &MasterKey, tenant: &str| {
        KeyRing::open(std::slice::from_ref(record), master, &TenantId::from(tenant)).map(drop)
    };
    assert!(open(&record, &master(), "acme").is_ok());
    assert!(matches!(open(&record, &master(), "rival"), Err(KeyError::Sealed { .. })));
    assert!(matches!(open(&renamed, &master(), "acme"), Err(KeyError::Sealed { .. })));
    assert!(matches!(open(&record, &MasterKey::generate(), "acme"), Err(KeyError::Sealed { .. })));
    assert!(matches!(open(&recast, &master(), "acme"), Err(KeyError::Malformed { .. })));
}

/// What the store holds after a rotation.
fn apply(records: &[KeyRecord], rotation: Rotation) -> Vec<KeyRecord> {
    let mut all = rotation.put.clone();
    let replaced = |kid: &String| rotation.put.iter().any(|record| record.kid == *kid) || rotation.remove.contains(kid);
    all.extend(records.iter().filter(|record| !replaced(&record.kid)).cloned());
    all
}

#[test]
fn a_rotation_leaves_no_moment_without_a_key_and_no_live_token_without_its_public_half() {
    let overlap = Overlap { ahead: 100, tail: 1000 };
    let before = missing(&[], &master(), &tenant(), &[SigningAlg::Es256], NOW).unwrap();
    let old = before[0].kid.clone();
    let start = NOW + 50;
    let after = apply(&before, rotate(&before, &master(), &tenant(), SigningAlg::Es256, start, overlap).unwrap());
    let ring = ring(&after);
    let kids = |now| {
        let jwks = ring.jwks(now);
        jwks.document["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|k| k["kid"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let new = after.iter().find(|record| record.kid != old).unwrap().kid.clone();

    // Published at once, not signing yet.
    assert!(kids(start).contains(&new) && kids(start).contains(&old));
    assert_eq!(ring.kid(SigningAlg::Es256, start + 99), Some(old.as_str()));
    let last = ring.sign(Sign::With(SigningAlg::Es256), Typ::Jwt, &json!({}), start + 99).unwrap();
    // Signing, the old one still published for what it signed last.
    assert_eq!(ring.kid(SigningAlg::Es256, start + 100), Some(new.as_str()));
    assert!(ring.verify(&last, Typ::Jwt, start + 1099).is_some());
    assert!(kids(start + 1099).contains(&old));
    // Gone.
    assert_eq!(kids(start + 1100), std::slice::from_ref(&new));
    assert!(ring.verify(&last, Typ::Jwt, start + 1100).is_none());

    // The next rotation forgets it.
    let next = rotate(&after, &master(), &tenant(), SigningAlg::Es256, start + 1100, overlap).unwrap();
    assert_eq!(next.remove, [old]);
}

#[test]
fn rotating_twice_in_haste_leaves_exactly_one_signer_at_every_moment() {
    let overlap = Overlap { ahead: 100, tail: 1000 };
    let mut records = missing(&[], &master(), &tenant(), &[SigningAlg::EdDsa], NOW).unwrap();
    for delay in [0, 10, 90, 100, 101] {
        let now = NOW + delay;
        records = apply(&records, rotate(&records, &master(), &tenant(), SigningAlg::EdDsa, now, overlap).unwrap());
    }
    for now in NOW..NOW + 1500 {
        let signers =
            records.iter().filter(|r| r.signs_from <= now && r.signs_until.is_none_or(|until| now < until)).count();
        assert_eq!(signers, 1, "at {}", now - NOW);
    }
}

#[test]
fn a_stolen_key_is_worthless_at_once() {
    let records = missing(&[], &master(), &tenant(), &[SigningAlg::EdDsa], NOW).unwrap();
    let stolen = ring(&records).sign(Sign::With(SigningAlg::EdDsa), Typ::Jwt, &json!({}), NOW).unwrap();
    let at = NOW + 5;
    let after = apply(&records, rotate(&records, &master(), &tenant(), SigningAlg::EdDsa, at, Overlap::NONE).unwrap());
    let ring = ring(&after);
    assert!(ring.verify(&stolen, Typ::Jwt, at).is_none());
    assert!(ring.sign(Sign::With(SigningAlg::EdDsa), Typ::Jwt, &json!({}), at).is_ok());
    assert_eq!(ring.jwks(at).document["keys"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_made_on_another_thread_is_as_good() {
    let ring = ring(&missing(&[], &master(), &tenant(), &[SigningAlg::Rs256, SigningAlg::Es256], NOW).unwrap());
    for alg in [SigningAlg::Rs256, SigningAlg::Es256] {
        let token = ring.sign_off_thread(Sign::With(alg), Typ::Jwt, &json!({ "a": 1 }), NOW).await.unwrap();
        assert_eq!(judge(&token, &ring.jwks(NOW).document), json!({ "a": 1 }));
    }
    let absent = ring.sign_off_thread(Sign::With(SigningAlg::Ps256), Typ::Jwt, &json!({}), NOW).await;
    assert!(matches!(absent, Err(KeyError::NoKey("PS256"))));
}

#[test]
fn a_key_has_a_certificate_in_oracles_dialect_and_its_tokens_name_it() {
    let records = missing(&[], &master(), &tenant(), &ALL, NOW).unwrap();
    let ring = ring(&records);
    let set = ring.certified_jwks(NOW);
    let keys = set["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1, "only RSA keys that sign with RS256");
    let key = &keys[0];
    assert_eq!((key["kid"].as_str(), key["kty"].as_str()), (Some("SIGNING_KEY"), Some("RSA")));
    // A foreign library reads the certificate: an anchor is a certificate that is well formed.
    let der = base64::engine::general_purpose::STANDARD.decode(key["x5c"][0].as_str().unwrap()).unwrap();
    let der = rustls::pki_types::CertificateDer::from(der);
    rustls::RootCertStore::empty().add(der.clone()).unwrap();
    let fingerprint = URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der));
    assert_eq!(key["x5t#S256"], fingerprint.as_str());

    let token = ring.sign(Sign::With(SigningAlg::Rs256), Typ::OracleAccess, &json!({ "sub": "pat" }), NOW).unwrap();
    assert!(header(&token).starts_with(r#"{"x5t#S256":""#), "{}", header(&token));
    assert_eq!(judge(&token, &set), json!({ "sub": "pat" }));
    // One kind never passes for another.
    assert!(ring.verify(&token, Typ::OracleAccess, NOW).is_some());
    for other in [Typ::OracleIdentity, Typ::AccessToken, Typ::Jwt, Typ::Absent] {
        assert!(ring.verify(&token, other, NOW).is_none(), "{other:?}");
    }
    assert!(ring.sign(Sign::With(SigningAlg::Es256), Typ::OracleAccess, &json!({}), NOW).is_err());
    // The same bytes at every node and every start.
    let again = KeyRing::open(&records, &master(), &tenant()).unwrap();
    assert_eq!(again.certified_jwks(NOW), set);
}

#[test]
fn after_a_rotation_the_key_in_force_comes_first_and_the_old_one_stays() {
    let mut records = missing(&[], &master(), &tenant(), &[SigningAlg::Rs256], NOW).unwrap();
    let overlap = Overlap { ahead: 600, tail: 3600 };
    let rotation = rotate(&records, &master(), &tenant(), SigningAlg::Rs256, NOW + 10, overlap).unwrap();
    records.retain(|record| !rotation.put.iter().any(|put| put.kid == record.kid));
    records.extend(rotation.put);
    let ring = ring(&records);
    let first = |now| ring.certified_jwks(now)["keys"].as_array().unwrap().clone();
    let (before, after) = (first(NOW + 20), first(NOW + 700));
    assert_eq!((before.len(), after.len()), (2, 2));
    assert_eq!(before[0]["x5t"], after[1]["x5t"]);
    assert_eq!(before[1]["x5t"], after[0]["x5t"]);
}

/// Clocks of nodes differ, and one may be set back: the ledger found a node that could not sign at all.
#[test]
fn a_node_whose_clock_runs_behind_signs_and_publishes() {
    let records = missing(&[], &master(), &tenant(), &ALL, NOW).unwrap();
    let ring = ring(&records);
    let behind = NOW - 3600;
    assert_eq!(ring.algorithms(behind), ALL);
    for alg in ALL {
        let token = ring.sign(Sign::With(alg), Typ::AccessToken, &json!({ "sub": "pat" }), behind).unwrap();
        assert_eq!(judge(&token, &ring.jwks(behind).document), json!({ "sub": "pat" }));
        assert!(ring.verify(&token, Typ::AccessToken, behind).is_some());
    }
    // A successor still waits for its time, and is published meanwhile.
    let plan =
        rotate(&records, &master(), &tenant(), SigningAlg::Es256, NOW, Overlap { ahead: 60, tail: 600 }).unwrap();
    let (fresh, old) = (&plan.put[0].kid, &plan.put[1].kid);
    let ring = self::ring(&plan.put);
    assert_eq!(ring.kid(SigningAlg::Es256, behind), Some(old.as_str()));
    assert_eq!(ring.kid(SigningAlg::Es256, NOW + 60), Some(fresh.as_str()));
    let listed = ring.jwks(behind);
    assert!(listed.document["keys"].as_array().unwrap().iter().any(|key| key["kid"] == fresh.as_str()));
}
