//! The table of grant types, each row of it a test (vendor page §4.18). GT16 to GT19 and GT21 are in the files of their grants.

use protocol::records::{SourceKind, User};
use serde_json::{Value, json};
use store::DirectoryChange;

use crate::support::hosted::CALLBACK;
use crate::support::visitor::{Visitor, request};
use crate::support::ways::{EVERY, Ready, Seen, Way, Ways};
use crate::support::{ACME, Person, Reply, TestServer, client, context, decode, policy, rule};

const PERSON: Person = ACME.admin;
const RESPONSE_TYPES: [&str; 7] =
    ["code", "id_token", "token", "id_token token", "code id_token", "code token", "code id_token token"];

/// A client with exactly the grants of one column of the table.
async fn only(ways: &Ways, grants: &[&str]) {
    let grants: std::collections::BTreeSet<String> = grants.iter().map(|grant| (*grant).to_owned()).collect();
    ways.change(|client| client.grant_types = grants).await;
}

async fn asks_for(visitor: &mut Visitor, response_type: &str) -> Seen {
    let target = request(&[
        ("client_id", EVERY),
        ("response_type", response_type),
        ("redirect_uri", CALLBACK),
        ("scope", "openid"),
        ("state", "st-1"),
        ("nonce", "n-1"),
    ]);
    Ways::page(&visitor.get(&target).await)
}

async fn signed_in(ways: &Ways) -> Visitor {
    let mut visitor = Visitor::new(&ways.server);
    let page = ways.authorize(&mut visitor, Way::Code, &[]).await;
    visitor.sign_in(&page, PERSON.username, PERSON.password).await.landed(CALLBACK);
    visitor
}

#[tokio::test]
async fn gt1_gt11_each_grant_has_its_response_types_and_no_other() {
    let ways = Ways::new().await;
    let mut visitor = signed_in(&ways).await;
    for way in Way::ALL {
        let accepted: &[&str] = match way {
            Way::Code => &["code"],
            Way::Implicit => &["id_token", "token", "id_token token"],
            Way::Hybrid => &RESPONSE_TYPES,
            _ => &[],
        };
        only(&ways, way.grants()).await;
        for kind in RESPONSE_TYPES {
            let seen = asks_for(&mut visitor, kind).await;
            if accepted.contains(&kind) {
                assert!(matches!(seen, Seen::Tokens(_)), "{way:?} {kind}: {seen:?}");
            } else {
                assert_eq!(seen, Seen::Refused(303, "unauthorized_client".to_owned()), "{way:?} {kind}");
            }
        }
        let nonsense = asks_for(&mut visitor, "nonsense").await;
        assert_eq!(nonsense, Seen::Refused(303, "unsupported_response_type".to_owned()));
    }
    // A token grant that is off.
    only(&ways, &["client_credentials"]).await;
    for way in Way::ALL.into_iter().filter(|way| *way != Way::Implicit) {
        let grant = match way {
            Way::Policyauth => "policyauth",
            Way::Hybrid => continue,
            other => other.grants()[0],
        };
        let reply = ways.token(&ways.server, EVERY, &[("grant_type".to_owned(), grant.to_owned())]).await;
        reply.oauth_error(400, "unauthorized_client", "CSIAQ");
    }
}

#[tokio::test]
async fn gt2_gt3_gt4_gt8_tokens_come_where_the_table_says_and_nowhere_else() {
    let ways = Ways::new().await;
    for way in [Way::Code, Way::Implicit, Way::Hybrid] {
        let mut visitor = Visitor::new(&ways.server);
        let page = ways.authorize(&mut visitor, way, &[]).await;
        let landed = visitor.sign_in(&page, PERSON.username, PERSON.password).await;
        let to = landed.reply.header("location");
        let (in_front, in_query) = (to.contains("_token="), to.split('#').next().unwrap().contains("token="));
        // GT4: hidden from the user agent where the table says so, and never in a query.
        assert_eq!((in_front, in_query), (way != Way::Code, false), "{way:?}");
        let landed = landed.landed(CALLBACK);
        // GT2: all of them from there, GT3: none of them.
        assert_eq!(landed.contains_key("access_token"), way == Way::Implicit);
        assert_eq!(landed.contains_key("code"), way != Way::Implicit);
    }
    for way in Way::ALL.into_iter().filter(|way| *way != Way::Implicit) {
        let tokens = ways.tokens(way, PERSON).await;
        assert!(tokens["access_token"].is_string() && tokens["token_type"] == "Bearer", "{way:?}: {tokens}");
    }
}

#[tokio::test]
async fn gt5_gt14_the_client_must_prove_itself_wherever_it_can() {
    let ways = Ways::new().await;
    for way in Way::ALL {
        let Ready::Form(form) = ways.ready(way, PERSON).await else {
            assert_eq!(way, Way::Implicit, "no client proves itself in a browser");
            continue;
        };
        let send = |more: Vec<(String, String)>| {
            let mut all = form.clone();
            all.extend(more);
            let server = ways.server.clone();
            async move { server.post_form("/oauth2/token", &all).await }
        };
        let named = ("client_id".to_owned(), EVERY.to_owned());
        let wrong = ("client_secret".to_owned(), "wrong".to_owned());
        for more in [vec![], vec![named.clone()], vec![named.clone(), wrong]] {
            send(more).await.oauth_error(401, "invalid_client", "CSIAQ0155E ");
        }
        // What a stranger tried did the rightful client no harm.
        let reply = send(vec![named, ("client_secret".to_owned(), "s".to_owned())]).await;
        assert!(matches!(Ways::answer(&reply), Seen::Tokens(_)), "{way:?}: {}", reply.text());
    }
}

#[tokio::test]
async fn gt6_a_refresh_token_comes_of_every_grant_but_implicit_if_the_client_may_refresh() {
    let ways = Ways::new().await;
    for way in Way::ALL {
        let tokens = ways.tokens(way, PERSON).await;
        assert_eq!(tokens.get("refresh_token").is_some(), way != Way::Implicit, "{way:?}: {tokens}");
    }
    ways.change(|client| client.grant_types.retain(|grant| grant != "refresh_token")).await;
    for way in Way::ALL.into_iter().filter(|way| *way != Way::Refresh) {
        let tokens = ways.tokens(way, PERSON).await;
        assert!(tokens.get("refresh_token").is_none(), "{way:?}: {tokens}");
    }
}

#[tokio::test]
async fn gt7_implicit_and_exchange_take_one_round_trip() {
    let ways = Ways::new().await;
    let mut visitor = signed_in(&ways).await;
    let implicit = ways.authorize(&mut visitor, Way::Implicit, &[]).await.landed(CALLBACK);
    assert!(implicit.contains_key("access_token") && implicit.contains_key("id_token"));
    let code = ways.authorize(&mut visitor, Way::Code, &[]).await.landed(CALLBACK);
    assert!(code.contains_key("code") && !code.contains_key("access_token"));
    // One request, one answer with everything.
    let ready = ways.ready(Way::Exchange, PERSON).await;
    assert!(ways.finish(&ways.server, Way::Exchange, &ready).await.tokens()["access_token"].is_string());
}

/// A second realm, whose people another source vouches for.
async fn add_realm(server: &TestServer, kind: SourceKind) {
    let tenant = server.tenant();
    let id = "9f9f0000-0000-4000-8000-000000000001";
    let source =
        protocol::records::Source { id: id.into(), name: "Partners".to_owned(), realm: "partners".to_owned(), kind };
    let known = server.store.user(&tenant, &PERSON.id.into()).await.unwrap().unwrap();
    let user = User { id: "604000PRTN".into(), source: id.into(), username: "paula".to_owned(), ..known };
    let changes = vec![DirectoryChange::PutSource(source), DirectoryChange::PutUser { user, managed: false }];
    server.store.change_directory(&tenant, changes).await.unwrap();
    assert!(server.app.directories.refresh_if_changed().await.unwrap());
}

#[tokio::test]
async fn gt9_gt12_a_login_hint_fills_the_name_in_and_chooses_the_source() {
    let ways = Ways::new().await;
    add_realm(&ways.server, SourceKind::CloudDirectory).await;
    let selected = |page: &crate::support::visitor::Page| {
        let html = page.text();
        html.match_indices("<option")
            .map(|(at, _)| html[at..at + html[at..].find('>').unwrap()].to_owned())
            .find(|tag| tag.contains("selected"))
    };
    for way in [Way::Code, Way::Implicit, Way::Hybrid] {
        let mut visitor = Visitor::new(&ways.server);
        let page = ways.authorize(&mut visitor, way, &[("login_hint", "scott")]).await;
        assert_eq!(page.value("username"), "scott", "{way:?}");
        assert!(selected(&page).is_none_or(|tag| !tag.contains("9f9f0000")), "{way:?}");
        let hint = r#"{"realm":"partners","username":"paula"}"#;
        let page = ways.authorize(&mut visitor, way, &[("login_hint", hint)]).await;
        assert_eq!(page.value("username"), "paula", "{way:?}");
        assert!(selected(&page).expect("a source is chosen").contains("9f9f0000"), "{way:?}");
        // A realm nobody has is no hint; what only looks like JSON is a name.
        let page = ways.authorize(&mut visitor, way, &[("login_hint", r#"{"realm":"x","username":"paula"}"#)]).await;
        assert_eq!(page.value("username"), "", "{way:?}");
        let page = ways.authorize(&mut visitor, way, &[("login_hint", "{not json")]).await;
        assert_eq!(page.value("username"), "{not json", "{way:?}");
    }
    // Elsewhere the parameter is none, and not an error.
    for way in Way::ALL.into_iter().filter(|way| way.response_type().is_none()) {
        assert!(with_more(&ways, way, ("login_hint", "somebody-else")).await["access_token"].is_string(), "{way:?}");
    }
}

/// A last step with one more parameter.
async fn with_more(ways: &Ways, way: Way, more: (&str, &str)) -> Value {
    let Ready::Form(mut form) = ways.ready(way, PERSON).await else { panic!("{way:?} ends in a browser") };
    form.push((more.0.to_owned(), more.1.to_owned()));
    Ways::answer(&ways.token(&ways.server, EVERY, &form).await).tokens()
}

#[tokio::test]
async fn gt10_gt13_max_age_asks_anew_where_the_session_is_of_our_own_directory() {
    let ways = Ways::new().await;
    for way in [Way::Code, Way::Implicit, Way::Hybrid] {
        let mut visitor = signed_in(&ways).await;
        ways.server.world.advance(2);
        let fresh = ways.authorize(&mut visitor, way, &[("max_age", "10")]).await;
        fresh.landed(CALLBACK);
        let old = ways.authorize(&mut visitor, way, &[("max_age", "1")]).await;
        assert_eq!(Ways::page(&old), Seen::Asked("password"), "{way:?}");
    }
    // The age of what another source vouched for is not ours to tell: its sessions are let be.
    let mut visitor = signed_in(&ways).await;
    let tenant = ways.server.tenant();
    let source = ways.server.app.directories.current().tenant(&tenant).unwrap().source(ACME.source).unwrap().clone();
    let federated = protocol::records::Source { kind: SourceKind::Federated, ..source };
    ways.server.store.change_directory(&tenant, vec![DirectoryChange::PutSource(federated)]).await.unwrap();
    assert!(ways.server.app.directories.refresh_if_changed().await.unwrap());
    ways.server.world.advance(2);
    ways.authorize(&mut visitor, Way::Code, &[("max_age", "1")]).await.landed(CALLBACK);
    let ways = Ways::new().await;
    for way in Way::ALL.into_iter().filter(|way| way.response_type().is_none()) {
        assert!(with_more(&ways, way, ("max_age", "0")).await["access_token"].is_string(), "{way:?}");
    }
}

#[tokio::test]
async fn gt14_a_code_works_once() {
    let ways = Ways::new().await;
    for way in [Way::Code, Way::Hybrid] {
        let ready = ways.ready(way, PERSON).await;
        ways.finish(&ways.server, way, &ready).await.tokens();
        let again = ways.finish(&ways.server, way, &ready).await;
        assert_eq!(again, Seen::Refused(400, "invalid_grant".to_owned()), "{way:?}");
    }
}

#[tokio::test]
async fn gt15_hybrid_has_an_id_token_in_front_and_everything_behind() {
    let ways = Ways::new().await;
    let mut visitor = signed_in(&ways).await;
    let page = ways.authorize(&mut visitor, Way::Hybrid, &[]).await;
    assert!(page.reply.header("location").contains('#'));
    let front = page.landed(CALLBACK);
    let first = decode(&front["id_token"]).1;
    assert!(first["c_hash"].is_string() && first["nonce"] == "n-1");
    let form = [("grant_type", "authorization_code"), ("code", &front["code"]), ("redirect_uri", CALLBACK)];
    let form = form.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let behind = Ways::answer(&ways.token(&ways.server, EVERY, &form).await).tokens();
    let second = decode(behind["id_token"].as_str().unwrap()).1;
    for name in ["iss", "sub", "aud", "sid", "auth_time"] {
        assert_eq!(first[name], second[name], "{name}");
    }
    assert!(behind["refresh_token"].is_string() && behind["access_token"].is_string());
}

#[tokio::test]
async fn gt20_a_refresh_token_is_its_clients_own_and_attributes_stay_as_they_were() {
    let ways = Ways::new().await;
    let Ready::Form(form) = ways.ready(Way::Refresh, PERSON).await else { panic!("a form") };
    let foreign = ways.token(&ways.server, "source", &form).await;
    foreign.oauth_error(400, "invalid_grant", "CSIAQ0158E ");
    let tenant = ways.server.tenant();
    let mut user = ways.server.store.user(&tenant, &PERSON.id.into()).await.unwrap().unwrap();
    user.attributes.insert("name".to_owned(), vec!["Changed Since".to_owned()]);
    ways.server.store.commit(&tenant, "test", vec![store::Change::PutUser(user)]).await.unwrap();
    let fresh = Ways::answer(&ways.token(&ways.server, EVERY, &form).await).tokens();
    for name in ["access_token", "id_token", "refresh_token"] {
        assert!(fresh[name].is_string(), "{name}");
    }
    assert_ne!(fresh["refresh_token"], json!(form[1].1));
    assert_eq!(decode(fresh["id_token"].as_str().unwrap()).1["name"], "Scott Tiger");
    // Unless it is listed.
    ways.change(|client| client.refresh_claims.extend(["name".to_owned()])).await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", fresh["refresh_token"].as_str().unwrap())];
    let form = form.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let fresh = Ways::answer(&ways.token(&ways.server, EVERY, &form).await).tokens();
    assert_eq!(decode(fresh["id_token"].as_str().unwrap()).1["name"], "Changed Since");
}

#[tokio::test]
async fn gt22_context_missing_denied_challenged_twice_and_tokens_at_last() {
    let server = TestServer::start().await;
    let bare = [("grant_type", "policyauth"), ("scope", "openid")];
    // No context: the connection's own address counts, and policy asks for what that place needs.
    let asked = server.token(&bare).await.expect(200);
    assert_eq!((&asked["scope"], &asked["allowedFactors"]), (&json!("mfa_challenge"), &json!(["fido2"])));
    let broken = [("grant_type", "policyauth"), ("context", "e30=")];
    server.token(&broken).await.oauth_error(400, "invalid_request", "CSIAQ");
    let outside = context("203.0.113.1");
    let form = [("grant_type", "policyauth"), ("context", outside.as_str())];
    let denied =
        server.ask("POST", "/oauth2/token").basic("office-only", "office-demo-secret").form(&form).send().await;
    denied.oauth_error(401, "access_denied", "CSIAQ0278E ");
    let tokens = server.sign_in().await;
    assert!(tokens["access_token"].is_string() && tokens["scope"] == "openid");
}

async fn begin(server: &TestServer, id: &str) -> Reply {
    let context = context("192.168.1.1");
    let form = [("grant_type", "policyauth"), ("scope", "openid"), ("context", context.as_str())];
    server.ask("POST", "/oauth2/token").basic(id, "s").form(&form).send().await
}

#[tokio::test]
async fn gt23_gt24_an_application_without_a_policy_is_refused_and_one_that_asks_no_more_is_not() {
    let on = "grant_types = [\"policyauth\"]";
    let first = rule("First", true, "[]", "ACTION_MFA_ALWAYS", "[\"password\"]");
    let (setup, _) = Ways::setup();
    let server = setup
        .add(&client("bare", "s", on))
        .add(&client("mild", "s", &format!("{on}\npolicy = 500020\npolicy_grants = {{ policyauth = true }}")))
        .add(&policy(500_020, &[first, rule("Default", false, "[]", "ACTION_ALLOW", "[]")]))
        .start()
        .await;
    begin(&server, "bare").await.oauth_error(400, "unauthorized_client", "CSIAQ");
    let begun = begin(&server, "mild").await.expect(200);
    let proved = server.password(begun["access_token"].as_str().unwrap(), PERSON.username, PERSON.password).await;
    let proved = proved.expect(200);
    let form = [("grant_type", crate::support::JWT_BEARER), ("assertion", proved["assertion"].as_str().unwrap())];
    let tokens = server.ask("POST", "/oauth2/token").basic("mild", "s").form(&form).send().await.expect(200);
    assert_eq!((&tokens["scope"], &tokens["grant_id"]), (&json!("openid"), &begun["grant_id"]));
}

#[tokio::test]
async fn gt25_one_flow_has_one_grant_id_and_two_flows_have_two() {
    let ways = Ways::new().await;
    let mut seen = std::collections::BTreeSet::new();
    for way in Way::ALL {
        for _ in 0..2 {
            let tokens = ways.tokens(way, PERSON).await;
            let Some(grant) = tokens["grant_id"].as_str() else {
                assert_eq!(way, Way::Implicit, "{tokens}");
                continue;
            };
            assert!(seen.insert(grant.to_owned()), "{way:?} shares its grant with another flow");
            let Some(refresh) = tokens["refresh_token"].as_str() else { continue };
            let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
            let form = form.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let fresh = Ways::answer(&ways.token(&ways.server, EVERY, &form).await).tokens();
            assert_eq!(fresh["grant_id"], grant, "{way:?}");
        }
    }
}
