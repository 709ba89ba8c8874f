//! A service that is told by requests over TLS on loopback: it keeps what it is sent and answers what it is told to.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use countersign::config::Outbound;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What is answered: a status, nothing at all, or nothing until the sink is let go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Status(u16),
    Lost,
    Held,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub head: String,
    pub body: String,
}

impl Arrived {
    pub fn header(&self, name: &str) -> &str {
        let found = self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        });
        found.unwrap_or_else(|| panic!("no `{name}` in {}", self.head))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Kept {
    arrived: Mutex<Vec<Arrived>>,
    answers: Mutex<VecDeque<Answer>>,
    came: Notify,
    go_on: Notify,
}

/// The service. Down when it is dropped.
pub struct Sink {
    pub port: u16,
    kept: Arc<Kept>,
    serving: JoinHandle<()>,
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What a server of ours is reached by over TLS, with the certificate that [`allowed`] believes.
pub fn acceptor() -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let certificate = CertificateDer::from_pem_file(fixture("first.cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(fixture("first.key.pem")).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

/// A server that may call it.
pub fn allowed() -> Outbound {
    Outbound { allow: vec!["localhost".to_owned()], ca: Some(fixture("first.cert.pem")) }
}

impl Sink {
    /// Answers with these, one after the other, and then takes everything.
    pub async fn start(answers: &[Answer]) -> Self {
        Self::at(0, answers).await
    }

    /// The same at a port.
    pub async fn at(port: u16, answers: &[Answer]) -> Self {
        let acceptor = acceptor();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept = Arc::new(Kept::default());
        kept.answers.lock().unwrap().extend(answers);
        let served = Arc::clone(&kept);
        let serving = tokio::spawn(async move {
            // Whoever is being served ends with the service.
            let mut talks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, kept) = (acceptor.clone(), Arc::clone(&served));
                talks.spawn(async move { kept.talk(acceptor.accept(stream).await.ok()?).await });
            }
        });
        Self { port, kept, serving }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("https://localhost:{}/audit", self.port)
    }

    /// Down from now on; what arrived so far.
    pub async fn stop(mut self) -> Vec<Arrived> {
        self.serving.abort();
        let _ = (&mut self.serving).await;
        self.arrived()
    }

    /// What arrived so far.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.kept.arrived.lock().unwrap().clone()
    }

    /// The same, forgotten with it.
    pub fn take(&self) -> Vec<Arrived> {
        std::mem::take(&mut self.kept.arrived.lock().unwrap())
    }

    /// Ends when the next request has arrived.
    pub async fn came(&self) {
        self.kept.came.notified().await;
    }

    /// Answers what is held.
    pub fn go_on(&self) {
        self.kept.go_on.notify_one();
    }
}

impl Kept {
    async fn talk(&self, mut stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>) -> Option<()> {
        let mut bytes = Vec::new();
        let (head, body) = loop {
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
            let text = String::from_utf8_lossy(&bytes);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                break (head.to_owned(), body.to_owned());
            }
        };
        self.arrived.lock().unwrap().push(Arrived { head, body });
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Status(204));
        self.came.notify_one();
        let status = match answer {
            Answer::Status(status) => status,
            Answer::Lost => return None,
            Answer::Held => {
                self.go_on.notified().await;
                204
            }
        };
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.ok()?;
        stream.shutdown().await.ok()
    }
}
