//! How a tenant's pages look: title, logo, colours, language; and what one answer needs besides: its nonce, and where forms lead.

use protocol::records::{LookSettings, Tenant};

use super::colour::{BLACK, Colour, WHITE};
use super::headers::form_targets;
use super::language::{Language, Wanted};
use crate::world::World;

/// Characters of a nonce: 131 bits (CSP Level 3 §7.1 asks for 128).
const NONCE: usize = 22;
const LONGEST_TITLE: usize = 60;
const LONGEST_LOGO: usize = 12 * 1024;
const ACCENT: Colour = Colour::new(0x1f, 0x5f, 0x4c);
const ACCENT_DARK: Colour = Colour::new(0x7f, 0xd1, 0xb0);
const LIGHT_SURFACES: [Colour; 2] = [WHITE, Colour::new(0xf5, 0xf5, 0xf2)];
const DARK_SURFACES: [Colour; 2] = [Colour::new(0x1b, 0x1e, 0x21), Colour::new(0x12, 0x14, 0x16)];

/// The look of one answer. Its nonce is good for one answer only: make a new one for each.
#[derive(Debug)]
pub struct Look {
    pub(super) title: String,
    pub(super) logo: Option<String>,
    pub(super) light: Palette,
    pub(super) dark: Palette,
    pub(super) language: Language,
    pub(super) nonce: String,
    pub(super) form_targets: Vec<String>,
}

/// The colours that follow from an accent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    /// The main button.
    pub(super) accent: Colour,
    /// The same while it is pointed at.
    pub(super) hover: Colour,
    /// Words on it.
    pub(super) on_accent: Colour,
    /// Links and marks on the page.
    pub(super) link: Colour,
    /// A breath of the accent, behind marks.
    pub(super) tint: Colour,
}

impl Palette {
    fn of(accent: Colour, surfaces: &[Colour; 2]) -> Self {
        let on_accent = accent.words_on();
        let away = if on_accent == WHITE { BLACK } else { WHITE };
        let tint = surfaces[0].mix(accent, 10);
        let link = accent.readable_on(&[surfaces[0], surfaces[1], tint]);
        Self { accent, hover: accent.mix(away, 12), on_accent, link, tint }
    }
}

impl Look {
    /// The tenant's look in the language that fits best.
    pub fn of(tenant: &Tenant, wanted: Wanted<'_>, world: &World) -> Self {
        let look = &tenant.settings.look;
        let colour = |text: &Option<String>| text.as_deref().and_then(Colour::parse);
        let light = colour(&look.accent);
        let dark = colour(&look.accent_dark).or(light);
        Self {
            title: look.title.as_deref().unwrap_or(&tenant.name).to_owned(),
            logo: look.logo_uri.clone(),
            light: Palette::of(light.unwrap_or(ACCENT), &LIGHT_SURFACES),
            dark: Palette::of(dark.unwrap_or(ACCENT_DARK), &DARK_SURFACES),
            language: Language::choose(&tenant.settings, wanted),
            nonce: world.token(NONCE),
            form_targets: Vec::new(),
        }
    }

    /// A text in the language of the page that is shown elsewhere (section `said`), with its places filled.
    pub fn say(&self, name: &str, values: &[(&str, &str)]) -> String {
        self.language.say(&format!("said.{name}"), values)
    }

    /// What the pages call the place people sign in to.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Names where the answer to a form of this page may send the browser: browsers apply the Content-Security-Policy of the page
    /// to the redirects that follow a post as well, and to those the application adds.
    pub fn answering_to(mut self, redirect_uri: &str) -> Self {
        self.form_targets = form_targets(redirect_uri);
        self
    }
}

/// Whether a tenant's look can be shown. Answers the field and what is wrong with it, for each.
pub fn check_look(look: &LookSettings) -> Vec<(&'static str, &'static str)> {
    let mut wrong = Vec::new();
    if look.title.as_deref().is_some_and(|title| {
        title.trim().is_empty() || title.chars().count() > LONGEST_TITLE || title.chars().any(char::is_control)
    }) {
        wrong.push(("title", "must be 1 to 60 characters"));
    }
    if look.logo_uri.as_deref().is_some_and(|uri| !is_logo(uri)) {
        wrong.push(("logo_uri", "must be an `https` URL, or `data:image/…;base64,…` of at most 12 KiB"));
    }
    for (name, colour) in [("accent", &look.accent), ("accent_dark", &look.accent_dark)] {
        if colour.as_deref().is_some_and(|text| Colour::parse(text).is_none()) {
            wrong.push((name, "must be a colour in the form `#rrggbb`"));
        }
    }
    wrong
}

fn is_logo(uri: &str) -> bool {
    if let Some(rest) = uri.strip_prefix("data:image/") {
        let kinds = ["png;base64,", "svg+xml;base64,", "webp;base64,", "jpeg;base64,", "gif;base64,"];
        let data = kinds.iter().find_map(|kind| rest.strip_prefix(kind));
        return uri.len() <= LONGEST_LOGO
            && data.is_some_and(|data| {
                !data.is_empty() && data.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
            });
    }
    uri.len() <= 2048 && uri.starts_with("https://") && super::headers::origin(uri).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(look: LookSettings) -> Vec<&'static str> {
        check_look(&look).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_look_is_checked_before_it_is_shown() {
        let some = |text: &str| Some(text.to_owned());
        assert!(problems(LookSettings::default()).is_empty());
        assert!(
            problems(LookSettings {
                title: some("Acme"),
                logo_uri: some("https://cdn.example.test/logo.svg"),
                accent: some("#112233"),
                accent_dark: some("#AABBCC"),
            })
            .is_empty()
        );
        assert_eq!(
            problems(LookSettings {
                title: some("a\nb"),
                logo_uri: some("javascript:alert(1)"),
                accent: some("red"),
                accent_dark: some("#fff;}"),
            }),
            ["title", "logo_uri", "accent", "accent_dark"]
        );
        for uri in [
            "http://example.test/a.png",
            "https://",
            "https://a b/",
            "data:text/html;base64,AAAA",
            "data:image/png,x",
            "https://example.test;script-src/x.png",
            "data:image/png;base64,AA\"A",
        ] {
            assert!(!is_logo(uri), "{uri}");
        }
        assert!(is_logo("data:image/png;base64,AAAA"));
    }
}
