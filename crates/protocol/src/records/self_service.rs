//! What people may do for themselves, and the terms they are asked to accept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::*;

/// What people may do without anybody's help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SelfServiceSettings {
    /// Whether a forgotten password may be replaced by whoever reads the person's mail or telephone, or knows the answers.
    pub forgotten_password: bool,
    /// Seconds that what is mailed to somebody may be used.
    pub link_lifetime: Seconds,
    /// Where links in mail lead that no client has a page for: the page below it is added (`/resetpwd?token=…`). Without any, the mail
    /// holds what is to be typed.
    pub link_url: Option<String>,
    /// How people may register, by identifier.
    pub profiles: BTreeMap<String, RegistrationProfile>,
}

impl Default for SelfServiceSettings {
    fn default() -> Self {
        Self { forgotten_password: true, link_lifetime: 1800, link_url: None, profiles: BTreeMap::new() }
    }
}

/// Attributes, by SCIM's names, that only whoever keeps the directory gives, whatever a profile asks for.
pub const NEVER_ASKED_OF_PEOPLE: [&str; 7] =
    ["active", "groups", "roles", "entitlements", "externalId", "userType", "x509Certificates"];

/// How people may register themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistrationProfile {
    /// What administrators call it.
    pub name: String,
    /// Whether anybody may register by it.
    pub active: bool,
    /// What it is called, by language.
    pub display_name: BTreeMap<String, String>,
    /// What is asked of people, by SCIM's names, in order. Nothing else is taken from them.
    pub attributes: Vec<String>,
    /// What is asked that may be left out.
    pub optional: Vec<String>,
    /// What must be agreed to, by language; nothing where it is empty.
    pub consent_text: BTreeMap<String, String>,
    /// What stands above the form, by language.
    pub header_text: BTreeMap<String, String>,
    /// What stands below it, by language.
    pub footer_text: BTreeMap<String, String>,
    /// Whether an account may be used only when its mail address has been confirmed.
    pub confirm_mail: bool,
    /// Mail domains people may come from, literal; any where it is empty.
    pub mail_domains: Vec<String>,
    /// Groups that people are put into, by id.
    pub groups: Vec<GroupId>,
}

impl Default for RegistrationProfile {
    fn default() -> Self {
        Self {
            name: String::new(),
            active: true,
            display_name: BTreeMap::new(),
            attributes: ["userName", "name.givenName", "name.familyName", "emails", "password"]
                .map(str::to_owned)
                .into(),
            optional: Vec::new(),
            consent_text: BTreeMap::new(),
            header_text: BTreeMap::new(),
            footer_text: BTreeMap::new(),
            confirm_mail: true,
            mail_domains: Vec::new(),
            groups: Vec::new(),
        }
    }
}

/// Terms people are asked to accept before they may have a client that names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TermsOfUse {
    /// What administrators call them.
    pub name: String,
    /// What they are about.
    pub description: String,
    /// Whether anybody is asked.
    pub active: bool,
    /// Days after which they must be accepted again; none is never.
    pub expiry_days: Option<u32>,
    /// Their statements, one for each language, by identifier.
    pub statements: Vec<String>,
}

impl Default for TermsOfUse {
    fn default() -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            active: true,
            expiry_days: None,
            statements: Vec::new(),
        }
    }
}

/// The words of terms of use in one language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TermsStatement {
    /// The language (BCP 47).
    pub locale: String,
    /// The words.
    pub statement: String,
}

impl TenantSettings {
    /// The statements of terms of use, by their identifiers.
    pub fn statements_of(&self, terms: &TermsOfUse) -> Vec<(&str, &TermsStatement)> {
        let find = |id: &String| self.terms_statements.get_key_value(id.as_str()).map(|(id, one)| (id.as_str(), one));
        terms.statements.iter().filter_map(find).collect()
    }

    /// The statement in the language liked best: the very tag, or one of the same language.
    pub fn statement_of(&self, terms: &TermsOfUse, languages: &[&str]) -> Option<&TermsStatement> {
        let all = self.statements_of(terms);
        let language = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_lowercase();
        languages.iter().find_map(|wanted| {
            let exact = all
                .iter()
                .find(|(_, one)| one.locale.replace('_', "-").eq_ignore_ascii_case(&wanted.replace('_', "-")));
            let near = || all.iter().find(|(_, one)| language(&one.locale) == language(wanted));
            exact.or_else(near).map(|(_, one)| *one)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn terms_are_put_in_the_language_liked_best() {
        let mut settings = TenantSettings::default();
        for (id, locale) in [("a", "en"), ("b", "de-CH"), ("c", "fr")] {
            let statement = TermsStatement { locale: locale.to_owned(), statement: format!("in {locale}") };
            settings.terms_statements.insert(id.to_owned(), statement);
        }
        let terms = TermsOfUse { statements: ["a", "b", "gone"].map(str::to_owned).into(), ..TermsOfUse::default() };
        let found = |languages: &[&str]| settings.statement_of(&terms, languages).map(|one| one.locale.clone());
        assert_eq!(found(&["de-ch"]).unwrap(), "de-CH");
        assert_eq!(found(&["de_AT", "en"]).unwrap(), "de-CH");
        assert_eq!(found(&["it", "en-GB"]).unwrap(), "en");
        // A statement that is not one of these terms is not theirs.
        assert_eq!(found(&["fr"]), None);
        assert_eq!(settings.statements_of(&terms).len(), 2);
    }
}
