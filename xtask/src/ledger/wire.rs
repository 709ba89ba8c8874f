//! What travels: requests on connections of their own, and answers that came whole or are lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bench::http;

/// The host everybody calls, whichever node answers.
pub const HOST: &str = "ledger.example.test";

/// Longer than the server lets any request take.
const PATIENCE: Duration = Duration::from_secs(45);

/// No whole answer came, or one that says that nothing is certain: it may have happened or not.
#[derive(Debug)]
pub struct Lost;

/// What was sent and what came of it, over all hands.
#[derive(Default)]
pub struct Tally {
    /// Requests sent.
    pub sent: AtomicU64,
    /// Whole answers that say what happened.
    pub heard: AtomicU64,
    /// Answers that were lost on the way.
    pub lost: AtomicU64,
    /// Answers "not now" (503).
    pub unavailable: AtomicU64,
    /// Single checks of what was promised.
    pub checks: AtomicU64,
}

/// An answer.
pub struct Said {
    /// Its status.
    pub status: u16,
    head: String,
    body: Vec<u8>,
}

impl Said {
    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The values of a header, named in lower case.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        let pairs = self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        pairs.filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// Where it sends a browser; empty where nowhere.
    pub fn location(&self) -> &str {
        let to = self.headers("location").next().unwrap_or_default();
        to.strip_prefix("http://").and_then(|rest| rest.strip_prefix(HOST)).unwrap_or(to)
    }

    /// A short account of it for a complaint.
    pub fn account(&self) -> String {
        let text = self.text();
        let end = text.char_indices().nth(400).map_or(text.len(), |(end, _)| end);
        format!("{} {} {}", self.status, self.location(), &text[..end])
    }
}

/// A request, ready to be sent any number of times.
#[derive(Clone)]
pub struct Request(Vec<u8>);

impl Request {
    fn new(method: &str, path: &str, more: &[(&str, &str)], body: &str) -> Self {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n");
        for (name, value) in more {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        Self(text.into_bytes())
    }

    /// A form.
    pub fn form(path: &str, pairs: &[(&str, &str)]) -> Self {
        Self::browser_form(path, pairs, "")
    }

    /// A form from a browser with these cookies.
    pub fn browser_form(path: &str, pairs: &[(&str, &str)], cookies: &str) -> Self {
        let mut more = vec![("Content-Type", "application/x-www-form-urlencoded")];
        if !cookies.is_empty() {
            more.push(("Cookie", cookies));
        }
        Self::new("POST", path, &more, &write_pairs(pairs))
    }

    /// A page a browser with these cookies asks for.
    pub fn page(path: &str, cookies: &str) -> Self {
        let more = [("Cookie", cookies)];
        Self::new("GET", path, if cookies.is_empty() { &[] } else { &more }, "")
    }

    /// A JSON call under a token; without a body where it is null.
    pub fn json(method: &str, path: &str, bearer: &str, body: &Value) -> Self {
        let bearer = format!("Bearer {bearer}");
        let kind = if path.starts_with("/scim/") { "application/scim+json" } else { "application/json" };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Self::new(method, path, &[("Authorization", &bearer), ("Content-Type", kind)], &body)
    }
}

/// `name=value&…`, encoded.
pub fn write_pairs(pairs: &[(&str, &str)]) -> String {
    let write = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    pairs.iter().map(|(name, value)| format!("{}={}", write(name), write(value))).collect::<Vec<_>>().join("&")
}

/// The way to the nodes.
#[derive(Clone)]
pub struct Wire {
    doors: Arc<Vec<SocketAddr>>,
    /// What travelled.
    pub tally: Arc<Tally>,
}

impl Wire {
    /// To nodes behind these addresses.
    pub fn new(doors: Vec<SocketAddr>) -> Self {
        Self { doors: Arc::new(doors), tally: Arc::default() }
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.doors.len()
    }

    /// Sends it to a node.
    pub async fn send(&self, node: usize, request: &Request) -> Result<Said, Lost> {
        self.tally.sent.fetch_add(1, Ordering::Relaxed);
        let door = self.doors[node % self.doors.len()];
        match tokio::time::timeout(PATIENCE, exchange(door, &request.0)).await {
            Ok(Ok(said)) if said.status == 503 => {
                self.tally.unavailable.fetch_add(1, Ordering::Relaxed);
                Err(Lost)
            }
            Ok(Ok(said)) => {
                self.tally.heard.fetch_add(1, Ordering::Relaxed);
                Ok(said)
            }
            Ok(Err(_)) | Err(_) => {
                self.tally.lost.fetch_add(1, Ordering::Relaxed);
                Err(Lost)
            }
        }
    }
}

async fn exchange(door: SocketAddr, request: &[u8]) -> std::io::Result<Said> {
    let mut stream = TcpStream::connect(door).await?;
    stream.set_nodelay(true)?;
    stream.write_all(request).await?;
    let mut bytes = Vec::with_capacity(4096);
    loop {
        if let Ok(Some((status, start, end))) = http::parse(&bytes) {
            let head = String::from_utf8_lossy(&bytes[..start]).into_owned();
            return Ok(Said { status, head, body: bytes[start..end].to_vec() });
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            // A status without a body has no length either.
            return bodiless(&bytes).ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn bodiless(bytes: &[u8]) -> Option<Said> {
    let head = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?;
    let status = head.get(9..12)?.parse().ok()?;
    matches!(status, 204 | 304).then(|| Said { status, head: head.to_owned(), body: Vec::new() })
}
