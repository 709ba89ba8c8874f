//! What is typed is nowhere afterwards: a marker in every private text, looked for in every answer, in the database and
//! in the log.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use store::Change;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{ACME, Cast, Challenge, Database, Reply, Setup, TOKEN, client, context, user};

const PASSWORD: &str = "MARKER-password-of-mine";
const WRONG_PASSWORD: &str = "MARKER-password-mistyped";
const SECRET: &str = "MARKER-client-secret";
const WRONG_SECRET: &str = "MARKER-other-secret";
const STORED: &str = "MARKER-stored-and-unreadable";
/// The alphabet of codes: nothing else anywhere is long and has none but these.
const ALPHABET: &str = "QXZJKVWY";

/// Log lines of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test]
async fn no_secret_is_answered_stored_or_logged() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let database = Database::sqlite();
    let more = "grant_types = [\"policyauth\", \"refresh_token\", \"client_credentials\"]\npolicy = 420017\npolicy_grants = { policyauth = true }";
    let mut server = Setup::new()
        .add(&client("marked", SECRET, more))
        .add(&user("604000MRK1", "marked", PASSWORD, "groups = [\"ADMINISTRATORS\"]"))
        .add("[[tenant.enrolments]]\nid = \"77777777-1111-4111-8111-111111111111\"\nuser = \"marked\"\nkind = \"email-otp\"\naddress = \"marked@acme.org\"")
        .replace("[tenant.settings]", &format!("[tenant.settings]\nemail_otp = {{ charset = {ALPHABET:?}, length = 12 }}"))
        .start_on(database.open().await)
        .await;
    server.cast = Cast {
        client: "marked",
        secret: SECRET,
        admin: crate::support::Person { id: "604000MRK1", username: "marked", password: PASSWORD },
        email: "77777777-1111-4111-8111-111111111111",
        address: "marked@acme.org",
        ..ACME
    };

    let mut told: Vec<Reply> = Vec::new();
    let context = context("192.168.1.1");
    let begin = [("grant_type", "policyauth"), ("scope", "openid"), ("context", context.as_str())];
    told.push(server.ask("POST", TOKEN).basic("marked", WRONG_SECRET).form(&begin).send().await);
    told.push(server.post_form(TOKEN, &[begin[0], ("client_id", "marked"), ("client_secret", WRONG_SECRET)]).await);
    told.push(server.post_form(TOKEN, &[begin[0], ("client_id", SECRET), ("client_secret", WRONG_SECRET)]).await);
    // A secret in the wrong place.
    told.push(server.token(&[("grant_type", SECRET)]).await);
    told.push(server.token(&[("grant_type", "refresh_token"), ("refresh_token", PASSWORD)]).await);
    told.push(server.get("/v2.0/factors", PASSWORD).await);

    told.push(server.begin("192.168.1.1").await);
    let first = Challenge::of(told.last().unwrap());
    told.push(server.password(&first.token, "marked", WRONG_PASSWORD).await);
    told.push(server.password(&first.token, WRONG_PASSWORD, WRONG_PASSWORD).await);
    let path = format!("/v1.0/authnmethods/password/{}", ACME.source);
    let ask = server.ask("POST", &path).bearer(&first.token);
    told.push(
        ask.body("application/json", format!("{{\"username\":\"marked\",\"password\":\"{PASSWORD}")).send().await,
    );
    told.push(server.password(&first.token, "marked", PASSWORD).await);
    let assertion = told.last().unwrap().json()["assertion"].as_str().unwrap().to_owned();
    told.push(server.present(&assertion).await);
    let second = Challenge::of(told.last().unwrap());
    let started = server.start_code(&second.token).await;
    let code = server.code(server.cast.address).await;
    assert!(code.len() == 12 && code.chars().all(|c| ALPHABET.contains(c)), "{code}");
    let id = started["id"].as_str().unwrap();
    let wrong = "QXZJ".repeat(3);
    told.push(server.answer_code(&second.token, id, &wrong).await);
    told.push(server.answer_code(&second.token, id, &code).await);
    let assertion = told.last().unwrap().json()["assertion"].as_str().unwrap().to_owned();
    told.push(server.present(&assertion).await);
    let tokens = told.last().unwrap().expect(200);
    told.push(server.refresh(tokens["refresh_token"].as_str().unwrap()).await);

    // What is stored and cannot be understood makes an error whose cause must not leave.
    let tenant = server.tenant();
    let mut broken = server.store.user(&tenant, &ACME.other.id.into()).await.unwrap().unwrap();
    broken.password = Some(STORED.to_owned());
    server.store.commit(&tenant, "test", vec![Change::PutUser(broken)]).await.unwrap();
    let again = server.begin_inside().await;
    told.push(server.password(&again.token, ACME.other.username, ACME.other.password).await);
    let mut enrolment = server.store.enrolment(&tenant, &ACME.email.into()).await.unwrap().unwrap();
    enrolment.attributes = json!({ "references": STORED });
    enrolment.payload = STORED.as_bytes().to_vec();
    server.store.commit(&tenant, "test", vec![Change::PutEnrolment(enrolment)]).await.unwrap();
    let scott = Cast { admin: ACME.admin, email: ACME.email, ..server.cast };
    let scotts = server.as_of(scott).second_challenge().await;
    let path = format!("/v2.0/factors/emailotp/{}/verifications", ACME.email);
    told.push(server.json("POST", &path, &scotts.token, &json!({})).await);
    assert!(told.last().unwrap().status.is_client_error() || told.last().unwrap().status.is_server_error());

    let secrets = [PASSWORD, WRONG_PASSWORD, SECRET, WRONG_SECRET, &code, &wrong];
    for reply in &told {
        let headers = format!("{:?}", reply.headers);
        for secret in secrets.iter().chain([&STORED]) {
            assert!(!contains(&reply.body, secret) && !headers.contains(secret), "{secret} in {}", reply.text());
        }
        assert!(!contains(&reply.body, "MARKER"), "{}", reply.text());
    }
    server.store.close().await;
    let mut looked_at = 0;
    for file in std::fs::read_dir(database.directory().unwrap()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        looked_at += bytes.len();
        for secret in secrets {
            assert!(!contains(&bytes, secret), "`{secret}` is in the database");
        }
        // Nor any token: they are kept hashed.
        for name in ["access_token", "refresh_token", "id_token"] {
            assert!(!contains(&bytes, tokens[name].as_str().unwrap()), "the {name} is in the database");
        }
        for token in [&first.token, &second.token] {
            assert!(!contains(&bytes, token), "a challenge token is in the database");
        }
    }
    assert!(looked_at > 10_000 && told.len() > 15);
    let lines = log.0.lock().unwrap().clone();
    assert!(lines.len() > 100, "something was logged at this level");
    for secret in secrets.iter().copied().chain([STORED, tokens["access_token"].as_str().unwrap()]) {
        assert!(!contains(&lines, secret), "`{secret}` is in the log");
    }
}
