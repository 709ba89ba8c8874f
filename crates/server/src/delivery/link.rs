//! The message that carries what opens something once: a new password, an address, an account. Owns its words in each language; does
//! not know what is opened, or by whom.

use minijinja::context;
use protocol::records::{Seconds, Tenant};

use super::text::{self, TextError};
use super::{Channel, Outgoing};
use crate::secret::Secret;

/// What is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// A new password may be set.
    NewPassword,
    /// An address is known to be the person's.
    Address,
    /// An account that somebody registered may be used.
    Account,
}

impl Opens {
    /// Its name in templates.
    fn as_str(self) -> &'static str {
        match self {
            Self::NewPassword => "reset",
            Self::Address => "verify",
            Self::Account => "activate",
        }
    }

    /// The page of a sign-in application that takes it (Oracle page §6.2).
    pub fn page(self) -> &'static str {
        match self {
            Self::NewPassword => "resetpwd",
            Self::Address | Self::Account => "selfreg",
        }
    }
}

/// A message to one person.
pub struct LinkText<'a> {
    /// Whose texts.
    pub tenant: &'a Tenant,
    /// The recipient.
    pub to: &'a str,
    /// The language the person has asked for in the directory (`locale`).
    pub locale: Option<&'a str>,
    /// What they sign in as.
    pub account: &'a str,
    /// What is opened.
    pub opens: Opens,
    /// What opens it.
    pub token: &'a Secret<String>,
    /// Where the page that takes it stands; none where it is typed.
    pub at: Option<&'a str>,
    /// Seconds it lives.
    pub life: Seconds,
}

impl LinkText<'_> {
    /// Writes the message.
    ///
    /// # Errors
    /// A built-in text cannot be rendered with these values.
    pub fn write(&self) -> Result<Outgoing, TextError> {
        let language = text::language_of(self.tenant, self.locale, "link.");
        let link = self
            .at
            .map(|at| format!("{}/{}?token={}", at.trim_end_matches('/'), self.opens.page(), self.token.expose()));
        let values = context! {
            service => &self.tenant.name,
            account => self.account,
            purpose => self.opens.as_str(),
            link => link,
            token => self.token.expose(),
            minutes => (self.life / 60).max(1),
        };
        let render = |name: &str| text::render(self.tenant, &language, name, &values);
        Ok(Outgoing {
            channel: Channel::Email,
            from: self.tenant.settings.mail_from.clone(),
            to: self.to.to_owned(),
            subject: text::one_line(&render("link.email.subject.txt")?),
            text: render("link.email.txt")?.into(),
            html: Some(Secret::from(render("link.email.html")?)),
            code: Some(self.token.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use protocol::records::{Managed, TenantId, TenantSettings};

    #[test]
    fn every_message_holds_what_opens_once_in_each_language() {
        let tenant = Tenant {
            id: TenantId::from("acme"),
            name: "Acme & Sons".to_owned(),
            urls: vec!["https://login.acme.test".to_owned()],
            settings: TenantSettings::default(),
            managed: Managed::default(),
        };
        let token = Secret::from("TheToken".to_owned());
        for opens in [Opens::NewPassword, Opens::Address, Opens::Account] {
            for (locale, word) in [("en", "once"), ("de-AT", "einmal")] {
                for at in [None, Some("https://app.acme.test/ui/")] {
                    let text = LinkText {
                        tenant: &tenant,
                        to: "scott@acme.test",
                        locale: Some(locale),
                        account: "scott",
                        opens,
                        token: &token,
                        at,
                        life: 1800,
                    };
                    let message = text.write().unwrap();
                    let html = message.html.unwrap();
                    for body in [message.text.expose(), html.expose()] {
                        assert!(body.contains(word) && body.contains("30") && body.contains("TheToken"), "{body}");
                        let link = format!("https://app.acme.test/ui/{}?token=TheToken", opens.page());
                        assert_eq!(body.replace("&#x2f;", "/").contains(&link), at.is_some(), "{body}");
                    }
                    assert!(message.subject.contains("Acme & Sons"), "{}", message.subject);
                }
            }
        }
    }
}
