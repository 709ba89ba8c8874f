#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const GRANTS: [&str; 7] = [
    "authorization_code",
    "implicit",
    "refresh_token",
    "client_credentials",
    "password",
    "urn:ietf:params:oauth:grant-type:device_code",
    "policyauth",
];
const ALGS: [SigningAlg; 2] = [SigningAlg::Rs256, SigningAlg::Es256];
const CB: &str = "https://app.example.test/cb";

fn rules() -> Rules<'static> {
    Rules { grant_types: &GRANTS, signing_algs: &ALGS, vouched: false, powers: None }
}

fn register_as(metadata: Value, rules: &Rules<'_>) -> Result<Client, Rejection> {
    read(metadata.as_object().unwrap(), stranger("new".into()), rules)
}

fn register(metadata: Value) -> Result<Client, Rejection> {
    register_as(metadata, &rules())
}

/// Minimal metadata with something in addition.
fn with(more: Value) -> Value {
    let mut metadata = json!({"redirect_uris": [CB]});
    metadata.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    metadata
}

#[track_caller]
fn refused(metadata: Value, code: OAuthCode) {
    assert_eq!(register(metadata.clone()).unwrap_err().code, code, "{metadata}");
}

#[test]
fn g_1_defaults_are_filled_in_and_told() {
    let client = register(with(json!({}))).unwrap();
    assert_eq!(client.auth_method, ClientAuthMethod::ClientSecretBasic);
    let told = describe(&client);
    for (name, value) in [
        ("application_type", json!("web")),
        ("token_endpoint_auth_method", json!("client_secret_basic")),
        ("grant_types", json!(["authorization_code"])),
        ("response_types", json!(["code"])),
        ("id_token_signed_response_alg", json!("RS256")),
        ("subject_type", json!("public")),
        ("require_auth_time", json!(false)),
        ("redirect_uris", json!([CB])),
    ] {
        assert_eq!(told.get(name), Some(&value), "{name}");
    }
    assert!(!told.contains_key("client_name") && !told.contains_key("jwks"));
}

#[test]
fn g_14_everything_registered_is_told_again_as_it_was() {
    let metadata = json!({
        "client_name": "Example", "client_name#de": "Beispiel", "application_type": "web",
        "redirect_uris": [CB, "https://app.example.test/other?x=1"],
        "response_types": ["code", "id_token token", "code id_token"], "grant_types": ["authorization_code", "implicit", "refresh_token"],
        "contacts": ["dev@example.test"], "client_uri": "https://app.example.test/", "logo_uri": "https://app.example.test/logo.png",
        "policy_uri": "https://app.example.test/policy", "tos_uri": "https://app.example.test/tos",
        "jwks_uri": "https://app.example.test/jwks", "subject_type": "pairwise",
        "id_token_signed_response_alg": "ES256", "id_token_encrypted_response_alg": "RSA-OAEP", "id_token_encrypted_response_enc": "A256GCM",
        "userinfo_signed_response_alg": "RS256", "userinfo_encrypted_response_alg": "ECDH-ES", "userinfo_encrypted_response_enc": "A128GCM",
        "request_object_signing_alg": "PS256", "request_object_encryption_alg": "RSA-OAEP-256", "request_object_encryption_enc": "A128CBC-HS256",
        "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES384",
        "default_max_age": 3600, "require_auth_time": true, "default_acr_values": ["phr", "urn:x"],
        "initiate_login_uri": "https://app.example.test/login", "request_uris": ["https://app.example.test/ro#abc"],
        "post_logout_redirect_uris": ["https://app.example.test/bye"],
        "frontchannel_logout_uri": "https://app.example.test/front", "frontchannel_logout_session_required": true,
        "backchannel_logout_uri": "https://back.example.test/back", "backchannel_logout_session_required": true,
        "software_id": "s-1", "software_version": "1.2", "require_signed_request_object": true,
        "require_pushed_authorization_requests": true, "enforce_pkce": true, "token_endpoint_auth_single_use_jti": false,
    });
    let told = describe(&register(metadata.clone()).unwrap());
    for (name, value) in metadata.as_object().unwrap() {
        assert_eq!(told.get(name), Some(value), "{name}");
    }
    // What was told may be sent again and changes nothing (RFC 7592 §2.2).
    assert_eq!(describe(&register(Value::Object(told.clone())).unwrap()), told);
}

#[test]
fn g_7_redirect_uris_that_are_none_are_refused() {
    for uris in [
        json!(null),
        json!([]),
        json!("https://app.example.test/cb"),
        json!([5]),
        json!(["https://app.example.test/cb#frag"]),
        json!(["https://app.example.test/cb#"]),
        json!(["http://app.example.test/cb"]),
        json!(["javascript:alert(1)"]),
        json!(["com.example.app:/cb"]),
        json!(["/cb"]),
        json!(["https://user@app.example.test/cb"]),
        json!(vec![CB; 33]),
    ] {
        refused(json!({ "redirect_uris": uris }), OAuthCode::InvalidRedirectUri);
    }
}

#[test]
fn g_15_web_clients_with_tokens_in_the_address_need_https_and_a_real_host() {
    let implicit = |kind: &str, uri: &str| {
        register(json!({"application_type": kind, "redirect_uris": [uri], "response_types": ["id_token"]}))
    };
    assert!(implicit("web", CB).is_ok());
    for uri in ["https://localhost/cb", "https://LOCALHOST:8443/cb", "http://localhost/cb", "http://127.0.0.1/cb"] {
        assert_eq!(implicit("web", uri).unwrap_err().code, OAuthCode::InvalidRedirectUri, "{uri}");
    }
    for uri in ["http://localhost/cb", "http://127.0.0.1:7000/cb", "http://[::1]/cb", "com.example.app:/cb"] {
        assert!(implicit("native", uri).is_ok(), "{uri}");
    }
    refused(with(json!({"application_type": "desktop"})), OAuthCode::InvalidClientMetadata);
    // With codes alone a web client under development may live on loopback.
    assert!(register(json!({"redirect_uris": ["http://localhost:3000/cb"]})).is_ok());
}

#[test]
fn g_8_keys_come_by_value_or_by_address_never_both_and_never_private() {
    let set = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]});
    let uri = "https://app.example.test/jwks";
    assert!(matches!(register(with(json!({"jwks": set}))).unwrap().keys, ClientKeys::Jwks(_)));
    assert!(matches!(register(with(json!({"jwks_uri": uri}))).unwrap().keys, ClientKeys::JwksUri(_)));
    refused(with(json!({"jwks": set, "jwks_uri": uri})), OAuthCode::InvalidClientMetadata);
    refused(with(json!({"jwks_uri": "http://app.example.test/jwks"})), OAuthCode::InvalidClientMetadata);
    refused(with(json!({"jwks": {"keys": "none"}})), OAuthCode::InvalidClientMetadata);
    let mut private = set;
    private["keys"][0]["d"] = json!("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    refused(with(json!({"jwks": private})), OAuthCode::InvalidClientMetadata);
    refused(with(json!({"token_endpoint_auth_method": "private_key_jwt"})), OAuthCode::InvalidClientMetadata);
}

#[test]
fn g_6_values_that_are_wrong_or_not_offered_are_refused_by_name() {
    for (name, value) in [
        ("token_endpoint_auth_method", json!("client_secret_jwt")),
        ("token_endpoint_auth_method", json!(5)),
        ("token_endpoint_auth_signing_alg", json!("none")),
        ("token_endpoint_auth_signing_alg", json!("HS256")),
        ("id_token_signed_response_alg", json!("none")),
        ("id_token_signed_response_alg", json!("PS256")),
        ("userinfo_signed_response_alg", json!("HS256")),
        ("id_token_encrypted_response_enc", json!("A128GCM")),
        ("userinfo_encrypted_response_alg", json!("RSA1_5")),
        ("request_object_encryption_alg", json!("dir")),
        ("request_object_signing_alg", json!("HS256")),
        ("response_types", json!(["code", "magic"])),
        ("grant_types", json!(["magic"])),
        ("subject_type", json!("secret")),
        ("sector_identifier_uri", json!("http://example.test/s.json")),
        ("initiate_login_uri", json!("http://app.example.test/login")),
        ("logo_uri", json!("javascript:alert(1)")),
        ("tos_uri", json!("data:text/html,x")),
        ("policy_uri", json!("nowhere")),
        ("request_uris", json!(["http://app.example.test/ro"])),
        ("default_max_age", json!(-1)),
        ("default_max_age", json!("60")),
        ("require_auth_time", json!("yes")),
        ("post_logout_redirect_uris", json!(["https://app.example.test/bye#x"])),
        ("frontchannel_logout_uri", json!("https://elsewhere.example.test/front")),
        ("frontchannel_logout_uri", json!("https://app.example.test:444/front")),
        ("backchannel_logout_uri", json!("http://app.example.test/back")),
        ("backchannel_logout_uri", json!("https://app.example.test/back#x")),
        ("contacts", json!("dev@example.test")),
        ("client_name", json!("bell\u{7}")),
    ] {
        let rejection = register(with(json!({ name: value }))).unwrap_err();
        assert_eq!(rejection.code, OAuthCode::InvalidClientMetadata, "{name} {value}");
        // T-8: what may stand in `error_description`.
        assert!(
            rejection.detail.bytes().all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e)),
            "{}",
            rejection.detail
        );
    }
}

#[test]
fn g_13_an_initiate_login_uri_is_kept_and_must_be_https() {
    let uri = "https://app.example.test/login";
    assert_eq!(describe(&register(with(json!({"initiate_login_uri": uri}))).unwrap())["initiate_login_uri"], uri);
    refused(with(json!({"initiate_login_uri": "http://localhost/login"})), OAuthCode::InvalidClientMetadata);
}

#[test]
fn g_10_g_11_sectors_are_declared_where_hosts_differ_and_hold_every_uri() {
    let two = json!([CB, "https://other.example.test/cb"]);
    refused(json!({"redirect_uris": two, "subject_type": "pairwise"}), OAuthCode::InvalidClientMetadata);
    assert!(register(json!({ "redirect_uris": two })).is_ok());
    let sector = "https://example.test/uris.json";
    let metadata = json!({"redirect_uris": two, "subject_type": "pairwise", "sector_identifier_uri": sector});
    let client = register(metadata).unwrap();
    assert!(check_sector(&client, &json!([CB, "https://x.test/", "https://other.example.test/cb"])).is_ok());
    for document in [json!([CB]), json!([]), json!({}), json!("x"), json!([CB, 5])] {
        assert_eq!(check_sector(&client, &document).unwrap_err().code, OAuthCode::InvalidClientMetadata);
    }
}

#[test]
fn grants_and_response_types_go_together() {
    let grants = |more: Value| register(with(more)).map(|client| client.grant_types.into_iter().collect::<Vec<_>>());
    assert_eq!(grants(json!({"response_types": ["code id_token"]})).unwrap(), ["authorization_code", "implicit"]);
    assert_eq!(grants(json!({"response_types": ["id_token"]})).unwrap(), ["implicit"]);
    refused(
        with(json!({"response_types": ["id_token"], "grant_types": ["authorization_code"]})),
        OAuthCode::InvalidClientMetadata,
    );
    // The order of words is free (MRT §4).
    assert!(register(with(json!({"response_types": ["token id_token code"]}))).is_ok());
    let device =
        json!({"grant_types": ["urn:ietf:params:oauth:grant-type:device_code"], "token_endpoint_auth_method": "none"});
    assert_eq!(register(device).unwrap().response_types, Vec::<String>::new());
}

#[test]
fn g_16_members_nobody_knows_are_passed_over() {
    let client = register(with(
        json!({"tea": "earl grey", "client_id": "mine", "client_secret": "mine", "software_statement": "a.b.c"}),
    ));
    let told = describe(&client.unwrap());
    assert_eq!(told["client_id"], "new");
    assert!(
        !told.contains_key("tea") && !told.contains_key("software_statement") && !told.contains_key("client_secret")
    );
}

#[test]
fn a_stranger_gets_no_power_and_is_believed_nothing() {
    let power = json!({
        "all_users_entitled": false, "consent_action": "never_prompt", "access_policy": 7, "api_entitlements": ["manageUsers"],
        "restrict_api_entitlements": false, "id_token_claims": ["employee_id"], "scope": "openid payments",
    });
    let client = register(with(power.clone())).unwrap();
    let blank = stranger("new".into());
    assert_eq!(
        (client.consent, client.policy, &client.entitlements, &client.claims, &client.scopes),
        (blank.consent, None, &blank.entitlements, &blank.claims, &blank.scopes)
    );
    assert!(client.open_to_all && client.restrict_entitlements && client.restrict_scopes && !client.trusted_to_forward);
    for grant in ["client_credentials", "password", "policyauth"] {
        refused(with(json!({"grant_types": ["authorization_code", grant]})), OAuthCode::InvalidClientMetadata);
    }
    // Whoever vouches hands on what they have, and nothing else.
    let (entitlements, policies) = (BTreeSet::from(["manageUsers".to_owned()]), BTreeSet::from([7]));
    let powers = Some(Powers { entitlements: &entitlements, policies: &policies });
    let rules = Rules { vouched: true, powers, ..rules() };
    let client = register_as(with(power), &rules).unwrap();
    assert_eq!((client.consent, client.policy, client.open_to_all), (Consent::NeverPrompt, Some(7), false));
    assert_eq!(client.scopes, BTreeSet::from(["payments".to_owned()]));
    assert!(register_as(with(json!({"grant_types": ["client_credentials"]})), &rules).is_ok());
    for more in
        [json!({"api_entitlements": ["manageTenant"]}), json!({"access_policy": 8}), json!({"consent_action": "maybe"})]
    {
        assert_eq!(register_as(with(more), &rules).unwrap_err().code, OAuthCode::InvalidClientMetadata);
    }
}

#[test]
fn an_update_replaces_what_is_registrable_and_keeps_what_an_administrator_set() {
    let mut client =
        register(with(json!({"client_name": "Old", "logo_uri": "https://app.example.test/l.png"}))).unwrap();
    client.policy = Some(3);
    client.enabled = false;
    client.scopes.insert("own".to_owned());
    let metadata = with(json!({"client_name": "New", "access_policy": 9}));
    let updated = read(metadata.as_object().unwrap(), client, &rules()).unwrap();
    assert_eq!((updated.name.as_str(), updated.logo_uri), ("New", None));
    assert_eq!((updated.policy, updated.enabled, updated.scopes.len()), (Some(3), false, 1));
}

#[test]
fn encrypted_answers_need_a_key_to_encrypt_to() {
    let ec = json!({"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"});
    let ask = |alg: &str, jwk: Value| {
        register(with(json!({"id_token_encrypted_response_alg": alg, "jwks": {"keys": [jwk]}})))
    };
    let client = ask("ECDH-ES+A256KW", ec.clone()).unwrap();
    assert_eq!(client.id_token_encryption, Some(("ECDH-ES+A256KW".into(), "A128CBC-HS256".into())));
    assert!(ask("RSA-OAEP", ec.clone()).is_err());
    let mut signing = ec;
    signing["use"] = json!("sig");
    assert!(ask("ECDH-ES", signing).is_err());
    refused(with(json!({"id_token_encrypted_response_alg": "RSA-OAEP"})), OAuthCode::InvalidClientMetadata);
}

#[test]
fn a_client_that_asked_for_nothing_could_not_be_registered_again() {
    refused(json!({"response_types": []}), OAuthCode::InvalidClientMetadata);
    refused(json!({"response_types": [], "grant_types": []}), OAuthCode::InvalidClientMetadata);
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "(https?://[a-z.]{0,9}|code|id_token|none|web|RS256|RSA-OAEP)".prop_map(Value::from),
    ];
    prop_oneof![leaf.clone(), proptest::collection::vec(leaf, 0..4).prop_map(Value::from)]
}

proptest! {
    #[test]
    fn never_panics_and_what_is_told_can_be_registered_again(
        members in proptest::collection::btree_map(
            "(redirect_uris|response_types|grant_types|application_type|jwks|jwks_uri|client_name|client_name#de|logo_uri|subject_type|\
              id_token_encrypted_response_alg|default_max_age|contacts|request_uris|token_endpoint_auth_method)",
            anything(), 0..8),
        full in any::<bool>(),
    ) {
        let metadata = if full { with(json!(members)) } else { json!(members) };
        if let Ok(client) = register(metadata) {
            let told = describe(&client);
            let again = register(Value::Object(told.clone()));
            prop_assert_eq!(describe(&again.unwrap()), told);
        }
    }
}
