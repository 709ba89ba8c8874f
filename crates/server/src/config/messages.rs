//! `[sms]` and `[voice]`: who sends text messages and makes calls.

use std::path::PathBuf;

use super::reader::{Reader, Wanted};

/// Who sends text messages, or makes calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Messages {
    /// By what.
    pub provider: Provider,
}

/// By what a message leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    /// A service of the operator's own, which is told by a signed request.
    Webhook {
        /// Where it listens.
        url: String,
        /// Holds the secret that requests are signed with.
        secret_file: PathBuf,
    },
    /// A provider with the interface of Twilio.
    Twilio {
        /// Its base URL.
        url: String,
        /// The account (`AC…`).
        account: String,
        /// The sender's number, or a messaging service (`MG…`).
        from: String,
        /// A file with the user name (account or API key) and password on one line each.
        credentials_file: PathBuf,
    },
}

#[derive(Clone, Copy)]
enum Shape {
    Webhook,
    Twilio,
}

/// The keys of one section.
struct Keys {
    provider: &'static str,
    url: &'static str,
    secret_file: &'static str,
    account: &'static str,
    from: &'static str,
    credentials_file: &'static str,
}

const SMS: Keys = Keys {
    provider: "sms.provider",
    url: "sms.url",
    secret_file: "sms.secret_file",
    account: "sms.account",
    from: "sms.from",
    credentials_file: "sms.credentials_file",
};
const VOICE: Keys = Keys {
    provider: "voice.provider",
    url: "voice.url",
    secret_file: "voice.secret_file",
    account: "voice.account",
    from: "voice.from",
    credentials_file: "voice.credentials_file",
};

pub(super) fn sms(reader: &mut Reader<'_>) -> Option<Messages> {
    read(reader, &SMS)
}

pub(super) fn voice(reader: &mut Reader<'_>) -> Option<Messages> {
    read(reader, &VOICE)
}

fn read(reader: &mut Reader<'_>, keys: &Keys) -> Option<Messages> {
    let shape = reader.required(
        keys.provider,
        |reader, key| reader.choice(key, &[("webhook", Shape::Webhook), ("twilio", Shape::Twilio)]),
        r#"write "webhook" or "twilio""#,
    );
    let url = reader.checked(keys.url, URL, base_url);
    let secret_file = reader.path(keys.secret_file);
    let account = reader.checked(keys.account, ACCOUNT, |text| {
        let sound = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        sound.then(|| text.to_owned())
    });
    let from = reader.checked(keys.from, SENDER, |text| (!text.is_empty()).then(|| text.to_owned()));
    let credentials_file = reader.path(keys.credentials_file);
    let need = |reader: &mut Reader<'_>, missing: bool, key: &'static str, fix: &str| {
        if missing && !reader.failed(key) {
            reader.missing(key, fix);
        }
    };
    match shape? {
        Shape::Webhook => {
            need(reader, url.is_none(), keys.url, URL.fix);
            need(
                reader,
                secret_file.is_none(),
                keys.secret_file,
                "name a file that holds `whsec_` and a secret in base64",
            );
            Some(Messages { provider: Provider::Webhook { url: url?, secret_file: secret_file? } })
        }
        Shape::Twilio => {
            need(reader, account.is_none(), keys.account, ACCOUNT.fix);
            need(reader, from.is_none(), keys.from, SENDER.fix);
            need(
                reader,
                credentials_file.is_none(),
                keys.credentials_file,
                "name a file with the account or API key and its password, one a line",
            );
            let url = url.unwrap_or_else(|| "https://api.twilio.com".to_owned());
            let credentials_file = credentials_file?;
            Some(Messages { provider: Provider::Twilio { url, account: account?, from: from?, credentials_file } })
        }
    }
}

/// https, or http to this machine: codes do not cross a network in clear.
fn base_url(text: &str) -> Option<String> {
    let local = ["http://127.0.0.1", "http://[::1]", "http://localhost"]
        .iter()
        .any(|prefix| text.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/'])));
    let rest = text.strip_prefix("https://").or_else(|| local.then(|| text.trim_start_matches("http://")))?;
    let sound = !rest.is_empty() && !rest.starts_with('/') && !rest.contains([' ', '@', '#']);
    sound.then(|| text.trim_end_matches('/').to_owned())
}

const URL: Wanted = Wanted {
    what: "an https URL",
    fix: r#"write it as "https://messages.example.test/send"; http only to this machine"#,
};
const ACCOUNT: Wanted = Wanted { what: "an account", fix: r#"write the account as "AC0123456789abcdef""# };
const SENDER: Wanted =
    Wanted { what: "a sender", fix: r#"write the number as "+15551234567", or a messaging service as "MG…""# };
