//! What a hand does until the server is gone. The ledger is written before a request is sent and after its answer is
//! there, so that it is right whenever the work ends.

use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use crate::api::{Api, Lost, Said, client_assertion, text};
use crate::chance::Chance;
use crate::ledger::{Fate, Hand, Line, Minted, Once};

/// Works until an answer is lost.
pub async fn work(api: Api, hand: Hand, chance: Chance, acknowledged: UnboundedSender<()>) -> Hand {
    let mut worker = Worker { api, hand, chance, acknowledged };
    while worker.step().await.is_ok() {}
    worker.hand
}

struct Worker {
    api: Api,
    hand: Hand,
    chance: Chance,
    acknowledged: UnboundedSender<()>,
}

impl Worker {
    async fn step(&mut self) -> Result<(), Lost> {
        match self.chance.below(100) {
            0..20 => self.mint().await,
            20..35 => self.begin().await,
            35..60 => self.sign_in().await,
            60..80 => self.turn().await,
            80..84 => self.revoke_token().await,
            84..88 => self.revoke_line().await,
            _ => self.mint_signed().await,
        }
    }

    fn heard(&self) {
        // Nobody listens any more once the kill was decided.
        let _ = self.acknowledged.send(());
    }

    async fn mint(&mut self) -> Result<(), Lost> {
        let body = self.api.mint().await?.ok();
        self.heard();
        self.hand.minted.push(Minted { token: text(&body, "access_token"), own: true, fate: Fate::Live });
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), Lost> {
        let body = self.api.begin().await?.ok();
        self.heard();
        assert_eq!(body["scope"], "mfa_challenge", "{body}");
        self.hand.begun.push(text(&body, "access_token"));
        Ok(())
    }

    /// A sign-in from its beginning; one in four keeps its assertion for another time, one in four presents it twice
    /// at once.
    async fn sign_in(&mut self) -> Result<(), Lost> {
        self.begin().await?;
        let challenge = self.hand.begun.pop().expect("one was just begun");
        self.hand.trying.push(challenge.clone());
        let body = self.api.password(&challenge, &self.hand.person).await?.ok();
        self.heard();
        self.hand.trying.pop();
        let at = self.hand.proofs.len();
        self.hand.proofs.push(Once::new(text(&body, "assertion"), Some(challenge)));
        match self.chance.below(4) {
            0 => Ok(()),
            1 => {
                let jwt = self.sending(at, 2);
                let (one, other) = tokio::join!(self.api.present(&jwt), self.api.present(&jwt));
                let answered = one.is_ok() && other.is_ok();
                for said in [one, other].into_iter().flatten() {
                    self.presented(at, said);
                }
                assert!(!answered || self.hand.proofs[at].won == 1, "of two presentations one must be taken");
                if answered { Ok(()) } else { Err(Lost) }
            }
            _ => {
                let jwt = self.sending(at, 1);
                let said = self.api.present(&jwt).await?;
                self.presented(at, said);
                assert_eq!(self.hand.proofs[at].won, 1, "a fresh assertion was refused");
                Ok(())
            }
        }
    }

    fn sending(&mut self, at: usize, times: usize) -> String {
        let once = &mut self.hand.proofs[at];
        once.sent += times;
        once.jwt.clone()
    }

    fn presented(&mut self, at: usize, said: Said) {
        self.heard();
        if let Some(body) = said.tokens_or_spent() {
            self.hand.proofs[at].win();
            self.hand.lines.push(line(&body));
        }
    }

    /// Refreshes; one in four pretends that the answer was lost and asks again.
    async fn turn(&mut self) -> Result<(), Lost> {
        let Some(at) = self.chance.one_of(&self.live_lines()) else { return self.sign_in().await };
        let again = self.chance.one_in(4);
        let line = &mut self.hand.lines[at];
        line.turning = true;
        let presented = line.refresh.last().expect("a line has a token").clone();
        let body = self.api.refresh(&presented).await?.ok();
        self.heard();
        self.hand.lines[at].take(&body);
        if again {
            let repeated = self.api.refresh(&presented).await?.ok();
            self.heard();
            assert_eq!(repeated["refresh_token"], body["refresh_token"], "a lost answer is given again");
        }
        Ok(())
    }

    async fn revoke_token(&mut self) -> Result<(), Lost> {
        let live: Vec<usize> = positions(&self.hand.minted, |minted| minted.own && minted.fate == Fate::Live);
        let Some(at) = self.chance.one_of(&live) else { return self.mint().await };
        let minted = &mut self.hand.minted[at];
        minted.fate = Fate::Unheard;
        self.api.revoke(&minted.token).await?.ok();
        minted.fate = Fate::Dead;
        self.heard();
        Ok(())
    }

    async fn revoke_line(&mut self) -> Result<(), Lost> {
        let Some(at) = self.chance.one_of(&self.live_lines()) else { return self.sign_in().await };
        let line = &mut self.hand.lines[at];
        line.fate = Fate::Unheard;
        let token = line.refresh.last().expect("a line has a token");
        self.api.revoke(token).await?.ok();
        line.fate = Fate::Dead;
        self.heard();
        Ok(())
    }

    async fn mint_signed(&mut self) -> Result<(), Lost> {
        let jwt = client_assertion();
        let at = self.hand.signed.len();
        self.hand.signed.push(Once { sent: 1, ..Once::new(jwt.clone(), None) });
        let body = self.api.mint_signed(&jwt).await?.ok();
        self.heard();
        self.hand.signed[at].win();
        self.hand.minted.push(Minted { token: text(&body, "access_token"), own: false, fate: Fate::Live });
        if self.chance.one_in(4) {
            self.hand.signed[at].sent += 1;
            self.api.mint_signed(&jwt).await?.spent();
            self.heard();
        }
        Ok(())
    }

    fn live_lines(&self) -> Vec<usize> {
        positions(&self.hand.lines, |line| line.fate == Fate::Live && !line.turning)
    }
}

fn positions<T>(all: &[T], wanted: impl Fn(&T) -> bool) -> Vec<usize> {
    all.iter().enumerate().filter(|(_, one)| wanted(one)).map(|(at, _)| at).collect()
}

/// The line that begins with these tokens.
pub fn line(body: &Value) -> Line {
    let mut line = Line { refresh: Vec::new(), access: Vec::new(), turning: false, fate: Fate::Live };
    line.take(body);
    line
}

impl Line {
    /// The tokens of a refresh.
    pub fn take(&mut self, body: &Value) {
        let next = text(body, "refresh_token");
        assert!(!self.refresh.contains(&next), "a refresh token came out twice");
        self.refresh.push(next);
        self.access.push(text(body, "access_token"));
        self.turning = false;
    }
}
