#![allow(clippy::unwrap_used)]
use super::*;
use crate::records::SigningAlg;
use proptest::prelude::*;

fn user(attributes: Value) -> User {
    serde_json::from_value(json!({
        "id": "604000A1B2", "source": "s", "username": "scott", "active": true, "password": null, "groups": [],
        "attributes": attributes, "not_before": 0, "created": 0, "updated": 1_777_600_000,
    }))
    .unwrap()
}

fn client(claims: Value) -> Client {
    serde_json::from_value(json!({"id": "app", "claims": claims})).unwrap()
}

fn around(groups: &[String]) -> Surroundings<'_> {
    Surroundings {
        realm: "cloudIdentityRealm",
        kind: SourceKind::CloudDirectory,
        tenant_host: "login.example.test",
        groups,
    }
}

fn scopes(text: &str) -> Vec<String> {
    text.split(' ').filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

fn wanted(scope: &[String], place: Place) -> Wanted<'_> {
    Wanted { scope, place, dialect: Dialect::Vendor, asked: None }
}

fn full() -> User {
    user(json!({
        "name": ["Scott Example"], "email": ["scott@example.test", "old@example.test"], "email_verified": ["true"],
        "phone_number": ["+1 555"], "phone_number_verified": ["false"], "address.locality": ["Ghent"], "address.country": ["BE"],
        "birthdate": ["1990-02-03"], "nickname": [""], "role": ["a", "b"], "sub": ["evil"],
    }))
}

#[test]
fn openid_alone_brings_the_vendor_s_claims_and_no_other() {
    // vendor page A.2
    let user = user(json!({"name": ["Scott Example"], "email": ["scott@example.test"]}));
    let claims = describe(&user, &around(&["ADMINISTRATORS".into()]), &client(json!({})));
    let got = select(&claims, &client(json!({})), &wanted(&scopes("openid"), Place::Full));
    assert_eq!(
        Value::from(got),
        json!({"realmName": "cloudIdentityRealm", "uniqueSecurityName": "604000A1B2", "preferred_username": "scott",
            "displayName": "Scott Example", "name": "Scott Example", "userType": "regular",
            "ext": {"tenantId": "login.example.test"}})
    );
    let shown = select_introspected(&claims);
    assert_eq!(shown["groupIds"], json!(["ADMINISTRATORS"]));
    assert!(!shown.contains_key("email") && !shown.contains_key("name"));
}

#[test]
fn standard_claims_have_the_types_of_core() {
    let app = client(json!({}));
    let claims = describe(&full(), &around(&[]), &app);
    let got = userinfo("pair", &claims, &app, &wanted(&scopes("openid profile email phone address"), Place::Full));
    assert_eq!(got["sub"], "pair");
    assert_eq!(got["email"], "scott@example.test");
    assert_eq!((&got["email_verified"], &got["phone_number_verified"]), (&json!(true), &json!(false)));
    assert_eq!(got["address"], json!({"locality": "Ghent", "country": "BE"}));
    assert_eq!(got["updated_at"], 1_777_600_000);
    assert_eq!(got["birthdate"], "1990-02-03");
    for absent in ["nickname", "middle_name", "role", "groupIds"] {
        assert!(!got.contains_key(absent), "{absent}");
    }
}

#[test]
fn each_scope_brings_its_own() {
    let app = client(json!({}));
    let claims = describe(&full(), &around(&[]), &app);
    let names = |scope: &str, place| {
        select(&claims, &app, &wanted(&scopes(scope), place)).into_iter().map(|(n, _)| n).collect::<Vec<_>>()
    };
    assert_eq!(names("email", Place::Full), ["email", "email_verified"]);
    assert_eq!(names("phone", Place::Full), ["phone_number", "phone_number_verified"]);
    assert_eq!(names("address", Place::Full), ["address"]);
    assert_eq!(names("profile", Place::Full), ["birthdate", "name", "preferred_username", "updated_at"]);
    assert_eq!(names("orders", Place::Full), Vec::<String>::new());
    assert_eq!(names("profile email", Place::Lean), Vec::<String>::new());
}

#[test]
fn a_client_s_map_adds_claims_but_takes_none_s_place() {
    let app = client(
        json!({"roles": "role", "login": "username", "sub": "role", "iss": "role", "grp": "groupIds", "none": "absent"}),
    );
    let claims = describe(&full(), &around(&["G".into()]), &app);
    let got = select(&claims, &app, &wanted(&[], Place::Lean));
    assert_eq!(Value::from(got), json!({"roles": ["a", "b"], "login": "scott", "grp": ["G"]}));
    assert_eq!(userinfo("604000A1B2", &claims, &app, &wanted(&[], Place::Full))["sub"], "604000A1B2");
}

#[test]
fn a_name_is_made_of_its_parts_or_left_out() {
    let app = client(json!({}));
    let named = describe(&user(json!({"given_name": ["Ada"], "family_name": ["L"]})), &around(&[]), &app);
    assert_eq!((&named["name"], &named["displayName"]), (&json!("Ada L"), &json!("Ada L")));
    let bare = describe(&user(json!({"email_verified": ["maybe"]})), &around(&[]), &app);
    assert!(!bare.contains_key("name") && !bare.contains_key("email_verified"));
    assert_eq!(bare["displayName"], "scott");
}

#[test]
fn an_id_token_is_written_without_empty_members() {
    let amr = scopes("emailotp password");
    let token = IdToken {
        iss: "https://a.test",
        sub: "u",
        aud: "app",
        iat: 1,
        exp: 2,
        auth_time: None,
        nonce: None,
        at_hash: None,
        c_hash: None,
        s_hash: None,
        amr: &amr,
        acr: None,
        sid: None,
        person: Map::new(),
    };
    let text = serde_json::to_string(&token).unwrap();
    assert_eq!(text, r#"{"iss":"https://a.test","sub":"u","aud":"app","iat":1,"exp":2,"amr":["emailotp","password"]}"#);
}

#[test]
fn one_audience_is_a_text_and_several_are_an_array() {
    let mut token = AccessToken {
        act: None,
        iss: "i",
        sub: "s",
        aud: vec!["app"],
        exp: 2,
        iat: 1,
        jti: "j",
        client_id: "app",
        scope: "",
        grant_id: "g",
        auth_time: None,
        acr: None,
        amr: &[],
    };
    let one = serde_json::to_value(&token).unwrap();
    assert_eq!(
        one,
        json!({"iss": "i", "sub": "s", "aud": "app", "exp": 2, "iat": 1, "jti": "j", "client_id": "app", "grant_id": "g"})
    );
    token.aud.push("api");
    assert_eq!(serde_json::to_value(&token).unwrap()["aud"], json!(["app", "api"]));
}

#[test]
fn introspection_is_in_the_vendor_s_order_without_blanks() {
    let answer = Introspection {
        active: True,
        scope: "mfa_challenge",
        client_id: "app",
        token_type: "Bearer",
        exp: 2,
        iat: 1,
        grant_type: "policyauth",
        grant_id: "g",
        sub: "app",
        aud: vec!["app"],
        iss: "i",
        person: Map::new(),
        amr: &[],
        acr: None,
        entitlements: &["authnAnyUser"],
        restrict_entitlements: false,
        category: "application",
    };
    assert_eq!(
        serde_json::to_string(&answer).unwrap(),
        r#"{"active":true,"scope":"mfa_challenge","client_id":"app","token_type":"Bearer","exp":2,"iat":1,"grant_type":"policyauth","grant_id":"g","sub":"app","aud":"app","iss":"i","entitlements":["authnAnyUser"],"restrictEntitlements":false,"category":"application"}"#
    );
}

#[test]
fn hashes_are_those_of_the_standard() {
    // OpenID Connect Core App. A.4: code `Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk`, A.6: the token below.
    let code = "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk";
    assert_eq!(half_hash(code, SigningAlg::Rs256), "LDktKdoQak3Pk0cnXxCltA");
    assert_eq!(half_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", SigningAlg::Es256), "77QmUPtjPfzWtF2AnpK9RQ");
    assert_eq!(half_hash(code, SigningAlg::EdDsa).len(), 43);
}

#[test]
fn c_7_in_the_standards_words_nobody_learns_what_nobody_asked_for() {
    let app = client(json!({}));
    let claims = describe(&full(), &around(&[]), &app);
    let names = |scope: &str, asked: Value, place| {
        let scope = scopes(scope);
        let wanted = Wanted { scope: &scope, place, dialect: Dialect::Standard, asked: asked.as_object() };
        select(&claims, &app, &wanted).keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names("openid", Value::Null, Place::Full), Vec::<String>::new());
    assert_eq!(names("openid email", Value::Null, Place::Full), ["email", "email_verified"]);
    assert_eq!(names("openid email", Value::Null, Place::Lean), Vec::<String>::new());
    // C-4: what is asked for by name comes, what there is none of does not, and no protocol claim is ever overwritten.
    let asked = json!({"name": {"essential": true}, "picture": null, "sub": {"value": "evil"}, "iss": null});
    assert_eq!(names("openid", asked, Place::Lean), ["name"]);
}

#[test]
fn c_5_values_of_another_form_are_left_out() {
    for (name, good, bad) in [
        (
            "birthdate",
            &["1990-02-03", "0000-02-03", "1990"][..],
            &["3.2.1990", "1990-13-01", "1990-02", "90", "1990-02-03-04"][..],
        ),
        ("locale", &["en", "de-AT", "zh-Hant-TW"], &["e", "english (US)", "en--US"]),
        ("zoneinfo", &["Europe/Vienna", "UTC"], &["+01:00", "Vienna time"]),
        (
            "website",
            &["https://example.test/~a", "http://example.test"],
            &["example.test", "javascript:alert(1)", "https://"],
        ),
    ] {
        let told =
            |text: &&str| describe(&user(json!({ name: [text] })), &around(&[]), &client(json!({}))).get(name).cloned();
        for text in good {
            assert_eq!(told(text), Some(json!(text)), "{name}");
        }
        for text in bad {
            assert_eq!(told(text), None, "{name} {text}");
        }
    }
}

#[test]
fn a_pairwise_client_does_not_learn_the_person_s_own_name_from_the_vendor_s_members() {
    let mut app = client(json!({}));
    app.pairwise = true;
    let claims = describe(&full(), &around(&[]), &app);
    let got = userinfo("pair", &claims, &app, &wanted(&scopes("openid"), Place::Full));
    assert_eq!((&got["sub"], &got["uniqueSecurityName"]), (&json!("pair"), &json!("pair")));
    assert!(!Value::from(got).to_string().contains("604000A1B2"));
}

proptest! {
    #[test]
    fn no_reserved_claim_and_no_empty_one_ever_comes_of_attributes(
        attributes in proptest::collection::btree_map("(sub|iss|exp|email|name|role|address.region)", proptest::collection::vec("[a-z]{0,3}", 0..3), 0..6),
        map in proptest::collection::btree_map("(sub|aud|role|x)", "(sub|role|email)", 0..4),
    ) {
        let app = client(json!(map));
        let claims = describe(&user(json!(attributes)), &around(&[]), &app);
        let got = select(&claims, &app, &wanted(&scopes("openid profile email phone address"), Place::Full));
        for (name, value) in &got {
            prop_assert!(!RESERVED.contains(&name.as_str()));
            let empty = [json!(null), json!(""), json!([]), json!({})];
            prop_assert!(!empty.contains(value), "{} is empty", name);
        }
    }
}
