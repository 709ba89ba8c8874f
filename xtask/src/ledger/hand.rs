//! One hand: a client with a person of its own, a ledger of what it was promised, and the ways of asking. What it does
//! is in the modules beside; no hand knows more than a client would.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::browser::Browser;
use super::chance::Chance;
use super::people::Person;
use super::tenant;
use super::tokens::{Line, Minted, Proof};
use super::wire::{Lost, Request, Said, Wire};

/// How long no node may answer before that is a complaint of its own.
const LONGEST_OUTAGE: Duration = Duration::from_secs(150);
/// Things done between two looks at the whole ledger.
const ROUND: u64 = 250;
/// Entries of a kind that are kept for the rest of the run once they were looked at.
const KEPT: usize = 40;

/// Why something was not finished.
pub enum Trouble {
    /// Its answer was lost, and what it came to cannot be asked.
    Lost,
    /// A promise was broken.
    Broken(String),
}

impl From<Lost> for Trouble {
    fn from(_: Lost) -> Self {
        Self::Lost
    }
}

/// A broken promise, with the answer that shows it.
pub fn broken<T>(what: &str, said: &Said) -> Result<T, Trouble> {
    Err(Trouble::Broken(format!("{what}: {}", said.account())))
}

/// Whether something should still be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was acknowledged.
    Live,
    /// Its end was acknowledged.
    Dead,
}

/// A hand and its ledger.
pub struct Hand {
    /// Its number.
    pub number: usize,
    /// The way to the nodes.
    pub wire: Wire,
    /// What it does next.
    pub chance: Chance,
    /// Tokens of clients' own.
    pub minted: Vec<Minted>,
    /// Challenge tokens of sign-ins that were begun.
    pub begun: Vec<String>,
    /// Assertions that were not presented yet.
    pub proofs: Vec<Proof>,
    /// Grants with their tokens.
    pub lines: Vec<Line>,
    /// Its person's browser.
    pub browser: Browser,
    /// People it made.
    pub people: Vec<Person>,
    /// Tokens it administers with.
    pub provisioning: Option<String>,
    /// The same for factors.
    pub helpdesk: Option<String>,
    serial: u64,
}

impl Hand {
    /// A hand with an empty ledger.
    pub fn new(number: usize, wire: Wire, chance: Chance) -> Self {
        Self {
            number,
            wire,
            chance,
            minted: Vec::new(),
            begun: Vec::new(),
            proofs: Vec::new(),
            lines: Vec::new(),
            browser: Browser::default(),
            people: Vec::new(),
            provisioning: None,
            helpdesk: None,
            serial: 0,
        }
    }

    /// Works until it is told to stop. An error is a broken promise.
    pub async fn work(&mut self, stop: Arc<AtomicBool>) -> Result<(), String> {
        let mut done = 0;
        while !stop.load(Ordering::Relaxed) {
            match self.step().await {
                Ok(()) | Err(Trouble::Lost) => {}
                Err(Trouble::Broken(what)) => return Err(self.sign(&what)),
            }
            done += 1;
            if done % ROUND == 0 {
                self.audit().await?;
                self.forget();
            }
        }
        Ok(())
    }

    async fn step(&mut self) -> Result<(), Trouble> {
        match self.chance.below(100) {
            0..8 => self.mint("app").await,
            8..14 => self.mint("jwt").await,
            14..19 => self.mint_signed().await,
            19..24 => self.begin().await,
            24..36 => self.sign_in().await,
            36..56 => self.turn().await,
            56..60 => self.revoke_token().await,
            60..63 => self.revoke_line().await,
            63..65 => self.reuse().await,
            65..75 => self.code().await,
            75..79 => self.consent().await,
            79..84 => self.make_person().await,
            84..90 => self.change_person().await,
            90..93 => self.enrol().await,
            93..96 => self.guess().await,
            96..98 => self.switch_off().await,
            _ => self.remove_person().await,
        }
    }

    /// Asks after everything in the ledger. An error is a broken promise.
    pub async fn audit(&mut self) -> Result<(), String> {
        let done = async {
            self.audit_tokens().await?;
            self.audit_browser().await?;
            self.audit_people().await
        };
        match done.await {
            Ok(()) => Ok(()),
            Err(Trouble::Lost) => Err(self.sign("a question was given up")),
            Err(Trouble::Broken(what)) => Err(self.sign(&what)),
        }
    }

    /// Keeps the newest entries; the others were looked at.
    fn forget(&mut self) {
        cut(&mut self.minted);
        cut(&mut self.begun);
        cut(&mut self.proofs);
        cut(&mut self.lines);
        cut(&mut self.people);
    }

    fn sign(&self, what: &str) -> String {
        format!("hand {}: {what}", self.number)
    }

    /// Any node.
    pub fn node(&mut self) -> usize {
        let nodes = self.wire.nodes();
        self.chance.index(nodes)
    }

    /// Sends it once.
    pub async fn ask(&mut self, request: &Request) -> Result<Said, Trouble> {
        let node = self.node();
        self.ask_at(node, request).await
    }

    /// Sends it once, to this node.
    pub async fn ask_at(&self, node: usize, request: &Request) -> Result<Said, Trouble> {
        let said = self.wire.send(node, request).await?;
        // 503 was an honest "not now"; anything else above is a bug.
        if said.status >= 500 { broken("a server error", &said) } else { Ok(said) }
    }

    /// Sends it until some node answers, as a client does that wants to know.
    pub async fn insist(&mut self, request: &Request) -> Result<Said, Trouble> {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(10);
        loop {
            match self.ask(request).await {
                Err(Trouble::Lost) if begun.elapsed() < LONGEST_OUTAGE => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(300));
                }
                Err(Trouble::Lost) => return Err(Trouble::Broken("no node answers any more".to_owned())),
                done => return done,
            }
        }
    }

    /// One more promise was looked at.
    pub fn check(&self, holds: bool, what: impl FnOnce() -> String) -> Result<(), Trouble> {
        self.wire.tally.checks.fetch_add(1, Ordering::Relaxed);
        if holds { Ok(()) } else { Err(Trouble::Broken(what())) }
    }

    /// A name nobody else in this run has.
    pub fn fresh_name(&mut self, kind: &str) -> String {
        self.serial += 1;
        format!("{kind}-{}-{}", self.number, self.serial)
    }

    /// A form of a client that proves itself by its secret.
    pub fn form_of(client: &str, path: &str, more: &[(&str, &str)]) -> Request {
        let mut pairs = vec![("client_id", client), ("client_secret", tenant::SECRET)];
        pairs.extend(more);
        Request::form(path, &pairs)
    }
}

fn cut<T>(all: &mut Vec<T>) {
    let over = all.len().saturating_sub(KEPT);
    all.drain(..over);
}

/// A text of a JSON answer.
pub fn text(body: &Value, name: &str) -> Result<String, Trouble> {
    let found = body[name].as_str().map(str::to_owned);
    found.ok_or_else(|| Trouble::Broken(format!("no `{name}` in {body}")))
}

/// Seconds since 1970 by the machine's clock.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(0)
}
