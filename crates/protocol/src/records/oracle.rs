//! What only Oracle's dialect wants to know of a tenant and of an application.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::*;

/// What Oracle's dialect knows of an application beyond its roles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OracleApp {
    /// Where browsers are handed to with `loginCtx` instead of our own pages (*Custom Login URL*).
    pub login_url: Option<String>,
    /// Where they are sent with `errorCtx` (*Custom Error URL*).
    pub error_url: Option<String>,
}

/// What Oracle's dialect knows of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OracleSettings {
    /// What tokens call the tenant; always lower case. Its id where absent.
    pub name: Option<String>,
    /// The issuer of everything handed out under `/oauth2/v1`. Clients compare it to the letter, whatever host they call.
    pub issuer: String,
    /// Whether `/.well-known/openid-configuration` without a path family is Oracle's document instead of our own.
    pub discovery_at_root: bool,
    /// Whether `/admin/v1/SigningCert/jwk` answers strangers.
    pub signing_cert_public: bool,
    /// Whether browsers are handed to custom sign-in pages (`sdkEnabled`).
    pub sdk_enabled: bool,
    /// Whether pages of other origins may call (CORS).
    pub cors_enabled: bool,
    /// Those that may: host, and port where it is not the usual one, without a scheme (`localhost:3000`).
    pub cors_origins: Vec<String>,
    /// Seconds a session lives that began at this door, used or not.
    pub session_lifetime: Seconds,
    /// Seconds a `requestState` lives, anew with each step that succeeds.
    pub request_state_lifetime: Seconds,
    /// Groups whose members administer the tenant, by name.
    pub administrators: BTreeSet<String>,
    /// What people are asked to set up for the day they lose their password: `sms`, `email`, `questions`. Nobody is asked where it is
    /// empty, and everybody may put it off.
    pub account_recovery: BTreeSet<String>,
    /// Where a browser goes that came without an application: a path of ours or an address.
    pub landing: String,
}

impl Default for OracleSettings {
    fn default() -> Self {
        Self {
            name: None,
            issuer: "https://identity.oraclecloud.com/".to_owned(),
            discovery_at_root: false,
            signing_cert_public: false,
            sdk_enabled: true,
            cors_enabled: true,
            cors_origins: Vec::new(),
            session_lifetime: 28_800,
            request_state_lifetime: 900,
            administrators: BTreeSet::new(),
            account_recovery: BTreeSet::new(),
            landing: "/".to_owned(),
        }
    }
}

impl OracleSettings {
    /// What tokens call a tenant of this id.
    pub fn name_of(&self, tenant: &TenantId) -> String {
        self.name.as_deref().unwrap_or(tenant.as_str()).to_lowercase()
    }

    /// Whether a page of this origin may call. Origins are named without their scheme.
    pub fn admits_origin(&self, origin: &str) -> bool {
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        self.cors_enabled && host.is_some_and(|host| self.cors_origins.iter().any(|one| one.eq_ignore_ascii_case(host)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_whole_and_without_their_scheme() {
        let settings = OracleSettings { cors_origins: vec!["localhost:3000".into()], ..OracleSettings::default() };
        assert!(settings.admits_origin("http://localhost:3000"));
        assert!(settings.admits_origin("https://LOCALHOST:3000"));
        for other in ["http://localhost", "http://localhost:30000", "null", "http://evil.test/localhost:3000", ""] {
            assert!(!settings.admits_origin(other), "{other}");
        }
        let off = OracleSettings { cors_enabled: false, ..settings };
        assert!(!off.admits_origin("http://localhost:3000"));
    }
}
