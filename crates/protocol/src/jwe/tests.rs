#![allow(clippy::unwrap_used)]

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::encoding::{AsDer as _, EcPrivateKeyRfc5915Der, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use proptest::prelude::*;

use super::*;

fn from_url(text: &str) -> Vec<u8> {
    decode_url(&text.replace(char::is_whitespace, ""), 4096).unwrap()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// Counts upwards: tests want the same bytes each time.
fn counting() -> impl FnMut(&mut [u8]) {
    let mut next = 0_u8;
    move |bytes| {
        for byte in bytes {
            next = next.wrapping_mul(5).wrapping_add(1);
            *byte = next;
        }
    }
}

fn rsa() -> DecryptionKey {
    let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    DecryptionKey::rsa("rsa-1", der.as_ref()).unwrap()
}

fn p256() -> DecryptionKey {
    let key = PrivateKey::generate(&ECDH_P256).unwrap();
    let der: EcPrivateKeyRfc5915Der<'_> = key.as_der().unwrap();
    DecryptionKey::p256("ec-1", der.as_ref()).unwrap()
}

fn public(key: &DecryptionKey) -> EncryptionKey {
    EncryptionKey::read(key.to_jwk().as_object().unwrap()).unwrap()
}

fn key_for<'k>(alg: KeyAlg, rsa: &'k DecryptionKey, ec: &'k DecryptionKey) -> &'k DecryptionKey {
    if alg.is_rsa() { rsa } else { ec }
}

/// RFC 7516 appendix A.1: RSA-OAEP and A256GCM. The private key in PKCS#8 is built from the members of A.1.3.
const A1_TOKEN: &str = "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.OKOawDo13gRp2ojaHV7LFpZcgV7T6DVZKTyKOMTYUmKoTCVJRgckCL9kiMT03JGeipsEdY3mx_etLbbWSrFr05kLzcSr4qKAq7YN7e9jwQRb23nfa6c9d-StnImGyFDbSv04uVuxIp5Zms1gNxKKK2Da14B8S4rzVRltdYwam_lDp5XnZAYpQdb76FdIKLaVmqgfwX7XWRxv2322i-vDxRfqNzo_tETKzpVLzfiwQyeyPGLBIO56YJ7eObdv0je81860ppamavo35UgoRdbYaBcoh9QcfylQr66oc6vFWXRcZ_ZT2LawVCWTIy3brGPi6UklfCpIMfIjf7iGdXKHzg.48V1_ALb6US04U3b.5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A.XFBoMYUZodetZdvTiFvSkQ";
const A1_N: &str = "oahUIoWw0K0usKNuOR6H4wkf4oBUXHTxRvgb48E-BVvxkeDNjbC4he8rUWcJoZmds2h7M70imEVhRU5djINXtqllXI4DFqcI1DgjT9LewND8MW2Krf3Spsk_ZkoFnilakGygTwpZ3uesH-PFABNIUYpOiN15dsQRkgr0vEhxN92i2asbOenSZeyaxziK72UwxrrKoExv6kc5twXTq4h-QChLOln0_mtUZwfsRaMStPs6mS6XrgxnxbWhojf663tuEQueGC-FCMfra36C9knDFGzKsNa7LZK2djYgyD3JR_MB_4NUJW_TqOQtwHYbxevoJArm-L5StowjzGy-_bq6Gw";
const A1_D: &str = "kLdtIj6GbDks_ApCSTYQtelcNttlKiOyPzMrXHeI-yk1F7-kpDxY4-WY5NWV5KntaEeXS1j82E375xxhWMHXyvjYecPT9fpwR_M9gV8n9Hrh2anTpTD93Dt62ypW3yDsJzBnTnrYu1iwWRgBKrEYY46qAZIrA2xAwnm2X7uGR1hghkqDp0Vqj3kbSCz1XyfCs6_LehBwtxHIyh8Ripy40p24moOAbgxVw3rxT_vlt3UVe4WO3JkJOzlpUf-KTVI2Ptgm-dARxTEtE-id-4OJr0h-K-VFs3VSndVTIznSxfyrj8ILL6MG_Uv8YAu7VILSB3lOW085-4qE3DzgrTjgyQ";
const A1_P: &str = "1r52Xk46c-LsfB5P442p7atdPUrxQSy4mti_tZI3Mgf2EuFVbUoDBvaRQ-SWxkbkmoEzL7JXroSBjSrK3YIQgYdMgyAEPTPjXv_hI2_1eTSPVZfzL0lffNn03IXqWF5MDFuoUYE0hzb2vhrlN_rKrbfDIwUbTrjjgieRbwC6Cl0";
const A1_Q: &str = "wLb35x7hmQWZsWJmB_vle87ihgZ19S8lBEROLIsZG4ayZVe9Hi9gDVCOBmUDdaDYVTSNx_8Fyw1YYa9XGrGnDew00J28cRUoeBB_jKI1oma0Orv1T9aXIWxKwd4gvxFImOWr3QRL9KEBRzk2RatUBnmDZJTIAfwTs0g68UZHvtc";
const A1_DP: &str = "ZK-YwE7diUh0qR1tR7w8WHtolDx3MZ_OTowiFvgfeQ3SiresXjm9gZ5KLhMXvo-uz-KUJWDxS5pFQ_M0evdo1dKiRTjVw_x4NyqyXPM5nULPkcpU827rnpZzAJKpdhWAgqrXGKAECQH0Xt4taznjnd_zVpAmZZq60WPMBMfKcuE";
const A1_DQ: &str = "Dq0gfgJ1DdFGXiLvQEZnuKEN0UUmsJBxkjydc3j4ZYdBiMRAy86x0vHCjywcMlYYg4yoC4YZa9hNVcsjqA3FeiL19rk8g6Qn29Tt0cj8qqyFpz9vNDBUfCAiJVeESOjJDZPYHdHY8v1b-o-Z2X5tvLx-TCekf7oxyeKDUqKWjis";
const A1_QI: &str = "VIMpMYbPf47dT1w_zDUXfPimsSegnMOA1zTaX7aGk_8urY6R8-ZW1FxU7AlWAyLWybqq6t16VFd7hQd0y6flUK4SlOydB61gwanOsXGOAOv82cHq0E3eL4HrtZkUuKvnPrMnsUUFlfUdybVzxyjz9JF_XyaY14ardLSjf4L_FNY";

#[test]
fn rfc_7516_a1_rsa_oaep_with_a256gcm_opens() {
    let int = |text: &str| der::test_unsigned(&from_url(text));
    let parts = [A1_N, "AQAB", A1_D, A1_P, A1_Q, A1_DP, A1_DQ, A1_QI].map(int);
    let pkcs8 = der::test_rsa_pkcs8(&parts.concat());
    let key = DecryptionKey::rsa("a1", &pkcs8).unwrap();
    assert_eq!(key.to_jwk()["n"], A1_N);
    let opened = decrypt(A1_TOKEN, &[&key]).unwrap();
    assert_eq!((opened.alg, opened.enc), (KeyAlg::RsaOaep, ContentEnc::A256Gcm));
    assert_eq!(
        std::str::from_utf8(&opened.plain).unwrap(),
        "The true sign of intelligence is not knowledge but imagination."
    );
}

/// RFC 7518 appendix C: Alice's ephemeral key, Bob's static one, `A128GCM`.
#[test]
fn rfc_7518_c_the_agreed_key_is_the_one_of_the_standard() {
    let alice = PrivateKey::from_private_key(&ECDH_P256, &from_url("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo"));
    let bob = PrivateKey::from_private_key(&ECDH_P256, &from_url("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"));
    let (alice, bob) = (alice.unwrap(), bob.unwrap());
    let keys = [(&alice, &bob), (&bob, &alice)].map(|(own, other)| {
        let public = other.compute_public_key().unwrap();
        keys::agreed_key(own, public.as_ref(), KeyAlg::EcdhEs, ContentEnc::A128Gcm, (b"Alice", b"Bob")).unwrap()
    });
    for key in keys {
        assert_eq!(encode_url(key), "VqqN6vgjbSBcIijNcacQGg");
    }
}

/// RFC 7518 appendix B.1 and B.3.
#[test]
fn rfc_7518_b_the_cbc_ciphers_give_the_texts_and_tags_of_the_standard() {
    let plain = "A cipher system must not be required to be secret, and it must be able to fall into the hands of the enemy \
                 without inconvenience";
    let header = b"The second principle of Auguste Kerckhoffs";
    let iv = from_hex("1af38c2dc2b96ffdd86694092341bc04");
    for (enc, length, start, tag) in [
        (ContentEnc::A128CbcHs256, 32, "c80edfa32ddf39d5ef00c0b468834279", "652c3fa36b0a7c5b3219fab3a30bc1c4"),
        (
            ContentEnc::A256CbcHs512,
            64,
            "4affaaadb78c31c5da4b1b590d10ffbd",
            "4dd3b4c088a7f45c216839645b2012bf2e6269a8c56a816dbc1b267761955bc5",
        ),
    ] {
        let key: Vec<u8> = (0..length).collect();
        let mut given = |bytes: &mut [u8]| bytes.copy_from_slice(&iv);
        let sealed = content::seal(enc, &key, header, plain.as_bytes(), &mut given).unwrap();
        assert_eq!(sealed.text[..16], from_hex(start), "{enc:?}");
        assert_eq!(sealed.tag, from_hex(tag), "{enc:?}");
        assert_eq!(*content::open(enc, &key, header, &sealed).unwrap(), plain.as_bytes());
    }
}

#[test]
fn every_pair_opens_what_it_sealed_and_nothing_altered() {
    let (rsa, ec) = (rsa(), p256());
    for alg in KeyAlg::ALL {
        let key = key_for(alg, &rsa, &ec);
        for enc in ContentEnc::ALL {
            let token = encrypt(b"a.b.c", &public(key), (alg, enc), Some("JWT"), &mut counting()).unwrap();
            assert!(is_encrypted(&token));
            let opened = decrypt(&token, &[&ec, &rsa]).unwrap();
            assert_eq!((opened.alg, opened.enc, opened.cty.as_deref()), (alg, enc, Some("jwt")));
            assert_eq!(*opened.plain, b"a.b.c");
            for part in 0..5 {
                let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
                let swapped = if parts[part].starts_with('A') { "B" } else { "A" };
                if parts[part].is_empty() {
                    parts[part].push_str("AAAA");
                } else {
                    parts[part].replace_range(..1, swapped);
                }
                assert!(decrypt(&parts.join("."), &[key]).is_err(), "{alg:?} {enc:?} part {part}");
            }
        }
    }
}

#[test]
fn another_key_opens_nothing_and_does_not_go_with_another_algorithm() {
    let (one, other, ec) = (rsa(), rsa(), p256());
    let pair = (KeyAlg::RsaOaep256, ContentEnc::A256Gcm);
    let token = encrypt(b"x", &public(&one), pair, None, &mut counting()).unwrap();
    assert_eq!(decrypt(&token, &[&other]).unwrap_err(), JweProblem::Closed);
    assert_eq!(decrypt(&token, &[&ec]).unwrap_err(), JweProblem::NoKey);
    assert_eq!(decrypt(&token, &[]).unwrap_err(), JweProblem::NoKey);
    let pair = (KeyAlg::EcdhEs, ContentEnc::A256Gcm);
    assert_eq!(encrypt(b"x", &public(&one), pair, None, &mut counting()).unwrap_err(), JweProblem::NoKey);
}

fn with_header(token: &str, change: impl FnOnce(&mut Value)) -> String {
    let (header, rest) = token.split_once('.').unwrap();
    let mut header: Value = serde_json::from_slice(&from_url(header)).unwrap();
    change(&mut header);
    format!("{}.{rest}", encode_url(header.to_string()))
}

#[test]
fn headers_that_compress_stretch_or_name_keys_are_refused() {
    let key = p256();
    let pair = (KeyAlg::EcdhEs, ContentEnc::A128Gcm);
    let token = encrypt(b"x", &public(&key), pair, None, &mut counting()).unwrap();
    for name in ["zip", "crit", "p2c", "p2s", "jwk", "jku", "x5u", "x5c"] {
        let changed = with_header(&token, |header| header[name] = "DEF".into());
        assert_eq!(decrypt(&changed, &[&key]).unwrap_err(), JweProblem::Header(name));
    }
    for (name, value) in
        [("alg", "dir"), ("alg", "RSA1_5"), ("alg", "PBES2-HS256+A128KW"), ("alg", "none"), ("enc", "A192GCM")]
    {
        let changed = with_header(&token, |header| header[name] = value.into());
        assert_eq!(decrypt(&changed, &[&key]).unwrap_err(), JweProblem::Algorithm, "{value}");
    }
    let missing = with_header(&token, |header| header["epk"] = Value::Null);
    assert_eq!(decrypt(&missing, &[&key]).unwrap_err(), JweProblem::Closed);
    // A point that does not lie on the curve would give away the key bit by bit.
    let off = with_header(&token, |header| header["epk"]["y"] = encode_url([1; 32]).into());
    assert_eq!(decrypt(&off, &[&key]).unwrap_err(), JweProblem::Closed);
    assert_eq!(decrypt(&"a".repeat(MAX_TOKEN + 1), &[&key]).unwrap_err(), JweProblem::TooLong);
    assert_eq!(decrypt("a.b.c", &[&key]).unwrap_err(), JweProblem::Malformed);
}

#[test]
fn keys_for_signatures_and_of_other_kinds_are_not_encrypted_to() {
    let jwk = rsa().to_jwk();
    let read = |change: &dyn Fn(&mut Value)| {
        let mut jwk = jwk.clone();
        change(&mut jwk);
        EncryptionKey::read(jwk.as_object().unwrap())
    };
    assert!(read(&|_| {}).is_some());
    assert!(read(&|jwk| jwk["use"] = "sig".into()).is_none());
    assert!(read(&|jwk| jwk["key_ops"] = json!(["verify"])).is_none());
    assert!(read(&|jwk| jwk["alg"] = "RS256".into()).is_none());
    assert!(read(&|jwk| jwk["alg"] = "ECDH-ES".into()).is_none());
    assert!(read(&|jwk| jwk["kty"] = "OKP".into()).is_none());
    let bound = read(&|jwk| jwk["alg"] = "RSA-OAEP".into()).unwrap();
    assert!(bound.serves(KeyAlg::RsaOaep) && !bound.serves(KeyAlg::RsaOaep256));
    let small =
        EncryptionKey::read(json!({"kty": "RSA", "n": encode_url([255; 128]), "e": "AQAB"}).as_object().unwrap());
    let pair = (KeyAlg::RsaOaep, ContentEnc::A128Gcm);
    assert_eq!(encrypt(b"x", &small.unwrap(), pair, None, &mut counting()).unwrap_err(), JweProblem::NoKey);
}

#[test]
fn a_key_set_yields_the_key_meant_for_encryption_before_one_for_everything() {
    let (both, meant) = (rsa(), p256());
    let mut loose = both.to_jwk();
    loose.as_object_mut().unwrap().remove("use");
    let mut marked = both.to_jwk();
    marked["kid"] = "marked".into();
    let mut signing = meant.to_jwk();
    signing["use"] = "sig".into();
    let set = crate::jwk::JwkSet::parse(&json!({"keys": [loose, marked, signing]})).unwrap();
    assert_eq!(set.encryption_key(KeyAlg::RsaOaep).unwrap().kid(), Some("marked"));
    assert!(set.encryption_key(KeyAlg::EcdhEs).is_none());
    // The loose one and the signing one may still judge signatures.
    assert_eq!(set.keys().len(), 2);
}

proptest! {
    #[test]
    fn never_panics(text in "[A-Za-z0-9_.-]{0,200}", header in "\\{\"alg\":\"ECDH-ES\",\"enc\":\"A128GCM\",\"epk\":.{0,40}\\}") {
        let key = DecryptionKey::of_p256("k", PrivateKey::from_private_key(&ECDH_P256, &[7; 32]).unwrap()).unwrap();
        let _ = decrypt(&text, &[&key]);
        let _ = decrypt(&format!("{}..AAAA.AAAA.AAAA", encode_url(header)), &[&key]);
    }
}
