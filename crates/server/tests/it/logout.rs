//! Logout and sessions: RP-initiated, front-channel, back-channel, session management. Numbers are those of the project's list of
//! demands.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::hosted::{CALLBACK, code_request, setup};
use crate::support::sink::{self, acceptor};
use crate::support::visitor::{Page, Visitor};
use crate::support::{Setup, TestKey, TestServer, client, decode, on_both, unsigned, verify};

const BYE: &str = "https://app.example.test/bye";
const SCOTT: (&str, &str) = ("scott", "hunter22");

fn with_logout() -> Setup {
    let code = format!(
        "grant_types = [\"authorization_code\", \"refresh_token\"]\nredirect_uris = [{CALLBACK:?}]\n\
         consent = \"never_prompt\"\npost_logout_redirect_uris = [{BYE:?}, \"https://app.example.test/bye?kept=1\"]"
    );
    setup()
        .add(&client("leaves", "leaves-secret", &code))
        .add(&client(
            "framed",
            "framed-secret",
            &format!(
                "{code}\nfrontchannel_logout_uri = \"https://framed.example.test/out?x=1\"\n\
                 frontchannel_logout_session_required = true"
            ),
        ))
        .add(&client(
            "plain-framed",
            "plain-framed-secret",
            &format!("{code}\nfrontchannel_logout_uri = \"https://plain.example.test/out\""),
        ))
}

fn end(more: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(more).finish();
    format!("/end_session?{query}")
}

/// Signed in at a client: the tokens.
async fn signed_in(visitor: &mut Visitor, client: &str, more: &[(&str, &str)]) -> Value {
    let page = visitor.get(&code_request(client, more)).await;
    let page = if page.reply.status == 200 { visitor.sign_in(&page, SCOTT.0, SCOTT.1).await } else { page };
    let code = page.landed(CALLBACK)["code"].clone();
    visitor.server.redeem(client, &code).await.expect(200)
}

fn id(tokens: &Value) -> &str {
    tokens["id_token"].as_str().unwrap()
}

async fn is_signed_in(visitor: &mut Visitor) -> bool {
    visitor.silently("web", &[]).await.landed(CALLBACK).contains_key("code")
}

#[track_caller]
fn asks(page: &Page) {
    page.expect(200);
    assert!(page.text().contains("/logout/confirm"), "{}", page.text());
}

#[test]
fn l1_l2_l3_with_a_hint_the_session_ends_and_the_browser_goes_back_with_its_state() {
    on_both(|store| async move {
        let server = with_logout().start_on(store).await;
        for path in ["/end_session", "/oauth2/rplogout", "/oidc/endpoint/default/end_session", "/rplogout"] {
            let mut visitor = Visitor::new(&server);
            let tokens = signed_in(&mut visitor, "leaves", &[]).await;
            assert!(is_signed_in(&mut visitor).await);
            let state = "a b&c=\u{e4}";
            let form = [("id_token_hint", id(&tokens)), ("post_logout_redirect_uri", BYE), ("state", state)];
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
            let landed = visitor.at(&server.another().await).get(&format!("{path}?{query}")).await.landed(BYE);
            assert_eq!(landed, BTreeMap::from([("state".to_owned(), state.to_owned())]));
            assert!(!is_signed_in(&mut visitor).await);
            assert_eq!(visitor.silently("web", &[]).await.landed(CALLBACK)["error"], "login_required");
        }
        // By POST, and without a state none comes back; what was registered with a query keeps it.
        let mut visitor = Visitor::new(&server);
        let tokens = signed_in(&mut visitor, "leaves", &[]).await;
        let kept = "https://app.example.test/bye?kept=1";
        let form = [("id_token_hint", id(&tokens)), ("post_logout_redirect_uri", kept)];
        let page = visitor.post("/end_session", &form).await;
        assert_eq!(page.reply.header("location"), kept);
        assert!(visitor.state().is_none(), "the browser state is gone too");
    });
}

#[tokio::test]
async fn l1_a_form_posted_by_another_site_brings_no_cookie_and_works_all_the_same() {
    let server = with_logout().start().await;
    let mut visitor = Visitor::new(&server);
    let tokens = signed_in(&mut visitor, "leaves", &[]).await;
    // The browser withholds its cookies from the post, and sends them when it is sent on.
    let mut bare = Visitor::new(&server);
    let form = [("id_token_hint".to_owned(), id(&tokens).to_owned()), ("state".to_owned(), "s".to_owned())];
    let sent = bare.once("POST", "/end_session", Some(&form)).await;
    assert_eq!(sent.reply.status, 303);
    let to = sent.reply.header("location").to_owned();
    assert!(to.starts_with("/end_session?"), "{to}");
    visitor.get(&to).await.expect(200);
    assert!(!is_signed_in(&mut visitor).await);
}

#[tokio::test]
async fn l4_an_expired_id_token_is_a_good_hint() {
    let server = with_logout().start().await;
    let mut visitor = Visitor::new(&server);
    let tokens = signed_in(&mut visitor, "leaves", &[]).await;
    server.world.advance(7201);
    let page = visitor.get(&end(&[("id_token_hint", id(&tokens)), ("post_logout_redirect_uri", BYE)])).await;
    page.landed(BYE);
    assert!(!is_signed_in(&mut visitor).await);
}

#[tokio::test]
async fn l5_l6_l7_l9_attack_52_nobody_is_sent_where_nothing_vouches_for() {
    let server = with_logout().start().await;
    let mut visitor = Visitor::new(&server);
    let tokens = signed_in(&mut visitor, "leaves", &[]).await;
    let hint = id(&tokens);
    let (head, _) = hint.rsplit_once('.').unwrap();
    let broken = format!("{head}.{}", "A".repeat(342));
    let claims = decode(hint).1;
    let foreign = TestKey::new("server").sign(&claims);
    let bare = unsigned(&json!({"alg": "none"}), &claims);
    let access = tokens["access_token"].as_str().unwrap();
    for more in [
        vec![("id_token_hint", hint), ("post_logout_redirect_uri", "https://evil.example.test/")],
        vec![("id_token_hint", hint), ("post_logout_redirect_uri", "https://app.example.test/bye?x=1")],
        vec![("id_token_hint", hint), ("post_logout_redirect_uri", "https://app.example.test/bye/")],
        vec![("id_token_hint", &broken), ("post_logout_redirect_uri", BYE)],
        vec![("id_token_hint", &foreign), ("post_logout_redirect_uri", BYE)],
        vec![("id_token_hint", &bare), ("post_logout_redirect_uri", BYE)],
        vec![("id_token_hint", access), ("post_logout_redirect_uri", BYE)],
        vec![("post_logout_redirect_uri", BYE)],
        vec![("post_logout_redirect_uri", BYE), ("client_id", "leaves")],
        vec![("post_logout_redirect_uri", BYE), ("client_id", "web")],
    ] {
        let page = visitor.get(&end(&more)).await;
        asks(&page);
        assert!(is_signed_in(&mut visitor).await, "{more:?}");
    }
    let page = visitor.get(&end(&[("id_token_hint", hint), ("client_id", "web")])).await;
    page.expect(400);
    assert_eq!(page.error_id().as_deref(), Some("logout_client_mismatch"));
    let page = visitor.get(&format!("{}&state=a&state=b", end(&[("client_id", "leaves")]))).await;
    page.expect(400);
    // Known by its id and agreed to by the person: back it goes.
    let page = visitor.get(&end(&[("post_logout_redirect_uri", BYE), ("client_id", "leaves"), ("state", "s")])).await;
    let landed = visitor.submit(&page, &[]).await.landed(BYE);
    assert_eq!(landed["state"], "s");
    assert!(!is_signed_in(&mut visitor).await);
}

#[tokio::test]
async fn l8_l10_without_a_trustworthy_hint_the_person_is_asked_and_then_told() {
    let server = with_logout().start().await;
    for more in [vec![], vec![("state", "s")]] {
        let mut visitor = Visitor::new(&server);
        signed_in(&mut visitor, "leaves", &[]).await;
        let page = visitor.get(&end(&more)).await;
        asks(&page);
        // Who changes their mind stays.
        let stays = visitor.submit(&page, &[("do", "cancel")]).await;
        assert!(stays.expect(200).error_id().is_none(), "{}", stays.text());
        assert!(is_signed_in(&mut visitor).await);
        let told = visitor.submit(&page, &[]).await;
        told.expect(200);
        assert!(told.has("outcome"), "{}", told.text());
        assert!(!is_signed_in(&mut visitor).await);
        // Once more, with nobody signed in: told the same.
        visitor.get(&end(&more)).await.expect(200);
    }
    let mut visitor = Visitor::new(&server);
    let tokens = signed_in(&mut visitor, "leaves", &[]).await;
    visitor.get(&end(&[("id_token_hint", id(&tokens))])).await.expect(200);
    assert!(!is_signed_in(&mut visitor).await);
}

#[tokio::test]
async fn a_hint_about_somebody_else_ends_nobodys_session_unasked() {
    let server = with_logout().start().await;
    let mut scott = Visitor::new(&server);
    let tokens = signed_in(&mut scott, "leaves", &[]).await;
    let mut pat = Visitor::new(&server);
    let page = pat.get(&code_request("leaves", &[])).await;
    pat.sign_in(&page, "pat", "correct-horse-9").await.landed(CALLBACK);
    asks(&pat.get(&end(&[("id_token_hint", id(&tokens)), ("post_logout_redirect_uri", BYE)])).await);
    assert!(is_signed_in(&mut pat).await);
}

#[tokio::test]
async fn attack_49_the_question_is_answered_by_the_browser_it_was_put_to() {
    let server = with_logout().start().await;
    let mut visitor = Visitor::new(&server);
    signed_in(&mut visitor, "leaves", &[]).await;
    let page = visitor.get(&end(&[])).await;
    let form = page.form();
    let fields: Vec<(&str, &str)> = form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut stranger = Visitor::new(&server);
    signed_in(&mut stranger, "leaves", &[]).await;
    stranger.post(&form.action, &fields).await.expect(403);
    let mut foreign = visitor.clone().with("origin", "https://evil.example.test");
    foreign.post(&form.action, &fields).await.expect(403);
    for (name, _) in &fields {
        let edited: Vec<(&str, &str)> =
            fields.iter().map(|(other, value)| (*other, if other == name { "e30" } else { *value })).collect();
        visitor.post(&form.action, &edited).await.expect(403);
    }
    assert_eq!(visitor.once("GET", &form.action, None).await.reply.status, 405);
    server.world.advance(1800);
    assert!(visitor.post(&form.action, &fields).await.reply.status.is_client_error());
}

#[tokio::test]
async fn f2_f3_every_client_signed_in_to_is_told_by_a_frame_before_the_browser_goes_on() {
    let server = with_logout().start().await;
    let mut visitor = Visitor::new(&server);
    let framed = signed_in(&mut visitor, "framed", &[]).await;
    signed_in(&mut visitor, "plain-framed", &[]).await;
    let tokens = signed_in(&mut visitor, "leaves", &[]).await;
    let sid = decode(id(&framed)).1["sid"].as_str().unwrap().to_owned();
    assert_ne!(json!(sid), decode(id(&tokens)).1["sid"], "each client knows the session by a name of its own");
    let page = visitor.get(&end(&[("id_token_hint", id(&tokens)), ("post_logout_redirect_uri", BYE)])).await;
    page.expect(200);
    let html = page.text().replace("&#x2f;", "/").replace("&amp;", "&");
    let iss = "iss=https%3A%2F%2Flogin.example.test";
    assert!(html.contains(&format!("src=\"https://framed.example.test/out?x=1&{iss}&sid={sid}\"")), "{html}");
    assert!(html.contains("src=\"https://plain.example.test/out\""), "{html}");
    assert_eq!(html.matches("<iframe").count(), 2);
    assert!(html.contains(&format!("href=\"{BYE}\"")), "{html}");
    let policy = page.reply.header("content-security-policy");
    assert!(policy.contains("frame-src https://framed.example.test https://plain.example.test"), "{policy}");
    assert!(!is_signed_in(&mut visitor).await);
}

#[test]
fn b5_what_hangs_on_the_session_ends_with_it_and_offline_access_does_not() {
    on_both(|store| async move {
        let server = with_logout().start_on(store).await;
        let mut visitor = Visitor::new(&server);
        let tokens = signed_in(&mut visitor, "leaves", &[]).await;
        let lasting = [("scope", "openid offline_access"), ("prompt", "consent")];
        let page = visitor.get(&code_request("framed", &lasting)).await;
        let page = if page.reply.status == 200 { visitor.submit(&page, &[("do", "allow")]).await } else { page };
        let code = page.landed(CALLBACK)["code"].clone();
        let offline = server.redeem("framed", &code).await.expect(200);
        let open = visitor.silently("other", &[]).await.landed(CALLBACK)["code"].clone();
        visitor.get(&end(&[("id_token_hint", id(&tokens))])).await.expect(200);
        let refresh = |client: &'static str, tokens: &Value| {
            let token = tokens["refresh_token"].as_str().unwrap().to_owned();
            let form = [("grant_type", "refresh_token".to_owned()), ("refresh_token", token)];
            server.ask("POST", "/token").basic(client, &format!("{client}-secret")).form(&form).send()
        };
        refresh("leaves", &tokens).await.oauth_error(400, "invalid_grant", "CSIAQ");
        refresh("framed", &offline).await.expect(200);
        // A code that was on its way is worth nothing any more.
        server.redeem("other", &open).await.oauth_error(400, "invalid_grant", "CSIAQ");
    });
}

#[tokio::test]
async fn x1_x2_x3_x4_the_frame_is_there_and_the_state_changes_with_the_session() {
    let server = with_logout().start().await;
    let mut visitor = Visitor::new(&server);
    let metadata = server.ask("GET", "/oauth2/.well-known/openid-configuration").send().await.expect(200);
    let frame = metadata["check_session_iframe"].as_str().unwrap();
    assert!(frame.starts_with("https://login.example.test/"), "{frame}");
    for flag in [
        "frontchannel_logout_supported",
        "frontchannel_logout_session_supported",
        "backchannel_logout_supported",
        "backchannel_logout_session_supported",
    ] {
        assert_eq!(metadata[flag], true, "{flag}");
    }
    let page = visitor.get(frame.strip_prefix("https://login.example.test").unwrap()).await;
    page.expect(200);
    assert!(page.text().contains("__Host-countersign-state"), "{}", page.text());
    assert!(page.reply.header("x-frame-options").is_empty());
    assert!(page.reply.header("content-security-policy").contains("frame-ancestors *"));
    let first = visitor.get(&code_request("leaves", &[])).await;
    let landed = visitor.sign_in(&first, SCOTT.0, SCOTT.1).await.landed(CALLBACK);
    let said = &landed["session_state"];
    let (hash, salt) = said.split_once('.').unwrap();
    let state = visitor.state().unwrap().to_owned();
    let text = format!("leaves https://app.example.test {state} {salt}");
    let ours = countersign::tokens::hex(&countersign::tokens::digest(&text).0);
    assert_eq!(hash, ours);
    let tokens = server.redeem("leaves", &landed["code"]).await.expect(200);
    visitor.get(&end(&[("id_token_hint", id(&tokens))])).await.expect(200);
    assert_ne!(visitor.state(), Some(state.as_str()));
}

// --- back-channel ---

/// A client's server: keeps what is posted to it, and answers what it is told to.
struct Receiver {
    address: String,
    posted: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<&'static str>>,
}

impl Receiver {
    async fn start() -> Self {
        let acceptor = acceptor();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://localhost:{}/out", listener.local_addr().unwrap().port());
        let posted = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(Mutex::new("200 OK"));
        let (heard, say) = (Arc::clone(&posted), Arc::clone(&answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut bytes = Vec::new();
                let mut buffer = [0; 4096];
                let text = loop {
                    let read = stream.read(&mut buffer).await.unwrap_or(0);
                    bytes.extend_from_slice(&buffer[..read]);
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let done = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                        let length = head
                            .lines()
                            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
                        body.len() >= length.unwrap_or(0)
                    });
                    if done || read == 0 {
                        break text;
                    }
                };
                heard.lock().unwrap().push(text);
                let say = *say.lock().unwrap();
                let _ = stream.write_all(format!("HTTP/1.1 {say}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { address, posted, answer }
    }

    fn posted(&self) -> Vec<String> {
        self.posted.lock().unwrap().clone()
    }

    fn say(&self, status: &'static str) {
        *self.answer.lock().unwrap() = status;
    }

    /// The logout token of the newest post.
    fn token(&self) -> String {
        let posted = self.posted();
        let (head, body) = posted.last().expect("something was posted").split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST /out HTTP/1.1\r\n"), "{head}");
        assert!(head.to_ascii_lowercase().contains("content-type: application/x-www-form-urlencoded"), "{head}");
        let pairs: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let [(name, token)] = pairs.as_slice() else { panic!("{pairs:?}") };
        assert_eq!(name, "logout_token");
        token.clone()
    }
}

async fn told(receiver: &Receiver) -> TestServer {
    let code = format!(
        "grant_types = [\"authorization_code\", \"refresh_token\"]\nredirect_uris = [{CALLBACK:?}]\n\
         consent = \"never_prompt\"\nbackchannel_logout_uri = {:?}\nbackchannel_logout_session_required = true",
        receiver.address
    );
    with_logout().add(&client("told", "told-secret", &code)).outbound(sink::allowed()).start().await
}

async fn pass(server: &TestServer) -> countersign::jobs::outbox::Pass {
    countersign::jobs::worker(&server.app).pass().await.unwrap()
}

#[tokio::test]
async fn b1_b2_b3_a_signed_notice_goes_to_the_client_when_the_session_ends() {
    let receiver = Receiver::start().await;
    let server = told(&receiver).await;
    let mut visitor = Visitor::new(&server);
    let tokens = signed_in(&mut visitor, "told", &[]).await;
    let claims = decode(id(&tokens)).1;
    let leaving = signed_in(&mut visitor, "leaves", &[]).await;
    visitor.get(&end(&[("id_token_hint", id(&leaving))])).await.expect(200);
    assert_eq!(pass(&server).await.delivered, 1);
    let jwks = server.ask("GET", "/jwks").send().await.expect(200);
    let token = receiver.token();
    let (header, said) = (decode(&token).0, verify(&token, &jwks));
    assert_eq!((&header["typ"], &header["alg"]), (&json!("logout+jwt"), &json!("RS256")));
    for name in ["iss", "sub", "sid", "aud"] {
        assert_eq!(said[name], claims[name], "{name}");
    }
    let now = server.world.now();
    assert_eq!((&said["iat"], &said["exp"]), (&json!(now), &json!(now + 120)));
    assert_eq!(said["events"], json!({"http://schemas.openid.net/event/backchannel-logout": {}}));
    assert!(said.get("nonce").is_none() && said["jti"].is_string());
    // It passes for nothing else (attack 53).
    assert_eq!(server.ask("GET", "/userinfo").bearer(&token).send().await.status, 401);
    asks(&{
        signed_in(&mut visitor, "leaves", &[]).await;
        visitor.get(&end(&[("id_token_hint", &token)])).await
    });
}

#[tokio::test]
async fn b4_a_client_that_is_down_delays_nobody_and_is_told_later_with_a_fresh_token() {
    let receiver = Receiver::start().await;
    let server = told(&receiver).await;
    let mut visitor = Visitor::new(&server);
    let tokens = signed_in(&mut visitor, "told", &[]).await;
    receiver.say("503 Service Unavailable");
    visitor.get(&end(&[("id_token_hint", id(&tokens))])).await.expect(200);
    assert_eq!(pass(&server).await.postponed, 1);
    let first = decode(&receiver.token()).1;
    // Another node, after this one died: it is in the store.
    let another = server.another().await;
    server.world.advance(300);
    receiver.say("204 No Content");
    assert_eq!(pass(&another).await.delivered, 1);
    let second = decode(&receiver.token()).1;
    assert_eq!(second["iat"], server.world.now());
    assert_ne!(first["jti"], second["jti"]);
    assert_eq!(pass(&server).await, countersign::jobs::outbox::Pass::default());
}

#[tokio::test]
async fn b4_a_refusal_is_final_and_so_is_the_end_of_its_time() {
    let receiver = Receiver::start().await;
    let server = told(&receiver).await;
    for (status, advance) in [("400 Bad Request", 0), ("500 Internal Server Error", 6 * 3600)] {
        let mut visitor = Visitor::new(&server);
        let tokens = signed_in(&mut visitor, "told", &[]).await;
        receiver.say(status);
        visitor.get(&end(&[("id_token_hint", id(&tokens))])).await.expect(200);
        let before = receiver.posted().len();
        let sum = pass(&server).await;
        assert_eq!(sum.dropped + sum.postponed, 1);
        assert_eq!(receiver.posted().len(), before + 1);
        server.world.advance(advance);
        pass(&server).await;
        server.store.sweep(server.world.now(), 100).await.unwrap();
        assert_eq!(server.store.outbox_waiting(0).await.unwrap(), 0, "{status}");
        assert_eq!(receiver.posted().len(), before + 1, "{status}");
    }
}

#[tokio::test]
async fn attack_60_a_notice_goes_to_no_private_address_that_is_not_allowed() {
    let receiver = Receiver::start().await;
    let code = format!(
        "grant_types = [\"authorization_code\"]\nredirect_uris = [{CALLBACK:?}]\nconsent = \"never_prompt\"\n\
         backchannel_logout_uri = {:?}",
        receiver.address
    );
    let server = with_logout().add(&client("told", "told-secret", &code)).start().await;
    let mut visitor = Visitor::new(&server);
    let tokens = signed_in(&mut visitor, "told", &[]).await;
    visitor.get(&end(&[("id_token_hint", id(&tokens))])).await.expect(200);
    let sum = pass(&server).await;
    assert_eq!((sum.delivered, sum.postponed + sum.dropped), (0, 1));
    assert!(receiver.posted().is_empty());
}
