//! Owns the path families of the authorization server, their issuers, and the metadata document of each (OpenID Connect
//! Discovery, RFC 8414; vendor page §0.2, §4.14).
//!
//! A document says what it is told is offered and nothing else: an endpoint that is not offered has no member.

use serde_json::{Map, Value, json};

use crate::authorize::{Display, Prompt};
use crate::records::SigningAlg;

/// One of the paths the same authorization server answers under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prefix {
    /// No prefix: ours.
    Root,
    /// `/v1.0/endpoint/default`.
    Legacy,
    /// `/oidc/endpoint/default`.
    Definition,
    /// `/oauth2`.
    Newer,
    /// `/oauth2/v1`: Oracle's. A dialect of its own, whose issuer is the tenant's to say.
    Oracle,
}

/// The well-known part of an RFC 8414 document, which stands before the issuer's path (§3.1).
const OAUTH_WELL_KNOWN: &str = "/.well-known/oauth-authorization-server";
/// The well-known part of an OpenID document, which stands after it (Discovery §4.1).
const OPENID_WELL_KNOWN: &str = "/.well-known/openid-configuration";

impl Prefix {
    /// Every path family that has the same endpoints and an issuer of its own.
    pub const ALL: [Self; 4] = [Self::Root, Self::Legacy, Self::Definition, Self::Newer];

    /// Its path: nothing, or from the slash on.
    pub fn path(self) -> &'static str {
        match self {
            Self::Root => "",
            Self::Legacy => "/v1.0/endpoint/default",
            Self::Definition => "/oidc/endpoint/default",
            Self::Newer => "/oauth2",
            Self::Oracle => "/oauth2/v1",
        }
    }

    /// The family a request path belongs to; an RFC 8414 path by what follows the well-known part.
    pub fn of_path(path: &str) -> Self {
        let path = path.strip_prefix(OAUTH_WELL_KNOWN).unwrap_or(path);
        [Self::Oracle, Self::Legacy, Self::Definition, Self::Newer]
            .into_iter()
            .find(|prefix| {
                path.strip_prefix(prefix.path()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
            .unwrap_or(Self::Root)
    }

    /// The issuer of what the family hands out. Each equals the URL its document hangs under (Discovery §4.3), but for the legacy
    /// family, whose issuer is the definition's by the vendor's word (§0.2).
    pub fn issuer(self, base: &str) -> String {
        let path = match self {
            Self::Legacy => Self::Definition.path(),
            own => own.path(),
        };
        format!("{base}{path}")
    }

    /// A URL of the family: the base, its path, and a name such as `token`.
    pub fn endpoint(self, base: &str, name: &str) -> String {
        format!("{base}{}/{name}", self.path())
    }

    /// Paths the metadata document is found under: OpenID's, and RFC 8414's both as it should be and as clients guess.
    pub fn well_known_paths(self) -> [String; 3] {
        let path = self.path();
        [format!("{path}{OPENID_WELL_KNOWN}"), format!("{OAUTH_WELL_KNOWN}{path}"), format!("{path}{OAUTH_WELL_KNOWN}")]
    }
}

/// What the audience of an assertion for us may name: the issuer or token URL of any family (vendor page §0.2).
pub fn accepted_audiences(base: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::with_capacity(8);
    let own = Prefix::ALL.into_iter().flat_map(|prefix| [prefix.issuer(base), prefix.endpoint(base, "token")]);
    for url in own.chain([Prefix::Oracle.endpoint(base, "token")]) {
        if !all.contains(&url) {
            all.push(url);
        }
    }
    all
}

/// An endpoint that metadata can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `authorization_endpoint`.
    Authorize,
    /// `token_endpoint`.
    Token,
    /// `introspection_endpoint`.
    Introspect,
    /// `revocation_endpoint`.
    Revoke,
    /// `userinfo_endpoint`.
    Userinfo,
    /// `jwks_uri`.
    Jwks,
    /// `device_authorization_endpoint`.
    DeviceAuthorization,
    /// `pushed_authorization_request_endpoint`.
    Par,
    /// `registration_endpoint`.
    Register,
    /// `end_session_endpoint`.
    EndSession,
    /// `check_session_iframe` (Session Management 1.0 §3.3).
    CheckSession,
    /// `user_authorization_endpoint`: where people type a device's code. The vendor's name for it; no registry knows it.
    UserAuthorization,
}

impl Endpoint {
    /// The metadata member that names it.
    pub fn member(self) -> &'static str {
        match self {
            Self::Authorize => "authorization_endpoint",
            Self::Token => "token_endpoint",
            Self::Introspect => "introspection_endpoint",
            Self::Revoke => "revocation_endpoint",
            Self::Userinfo => "userinfo_endpoint",
            Self::Jwks => "jwks_uri",
            Self::DeviceAuthorization => "device_authorization_endpoint",
            Self::Par => "pushed_authorization_request_endpoint",
            Self::Register => "registration_endpoint",
            Self::EndSession => "end_session_endpoint",
            Self::CheckSession => "check_session_iframe",
            Self::UserAuthorization => "user_authorization_endpoint",
        }
    }

    /// The path a family's document names for it. The legacy family has no pages of its own and names the definition's.
    pub fn path(self, prefix: Prefix) -> String {
        let own = matches!(self, Self::Token | Self::Introspect | Self::Revoke | Self::Userinfo | Self::Jwks);
        let prefix = match (self, prefix) {
            (Self::EndSession, Prefix::Legacy | Prefix::Definition) => Prefix::Newer,
            (_, Prefix::Legacy) if !own => Prefix::Definition,
            (_, prefix) => prefix,
        };
        let name = match (self, prefix) {
            (Self::Authorize, _) => "authorize",
            (Self::Token, _) => "token",
            (Self::Introspect, _) => "introspect",
            (Self::Revoke, _) => "revoke",
            (Self::Userinfo, _) => "userinfo",
            (Self::Jwks, _) => "jwks",
            (Self::DeviceAuthorization, _) => "device_authorization",
            (Self::Par, _) => "par",
            (Self::Register, Prefix::Definition) => "client_registration",
            (Self::Register, _) => "register",
            (Self::EndSession, _) => "rplogout",
            (Self::CheckSession, _) => "check_session",
            (Self::UserAuthorization, _) => "user_authorization",
        };
        format!("{}/{name}", prefix.path())
    }
}

/// What the server offers under one family.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// Scheme, host and port, no trailing slash.
    pub base: &'a str,
    /// The family.
    pub prefix: Prefix,
    /// Endpoints that are served.
    pub endpoints: &'a [Endpoint],
    /// Grant types that work.
    pub grant_types: &'a [&'a str],
    /// Response types that work; none where there is no authorization endpoint.
    pub response_types: &'a [&'a str],
    /// Response modes that work.
    pub response_modes: &'a [&'a str],
    /// Methods of client authentication that work.
    pub auth_methods: &'a [&'a str],
    /// Algorithms a client assertion may be signed with.
    pub assertion_algs: &'a [&'a str],
    /// Algorithms we sign ID tokens with.
    pub id_token_algs: &'a [SigningAlg],
    /// Scopes anybody may ask for.
    pub scopes: &'a [&'a str],
    /// Claims that may come.
    pub claims: &'a [&'a str],
    /// Whether clients may have pairwise subjects.
    pub pairwise: bool,
    /// Whether the `claims` parameter is read.
    pub claims_parameter: bool,
    /// Algorithms a request object may be signed with; none where it is not read.
    pub request_object_algs: &'a [&'a str],
    /// Whether request objects are fetched from where clients registered them.
    pub request_uri: bool,
    /// Algorithms answers may be encrypted with: `alg` values and `enc` values; none where they are not.
    pub encryption: (&'a [&'a str], &'a [&'a str]),
    /// The same for what is encrypted to us.
    pub decryption: (&'a [&'a str], &'a [&'a str]),
    /// `acr` values that stand for something.
    pub acr_values: &'a [&'a str],
    /// Languages of the pages.
    pub ui_locales: &'a [&'a str],
    /// Algorithms of DPoP proofs; none where they are not read.
    pub dpop_algs: &'a [&'a str],
    /// Members that replace or add to the others (the vendor's `extraMetadataAttributes`).
    pub extra: &'a Map<String, Value>,
}

/// The metadata document, the same for OpenID and for plain OAuth clients.
pub fn describe(offer: &Offer<'_>) -> Map<String, Value> {
    let mut doc = Map::new();
    let mut say = |name: &str, value: Value| {
        doc.insert(name.to_owned(), value);
    };
    say("issuer", offer.prefix.issuer(offer.base).into());
    for endpoint in offer.endpoints {
        say(endpoint.member(), format!("{}{}", offer.base, endpoint.path(offer.prefix)).into());
    }
    let offers = |endpoint| offer.endpoints.contains(&endpoint);
    // Required by RFC 8414 §2 even where it is empty.
    say("response_types_supported", json!(offer.response_types));
    say("grant_types_supported", json!(offer.grant_types));
    let algs: Vec<&str> = offer.id_token_algs.iter().map(|alg| alg.as_str()).collect();
    say("id_token_signing_alg_values_supported", json!(algs));
    say("subject_types_supported", if offer.pairwise { json!(["public", "pairwise"]) } else { json!(["public"]) });
    say("scopes_supported", json!(offer.scopes));
    say("claims_supported", json!(offer.claims));
    say("claim_types_supported", json!(["normal"]));
    say("claims_parameter_supported", json!(offer.claims_parameter));
    say("request_parameter_supported", json!(!offer.request_object_algs.is_empty()));
    // Absent would mean true (Discovery §3).
    say("request_uri_parameter_supported", json!(offer.request_uri));
    if offer.request_uri {
        say("require_request_uri_registration", json!(true));
    }
    if offers(Endpoint::Userinfo) {
        say("userinfo_signing_alg_values_supported", json!(algs));
    }
    let mut crypt = |stem: &str, (alg, enc): (&[&str], &[&str])| {
        if !alg.is_empty() {
            doc.insert(format!("{stem}_encryption_alg_values_supported"), json!(alg));
            doc.insert(format!("{stem}_encryption_enc_values_supported"), json!(enc));
        }
    };
    crypt("id_token", offer.encryption);
    if offers(Endpoint::Userinfo) {
        crypt("userinfo", offer.encryption);
    }
    if !offer.request_object_algs.is_empty() {
        crypt("request_object", offer.decryption);
    }
    let mut say = |name: &str, value: Value| {
        doc.insert(name.to_owned(), value);
    };
    if !offer.request_object_algs.is_empty() {
        say("request_object_signing_alg_values_supported", json!(offer.request_object_algs));
    }
    for (endpoint, stem) in [
        (Endpoint::Token, "token_endpoint"),
        (Endpoint::Introspect, "introspection_endpoint"),
        (Endpoint::Revoke, "revocation_endpoint"),
    ] {
        if !offers(endpoint) {
            continue;
        }
        // Introspection is for clients that prove themselves (RFC 7662 §2.1).
        let methods: Vec<&str> =
            offer.auth_methods.iter().copied().filter(|m| endpoint != Endpoint::Introspect || *m != "none").collect();
        if methods.contains(&"private_key_jwt") {
            say(&format!("{stem}_auth_signing_alg_values_supported"), json!(offer.assertion_algs));
        }
        say(&format!("{stem}_auth_methods_supported"), json!(methods));
    }
    if offers(Endpoint::Authorize) {
        say("response_modes_supported", json!(offer.response_modes));
        say("code_challenge_methods_supported", json!(["S256"]));
        say("authorization_response_iss_parameter_supported", json!(true));
        say("acr_values_supported", json!(offer.acr_values));
        say("prompt_values_supported", json!(Prompt::ALL.map(Prompt::as_str)));
        say("display_values_supported", json!(Display::ALL.map(Display::as_str)));
        say("ui_locales_supported", json!(offer.ui_locales));
    }
    if offers(Endpoint::Par) {
        say("require_pushed_authorization_requests", json!(false));
    }
    if offers(Endpoint::EndSession) {
        for name in ["frontchannel_logout", "backchannel_logout"] {
            say(&format!("{name}_supported"), json!(true));
            say(&format!("{name}_session_supported"), json!(true));
        }
    }
    if !offer.dpop_algs.is_empty() {
        say("dpop_signing_alg_values_supported", json!(offer.dpop_algs));
    }
    doc.extend(offer.extra.iter().map(|(name, value)| (name.clone(), value.clone())));
    doc
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const BASE: &str = "https://login.example.test";
    const NOW: [Endpoint; 5] =
        [Endpoint::Token, Endpoint::Introspect, Endpoint::Revoke, Endpoint::Userinfo, Endpoint::Jwks];

    fn document(prefix: Prefix, endpoints: &[Endpoint], extra: Value) -> Value {
        describe(&Offer {
            base: BASE,
            prefix,
            endpoints,
            grant_types: &["policyauth", "refresh_token"],
            response_types: if endpoints.contains(&Endpoint::Authorize) { &["code"] } else { &[] },
            response_modes: &["query"],
            auth_methods: &["client_secret_basic", "private_key_jwt", "none"],
            assertion_algs: &["ES256"],
            id_token_algs: &[SigningAlg::Rs256, SigningAlg::EdDsa],
            scopes: &["openid"],
            claims: &["sub"],
            pairwise: true,
            claims_parameter: false,
            request_object_algs: &[],
            request_uri: false,
            encryption: (&["RSA-OAEP"], &["A256GCM"]),
            decryption: (&["ECDH-ES"], &["A128GCM"]),
            acr_values: &["phr"],
            ui_locales: &["en"],
            dpop_algs: &[],
            extra: extra.as_object().unwrap(),
        })
        .into()
    }

    #[test]
    fn each_issuer_is_the_url_its_document_hangs_under() {
        for prefix in [Prefix::Root, Prefix::Definition, Prefix::Newer] {
            let [openid, oauth, _] = prefix.well_known_paths();
            let issuer = document(prefix, &NOW, json!({}))["issuer"].as_str().unwrap().to_owned();
            assert_eq!(format!("{issuer}/.well-known/openid-configuration"), format!("{BASE}{openid}"));
            let path = issuer.strip_prefix(BASE).unwrap();
            assert_eq!(oauth, format!("/.well-known/oauth-authorization-server{path}"));
        }
        assert_eq!(Prefix::Legacy.issuer(BASE), "https://login.example.test/oidc/endpoint/default");
        assert_eq!(Prefix::Newer.issuer(BASE), "https://login.example.test/oauth2");
        assert_eq!(Prefix::Root.issuer(BASE), BASE);
    }

    #[test]
    fn paths_lead_back_to_their_family() {
        for prefix in Prefix::ALL {
            assert_eq!(Prefix::of_path(&format!("{}/token", prefix.path())), prefix);
            for path in prefix.well_known_paths() {
                assert_eq!(Prefix::of_path(&path), prefix, "{path}");
            }
            assert_eq!(prefix.endpoint(BASE, "token"), format!("{BASE}{}", Endpoint::Token.path(prefix)));
        }
        for path in
            ["", "/", "/oauth2x/token", "/v1.0/endpoint/other/token", "/v2.0/factors", "/oidc/endpoint/defaultx"]
        {
            assert_eq!(Prefix::of_path(path), Prefix::Root, "{path}");
        }
        assert_eq!(Prefix::of_path("/oauth2"), Prefix::Newer);
        assert_eq!(Prefix::of_path("/oauth2/v1/token"), Prefix::Oracle);
        assert_eq!(Prefix::of_path("/oauth2/v1x/token"), Prefix::Newer);
    }

    #[test]
    fn what_is_not_offered_is_not_said() {
        let doc = document(Prefix::Newer, &NOW, json!({}));
        for absent in [
            "authorization_endpoint",
            "registration_endpoint",
            "code_challenge_methods_supported",
            "response_modes_supported",
            "authorization_response_iss_parameter_supported",
            "dpop_signing_alg_values_supported",
            "request_object_signing_alg_values_supported",
            "request_object_encryption_alg_values_supported",
            "require_request_uri_registration",
            "acr_values_supported",
            "frontchannel_logout_supported",
            "check_session_iframe",
        ] {
            assert!(doc.get(absent).is_none(), "{absent}");
        }
        assert_eq!(doc["response_types_supported"], json!([]));
        assert_eq!(doc["request_uri_parameter_supported"], json!(false));
        assert_eq!(
            doc["introspection_endpoint_auth_methods_supported"],
            json!(["client_secret_basic", "private_key_jwt"])
        );
        assert_eq!(doc["token_endpoint_auth_signing_alg_values_supported"], json!(["ES256"]));
        assert_eq!(doc["jwks_uri"], "https://login.example.test/oauth2/jwks");
        assert_eq!(doc["userinfo_signing_alg_values_supported"], json!(["RS256", "EdDSA"]));
        assert_eq!(doc["id_token_encryption_alg_values_supported"], json!(["RSA-OAEP"]));
        assert_eq!(doc["userinfo_encryption_enc_values_supported"], json!(["A256GCM"]));
        let more = document(Prefix::Newer, &[Endpoint::Authorize, Endpoint::Token], json!({}));
        assert_eq!(more["code_challenge_methods_supported"], json!(["S256"]));
        assert!(more.get("introspection_endpoint_auth_methods_supported").is_none());
    }

    #[test]
    fn the_legacy_document_names_the_definition_s_pages() {
        let all = [
            Endpoint::Authorize,
            Endpoint::Token,
            Endpoint::Register,
            Endpoint::EndSession,
            Endpoint::DeviceAuthorization,
        ];
        let doc = document(Prefix::Legacy, &all, json!({}));
        assert_eq!(doc["token_endpoint"], "https://login.example.test/v1.0/endpoint/default/token");
        assert_eq!(doc["authorization_endpoint"], "https://login.example.test/oidc/endpoint/default/authorize");
        assert_eq!(
            doc["registration_endpoint"],
            "https://login.example.test/oidc/endpoint/default/client_registration"
        );
        assert_eq!(doc["end_session_endpoint"], "https://login.example.test/oauth2/rplogout");
    }

    #[test]
    fn extra_members_have_the_last_word() {
        let doc = document(Prefix::Root, &NOW, json!({"issuer": "https://other.test", "service_documentation": "x"}));
        assert_eq!(
            (doc["issuer"].as_str(), doc["service_documentation"].as_str()),
            (Some("https://other.test"), Some("x"))
        );
    }

    #[test]
    fn audiences_are_every_issuer_and_token_url_once() {
        let all = accepted_audiences(BASE);
        assert_eq!(all.len(), 8);
        for one in ["/oauth2", "/oauth2/token", "/v1.0/endpoint/default/token", "/oidc/endpoint/default", "/token", ""]
        {
            assert!(all.contains(&format!("{BASE}{one}")), "{one}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(path in "[/a-z0-9.ü]{0,60}") {
            let _ = Prefix::of_path(&path);
        }
    }
}
