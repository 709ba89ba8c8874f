//! `cargo xtask costs`: what each operation asks of the database, counted by the database itself. Not how long it takes:
//! that is `cargo xtask bench`.

use std::process::Command;

use serde_json::json;

use super::chance::Chance;
use super::ground::{Database, Ground};
use super::hand::{Hand, Trouble, text};
use super::tenant::{PASSWORD, person};
use super::tokens;
use super::wire::{Request, Said, Wire};
use crate::Outcome;

/// How often each operation is done; divided by in the end.
const TIMES: u32 = 100;
const TOKEN: &str = "/oauth2/token";

/// Counted, for one operation: statements that read, statements that write, rows written, bytes of the log.
const COUNT: &str = "SELECT COALESCE(SUM(calls) FILTER (WHERE query ~* '^select'), 0), \
     COALESCE(SUM(calls) FILTER (WHERE query ~* '^(insert|update|delete)'), 0), \
     COALESCE(SUM(rows) FILTER (WHERE query ~* '^(insert|update|delete)'), 0), COALESCE(SUM(wal_bytes), 0) \
     FROM pg_stat_statements WHERE query !~* 'directory_state|expires <= |made < |outbox|pg_stat'";

/// Counts and prints a table.
pub fn run() -> Outcome {
    let settings =
        ["shared_preload_libraries=pg_stat_statements", "full_page_writes=off", "pg_stat_statements.max=5000"];
    let ground = Ground::lay(super::server()?, Database::Postgres, &settings, 1, 1)?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| format!("no runtime: {e}"))?;
    runtime.block_on(count(&ground))
}

struct Counter {
    url: String,
    hand: Hand,
}

async fn count(ground: &Ground) -> Outcome {
    let url = ground.postgres.as_ref().map(|postgres| postgres.url().to_owned()).unwrap_or_default();
    let hand = Hand::new(0, Wire::new(vec![ground.nodes[0].address]), Chance::new(1));
    let mut counter = Counter { url, hand };
    counter.ask("CREATE EXTENSION pg_stat_statements")?;
    println!("| Operation | statements that read | that write | rows written | bytes of the log |");
    println!("|---|---:|---:|---:|---:|");
    counter.all().await.map_err(|trouble| match trouble {
        Trouble::Lost => "an answer was lost".to_owned(),
        Trouble::Broken(what) => what,
    })
}

impl Counter {
    fn ask(&self, sql: &str) -> Outcome<String> {
        let output = Command::new("psql")
            .args(["-X", "-q", "-A", "-t", "-c", sql, &self.url])
            .output()
            .map_err(|e| format!("`psql` cannot be run: {e}"))?;
        if !output.status.success() {
            return Err(format!("`psql`: {}", String::from_utf8_lossy(&output.stderr)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn begin(&self) -> Result<(), Trouble> {
        self.ask("SELECT pg_stat_statements_reset()").map(|_| ()).map_err(Trouble::Broken)
    }

    fn tell(&self, name: &str) -> Result<(), Trouble> {
        let line = self.ask(COUNT).map_err(Trouble::Broken)?;
        let mut cells = String::new();
        for (place, number) in line.split('|').enumerate() {
            let each = number.parse::<f64>().unwrap_or_default() / f64::from(TIMES);
            cells += &if place == 3 { format!(" {each:.0} |") } else { format!(" {each:.1} |") };
        }
        println!("| {name} |{cells}");
        Ok(())
    }

    async fn good(&mut self, request: &Request) -> Result<Said, Trouble> {
        let said = self.hand.ask(request).await?;
        if said.status < 400 { Ok(said) } else { super::hand::broken("refused", &said) }
    }

    /// The same request, or one of its own each time.
    async fn each(&mut self, name: &str, requests: Vec<Request>) -> Result<Vec<Said>, Trouble> {
        self.begin()?;
        let mut answers = Vec::new();
        for request in &requests {
            answers.push(self.good(request).await?);
        }
        self.tell(name)?;
        Ok(answers)
    }

    async fn all(&mut self) -> Result<(), Trouble> {
        let many = |request: Request| (0..TIMES).map(|_| request.clone()).collect::<Vec<_>>();
        let own = |client: &str| Hand::form_of(client, TOKEN, &[("grant_type", "client_credentials")]);
        // Statements are prepared and secrets verified once, before anything is counted.
        for client in ["app", "jwt", "web", "provisioning"] {
            let _ = self.hand.ask(&own(client)).await?;
        }
        self.each("client credentials, JWT", many(own("jwt"))).await?;
        let minted = self.each("client credentials, opaque token", many(own("app"))).await?;
        let tokens = minted.iter().map(|said| text(&said.json(), "access_token")).collect::<Result<Vec<_>, _>>()?;
        let asked = |token: &String| Hand::form_of("app", "/oauth2/introspect", &[("token", token)]);
        self.each("introspection of an opaque token", tokens.iter().map(asked).collect()).await?;
        self.each("revocation of an opaque token", tokens.iter().map(|token| tokens::revoke("app", token)).collect())
            .await?;
        let begun = self.each("sign-in: begun", many(tokens::begin())).await?;
        let username = person(0);
        let mut next = Vec::new();
        for said in &begun {
            next.push(tokens::password(&text(&said.json(), "access_token")?, &username, PASSWORD));
        }
        let proved = self.each("sign-in: a password", next).await?;
        let mut next = Vec::new();
        for said in &proved {
            next.push(tokens::present(&text(&said.json(), "assertion")?));
        }
        let signed_in = self.each("sign-in: tokens (access, refresh, ID)", next).await?;
        let mut next = Vec::new();
        for said in &signed_in {
            next.push(tokens::refresh("app", &text(&said.json(), "refresh_token")?));
        }
        self.each("refresh", next).await?;
        // The first brings the session, and what it costs is not counted with the others.
        let _ = self.hand.code_to_redeem().await?;
        self.begin()?;
        let mut next = Vec::new();
        for _ in 0..TIMES {
            next.push(self.hand.code_to_redeem().await?);
        }
        self.tell("a code for a browser with a session")?;
        self.each("a code redeemed (access, refresh, ID token)", next).await?;
        let token = self.hand.token_of("provisioning").await?;
        let person = |number: u32| {
            let body = json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": format!("somebody{number}"),
                "password": PASSWORD, "emails": [{ "value": format!("somebody{number}@ledger.example") }],
            });
            Request::json("POST", "/scim/v2/Users", &token, &body)
        };
        let made = self.each("SCIM: a person made", (0..TIMES).map(person).collect()).await?;
        let mut next = Vec::new();
        for said in &made {
            let body = json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{ "op": "replace", "path": "displayName", "value": "Another" }],
            });
            next.push(Request::json("PATCH", &format!("/scim/v2/Users/{}", text(&said.json(), "id")?), &token, &body));
        }
        self.each("SCIM: a person changed", next).await?;
        Ok(())
    }
}
