//! The wire conventions that clients depend on (vendor page §0.1), one test each where no other shows it.

use serde_json::{Value, json};

use crate::support::{ACME, TestServer, names};

#[tokio::test]
async fn w1_json_is_written_without_blanks() {
    let server = TestServer::start().await;
    let begun = server.begin("192.168.1.1").await;
    let text = begun.text();
    assert!(text.starts_with("{\"access_token\":\"") && !text.contains(' ') && !text.contains('\n'), "{text}");
    let token = begun.json()["access_token"].as_str().unwrap().to_owned();
    let sources = server.get("/v1.0/authnmethods/password", &token).await;
    assert!(sources.text().contains("\"id\":\"46872982-ab9e-4c9f-8200-8f394b328394\""), "{}", sources.text());
}

#[tokio::test]
async fn w2_tokens_are_letters_and_digits() {
    let server = TestServer::start().await;
    let first = server.begin_inside().await;
    let tokens = server.sign_in().await;
    let refresh = tokens["refresh_token"].as_str().unwrap();
    for (token, length) in [(first.token.as_str(), 40), (tokens["access_token"].as_str().unwrap(), 40), (refresh, 50)] {
        assert!(token.len() == length && token.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{token}");
    }
}

#[tokio::test]
async fn w6_a_search_is_read_encoded_and_almost_unencoded() {
    let server = TestServer::start().await;
    let first = server.begin_inside().await;
    let mut answers = Vec::new();
    for query in [
        "search=name%20%3D%20%22Cloud%20Directory%22",
        "search=name%20=%20%22Cloud%20Directory%22",
        "search=name=%22Cloud%20Directory%22",
        "search=name+%3D+%22Cloud+Directory%22",
    ] {
        answers.push(server.get(&format!("/v1.0/authnmethods/password?{query}"), &first.token).await.expect(200));
    }
    assert_eq!(answers[0]["total"], 1);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let none = server.get("/v1.0/authnmethods/password?search=name%3D%22Other%22", &first.token).await.expect(200);
    assert_eq!(names(&none), ["total", "password", "count", "limit", "page"]);
    assert_eq!(none["password"], json!([]));
    for wrong in ["colour%3D%22red%22", "name%20~%20%22x%22", "name%3D%22unclosed"] {
        let path = format!("/v1.0/authnmethods/password?search={wrong}");
        server.get(&path, &first.token).await.factor_error(400, "CSIAG5401E");
    }
}

#[tokio::test]
async fn w6_a_search_of_enrolments_may_fall_apart_at_its_ampersand() {
    let server = TestServer::start().await;
    let second = server.second_challenge().await;
    let encoded = "/v2.0/factors?search=userId%3D%226040003OH8%22%26type%3D%22emailotp%22";
    let bare = "/v2.0/factors?search=userId=%226040003OH8%22&type=%22emailotp%22";
    let found = server.get(encoded, &second.token).await.expect(200);
    assert_eq!((&found["total"], &found["factors"][0]["id"]), (&json!(1), &json!(ACME.email)));
    assert_eq!(server.get(bare, &second.token).await.expect(200), found);
    let filtered = server
        .get("/v2.0/factors?filter=id,type&sort=-type&pagination=count%3D10%26page%3D1%26limit%3D1", &second.token);
    let filtered = filtered.await.expect(200);
    assert_eq!(names(&filtered["factors"][0]), ["id", "type"]);
    assert_eq!((&filtered["factors"][0]["type"], &filtered["limit"]), (&json!("totp"), &json!(1)));
}

#[tokio::test]
async fn w7_json_is_answered_whatever_is_accepted_and_read_whatever_it_is_called() {
    let server = TestServer::start().await;
    let first = server.begin_inside().await;
    let ask = || server.ask("GET", "/v2.0/factors/discover").bearer(&first.token);
    let plain = ask().send().await;
    assert_eq!(ask().header("accept", "text/html").send().await.expect(200), plain.expect(200));
    let path = format!("/v1.0/authnmethods/password/{}", ACME.source);
    let body = json!({ "username": "scott", "password": "hunter22" }).to_string();
    for media_type in ["application/json;charset=utf-8", "application/x-www-form-urlencoded", "text/plain"] {
        let ask = server.ask("POST", &path).bearer(&first.token).body(media_type, body.clone());
        ask.send().await.expect(200);
    }
}

#[tokio::test]
async fn w8_unknown_members_and_parameters_are_ignored() {
    let server = TestServer::start().await;
    let first = server.begin_inside().await;
    let path = format!("/v1.0/authnmethods/password/{}?returnJwt=true&themeId=x", ACME.source);
    let body = json!({ "username": "scott", "password": "hunter22", "rememberMe": { "for": [1, 2] }, "otp": null });
    assert!(server.json("POST", &path, &first.token, &body).await.expect(200)["assertion"].is_string());
}

#[tokio::test]
async fn w9_an_empty_body_is_an_empty_object() {
    let server = TestServer::start().await;
    let second = server.second_challenge().await;
    let path = format!("/v2.0/factors/emailotp/{}/verifications", ACME.email);
    for body in [Value::Null, json!({}), json!({ "correlation": "" }), json!({ "correlation": null })] {
        let made = server.json("POST", &path, &second.token, &body).await.expect(201);
        assert_eq!(made["correlation"].as_str().unwrap().len(), 4, "{made}");
    }
    let outside = server.begin("203.0.113.9").await.json()["access_token"].as_str().unwrap().to_owned();
    let path = format!("/v2.0/factors/fido2/relyingparties/{}/assertion/options", ACME.relying_party);
    let options = server.json("POST", &path, &outside, &Value::Null).await.expect(200);
    assert_eq!(names(&options), ["rpId", "timeout", "challenge", "allowCredentials", "userVerification"]);
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused_and_changes_nothing() {
    let server = TestServer::start().await;
    let second = server.second_challenge().await;
    let start = format!("/v2.0/factors/emailotp/{}/verifications", ACME.email);
    let verification = server.start_code(&second.token).await;
    let answer = format!("{start}/{}", verification["id"].as_str().unwrap());
    let sent = server.mail("scott@acme.org").await.len();
    for body in ["{", "[]", "null", "\"x\"", "{\"otp\":\"1\",\"otp\":\"2\"}", "\u{feff}{}x", "{\"a\":1e999999}"] {
        for path in [&start, &answer] {
            let ask = server.ask("POST", path).bearer(&second.token).body("application/json", body.to_owned());
            ask.send().await.factor_error(400, "CSIAG5401E");
        }
    }
    let ask = server.ask("POST", &answer).bearer(&second.token).body("application/json", vec![b'{', 0xff, b'}']);
    ask.send().await.factor_error(400, "CSIAG5401E");
    assert_eq!(server.get(&answer, &second.token).await.expect(200)["attempts"], 0);
    assert_eq!(server.mail("scott@acme.org").await.len(), sent);
}

#[tokio::test]
async fn w11_an_unknown_path_is_404() {
    let server = TestServer::start().await;
    let first = server.begin_inside().await;
    for path in ["/v2.0/factors/emailotp/a/b/c/d", "/v3.0/factors", "/v1.0/authnmethods/nonsense"] {
        assert_eq!(server.get(path, &first.token).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn who_brings_no_token_is_told_of_which_kind_it_must_be() {
    let server = TestServer::start().await;
    let reply = server.ask("GET", "/v2.0/factors").send().await;
    reply.factor_error(401, "CSIAK9999E");
    assert_eq!(reply.header("www-authenticate"), "Bearer");
}
