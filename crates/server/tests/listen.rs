//! The listener over real sockets: limits, addresses, names of requests, panics, TLS, HTTP/2 and the orderly end.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use countersign::config::{Config, Server, Tls};
use countersign::listen::{Certificates, Peer, Settings, TlsError, current_request, serve};
use countersign::metrics::Metrics;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
    metrics: Arc<Metrics>,
}

/// Handlers that show what the listener handed on.
fn router() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/peer", get(|Extension(peer): Extension<Peer>| async move { peer.client.to_string() }))
        .route("/name", get(|| async { current_request().map(|id| id.to_string()).unwrap_or_default() }))
        .route("/length", post(|body: Bytes| async move { body.len().to_string() }))
        .route("/panic", get(panics))
        .route("/hang", get(std::future::pending::<()>))
}

async fn panics() -> &'static str {
    panic!("private text of a panic")
}

fn server() -> Server {
    let mut server = Config::dev("127.0.0.1:0".parse().unwrap(), None).server;
    server.limits.body = 1000;
    server
}

async fn start(router: Router, server: Server, tls: Option<Arc<Certificates>>) -> Running {
    let listener = TcpListener::bind(server.listen).await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Arc::new(Metrics::new(&["/", "/panic"]));
    let (stop, stopped) = oneshot::channel::<()>();
    let settings = Settings { server, tls, metrics: Some(Arc::clone(&metrics)) };
    let ended = tokio::spawn(serve(listener, router, settings, async {
        let _ = stopped.await;
    }));
    Running { address, stop, ended, metrics }
}

/// Sends `request` and reads until the other side closes.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn get_path(address: SocketAddr, path: &str, headers: &str) -> String {
    raw(address, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n")).await
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[tokio::test]
async fn each_request_has_a_name_of_ours() {
    let running = start(router(), server(), None).await;
    let mut names = std::collections::HashSet::new();
    for _ in 0..20 {
        let answer = get_path(running.address, "/name", "X-Request-Id: mine\r\n").await;
        let name = header(&answer, "x-request-id").unwrap().to_owned();
        assert_eq!(body(&answer), name, "the handler sees the same name");
        assert!(name.len() == 16 && name.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
        names.insert(name);
    }
    assert_eq!(names.len(), 20);
}

#[tokio::test]
async fn the_address_follows_the_trusted_proxy_rules() {
    let strict = start(router(), server(), None).await;
    let forwarded = "X-Forwarded-For: 1.1.1.1, 198.51.100.7\r\n";
    assert_eq!(body(&get_path(strict.address, "/peer", forwarded).await), "127.0.0.1");
    let mut trusting = server();
    trusting.trusted_proxies = countersign::address::TrustedProxies::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let trusting = start(router(), trusting, None).await;
    assert_eq!(body(&get_path(trusting.address, "/peer", forwarded).await), "198.51.100.7");
}

#[tokio::test]
async fn a_panic_is_answered_and_tells_nothing() {
    let running = start(router(), server(), None).await;
    let answer = get_path(running.address, "/panic", "").await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(!answer.contains("private text"), "{answer}");
    assert!(header(&answer, "x-request-id").is_some());
    assert!(get_path(running.address, "/", "").await.ends_with("hello"), "the server goes on");
    let text = running.metrics.encode().unwrap();
    assert!(text.contains(r#"countersign_requests_total{route="/panic",status="5xx"} 1"#), "{text}");
}

#[tokio::test]
async fn bodies_beyond_the_limit_are_refused_announced_or_not() {
    let running = start(router(), server(), None).await;
    let post = |head: &str, body: &str| {
        let request = format!("POST /length HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}\r\n\r\n{body}");
        async move { raw(running.address, &request).await }
    };
    let fits = post("Content-Length: 1000", &"a".repeat(1000)).await;
    assert!(fits.starts_with("HTTP/1.1 200 ") && body(&fits) == "1000", "{fits}");
    let announced = post("Content-Length: 1001", "").await;
    assert!(announced.starts_with("HTTP/1.1 413 "), "{announced}");
    let chunk = format!("3e8\r\n{}\r\n1\r\na\r\n0\r\n\r\n", "a".repeat(1000));
    let chunked = post("Transfer-Encoding: chunked", &chunk).await;
    assert!(chunked.starts_with("HTTP/1.1 413 "), "{chunked}");
}

#[tokio::test]
async fn too_many_or_too_long_headers_are_refused() {
    let running = start(router(), server(), None).await;
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert!(get_path(running.address, "/", &many).await.starts_with("HTTP/1.1 431 "));
    let long = format!("X-Long: {}\r\n", "a".repeat(100_000));
    let answer = get_path(running.address, "/", &long).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert!(raw(running.address, "\x16\x03\x01 garbage\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered() {
    let mut server = server();
    server.timeouts.request = Duration::from_millis(50);
    let running = start(router(), server, None).await;
    let answer = get_path(running.address, "/hang", "").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    // A body that never comes is no different.
    let slow = "POST /length HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 10\r\n\r\nabc";
    assert!(raw(running.address, slow).await.starts_with("HTTP/1.1 503 "));
}

#[tokio::test]
async fn headers_that_never_end_close_the_connection() {
    let mut server = server();
    server.timeouts.header = Duration::from_millis(50);
    let running = start(router(), server, None).await;
    // Returns only because the server closes.
    let answer = raw(running.address, "GET / HTTP/1.1\r\nHost: local").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_for_a_place() {
    let mut server = server();
    server.max_connections = 1;
    let running = start(router(), server, None).await;
    let mut first = TcpStream::connect(running.address).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut seen = [0; 12];
    first.read_exact(&mut seen).await.unwrap();
    assert_eq!(&seen, b"HTTP/1.1 200");
    // The second is answered, but not before the first has gone.
    let mut second = tokio::spawn(get_path_owned(running.address));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut second).await.is_err());
    drop(first);
    assert!(second.await.unwrap().ends_with("hello"));
}

async fn get_path_owned(address: SocketAddr) -> String {
    get_path(address, "/", "").await
}

#[tokio::test]
async fn http_2_is_spoken_without_tls_too() {
    let running = start(router(), server(), None).await;
    let client = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
    let answer = client.get(format!("http://{}/", running.address)).send().await.unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    assert!(answer.headers().contains_key("x-request-id"));
    assert_eq!(answer.text().await.unwrap(), "hello");
}

#[tokio::test]
async fn a_stop_lets_requests_under_way_finish_and_accepts_no_more() {
    let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (enters, waits) = (Arc::clone(&entered), Arc::clone(&go));
    let handler = move || {
        let (enters, waits) = (Arc::clone(&enters), Arc::clone(&waits));
        async move {
            enters.notify_one();
            waits.notified().await;
            "done"
        }
    };
    let running = start(Router::new().route("/", get(handler)), server(), None).await;
    // An idle connection must not hold up the end.
    let _idle = TcpStream::connect(running.address).await.unwrap();
    let under_way = tokio::spawn(get_path_owned(running.address));
    entered.notified().await;
    running.stop.send(()).unwrap();
    while TcpStream::connect(running.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!under_way.is_finished() && !running.ended.is_finished());
    go.notify_one();
    assert!(under_way.await.unwrap().ends_with("done"));
    running.ended.await.unwrap();
}

#[tokio::test]
async fn a_stop_cuts_what_does_not_end() {
    let mut server = server();
    server.timeouts.shutdown = Duration::from_millis(50);
    let entered = Arc::new(Notify::new());
    let enters = Arc::clone(&entered);
    let hang = move || {
        enters.notify_one();
        std::future::pending::<()>()
    };
    let running = start(Router::new().route("/", get(hang)), server, None).await;
    let hanging = tokio::spawn(get_path_owned(running.address));
    entered.notified().await;
    running.stop.send(()).unwrap();
    running.ended.await.unwrap();
    assert!(!hanging.is_finished() || !hanging.await.unwrap().contains("200"));
}

fn fixture(name: &str) -> Tls {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
    Tls { cert: dir.join(format!("{name}.cert.pem")), key: dir.join(format!("{name}.key.pem")) }
}

/// Connects trusting exactly one certificate; the protocol that was agreed on.
async fn shake_hands(address: SocketAddr, trusted: &str, alpn: &[&[u8]]) -> std::io::Result<Option<Vec<u8>>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(fixture(trusted).cert).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let socket = TcpStream::connect(address).await?;
    let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), socket).await?;
    let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    if agreed.as_deref() != Some(b"h2") {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        assert!(answer.ends_with("hello"), "{answer}");
    }
    Ok(agreed)
}

#[tokio::test]
async fn tls_agrees_on_the_protocol_and_its_certificate_is_exchanged_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let files = Tls { cert: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
    let install = |name: &str| {
        std::fs::copy(fixture(name).cert, &files.cert).unwrap();
        std::fs::copy(fixture(name).key, &files.key).unwrap();
    };
    install("first");
    let certificates = Certificates::load(&files).unwrap();
    let running = start(router(), server(), Some(Arc::clone(&certificates))).await;
    assert_eq!(
        shake_hands(running.address, "first", &[b"h2", b"http/1.1"]).await.unwrap().as_deref(),
        Some(&b"h2"[..])
    );
    assert_eq!(shake_hands(running.address, "first", &[b"http/1.1"]).await.unwrap().as_deref(), Some(&b"http/1.1"[..]));
    assert!(shake_hands(running.address, "second", &[]).await.is_err());

    assert!(!certificates.reload_if_changed().unwrap());
    // A half-written pair changes nothing.
    std::fs::copy(fixture("second").cert, &files.cert).unwrap();
    assert!(matches!(certificates.reload(), Err(TlsError::Unfit { .. })));
    shake_hands(running.address, "first", &[]).await.unwrap();

    install("second");
    certificates.reload().unwrap();
    shake_hands(running.address, "second", &[]).await.unwrap();
    assert!(shake_hands(running.address, "first", &[]).await.is_err());
}

#[tokio::test]
async fn a_change_of_the_files_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let files = Tls { cert: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
    std::fs::copy(fixture("first").cert, &files.cert).unwrap();
    std::fs::copy(fixture("first").key, &files.key).unwrap();
    let certificates = Certificates::load(&files).unwrap();
    assert!(!certificates.reload_if_changed().unwrap());
    // The same chain twice in the file: another length, still valid.
    let chain = std::fs::read_to_string(&files.cert).unwrap();
    std::fs::write(&files.cert, format!("{chain}{chain}")).unwrap();
    assert!(certificates.reload_if_changed().unwrap());
    assert!(!certificates.reload_if_changed().unwrap());
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_cut() {
    let mut server = server();
    server.timeouts.handshake = Duration::from_millis(50);
    let running = start(router(), server, Some(Certificates::load(&fixture("first")).unwrap())).await;
    // Returns only because the server closes.
    assert_eq!(raw(running.address, "").await, "");
    // Plain HTTP at a TLS port: an alert, and no answer.
    assert!(!get_path(running.address, "/", "").await.contains("hello"));
}

#[test]
fn unusable_certificates_are_named() {
    let first = fixture("first");
    let missing = Tls { cert: "/nowhere.pem".into(), ..first.clone() };
    assert!(
        matches!(Certificates::load(&missing), Err(TlsError::Pem { path, .. }) if path == Path::new("/nowhere.pem"))
    );
    let crossed = Tls { key: fixture("second").key, ..first.clone() };
    assert!(matches!(Certificates::load(&crossed), Err(TlsError::Unfit { .. })));
    let keyless = Tls { cert: first.key.clone(), ..first };
    assert!(matches!(Certificates::load(&keyless), Err(TlsError::Empty { .. })));
}

/// A hello of a client with this newest version and these suites, as RFC 5246 §7.4.1.2 writes it.
fn hello(version: u16, suites: &[u16]) -> Vec<u8> {
    fn sized(bytes: &[u8]) -> Vec<u8> {
        let mut text = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        text.extend_from_slice(bytes);
        text
    }
    let extension = |kind: u16, bytes: &[u8]| [kind.to_be_bytes().to_vec(), sized(bytes)].concat();
    let list = |values: &[u16]| sized(&values.iter().flat_map(|value| value.to_be_bytes()).collect::<Vec<_>>());
    let extensions = [
        extension(10, &list(&[0x0017, 0x001d])),
        extension(11, &[1, 0]),
        extension(13, &list(&[0x0403, 0x0804, 0x0401])),
        extension(23, &[]),
    ]
    .concat();
    let mut body = version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend(list(suites));
    body.extend([1, 0]);
    body.extend(sized(&extensions));
    let mut record = vec![22, 3, 1];
    let mut message = vec![1, 0];
    message.extend(sized(&body));
    record.extend(sized(&message));
    record
}

/// The first record that answers a hello: its kind and its last byte.
async fn answer_to(address: SocketAddr, hello: Vec<u8>) -> (u8, u8) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(&hello).await.unwrap();
    let mut head = [0; 5];
    socket.read_exact(&mut head).await.unwrap();
    let mut rest = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    socket.read_exact(&mut rest).await.unwrap();
    (head[0], *rest.last().unwrap())
}

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;

#[tokio::test]
async fn t2_t4_old_versions_and_weak_suites_are_refused_by_an_alert() {
    let certificates = Certificates::load(&fixture("first")).unwrap();
    let running = start(router(), server(), Some(certificates)).await;
    // ECDHE with ECDSA and RSA, AES-GCM and ChaCha20: what BCP 195 recommends.
    let good = [0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9];
    assert_eq!(answer_to(running.address, hello(0x0303, &good)).await.0, HANDSHAKE, "the hello itself is sound");
    for version in [0x0301, 0x0302] {
        assert_eq!(answer_to(running.address, hello(version, &good)).await, (ALERT, PROTOCOL_VERSION));
    }
    // RSA key exchange, CBC, RC4, 3DES, DHE with CBC: one by one, and all together.
    let weak = [0x002f, 0x009c, 0xc013, 0xc009, 0x0005, 0x000a, 0x0033];
    for suite in weak {
        assert_eq!(
            answer_to(running.address, hello(0x0303, &[suite])).await,
            (ALERT, HANDSHAKE_FAILURE),
            "{suite:#06x}"
        );
    }
    assert_eq!(answer_to(running.address, hello(0x0303, &weak)).await, (ALERT, HANDSHAKE_FAILURE));
}

#[tokio::test]
async fn t3_the_newest_version_is_preferred() {
    let certificates = Certificates::load(&fixture("first")).unwrap();
    let running = start(router(), server(), Some(certificates)).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(fixture("first").cert).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let socket = TcpStream::connect(running.address).await.unwrap();
    let stream = connector.connect(ServerName::try_from("localhost").unwrap(), socket).await.unwrap();
    assert_eq!(stream.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
}
