//! `countersign phone` against `countersign dev`, as two programs on one machine: registered by an invitation, shown what waits,
//! approving and denying.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_countersign");
const CLIENT: [(&str, &str); 2] =
    [("client_id", "1a4310d4-0118-4511-9082-39669ccdcad6"), ("client_secret", "cmVkYWN0ZWQ")];

/// A development server; it ends with the test.
struct Server {
    child: Child,
    authority: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(directory: &Path, push: &str) -> Self {
        let demo =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/tenant.toml")).unwrap();
        let tenant = demo
            .replace(
                "[tenant.settings.push]\nenabled = true\n",
                &format!("[tenant.settings.push]\nenabled = true\n{}\n", push.replace(", ", "\n")),
            )
            .replace("authnMethods = [\"emailotp\"]", "authnMethods = [\"signatures\"]");
        let file = directory.join("tenant.toml");
        std::fs::write(&file, tenant).unwrap();
        let mut child = Command::new(BINARY)
            .args(["dev", "--listen", "127.0.0.1:0", "--tenant", file.to_str().unwrap()])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let (_, authority) = line.trim().rsplit_once("http://").unwrap_or_else(|| panic!("{line}"));
        let authority = authority.to_owned();
        // What it prints further must not stop it.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        Self { child, authority }
    }

    fn send(&self, method: &str, path: &str, kind: &str, token: Option<&str>, body: &str) -> Value {
        let mut stream = TcpStream::connect(&self.authority).unwrap();
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: {kind}\r\n{token}content-length: {}\r\n\r\n{body}",
            self.authority,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
    }

    fn json(&self, method: &str, path: &str, token: &str, body: &Value) -> Value {
        self.send(method, path, "application/json", Some(token), &body.to_string())
    }

    fn token(&self, pairs: &[(&str, &str)]) -> Value {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.send("POST", "/oauth2/token", "application/x-www-form-urlencoded", None, &form)
    }

    /// A challenge that the phone may answer.
    fn second_challenge(&self) -> String {
        let context =
            STANDARD.encode(json!({ "sessionId": "s", "ipAddress": "192.168.1.1", "userAgent": "x" }).to_string());
        let mut form = CLIENT.to_vec();
        form.extend([("grant_type", "policyauth"), ("scope", "openid"), ("context", &context)]);
        let first = self.token(&form);
        let path = "/v1.0/authnmethods/password/46872982-ab9e-4c9f-8200-8f394b328394?returnJwt=true";
        let login = json!({ "username": "scott", "password": "hunter22" });
        let proved = self.json("POST", path, first["access_token"].as_str().unwrap(), &login);
        let second = self.present(&proved);
        assert_eq!(second["scope"], "mfa_challenge", "{second}");
        second["access_token"].as_str().unwrap().to_owned()
    }

    /// A token of the administration.
    fn desk(&self) -> String {
        let admin = [
            ("client_id", "administration"),
            ("client_secret", "administration-demo-secret"),
            ("grant_type", "client_credentials"),
        ];
        self.token(&admin)["access_token"].as_str().unwrap().to_owned()
    }

    fn invitation(&self, desk: &str) -> Value {
        let owner = json!({ "owner": "6040003OH8", "accountName": "scott" });
        self.json("POST", "/v1.0/authenticators/initiation", desk, &owner)
    }

    /// The enrolment of the phone.
    fn method(&self, desk: &str) -> Value {
        let factors = self.json("GET", "/v2.0/factors?search=userId%3D%226040003OH8%22", desk, &Value::Null);
        let all = factors["factors"].as_array().unwrap_or_else(|| panic!("{factors}"));
        all.iter().find(|one| one["type"] == "signature").unwrap().clone()
    }

    fn present(&self, proved: &Value) -> Value {
        let context =
            STANDARD.encode(json!({ "sessionId": "s", "ipAddress": "192.168.1.1", "userAgent": "x" }).to_string());
        let mut form = CLIENT.to_vec();
        let bearer = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        let assertion = proved["assertion"].as_str().unwrap_or_else(|| panic!("{proved}"));
        form.extend([("grant_type", bearer), ("scope", "openid"), ("context", &context), ("assertion", assertion)]);
        self.token(&form)
    }
}

fn phone(file: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(BINARY).arg("phone").args(arguments).arg("--phone").arg(file).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[test]
fn a_terminal_is_a_phone() {
    let directory = tempfile::tempdir().unwrap();
    let (server, file) =
        (Server::start(directory.path(), ", number_match = true"), directory.path().join("phone.json"));
    let desk = server.desk();
    let invited = server.invitation(&desk);
    let told = phone(&file, &["register", &invited.to_string(), "--name", "desk"]).unwrap();
    assert!(told.starts_with("registered with "), "{told}");
    assert!(phone(&file, &["register", &invited.to_string()]).unwrap_err().contains("holds a phone already"));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(phone(&file, &["list"]).unwrap(), "nothing waits\n");
    let method = server.method(&desk);
    let path =
        format!("/v1.0/authenticators/{}/verifications", method["references"]["authenticatorId"].as_str().unwrap());
    let body = json!({
        "transactionData": { "message": "Sign in to the till?", "originIpAddress": "192.0.2.4",
                             "additionalData": [{ "name": "amount", "value": "5\u{1b}[2J" }] },
        "authenticationMethods": [{ "id": method["id"], "methodType": "signature" }]
    });

    let token = server.second_challenge();
    let asked = server.json("POST", &path, &token, &body);
    let id = asked["id"].as_str().unwrap_or_else(|| panic!("{asked}"));
    let listed = phone(&file, &["list"]).unwrap();
    for part in [id, "Sign in to the till?", "from 192.0.2.4", "amount: 5 [2J", "with the number"] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    phone(&file, &["deny", &id[..8]]).unwrap();
    assert!(phone(&file, &["deny", &id[..8]]).unwrap_err().contains("does not wait"));
    assert_eq!(
        server.json("GET", &format!("{path}/{id}?returnJwt=true"), &token, &Value::Null)["state"],
        "USER_DENIED"
    );

    let asked = server.json("POST", &path, &token, &body);
    let (id, number) = (asked["id"].as_str().unwrap(), asked["numberMatch"].as_str().unwrap());
    phone(&file, &["approve", id, "--number", number]).unwrap();
    let proved = server.json("GET", &format!("{path}/{id}?returnJwt=true"), &token, &Value::Null);
    assert_eq!(proved["state"], "VERIFY_SUCCESS");
    let tokens = server.present(&proved);
    assert!(tokens["id_token"].is_string() || tokens["access_token"].is_string(), "{tokens}");
    assert_ne!(tokens["scope"], "mfa_challenge");

    // Its key is exchanged, and what it signs from then on is believed.
    let before = std::fs::read_to_string(&file).unwrap();
    assert_eq!(phone(&file, &["rotate"]).unwrap(), "the key was exchanged\n");
    let after = std::fs::read_to_string(&file).unwrap();
    let of = |text: &str, name: &str| serde_json::from_str::<Value>(text).unwrap()[name].clone();
    assert!(of(&before, "key") != of(&after, "key") && of(&after, "next_key").is_null());
    let body = json!({ "authenticationMethods": [{ "id": of(&after, "method"), "methodType": "signature" }] });
    let asked = server.json("POST", &path, &server.second_challenge(), &body);
    let (id, number) = (asked["id"].as_str().unwrap(), asked["numberMatch"].as_str().unwrap());
    phone(&file, &["approve", &id[..8], "--number", number]).unwrap();

    assert!(phone(&file, &["scan", "{}"]).unwrap_err().contains("not the text of the picture"));
    let foreign = json!({ "code": "x", "loginUri": "https://elsewhere.example.test/v2.0/factors/qr/1" });
    assert!(phone(&file, &["scan", &foreign.to_string()]).unwrap_err().contains("the picture is not of"));

    assert_eq!(phone(&file, &["remove"]).unwrap(), "removed\n");
    assert!(!file.exists());
    let list = server.json("GET", "/v1.0/authenticators?owner=6040003OH8", &desk, &Value::Null);
    assert_eq!(list["total"], 0);
}

/// A program that watches; it ends with the test.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_terminal_that_watches_approves_by_itself_where_it_is_told_to() {
    let directory = tempfile::tempdir().unwrap();
    let (server, file) = (Server::start(directory.path(), ""), directory.path().join("phone.json"));
    let desk = server.desk();
    phone(&file, &["register", &server.invitation(&desk).to_string()]).unwrap();
    let method = server.method(&desk);
    let mut watching = Command::new(BINARY);
    watching.args(["phone", "watch", "--auto", "--phone"]).arg(&file).stdout(Stdio::piped());
    let mut watching = Watching(watching.spawn().unwrap());
    let mut out = BufReader::new(watching.0.stdout.take().unwrap()).lines();
    let path =
        format!("/v1.0/authenticators/{}/verifications", method["references"]["authenticatorId"].as_str().unwrap());
    let body = json!({ "authenticationMethods": [{ "id": method["id"], "methodType": "signature" }] });
    for _ in 0..2 {
        let token = server.second_challenge();
        let asked = server.json("POST", &path, &token, &body);
        let id = asked["id"].as_str().unwrap_or_else(|| panic!("{asked}"));
        let told: Vec<String> = out.by_ref().map(Result::unwrap).take_while(|line| line != "approved").collect();
        assert_eq!(told[0], id);
        let proved = server.json("GET", &format!("{path}/{id}?returnJwt=true"), &token, &Value::Null);
        assert_eq!(proved["state"], "VERIFY_SUCCESS");
    }
}
