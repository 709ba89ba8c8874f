//! `grant_type=password`: only the Cloud Directory's people, under the same rules as at every other door.

use protocol::records::{Source, SourceKind, User};
use serde_json::{Value, json};
use store::DirectoryChange;

use crate::support::{
    ACME, Cast, Challenge, Reply, Setup, TestServer, client, context, decode, on_both, policy, rule, user,
};

const ELSEWHERE: &str = "0b9a4c2e-3c1d-4a5e-9b7f-6d8e2f1a0c3b";

fn setup() -> Setup {
    let any = "[]";
    let second = policy(
        500_001,
        &[
            rule("First", true, any, "ACTION_MFA_ALWAYS", "[\"password\"]"),
            rule("Second", false, any, "ACTION_MFA_ALWAYS", "[\"emailotp\"]"),
        ],
    );
    let deny = policy(
        500_002,
        &[
            rule("First", true, any, "ACTION_MFA_ALWAYS", "[\"password\"]"),
            rule("Never", false, any, "ACTION_DENY", "[]"),
        ],
    );
    let on = "grant_types = [\"password\", \"refresh_token\"]";
    Setup::new()
        .add(&user("604000OFF1", "gone", "pw-of-gone", "active = false"))
        .add(&client("app", "s", on))
        .add(&client("partner-app", "s", &format!("{on}\npassword_realm = \"partnerRealm\"")))
        .add(&client("few", "s", &format!("{on}\nopen_to_all = false\nentitled_users = [\"pat\"]")))
        .add(&client("strict", "s", &format!("{on}\npolicy = 500001\npolicy_grants = {{ password = true }}")))
        .add(&client("closed", "s", &format!("{on}\npolicy = 500002\npolicy_grants = {{ password = true }}")))
        .add(&second)
        .add(&deny)
}

async fn ask(server: &TestServer, id: &str, username: &str, password: &str) -> Reply {
    let form = [("grant_type", "password"), ("scope", "openid"), ("username", username), ("password", password)];
    server.ask("POST", "/oauth2/token").basic(id, "s").form(&form).send().await
}

#[tokio::test]
async fn gt18_a_name_and_a_password_bring_access_and_id_token() {
    let server = setup().start().await;
    let tokens = ask(&server, "app", ACME.other.username, ACME.other.password).await.expect(200);
    let (_, claims) = decode(tokens["id_token"].as_str().unwrap());
    assert_eq!((&claims["sub"], &claims["amr"]), (&json!(ACME.other.id), &json!(["password"])));
    assert_eq!(claims["auth_time"], server.world.now());
    // GT6: a refresh token too, since the client may refresh.
    let form = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    let fresh = server.ask("POST", "/oauth2/token").basic("app", "s").form(&form).send().await.expect(200);
    assert_eq!(fresh["grant_id"], tokens["grant_id"]);
    // In whatever case the name is typed, and never twice the same grant.
    let again = ask(&server, "app", "PAT", ACME.other.password).await.expect(200);
    assert_ne!(again["grant_id"], tokens["grant_id"]);
}

/// A person of a source that is no Cloud Directory, though their password is known here.
async fn add_partner(server: &TestServer) {
    let tenant = server.tenant();
    let known = server.store.user(&tenant, &ACME.other.id.into()).await.unwrap().unwrap();
    let user = User { id: "604000PART".into(), source: ELSEWHERE.into(), username: "partner".to_owned(), ..known };
    let source = Source {
        id: ELSEWHERE.into(),
        name: "Partner".to_owned(),
        realm: "partnerRealm".to_owned(),
        kind: SourceKind::Federated,
    };
    let changes = vec![DirectoryChange::PutSource(source), DirectoryChange::PutUser { user, managed: false }];
    server.store.change_directory(&tenant, changes).await.unwrap();
    assert!(server.app.directories.refresh_if_changed().await.unwrap());
}

#[tokio::test]
async fn gt17_people_of_other_sources_are_not_asked_for_their_passwords() {
    let server = setup().start().await;
    add_partner(&server).await;
    ask(&server, "app", "partner", ACME.other.password).await.oauth_error(400, "invalid_grant", "CSIAH0303E ");
    // Nor by a client that is set to a realm which is no Cloud Directory.
    let reply = ask(&server, "partner-app", "partner", ACME.other.password).await;
    reply.oauth_error(400, "unauthorized_client", "CSIAQ");
}

#[tokio::test]
async fn the_grant_is_off_unless_the_client_has_it() {
    let server = TestServer::start().await;
    let form = [("grant_type", "password"), ("username", ACME.other.username), ("password", ACME.other.password)];
    server.token(&form).await.oauth_error(400, "unauthorized_client", "CSIAQ");
}

#[tokio::test]
async fn what_is_wrong_with_the_request_is_said_before_a_guess_counts() {
    let server = setup().start().await;
    for form in [
        vec![("username", "pat")],
        vec![("password", "x")],
        vec![("username", ""), ("password", "x")],
        vec![("username", "pat"), ("password", "x"), ("resource", "https://not.ours.test")],
        vec![("username", "pat"), ("password", "x"), ("scope", "\"")],
    ] {
        for _ in 0..6 {
            let mut all = vec![("grant_type", "password")];
            all.extend(&form);
            let reply = server.ask("POST", "/oauth2/token").basic("app", "s").form(&all).send().await;
            assert_eq!(reply.status, 400, "{}", reply.text());
            assert_ne!(reply.json()["error"], "invalid_grant");
        }
    }
    ask(&server, "app", ACME.other.username, ACME.other.password).await.expect(200);
}

#[test]
fn attack_35_wrong_passwords_rest_the_account_whoever_it_is_and_all_doors_count() {
    on_both(|store| async move {
        let server = setup().start_on(store).await;
        let another = server.another().await;
        for name in [ACME.other.username, "nobody-at-all"] {
            for turn in 0..5 {
                let node = if turn % 2 == 0 { &server } else { &another };
                ask(node, "app", name, "wrong").await.oauth_error(400, "invalid_grant", "CSIAH0303E ");
            }
            // Even the right one is not looked at now, and a stranger is told the same.
            ask(&another, "app", name, ACME.other.password).await.oauth_error(400, "invalid_grant", "CSIAH0320E ");
        }
        // The other door counts by the same counter.
        let flow = server.begin_inside().await;
        let refused = server.password(&flow.token, ACME.other.username, ACME.other.password).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
        server.world.advance(3600);
        ask(&server, "app", ACME.other.username, ACME.other.password).await.expect(200);
    });
}

#[tokio::test]
async fn attack_40_a_disabled_account_looks_like_a_wrong_password() {
    let server = setup().start().await;
    let wrong = ask(&server, "app", ACME.other.username, "wrong").await;
    let disabled = ask(&server, "app", "gone", "pw-of-gone").await;
    let nobody = ask(&server, "app", "nobody", "wrong").await;
    assert_eq!((wrong.status, wrong.text()), (disabled.status, disabled.text()));
    assert_eq!((wrong.status, wrong.text()), (nobody.status, nobody.text()));
}

#[tokio::test]
async fn who_is_not_entitled_is_told_so_after_the_password_and_it_is_recorded() {
    let server = setup().start().await;
    ask(&server, "few", ACME.admin.username, "wrong").await.oauth_error(400, "invalid_grant", "CSIAH0303E ");
    let refused = ask(&server, "few", ACME.admin.username, ACME.admin.password).await;
    refused.oauth_error(401, "access_denied", "CSIAQ0279E ");
    let text = refused.json()["error_description"].as_str().unwrap().to_owned();
    let reference = text.split("reference ").nth(1).unwrap().trim_end_matches(')').to_owned();
    assert!(server.store.record(&server.tenant(), &reference).await.unwrap().is_some());
    ask(&server, "few", ACME.other.username, ACME.other.password).await.expect(200);
}

#[tokio::test]
async fn attack_25_a_second_factor_is_asked_for_and_the_flow_ends_in_tokens() {
    let mut server = setup().start().await;
    let challenge = Challenge::of(&ask(&server, "strict", ACME.admin.username, ACME.admin.password).await);
    assert_eq!(challenge.allowed, ["emailotp"]);
    server.cast = Cast { client: "strict", secret: "s", ..ACME };
    let assertion = server.prove_code(&challenge.token).await;
    let tokens = server.present(&assertion).await.expect(200);
    assert_eq!(tokens["grant_id"], challenge.grant, "one flow, one grant");
    let claims = decode(tokens["id_token"].as_str().unwrap()).1;
    assert_eq!(claims["amr"], json!(["emailotp", "password"]));
    // Nobody skips it.
    let reply = ask(&server, "closed", ACME.admin.username, ACME.admin.password).await;
    reply.oauth_error(401, "access_denied", "CSIAQ0278E ");
}

#[tokio::test]
async fn a_policy_that_waits_for_context_is_not_asked_without_one() {
    let server = setup().start().await;
    server.change_client("closed", |client| client.policy_requires_context = true).await;
    ask(&server, "closed", ACME.other.username, ACME.other.password).await.expect(200);
    let context = context("192.168.1.1");
    let form: Vec<(&str, &str)> = vec![
        ("grant_type", "password"),
        ("username", ACME.other.username),
        ("password", ACME.other.password),
        ("context", &context),
    ];
    let reply = server.ask("POST", "/oauth2/token").basic("closed", "s").form(&form).send().await;
    reply.oauth_error(401, "access_denied", "CSIAQ0278E ");
    let unknown: Value = reply.json();
    assert!(unknown.get("access_token").is_none());
}
