//! Text messages and calls over HTTP, against a real server on loopback.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign::config::{Messages, Provider};
use countersign::delivery::{Channel, Delivery, Http, HttpError, Smtp, SmtpConfig, Ways};
use countersign::jobs::outbox::Pass;
use countersign::keys::MasterKey;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{NOW, config, enqueue, tenant, worker, written};

/// A request as it arrived.
#[derive(Clone, Debug)]
struct Arrived {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Arrived {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn field(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.body.as_bytes())
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// In the place of a status: no answer ever comes.
const HELD: u16 = 0;

/// Answers each request with the next of these statuses; the last one stays.
struct Receiver {
    arrived: Arc<Mutex<Vec<Arrived>>>,
    url: String,
}

impl Receiver {
    async fn start(answers: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let (kept, answers) = (Arc::clone(&arrived), answers.to_vec());
        tokio::spawn(async move {
            let (mut nth, mut held) = (0, Vec::new());
            while let Ok((socket, _)) = listener.accept().await {
                let status = answers[nth.min(answers.len() - 1)];
                nth += 1;
                if status == HELD {
                    held.push(socket);
                    continue;
                }
                if let Some(one) = talk(socket, status).await {
                    kept.lock().unwrap().push(one);
                }
            }
        });
        Self { arrived, url }
    }

    fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }
}

async fn talk(socket: TcpStream, status: u16) -> Option<Arrived> {
    let mut socket = BufReader::new(socket);
    let mut line = String::new();
    socket.read_line(&mut line).await.ok()?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        socket.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.ok()?;
    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    socket.write_all(answer.as_bytes()).await.ok()?;
    Some(Arrived { line: line.trim_end().to_owned(), headers, body: String::from_utf8(body).ok()? })
}

/// `whsec_` and base64 of thirty bytes.
const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5\n";

fn file(directory: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn webhook(directory: &Path, url: &str) -> Http {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let secret_file = file(directory, "secret", SECRET);
    Http::open(&Messages { provider: Provider::Webhook { url: format!("{url}/send"), secret_file } }, None).unwrap()
}

fn twilio(directory: &Path, url: &str, from: &str) -> Http {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let credentials_file = file(directory, "credentials", "AC1\npass\n");
    let (url, account, from) = (url.to_owned(), "AC1".to_owned(), from.to_owned());
    Http::open(&Messages { provider: Provider::Twilio { url, account, from, credentials_file } }, None).unwrap()
}

fn by(ways: Ways) -> Delivery {
    Delivery::out(Arc::new(MasterKey::generate()), ways)
}

#[tokio::test]
async fn a_text_message_is_told_to_a_webhook_that_can_verify_it() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&[204]).await;
    let worker = worker(by(Ways { sms: Some(webhook(directory.path(), &receiver.url)), ..Ways::default() }));
    enqueue(&worker, &written(&tenant(), Channel::Sms)).await;
    assert_eq!(worker.pass().await.unwrap(), Pass { delivered: 1, ..Pass::default() });
    let [one] = receiver.arrived().try_into().unwrap();
    assert_eq!(one.line, "POST /send HTTP/1.1");
    let told: Value = serde_json::from_str(&one.body).unwrap();
    assert_eq!(told["channel"], "sms");
    assert_eq!(told["to"], "+15551234567");
    assert!(told["text"].as_str().unwrap().contains("730164"));
    assert_eq!(told["expires"], json!(NOW + 300));
    assert_eq!(one.header("webhook-timestamp"), NOW.to_string());
    assert_eq!(one.header("webhook-id"), told["id"].as_str().unwrap());
    assert_eq!(one.header("idempotency-key"), one.header("webhook-id"));
    // What a receiver does, by the decoded secret.
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, b"012345678901234567890123456789");
    let signed = format!("{}.{}.{}", one.header("webhook-id"), one.header("webhook-timestamp"), one.body);
    let signature = one.header("webhook-signature").strip_prefix("v1,").unwrap();
    let tag = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, signature).unwrap();
    aws_lc_rs::hmac::verify(&key, signed.as_bytes(), &tag).unwrap();
}

#[tokio::test]
async fn a_webhook_that_fails_is_told_again_with_the_same_id_and_a_new_time() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&[503, 429, 200]).await;
    let worker = worker(by(Ways { sms: Some(webhook(directory.path(), &receiver.url)), ..Ways::default() }));
    enqueue(&worker, &written(&tenant(), Channel::Sms)).await;
    assert_eq!(worker.pass().await.unwrap().postponed, 1);
    worker.world.advance(10);
    assert_eq!(worker.pass().await.unwrap().postponed, 1);
    worker.world.advance(10);
    assert_eq!(worker.pass().await.unwrap().delivered, 1);
    let arrived = receiver.arrived();
    let ids: std::collections::BTreeSet<&str> = arrived.iter().map(|one| one.header("webhook-id")).collect();
    let times: Vec<&str> = arrived.iter().map(|one| one.header("webhook-timestamp")).collect();
    assert_eq!((ids.len(), times.len()), (1, 3));
    assert!(times.windows(2).all(|two| two[0] < two[1]), "{times:?}");
}

#[tokio::test]
async fn a_webhook_that_refuses_the_message_is_not_told_again() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&[422]).await;
    let worker = worker(by(Ways { sms: Some(webhook(directory.path(), &receiver.url)), ..Ways::default() }));
    enqueue(&worker, &written(&tenant(), Channel::Sms)).await;
    assert_eq!(worker.pass().await.unwrap(), Pass { dropped: 1, ..Pass::default() });
    assert_eq!(worker.pass().await.unwrap(), Pass::default());
}

#[tokio::test]
async fn a_text_message_and_a_call_by_the_interface_of_twilio() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&[201]).await;
    let worker = worker(by(Ways {
        sms: Some(twilio(directory.path(), &receiver.url, "MG1")),
        voice: Some(twilio(directory.path(), &receiver.url, "+15557654321")),
        ..Ways::default()
    }));
    for channel in [Channel::Sms, Channel::Voice] {
        enqueue(&worker, &written(&tenant(), channel)).await;
        assert_eq!(worker.pass().await.unwrap().delivered, 1);
    }
    let [text, call] = receiver.arrived().try_into().unwrap();
    assert_eq!(text.line, "POST /2010-04-01/Accounts/AC1/Messages.json HTTP/1.1");
    assert_eq!(text.header("authorization"), "Basic QUMxOnBhc3M=");
    assert_eq!(text.field("To").as_deref(), Some("+15551234567"));
    assert_eq!(text.field("MessagingServiceSid").as_deref(), Some("MG1"));
    assert_eq!(text.field("ValidityPeriod").as_deref(), Some("300"));
    assert!(text.field("Body").unwrap().contains("730164"));
    assert_eq!(call.line, "POST /2010-04-01/Accounts/AC1/Calls.json HTTP/1.1");
    assert_eq!(call.field("From").as_deref(), Some("+15557654321"));
    assert!(call.field("Twiml").unwrap().starts_with("<Response><Say>"));
    assert_ne!(text.header("i-twilio-idempotency-token"), call.header("i-twilio-idempotency-token"));
}

#[tokio::test]
async fn what_has_no_way_out_is_not_promised() {
    let directory = tempfile::tempdir().unwrap();
    let delivery = by(Ways { sms: Some(webhook(directory.path(), "http://127.0.0.1:9")), ..Ways::default() });
    assert!(delivery.supports(Channel::Sms));
    assert!(!delivery.supports(Channel::Voice) && !delivery.supports(Channel::Email));
}

#[test]
fn a_short_or_unmarked_secret_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for text in ["whsec_c2hvcnQ=", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5", "whsec_not base64", ""] {
        let secret_file = file(directory.path(), "secret", text);
        let messages = Messages { provider: Provider::Webhook { url: "https://x.test".to_owned(), secret_file } };
        assert!(matches!(Http::open(&messages, None), Err(HttpError::Secret(_))), "{text}");
    }
}

/// A mail server that takes connections and says nothing must not keep a code by text message from leaving.
#[tokio::test]
async fn a_mail_server_that_does_not_answer_keeps_no_text_message_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let receiver = Receiver::start(&[200]).await;
    let mail = Smtp::open(&SmtpConfig { timeout: Duration::from_secs(3600), ..config(port) }).unwrap();
    let ways = Ways { mail: Some(mail), sms: Some(webhook(directory.path(), &receiver.url)), ..Ways::default() };
    let worker = worker(by(ways));
    // More than are on their way at once.
    for _ in 0..40 {
        enqueue(&worker, &written(&tenant(), Channel::Email)).await;
    }
    let running = tokio::spawn(worker.clone().run(std::future::pending()));
    let (_held, _) = silent.accept().await.unwrap();
    enqueue(&worker, &written(&tenant(), Channel::Sms)).await;
    worker.delivery.wake();
    while receiver.arrived().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(worker.store.outbox_waiting(NOW).await.unwrap() >= 40, "no mail has left");
    running.abort();
}

/// One message of sixteen that takes long holds one place.
#[tokio::test]
async fn a_slow_receiver_holds_one_place_and_the_rest_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&[HELD, 200]).await;
    let worker = worker(by(Ways { sms: Some(webhook(directory.path(), &receiver.url)), ..Ways::default() }));
    for _ in 0..40 {
        enqueue(&worker, &written(&tenant(), Channel::Sms)).await;
    }
    let running = tokio::spawn(worker.clone().run(std::future::pending()));
    while receiver.arrived().len() < 39 {
        tokio::task::yield_now().await;
    }
    running.abort();
}
