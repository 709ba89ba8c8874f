//! Recorded exchanges of the Authenticate API, one for each row of table 2.4 of the vendor's page at least, replayed word for word. A
//! reader learns the dialect from `exchanges/*.json`.
//!
//! A file names its row and what there is (`world`), and holds steps. `get` begins a dialogue for an application; `send` posts a body;
//! `do` is something that happens elsewhere. `answer` is everything that comes back: no member may be missing, none may be there
//! besides, and lists are in order. `…` stands for something made anew each time. In what is sent stand
//!
//! - `{state}` and `{state 2}` for the newest `requestState` and that of the second answer,
//! - `{code …}` for the code that was sent to an address, `{passcode}` for what the authenticator shows,
//! - `{assertion}` for the answer of a passkey, `{kmsiToken}` for the newest of these.
//!
//! With `COUNTERSIGN_RECORD_EXCHANGES=1` in the environment the answers are written into the files instead, to be read before they are kept.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::factors_push::Phone;
use crate::support::browser::Browser;
use crate::support::oracle::world::{self, passcode};
use crate::support::oracle::{Page, Step};
use crate::support::{Setup, TestServer};
use crate::upstream::{BY_ADDRESS, Partner};
use crate::{oracle_authenticate, oracle_authenticate_push, oracle_enrol};

/// The rows of the table, and what it says below it of codes that are sent again and of steps that failed.
const ROWS: [&str; 20] = [
    "START, password",
    "START, username first",
    "FIRST FACTOR",
    "MFA CHALLENGE, SMS/EMAIL/PHONE_CALL",
    "MFA CHALLENGE, TOTP/SECURITY_QUESTIONS/FIDO",
    "MFA CHALLENGE, PUSH",
    "BACKUP LIST",
    "BACKUP CHALLENGE",
    "ENROL OFFER, optional",
    "ENROL OFFER, required",
    "ENROL PENDING, optional or one already enrolled",
    "ENROL PENDING, required and none enrolled",
    "ENROLLED",
    "ENROL MORE",
    "ACCOUNT RECOVERY OFFER",
    "TERMS OF USE",
    "DONE",
    "resendCode",
    "failed second factor",
    "failed backup",
];
/// What is made anew each time.
const VOLATILE: [&str; 9] =
    ["requestState", "ecId", "authnToken", "trustToken", "kmsiToken", "content", "imageData", "fidoData", "userId"];
const ANY: &str = "…";

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/exchanges"))
}

fn files() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

fn read(path: &PathBuf) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// What there is, and what happens in it.
struct World {
    server: TestServer,
    page: Page,
    phone: Option<Phone>,
    passkey: Option<Browser>,
    scanner: Option<oracle_enrol::Phone>,
    _partner: Option<Partner>,
    answers: Vec<Step>,
}

impl World {
    async fn of(name: &str) -> Self {
        let mut partner = None;
        let server = match name {
            "factors" => oracle_authenticate_push::setup().start().await,
            "terms" => terms(world::setup()).start().await,
            "enrolment" => oracle_enrol::setup().start().await,
            "recovery" => oracle_enrol::with_recovery().start().await,
            "provider" => {
                let other = Partner::start().await;
                let ours = other.ours(BY_ADDRESS, "").await;
                partner = Some(other);
                ours
            }
            other => panic!("no world `{other}`"),
        };
        if name == "terms" {
            server
                .change_client("app-plain", |client| drop(client.extra.insert("termsOfUse".to_owned(), json!("house"))))
                .await;
        }
        let page = server.page().await;
        Self { server, page, phone: None, passkey: None, scanner: None, _partner: partner, answers: Vec::new() }
    }

    fn last(&self, has: &str) -> &Step {
        self.answers.iter().rev().find(|step| step.has(has)).unwrap_or_else(|| panic!("no answer has `{has}`"))
    }

    async fn happens(&mut self, what: &str) {
        match what {
            "a phone is enrolled" => {
                self.phone = Some(Phone::called(&self.server, world::ID, "userPresence", "Test phone").await);
            }
            "questions are set up" => world::questions(&self.server).await,
            "a passkey is registered" => self.passkey = Some(self.server.passkey_of(world::ID).await),
            "the phone approves" => {
                let phone = self.phone.as_ref().unwrap();
                let [waiting] = phone.waiting(&self.server).await.try_into().unwrap();
                phone.approves(&self.server, &waiting).await.expect_empty(204);
            }
            "two minutes go by" => self.server.world.advance(121),
            "a phone scans the picture" => {
                let content = self.last("PUSH").body["PUSH"]["qrCode"]["content"].as_str().unwrap().to_owned();
                let mut phone = oracle_enrol::Phone::scans(&self.server, &content).await;
                phone.enrols_its_key(&self.server).await;
                self.scanner = Some(phone);
            }
            other => panic!("nobody knows how `{other}`"),
        }
    }

    /// What stands for a text between braces.
    async fn filled(&mut self, text: &str) -> String {
        let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
            return text.to_owned();
        };
        let (name, more) = inner.split_once(' ').unwrap_or((inner, ""));
        match name {
            "state" if more.is_empty() => self.last("requestState").state().to_owned(),
            "state" => self.answers[more.parse::<usize>().unwrap() - 1].state().to_owned(),
            "code" => self.server.code(more).await,
            "passcode" => match self
                .answers
                .iter()
                .rev()
                .find_map(|step| step.body["TOTP"]["qrCode"]["content"].as_str().map(str::to_owned))
            {
                Some(content) => oracle_enrol::shows(&self.server, &content),
                None => passcode(&self.server),
            },
            "kmsiToken" => self.last("kmsiToken").body["kmsiToken"].as_str().unwrap().to_owned(),
            "assertion" => {
                let data = self.last("FIDO_AUTHENTICATOR").body["FIDO_AUTHENTICATOR"]["fidoData"].clone();
                oracle_authenticate::answer(self.passkey.as_mut().unwrap(), &data).await
            }
            other => panic!("nothing stands for `{other}`"),
        }
    }

    async fn fill(&mut self, value: &Value) -> Value {
        let mut filled = Map::new();
        for (name, value) in value.as_object().unwrap() {
            let value = match value {
                Value::String(text) => Value::from(self.filled(text).await),
                Value::Object(_) => Box::pin(self.fill(value)).await,
                other => other.clone(),
            };
            filled.insert(name.clone(), value);
        }
        Value::Object(filled)
    }
}

fn terms(setup: Setup) -> Setup {
    setup.replace(
        "[tenant.settings.look]",
        "[tenant.settings.terms.house]\nname = \"House rules\"\nstatements = [\"house-en\"]\n\
         [tenant.settings.terms_statements.house-en]\nlocale = \"en\"\nstatement = \"Be kind.\"\n\n[tenant.settings.look]",
    )
}

/// What came, with `…` in place of what is made anew.
fn kept(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let value = if VOLATILE.contains(&name.as_str()) { json!(ANY) } else { kept(value) };
                (name.clone(), value)
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(all) => all.iter().map(kept).collect(),
        other => other.clone(),
    }
}

#[track_caller]
fn same(said: &Value, recorded: &Value, at: &str) {
    if recorded == ANY {
        let something = !said.is_null() && said.as_str() != Some("");
        assert!(something, "{at}: nothing there");
        return;
    }
    match (said, recorded) {
        (Value::Object(said), Value::Object(recorded)) => {
            let names = |members: &Map<String, Value>| members.keys().cloned().collect::<BTreeSet<_>>();
            assert_eq!(names(said), names(recorded), "{at}");
            for (name, value) in recorded {
                same(&said[name], value, &format!("{at}.{name}"));
            }
        }
        (Value::Array(said), Value::Array(recorded)) => {
            assert_eq!(said.len(), recorded.len(), "{at}");
            for (nth, (said, recorded)) in said.iter().zip(recorded).enumerate() {
                same(said, recorded, &format!("{at}[{nth}]"));
            }
        }
        (said, recorded) => assert_eq!(said, recorded, "{at}"),
    }
}

async fn replay(path: &PathBuf, record: bool) {
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut exchange = read(path);
    let mut world = World::of(exchange["world"].as_str().unwrap()).await;
    for (nth, step) in exchange["steps"].as_array_mut().unwrap().iter_mut().enumerate() {
        if let Some(what) = step.get("do").and_then(Value::as_str) {
            world.happens(what).await;
            continue;
        }
        let said = match step.get("get") {
            Some(application) => world.page.start(application.as_str()).await,
            None => {
                let body = world.fill(&step["send"]).await;
                world.page.send(&body).await
            }
        };
        if record {
            step["status"] = json!(said.status);
            step["answer"] = kept(&said.body);
        } else {
            let at = format!("{name}, step {}", nth + 1);
            assert_eq!(said.status, step["status"], "{at}: {}", said.body);
            same(&said.body, &step["answer"], &at);
        }
        world.answers.push(said);
    }
    if record {
        std::fs::write(path, serde_json::to_string_pretty(&exchange).unwrap() + "\n").unwrap();
    }
}

#[tokio::test]
async fn every_recorded_exchange_is_answered_as_it_is_recorded() {
    let record = std::env::var_os("COUNTERSIGN_RECORD_EXCHANGES").is_some();
    for path in files() {
        replay(&path, record).await;
    }
}

#[test]
fn every_row_of_the_table_is_recorded() {
    let mut seen = BTreeSet::new();
    for path in files() {
        let exchange = read(&path);
        for row in exchange["rows"].as_array().unwrap() {
            seen.insert(row.as_str().unwrap().to_owned());
        }
        let answered = exchange["steps"].as_array().unwrap().iter().filter(|step| step.get("do").is_none());
        assert!(answered.clone().count() > 0, "{path:?}");
        assert!(answered.clone().all(|step| step["answer"].is_object() && step["status"].is_u64()), "{path:?}");
    }
    let rows: BTreeSet<String> = ROWS.iter().map(|row| (*row).to_owned()).collect();
    assert_eq!(seen, rows);
}
