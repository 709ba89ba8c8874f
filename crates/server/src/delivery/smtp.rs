//! Mail by SMTP (RFC 5321) with TLS. Owns the connection and what an answer of the mail server means; does not retry.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::{Error, PoolConfig};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use protocol::records::{Seconds, TenantSettings};

use super::{Outcome, Outgoing};
use crate::config::{Mail, MailTls};

/// The mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpConfig {
    /// Host name or address; the certificate must be for it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: MailTls,
    /// The sender where the tenant names none.
    pub from: String,
    /// A file with user name and password, one a line; none for a server that does not ask.
    pub credentials_file: Option<PathBuf>,
    /// A file with further certificates (PEM) to trust.
    pub ca_file: Option<PathBuf>,
    /// Time for one step of the conversation.
    pub timeout: Duration,
    /// Connections kept open at most.
    pub connections: u32,
}

impl SmtpConfig {
    /// From the configuration of the process.
    pub fn of(mail: &Mail, ca_file: Option<&Path>) -> Self {
        Self {
            host: mail.host.clone(),
            port: mail.port,
            tls: mail.tls,
            from: mail.from.clone(),
            credentials_file: mail.credentials_file.clone(),
            ca_file: ca_file.map(Path::to_owned),
            timeout: Duration::from_secs(15),
            connections: 4,
        }
    }
}

/// The mail configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// A file of it cannot be read.
    #[error("`{path}` cannot be read")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The credentials file has the wrong form.
    #[error("`{0}` does not hold a user name and a password, one a line")]
    Credentials(String),
    /// TLS cannot be set up with it.
    #[error("TLS to the mail server cannot be set up")]
    Tls(#[source] Error),
}

/// A way to a mail server.
#[derive(Debug)]
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    /// The sender where the tenant names none.
    from: String,
    /// Bound on one delivery as a whole, shorter than the lease on the message.
    limit: Duration,
}

impl Smtp {
    /// Reads the files of the configuration. Does not connect: a mail server that is down must not stop the start.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub fn open(config: &SmtpConfig) -> Result<Self, SmtpError> {
        let tls = match config.tls {
            MailTls::StartTls => Tls::Required(parameters(config)?),
            MailTls::Implicit => Tls::Wrapper(parameters(config)?),
            MailTls::None => Tls::None,
        };
        let timeout = config.timeout.clamp(Duration::from_millis(100), Duration::from_secs(20));
        let pool = PoolConfig::new().max_size(config.connections.clamp(1, 64)).idle_timeout(Duration::from_secs(30));
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
            .port(config.port)
            .tls(tls)
            .timeout(Some(timeout))
            .pool_config(pool);
        if let Some(path) = &config.credentials_file {
            builder = builder.credentials(credentials(path)?);
        }
        Ok(Self { transport: builder.build(), from: config.from.clone(), limit: timeout.saturating_mul(2) })
    }

    /// Sends a message. `id` becomes its Message-ID: a copy sent after a crash can be told by it.
    pub(super) async fn send(&self, id: &str, created: Seconds, message: &Outgoing) -> Outcome {
        let named = message.from != TenantSettings::default().mail_from;
        let from = if named { &message.from } else { &self.from };
        let mail = match compose(id, from, created, message) {
            Ok(mail) => mail,
            Err(reason) => return Outcome::Never(reason),
        };
        match tokio::time::timeout(self.limit, self.transport.send(mail)).await {
            Ok(Ok(_)) => Outcome::Delivered,
            Ok(Err(error)) => outcome(&error),
            Err(_) => Outcome::Later("the mail server did not answer in time".to_owned()),
        }
    }
}

/// What a failure means. The server's own words are left out: they may repeat the recipient.
fn outcome(error: &Error) -> Outcome {
    match error.status() {
        Some(code) if error.is_permanent() => {
            let code = u16::from(code);
            let reason = format!("the mail server answered {code}");
            // Not about this message but about us: the account or the protection is wrong, which somebody may mend.
            if matches!(code, 500..=504 | 530..=539) { Outcome::Later(reason) } else { Outcome::Never(reason) }
        }
        Some(code) => Outcome::Later(format!("the mail server answered {}", u16::from(code))),
        None if error.is_tls() => Outcome::Later("TLS to the mail server failed".to_owned()),
        None if error.is_timeout() => Outcome::Later("the mail server did not answer in time".to_owned()),
        None => Outcome::Later("the mail server could not be reached".to_owned()),
    }
}

fn compose(id: &str, from: &str, created: Seconds, message: &Outgoing) -> Result<Message, String> {
    let from: Mailbox = from.parse().map_err(|_| "the sender's address is not valid".to_owned())?;
    let to = message.to.parse().map_err(|_| "the recipient's address is not valid".to_owned())?;
    let date = std::time::UNIX_EPOCH + Duration::from_secs(u64::try_from(created).unwrap_or(0));
    let message_id = format!("<{id}@{}>", from.email.domain());
    let builder = Message::builder()
        .from(from)
        .to(Mailbox::new(None, to))
        .subject(&message.subject)
        .date(date)
        .message_id(Some(message_id))
        // RFC 3834 §5: nobody's holiday notice is to answer this.
        .raw_header(auto_submitted());
    let plain = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(message.text.expose().clone());
    let made = match &message.html {
        Some(html) => {
            let html = SinglePart::builder().header(ContentType::TEXT_HTML).body(html.expose().clone());
            builder.multipart(MultiPart::alternative().singlepart(plain).singlepart(html))
        }
        None => builder.singlepart(plain),
    };
    made.map_err(|_| "the mail cannot be composed".to_owned())
}

fn auto_submitted() -> lettre::message::header::HeaderValue {
    use lettre::message::header::{HeaderName, HeaderValue};
    HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned())
}

fn parameters(config: &SmtpConfig) -> Result<TlsParameters, SmtpError> {
    let mut builder = TlsParameters::builder(config.host.clone());
    if let Some(path) = &config.ca_file {
        let pem = read(path)?;
        for certificate in split_pem(&pem) {
            builder = builder.add_root_certificate(Certificate::from_pem(certificate).map_err(SmtpError::Tls)?);
        }
    }
    builder.build().map_err(SmtpError::Tls)
}

/// The certificates of a PEM file, one by one.
fn split_pem(pem: &[u8]) -> impl Iterator<Item = &[u8]> {
    const END: &[u8] = b"-----END CERTIFICATE-----";
    let mut rest = pem;
    std::iter::from_fn(move || {
        let end = rest.windows(END.len()).position(|window| window == END)? + END.len();
        let (one, after) = rest.split_at(end);
        rest = after;
        Some(one)
    })
}

fn credentials(path: &Path) -> Result<Credentials, SmtpError> {
    let text = zeroize::Zeroizing::new(read(path)?);
    let mut lines = std::str::from_utf8(&text).unwrap_or_default().lines().map(str::trim_end);
    match (lines.next(), lines.next()) {
        (Some(user), Some(password)) if !user.is_empty() && !password.is_empty() => {
            Ok(Credentials::new(user.to_owned(), password.to_owned()))
        }
        _ => Err(SmtpError::Credentials(path.display().to_string())),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, SmtpError> {
    std::fs::read(path).map_err(|source| SmtpError::Unreadable { path: path.display().to_string(), source })
}
