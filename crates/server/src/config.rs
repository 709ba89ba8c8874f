//! Configuration of the process: a TOML file, then the environment over it. Owns what may be set, the defaults, and how
//! a mistake is told. Does not hold what belongs to a tenant: that is the tenant file's.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use crate::address::TrustedProxies;
use crate::hashing::Cost;

mod messages;
mod reader;

pub use messages::{Messages, Provider};
pub use reader::{Mistake, Mistakes};
use reader::{Reader, Wanted};

/// Everything that may be set for one process.
#[derive(Clone, Debug)]
pub struct Config {
    /// The listener and its limits.
    pub server: Server,
    /// TLS; none where a proxy in front ends it.
    pub tls: Option<Tls>,
    /// Where records are kept.
    pub database: Database,
    /// The file with the master key; none only in development.
    pub master_key_file: Option<PathBuf>,
    /// Health and metrics.
    pub observe: Observe,
    /// Logging.
    pub log: Log,
    /// Outgoing mail; none where no mail is sent.
    pub mail: Option<Mail>,
    /// Text messages; none where none are sent.
    pub sms: Option<Messages>,
    /// Calls; none where none are made.
    pub voice: Option<Messages>,
    /// What may be called from here.
    pub outbound: Outbound,
    /// A MaxMind-format database of places.
    pub geo_database: Option<PathBuf>,
    /// Password hashing.
    pub hashing: Cost,
    /// A list of passwords that leaked.
    pub breached_passwords: Option<PathBuf>,
}

/// `[server]`: the listener and its limits.
#[derive(Clone, Debug)]
pub struct Server {
    /// Address and port.
    pub listen: SocketAddr,
    /// Threads that serve requests; with one, everything runs on the main thread.
    pub threads: usize,
    /// Connections open at once; more wait to be accepted.
    pub max_connections: usize,
    /// Requests under way at once; more are told to come back in a moment.
    pub max_requests: usize,
    /// Bounds on one request.
    pub limits: Limits,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: TrustedProxies,
}

/// `[server.limits]`: bounds on one request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// Bytes of all headers.
    pub header_bytes: usize,
    /// Number of headers.
    pub headers: usize,
}

/// `[server.timeouts]`: how long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Until the headers of a request are there, idle time of a kept connection included.
    pub header: Duration,
    /// Until a request is answered, reading its body included.
    pub request: Duration,
    /// Until a TLS handshake is done.
    pub handshake: Duration,
    /// How long requests under way may go on after the signal to stop.
    pub shutdown: Duration,
}

/// `[tls]`: the server's certificate, read again on SIGHUP and when a file changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The chain, PEM, the server's own first.
    pub cert: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

/// `[database]`: where records are kept.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// A temporary one: nothing is kept. Development only.
    Temporary,
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres {
        /// The connection URL, without a password where `password_file` is given.
        url: String,
        /// Holds the password.
        password_file: Option<PathBuf>,
        /// Connections held at most.
        pool: usize,
        /// Certificates (PEM) to trust in place of the system's.
        ca: Option<PathBuf>,
    },
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Temporary => f.write_str("Temporary"),
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            // The URL may hold a password.
            Self::Postgres { pool, .. } => f.debug_struct("Postgres").field("pool", pool).finish_non_exhaustive(),
        }
    }
}

/// `[observe]`: health, metrics and traces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observe {
    /// The listener of `/healthz`, `/readyz` and `/metrics`; none switches them off.
    pub listen: Option<SocketAddr>,
    /// Base URL of an OpenTelemetry collector (OTLP over HTTP) that traces are sent to; none sends none.
    pub otlp_endpoint: Option<String>,
}

/// `[log]`: what is logged and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The form of a line.
    pub format: LogFormat,
    /// A level, or directives such as `info,countersign::request=debug`.
    pub level: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[mail]`: outgoing mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Host of the SMTP server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: MailTls,
    /// The sender where the tenant names none.
    pub from: String,
    /// A file with user name and password on one line each.
    pub credentials_file: Option<PathBuf>,
}

/// How the connection to the SMTP server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// TLS from the first byte (RFC 8314 §3).
    Implicit,
    /// STARTTLS, and nothing without it.
    StartTls,
    /// Not at all: for a relay on the same machine.
    None,
}

/// `[outbound]`: what may be called from here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbound {
    /// Hosts allowed although they are private addresses, exact.
    pub allow: Vec<String>,
    /// Certificates (PEM) trusted beside the system's.
    pub ca: Option<PathBuf>,
}

impl Config {
    /// For development: a loopback listener and a database that is not kept, unless `data` names a directory.
    pub fn dev(listen: SocketAddr, data: Option<&Path>) -> Self {
        Self {
            server: Server {
                listen,
                threads: cores(),
                max_connections: 1024,
                max_requests: 1024,
                limits: Limits::default(),
                timeouts: Timeouts { shutdown: Duration::from_secs(2), ..Timeouts::default() },
                trusted_proxies: TrustedProxies::default(),
            },
            tls: None,
            database: data.map_or(Database::Temporary, |dir| Database::Sqlite(dir.join("countersign.sqlite3"))),
            master_key_file: data.map(|dir| dir.join("master.key")),
            observe: Observe::default(),
            log: Log { format: LogFormat::Text, level: "warn,countersign=info".to_owned() },
            mail: None,
            sms: None,
            voice: None,
            outbound: Outbound::default(),
            geo_database: None,
            hashing: Cost::default(),
            breached_passwords: None,
        }
    }

    /// Reads `path` and the environment of the process over it.
    pub fn load(path: &Path) -> Result<Self, Mistakes> {
        // A value that is not UTF-8 belongs to another program; ours would be noticed as missing.
        let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let text = std::fs::read_to_string(path).map_err(|error| Mistakes::unreadable(path, &error))?;
        Self::parse(&text, path, environment)
    }

    /// Reads the text of a file at `path` and an environment over it. All mistakes are found in one go.
    pub fn parse(
        text: &str,
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Mistakes> {
        let mut reader = Reader::new(text, path, environment)?;
        let config = build(&mut reader);
        reader.finish(config)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 256 * 1024, header_bytes: 32 * 1024, headers: 64 }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { header: seconds(20), request: seconds(30), handshake: seconds(10), shutdown: seconds(20) }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Reads every key. A key that is wrong leaves a mistake behind and its default here, so that the next is read as well.
fn build(reader: &mut Reader<'_>) -> Option<Config> {
    let (limits, timeouts, cost) = (Limits::default(), Timeouts::default(), Cost::default());
    let server = Server {
        listen: reader.parsed("server.listen", ADDRESS).unwrap_or(DEFAULT_LISTEN),
        threads: reader.number("server.threads", 1, 256).unwrap_or_else(cores),
        max_connections: reader.number("server.max_connections", 1, 1_000_000).unwrap_or(10_000),
        max_requests: reader.number("server.max_requests", 1, 1_000_000).unwrap_or(2048),
        limits: Limits {
            body: reader.number("server.limits.body", 1024, crate::call::LARGEST_BODY as i64).unwrap_or(limits.body),
            header_bytes: reader.number("server.limits.header_bytes", 8192, 1 << 20).unwrap_or(limits.header_bytes),
            headers: reader.number("server.limits.headers", 16, 1000).unwrap_or(limits.headers),
        },
        timeouts: Timeouts {
            header: reader.seconds("server.timeouts.header").unwrap_or(timeouts.header),
            request: reader.seconds("server.timeouts.request").unwrap_or(timeouts.request),
            handshake: reader.seconds("server.timeouts.handshake").unwrap_or(timeouts.handshake),
            shutdown: reader.seconds("server.timeouts.shutdown").unwrap_or(timeouts.shutdown),
        },
        trusted_proxies: TrustedProxies::new(
            reader.parsed_list::<IpNet>("server.trusted_proxies", NETWORK).unwrap_or_default(),
        ),
    };
    let tls = reader.group("tls", |reader| {
        let cert = reader.required("tls.cert", Reader::path, "name the PEM file with the certificate chain");
        let key = reader.required("tls.key", Reader::path, "name the PEM file with the private key");
        Some(Tls { cert: cert?, key: key? })
    });
    let database = database(reader);
    let master_key_file = reader.required(
        "keys.master_key_file",
        Reader::path,
        "name a file with 32 random bytes; make one with `head -c 32 /dev/urandom | base64 > master.key`",
    );
    let observe = Observe { listen: reader.parsed("observe.listen", ADDRESS), otlp_endpoint: collector(reader) };
    let log = Log {
        format: reader
            .choice("log.format", &[("text", LogFormat::Text), ("json", LogFormat::Json)])
            .unwrap_or(LogFormat::Json),
        level: reader
            .checked("log.level", LEVEL, |text| {
                tracing_subscriber::EnvFilter::try_new(text).ok().map(|_| text.to_owned())
            })
            .unwrap_or_else(|| "info".to_owned()),
    };
    let mail = reader.group("mail", mail).flatten();
    let sms = reader.group("sms", messages::sms).flatten();
    let voice = reader.group("voice", messages::voice).flatten();
    let outbound = Outbound {
        allow: reader.parsed_list("outbound.allow", HOST).unwrap_or_default(),
        ca: reader.path("outbound.ca"),
    };
    let geo_database = reader.path("geo.database");
    let breached_passwords = reader.path("passwords.breached_file");
    let hashing = Cost {
        lanes: reader.number("hashing.lanes", 1, 256).unwrap_or(cost.lanes),
        queue: reader.number("hashing.queue", 1, 100_000).unwrap_or(cost.queue),
        // Below this a guess is too cheap (OWASP's weakest choice), above it one login fells a small machine.
        memory: reader.number("hashing.m", 7168, 1 << 20).unwrap_or(cost.memory),
        passes: reader.number("hashing.t", 1, 16).unwrap_or(cost.passes),
        parallel: reader.number("hashing.p", 1, 16).unwrap_or(cost.parallel),
    };
    Some(Config {
        server,
        tls: tls.flatten(),
        database: database?,
        master_key_file: Some(master_key_file?),
        observe,
        log,
        mail,
        sms,
        voice,
        outbound,
        geo_database,
        hashing,
        breached_passwords,
    })
}

/// Where traces go. A build that cannot send them does not pretend to.
fn collector(reader: &mut Reader<'_>) -> Option<String> {
    let endpoint = reader.checked("observe.otlp_endpoint", COLLECTOR, |text| {
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
        let sound = !rest.is_empty() && !rest.starts_with('/') && !rest.contains([' ', '?', '#', '@']);
        sound.then(|| text.trim_end_matches('/').to_owned())
    })?;
    if !cfg!(feature = "otel") {
        reader.wrong("observe.otlp_endpoint", "this build cannot send traces", "build with `--features otel`");
    }
    Some(endpoint)
}

fn database(reader: &mut Reader<'_>) -> Option<Database> {
    let pool = reader.number("database.pool", 1, 1000).unwrap_or(16);
    let password_file = reader.path("database.password_file");
    let ca = reader.path("database.ca");
    let Some(url) = reader.checked("database.url", DATABASE, |text| Some(text.to_owned())) else {
        if !reader.failed("database.url") {
            reader.missing("database.url", DATABASE.fix);
        }
        return None;
    };
    if let Some(path) = url.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path)) {
        if path.is_empty() {
            reader.wrong("database.url", "it names no file", DATABASE.fix);
            return None;
        }
        return Some(Database::Sqlite(reader.resolve("database.url", path)));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Some(Database::Postgres { url, password_file, pool, ca });
    }
    // Not repeated in the message: it may hold a password.
    reader.wrong("database.url", "it is neither an SQLite nor a PostgreSQL URL", DATABASE.fix);
    None
}

fn mail(reader: &mut Reader<'_>) -> Option<Mail> {
    let server = reader.required(
        "mail.smtp",
        |reader, key| reader.checked(key, SMTP, |text| read_host(text).map(|(host, port)| (host.to_owned(), port))),
        SMTP.fix,
    );
    let from = reader.required(
        "mail.from",
        |reader, key| reader.checked(key, MAILBOX, |text| text.contains('@').then(|| text.to_owned())),
        MAILBOX.fix,
    );
    let kinds = [("implicit", MailTls::Implicit), ("starttls", MailTls::StartTls), ("none", MailTls::None)];
    let tls = reader.choice("mail.tls", &kinds).unwrap_or(MailTls::StartTls);
    let credentials_file = reader.path("mail.credentials_file");
    let (host, port) = server?;
    let port = port.unwrap_or(match tls {
        MailTls::Implicit => 465,
        MailTls::StartTls => 587,
        MailTls::None => 25,
    });
    Some(Mail { host, port, tls, from: from?, credentials_file })
}

/// `host` or `host:port`.
fn read_host(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (text, None),
    };
    let named = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    named.then_some((host, port))
}

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8400);
const ADDRESS: Wanted =
    Wanted { what: "an address with a port", fix: r#"write it as "127.0.0.1:8400" or "[::]:8400""# };
const NETWORK: Wanted = Wanted { what: "a network", fix: r#"write each as "10.0.0.0/8" or "2001:db8::/32""# };
const LEVEL: Wanted =
    Wanted { what: "a log level", fix: r#"write "info", "debug" or directives as "info,countersign::request=debug""# };
const COLLECTOR: Wanted = Wanted {
    what: "the URL of a collector",
    fix: r#"write it as "http://127.0.0.1:4318"; traces go to `/v1/traces` there"#,
};
const HOST: Wanted = Wanted { what: "a host name", fix: r#"write each as "keys.example.test""# };
const SMTP: Wanted = Wanted { what: "a host", fix: r#"write it as "smtp.example.test:587""# };
const MAILBOX: Wanted = Wanted { what: "a mail address", fix: r#"write it as "Sign-in <no-reply@example.test>""# };
const DATABASE: Wanted = Wanted {
    what: "a database URL",
    fix: r#"write "sqlite:/var/lib/countersign/data.sqlite3" or "postgres://countersign@db.example.test/countersign""#,
};
