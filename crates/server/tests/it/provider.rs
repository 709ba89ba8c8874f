//! What a relying party is told: metadata, keys, ID tokens, userinfo and claims. Names carry the numbers of the project's list of
//! conformance demands.

use std::collections::BTreeSet;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::encoding::{AsDer as _, EcPrivateKeyRfc5915Der};
use countersign::directory::DirectoryChange;
use countersign::keys::{self, Overlap};
use protocol::jwe::{self, DecryptionKey};
use protocol::records::{Client, SigningAlg, UserId};
use serde_json::{Value, json};
use store::Change;

use crate::support::{ACME, Reply, Setup, TOKEN, TestServer, client, decode, names, user, verify};

const ISSUER: &str = "https://login.example.test";
const ON: &str = "grant_types = [\"password\", \"refresh_token\"]";
/// Everything of OpenID Connect Core §5.1 but `sub`.
const STANDARD_CLAIMS: [&str; 19] = [
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "email",
    "email_verified",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "phone_number",
    "phone_number_verified",
    "address",
    "updated_at",
];

fn app(id: &str, more: &str) -> String {
    client(id, "s", &format!("{ON}\n{more}"))
}

async fn server() -> TestServer {
    Setup::new().add(&app("app", "")).start().await
}

/// Tokens of a person, asked for at one of our token endpoints.
async fn tokens_at(server: &TestServer, path: &str, id: &str, person: (&str, &str), scope: &str) -> Value {
    let form = [("grant_type", "password"), ("scope", scope), ("username", person.0), ("password", person.1)];
    server.ask("POST", path).basic(id, "s").form(&form).send().await.expect(200)
}

const ALICE: (&str, &str) = ("alice", "wonderland-11");
const SCOTT: (&str, &str) = ("scott", "hunter22");

async fn tokens(server: &TestServer, id: &str, scope: &str) -> Value {
    tokens_at(server, "/token", id, ALICE, scope).await
}

fn text<'v>(body: &'v Value, name: &str) -> &'v str {
    body[name].as_str().unwrap_or_else(|| panic!("no text `{name}` in {body}"))
}

async fn userinfo(server: &TestServer, tokens: &Value) -> Value {
    server.get("/userinfo", text(tokens, "access_token")).await.expect(200)
}

fn id_token(tokens: &Value) -> Value {
    decode(text(tokens, "id_token")).1
}

async fn jwks(server: &TestServer) -> Value {
    server.ask("GET", "/jwks").send().await.expect(200)
}

async fn metadata(server: &TestServer, prefix: &str) -> Value {
    server.ask("GET", &format!("{prefix}/.well-known/openid-configuration")).send().await.expect(200)
}

/// Changes a client as an administrator would.
async fn alter(server: &TestServer, id: &str, change: impl FnOnce(&mut Client)) {
    let directory = server.app.directories.current();
    let mut client = (**directory.tenant(&server.tenant()).unwrap().client(id).unwrap()).clone();
    change(&mut client);
    server
        .app
        .directories
        .change(None, &server.tenant(), vec![DirectoryChange::PutClient(Box::new(client))])
        .await
        .unwrap();
}

// --- metadata --------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn d_1_d_2_d_16_each_issuer_has_its_document_in_both_forms() {
    let server = server().await;
    for (prefix, issuer) in [("", ""), ("/oauth2", "/oauth2"), ("/oidc/endpoint/default", "/oidc/endpoint/default")] {
        let document = metadata(&server, prefix).await;
        assert_eq!(document["issuer"], format!("{ISSUER}{issuer}"));
        for path in [
            format!("/.well-known/oauth-authorization-server{prefix}"),
            format!("{prefix}/.well-known/oauth-authorization-server"),
        ] {
            assert_eq!(server.ask("GET", &path).send().await.expect(200), document, "{path}");
        }
        // And the tokens asked for there say the same.
        let made = tokens_at(&server, &format!("{prefix}/token"), "app", ALICE, "openid").await;
        assert_eq!(id_token(&made)["iss"], document["issuer"]);
    }
    // T-1, RFC 8414 §2: neither query nor fragment.
    assert!(!text(&metadata(&server, "").await, "issuer").contains(['?', '#']));
}

#[tokio::test]
async fn d_3_to_d_9_and_d_14_to_d_17_everything_is_there_with_its_type() {
    let document = metadata(&server().await, "").await;
    for (name, value) in document.as_object().unwrap() {
        let right = if name.ends_with("_supported") && !value.is_boolean() {
            value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_string))
        } else if name.ends_with("_endpoint") || name.ends_with("_uri") || name.ends_with("_iframe") || name == "issuer"
        {
            value.as_str().is_some_and(|uri| uri.starts_with("https://"))
        } else {
            value.is_boolean()
        };
        assert!(right, "D-9: {name}: {value}");
    }
    let list = |name: &str| -> BTreeSet<String> {
        document[name].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    };
    let holds = |name: &str, wanted: &[&str]| {
        let found = list(name);
        for one in wanted {
            assert!(found.contains(*one), "{name} lacks {one}: {found:?}");
        }
    };
    for name in [
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
        "registration_endpoint",
        "end_session_endpoint",
        "check_session_iframe",
        "device_authorization_endpoint",
        "pushed_authorization_request_endpoint",
        "introspection_endpoint",
        "revocation_endpoint",
    ] {
        assert!(text(&document, name).starts_with(ISSUER), "{name}");
    }
    holds("scopes_supported", &["openid", "profile", "email", "address", "phone", "offline_access"]);
    holds("id_token_signing_alg_values_supported", &["RS256", "ES256", "PS256", "EdDSA"]);
    holds("subject_types_supported", &["public", "pairwise"]);
    holds(
        "response_types_supported",
        &["code", "id_token", "id_token token", "code id_token", "code token", "code id_token token"],
    );
    holds("response_modes_supported", &["query", "fragment", "form_post"]);
    holds(
        "grant_types_supported",
        &["authorization_code", "implicit", "refresh_token", "client_credentials", "policyauth"],
    );
    holds("userinfo_signing_alg_values_supported", &["RS256"]);
    holds("code_challenge_methods_supported", &["S256"]);
    holds("ui_locales_supported", &["en", "de"]);
    holds("claims_supported", &STANDARD_CLAIMS);
    let methods = list("token_endpoint_auth_methods_supported");
    assert_eq!(
        methods,
        ["client_secret_basic", "client_secret_post", "none", "private_key_jwt"].map(str::to_owned).into()
    );
    assert!(!list("token_endpoint_auth_signing_alg_values_supported").contains("none"));
    assert!(!list("id_token_signing_alg_values_supported").contains("none"));
    for flag in [
        "frontchannel_logout_supported",
        "frontchannel_logout_session_supported",
        "backchannel_logout_supported",
        "backchannel_logout_session_supported",
        "claims_parameter_supported",
        "authorization_response_iss_parameter_supported",
    ] {
        assert_eq!(document[flag], json!(true), "{flag}");
    }
}

#[tokio::test]
async fn d_7_d_11_what_is_announced_is_there() {
    let server = server().await;
    for prefix in ["", "/oauth2", "/oidc/endpoint/default", "/v1.0/endpoint/default"] {
        let document = metadata(&server, prefix).await;
        for (name, value) in document.as_object().unwrap() {
            let endpoint = name.ends_with("_endpoint") || name.ends_with("_uri") || name.ends_with("_iframe");
            if !endpoint {
                continue;
            }
            let path = value.as_str().unwrap().strip_prefix(ISSUER).unwrap();
            let (get, post) = (server.ask("GET", path).send().await, server.ask("POST", path).send().await);
            assert!([&get, &post].iter().all(|reply| reply.status != 404), "{prefix} {name}: {path}");
            assert!([&get, &post].iter().any(|reply| reply.status != 405), "{prefix} {name}: {path}");
        }
        for flag in ["request_parameter_supported", "request_uri_parameter_supported"] {
            assert!(document[flag].is_boolean(), "{flag}");
        }
        // D-12: whoever reads request objects says how they may be signed.
        let reads = document["request_parameter_supported"] == true;
        assert_eq!(document.get("request_object_signing_alg_values_supported").is_some(), reads);
        if reads {
            assert!(
                document["request_object_signing_alg_values_supported"].as_array().unwrap().contains(&json!("RS256"))
            );
        }
    }
    // D-10: what no registry knows is told only where the vendor's clients look for it.
    assert!(metadata(&server, "").await.get("user_authorization_endpoint").is_none());
    assert!(metadata(&server, "/oauth2").await.get("user_authorization_endpoint").is_some());
}

// --- keys ------------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn k_1_k_2_k_6_the_key_set_holds_public_keys_with_names_and_uses_of_their_own() {
    let server = server().await;
    let reply = server.ask("GET", "/jwks").send().await;
    assert_eq!(reply.header("content-type"), "application/json");
    let set = reply.json();
    let keys = set["keys"].as_array().unwrap();
    let mut kids = BTreeSet::new();
    let mut material = BTreeSet::new();
    for key in keys {
        assert!(kids.insert(text(key, "kid").to_owned()), "{key}");
        for secret in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(secret).is_none(), "{key}");
        }
        assert!(["RSA", "EC", "OKP"].contains(&text(key, "kty")));
        assert!(["sig", "enc"].contains(&text(key, "use")));
        // K-6: no key serves both.
        let part = if key["kty"] == "RSA" { text(key, "n") } else { text(key, "x") };
        assert!(material.insert(part.to_owned()), "{key}");
    }
    assert_eq!(keys.iter().filter(|key| key["use"] == "enc").count(), 2);
    // Complete and usable, by the rules we judge others' by.
    let read = protocol::jwk::JwkSet::parse(&set).unwrap();
    assert_eq!(read.keys().len(), keys.len() - 2);
    for alg in jwe::KeyAlg::ALL {
        assert!(read.encryption_key(alg).is_some(), "{alg:?}");
    }
}

#[tokio::test]
async fn k_3_i_2_tokens_name_their_key_and_are_signed_with_the_client_s_algorithm() {
    let algs = ["RS256", "PS256", "ES256", "EdDSA"];
    let setup = algs.iter().fold(Setup::new(), |setup, alg| {
        setup.add(&app(&format!("app-{alg}"), &format!("id_token_alg = {alg:?}\nuserinfo_alg = {alg:?}")))
    });
    let server = setup.start().await;
    let set = jwks(&server).await;
    for alg in algs {
        let made = tokens(&server, &format!("app-{alg}"), "openid").await;
        let header = decode(text(&made, "id_token")).0;
        assert_eq!(header["alg"], alg);
        verify(text(&made, "id_token"), &set);
        let key = set["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
        assert_eq!((&key["alg"], &key["use"]), (&json!(alg), &json!("sig")));
    }
    // The default, which every relying party must be able to verify (Core §15.1).
    let plain = server_default_alg(&server).await;
    assert_eq!(plain, SigningAlg::Rs256);
}

async fn server_default_alg(server: &TestServer) -> SigningAlg {
    let blank: Client = serde_json::from_value(json!({ "id": "x" })).unwrap();
    let algs = server.app.directories.current().tenant(&server.tenant()).unwrap().keys.algorithms(server.world.now());
    assert!(algs.contains(&blank.id_token_alg));
    blank.id_token_alg
}

#[tokio::test]
async fn k_4_k_5_after_a_rotation_new_tokens_bear_the_new_key_and_old_ones_still_verify() {
    let server = server().await;
    let before = tokens(&server, "app", "openid").await;
    let old = decode(text(&before, "id_token")).0["kid"].clone();
    let records = server.app.directories.current().tenant(&server.tenant()).unwrap().key_records.clone();
    let (now, overlap) = (server.world.now(), Overlap { ahead: 600, tail: 7200 });
    let plan = keys::rotate(&records, &server.app.master, &server.tenant(), SigningAlg::Rs256, now, overlap).unwrap();
    let changes = plan.put.into_iter().map(DirectoryChange::PutKey).collect();
    server.app.directories.change(None, &server.tenant(), changes).await.unwrap();
    // Published ahead of its use, so that every cached set knows it in time.
    let set = jwks(&server).await;
    assert_eq!(decode(text(&tokens(&server, "app", "openid").await, "id_token")).0["kid"], old);
    server.world.advance(600);
    let after = tokens(&server, "app", "openid").await;
    let new = decode(text(&after, "id_token")).0["kid"].clone();
    assert_ne!(new, old);
    verify(text(&after, "id_token"), &set);
    verify(text(&before, "id_token"), &jwks(&server).await);
    server.world.advance(7200);
    let kids: Vec<Value> =
        jwks(&server).await["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect();
    assert!(kids.contains(&new) && !kids.contains(&old));
}

// --- ID tokens -------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn i_1_i_6_i_8_an_id_token_says_who_for_whom_and_until_when() {
    let server = server().await;
    let made = tokens(&server, "app", "openid").await;
    let claims = verify(text(&made, "id_token"), &jwks(&server).await);
    let now = server.world.now();
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ISSUER), &json!("app")));
    assert_eq!((&claims["iat"], &claims["exp"], &claims["auth_time"]), (&json!(now), &json!(now + 7200), &json!(now)));
    assert!(text(&claims, "sub").is_ascii() && text(&claims, "sub").len() <= 255);
    let hash = protocol::claims::half_hash(text(&made, "access_token"), SigningAlg::Rs256);
    assert_eq!(claims["at_hash"], hash);
    // The same person tomorrow is the same `sub`; another is another.
    server.world.advance(86_400);
    assert_eq!(id_token(&tokens(&server, "app", "openid").await)["sub"], claims["sub"]);
    assert_ne!(id_token(&tokens_at(&server, "/token", "app", SCOTT, "openid").await)["sub"], claims["sub"]);
}

/// An encryption key of a relying party: its private half, and its key set as the tenant file has it.
fn own_key() -> (DecryptionKey, String) {
    let key = PrivateKey::generate(&ECDH_P256).unwrap();
    let der: EcPrivateKeyRfc5915Der<'_> = key.as_der().unwrap();
    let key = DecryptionKey::p256("mine", der.as_ref()).unwrap();
    let set = json!({ "keys": [key.to_jwk()] });
    (key, format!("jwks = '{set}'"))
}

#[track_caller]
fn opened(token: &str, key: &DecryptionKey) -> (String, Option<String>) {
    let opened = jwe::decrypt(token, &[key]).unwrap();
    (String::from_utf8(opened.plain.to_vec()).unwrap(), opened.cty)
}

#[tokio::test]
async fn an_id_token_is_signed_and_then_encrypted_for_clients_that_want_it() {
    let (key, set) = own_key();
    let more = format!("{set}\nid_token_encryption = [\"ECDH-ES+A256KW\", \"A256CBC-HS512\"]");
    let server = Setup::new().add(&app("sealed", &more)).start().await;
    let made = tokens(&server, "sealed", "openid").await;
    let (inner, cty) = opened(text(&made, "id_token"), &key);
    assert_eq!(cty.as_deref(), Some("jwt"));
    let claims = verify(&inner, &jwks(&server).await);
    assert_eq!((&claims["aud"], &claims["sub"]), (&json!("sealed"), &json!("6040003AL1")));
    // Where it cannot be encrypted it is not sent in clear.
    alter(&server, "sealed", |client| client.id_token_encryption = Some(("RSA-OAEP".into(), "A128GCM".into()))).await;
    let form = [("grant_type", "password"), ("scope", "openid"), ("username", ALICE.0), ("password", ALICE.1)];
    let reply = server.ask("POST", "/token").basic("sealed", "s").form(&form).send().await;
    assert!(reply.status == 400 && !reply.text().contains("id_token\""), "{}", reply.text());
}

// --- userinfo --------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn u_1_u_2_u_3_the_token_comes_in_the_header_or_the_form_by_get_or_post() {
    let server = server().await;
    let made = tokens(&server, "app", "openid email").await;
    let token = text(&made, "access_token");
    let told = userinfo(&server, &made).await;
    assert_eq!((&told["sub"], &told["email"]), (&id_token(&made)["sub"], &json!("alice@acme.org")));
    let ask = |method: &str| server.ask(method, "/userinfo");
    for same in [
        ask("POST").bearer(token),
        ask("GET").header("authorization", format!("bearer {token}")),
        ask("GET").header("authorization", format!("BEARER {token}")),
        ask("POST").form(&[("access_token", token)]),
        ask("POST").bearer(token).form(&[("access_token", token)]),
    ] {
        assert_eq!(same.send().await.expect(200), told);
    }
    let both = ask("POST").bearer(token).form(&[("access_token", "another")]).send().await;
    both.oauth_error(400, "invalid_request", "");
}

#[tokio::test]
async fn u_4_signed_encrypted_or_both_as_the_client_registered() {
    let (key, set) = own_key();
    let encryption = "userinfo_encryption = [\"ECDH-ES\", \"A128GCM\"]";
    let server = Setup::new()
        .add(&app("signed", "userinfo_alg = \"ES256\""))
        .add(&app("sealed", &format!("{set}\n{encryption}")))
        .add(&app("both", &format!("{set}\n{encryption}\nuserinfo_alg = \"RS256\"")))
        .start()
        .await;
    let set = jwks(&server).await;
    let ask = |id: &'static str| {
        let server = server.clone();
        async move {
            let made = tokens(&server, id, "openid email").await;
            let reply: Reply = server.get("/userinfo", text(&made, "access_token")).await;
            assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, "application/jwt"));
            reply.text().to_owned()
        }
    };
    let judged = |jwt: &str, id: &str| {
        let claims = verify(jwt, &set);
        assert_eq!(
            (&claims["iss"], &claims["aud"], &claims["sub"]),
            (&json!(ISSUER), &json!(id), &json!("6040003AL1"))
        );
        assert!(claims.get("nonce").is_none());
        assert_eq!(claims["email"], "alice@acme.org");
    };
    judged(&ask("signed").await, "signed");
    let (inner, cty) = opened(&ask("both").await, &key);
    assert_eq!(cty.as_deref(), Some("jwt"));
    judged(&inner, "both");
    let (plain, cty) = opened(&ask("sealed").await, &key);
    let claims: Value = serde_json::from_str(&plain).unwrap();
    assert_eq!((cty, &claims["sub"]), (None, &json!("6040003AL1")));
}

#[tokio::test]
async fn u_5_u_6_bad_tokens_missing_scopes_and_tokens_in_the_query_are_refused() {
    let server = server().await;
    let made = tokens(&server, "app", "openid").await;
    let token = text(&made, "access_token").to_owned();
    let ask = |token: &str| {
        let (server, token) = (server.clone(), token.to_owned());
        async move { server.get("/userinfo", &token).await }
    };
    let refused = |reply: &Reply| {
        reply.oauth_error(401, "invalid_token", "");
        assert!(reply.header("www-authenticate").starts_with("Bearer error=\"invalid_token\""));
    };
    refused(&ask("unknown").await);
    let plain = tokens(&server, "app", "profile").await;
    let reply = ask(text(&plain, "access_token")).await;
    reply.oauth_error(403, "insufficient_scope", "");
    let bare = server.ask("GET", &format!("/userinfo?access_token={token}")).send().await;
    assert_eq!((bare.status.as_u16(), bare.header("www-authenticate")), (401, "Bearer"));
    ask(&token).await.expect(200);
    server.world.advance(7200);
    refused(&ask(&token).await);
    let revoked = tokens(&server, "app", "openid").await;
    let form = [("token", text(&revoked, "access_token"))];
    assert_eq!(server.ask("POST", "/revoke").basic("app", "s").form(&form).send().await.status, 200);
    refused(&ask(text(&revoked, "access_token")).await);
}

// --- claims ----------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn c_1_c_2_c_7_each_scope_brings_its_claims_and_nothing_else() {
    let server = server().await;
    let profile = [
        "name",
        "given_name",
        "family_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
    ];
    let all = format!("openid {}", ["profile", "email", "address", "phone"].join(" "));
    for (scope, wanted) in [
        ("openid", &[][..]),
        ("openid profile", &profile),
        ("openid email", &["email", "email_verified"]),
        ("openid address", &["address"]),
        ("openid phone", &["phone_number", "phone_number_verified"]),
        (&all, &STANDARD_CLAIMS),
    ] {
        let made = tokens(&server, "app", scope).await;
        let told = userinfo(&server, &made).await;
        let mut wanted: BTreeSet<&str> = wanted.iter().copied().collect();
        wanted.insert("sub");
        assert_eq!(names(&told).into_iter().collect::<BTreeSet<_>>(), wanted, "{scope}");
        // C-3: beside an access token the ID token holds none of them.
        let inside = id_token(&made);
        for name in STANDARD_CLAIMS {
            assert!(inside.get(name).is_none(), "{scope}: {name}");
        }
    }
}

#[tokio::test]
async fn c_5_alice_s_claims_have_their_types() {
    let server = server().await;
    let told = userinfo(&server, &tokens(&server, "app", "openid profile email address phone").await).await;
    for (name, value) in told.as_object().unwrap() {
        let right = match name.as_str() {
            "email_verified" | "phone_number_verified" => value.is_boolean(),
            "updated_at" => value.is_i64(),
            "address" => value.is_object(),
            _ => value.as_str().is_some_and(|text| !text.is_empty()),
        };
        assert!(right, "{name}: {value}");
    }
    assert_eq!(
        names(&told["address"]).into_iter().collect::<BTreeSet<_>>(),
        ["formatted", "street_address", "locality", "region", "postal_code", "country"].into()
    );
}

#[tokio::test]
async fn c_6_a_claim_without_value_is_left_out() {
    let bare = "[tenant.users.attributes]\nnickname = \"\"\n";
    let server = Setup::new().add(&user("604000BARE", "bare", "pw-of-bare", bare)).add(&app("app", "")).start().await;
    let made = tokens_at(&server, "/token", "app", ("bare", "pw-of-bare"), "openid profile email address phone").await;
    let told = userinfo(&server, &made).await;
    assert_eq!(names(&told).into_iter().collect::<BTreeSet<_>>(), ["sub", "preferred_username", "updated_at"].into());
    assert!(!told.to_string().contains("null") && !told.to_string().contains("\"\""));
}

#[tokio::test]
async fn the_vendor_s_paths_tell_the_vendor_s_members() {
    let server = server().await;
    let made = tokens_at(&server, TOKEN, "app", ALICE, "openid").await;
    let told = userinfo(&server, &made).await;
    for name in protocol::claims::DEFAULTS {
        assert!(told.get(name).is_some() && id_token(&made).get(name).is_some(), "{name}");
    }
}

#[tokio::test]
async fn a_client_s_own_map_brings_claims_of_any_attribute() {
    let attributes = "[tenant.users.attributes]\ndepartment = \"Ω\"\nroles = [\"a\", \"b\"]\n";
    let map = "claims = { dept = \"department\", roles = \"roles\", none = \"missing\", sub = \"department\" }";
    let server =
        Setup::new().add(&user("604000MAPS", "maps", "pw-of-maps", attributes)).add(&app("app", map)).start().await;
    let made = tokens_at(&server, "/token", "app", ("maps", "pw-of-maps"), "openid").await;
    for told in [userinfo(&server, &made).await, id_token(&made)] {
        assert_eq!((&told["dept"], &told["roles"]), (&json!("Ω"), &json!(["a", "b"])));
        assert!(told.get("none").is_none());
        assert_eq!(told["sub"], "604000MAPS");
    }
}

/// Puts a `claims` parameter into the grant behind tokens, as the authorization endpoint does.
async fn ask_claims(server: &TestServer, made: &Value, claims: Value) -> Value {
    let id = text(made, "grant_id").into();
    let mut grant = server.store.grant(&server.tenant(), &id).await.unwrap().unwrap();
    grant.detail.claims_request = Some(claims);
    server.store.commit(&server.tenant(), "test", vec![Change::UpdateGrant(grant)]).await.unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", text(made, "refresh_token"))];
    server.ask("POST", "/token").basic("app", "s").form(&form).send().await.expect(200)
}

#[tokio::test]
async fn c_4_claims_asked_for_by_name_come_where_they_were_asked_for() {
    let server = server().await;
    let made = tokens(&server, "app", "openid").await;
    let asked = json!({
        "userinfo": { "name": { "essential": true }, "shoe_size": { "essential": true }, "sub": { "value": "x" } },
        "id_token": { "email": null, "iss": null, "exp": { "value": 1 } },
    });
    let made = ask_claims(&server, &made, asked).await;
    let told = userinfo(&server, &made).await;
    assert_eq!(names(&told).into_iter().collect::<BTreeSet<_>>(), ["name", "sub"].into());
    assert_eq!(told["sub"], "6040003AL1");
    let inside = id_token(&made);
    assert_eq!((&inside["email"], inside.get("name")), (&json!("alice@acme.org"), None));
    assert_eq!((&inside["iss"], inside["exp"].as_i64() > Some(1)), (&json!(ISSUER), true));
}

// --- pairwise subjects -----------------------------------------------------------------------------------------------

#[tokio::test]
async fn g_11_a_pairwise_subject_is_the_same_everywhere_at_one_sector_and_nowhere_else() {
    let redirect = |host: &str| format!("pairwise = true\nredirect_uris = [\"https://{host}/cb\"]");
    let jwt = format!("{}\naccess_token_format = \"jwt\"", redirect("one.example.test"));
    let declared = "pairwise = true\nsector_identifier_uri = \"https://one.example.test/sector.json\"\n\
                    redirect_uris = [\"https://x.example.test/cb\", \"https://y.example.test/cb\"]";
    let server = Setup::new()
        .add(&app("one", &redirect("one.example.test")))
        .add(&app("one-jwt", &jwt))
        .add(&app("one-declared", declared))
        .add(&app("two", &redirect("two.example.test")))
        .add(&app("public", ""))
        .start()
        .await;
    let mut subs = Vec::new();
    for id in ["one", "one-jwt", "one-declared", "two", "public"] {
        // The vendor's members must not give the person's own name away either.
        let made = tokens_at(&server, TOKEN, id, ALICE, "openid profile").await;
        let sub = text(&id_token(&made), "sub").to_owned();
        let told = userinfo(&server, &made).await;
        assert_eq!(told["sub"], sub, "{id}");
        let form = [("token", text(&made, "access_token"))];
        let seen = server.ask("POST", "/introspect").basic(id, "s").form(&form).send().await.expect(200);
        assert_eq!((&seen["active"], &seen["sub"]), (&json!(true), &json!(sub)), "{id}");
        let form = [("token", text(&made, "refresh_token"))];
        let refresh = server.ask("POST", "/introspect").basic(id, "s").form(&form).send().await.expect(200);
        assert_eq!(refresh["sub"], sub, "{id}");
        if id != "public" {
            for body in [&told, &seen, &refresh, &id_token(&made), &made] {
                assert!(!body.to_string().contains("6040003AL1"), "{id}: {body}");
            }
        }
        if id == "one-jwt" {
            assert_eq!(decode(text(&made, "access_token")).1["sub"], sub);
        }
        // A refresh speaks of the same person.
        let form = [("grant_type", "refresh_token"), ("refresh_token", text(&made, "refresh_token"))];
        let again = server.ask("POST", TOKEN).basic(id, "s").form(&form).send().await.expect(200);
        assert_eq!(id_token(&again)["sub"], sub, "{id}");
        subs.push(sub);
    }
    assert_eq!((&subs[0], &subs[0]), (&subs[1], &subs[2]));
    assert_eq!(subs.iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(subs[4], "6040003AL1");
    let scott = tokens_at(&server, TOKEN, "one", SCOTT, "openid").await;
    assert_ne!(id_token(&scott)["sub"], subs[0]);
}

#[tokio::test]
async fn a_pairwise_client_s_jwt_dies_with_its_person_and_its_grant() {
    let more = "pairwise = true\naccess_token_format = \"jwt\"\nredirect_uris = [\"https://one.example.test/cb\"]";
    let server = Setup::new().add(&app("one", more)).start().await;
    let made = tokens(&server, "one", "openid").await;
    let active = || async {
        let form = [("token", text(&made, "access_token"))];
        server.ask("POST", "/introspect").basic("one", "s").form(&form).send().await.expect(200)["active"].clone()
    };
    assert_eq!(active().await, true);
    let id = UserId::from("6040003AL1");
    let mut user = server.store.user(&server.tenant(), &id).await.unwrap().unwrap();
    user.active = false;
    server.store.commit(&server.tenant(), "test", vec![Change::PutUser(user)]).await.unwrap();
    assert_eq!(active().await, false);
    assert_eq!(ACME.tenant, "demo");
}
