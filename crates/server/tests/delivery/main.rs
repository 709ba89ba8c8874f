//! Messages on their way: written, sealed, kept until they are delivered, and delivered by SMTP.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod http;
mod sink;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use countersign::config::MailTls;
use countersign::delivery::{
    Channel, CodeText, Delivery, DevOutbox, Outgoing, Smtp, SmtpConfig, SmtpError, TEXT_NAMES, TextError, check_text,
};
use countersign::jobs::outbox::{Pass, Worker};
use countersign::keys::MasterKey;
use countersign::secret::Secret;
use countersign::world::World;
use protocol::records::{Managed, Tenant, TenantId, TenantSettings};
use serde_json::json;
use sink::{Answer, Sink};
use store::{Change, Store};

const NOW: i64 = 1_777_608_000;
const LIFE: i64 = 300;

fn tenant() -> Tenant {
    Tenant {
        id: "demo".into(),
        name: "Example".to_owned(),
        urls: vec!["https://login.example.test".to_owned()],
        settings: TenantSettings {
            mail_from: "Sign-in <no-reply@example.test>".to_owned(),
            ..TenantSettings::default()
        },
        managed: Managed::default(),
    }
}

fn written(tenant: &Tenant, channel: Channel) -> Outgoing {
    let to = if channel == Channel::Email { "scott@acme.org" } else { "+15551234567" };
    let code = Secret::from("730164");
    CodeText { tenant, channel, to, correlation: "4821", code: &code, life: LIFE }.write().unwrap()
}

fn config(port: u16) -> SmtpConfig {
    SmtpConfig {
        host: "127.0.0.1".to_owned(),
        port,
        tls: MailTls::None,
        from: "server@example.test".to_owned(),
        credentials_file: None,
        ca_file: None,
        timeout: Duration::from_secs(10),
        connections: 2,
    }
}

fn by_smtp(config: &SmtpConfig) -> Delivery {
    Delivery::smtp(Arc::new(MasterKey::generate()), Smtp::open(config).unwrap())
}

fn worker(delivery: Delivery) -> Worker {
    Worker { store: Store::temporary().unwrap(), delivery: Arc::new(delivery), world: World::fake(NOW), notices: None }
}

async fn enqueue(worker: &Worker, message: &Outgoing) {
    let mail = worker.delivery.seal(&worker.world, message, worker.world.now() + LIFE);
    worker.store.commit(&TenantId::from("demo"), "test", vec![Change::Enqueue(mail)]).await.unwrap();
}

#[tokio::test]
async fn a_mail_arrives_with_its_code_in_subject_text_and_html() {
    let sink = Sink::start(&[Answer::Take]).await;
    let worker = worker(by_smtp(&config(sink.port)));
    enqueue(&worker, &written(&tenant(), Channel::Email)).await;
    assert_eq!(worker.pass().await.unwrap(), Pass { delivered: 1, ..Pass::default() });
    let [mail] = sink.mails().try_into().unwrap();
    // Lines that were folded for the journey (RFC 2045 §6.7).
    let mail: String = mail;
    let mail = mail.replace("=\n", "");
    assert!(mail.contains("Subject: 4821-730164 is your code for Example\n"), "{mail}");
    assert!(
        mail.contains("From: \"Sign-in\" <no-reply@example.test>\n")
            || mail.contains("From: Sign-in <no-reply@example.test>\n"),
        "{mail}"
    );
    assert!(mail.contains("To: scott@acme.org\n") && mail.contains("Auto-Submitted: auto-generated\n"), "{mail}");
    assert!(mail.contains("    4821-730164\n") && mail.contains("4821-<strong>730164</strong>"), "{mail}");
    assert!(mail.contains("Date: Fri, 01 May 2026 04:00:00 +0000\n"), "{mail}");
    assert!(mail.contains("expires in 5 minutes"), "{mail}");
}

#[tokio::test]
async fn a_delivered_mail_is_not_sent_again() {
    let sink = Sink::start(&[Answer::Take]).await;
    let worker = worker(by_smtp(&config(sink.port)));
    enqueue(&worker, &written(&tenant(), Channel::Email)).await;
    worker.pass().await.unwrap();
    for _ in 0..3 {
        worker.world.advance(100);
        assert_eq!(worker.pass().await.unwrap(), Pass::default());
    }
    assert_eq!(sink.mails().len(), 1);
}

#[tokio::test]
async fn a_server_that_refuses_the_connection_is_tried_again() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    drop(taken);
    let worker = worker(by_smtp(&config(port)));
    enqueue(&worker, &written(&tenant(), Channel::Email)).await;
    let first = worker.pass().await.unwrap();
    let due = first.next.unwrap();
    assert_eq!((first.postponed, first.delivered), (1, 0));
    assert!((NOW + 2..=NOW + 3).contains(&due), "{due}");
    // Not before it is due.
    assert_eq!(worker.pass().await.unwrap(), Pass::default());
    let sink = Sink::on(tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap(), &[Answer::Take]);
    worker.world.advance(due - NOW);
    assert_eq!(worker.pass().await.unwrap().delivered, 1);
    assert_eq!(sink.mails().len(), 1);
}

#[tokio::test]
async fn pauses_double_and_an_expired_mail_is_dropped() {
    let sink = Sink::start(&[Answer::Refuse("451 later")]).await;
    let worker = worker(by_smtp(&config(sink.port)));
    enqueue(&worker, &written(&tenant(), Channel::Email)).await;
    let mut pauses = Vec::new();
    loop {
        let pass = worker.pass().await.unwrap();
        let Some(due) = pass.next else {
            assert_eq!((pass.dropped, pass.postponed), (1, 0));
            break;
        };
        pauses.push(due - worker.world.now());
        worker.world.advance(due - worker.world.now());
    }
    for (index, pause) in pauses.iter().enumerate() {
        let base = 2_i64 << index;
        assert!((base..=base + base / 2).contains(pause), "{pauses:?}");
    }
    assert!(pauses.len() >= 5 && worker.world.now() < NOW + LIFE, "{pauses:?}");
    worker.world.advance(1000);
    assert_eq!(worker.pass().await.unwrap(), Pass::default());
    assert!(sink.mails().is_empty());
}

#[tokio::test]
async fn a_transient_refusal_is_tried_again_and_a_final_one_is_not() {
    let sink = Sink::start(&[Answer::Refuse("450 busy"), Answer::Take]).await;
    let transient = worker(by_smtp(&config(sink.port)));
    enqueue(&transient, &written(&tenant(), Channel::Email)).await;
    let due = transient.pass().await.unwrap().next.unwrap();
    transient.world.advance(due - NOW);
    assert_eq!(transient.pass().await.unwrap().delivered, 1);
    assert_eq!(sink.mails().len(), 1);

    let sink = Sink::start(&[Answer::Refuse("550 no such person"), Answer::Take]).await;
    let permanent = worker(by_smtp(&config(sink.port)));
    enqueue(&permanent, &written(&tenant(), Channel::Email)).await;
    assert_eq!(permanent.pass().await.unwrap(), Pass { dropped: 1, ..Pass::default() });
    permanent.world.advance(60);
    assert_eq!(permanent.pass().await.unwrap(), Pass::default());
    assert!(sink.mails().is_empty());
}

#[tokio::test]
async fn what_a_dead_worker_had_taken_comes_back_after_its_lease() {
    let sink = Sink::start(&[Answer::Take]).await;
    let worker = worker(by_smtp(&config(sink.port)));
    enqueue(&worker, &written(&tenant(), Channel::Email)).await;
    // One that takes the mail and is never heard of again.
    assert_eq!(worker.store.claim_outbox("email", NOW, 90, 16).await.unwrap().len(), 1);
    worker.world.advance(89);
    assert_eq!(worker.pass().await.unwrap(), Pass::default());
    worker.world.advance(1);
    assert_eq!(worker.pass().await.unwrap().delivered, 1);
    assert_eq!(sink.mails().len(), 1);
}

#[tokio::test]
async fn two_nodes_at_once_deliver_each_mail_once() {
    let sink = Sink::start(&[Answer::Take]).await;
    let node = || {
        let smtp = Smtp::open(&config(sink.port)).unwrap();
        Arc::new(Delivery::smtp(Arc::new(MasterKey::new([7; 32])), smtp))
    };
    // Two nodes: one store and one master key, and nothing else in common.
    let one = Worker { store: Store::temporary().unwrap(), delivery: node(), world: World::fake(NOW), notices: None };
    let two = Worker { delivery: node(), ..one.clone() };
    for _ in 0..40 {
        enqueue(&one, &written(&tenant(), Channel::Email)).await;
    }
    let (a, b) = tokio::join!(one.pass(), two.pass());
    assert_eq!(a.unwrap().delivered + b.unwrap().delivered, 40);
    assert_eq!(sink.mails().len(), 40);
}

#[tokio::test]
async fn the_loop_delivers_when_woken_and_ends_when_told() {
    let sink = Sink::start(&[Answer::Take]).await;
    let worker = worker(by_smtp(&config(sink.port)));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(worker.clone().run(async move {
        let _ = stopped.await;
    }));
    enqueue(&worker, &written(&tenant(), Channel::Email)).await;
    worker.delivery.wake();
    sink.arrival().await;
    stop.send(()).unwrap();
    running.await.unwrap();
    assert_eq!(sink.mails().len(), 1);
    assert_eq!(worker.pass().await.unwrap(), Pass::default());
}

#[tokio::test]
async fn credentials_come_from_a_file_and_a_sender_of_the_server_stands_in() {
    let sink = Sink::start(&[Answer::Take]).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("smtp");
    std::fs::write(&path, "mailer\npass:word\n").unwrap();
    let worker = worker(by_smtp(&SmtpConfig { credentials_file: Some(path.clone()), ..config(sink.port) }));
    let mut unnamed = tenant();
    unnamed.settings.mail_from = TenantSettings::default().mail_from;
    enqueue(&worker, &written(&unnamed, Channel::Email)).await;
    assert_eq!(worker.pass().await.unwrap().delivered, 1);
    // base64 of NUL mailer NUL pass:word
    assert_eq!(sink.logins(), ["AUTH PLAIN AG1haWxlcgBwYXNzOndvcmQ="]);
    assert!(sink.mails()[0].contains("From: server@example.test\n"));
    for bad in ["", "mailer", "mailer\n", "\npassword\n"] {
        std::fs::write(&path, bad).unwrap();
        let config = SmtpConfig { credentials_file: Some(path.clone()), ..config(1) };
        assert!(matches!(Smtp::open(&config), Err(SmtpError::Credentials(_))), "{bad:?}");
    }
    let missing = SmtpConfig { credentials_file: Some(dir.path().join("missing")), ..config(1) };
    assert!(matches!(Smtp::open(&missing), Err(SmtpError::Unreadable { .. })));
}

#[tokio::test]
async fn a_server_without_tls_is_told_nothing_where_tls_is_demanded() {
    let sink = Sink::start(&[Answer::Take]).await;
    let worker = worker(by_smtp(&SmtpConfig { tls: MailTls::StartTls, ..config(sink.port) }));
    enqueue(&worker, &written(&tenant(), Channel::Email)).await;
    let pass = worker.pass().await.unwrap();
    assert_eq!((pass.delivered, pass.postponed), (0, 1));
    assert!(sink.mails().is_empty() && sink.logins().is_empty());
}

#[tokio::test]
async fn what_cannot_leave_or_be_opened_is_dropped() {
    let sink = Sink::start(&[Answer::Take]).await;
    let smtp = worker(by_smtp(&config(sink.port)));
    assert!(smtp.delivery.supports(Channel::Email) && !smtp.delivery.supports(Channel::Sms));
    enqueue(&smtp, &written(&tenant(), Channel::Sms)).await;
    assert_eq!(smtp.pass().await.unwrap(), Pass { dropped: 1, ..Pass::default() });
    let nowhere = Delivery::nowhere(Arc::new(MasterKey::generate()));
    assert!([Channel::Email, Channel::Sms, Channel::Voice].iter().all(|channel| !nowhere.supports(*channel)));
    // Sealed by another installation.
    let mail = nowhere.seal(&smtp.world, &written(&tenant(), Channel::Email), NOW + LIFE);
    smtp.store.commit(&TenantId::from("demo"), "test", vec![Change::Enqueue(mail)]).await.unwrap();
    assert_eq!(smtp.pass().await.unwrap(), Pass { dropped: 1, ..Pass::default() });
    assert!(sink.mails().is_empty());
}

#[tokio::test]
async fn in_development_everything_is_kept_for_a_look() {
    let worker = worker(Delivery::dev(Arc::new(MasterKey::generate()), DevOutbox::quiet()));
    for channel in [Channel::Email, Channel::Sms] {
        enqueue(&worker, &written(&tenant(), channel)).await;
        worker.pass().await.unwrap();
        worker.world.advance(1);
    }
    let outbox = worker.delivery.dev_outbox().unwrap();
    let all = outbox.list(None);
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert_eq!(
        outbox.list(Some("+15551234567")),
        json!([{
            "channel": "sms", "to": "+15551234567", "code": "730164",
            "text": "4821-730164 is your code for Example. It expires in 5 minutes. Give it to nobody.",
            "time": "2026-05-01T04:00:01.000Z",
        }])
    );
    assert_eq!(all[0]["channel"], "email");
    assert_eq!(outbox.list(Some("SCOTT@acme.org")).as_array().unwrap().len(), 1);
    assert_eq!(outbox.list(Some("nobody@acme.org")), json!([]));
}

#[test]
fn nothing_sealed_or_printed_shows_the_code() {
    let delivery = Delivery::nowhere(Arc::new(MasterKey::generate()));
    let message = written(&tenant(), Channel::Email);
    let mail = delivery.seal(&World::fake(NOW), &message, NOW + LIFE);
    for secret in [&b"730164"[..], b"scott@acme.org", b"4821"] {
        assert!(!mail.sealed.windows(secret.len()).any(|window| window == secret));
    }
    assert!(!format!("{message:?}").contains("730164"));
    let opened = delivery.open(&mail).unwrap();
    assert_eq!(opened.text.expose(), message.text.expose());
    assert_eq!(opened.code.unwrap().expose(), "730164");
    let mut moved = mail.clone();
    moved.id = "another".to_owned();
    assert!(delivery.open(&moved).is_none());
}

#[test]
fn a_tenants_own_texts_are_used_and_a_slip_in_them_stops_nobody() {
    let mut own = tenant();
    own.settings.language = "de".to_owned();
    let texts = [
        ("code.sms.txt", "Ihr Code: {{ correlation }}-{{ code }}"),
        ("code.email.subject.txt", "Code {{ code }}\r\nBcc: all@example.test"),
        ("code.email.txt", "{{ nothing_like_it }}"),
        ("code.email.html", "<p>{{ service }}</p>"),
    ];
    let texts: BTreeMap<String, String> = texts.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    own.settings.texts = [("de".to_owned(), texts)].into();
    own.name = "Acme <b>& Co".to_owned();
    assert_eq!(written(&own, Channel::Sms).text.expose(), "Ihr Code: 4821-730164");
    let mail = written(&own, Channel::Email);
    assert_eq!(mail.subject, "Code 730164  Bcc: all@example.test");
    assert!(mail.text.expose().starts_with("Your code for Acme <b>& Co is"));
    assert_eq!(mail.html.unwrap().expose(), "<p>Acme &lt;b&gt;&amp; Co</p>");
    // The built-in voice text spells the code.
    assert!(written(&own, Channel::Voice).text.expose().contains("7, 3, 0, 1, 6, 4"));
}

#[test]
fn texts_are_checked_before_they_are_used() {
    for name in TEXT_NAMES {
        let all = match name.split('.').next().unwrap() {
            "notice" => "{{ service }} {{ account }} {{ what }} {{ factor }} {{ detail }} {{ at }} {{ link }}",
            "link" => "{{ service }} {{ account }} {{ purpose }} {{ token }} {{ minutes }} {{ link }}",
            _ => "{{ service }} {{ correlation }} {{ code }} {{ life }}",
        };
        check_text(name, all).unwrap();
    }
    let endless = "{% for a in code %}{% for b in code %}{% for c in code %}{% for d in code %}{% for e in code %}\
                   {% for f in code %}x{% endfor %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}";
    for bad in ["{{ password }}", "{{ code", "{% include 'x' %}", "{{ code | nothing }}", endless] {
        assert!(matches!(check_text("code.sms.txt", bad), Err(TextError::Template { .. })), "{bad}");
    }
    assert!(matches!(check_text("code.fax.txt", ""), Err(TextError::Unknown(_))));
    assert!(matches!(check_text("code.sms.txt", &"x".repeat(40_000)), Err(TextError::TooLong(_))));
}

/// Against a mail server of another make, whose received mails lie in `DIR/new`.
#[tokio::test]
async fn a_foreign_mail_server_takes_and_keeps_the_mail() {
    let (Ok(address), Ok(dir)) = (std::env::var("COUNTERSIGN_TEST_SMTP"), std::env::var("COUNTERSIGN_TEST_SMTP_DIR"))
    else {
        assert!(
            std::env::var_os("COUNTERSIGN_REQUIRE_SMTP").is_none_or(|required| required != "1"),
            "`COUNTERSIGN_TEST_SMTP` and `COUNTERSIGN_TEST_SMTP_DIR` must name a mail server"
        );
        return;
    };
    let (host, port) = address.rsplit_once(':').expect("`COUNTERSIGN_TEST_SMTP` is host:port");
    let config = SmtpConfig { host: host.to_owned(), ..config(port.parse().unwrap()) };
    let worker = worker(by_smtp(&config));
    // A correlation nobody else uses finds this test's mail among others.
    let correlation = worker.world.token(12);
    let (tenant, code) = (tenant(), Secret::from("730164"));
    let text = CodeText {
        tenant: &tenant,
        channel: Channel::Email,
        to: "scott@acme.org",
        correlation: &correlation,
        code: &code,
        life: LIFE,
    };
    enqueue(&worker, &text.write().unwrap()).await;
    assert_eq!(worker.pass().await.unwrap(), Pass { delivered: 1, ..Pass::default() });
    let subject = format!("Subject: {correlation}-730164 is your code for Example");
    let arrived = received(&Path::new(&dir).join("new"));
    assert_eq!(arrived.iter().filter(|mail| mail.contains(&subject)).count(), 1, "{} mails", arrived.len());
}

fn received(dir: &Path) -> Vec<String> {
    let files = std::fs::read_dir(dir).unwrap();
    files
        .map(|file| String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap()).replace("\r\n", "\n"))
        .collect()
}
