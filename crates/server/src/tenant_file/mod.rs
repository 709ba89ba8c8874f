//! The tenant file: a tenant written down, and the store made to match it.
//!
//! Owns the form of the file, every problem that can be found by reading it alone ([`load`]), and the difference
//! between file and store ([`apply`]). Does not serve anything: what it stores is read back like any other change.
//! Its reference for people is `docs/tenant-file.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use protocol::records::{
    Client, EnrolmentId, Group, RelyingParty, RelyingPartyId, SigningAlg, Source, Tenant, TotpSettings, User, UserId,
};
use serde_json::Value;

use crate::secret::Secret;

mod apply;
mod fields;
mod parse;
mod problem;
mod reader;
mod suggest;

pub use apply::{ApplyError, apply};
pub use problem::Problem;

/// Largest file that is read.
const LARGEST: u64 = 16 * 1024 * 1024;

/// What one or several tenant files say.
#[derive(Debug, Default)]
pub struct TenantFile {
    /// The tenants, in the order of the files.
    pub tenants: Vec<TenantPart>,
    /// Text for development mode to print: requests to paste.
    requests: Vec<String>,
}

/// One tenant of a file.
#[derive(Debug)]
pub struct TenantPart {
    /// The tenant with its settings.
    pub tenant: Tenant,
    /// Identity sources.
    pub sources: Vec<Source>,
    /// Groups.
    pub groups: Vec<Group>,
    /// People.
    pub users: Vec<UserPart>,
    /// Their factors.
    pub enrolments: Vec<EnrolmentPart>,
    /// Clients.
    pub clients: Vec<ClientPart>,
    /// Access policies.
    pub policies: Vec<PolicyPart>,
    /// WebAuthn relying parties.
    pub relying_parties: Vec<RelyingParty>,
    /// Signing keys to hold.
    pub keys: Vec<KeyPart>,
    /// Secrets that identity providers know us by, by the provider's id.
    pub provider_secrets: BTreeMap<String, Secret<String>>,
    /// Secrets that requests to webhooks are signed with, by the webhook's id.
    pub webhook_secrets: BTreeMap<String, Secret<String>>,
}

/// A person, without what only the store knows.
#[derive(Debug)]
pub struct UserPart {
    /// The record; password and times are not in it.
    pub user: User,
    /// The password, where there is one.
    pub password: Option<PasswordPart>,
}

/// A password as a file gives it.
#[derive(Debug)]
pub enum PasswordPart {
    /// In clear, for demonstrations: hashed before it is stored.
    Plain(Secret<String>),
    /// Hashed already.
    Hash(String),
}

/// A client, without its secret.
#[derive(Debug)]
pub struct ClientPart {
    /// The record; secrets are not in it.
    pub client: Client,
    /// The secret, where there is one.
    pub secret: Option<SecretPart>,
}

/// A client secret as a file gives it.
#[derive(Debug)]
pub enum SecretPart {
    /// In clear, chosen by a person: hashed before it is stored.
    Plain(Secret<String>),
    /// SHA-256 of a random one, base64url.
    Sha256(String),
}

/// An access policy in its document form.
#[derive(Debug)]
pub struct PolicyPart {
    /// Its id.
    pub id: i64,
    /// The document (schema 5.0).
    pub document: Value,
}

/// An enrolled factor.
#[derive(Debug)]
pub struct EnrolmentPart {
    /// Its id.
    pub id: EnrolmentId,
    /// Whose it is.
    pub user: UserId,
    /// Whether it may be used.
    pub enabled: bool,
    /// Whether it counts as proved once.
    pub validated: bool,
    /// What was enrolled.
    pub factor: FactorPart,
}

/// What was enrolled.
#[derive(Debug)]
pub enum FactorPart {
    /// Codes by mail.
    EmailOtp {
        /// The address.
        address: String,
    },
    /// Codes by text message.
    SmsOtp {
        /// The number.
        address: String,
    },
    /// Codes by voice call.
    VoiceOtp {
        /// The number.
        address: String,
    },
    /// Time-based codes.
    Totp(TotpPart),
    /// A WebAuthn credential.
    Passkey(Box<PasskeyPart>),
}

/// A time-based one-time password generator.
#[derive(Debug)]
pub struct TotpPart {
    /// The shared secret, base32.
    pub secret: Secret<String>,
    /// The tenant's settings, with what the file gives for this one.
    pub settings: TotpSettings,
    /// The account as authenticators show it.
    pub account: String,
}

/// A WebAuthn credential registered elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub struct PasskeyPart {
    /// The relying party it was registered with.
    pub relying_party: RelyingPartyId,
    /// The credential id, base64url.
    pub credential_id: String,
    /// The public key in COSE form, base64url.
    pub public_key: String,
    /// Its COSE algorithm.
    pub algorithm: i32,
    /// The signature counter last seen.
    pub counter: u32,
    /// The name its owner gave it.
    pub nickname: String,
    /// How it may be reached (`internal`, `usb`, …).
    pub transports: Vec<String>,
    /// Whether the credential may be backed up.
    pub backup_eligible: bool,
}

/// A key to hold: it signs, or others encrypt to it.
#[derive(Debug)]
pub struct KeyPart {
    /// What it signs with. Of a key that decrypts, RSA (RS256) or P-256 (ES256).
    pub alg: SigningAlg,
    /// Whether it decrypts, and never signs.
    pub decrypts: bool,
    /// Its name; chosen by the server where absent. Always there with a key from a file.
    pub kid: Option<String>,
    /// The private key (PKCS#8, DER); made by the server where absent.
    pub pkcs8: Option<Secret<Vec<u8>>>,
}

impl TenantFile {
    /// The text for development mode to print, with `{base}` put in for where the server answers.
    pub fn requests(&self, base: &str) -> Option<String> {
        let text = self.requests.join("\n").replace("{base}", base.trim_end_matches('/'));
        (!text.trim().is_empty()).then_some(text)
    }

    /// Lets the first tenant answer under `url` too, unless some tenant does: development mode may listen anywhere.
    pub fn answer_at(&mut self, url: &str) {
        let taken = self.tenants.iter().flat_map(|part| &part.tenant.urls).any(|known| known == url);
        let (false, Some(first)) = (taken, self.tenants.first_mut()) else { return };
        first.tenant.urls.push(url.to_owned());
        let host = url.split_once("://").map_or(url, |(_, rest)| rest);
        let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
        for party in first.relying_parties.iter_mut().filter(|party| party.rp_id == host) {
            party.origins.push(url.to_owned());
        }
    }
}

/// Reads a tenant file, or every `*.toml` of a directory in the order of their names. All problems are found at once.
pub fn load(path: &Path) -> Result<TenantFile, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut files = Vec::new();
    for path in listed(path).map_err(|problem| vec![problem])? {
        match read(&path) {
            Ok(text) => files.push((path, text)),
            Err(problem) => problems.push(problem),
        }
    }
    let parsed = parse::parse(&files);
    match parsed {
        Ok(file) if problems.is_empty() => Ok(file),
        Ok(_) => Err(problems),
        Err(more) => {
            problems.extend(more);
            Err(problems)
        }
    }
}

/// Reads the text of a tenant file that is not on disk; `name` stands for it in problems, and files it names are looked
/// for beside that name.
pub fn load_text(name: &str, text: &str) -> Result<TenantFile, Vec<Problem>> {
    parse::parse(&[(PathBuf::from(name), text.to_owned())])
}

fn listed(path: &Path) -> Result<Vec<PathBuf>, Problem> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).map_err(|error| unreadable(path, &error.to_string()))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file() && path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    if files.is_empty() {
        return Err(unreadable(path, "the directory holds no `*.toml`"));
    }
    Ok(files)
}

fn read(path: &Path) -> Result<String, Problem> {
    let failed = |error: std::io::Error| unreadable(path, &error.to_string());
    if std::fs::metadata(path).map_err(failed)?.len() > LARGEST {
        return Err(unreadable(path, "the file is larger than 16 MiB"));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    String::from_utf8(bytes).map_err(|_| unreadable(path, "the file is not UTF-8"))
}

fn unreadable(path: &Path, why: &str) -> Problem {
    Problem {
        file: path.display().to_string(),
        line: 0,
        column: 0,
        path: String::new(),
        message: format!("cannot be read: {}", why.to_lowercase()),
        fix: "name a readable tenant file or a directory of them".to_owned(),
    }
}
