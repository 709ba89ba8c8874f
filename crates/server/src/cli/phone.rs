//! `phone`: a phone in the terminal. Speaks the open device protocol (docs/device-protocol.md) and nothing else: it is a client of
//! the server like any other phone, and knows none of its modules.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use reqwest::{Client, Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Failure, block_on, print};

/// How often it is asked what waits.
const PAUSE: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Subcommand)]
pub(super) enum PhoneCommand {
    /// Register this terminal as a phone: takes the text of the QR picture that the server shows
    #[command(
        after_help = "Example:\n  countersign phone register '{\"code\":\"…\",\"registrationUri\":\"…\"}' --phone phone.json"
    )]
    Register {
        /// The text of the picture, or `-` to read it from standard input
        #[arg(value_name = "INVITATION")]
        invitation: String,
        /// What the phone is called
        #[arg(long, value_name = "NAME", default_value = "terminal")]
        name: String,
        #[command(flatten)]
        kept: Kept,
    },
    /// Show what waits to be approved
    List {
        #[command(flatten)]
        kept: Kept,
    },
    /// Approve a request
    Approve {
        /// Its id, or how it begins
        #[arg(value_name = "ID")]
        id: String,
        /// The number that the page shows, where it shows one
        #[arg(long, value_name = "NUMBER")]
        number: Option<String>,
        #[command(flatten)]
        kept: Kept,
    },
    /// Deny a request
    Deny {
        /// Its id, or how it begins
        #[arg(value_name = "ID")]
        id: String,
        /// It was somebody else's
        #[arg(long)]
        fraud: bool,
        #[command(flatten)]
        kept: Kept,
    },
    /// Wait for requests and show them as they come
    Watch {
        /// Approve everything at once: for tests, never for a person
        #[arg(long)]
        auto: bool,
        #[command(flatten)]
        kept: Kept,
    },
}

#[derive(Args)]
pub(super) struct Kept {
    /// The file that holds the phone's key and tokens
    #[arg(long = "phone", value_name = "FILE", default_value = "phone.json")]
    file: PathBuf,
}

/// What the file holds.
#[derive(Serialize, Deserialize)]
struct Phone {
    id: String,
    service: String,
    registration: String,
    transactions: String,
    access: String,
    refresh: String,
    /// The enrolment its key signs for.
    method: String,
    /// PKCS#8, base64.
    key: String,
}

pub(super) fn run(command: PhoneCommand) -> Result<(), Failure> {
    block_on(async {
        match command {
            PhoneCommand::Register { invitation, name, kept } => register(&invitation, &name, &kept.file).await,
            PhoneCommand::List { kept } => {
                let mut device = Device::open(&kept.file)?;
                let waiting = device.waiting().await?;
                if waiting.is_empty() {
                    return print("nothing waits\n");
                }
                waiting.iter().try_for_each(|one| print(&describe(one)))
            }
            PhoneCommand::Approve { id, number, kept } => {
                let mut device = Device::open(&kept.file)?;
                let one = device.find(&id).await?;
                device.approve(&one, number.as_deref()).await?;
                print("approved\n")
            }
            PhoneCommand::Deny { id, fraud, kept } => {
                let mut device = Device::open(&kept.file)?;
                let one = device.find(&id).await?;
                device.say(&one, if fraud { "USER_FRAUDULENT" } else { "USER_DENIED" }, json!({})).await?;
                print("denied\n")
            }
            PhoneCommand::Watch { auto, kept } => watch(Device::open(&kept.file)?, auto).await,
        }
    })
}

async fn register(invitation: &str, name: &str, file: &Path) -> Result<(), Failure> {
    if file.exists() {
        return Err(Failure::Told(format!("`{}` holds a phone already", file.display())));
    }
    let mut text = invitation.to_owned();
    if invitation == "-" {
        text = std::io::read_to_string(std::io::stdin()).map_err(|error| Failure::Told(error.to_string()))?;
    }
    let unusable = || Failure::Told("the invitation is not the text of a registration picture".to_owned());
    let invitation: Value = serde_json::from_str(&text).map_err(|_| unusable())?;
    let (Some(code), Some(uri)) = (invitation["code"].as_str(), invitation["registrationUri"].as_str()) else {
        return Err(unusable());
    };
    let client = client()?;
    let attributes = json!({
        "accountName": invitation["accountName"], "deviceName": name, "deviceType": "terminal",
        "platformType": std::env::consts::OS, "applicationId": "countersign-phone",
        "applicationVersion": env!("CARGO_PKG_VERSION"), "fingerprintSupport": false, "faceSupport": false,
    });
    let uri_with = format!("{uri}?metadataInResponse=true&skipTotpEnrollment=true");
    let made = call(&client, Method::POST, &uri_with, None, &json!({ "code": code, "attributes": attributes })).await?;
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| strange("registration"));
    let metadata = &made["metadata"];
    let (id, access) = (text(&made["id"])?, text(&made["accessToken"])?);
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| Failure::Told(NO_KEY.to_owned()))?;
    let public =
        AsDer::<PublicKeyX509Der<'_>>::as_der(key.public_key()).map_err(|_| Failure::Told(NO_KEY.to_owned()))?;
    let keys = json!([{ "subType": "userPresence", "enabled": true, "attributes": {
        "algorithm": "SHA256withECDSA", "publicKey": STANDARD.encode(public.as_ref()), "signedData": sign(&key, &id)?,
    } }]);
    let enrolment = text(&metadata["authenticationMethods"]["signature_userPresence"]["enrollmentUri"])?;
    let enrolled = call(&client, Method::POST, &enrolment, Some(&access), &keys).await?;
    let private = key.to_pkcs8v1().map_err(|_| Failure::Told(NO_KEY.to_owned()))?;
    let phone = Phone {
        id,
        service: metadata["serviceName"].as_str().unwrap_or("the service").to_owned(),
        registration: uri.to_owned(),
        transactions: text(&metadata["transactionUri"])?,
        access,
        refresh: text(&made["refreshToken"])?,
        method: text(&enrolled[0]["id"])?,
        key: STANDARD.encode(private.as_ref()),
    };
    let mut device = Device { client, phone, file: file.to_owned() };
    device.keep()?;
    // The first renewal tells the server that the phone has everything it was given.
    device.renew().await?;
    print(&format!("registered with {} as {}\n", device.phone.service, device.phone.id))
}

const NO_KEY: &str = "a key cannot be made";

fn strange(what: &str) -> Failure {
    Failure::Told(format!("the answer of the server to the {what} is not in form"))
}

/// Shows what comes, and settles it where it is told to.
async fn watch(mut device: Device, auto: bool) -> Result<(), Failure> {
    let mut seen = String::new();
    loop {
        for one in device.waiting().await? {
            let id = one["id"].as_str().unwrap_or_default().to_owned();
            if id != seen {
                print(&describe(&one))?;
                seen = id;
                if auto {
                    device.approve(&one, None).await?;
                    print("approved\n")?;
                }
            }
        }
        pause().await;
    }
}

// A program of its own that waits for a person: nothing else waits with it.
#[allow(clippy::disallowed_methods)]
async fn pause() {
    tokio::time::sleep(PAUSE).await;
}

fn describe(transaction: &Value) -> String {
    let data: Value =
        transaction["transactionData"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    // What the server sends on is shown without anything that moves the cursor.
    let plain = |value: &Value| -> String {
        value.as_str().unwrap_or_default().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    };
    let mut text = format!("{}\n  {}\n", plain(&transaction["id"]), plain(&data["message"]));
    for (label, value) in [("from", &data["originIpAddress"]), ("with", &data["originUserAgent"])] {
        if value.as_str().is_some_and(|value| !value.is_empty()) {
            text.push_str(&format!("  {label} {}\n", plain(value)));
        }
    }
    for detail in data["additionalData"].as_array().into_iter().flatten() {
        text.push_str(&format!("  {}: {}\n", plain(&detail["name"]), plain(&detail["value"])));
    }
    if transaction["numberMatchRequired"] == true {
        text.push_str("  approve with the number that the page shows\n");
    }
    text
}

/// The phone and its way to the server.
struct Device {
    client: Client,
    phone: Phone,
    file: PathBuf,
}

impl Device {
    fn open(file: &Path) -> Result<Self, Failure> {
        let text =
            std::fs::read_to_string(file).map_err(|error| Failure::Told(format!("`{}`: {error}", file.display())))?;
        let phone = serde_json::from_str(&text)
            .map_err(|_| Failure::Told(format!("`{}` does not hold a phone", file.display())))?;
        Ok(Self { client: client()?, phone, file: file.to_owned() })
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
        let body = json!({ "refreshToken": self.phone.refresh });
        let made = call(&self.client, Method::POST, &self.phone.registration, None, &body).await?;
        let text = |name: &str| made[name].as_str().map(str::to_owned).ok_or_else(|| strange("renewal"));
        self.phone.access = text("accessToken")?;
        self.phone.refresh = text("refreshToken")?;
        self.keep()
    }

    /// A call under the access token, which is renewed where it has run out.
    async fn call(&mut self, method: Method, uri: &str, body: &Value) -> Result<Value, Failure> {
        match request(&self.client, method.clone(), uri, Some(&self.phone.access), body).await? {
            (StatusCode::UNAUTHORIZED, _) => {
                self.renew().await?;
                call(&self.client, method, uri, Some(&self.phone.access), body).await
            }
            answer => read(answer),
        }
    }

    async fn waiting(&mut self) -> Result<Vec<Value>, Failure> {
        let uri = self.phone.transactions.clone();
        let list = self.call(Method::GET, &uri, &Value::Null).await?;
        list["verifications"].as_array().cloned().ok_or_else(|| strange("list"))
    }

    async fn find(&mut self, id: &str) -> Result<Value, Failure> {
        let mut all = self.waiting().await?;
        all.retain(|one| one["id"].as_str().is_some_and(|known| known.starts_with(id)));
        all.pop().filter(|_| !id.is_empty()).ok_or_else(|| Failure::Told(format!("`{id}` does not wait")))
    }

    async fn approve(&mut self, transaction: &Value, number: Option<&str>) -> Result<(), Failure> {
        let data = transaction["transactionData"].as_str().ok_or_else(|| strange("list"))?;
        let pkcs8 = STANDARD
            .decode(&self.phone.key)
            .map_err(|_| Failure::Told("the key of the phone is damaged".to_owned()))?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8)
            .map_err(|_| Failure::Told("the key of the phone is damaged".to_owned()))?;
        let signed = number.map_or_else(|| data.to_owned(), |number| format!("{data}\n{number}"));
        let mut more = json!({ "signedData": sign(&key, &signed)? });
        if let Some(number) = number {
            more["numberMatch"] = json!(number);
        }
        self.say(transaction, "VERIFY_ATTEMPT", more).await
    }

    async fn say(&mut self, transaction: &Value, action: &str, mut more: Value) -> Result<(), Failure> {
        more["id"] = json!(self.phone.method);
        more["userAction"] = json!(action);
        let id = transaction["id"].as_str().ok_or_else(|| strange("list"))?;
        let uri = format!("{}/{id}", self.phone.transactions);
        self.call(Method::POST, &uri, &json!([more])).await.map(drop)
    }
}

fn sign(key: &EcdsaKeyPair, data: &str) -> Result<String, Failure> {
    let signature = key.sign(&SystemRandom::new(), data.as_bytes());
    signature.map(|made| STANDARD.encode(made.as_ref())).map_err(|_| Failure::Told("nothing can be signed".to_owned()))
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

async fn call(client: &Client, method: Method, uri: &str, token: Option<&str>, body: &Value) -> Result<Value, Failure> {
    read(request(client, method, uri, token, body).await?)
}
