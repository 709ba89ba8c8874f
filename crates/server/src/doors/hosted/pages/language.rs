//! The words of the pages: one file a language, chosen by what the application and the browser ask for, and what a tenant puts in
//! place of single ones. Owns the choice and the filling of places; does not know which page uses which words.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use axum::http::{HeaderMap, header};
use minijinja::value::{Kwargs, Object, from_args};
use minijinja::{Error, ErrorKind, State, Value};
use protocol::records::{Seconds, TenantSettings};

use super::templates::escape;

/// What begins the names of a page's words among the tenant's own texts.
const PREFIX: &str = "page.";
/// Bytes of one text of a tenant.
const LONGEST: usize = 600;
/// Wishes that are looked at.
const MOST_WISHES: usize = 20;
/// Languages written from right to left, as far as a tenant may bring them.
const RIGHT_TO_LEFT: [&str; 5] = ["ar", "fa", "he", "ur", "yi"];

type Texts = BTreeMap<String, String>;

/// The built-in languages. The first has every word, and stands in where a tenant's own language lacks one.
static BUILT_IN: LazyLock<[(&str, Texts); 2]> =
    LazyLock::new(|| [("en", read(include_str!("texts/en.toml"))), ("de", read(include_str!("texts/de.toml")))]);

/// What languages a person can read, in the order of what is heard first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// `ui_locales` of the request: tags with blanks between, the preferred first (OpenID Connect Core §3.1.2.1).
    pub ui_locales: Option<&'a str>,
    /// The `Accept-Language` header (RFC 9110 §12.5.4).
    pub accept_language: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    /// From a request, and what the authorization request it serves asked for.
    pub fn by(headers: &'a HeaderMap, ui_locales: Option<&'a str>) -> Self {
        let accept_language = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Self { ui_locales, accept_language }
    }

    fn tags(self) -> Vec<&'a str> {
        let mut tags: Vec<&str> = self.ui_locales.unwrap_or_default().split(' ').take(MOST_WISHES).collect();
        let mut accepted: Vec<(&str, u16)> = self
            .accept_language
            .unwrap_or_default()
            .split(',')
            .take(MOST_WISHES)
            .filter_map(|wish| {
                let (tag, quality) = wish.split_once(";q=").or_else(|| wish.split_once("; q=")).unwrap_or((wish, "1"));
                let quality = quality.trim().parse::<f32>().ok().filter(|quality| (0.0..=1.0).contains(quality))?;
                let thousandths = (quality * 1000.0) as u16;
                (thousandths > 0).then_some((tag.trim(), thousandths))
            })
            .collect();
        accepted.sort_by_key(|(_, quality)| std::cmp::Reverse(*quality));
        tags.extend(accepted.into_iter().map(|(tag, _)| tag));
        tags.retain(|tag| (1..=35).contains(&tag.len()));
        tags
    }
}

/// A language to write a page in.
#[derive(Clone, Debug)]
pub struct Language {
    tag: String,
    words: Arc<Words>,
}

#[derive(Debug)]
struct Words {
    built_in: &'static Texts,
    own: Texts,
}

impl Language {
    /// The language that fits best: what is asked for, else the tenant's, else English.
    pub fn choose(settings: &TenantSettings, wanted: Wanted<'_>) -> Self {
        let own: Vec<&str> = settings
            .texts
            .iter()
            .filter(|(_, texts)| texts.keys().any(|name| name.starts_with(PREFIX)))
            .map(|(tag, _)| tag.as_str())
            .collect();
        let there = || own.iter().copied().chain(BUILT_IN.iter().map(|(tag, _)| *tag));
        let tag = wanted
            .tags()
            .into_iter()
            .chain([settings.language.as_str()])
            .find_map(|wish| best(wish, there()))
            .unwrap_or(BUILT_IN[0].0);
        let built_in = BUILT_IN.iter().find(|(name, _)| *name == primary(tag)).unwrap_or(&BUILT_IN[0]);
        let mut own = Texts::new();
        // Words for a language as a whole serve its regions too.
        for name in [primary(tag), tag] {
            if let Some(texts) = settings.texts.get(name) {
                let named = texts.iter().filter_map(|(name, text)| Some((name.strip_prefix(PREFIX)?, text)));
                own.extend(named.map(|(name, text)| (name.to_owned(), text.clone())));
            }
        }
        Self { tag: tag.to_owned(), words: Arc::new(Words { built_in: &built_in.1, own }) }
    }

    /// Its tag (BCP 47).
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Which way it is written, for `dir`.
    pub fn direction(&self) -> &'static str {
        if RIGHT_TO_LEFT.contains(&primary(&self.tag)) { "rtl" } else { "ltr" }
    }

    /// A text that stands on no page, with its places filled; empty where there is none of this name.
    pub(super) fn say(&self, name: &str, values: &[(&str, &str)]) -> String {
        let speaker = Speaker { words: Arc::clone(&self.words), plain: true };
        let text = speaker.find(name).unwrap_or_default();
        places(text)
            .into_iter()
            .map(|part| match part {
                Part::Text(text) => text,
                Part::Place(place) => values.iter().find(|(name, _)| *name == place).map_or("", |(_, value)| *value),
            })
            .collect()
    }

    /// As templates call it for text between tags: values are set apart, so that no name can be read as part of the sentence.
    pub(super) fn sentences(&self) -> Value {
        Value::from_object(Speaker { words: Arc::clone(&self.words), plain: false })
    }

    /// As templates call it for attributes and titles.
    pub(super) fn plain(&self) -> Value {
        Value::from_object(Speaker { words: Arc::clone(&self.words), plain: true })
    }
}

/// The language that is there and fits a wish: the same, or the one of which the wish names a region.
fn best<'a>(wish: &str, there: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let same = there.clone().find(|tag| tag.eq_ignore_ascii_case(wish));
    same.or_else(|| there.clone().find(|tag| tag.eq_ignore_ascii_case(primary(wish))))
        .or_else(|| there.clone().find(|tag| primary(tag).eq_ignore_ascii_case(primary(wish))))
}

fn primary(tag: &str) -> &str {
    tag.split_once('-').map_or(tag, |(primary, _)| primary)
}

fn read(source: &str) -> Texts {
    let sections: BTreeMap<String, Texts> =
        toml::from_str(source).expect("the built-in words are sections of texts, a test reads each");
    let named = |(section, texts): (String, Texts)| {
        texts.into_iter().map(move |(name, text)| (format!("{section}.{name}"), text))
    };
    sections.into_iter().flat_map(named).collect()
}

/// Words as a function of templates: `t("sign_in.title", client=name)`.
#[derive(Debug)]
struct Speaker {
    words: Arc<Words>,
    plain: bool,
}

impl Speaker {
    fn own(&self, name: &str) -> Option<&str> {
        self.words.own.get(name).map(String::as_str)
    }

    fn built_in(&self, name: &str) -> Option<&str> {
        self.words.built_in.get(name).or_else(|| BUILT_IN[0].1.get(name)).map(String::as_str)
    }

    fn find(&self, name: &str) -> Option<&str> {
        self.own(name).or_else(|| self.built_in(name))
    }

    /// The text with its places filled.
    fn fill(&self, text: &str, values: &Kwargs) -> Result<String, Error> {
        let mut out = String::with_capacity(text.len() + 32);
        for part in places(text) {
            match part {
                Part::Text(text) if self.plain => out.push_str(text),
                Part::Text(text) => escape(&mut out, text)?,
                Part::Place(place) => {
                    let value: Value = values.get(place)?;
                    let duration = value.as_i64().filter(|_| place == "wait").and_then(|wait| self.duration(wait));
                    let value = duration.unwrap_or_else(|| value.to_string());
                    if self.plain {
                        out.push_str(&value);
                    } else {
                        out.push_str("<bdi>");
                        escape(&mut out, &value)?;
                        out.push_str("</bdi>");
                    }
                }
            }
        }
        Ok(out)
    }

    fn duration(&self, seconds: Seconds) -> Option<String> {
        let (unit, number) = match seconds.max(1) {
            seconds @ ..60 => ("second", seconds),
            // Rounded up: who comes back when told to must not be told to wait once more.
            seconds @ ..5400 => ("minute", (seconds + 59) / 60),
            seconds => ("hour", (seconds + 3599) / 3600),
        };
        let text = self.find(&format!("time.{unit}{}", if number == 1 { "" } else { "s" }))?;
        Some(text.replace("{n}", &number.to_string()))
    }
}

impl Object for Speaker {
    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let (name, values): (&str, Kwargs) = from_args(args)?;
        let name = match values.get::<&str>("or") {
            Ok(other) if self.find(name).is_none() => other,
            _ => name,
        };
        // A slip in a tenant's own words must not stop its people from signing in.
        let own = self.own(name).and_then(|text| self.fill(text, &values).ok());
        let out = match (own, self.built_in(name)) {
            (Some(out), _) => out,
            (None, Some(text)) => self.fill(text, &values)?,
            (None, None) => return Err(Error::new(ErrorKind::UndefinedError, format!("no words are named `{name}`"))),
        };
        Ok(if self.plain { Value::from(out) } else { Value::from_safe_string(out) })
    }
}

enum Part<'a> {
    Text(&'a str),
    Place(&'a str),
}

/// Splits a text at its `{places}`.
fn places(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let Some((place, after)) = behind.split_once('}') else { break };
        parts.push(Part::Text(before));
        parts.push(Part::Place(place));
        rest = after;
    }
    parts.push(Part::Text(rest));
    parts
}

/// Why a tenant's own words cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextProblem {
    /// No page has such words.
    #[error("no text is named `{0}`")]
    Unknown(String),
    /// Too long.
    #[error("`{0}` is empty or too long")]
    Length(String),
    /// It names something its page does not tell.
    #[error("`{name}` has no place `{place}`")]
    Place {
        /// The text.
        name: String,
        /// What it names.
        place: String,
    },
}

/// Whether a text is one of a page's: `page.sign_in.title` and the like.
pub fn is_page_text(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// Whether a tenant's own words can stand in for the built-in ones. They are text, never markup.
///
/// # Errors
/// Why they cannot.
pub fn check_text(name: &str, text: &str) -> Result<(), TextProblem> {
    let known = name.strip_prefix(PREFIX).and_then(|name| BUILT_IN[0].1.get(name));
    let Some(built_in) = known else { return Err(TextProblem::Unknown(name.to_owned())) };
    if text.trim().is_empty() || text.len() > LONGEST {
        return Err(TextProblem::Length(name.to_owned()));
    }
    let there = named_places(built_in);
    match named_places(text).into_iter().find(|place| !there.contains(place)) {
        None => Ok(()),
        Some(place) => Err(TextProblem::Place { name: name.to_owned(), place: place.to_owned() }),
    }
}

/// The names of all built-in words.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    BUILT_IN[0].1.keys().map(String::as_str)
}

fn named_places(text: &str) -> Vec<&str> {
    let place = |part| match part {
        Part::Place(place) => Some(place),
        Part::Text(_) => None,
    };
    places(text).into_iter().filter_map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(settings: &TenantSettings, ui_locales: &str, accept_language: &str) -> String {
        let wanted = Wanted { ui_locales: Some(ui_locales), accept_language: Some(accept_language) };
        Language::choose(settings, wanted).tag().to_owned()
    }

    #[test]
    fn the_application_is_heard_before_the_browser_and_the_browser_before_the_tenant() {
        let plain = TenantSettings::default();
        assert_eq!(chosen(&plain, "", ""), "en");
        assert_eq!(chosen(&plain, "de", "en"), "de");
        assert_eq!(chosen(&plain, "fr-CA de-AT", "en"), "de");
        assert_eq!(chosen(&plain, "", "fr, en;q=0.5, de;q=0.8"), "de");
        assert_eq!(chosen(&plain, "", "de;q=0, en;q=0.1"), "en");
        assert_eq!(chosen(&plain, "", "*"), "en");
        let german = TenantSettings { language: "de".to_owned(), ..plain };
        assert_eq!(chosen(&german, "", "fr"), "de");
        assert_eq!(chosen(&german, "", "en-GB,fr"), "en");
    }

    #[test]
    fn what_is_asked_for_is_bounded() {
        let many = "x ".repeat(100_000) + "de";
        assert_eq!(chosen(&TenantSettings::default(), &many, &many.replace(' ', ",")), "en");
        assert_eq!(chosen(&TenantSettings::default(), "", "de;q=nan,en;q=inf,;;;=,de;q=9"), "en");
    }

    #[test]
    fn a_tenant_brings_its_own_words_and_languages() {
        let mut settings = TenantSettings::default();
        let french = Texts::from([("page.sign_in.title".to_owned(), "Connexion".to_owned())]);
        settings.texts.insert("fr".to_owned(), french);
        settings.texts.insert("it".to_owned(), Texts::from([("code.sms.txt".to_owned(), "x".to_owned())]));
        assert_eq!(chosen(&settings, "fr-CA", ""), "fr");
        assert_eq!(chosen(&settings, "it", ""), "en", "messages alone make no language of pages");
        let language = Language::choose(&settings, Wanted { ui_locales: Some("fr"), accept_language: None });
        let speaker = Speaker { words: language.words, plain: true };
        assert_eq!(speaker.find("sign_in.title"), Some("Connexion"));
        assert_eq!(speaker.find("sign_in.submit"), BUILT_IN[0].1.get("sign_in.submit").map(String::as_str));
    }

    #[test]
    fn every_language_has_the_same_words_with_the_same_places() {
        let (_, english) = &BUILT_IN[0];
        for (tag, texts) in &BUILT_IN[1..] {
            let names = |texts: &Texts| texts.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(texts), names(english), "{tag}");
            for (name, text) in texts {
                let sorted = |text| {
                    let mut places = named_places(text);
                    places.sort_unstable();
                    places
                };
                assert_eq!(sorted(text), sorted(&english[name]), "{tag} {name}");
            }
        }
    }

    #[test]
    fn own_words_are_checked() {
        assert_eq!(check_text("page.sign_in.title", "Welcome <b>"), Ok(()));
        assert!(matches!(check_text("page.sign_in.titel", "x"), Err(TextProblem::Unknown(_))));
        assert!(matches!(check_text("sign_in.title", "x"), Err(TextProblem::Unknown(_))));
        assert!(matches!(check_text("page.sign_in.title", " "), Err(TextProblem::Length(_))));
        assert!(matches!(check_text("page.sign_in.title", "{password}"), Err(TextProblem::Place { .. })));
    }

    #[test]
    fn waiting_is_told_in_words_and_never_too_short() {
        let language = Language::choose(&TenantSettings::default(), Wanted::default());
        let speaker = Speaker { words: language.words, plain: true };
        let told = |seconds| speaker.duration(seconds).unwrap_or_default();
        assert_eq!([told(0), told(1), told(59)], ["1 second", "1 second", "59 seconds"]);
        assert_eq!([told(60), told(61), told(3600)], ["1 minute", "2 minutes", "60 minutes"]);
        assert_eq!([told(5400), told(7200), told(i64::MAX / 2)][..2], ["2 hours", "2 hours"]);
    }
}
