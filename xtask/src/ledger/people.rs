//! People made by SCIM: changed, given factors, guessed at until they rest, switched off and removed.

use serde_json::{Value, json};

use super::hand::{Fate, Hand, Trouble, broken, text};
use super::tenant::{LOCK_AFTER, PASSWORD};
use super::tokens::Line;
use super::wire::{Request, write_pairs};

const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Somebody, as the ledger knows them.
pub struct Person {
    id: String,
    username: String,
    display: String,
    state: State,
    /// Their authenticator application.
    factor: Option<(String, Fate)>,
    /// Wrong passwords sent, and those whose answer came.
    guesses: (u32, u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Active,
    Off,
    Gone,
}

impl Hand {
    async fn provisioning(&mut self) -> Result<String, Trouble> {
        if self.provisioning.is_none() {
            self.provisioning = Some(self.token_of("provisioning").await?);
        }
        Ok(self.provisioning.clone().unwrap_or_default())
    }

    async fn helpdesk(&mut self) -> Result<String, Trouble> {
        if self.helpdesk.is_none() {
            self.helpdesk = Some(self.token_of("helpdesk").await?);
        }
        Ok(self.helpdesk.clone().unwrap_or_default())
    }

    async fn scim(&mut self, method: &str, path: &str, body: &Value) -> Result<super::wire::Said, Trouble> {
        let token = self.provisioning().await?;
        self.insist(&Request::json(method, &format!("/scim/v2{path}"), &token, body)).await
    }

    /// Somebody new. Asked for again where the answer was lost: then the name may be taken already, by them.
    pub async fn make_person(&mut self) -> Result<(), Trouble> {
        let username = self.fresh_name("somebody");
        let display = self.fresh_name("Name");
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": username, "displayName": display, "password": PASSWORD,
        });
        let said = self.scim("POST", "/Users", &body).await?;
        let id = match said.status {
            201 => text(&said.json(), "id")?,
            409 => {
                let filter = format!("userName eq \"{username}\"");
                let path = format!("/Users?{}", write_pairs(&[("filter", &filter)]));
                let found = self.scim("GET", &path, &Value::Null).await?;
                text(&found.json()["Resources"][0], "id")?
            }
            _ => return broken("a person could not be made", &said),
        };
        let (state, guesses) = (State::Active, (0, 0));
        self.people.push(Person { id, username, display, state, factor: None, guesses });
        Ok(())
    }

    fn somebody(&mut self, wanted: impl Fn(&Person) -> bool) -> Option<usize> {
        self.chance.position(&self.people, wanted)
    }

    /// Another name for somebody.
    pub async fn change_person(&mut self) -> Result<(), Trouble> {
        let Some(at) = self.somebody(|person| person.state != State::Gone) else { return self.make_person().await };
        let display = self.fresh_name("Name");
        let operations = json!([{ "op": "replace", "path": "displayName", "value": display }]);
        let body = json!({ "schemas": [PATCH], "Operations": operations });
        let said = self.scim("PATCH", &format!("/Users/{}", self.people[at].id), &body).await?;
        if said.status != 200 {
            return broken("a person could not be changed", &said);
        }
        self.people[at].display = display;
        self.is_as_written(at).await
    }

    /// An authenticator application for somebody, or the end of it.
    pub async fn enrol(&mut self) -> Result<(), Trouble> {
        let Some(at) = self.somebody(|person| person.state == State::Active) else { return self.make_person().await };
        let token = self.helpdesk().await?;
        if let Some((id, Fate::Live)) = self.people[at].factor.clone() {
            let path = format!("/v2.0/factors/totp/{id}");
            let request = Request::json("DELETE", &path, &token, &Value::Null);
            let mut said = self.insist(&request).await?;
            // A request that nobody heard the answer of may still have been under way, and first.
            if said.status == 409 {
                said = self.insist(&request).await?;
            }
            if !matches!(said.status, 204 | 404) {
                return broken("a factor could not be removed", &said);
            }
            self.people[at].factor = Some((id, Fate::Dead));
            return self.is_as_written(at).await;
        }
        let user = self.people[at].id.clone();
        let body = json!({ "userId": user, "accountName": self.people[at].username });
        let said = self.insist(&Request::json("POST", "/v2.0/factors/totp", &token, &body)).await?;
        let id = match said.status {
            201 => text(&said.json(), "id")?,
            // The request before, whose answer was lost, has done it.
            400 => {
                let search = write_pairs(&[("search", &format!("userId=\"{user}\""))]);
                let path = format!("/v2.0/factors/totp?{search}");
                let found = self.insist(&Request::json("GET", &path, &token, &Value::Null)).await?;
                text(&found.json()["totp"][0], "id")?
            }
            _ => return broken("a factor could not be enrolled", &said),
        };
        self.people[at].factor = Some((id, Fate::Live));
        Ok(())
    }

    /// Wrong passwords for somebody: each is charged, wherever it is tried.
    pub async fn guess(&mut self) -> Result<(), Trouble> {
        let Some(at) = self.somebody(|person| person.state == State::Active && person.guesses.1 < LOCK_AFTER) else {
            return self.make_person().await;
        };
        for _ in 0..=self.chance.below(3) {
            let username = self.people[at].username.clone();
            self.people[at].guesses.0 += 1;
            match self.guess_once(&username, "not-the-password").await {
                Ok(said) if (400..500).contains(&said.status) => self.people[at].guesses.1 += 1,
                Ok(said) => return broken("a wrong password was not refused", &said),
                Err(Trouble::Lost) => {}
                Err(broken) => return Err(broken),
            }
        }
        Ok(())
    }

    /// Whether the account rests as what was acknowledged says: after enough wrong passwords, and never before.
    async fn rests(&mut self, at: usize) -> Result<(), Trouble> {
        let Person { username, guesses: (sent, heard), .. } = &self.people[at];
        let (username, sent, heard) = (username.clone(), *sent, *heard);
        if sent == 0 || (sent >= LOCK_AFTER && heard < LOCK_AFTER) {
            return Ok(());
        }
        // Sent once: each try is charged, and a second one could be what makes the account rest.
        let said = match self.guess_once(&username, PASSWORD).await {
            Ok(said) => said,
            Err(Trouble::Lost) => {
                // Nobody heard whether the right password was taken, and with it what was charged before was forgotten.
                self.people[at].guesses = (sent + 1, if heard < LOCK_AFTER { 0 } else { heard });
                return Ok(());
            }
            Err(broken) => return Err(broken),
        };
        if heard >= LOCK_AFTER {
            return self.check(said.status != 200, || "charged guesses were forgotten".to_owned());
        }
        self.check(said.status == 200, || {
            format!("somebody is locked out after {sent} wrong passwords: {}", said.account())
        })?;
        self.people[at].guesses = (0, 0);
        Ok(())
    }

    /// Switches somebody off who is signed in: everything they have ends.
    pub async fn switch_off(&mut self) -> Result<(), Trouble> {
        let Some(at) = self.somebody(|person| person.state == State::Active && person.guesses.0 == 0) else {
            return self.make_person().await;
        };
        let username = self.people[at].username.clone();
        let line: Option<Line> = self.line_of(&username).await?;
        let operations = json!([{ "op": "replace", "path": "active", "value": false }]);
        let body = json!({ "schemas": [PATCH], "Operations": operations });
        let said = self.scim("PATCH", &format!("/Users/{}", self.people[at].id), &body).await?;
        if said.status != 200 {
            return broken("a person could not be switched off", &said);
        }
        self.people[at].state = State::Off;
        if let Some(mut line) = line {
            line.fate = Fate::Dead;
            self.lines.push(line);
            self.is_dead(self.lines.len() - 1).await?;
        }
        Ok(())
    }

    /// Removes somebody.
    pub async fn remove_person(&mut self) -> Result<(), Trouble> {
        let Some(at) = self.somebody(|person| person.state != State::Gone) else { return self.make_person().await };
        let said = self.scim("DELETE", &format!("/Users/{}", self.people[at].id), &Value::Null).await?;
        if !matches!(said.status, 204 | 404) {
            return broken("a person could not be removed", &said);
        }
        self.people[at].state = State::Gone;
        self.is_as_written(at).await
    }

    async fn is_as_written(&mut self, at: usize) -> Result<(), Trouble> {
        let Person { id, display, state, factor, .. } = &self.people[at];
        let (id, display, state, factor) = (id.clone(), display.clone(), *state, factor.clone());
        let said = self.scim("GET", &format!("/Users/{id}"), &Value::Null).await?;
        let (body, account) = (said.json(), said.account());
        match state {
            State::Gone => self.check(said.status == 404, || format!("somebody removed is back: {account}"))?,
            State::Active | State::Off => self.check(
                said.status == 200 && body["displayName"] == display && body["active"] == (state == State::Active),
                || format!("`{display}`, {state:?}, is not as it was written: {account}"),
            )?,
        }
        let Some((factor, fate)) = factor else { return Ok(()) };
        let token = self.helpdesk().await?;
        let path = format!("/v2.0/factors/totp/{factor}");
        let said = self.insist(&Request::json("GET", &path, &token, &Value::Null)).await?;
        let expected = if fate == Fate::Live && state != State::Gone { 200 } else { 404 };
        self.check(said.status == expected, || format!("a factor ({fate:?}, {state:?}): {}", said.account()))
    }

    /// Asks after everybody.
    pub async fn audit_people(&mut self) -> Result<(), Trouble> {
        for at in 0..self.people.len() {
            self.is_as_written(at).await?;
            if self.people[at].state == State::Active {
                self.rests(at).await?;
            }
        }
        Ok(())
    }
}
