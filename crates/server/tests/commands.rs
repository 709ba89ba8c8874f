//! The commands of the binary, as somebody at a terminal has them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_countersign");

fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).env_remove("COUNTERSIGN_CONFIG").output().unwrap()
}

fn succeed(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn fail(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

/// An installation in a directory of its own: a configuration, a master key, no tenant yet.
struct Installation {
    dir: TempDir,
}

impl Installation {
    fn new(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        succeed(&["keys", "create-master", dir.path().join("master.key").to_str().unwrap()]);
        let config = format!(
            "[database]\nurl = \"sqlite:data.sqlite3\"\n[keys]\nmaster_key_file = \"master.key\"\n\
             [hashing]\nm = 7168\nt = 1\n{more}"
        );
        std::fs::write(dir.path().join("server.toml"), config).unwrap();
        Self { dir }
    }

    fn config(&self) -> String {
        self.dir.path().join("server.toml").to_str().unwrap().to_owned()
    }
}

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/tenant.toml")
}

#[test]
fn help_is_there_for_every_command() {
    for command in
        [&["--help"][..], &["dev", "--help"], &["serve", "--help"], &["apply", "--help"], &["keys", "rotate", "--help"]]
    {
        assert!(succeed(command).contains("countersign"), "{command:?}");
    }
    assert!(succeed(&["--version"]).starts_with("countersign "));
}

#[test]
fn a_configuration_is_checked_with_every_file_it_names() {
    let installation = Installation::new("");
    let config = installation.config();
    assert!(succeed(&["config", "check", "--config", &config]).contains("no mistakes"));

    let broken = Installation::new("[server]\nlisten = \"nowhere\"\nthreds = 2\n");
    let told = fail(&["config", "check", "--config", &broken.config()]);
    assert!(told.contains("server.toml:9:1: `server.listen`"), "{told}");
    assert!(
        told.contains("server.toml:10:1: `server.threds`") && told.contains("did you mean `server.threads`"),
        "{told}"
    );

    std::fs::remove_file(installation.dir.path().join("master.key")).unwrap();
    assert!(fail(&["config", "check", "--config", &config]).contains("master.key"));
}

#[test]
fn a_mistake_was_told_twice_on_one_line() {
    let said = fail(&["config", "check", "--config", "no/such/file.toml"]);
    assert_eq!(said.matches("the file cannot be read").count(), 1, "{said}");
}

#[test]
fn a_tenant_file_is_applied_once_and_then_changes_nothing() {
    let installation = Installation::new("");
    let config = installation.config();
    let file = demo();
    let apply = ["apply", file.to_str().unwrap(), "--config", &config];
    let dry = succeed(&[&apply[..], &["--dry-run"]].concat());
    assert!(dry.ends_with("this was a dry run\n"), "{dry}");
    assert!(succeed(&apply).ends_with("applied\n"), "the dry run changed nothing");
    assert_eq!(succeed(&apply), "nothing to change\n");
}

#[test]
fn keys_are_listed_and_replaced() {
    let installation = Installation::new("");
    let config = installation.config();
    succeed(&["apply", demo().to_str().unwrap(), "--config", &config]);
    let before = succeed(&["keys", "list", "--config", &config]);
    let tenant = before.lines().next().unwrap().to_owned();
    assert!(before.lines().any(|line| line.contains("RS256") && line.contains(" server ")), "{before}");
    assert!(before.contains("signs since"), "{before}");

    let rotated =
        succeed(&["keys", "rotate", "--config", &config, "--tenant", &tenant, "--alg", "rs256", "--ahead", "60"]);
    assert!(rotated.contains("published, signs from") && rotated.contains("signs until"), "{rotated}");
    let after = succeed(&["keys", "list", "--config", &config, "--tenant", &tenant]);
    assert_eq!(after.lines().count(), before.lines().count() + 1, "{after}");

    let stolen =
        succeed(&["keys", "rotate", "--config", &config, "--tenant", &tenant, "--alg", "RS256", "--compromised"]);
    assert_eq!(stolen.matches("withdrawn since").count(), 2, "{stolen}");
    assert!(
        fail(&["keys", "rotate", "--config", &config, "--tenant", "nobody"]).contains("there is no tenant `nobody`")
    );
    assert!(fail(&["explain", "no-such-reference", "--config", &config]).contains("no decision is kept"));
}

#[test]
fn a_master_key_is_never_overwritten() {
    let installation = Installation::new("");
    let path = installation.dir.path().join("master.key");
    let before = std::fs::read(&path).unwrap();
    fail(&["keys", "create-master", path.to_str().unwrap()]);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// A running server, ended with the test whatever happens.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A form posted to the demo tenant, and the JSON that is answered.
fn post(address: &str, path: &str, body: &str) -> serde_json::Value {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {DEMO_HOST}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, json) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(json).unwrap_or_else(|_| panic!("{answer}"))
}

const DEMO_HOST: &str = "127.0.0.1:8400";
const LISTEN: &str = "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 1\n";

/// Starts a server; with it its log and its address.
fn serve(installation: &Installation) -> (Server, BufReader<std::process::ChildStderr>, String) {
    let mut command = Command::new(BINARY);
    command.args(["serve", "--config", &installation.config()]).stderr(Stdio::piped());
    let mut server = Server(command.spawn().unwrap());
    let mut log = BufReader::new(server.0.stderr.take().unwrap());
    loop {
        let mut line = String::new();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "it ended before it served");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        if line["message"] == "serving" {
            let address = line["listen"].as_str().unwrap().to_owned();
            return (server, log, address);
        }
    }
}

#[test]
fn a_backup_of_a_server_in_use_is_restored_without_what_may_have_been_spent() {
    const CLIENT: &str = "client_id=administration&client_secret=administration-demo-secret";
    let first = Installation::new(LISTEN);
    succeed(&["apply", demo().to_str().unwrap(), "--config", &first.config()]);
    let backup = first.dir.path().join("backup.sqlite3");
    let backup = backup.to_str().unwrap();
    let token = {
        let (_server, _log, address) = serve(&first);
        let form = format!("{CLIENT}&grant_type=client_credentials");
        let token = post(&address, "/oauth2/token", &form)["access_token"].as_str().unwrap().to_owned();
        succeed(&["backup", backup, "--config", &first.config()]);
        assert_eq!(post(&address, "/oauth2/introspect", &format!("{CLIENT}&token={token}"))["active"], true);
        token
    };
    assert!(fail(&["backup", backup, "--config", &first.config()]).contains("is there already"));
    assert!(fail(&["restore", backup, "--config", &first.config()]).contains("is there already"));

    let second = Installation::new(LISTEN);
    let nonsense = second.dir.path().join("nonsense");
    std::fs::write(&nonsense, "not a database").unwrap();
    let told = fail(&["restore", nonsense.to_str().unwrap(), "--config", &second.config()]);
    assert!(told.contains("is no backup of Countersign"), "{told}");
    // With another master key it is of no use, and says so; nothing is left that could be served.
    fail(&["restore", backup, "--config", &second.config()]);
    let third = second;
    std::fs::copy(first.dir.path().join("master.key"), third.dir.path().join("master.key")).unwrap();
    succeed(&["restore", backup, "--config", &third.config()]);
    // Of what a client was given in its own name, signed, nothing else tells that it counts no more.
    let clients = clients_of(&third);
    assert!(clients.len() > 3 && clients.iter().all(|client| client.not_before > 0), "{clients:?}");
    let (_server, _log, address) = serve(&third);
    assert_eq!(post(&address, "/oauth2/introspect", &format!("{CLIENT}&token={token}"))["active"], false);
    let again = post(&address, "/oauth2/token", &format!("{CLIENT}&grant_type=client_credentials"));
    assert!(again["access_token"].is_string(), "what was configured is there: {again}");
    let trail = succeed(&["audit", "export", "--config", &third.config()]);
    assert!(trail.contains("database.restored") && trail.contains("client.changed"), "{trail}");
    succeed(&["audit", "verify", "--config", &third.config()]);
}

fn clients_of(installation: &Installation) -> Vec<protocol::records::Client> {
    let path = installation.dir.path().join("data.sqlite3");
    assert!(path.exists(), "{}", path.display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = store::Store::open(&store::StoreConfig::Sqlite { path }).await.unwrap();
        let tenants = store.load_directory().await.unwrap().tenants;
        store.close().await;
        tenants.into_iter().flat_map(|tenant| tenant.clients).collect()
    })
}

/// A phone was forgotten while its factor stayed, so policy asked people for what they could not give; and recovery addresses went unsaid.
#[test]
fn a_restore_leaves_nobody_with_a_phone_that_is_gone_and_everybody_with_what_they_set_up() {
    const PERSON: &str = "6040003OH8";
    let installation = Installation::new(LISTEN);
    succeed(&["apply", demo().to_str().unwrap(), "--config", &installation.config()]);
    let tenant = protocol::records::TenantId::from("demo");
    let item = |kind: &'static str| {
        store::Change::PutItem(store::Item {
            kind,
            name: PERSON.to_owned(),
            owner: Some(PERSON.to_owned()),
            link: None,
            created: 0,
            expires: i64::MAX,
            body: "{}".to_owned(),
            version: 0,
        })
    };
    let enrolment = |kind: &str| {
        store::Change::PutEnrolment(protocol::records::Enrolment {
            id: kind.into(),
            user: PERSON.into(),
            kind: kind.to_owned(),
            enabled: true,
            validated: true,
            attributes: serde_json::json!({ "references": { "authenticatorId": PERSON } }),
            lookup: None,
            payload: Vec::new(),
            created: 0,
            updated: 0,
            attempted: None,
            version: 0,
        })
    };
    let kept = ["password", "preferred-factor", "recovery", "terms-accepted", "upstream-link"];
    let gone = ["device", "device-token", "device-code", "push-open", "session", "code", "bypass", "trusted-device"];
    let phone = ["push-presence", "push-fingerprint", "push-face"];
    let factors = ["totp", "sms-otp", "passkey"];
    let path = installation.dir.path().join("data.sqlite3");
    let (found, left) = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let config = store::StoreConfig::Sqlite { path };
        let open = store::Store::open(&config).await.unwrap();
        let mut changes: Vec<_> = kept.into_iter().chain(gone).map(item).collect();
        changes.extend(phone.into_iter().chain(factors).map(enrolment));
        open.commit(&tenant, "test", changes).await.unwrap();
        open.close().await;
        let told = succeed(&["restore", "--loaded", "--config", &installation.config()]);
        assert!(told.contains("phones that approve are set up anew"), "{told}");
        let open = store::Store::open(&config).await.unwrap();
        let mut found = Vec::new();
        for kind in kept.into_iter().chain(gone) {
            if open.item(&tenant, kind, PERSON).await.unwrap().is_some() {
                found.push(kind);
            }
        }
        let all = open.enrolments(&tenant, &PERSON.into()).await.unwrap();
        let left: Vec<String> = all.into_iter().map(|one| one.kind).collect();
        open.close().await;
        (found, left)
    });
    assert_eq!(found, kept);
    assert!(factors.iter().all(|kind| left.iter().any(|one| one == kind)), "{left:?}");
    assert!(!phone.iter().any(|kind| left.iter().any(|one| one == kind)), "{left:?}");
}

#[test]
fn a_server_serves_until_it_is_told_to_stop() {
    let installation = Installation::new(LISTEN);
    succeed(&["apply", demo().to_str().unwrap(), "--config", &installation.config()]);
    let (mut server, mut log, address) = serve(&installation);
    let answer = get(&address, "/nothing-here");
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("x-request-id"), "{answer}");
    assert!(get(&address, "/dev/outbox").starts_with("HTTP/1.1 404 "), "development only");
    signal(&server.0, "-HUP");
    assert!(get(&address, "/nothing-here").starts_with("HTTP/1.1 404 "), "a hangup ends nothing");
    signal(&server.0, "-TERM");
    assert!(server.0.wait().unwrap().success());
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(rest.contains(r#""message":"stopped""#), "{rest}");
}

#[test]
fn development_prints_requests_and_shows_what_was_sent() {
    let mut command = Command::new(BINARY);
    command.args(["dev", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = Server(command.spawn().unwrap());
    let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let base = first.rsplit(' ').next().unwrap().to_owned();
    let shown: Vec<_> = lines.map(Result::unwrap).take_while(|line| !line.starts_with("end with")).collect();
    assert!(shown.iter().any(|line| line.contains("curl")), "{shown:?}");
    assert!(shown.iter().any(|line| line.contains(&base)), "{shown:?}");
    let address = base.strip_prefix("http://").unwrap();
    let answer = get(address, "/dev/outbox?to=nobody@example.test");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("[]"), "{answer}");
    assert!(get(address, "/.well-known/openid-configuration").contains(&base));
    signal(&server.0, "-INT");
    assert!(server.0.wait().unwrap().success());
}

fn signal(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

/// Takes requests over TLS, or refuses them while it is down; tells what came and what was answered.
fn sink(down: std::sync::Arc<AtomicBool>) -> (u16, std::sync::mpsc::Receiver<(u16, String)>) {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let fixture = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name);
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(fixture("first.cert.pem")).unwrap()],
            PrivateKeyDer::from_pem_file(fixture("first.key.pem")).unwrap(),
        )
        .unwrap();
    let config = std::sync::Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, came) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(std::sync::Arc::clone(&config)).unwrap();
            let mut stream = BufReader::new(rustls::StreamOwned::new(connection, stream.unwrap()));
            let mut length = 0;
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).unwrap_or(0) <= 2 {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            if length == 0 || stream.read_exact(&mut body).is_err() {
                continue;
            }
            let status = if down.load(Ordering::SeqCst) { 503 } else { 204 };
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.get_mut().write_all(answer.as_bytes());
            if told.send((status, String::from_utf8(body).unwrap())).is_err() {
                return;
            }
        }
    });
    (port, came)
}

#[test]
fn what_a_killed_server_did_not_tell_a_webhook_the_next_one_does() {
    let down = std::sync::Arc::new(AtomicBool::new(true));
    let (port, came) = sink(std::sync::Arc::clone(&down));
    let next = || came.recv_timeout(std::time::Duration::from_secs(120)).unwrap();
    let ca = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls/first.cert.pem");
    let installation = Installation::new(&format!("{LISTEN}[outbound]\nallow = [\"localhost\"]\nca = {ca:?}\n"));
    let config = installation.config();
    let tenant = installation.dir.path().join("tenant.toml");
    let section = format!(
        "\n[tenant.audit]\nkeep_days = 365\n[[tenant.audit.webhooks]]\nid = \"siem\"\n\
         url = \"https://localhost:{port}/\"\nsecret = \"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5\"\n"
    );
    std::fs::write(&tenant, std::fs::read_to_string(demo()).unwrap() + &section).unwrap();
    succeed(&["apply", tenant.to_str().unwrap(), "--config", &config]);
    let refused = {
        let (_server, _log, _address) = serve(&installation);
        let (status, refused) = next();
        assert_eq!(status, 503);
        // What it was answered is on record; then it is killed without a word.
        let seen = (0..500).any(|_| {
            let told = succeed(&["audit", "webhooks", "--config", &config]);
            assert!(told.contains("`siem` was told everything up to seal 0 of 1"), "{told}");
            !told.contains("failures since: 0")
        });
        assert!(seen, "a failure was not counted");
        refused
    };
    down.store(false, Ordering::SeqCst);
    let (_server, _log, _address) = serve(&installation);
    let taken = std::iter::repeat_with(next).find(|(status, _)| *status == 204).unwrap().1;
    assert_eq!(taken, refused, "the same, from the beginning");
    assert!(taken.contains("tenant.changed") && !taken.contains("whsec_"), "{taken}");
    assert!(succeed(&["audit", "verify", "--config", &config]).contains("1 seals hold"));
}
