//! The built-in templates, compiled once.

use std::fmt;
use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior, context};

use super::Sheet;
use super::look::{Look, Palette};

/// Steps a page may take; the longest consent screens take a few thousand.
const FUEL: u64 = 500_000;

/// Passkeys.
pub(super) const PASSKEY_JS: &str =
    concat!(include_str!("templates/passkey_parts.js"), include_str!("templates/passkey.js"));
/// A new passkey.
pub(super) const PASSKEY_NEW_JS: &str =
    concat!(include_str!("templates/passkey_parts.js"), include_str!("templates/passkey_new.js"));
/// Sends the answer on.
pub(super) const FORM_POST_JS: &str = include_str!("templates/form_post.js");
/// Goes on once the frames are there.
pub(super) const LOGGED_OUT_JS: &str = include_str!("templates/logged_out.js");
/// Session management.
pub(super) const CHECK_SESSION_JS: &str = include_str!("templates/check_session.js");

/// Asks whether something happened elsewhere, and looks again then.
pub(super) const WAIT_JS: &str = include_str!("templates/wait.js");

const CSS: &str = include_str!("templates/page.css");
const ACCOUNT_CSS: &str = include_str!("templates/account.css");

macro_rules! sources {
    ($($name:literal),* $(,)?) => { [$(($name, include_str!(concat!("templates/", $name)))),*] };
}

const SOURCES: [(&str, &str); 53] = sources![
    "base.html",
    "parts.html",
    "sign_in.html",
    "identify.html",
    "reauthenticate.html",
    "choose_account.html",
    "choose_way.html",
    "code.html",
    "totp.html",
    "passkey.html",
    "phone.html",
    "push.html",
    "picture.html",
    "questions.html",
    "bypass.html",
    "new_password.html",
    "enrol.html",
    "enrol_address.html",
    "enrol_totp.html",
    "enrol_passkey.html",
    "enrol_phone.html",
    "phone_parts.html",
    "nothing_enrolled.html",
    "consent.html",
    "device_code.html",
    "device_confirm.html",
    "device_done.html",
    "confirm_logout.html",
    "logged_out.html",
    "still_signed_in.html",
    "error.html",
    "form_post.html",
    "check_session.html",
    "cookies_needed.html",
    "expired.html",
    "account_base.html",
    "account_parts.html",
    "account.html",
    "account_way.html",
    "account_phone.html",
    "account_add.html",
    "account_address.html",
    "account_totp.html",
    "account_passkey.html",
    "account_invite.html",
    "account_questions.html",
    "account_codes.html",
    "account_password.html",
    "account_code.html",
    "account_wait.html",
    "account_places.html",
    "account_applications.html",
    "account_activity.html",
];

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_syntax(syntax());
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(|out, state, value| match value.as_str() {
        Some(text) if !value.is_safe() => escape(out, text).map_err(Error::from),
        _ => minijinja::escape_formatter(out, state, value),
    });
    for (name, source) in SOURCES {
        environment.add_template(name, source).expect("the built-in templates are well formed, a test renders each");
    }
    environment
});

/// Tags on lines of their own leave nothing behind.
fn syntax() -> SyntaxConfig {
    let built = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    built.expect("no delimiter is changed, so none can be missing")
}

/// The style without the blanks that only its readers need.
static STYLE: LazyLock<String> = LazyLock::new(|| tight(CSS));

/// What only the pages of My security need.
static ACCOUNT_STYLE: LazyLock<String> = LazyLock::new(|| tight(ACCOUNT_CSS));

fn tight(css: &str) -> String {
    let lines = css.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("/*"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Text as it may stand between tags and in quoted attributes. The library's own escapes `/` as well, which makes addresses
/// hard to read for people and for simple programs.
pub(super) fn escape(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
        out.write_str(&rest[..at])?;
        out.write_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            _ => "&#39;",
        })?;
        rest = &rest[at + 1..];
    }
    out.write_str(rest)
}

/// The page as HTML.
pub(super) fn render(look: &Look, sheet: &Sheet<'_>) -> Result<String, Error> {
    let template = TEMPLATES.get_template(&format!("{}.html", sheet.name))?;
    let language = &look.language;
    let values = context! {
        page => &sheet.values,
        name => sheet.name,
        script => sheet.script,
        style => STYLE.as_str(),
        account_style => sheet.name.starts_with("account").then(|| ACCOUNT_STYLE.as_str()),
        colours => colours(look),
        title => &look.title,
        logo => look.logo.as_deref(),
        nonce => &look.nonce,
        lang => language.tag(),
        dir => language.direction(),
        t => language.sentences(),
        w => language.plain(),
    };
    template.render(values)
}

/// The tenant's colours as custom properties; both sets, since the browser says which it wants.
fn colours(look: &Look) -> String {
    let set = |palette: &Palette| {
        format!(
            ":root{{--accent:{};--hover:{};--on-accent:{};--link:{};--tint:{}}}",
            palette.accent, palette.hover, palette.on_accent, palette.link, palette.tint
        )
    };
    format!("{}@media(prefers-color-scheme:dark){{{}}}", set(&look.light), set(&look.dark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_used_somewhere() {
        let all: String = SOURCES.iter().map(|(_, source)| *source).collect();
        for name in super::super::language::names() {
            let (section, word) = name.split_once('.').expect("names have two parts");
            let titled = word == "title" && SOURCES.iter().any(|(file, _)| file.strip_suffix(".html") == Some(section));
            let composed = all.contains(&format!("\"{section}.\" ~")) || ["time", "said"].contains(&section);
            assert!(titled || composed || all.contains(&format!("\"{name}\"")), "`{name}` is used nowhere");
        }
    }

    #[test]
    fn escaping_leaves_nothing_that_could_end_a_value() {
        let mut out = String::new();
        escape(&mut out, "a/b \"c\" 'd' <e> &amp; ü").expect("a string takes everything");
        assert_eq!(out, "a/b &quot;c&quot; &#39;d&#39; &lt;e&gt; &amp;amp; ü");
    }
}
