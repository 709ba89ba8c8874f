//! The development outbox: messages are shown in the terminal and kept in memory. Exists in development only.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use protocol::time::write_millis;
use serde_json::{Value, json};

use super::{Channel, Outgoing};

/// The newest messages kept.
const KEPT: usize = 1000;

/// What would have been sent.
#[derive(Default)]
pub struct DevOutbox {
    messages: Mutex<VecDeque<Value>>,
    quiet: bool,
}

impl DevOutbox {
    /// One that prints every message.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that only keeps them.
    pub fn quiet() -> Self {
        Self { quiet: true, ..Self::default() }
    }

    /// Takes a message, at this time in milliseconds.
    pub fn push(&self, message: &Outgoing, at: i64) {
        if !self.quiet {
            show(message);
        }
        let entry = json!({
            "channel": message.channel.as_str(),
            "to": message.to,
            "code": message.code.as_ref().map(|code| code.expose()),
            "text": message.text.expose(),
            "time": write_millis(at),
        });
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        if messages.len() == KEPT {
            messages.pop_front();
        }
        messages.push_back(entry);
    }

    /// A JSON array of `{channel, to, code, text, time}`, oldest first; only those to this recipient if one is named.
    pub fn list(&self, to: Option<&str>) -> Value {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages
            .iter()
            .filter(|message| to.is_none_or(|to| message["to"].as_str().is_some_and(|is| is.eq_ignore_ascii_case(to))))
            .cloned()
            .collect()
    }
}

fn show(message: &Outgoing) {
    let mut out = std::io::stdout().lock();
    // Nothing depends on the terminal: a closed one must not stop a delivery.
    let _ = match message.channel {
        Channel::Email => writeln!(
            out,
            "--- mail to {} ---\nSubject: {}\n\n{}\n---",
            message.to,
            message.subject,
            message.text.expose().trim_end()
        ),
        Channel::Sms | Channel::Voice => {
            let channel = message.channel.as_str();
            writeln!(out, "--- {channel} to {} ---\n{}\n---", message.to, message.text.expose().trim_end())
        }
    };
}
