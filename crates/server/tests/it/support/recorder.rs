//! An exchange written down for a reader: what was sent and what came back, with names in place of what is random.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Reply, TestServer, decode};

/// Writes down what goes over the wire.
pub struct Recorder {
    server: TestServer,
    text: String,
    names: Vec<(String, String)>,
}

impl Recorder {
    pub fn new(server: &TestServer) -> Self {
        Self { server: server.clone(), text: String::new(), names: Vec::new() }
    }

    /// A form is posted, under a bearer token or without one.
    pub async fn form(&mut self, title: &str, path: &str, token: Option<&str>, body: &str) -> Reply {
        let ask = self.server.ask("POST", path).body("application/x-www-form-urlencoded", body.to_owned());
        let ask = match token {
            Some(token) => ask.bearer(token),
            None => ask,
        };
        let reply = ask.send().await;
        self.write(title, "POST", path, token, &body.replace('&', "\n> &"), &reply);
        reply
    }

    /// A call under a token, with a JSON body or none.
    pub async fn json(&mut self, title: &str, method: &str, path: &str, token: &str, body: &str) -> Reply {
        let ask = self.server.ask(method, path).bearer(token);
        let ask = if body.is_empty() { ask } else { ask.body("application/json", body.to_owned()) };
        let reply = ask.send().await;
        self.write(title, method, path, Some(token), body, &reply);
        reply
    }

    fn write(&mut self, title: &str, method: &str, path: &str, token: Option<&str>, body: &str, reply: &Reply) {
        let text = &mut self.text;
        writeln!(text, "## {title}\n\n> {method} {path}").unwrap();
        if let Some(token) = token {
            writeln!(text, "> Authorization: Bearer {token}").unwrap();
        }
        if !body.is_empty() {
            writeln!(text, ">\n> {body}").unwrap();
        }
        writeln!(text, "\n< {}", reply.status).unwrap();
        for name in ["content-type", "cache-control", "pragma", "www-authenticate"] {
            if !reply.header(name).is_empty() {
                writeln!(text, "< {name}: {}", reply.header(name)).unwrap();
            }
        }
        writeln!(text, "<\n< {}\n", reply.text()).unwrap();
    }

    /// From now on, and before, this value is written as `name`. Answers the value.
    pub fn name(&mut self, value: &Value, name: &str) -> String {
        let value = value.as_str().unwrap().to_owned();
        self.know(&value, name);
        value
    }

    pub fn know(&mut self, value: &str, name: &str) {
        self.names.push((value.to_owned(), format!("<{name}>")));
    }

    /// As [`name`](Self::name), and what the JWT says is written below it.
    pub fn jwt(&mut self, value: &Value, name: &str) -> String {
        let jwt = self.name(value, name);
        let (header, claims) = decode(&jwt);
        if let Some(jti) = claims.get("jti") {
            self.name(jti, &format!("{name}-JTI"));
        }
        writeln!(self.text, "{name} is {header} {claims}\n").unwrap();
        jwt
    }

    /// What was written, for a snapshot.
    pub fn text(&self) -> String {
        let mut names = self.names.clone();
        // A longer value may hold a shorter one.
        names.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        names.iter().fold(self.text.clone(), |text, (value, name)| text.replace(value.as_str(), name))
    }
}
