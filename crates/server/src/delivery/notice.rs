//! The message that tells a person what happened to their account. Owns its words in each language; does not know who is told, or
//! when.

use minijinja::context;
use protocol::records::{Seconds, Tenant};
use protocol::time::write_seconds;

use super::text::{self, TextError};
use super::{Channel, Outgoing};
use crate::secret::Secret;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// Another password.
    PasswordChanged,
    /// A password where there was none.
    PasswordSet,
    /// Another name to sign in with.
    NameChanged,
    /// A factor more.
    Added,
    /// A factor less.
    Removed,
    /// A factor that is not as it was.
    Changed,
    /// A phone more that approves.
    PhoneAdded,
    /// A phone less.
    PhoneRemoved,
    /// A new set of recovery codes.
    RecoveryCodes,
    /// Recovery codes that are good no more.
    CodesRemoved,
    /// Another mail address.
    AddressChanged,
    /// Another telephone number.
    NumberChanged,
    /// A way back to the account, for whoever forgets the password.
    RecoverySet,
    /// No such way any more.
    RecoveryRemoved,
}

/// A notice to one person.
pub struct NoticeText<'a> {
    /// Whose texts.
    pub tenant: &'a Tenant,
    /// The recipient.
    pub to: &'a str,
    /// The language the person has asked for in the directory (`locale`).
    pub locale: Option<&'a str>,
    /// What they sign in as.
    pub account: &'a str,
    /// What happened.
    pub happened: Happened,
    /// The factor, by its stored name.
    pub factor: Option<&'a str>,
    /// What it is called, or most of its address hidden.
    pub detail: Option<&'a str>,
    /// When.
    pub at: Seconds,
    /// Where the person looks after their account.
    pub link: &'a str,
}

impl NoticeText<'_> {
    /// Writes the message.
    ///
    /// # Errors
    /// A built-in text cannot be rendered with these values.
    pub fn write(&self) -> Result<Outgoing, TextError> {
        let language = text::language_of(self.tenant, self.locale, "notice.");
        let german = language.split('-').next() == Some("de");
        let at = write_seconds(self.at);
        let at = format!("{} UTC", at.get(..16).unwrap_or(&at).replace('T', " "));
        let values = context! {
            service => &self.tenant.name,
            account => self.account,
            what => what(self.happened, german),
            factor => self.factor.map(|kind| factor(kind, german)),
            detail => self.detail,
            at => at,
            link => self.link,
        };
        let render = |name: &str| text::render(self.tenant, &language, name, &values);
        Ok(Outgoing {
            channel: Channel::Email,
            from: self.tenant.settings.mail_from.clone(),
            to: self.to.to_owned(),
            subject: text::one_line(&render("notice.email.subject.txt")?),
            text: render("notice.email.txt")?.into(),
            html: Some(Secret::from(render("notice.email.html")?)),
            code: None,
        })
    }
}

fn what(happened: Happened, german: bool) -> &'static str {
    let (english, other) = match happened {
        Happened::PasswordChanged => ("Your password was changed", "Ihr Passwort wurde geändert"),
        Happened::PasswordSet => ("Your account has a password now", "Ihr Konto hat jetzt ein Passwort"),
        Happened::NameChanged => {
            ("The name you sign in with was changed", "Der Name, mit dem Sie sich anmelden, wurde geändert")
        }
        Happened::Added => ("A way to sign in was added", "Ein Anmeldeweg kam hinzu"),
        Happened::Removed => ("A way to sign in was removed", "Ein Anmeldeweg wurde entfernt"),
        Happened::Changed => ("A way to sign in was changed", "Ein Anmeldeweg wurde geändert"),
        Happened::PhoneAdded => ("A phone was added", "Ein Telefon kam hinzu"),
        Happened::PhoneRemoved => ("A phone was removed", "Ein Telefon wurde entfernt"),
        Happened::AddressChanged => ("Your email address was changed", "Ihre E-Mail-Adresse wurde geändert"),
        Happened::NumberChanged => ("Your phone number was changed", "Ihre Telefonnummer wurde geändert"),
        Happened::RecoverySet => {
            ("A way to recover your account was set up", "Ein Weg zurück zu Ihrem Konto wurde eingerichtet")
        }
        Happened::RecoveryRemoved => {
            ("A way to recover your account was removed", "Ein Weg zurück zu Ihrem Konto wurde entfernt")
        }
        Happened::CodesRemoved => ("Recovery codes were removed", "Wiederherstellungscodes wurden entfernt"),
        Happened::RecoveryCodes => ("New recovery codes were made", "Neue Wiederherstellungscodes wurden erstellt"),
    };
    if german { other } else { english }
}

fn factor(kind: &str, german: bool) -> &'static str {
    let (english, other) = match kind {
        "password" => ("Password", "Passwort"),
        "passkey" => ("Passkey or security key", "Passkey oder Sicherheitsschlüssel"),
        "email-otp" => ("Code by email", "Code per E-Mail"),
        "sms-otp" => ("Code by text message", "Code per SMS"),
        "voice-otp" => ("Code by phone call", "Code per Anruf"),
        "totp" => ("Authenticator app", "Authenticator-App"),
        "questions" => ("Security questions", "Sicherheitsfragen"),
        "push-presence" | "push-fingerprint" | "push-face" => ("Approval on the phone", "Bestätigung auf dem Telefon"),
        "federated" => ("Sign-in with another provider", "Anmeldung bei einem anderen Anbieter"),
        _ => ("Another factor", "Ein anderer Faktor"),
    };
    if german { other } else { english }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use engine::FactorKind;
    use protocol::records::{Managed, TenantId, TenantSettings};

    fn tenant() -> Tenant {
        Tenant {
            id: TenantId::from("demo"),
            name: "Acme".to_owned(),
            urls: vec!["https://login.example.test".to_owned()],
            settings: TenantSettings::default(),
            managed: Managed::default(),
        }
    }

    fn notice<'a>(tenant: &'a Tenant, locale: Option<&'a str>, factor: Option<&'a str>) -> NoticeText<'a> {
        NoticeText {
            tenant,
            to: "scott@acme.org",
            locale,
            account: "scott",
            happened: Happened::Added,
            factor,
            detail: Some("<b>key</b>"),
            at: 1_777_608_000,
            link: "https://login.example.test/account",
        }
    }

    #[test]
    fn a_notice_says_what_and_when_in_the_language_of_its_reader() {
        let mut tenant = tenant();
        let english = notice(&tenant, None, Some("passkey")).write().unwrap();
        assert_eq!(english.subject, "Acme: A way to sign in was added");
        for part in ["Passkey or security key (<b>key</b>)", "scott", "2026-05-01 04:00 UTC", "/account"] {
            assert!(english.text.expose().contains(part), "{part}: {}", english.text.expose());
        }
        assert!(english.html.unwrap().expose().contains("&lt;b&gt;key&lt;"));
        let german = notice(&tenant, Some("de_AT"), Some("totp")).write().unwrap();
        assert_eq!(german.subject, "Acme: Ein Anmeldeweg kam hinzu");
        assert!(german.text.expose().contains("Authenticator-App"));
        assert!(!notice(&tenant, Some("fr"), None).write().unwrap().text.expose().contains('<'), "no factor, no line");
        // A tenant's own words win, in its own language too.
        let own = [("notice.email.subject.txt".to_owned(), "{{ what }}!".to_owned())].into();
        tenant.settings.texts.insert("de".to_owned(), own);
        tenant.settings.language = "de".to_owned();
        assert_eq!(notice(&tenant, None, None).write().unwrap().subject, "Ein Anmeldeweg kam hinzu!");
    }

    #[test]
    fn every_factor_has_a_name_of_its_own() {
        let told = FactorKind::second_factors().chain([FactorKind::Federated]);
        for kind in told.filter(|kind| *kind != FactorKind::BypassCode) {
            assert_ne!(factor(kind.as_str(), false), "Another factor", "{kind:?}");
        }
    }
}
