//! The texts of messages: built-in English ones, and what a tenant puts in their place. Owns templates and their
//! limits; does not know who gets the message.

use std::fmt::Write as _;
use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};
use protocol::records::{Seconds, Tenant};

use super::{Channel, Outgoing};
use crate::secret::Secret;

/// Steps a template may take: the built-in ones take fewer than a hundred.
const FUEL: u64 = 20_000;
const RECURSION: usize = 16;
const LONGEST_TEMPLATE: usize = 32 * 1024;
const LONGEST_TEXT: usize = 128 * 1024;
const LONGEST_SUBJECT: usize = 300;

/// Names of the texts of messages. Those that end in `.html` are escaped as HTML.
pub const TEXT_NAMES: [&str; 11] = [
    "code.email.subject.txt",
    "code.email.txt",
    "code.email.html",
    "code.sms.txt",
    "code.voice.txt",
    "notice.email.subject.txt",
    "notice.email.txt",
    "notice.email.html",
    "link.email.subject.txt",
    "link.email.txt",
    "link.email.html",
];

/// The built-in English. Texts of other languages stand under `language/name`.
const BUILT_IN: [(&str, &str); 17] = [
    (TEXT_NAMES[0], include_str!("texts/en/code.email.subject.txt")),
    (TEXT_NAMES[1], include_str!("texts/en/code.email.txt")),
    (TEXT_NAMES[2], include_str!("texts/en/code.email.html")),
    (TEXT_NAMES[3], include_str!("texts/en/code.sms.txt")),
    (TEXT_NAMES[4], include_str!("texts/en/code.voice.txt")),
    (TEXT_NAMES[5], include_str!("texts/en/notice.email.subject.txt")),
    (TEXT_NAMES[6], include_str!("texts/en/notice.email.txt")),
    (TEXT_NAMES[7], include_str!("texts/en/notice.email.html")),
    ("de/notice.email.subject.txt", include_str!("texts/de/notice.email.subject.txt")),
    ("de/notice.email.txt", include_str!("texts/de/notice.email.txt")),
    ("de/notice.email.html", include_str!("texts/de/notice.email.html")),
    (TEXT_NAMES[8], include_str!("texts/en/link.email.subject.txt")),
    (TEXT_NAMES[9], include_str!("texts/en/link.email.txt")),
    (TEXT_NAMES[10], include_str!("texts/en/link.email.html")),
    ("de/link.email.subject.txt", include_str!("texts/de/link.email.subject.txt")),
    ("de/link.email.txt", include_str!("texts/de/link.email.txt")),
    ("de/link.email.html", include_str!("texts/de/link.email.html")),
];

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = empty();
    for (name, source) in BUILT_IN {
        environment.add_template(name, source).expect("the built-in texts are well formed, a test renders each");
    }
    environment
});

/// A text cannot be made from its template.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// No text has this name.
    #[error("no text is named `{0}`")]
    Unknown(String),
    /// The template or what it makes is too long.
    #[error("`{0}` is too long")]
    TooLong(String),
    /// The template is not well formed, names something that does not exist, or does too much.
    #[error("`{name}` cannot be rendered: {reason}")]
    Template {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
}

/// The message that carries a one-time code.
pub struct CodeText<'a> {
    /// Whose texts.
    pub tenant: &'a Tenant,
    /// The way it takes.
    pub channel: Channel,
    /// The recipient.
    pub to: &'a str,
    /// What the sign-in page shows.
    pub correlation: &'a str,
    /// The code.
    pub code: &'a Secret<String>,
    /// Seconds it lives.
    pub life: Seconds,
}

impl CodeText<'_> {
    /// Writes the message.
    ///
    /// # Errors
    /// A built-in text cannot be rendered with these values.
    pub fn write(&self) -> Result<Outgoing, TextError> {
        let mut message = Outgoing {
            channel: self.channel,
            from: self.tenant.settings.mail_from.clone(),
            to: self.to.to_owned(),
            subject: String::new(),
            text: Secret::default(),
            html: None,
            code: Some(self.code.clone()),
        };
        match self.channel {
            Channel::Email => {
                message.subject = one_line(&self.render("code.email.subject.txt")?);
                message.text = self.render("code.email.txt")?.into();
                message.html = Some(self.render("code.email.html")?.into());
            }
            Channel::Sms => message.text = self.render("code.sms.txt")?.trim().into(),
            Channel::Voice => message.text = self.render("code.voice.txt")?.trim().into(),
        }
        Ok(message)
    }

    fn render(&self, name: &str) -> Result<String, TextError> {
        let values = context! {
            service => &self.tenant.name,
            correlation => self.correlation,
            code => self.code.expose(),
            life => in_words(self.life),
        };
        render(self.tenant, &self.tenant.settings.language, name, &values)
    }
}

/// The language a text of this family is written in: what the person asked for, then the tenant's, as far as there are texts.
pub(super) fn language_of(tenant: &Tenant, locale: Option<&str>, family: &str) -> String {
    let settings = &tenant.settings;
    let wishes = locale.into_iter().chain([settings.language.as_str()]).map(|wish| wish.replace('_', "-"));
    let there = |tag: &str| {
        let own = settings.texts.get(tag).is_some_and(|texts| texts.keys().any(|name| name.starts_with(family)));
        let built_in = tag == "en" || BUILT_IN.iter().any(|(name, _)| name.starts_with(&format!("{tag}/{family}")));
        own || built_in
    };
    let primary = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    let fits = |wish: String| [wish.clone(), primary(&wish)].into_iter().find(|tag| there(tag));
    wishes.into_iter().find_map(fits).unwrap_or_else(|| "en".to_owned())
}

/// A text in this language: the tenant's own, or the built-in one.
pub(super) fn render(tenant: &Tenant, language: &str, name: &str, values: &Value) -> Result<String, TextError> {
    let translated = format!("{}/{name}", language.split('-').next().unwrap_or_default());
    let built_in = || {
        let template = TEMPLATES.get_template(&translated).or_else(|_| TEMPLATES.get_template(name));
        template.and_then(|template| template.render(values))
    };
    let own = tenant.settings.texts.get(language).and_then(|texts| texts.get(name));
    let text = match own {
        None => built_in(),
        Some(source) => empty().render_named_str(name, source, values).or_else(|error| {
            // A slip in a tenant's own text must not stop its people from signing in.
            tracing::error!(tenant = %tenant.id, name, reason = %reason(&error), "a text cannot be rendered");
            built_in()
        }),
    };
    let text = text.map_err(|error| TextError::Template { name: name.to_owned(), reason: reason(&error) })?;
    if text.len() > LONGEST_TEXT { Err(TextError::TooLong(name.to_owned())) } else { Ok(text) }
}

/// Whether a tenant's own text can be used: well formed, and made of nothing but what there is.
///
/// # Errors
/// Why it cannot.
pub fn check_text(name: &str, source: &str) -> Result<(), TextError> {
    if !TEXT_NAMES.contains(&name) {
        return Err(TextError::Unknown(name.to_owned()));
    }
    if source.len() > LONGEST_TEMPLATE {
        return Err(TextError::TooLong(name.to_owned()));
    }
    let sample = if name.starts_with("notice.") {
        context! {
            service => "Example", account => "scott", what => "Your password was changed", factor => "Password",
            detail => "", at => "2026-05-01 04:00 UTC", link => "https://login.example.test/account",
        }
    } else if name.starts_with("link.") {
        context! {
            service => "Example", account => "scott", purpose => "reset", token => "aBcD", minutes => 30,
            link => "https://login.example.test/resetpwd?token=aBcD",
        }
    } else {
        context! { service => "Example", correlation => "4821", code => "730164", life => in_words(300) }
    };
    let made = empty()
        .render_named_str(name, source, sample)
        .map_err(|error| TextError::Template { name: name.to_owned(), reason: reason(&error) })?;
    if made.len() > LONGEST_TEXT {
        return Err(TextError::TooLong(name.to_owned()));
    }
    Ok(())
}

fn empty() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.add_filter("list", minijinja::filters::list);
    environment.add_filter("join", minijinja::filters::join);
    environment.add_filter("upper", minijinja::filters::upper);
    environment.add_filter("lower", minijinja::filters::lower);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| match name.ends_with(".html") {
        true => AutoEscape::Html,
        false => AutoEscape::None,
    });
    environment
}

/// The kind of mistake and its place; never a value that was to be written.
fn reason(error: &minijinja::Error) -> String {
    let mut text = error.kind().to_string();
    if let Some(line) = error.line() {
        let _ = write!(text, " in line {line}");
    }
    text
}

fn in_words(life: Seconds) -> String {
    let minutes = life / 60;
    match (life, minutes) {
        (1, _) => "1 second".to_owned(),
        (seconds, 0) => format!("{seconds} seconds"),
        (_, 1) => "1 minute".to_owned(),
        (_, minutes) => format!("{minutes} minutes"),
    }
}

/// A header is one line: whatever a template or a tenant's name brings along becomes blanks.
pub(super) fn one_line(text: &str) -> String {
    let text: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.chars().take(LONGEST_SUBJECT).collect()
}
