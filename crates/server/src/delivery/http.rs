//! Text messages and calls over HTTP: a signed webhook of the operator's own, or a provider that speaks the shape of Twilio.
//! Owns the requests and what an answer means; does not retry.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::records::Seconds;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::json;

use super::{Channel, Outcome, Outgoing};
use crate::config::{Messages, Provider};
use crate::secret::Secret;
use crate::world::World;

/// Shorter than the lease on a message.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The shortest secret a webhook may be signed with, bytes.
const SHORTEST_SECRET: usize = 24;

/// The configuration of text messages or calls cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
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
    /// The secret of the webhook is too short, or not base64.
    #[error("`{0}` does not hold `whsec_` and at least 24 bytes in base64")]
    Secret(String),
    /// The certificates to trust cannot be used.
    #[error("the certificates in `{0}` cannot be used")]
    Certificates(String),
    /// The client cannot be built.
    #[error("the client cannot be built")]
    Client(#[source] reqwest::Error),
}

/// A way out over HTTP.
pub struct Http {
    client: Client,
    to: To,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.to {
            To::Webhook { .. } => "Http(webhook)",
            To::Twilio { .. } => "Http(twilio)",
        })
    }
}

enum To {
    Webhook { url: String, key: Box<hmac::Key> },
    Twilio { base: String, account: String, from: String, user: String, password: Secret<String> },
}

/// What is told with a message.
pub(super) struct Envelope<'a> {
    /// Its id: the same at every attempt.
    pub id: &'a str,
    pub created: Seconds,
    pub expires: Seconds,
}

impl Http {
    /// Reads the files of the configuration. Does not connect.
    ///
    /// # Errors
    /// A file cannot be read or used.
    pub fn open(config: &Messages, ca_file: Option<&Path>) -> Result<Self, HttpError> {
        let mut builder = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .connect_timeout(Duration::from_secs(5))
            .user_agent("countersign");
        if let Some(path) = ca_file {
            let pem = read(path)?;
            let unusable = |_| HttpError::Certificates(path.display().to_string());
            for certificate in reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(unusable)? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let client = builder.build().map_err(HttpError::Client)?;
        let to = match &config.provider {
            Provider::Webhook { url, secret_file } => To::Webhook {
                url: url.clone(),
                key: Box::new(hmac::Key::new(hmac::HMAC_SHA256, &secret(secret_file)?)),
            },
            Provider::Twilio { url, account, from, credentials_file } => {
                let text = read(credentials_file)?;
                let mut lines = text.lines().map(str::trim_end);
                let (Some(user), Some(password)) = (lines.next(), lines.next()) else {
                    return Err(HttpError::Credentials(credentials_file.display().to_string()));
                };
                if user.is_empty() || password.is_empty() {
                    return Err(HttpError::Credentials(credentials_file.display().to_string()));
                }
                To::Twilio {
                    base: url.clone(),
                    account: account.clone(),
                    from: from.clone(),
                    user: user.to_owned(),
                    password: Secret::from(password),
                }
            }
        };
        Ok(Self { client, to })
    }

    /// Sends a message once.
    pub(super) async fn send(&self, world: &World, envelope: &Envelope<'_>, message: &Outgoing) -> Outcome {
        let now = world.now();
        let request = match &self.to {
            To::Webhook { url, key } => self.webhook(url, key, envelope, message, now),
            To::Twilio { base, account, from, user, password } => {
                let form = twilio(message, from, envelope.expires - now);
                let resource = if message.channel == Channel::Voice { "Calls" } else { "Messages" };
                self.client
                    .post(format!("{base}/2010-04-01/Accounts/{account}/{resource}.json"))
                    .basic_auth(user, Some(password.expose()))
                    .header("i-twilio-idempotency-token", envelope.id)
                    .form(&form)
            }
        };
        match request.send().await {
            Ok(response) => outcome(response.status()),
            Err(error) if error.is_timeout() => Outcome::Later("the provider did not answer in time".to_owned()),
            Err(_) => Outcome::Later("the provider could not be reached".to_owned()),
        }
    }

    /// A webhook after the convention of Standard Webhooks: any of its libraries verifies it.
    fn webhook(
        &self,
        url: &str,
        key: &hmac::Key,
        envelope: &Envelope<'_>,
        message: &Outgoing,
        now: Seconds,
    ) -> RequestBuilder {
        let body = json!({
            "type": "message.send",
            "id": envelope.id,
            "channel": message.channel.as_str(),
            "to": message.to,
            "text": message.text.expose(),
            "created": envelope.created,
            "expires": envelope.expires,
        })
        .to_string();
        let signature = sign(key, envelope.id, now, &body);
        self.client
            .post(url)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .header("idempotency-key", envelope.id)
            .header("webhook-id", envelope.id)
            .header("webhook-timestamp", now.to_string())
            .header("webhook-signature", signature)
            .body(body)
    }
}

/// `v1,` and the base64 of HMAC-SHA256 over `{id}.{timestamp}.{body}`.
pub(crate) fn sign(key: &hmac::Key, id: &str, at: Seconds, body: &str) -> String {
    let tag = hmac::sign(key, format!("{id}.{at}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag.as_ref()))
}

fn twilio<'a>(message: &'a Outgoing, from: &'a str, left: Seconds) -> Vec<(&'static str, String)> {
    let mut form = vec![("To", message.to.clone())];
    // A messaging service chooses the number itself.
    form.push((if from.starts_with("MG") { "MessagingServiceSid" } else { "From" }, from.to_owned()));
    if message.channel == Channel::Voice {
        form.push(("Twiml", format!("<Response><Say>{}</Say></Response>", escape(message.text.expose()))));
    } else {
        form.push(("Body", message.text.expose().clone()));
        form.push(("ValidityPeriod", left.clamp(1, 14_400).to_string()));
    }
    form
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// What an answer means. Its text is left out: it may repeat the recipient.
fn outcome(status: StatusCode) -> Outcome {
    let reason = || format!("the provider answered {}", status.as_u16());
    match status.as_u16() {
        200..=299 => Outcome::Delivered,
        // About this message: it will not be sent however often it is asked for.
        400 | 409 | 410 | 413 | 415 | 422 => Outcome::Never(reason()),
        // About us, or about now: credentials, addresses, limits, an outage.
        _ => Outcome::Later(reason()),
    }
}

fn secret(path: &Path) -> Result<Vec<u8>, HttpError> {
    let text = read(path)?;
    signing_secret(&text).ok_or_else(|| HttpError::Secret(path.display().to_string()))
}

/// The bytes of a secret that webhooks are signed with, written as `whsec_` and base64; none if it is too short or not that.
pub(crate) fn signing_secret(text: &str) -> Option<Vec<u8>> {
    let encoded = text.trim().strip_prefix("whsec_")?;
    STANDARD.decode(encoded).ok().filter(|bytes| bytes.len() >= SHORTEST_SECRET)
}

fn read(path: &Path) -> Result<zeroize::Zeroizing<String>, HttpError> {
    let unreadable = |source| HttpError::Unreadable { path: path.display().to_string(), source };
    std::fs::read_to_string(path).map(zeroize::Zeroizing::new).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the convention's own documentation.
    #[test]
    fn a_webhook_is_signed_as_the_convention_says() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap_or_default();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let signature = sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_spoken_cannot_become_markup() {
        assert_eq!(escape("a <Dial> & b"), "a &lt;Dial&gt; &amp; b");
    }

    #[test]
    fn only_what_is_about_the_message_ends_it() {
        assert_eq!(outcome(StatusCode::CREATED), Outcome::Delivered);
        assert!(matches!(outcome(StatusCode::BAD_REQUEST), Outcome::Never(_)));
        for status in [401, 403, 404, 408, 429, 500, 503] {
            assert!(matches!(StatusCode::from_u16(status).map(outcome), Ok(Outcome::Later(_))), "{status}");
        }
    }
}
