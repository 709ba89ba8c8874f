//! Pushed authorization requests (RFC 9126): numbers are those of the project's list of demands.

use serde_json::Value;

use crate::support::hosted::{CALLBACK, setup};
use crate::support::visitor::{Visitor, request};
use crate::support::{Reply, Setup, TestServer, client, on_both};

fn with_demands() -> Setup {
    let quiet =
        format!("grant_types = [\"authorization_code\"]\nredirect_uris = [{CALLBACK:?}]\nconsent = \"never_prompt\"");
    setup().add(&client("pushes", "pushes-secret", &format!("{quiet}\nrequire_par = true")))
}

const ASKED: [(&str, &str); 4] =
    [("response_type", "code"), ("redirect_uri", CALLBACK), ("scope", "openid"), ("state", "pushed")];

async fn push_with(server: &TestServer, client: &str, form: &[(&str, &str)]) -> Reply {
    server.ask("POST", "/oauth2/par").basic(client, &format!("{client}-secret")).form(form).send().await
}

async fn push(server: &TestServer, client: &str) -> String {
    let answer = push_with(server, client, &ASKED).await.expect(201);
    answer["request_uri"].as_str().unwrap().to_owned()
}

fn arrive(client: &str, uri: &str) -> String {
    request(&[("client_id", client), ("request_uri", uri)])
}

#[test]
fn q6_a_pushed_request_is_kept_and_leads_to_a_code_on_any_node() {
    on_both(|store| async move {
        let server = with_demands().start_on(store).await;
        let answer = push_with(&server, "pushes", &ASKED).await;
        let body: Value = answer.expect(201);
        assert_eq!(answer.header("cache-control"), "no-store");
        let uri = body["request_uri"].as_str().unwrap();
        assert!(uri.starts_with("urn:ietf:params:oauth:request_uri:") && uri.len() > 60, "{uri}");
        assert!((5..600).contains(&body["expires_in"].as_i64().unwrap()));
        let another = server.another().await;
        let mut visitor = Visitor::new(&another);
        let page = visitor.get(&arrive("pushes", uri)).await;
        // A browser may arrive again while nothing came of it.
        let again = visitor.get(&arrive("pushes", uri)).await;
        again.expect(200);
        let landed = visitor.sign_in(&page, "scott", "hunter22").await.landed(CALLBACK);
        assert_eq!(landed["state"], "pushed");
        server.redeem("pushes", &landed["code"]).await.expect(200);
        // It was answered: nothing more comes of it (attack 6).
        visitor.get(&arrive("pushes", uri)).await.expect(400);
        // Nor of the second window, which was there before.
        let late = visitor.sign_in(&again, "scott", "hunter22").await;
        assert!(!late.reply.header("location").contains("code="), "{late:?}");
    });
}

#[tokio::test]
async fn q7_q8_q11_what_could_not_be_asked_cannot_be_pushed() {
    let server = with_demands().start().await;
    let get = server.ask("GET", "/oauth2/par").send().await;
    assert_eq!(get.status, 405);
    server.post_form("/oauth2/par", &ASKED).await.oauth_error(401, "invalid_client", "CSIAQ0155E ");
    let wrong = server.ask("POST", "/oauth2/par").basic("pushes", "wrong").form(&ASKED).send().await;
    wrong.oauth_error(401, "invalid_client", "CSIAQ0155E ");
    for (name, value, error) in [
        ("request_uri", "urn:ietf:params:oauth:request_uri:x", "invalid_request"),
        ("redirect_uri", "https://evil.example.test/cb", "invalid_request"),
        ("redirect_uri", "", "invalid_request"),
        ("response_type", "", "invalid_request"),
        ("response_type", "token", "unauthorized_client"),
        ("response_type", "nonsense", "unsupported_response_type"),
        ("code_challenge_method", "S256", "invalid_request"),
        ("request", "x.y.z", "invalid_request_object"),
    ] {
        let mut form: Vec<(&str, &str)> = ASKED.into_iter().filter(|(known, _)| *known != name).collect();
        form.push((name, value));
        let reply = push_with(&server, "pushes", &form).await;
        assert_eq!(reply.status, 400, "{name}={value}: {}", reply.text());
        assert_eq!(reply.json()["error"], error, "{name}={value}");
    }
    let mut twice = ASKED.to_vec();
    twice.push(("state", "again"));
    push_with(&server, "pushes", &twice).await.oauth_error(400, "invalid_request", "CSIAQ");
}

#[tokio::test]
async fn attack_6_a_pushed_request_serves_its_own_client_in_time_and_nothing_beside_it_counts() {
    let server = with_demands().start().await;
    let uri = push(&server, "pushes").await;
    let mut visitor = Visitor::new(&server);
    visitor.get(&arrive("web", &uri)).await.expect(400);
    let (all_but_one, last) = uri.split_at(uri.len() - 1);
    let other = format!("{all_but_one}{}", if last == "x" { "y" } else { "x" });
    visitor.get(&arrive("pushes", &other)).await.expect(400);
    let contradicting = request(&[
        ("client_id", "pushes"),
        ("request_uri", &uri),
        ("redirect_uri", "https://evil.example.test/cb"),
        ("state", "changed"),
        ("scope", "openid email"),
    ]);
    let page = visitor.get(&contradicting).await;
    let landed = visitor.sign_in(&page, "scott", "hunter22").await.landed(CALLBACK);
    assert_eq!(landed["state"], "pushed");
    assert_eq!(server.redeem("pushes", &landed["code"]).await.expect(200)["scope"], "openid");
    let late = push(&server, "pushes").await;
    server.world.advance(90);
    visitor.get(&arrive("pushes", &late)).await.expect(400);
}

#[tokio::test]
async fn q13_a_client_that_must_push_is_not_answered_otherwise() {
    let server = with_demands().start().await;
    let mut visitor = Visitor::new(&server);
    let plain = crate::support::hosted::code_request("pushes", &[]);
    assert_eq!(visitor.get(&plain).await.landed(CALLBACK)["error"], "invalid_request");
}

#[tokio::test]
async fn what_proves_the_client_is_not_kept() {
    let server = with_demands().start().await;
    let mut form = ASKED.to_vec();
    form.extend([("client_id", "pushes"), ("client_secret", "pushes-secret")]);
    let answer = server.post_form("/par", &form).await.expect(201);
    let uri = answer["request_uri"].as_str().unwrap();
    let name = countersign::tokens::hex(&countersign::tokens::digest(uri).0);
    let kept = server.store.item(&server.tenant(), "par", &name).await.unwrap().expect("it is kept");
    assert!(!kept.body.contains("pushes-secret") && !kept.body.contains(&uri[uri.len() - 40..]), "{}", kept.body);
}

#[tokio::test]
async fn attack_69_who_proves_nothing_pushes_only_so_often() {
    let server = with_demands().start().await;
    let challenge = crate::support::visitor::challenge();
    let mut form = ASKED.to_vec();
    form.extend([("client_id", "spa"), ("code_challenge", challenge.as_str()), ("code_challenge_method", "S256")]);
    for _ in 0..120 {
        server.post_form("/par", &form).await.expect(201);
    }
    let late = server.post_form("/par", &form).await;
    assert_eq!((late.status.as_u16(), late.header("retry-after")), (429, "60"));
    // Who proves itself is not kept from it.
    push(&server, "pushes").await;
}
