//! The phone behind the commands: its file, its tokens and its calls. Owns the terminal's side of docs/device-protocol.md.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::hmac;
use reqwest::{Client, Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::key::{ALGORITHM, Key};
use super::{Failure, strange};

/// Longer than a question for what is new may wait.
const TIMEOUT: Duration = Duration::from_secs(40);

/// What the file holds.
#[derive(Serialize, Deserialize)]
struct Phone {
    id: String,
    service: String,
    registration: String,
    transactions: String,
    /// Where keys are enrolled.
    keys: String,
    access: String,
    refresh: String,
    /// The enrolment its key signs for.
    method: String,
    /// PKCS#8, base64.
    key: String,
    /// The key that takes the place of the other: on its way, and perhaps in force already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_key: Option<String>,
    /// The `otpauth:` address of its generator of codes, where it was given one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generator: Option<String>,
}

/// What the text of a picture invites to.
struct Invitation {
    code: String,
    registration: String,
    account: Value,
    /// It is to approve; otherwise it has codes alone.
    approves: bool,
}

/// The phone and its way to the server.
pub(super) struct Device {
    client: Client,
    phone: Phone,
    file: PathBuf,
}

impl Device {
    pub(super) fn open(file: &Path) -> Result<Self, Failure> {
        let text =
            std::fs::read_to_string(file).map_err(|error| Failure::Told(format!("`{}`: {error}", file.display())))?;
        let phone = serde_json::from_str(&text)
            .map_err(|_| Failure::Told(format!("`{}` does not hold a phone", file.display())))?;
        Ok(Self { client: client()?, phone, file: file.to_owned() })
    }

    /// Takes up an invitation, the text of the picture.
    pub(super) async fn register(invitation: &str, name: &str, file: &Path) -> Result<Self, Failure> {
        let unusable = || Failure::Told("the invitation is not the text of a registration picture".to_owned());
        let invitation = Invitation::read(invitation.trim()).ok_or_else(unusable)?;
        let (code, uri) = (&invitation.code, &invitation.registration);
        let client = client()?;
        let attributes = json!({
            "accountName": invitation.account, "deviceName": name, "deviceType": "terminal",
            "platformType": std::env::consts::OS, "applicationId": "countersign-phone",
            "applicationVersion": env!("CARGO_PKG_VERSION"), "fingerprintSupport": false, "faceSupport": false,
        });
        let uri_with = format!("{uri}?metadataInResponse=true&skipTotpEnrollment=true");
        let body = json!({ "code": code, "attributes": attributes });
        let made = read(request(&client, Method::POST, &uri_with, None, &body).await?)?;
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| strange("registration"));
        let metadata = &made["metadata"];
        let key = Key::generate()?;
        let mut phone = Phone {
            id: text(&made["id"])?,
            service: metadata["serviceName"].as_str().unwrap_or("the service").to_owned(),
            registration: uri.clone(),
            transactions: text(&metadata["transactionUri"])?,
            keys: text(&metadata["authenticationMethods"]["signature_userPresence"]["enrollmentUri"])?,
            access: text(&made["accessToken"])?,
            refresh: text(&made["refreshToken"])?,
            method: String::new(),
            key: key.kept()?,
            next_key: None,
            generator: made["otpauthUri"].as_str().map(str::to_owned),
        };
        let keys = keys(&phone.id, &key, None)?;
        if invitation.approves {
            let enrolled = read(request(&client, Method::POST, &phone.keys, Some(&phone.access), &keys).await?)?;
            phone.method = text(&enrolled[0]["id"])?;
        }
        let mut device = Self { client, phone, file: file.to_owned() };
        device.keep()?;
        // The first renewal tells the server that the phone has everything it was given.
        device.renew().await?;
        Ok(device)
    }

    pub(super) fn id(&self) -> &str {
        &self.phone.id
    }

    /// The code its generator shows at this moment, seconds since 1970.
    pub(super) fn code(&self, now: i64) -> Result<String, Failure> {
        let none = || Failure::Told("the phone was given no generator of codes".to_owned());
        generate(self.phone.generator.as_deref().ok_or_else(none)?, now).ok_or_else(|| strange("registration"))
    }

    pub(super) fn service(&self) -> &str {
        &self.phone.service
    }

    /// Readable by its owner alone: whoever has the file is the phone.
    fn keep(&self) -> Result<(), Failure> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let text = serde_json::to_string_pretty(&self.phone).map_err(|error| Failure::Told(error.to_string()))?;
        let beside = self.file.with_extension("new");
        let written = std::fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut out| out.write_all(text.as_bytes()).and_then(|()| out.sync_all()))
            .and_then(|()| std::fs::rename(&beside, &self.file));
        written.map_err(|error| Failure::Told(format!("`{}`: {error}", self.file.display())))
    }

    async fn renew(&mut self) -> Result<(), Failure> {
        read(self.renewed().await?).map(drop)
    }

    /// New tokens, kept; the answer in any case.
    async fn renewed(&mut self) -> Result<(StatusCode, String), Failure> {
        let body = json!({ "refreshToken": self.phone.refresh });
        let answer = request(&self.client, Method::POST, &self.phone.registration, None, &body).await?;
        if answer.0.is_success() {
            let made: Value = serde_json::from_str(&answer.1).unwrap_or_default();
            let text = |name: &str| made[name].as_str().map(str::to_owned).ok_or_else(|| strange("renewal"));
            self.phone.access = text("accessToken")?;
            self.phone.refresh = text("refreshToken")?;
            self.keep()?;
        }
        Ok(answer)
    }

    /// A call under the access token, which is renewed where it has run out.
    async fn ask(&mut self, method: Method, uri: &str, body: &Value) -> Result<(StatusCode, String), Failure> {
        let answer = request(&self.client, method.clone(), uri, Some(&self.phone.access), body).await?;
        if answer.0 != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let renewed = self.renewed().await?;
        if !renewed.0.is_success() {
            return Ok(renewed);
        }
        request(&self.client, method, uri, Some(&self.phone.access), body).await
    }

    async fn call(&mut self, method: Method, uri: &str, body: &Value) -> Result<Value, Failure> {
        read(self.ask(method, uri, body).await?)
    }

    pub(super) async fn waiting(&mut self) -> Result<Vec<Value>, Failure> {
        let uri = self.phone.transactions.clone();
        self.listed(&uri).await
    }

    /// What waits once it is something else than `known`, or when the time is over.
    pub(super) async fn news(&mut self, known: &str, within: Duration) -> Result<Vec<Value>, Failure> {
        let uri = format!("{}?wait={}&known={known}", self.phone.transactions, within.as_secs());
        self.listed(&uri).await
    }

    async fn listed(&mut self, uri: &str) -> Result<Vec<Value>, Failure> {
        let list = self.call(Method::GET, uri, &Value::Null).await?;
        list["verifications"].as_array().cloned().ok_or_else(|| strange("list"))
    }

    pub(super) async fn find(&mut self, id: &str) -> Result<Value, Failure> {
        let mut all = self.waiting().await?;
        all.retain(|one| one["id"].as_str().is_some_and(|known| known.starts_with(id)));
        all.pop().filter(|_| !id.is_empty()).ok_or_else(|| Failure::Told(format!("`{id}` does not wait")))
    }

    pub(super) async fn approve(&mut self, transaction: &Value, number: Option<&str>) -> Result<(), Failure> {
        let data = transaction["transactionData"].as_str().ok_or_else(|| strange("list"))?;
        let signed = number.map_or_else(|| data.to_owned(), |number| format!("{data}\n{number}"));
        let mut more = json!({ "signedData": Key::read(&self.phone.key)?.sign(&signed)? });
        if let Some(number) = number {
            more["numberMatch"] = json!(number);
        }
        self.say(transaction, "VERIFY_ATTEMPT", more).await
    }

    pub(super) async fn say(&mut self, transaction: &Value, action: &str, mut more: Value) -> Result<(), Failure> {
        more["id"] = json!(self.phone.method);
        more["userAction"] = json!(action);
        let id = transaction["id"].as_str().ok_or_else(|| strange("list"))?;
        let uri = format!("{}/{id}", self.phone.transactions);
        self.call(Method::POST, &uri, &json!([more])).await.map(drop)
    }

    /// Begins the sign-in of a picture.
    pub(super) async fn scan(&mut self, picture: &str) -> Result<(), Failure> {
        let unusable = || Failure::Told("this is not the text of the picture of a sign-in".to_owned());
        let picture: Value = serde_json::from_str(picture).map_err(|_| unusable())?;
        let (Some(code), Some(uri)) = (picture["code"].as_str(), picture["loginUri"].as_str()) else {
            return Err(unusable());
        };
        // The token is shown to nobody but the server it is of.
        if origin(uri) != origin(&self.phone.registration) {
            return Err(Failure::Told(format!("the picture is not of {}", self.phone.service)));
        }
        self.call(Method::POST, uri, &json!({ "lsi": code })).await.map(drop)
    }

    /// Exchanges the key. The new one is kept before it is sent: where the answer is lost, doing it again finds out which is in force.
    pub(super) async fn rotate(&mut self) -> Result<(), Failure> {
        let next = match &self.phone.next_key {
            Some(kept) => Key::read(kept)?,
            None => {
                let next = Key::generate()?;
                self.phone.next_key = Some(next.kept()?);
                self.keep()?;
                next
            }
        };
        let (uri, current) = (self.phone.keys.clone(), Key::read(&self.phone.key)?);
        let body = keys(&self.phone.id, &next, Some(&current))?;
        let mut answer = self.ask(Method::POST, &uri, &body).await?;
        if answer.0 == StatusCode::BAD_REQUEST {
            let body = keys(&self.phone.id, &next, Some(&next))?;
            answer = self.ask(Method::POST, &uri, &body).await?;
        }
        let enrolled = read(answer)?;
        self.phone.method = enrolled[0]["id"].as_str().map(str::to_owned).ok_or_else(|| strange("exchange"))?;
        self.phone.key = next.kept()?;
        self.phone.next_key = None;
        self.keep()
    }

    /// Removes the phone at the server, then its file. One that the server does not know any more is gone all the same.
    pub(super) async fn remove(mut self) -> Result<(), Failure> {
        let uri = self.phone.transactions.clone();
        let uri = uri.strip_suffix("/verifications").ok_or_else(|| strange("registration"))?;
        let answer = self.ask(Method::DELETE, uri, &Value::Null).await?;
        if !matches!(answer.0, StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND) {
            read(answer)?;
        }
        std::fs::remove_file(&self.file).map_err(|error| Failure::Told(format!("`{}`: {error}", self.file.display())))
    }
}

impl Invitation {
    /// The text of a picture: an object, or the address that Oracle's pages show.
    fn read(text: &str) -> Option<Self> {
        if !text.starts_with("oraclemobileauthenticator://") {
            let object: Value = serde_json::from_str(text).ok()?;
            return Some(Self {
                code: object["code"].as_str()?.to_owned(),
                registration: object["registrationUri"].as_str()?.to_owned(),
                account: object["accountName"].clone(),
                approves: true,
            });
        }
        let url = reqwest::Url::parse(text).ok()?;
        let parameter =
            |name: &str| url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
        let account = percent_encoding::percent_decode_str(url.path().trim_start_matches('/')).decode_utf8().ok()?;
        Some(Self {
            code: parameter("OTP")?,
            registration: origin(&parameter("LoginURL")?)?.join("/v1.0/authenticators/registration").ok()?.to_string(),
            account: json!(account),
            approves: parameter("ServiceType")?.contains("PUSH"),
        })
    }
}

/// The code of an `otpauth:` address (RFC 6238).
fn generate(address: &str, now: i64) -> Option<String> {
    let url = reqwest::Url::parse(address).ok()?;
    let parameter =
        |name: &str| url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
    let number = |name: &str, usual: u32| parameter(name).map_or(Some(usual), |value| value.parse().ok());
    let algorithm = match parameter("algorithm").as_deref() {
        None | Some("SHA1") => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        Some("SHA256") => hmac::HMAC_SHA256,
        Some("SHA512") => hmac::HMAC_SHA512,
        Some(_) => return None,
    };
    let secret = totp_rs::Secret::try_from_base32(&parameter("secret")?).ok()?;
    let (period, digits) = (number("period", 30)?.max(1), number("digits", 6)?.clamp(6, 9));
    let counter = now.div_euclid(i64::from(period)).to_be_bytes();
    let mac = hmac::sign(&hmac::Key::new(algorithm, secret.as_bytes()), &counter);
    // The dynamic truncation of RFC 4226 §5.3.
    let offset = usize::from(mac.as_ref().last()? & 15);
    let word = u32::from_be_bytes(mac.as_ref().get(offset..offset + 4)?.try_into().ok()?) & 0x7fff_ffff;
    Some(format!("{:0width$}", word % 10_u32.pow(digits), width = digits as usize))
}

/// The body that enrols a key, vouched for by another where one is there.
fn keys(device: &str, key: &Key, by: Option<&Key>) -> Result<Value, Failure> {
    let public = key.public()?;
    let mut attributes = json!({ "algorithm": ALGORITHM, "publicKey": public, "signedData": key.sign(device)? });
    if let Some(by) = by {
        attributes["vouchedData"] = json!(by.sign(&format!("{device}\n{public}"))?);
    }
    Ok(json!([{ "subType": "userPresence", "enabled": true, "attributes": attributes }]))
}

fn origin(uri: &str) -> Option<reqwest::Url> {
    reqwest::Url::parse(uri).ok()?.join("/").ok()
}

fn client() -> Result<Client, Failure> {
    let built = Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(TIMEOUT).build();
    built.map_err(|error| Failure::Told(error.to_string()))
}

async fn request(
    client: &Client,
    method: Method,
    uri: &str,
    token: Option<&str>,
    body: &Value,
) -> Result<(StatusCode, String), Failure> {
    let mut request = client.request(method, uri);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if !body.is_null() {
        request = request.json(body);
    }
    let unreached = |error: reqwest::Error| Failure::Told(format!("the server cannot be reached: {error}"));
    let response = request.send().await.map_err(unreached)?;
    Ok((response.status(), response.text().await.map_err(unreached)?))
}

fn read((status, text): (StatusCode, String)) -> Result<Value, Failure> {
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    if status.is_success() {
        return Ok(body);
    }
    let told = body["messageDescription"].as_str().unwrap_or("no reason was given");
    Err(Failure::Told(format!("the server refused ({}): {told}", status.as_u16())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_invitation_is_read_in_both_forms() {
        let ours = r#"{"code":"kL9","registrationUri":"https://a.test/v1.0/authenticators/registration","accountName":"scott"}"#;
        let read = Invitation::read(ours).unwrap();
        assert_eq!((read.code.as_str(), read.approves, &read.account), ("kL9", true, &json!("scott")));
        let oracle = "oraclemobileauthenticator://totp/t%2Euser%40example%2Ecom?issuer=demo&Deviceid=11aa&RequestId=22bb&\
                      LoginURL=https%3A%2F%2Fa%2Etest%3A8443%2Fsso%2Fv1%2F&OTP=aaa.bbb.ccc&ServiceType=TOTP%2BPUSH&SSE=Base32";
        let read = Invitation::read(oracle).unwrap();
        assert_eq!(read.registration, "https://a.test:8443/v1.0/authenticators/registration");
        assert_eq!((read.code.as_str(), read.approves), ("aaa.bbb.ccc", true));
        assert_eq!(read.account, json!("t.user@example.com"));
        assert!(!Invitation::read(&oracle.replace("%2BPUSH", "")).unwrap().approves);
        for strange in ["", "{}", "https://a.test/?OTP=1", "oraclemobileauthenticator://totp/x?OTP=1"] {
            assert!(Invitation::read(strange).is_none(), "{strange}");
        }
    }

    /// RFC 6238 appendix B.
    #[test]
    fn codes_are_those_of_the_standard() {
        let address = "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&digits=8";
        assert_eq!(generate(address, 59).unwrap(), "94287082");
        assert_eq!(generate(address, 1_111_111_109).unwrap(), "07081804");
        assert_eq!(generate("otpauth://totp/x?digits=8", 59), None);
    }
}
