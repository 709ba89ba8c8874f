//! The orderly end, and what operators are told meanwhile.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::api::Api;
use crate::installation::Installation;

const FORM: &str = "grant_type=client_credentials&client_id=app&client_secret=app-secret";

/// Status and body of a `GET`.
fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

/// Begins a token request and comes back once the server waits for its body.
fn begin(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /oauth2/token HTTP/1.1\r\nHost: crash.example.test\r\nExpect: 100-continue\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        FORM.len()
    )
    .unwrap();
    let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut said = vec![0; go_on.len()];
    stream.read_exact(&mut said).unwrap();
    assert_eq!(said, go_on);
    stream
}

#[test]
fn a_server_that_stops_is_not_ready_and_answers_what_it_has_begun() {
    let installation = Installation::on_sqlite();
    let server = installation.start();
    assert_eq!(get(server.observed(), "/readyz").0, 200);
    let mut under_way = begin(server.address());
    server.terminate();
    // It stays reachable for who asks, and says that it wants no more work.
    while get(server.observed(), "/readyz").0 != 503 {}
    assert_eq!(get(server.observed(), "/healthz").0, 200, "it lives until it has ended");
    under_way.write_all(FORM.as_bytes()).unwrap();
    let mut answer = String::new();
    under_way.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("access_token"), "{answer}");
    assert!(server.ended().success());
}

#[test]
fn operators_are_told_of_requests_commits_and_grants() {
    let installation = Installation::on_sqlite();
    let server = installation.start();
    crate::runtime().block_on(async {
        let api = Api::new(server.address());
        api.mint().await.unwrap().ok();
        api.refresh("no such token").await.unwrap().spent();
    });
    let (status, text) = get(server.observed(), "/metrics");
    assert_eq!(status, 200);
    for line in [
        r#"countersign_requests_total{route="/token",status="2xx"} 1"#,
        r#"countersign_requests_total{route="/token",status="4xx"} 1"#,
        r#"countersign_token_requests_total{grant="client_credentials"} 1"#,
        r#"countersign_token_requests_total{grant="refused"} 1"#,
        r#"countersign_commits_total{name="client credentials",outcome="done"} 1"#,
        "countersign_commit_seconds_count 1",
        "countersign_hashing_waiting 0",
        "countersign_outbox_waiting 0",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let mut told: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    // Nothing was sent, so nothing is told of it.
    told.push("countersign_deliveries");
    told.sort_unstable();
    told.dedup();
    let rows = include_str!("../../../../docs/operations.md").lines();
    let mut documented: Vec<&str> =
        rows.filter(|row| row.starts_with("| `countersign_")).map(|row| row.split('`').nth(1).unwrap()).collect();
    documented.sort_unstable();
    assert_eq!(told, documented);
    assert_eq!(get(server.address(), "/metrics").0, 404, "not on the listener for everybody");
    server.kill();
}
