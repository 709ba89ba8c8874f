//! Owns the error codes of OAuth and OpenID Connect, and the rejection every parser here ends in.
//!
//! Does not own the shape of an answer: doors spell it. Texts never quote what a stranger sent, except names that were
//! checked.

use std::borrow::Cow;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal;)*) => {
        /// An error code, as the standards and the vendor page (§5.4) spell it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum OAuthCode {$($(#[$doc])* $name,)*}

        impl OAuthCode {
            /// Every code, for tests and tables.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as it stands in `error`.
            pub fn as_str(self) -> &'static str {
                match self {$(Self::$name => $text,)*}
            }

            /// The HTTP status of a direct answer where no setting says otherwise.
            pub fn default_status(self) -> u16 {
                match self {$(Self::$name => $status,)*}
            }
        }
    };
}

codes! {
    /// The request is malformed (RFC 6749 §5.2).
    InvalidRequest = "invalid_request", 400;
    /// The client is unknown or did not prove itself (RFC 6749 §5.2).
    InvalidClient = "invalid_client", 401;
    /// The code, token or assertion is not good (RFC 6749 §5.2).
    InvalidGrant = "invalid_grant", 400;
    /// The client may not use this grant (RFC 6749 §5.2).
    UnauthorizedClient = "unauthorized_client", 400;
    /// Nobody offers this grant (RFC 6749 §5.2).
    UnsupportedGrantType = "unsupported_grant_type", 400;
    /// The scope is malformed or wider than allowed (RFC 6749 §5.2).
    InvalidScope = "invalid_scope", 400;
    /// The policy or the person said no (RFC 6749 §4.1.2.1); the vendor answers 401 at the token endpoint.
    AccessDenied = "access_denied", 401;
    /// Response type not offered (RFC 6749 §4.1.2.1).
    UnsupportedResponseType = "unsupported_response_type", 400;
    /// A sign-in is needed (OpenID Connect Core §3.1.2.6).
    LoginRequired = "login_required", 400;
    /// The person must do something (OpenID Connect Core §3.1.2.6).
    InteractionRequired = "interaction_required", 400;
    /// The person must consent (OpenID Connect Core §3.1.2.6).
    ConsentRequired = "consent_required", 400;
    /// The person must choose an account (OpenID Connect Core §3.1.2.6).
    AccountSelectionRequired = "account_selection_required", 400;
    /// Not decided yet (RFC 8628 §3.5).
    AuthorizationPending = "authorization_pending", 400;
    /// Asked too fast (RFC 8628 §3.5).
    SlowDown = "slow_down", 400;
    /// Too late (RFC 8628 §3.5).
    ExpiredToken = "expired_token", 400;
    /// The access token is not good (RFC 6750 §3.1).
    InvalidToken = "invalid_token", 401;
    /// The access token may not do this (RFC 6750 §3.1).
    InsufficientScope = "insufficient_scope", 403;
    /// The resource or audience is not allowed (RFC 8707 §2).
    InvalidTarget = "invalid_target", 400;
    /// The DPoP proof is not good (RFC 9449 §5).
    InvalidDpopProof = "invalid_dpop_proof", 400;
    /// The DPoP proof needs our nonce (RFC 9449 §8).
    UseDpopNonce = "use_dpop_nonce", 400;
    /// The `request_uri` is not good (RFC 9101 §7).
    InvalidRequestUri = "invalid_request_uri", 400;
    /// The request object is not good (RFC 9101 §7).
    InvalidRequestObject = "invalid_request_object", 400;
    /// Request objects by value are not offered (OpenID Connect Core §3.1.2.6).
    RequestNotSupported = "request_not_supported", 400;
    /// Request objects by reference are not offered (OpenID Connect Core §3.1.2.6).
    RequestUriNotSupported = "request_uri_not_supported", 400;
    /// Registration within a request is not offered (OpenID Connect Core §3.1.2.6).
    RegistrationNotSupported = "registration_not_supported", 400;
    /// The authentication asked for cannot be had (Unmet Authentication Requirements §2; RFC 9470 §5).
    UnmetAuthenticationRequirements = "unmet_authentication_requirements", 400;
    /// `authorization_details` are not good (RFC 9396 §5).
    InvalidAuthorizationDetails = "invalid_authorization_details", 400;
    /// A member of client metadata is not good (RFC 7591 §3.2.2).
    InvalidClientMetadata = "invalid_client_metadata", 400;
    /// A redirect URI is not good (RFC 7591 §3.2.2).
    InvalidRedirectUri = "invalid_redirect_uri", 400;
    /// This kind of token cannot be revoked (RFC 7009 §2.2.1).
    UnsupportedTokenType = "unsupported_token_type", 400;
    /// Adaptive access lacks its data (vendor page §5.4).
    AdaptiveMoreInfoRequired = "adaptive_more_info_required", 400;
    /// A fault of ours (RFC 6749 §4.1.2.1).
    ServerError = "server_error", 500;
    /// Overloaded or being serviced (RFC 6749 §4.1.2.1).
    TemporarilyUnavailable = "temporarily_unavailable", 503;
}

impl std::fmt::Display for OAuthCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request that is refused as it stands. What it holds may be shown to whoever sent the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Rejection {
    /// The OAuth error code.
    pub code: OAuthCode,
    /// The vendor's message id, where one other than the code's own is due (§5.3).
    pub message_id: Option<&'static str>,
    /// What is wrong: lower case, no full stop.
    pub detail: Cow<'static, str>,
}

impl Rejection {
    /// A rejection with the message id that goes with its code.
    pub fn new(code: OAuthCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message_id: None, detail: detail.into() }
    }

    /// `invalid_request`.
    pub fn invalid_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(OAuthCode::InvalidRequest, detail)
    }

    /// `invalid_client`. The text never tells an unknown client from a wrong secret.
    pub fn invalid_client() -> Self {
        Self::new(OAuthCode::InvalidClient, "client authentication failed")
    }

    /// `invalid_grant`.
    pub fn invalid_grant(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(OAuthCode::InvalidGrant, detail)
    }

    /// `invalid_scope`.
    pub fn invalid_scope(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(OAuthCode::InvalidScope, detail)
    }

    /// The same with another message id.
    pub fn with_id(mut self, id: &'static str) -> Self {
        self.message_id = Some(id);
        self
    }

    /// `error_description`: the message id first, then the text, in the characters allowed there and no longer than 300.
    pub fn describe(&self) -> String {
        let id = self.message_id.unwrap_or_else(|| default_message_id(self.code));
        clean_description(&format!("{id} {}", self.detail))
    }
}

/// The vendor's message id of a code (§5.3); where that table has none, the family's `9999E`.
pub fn default_message_id(code: OAuthCode) -> &'static str {
    match code {
        OAuthCode::InvalidClient => "CSIAQ0155E",
        OAuthCode::InvalidGrant => "CSIAQ0158E",
        OAuthCode::AccessDenied => "CSIAQ0278E",
        OAuthCode::AdaptiveMoreInfoRequired => "CSIAQ0298E",
        _ => "CSIAQ9999E",
    }
}

/// Brings a text into the grammar of `error_description` (RFC 6749 App. A.8: no quote, backslash, control or non-ASCII).
pub fn clean_description(text: &str) -> String {
    text.chars()
        .take(300)
        .map(|c| match c {
            '"' => '\'',
            '\\' => '/',
            ' '..='~' => c,
            c if c.is_whitespace() => ' ',
            _ => '?',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_are_distinct_and_printable() {
        let mut seen = std::collections::BTreeSet::new();
        for code in OAuthCode::ALL {
            assert!(seen.insert(code.as_str()), "{code} stands twice");
            assert!(code.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            assert!((400..600).contains(&code.default_status()));
        }
    }

    #[test]
    fn the_message_id_is_the_first_word() {
        assert_eq!(Rejection::invalid_client().describe(), "CSIAQ0155E client authentication failed");
        let entitled = Rejection::new(OAuthCode::AccessDenied, "no entitlement").with_id("CSIAQ0279E");
        assert_eq!(entitled.describe(), "CSIAQ0279E no entitlement");
        assert_eq!(entitled.code.default_status(), 401);
    }

    proptest! {
        #[test]
        fn descriptions_keep_to_the_grammar(text in ".{0,400}") {
            let out = clean_description(&text);
            prop_assert!(out.chars().count() <= 300);
            prop_assert!(out.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)));
        }
    }
}
