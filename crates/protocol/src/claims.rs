//! Owns what tokens, userinfo and introspection say: which claims a person has, which of them a scope brings, and their shapes.
//!
//! Signs nothing and looks nobody up. A claim without value is left out (OpenID Connect Core §5.3.2).

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

pub use crate::hashes::half_hash;
use crate::records::{Client, GrantDetail, Seconds, SourceKind, User};

/// Claims that `openid` alone brings in the vendor's dialect (§4.13).
pub const DEFAULTS: [&str; 7] =
    ["realmName", "uniqueSecurityName", "displayName", "name", "preferred_username", "userType", "ext"];
/// Claims of a person that introspection shows (vendor page §4.11).
const INTROSPECTED: [&str; 6] =
    ["realmName", "uniqueSecurityName", "preferred_username", "userType", "groupIds", "ext"];
/// OpenID Connect Core §5.4.
const PROFILE: [&str; 14] = [
    "name",
    "family_name",
    "given_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "updated_at",
];
const EMAIL: [&str; 2] = ["email", "email_verified"];
const PHONE: [&str; 2] = ["phone_number", "phone_number_verified"];
/// Members of `address` (OpenID Connect Core §5.1.1).
const ADDRESS: [&str; 6] = ["formatted", "street_address", "locality", "region", "postal_code", "country"];
/// Claims with a meaning of their own: no attribute ever takes their place.
const RESERVED: [&str; 27] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "nonce",
    "auth_time",
    "acr",
    "amr",
    "azp",
    "at_hash",
    "c_hash",
    "s_hash",
    "sid",
    "client_id",
    "scope",
    "grant_id",
    "grant_type",
    "cnf",
    "act",
    "may_act",
    "active",
    "token_type",
    "events",
    "authorization_details",
];

/// What is known of a person beside their record.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The realm of their source (`cloudIdentityRealm`).
    pub realm: &'a str,
    /// The kind of their source.
    pub kind: SourceKind,
    /// The tenant's host name.
    pub tenant_host: &'a str,
    /// Display names of their groups.
    pub groups: &'a [String],
}

/// Every claim of a person, for [`select`] to choose from. This is what a grant remembers: a refresh does not read it anew.
pub fn describe(user: &User, around: &Surroundings<'_>, client: &Client) -> BTreeMap<String, Value> {
    let mut claims = BTreeMap::new();
    for name in PROFILE.into_iter().chain(EMAIL).chain(PHONE) {
        let value = match (name, first(user, name)) {
            ("updated_at", _) => (user.updated > 0).then(|| json!(user.updated)),
            ("email_verified" | "phone_number_verified", Some(text)) => match text {
                "true" => Some(json!(true)),
                "false" => Some(json!(false)),
                _ => None,
            },
            ("name", None) => join_names(user),
            ("preferred_username", None) => Some(json!(user.username)),
            (_, text) => text.filter(|text| is_well_formed(name, text)).map(Value::from),
        };
        claims.extend(value.map(|value| (name.to_owned(), value)));
    }
    let address: Map<String, Value> = ADDRESS
        .into_iter()
        .filter_map(|part| first(user, &format!("address.{part}")).map(|text| (part.to_owned(), text.into())))
        .collect();
    if !address.is_empty() {
        claims.insert("address".into(), address.into());
    }
    let shown = first(user, "displayName").map(Value::from).or_else(|| claims.get("name").cloned());
    claims.insert("displayName".into(), shown.unwrap_or_else(|| json!(user.username)));
    claims.insert("uniqueSecurityName".into(), json!(user.id));
    claims.insert("realmName".into(), json!(around.realm));
    let kind = if around.kind == SourceKind::Federated { "federated" } else { "regular" };
    claims.insert("userType".into(), json!(kind));
    claims.insert("ext".into(), json!({"tenantId": around.tenant_host}));
    if !around.groups.is_empty() {
        claims.insert("groupIds".into(), json!(around.groups));
    }
    for (claim, attribute) in &client.claims {
        if let Some(value) = read_attribute(user, around, attribute) {
            claims.insert(claim.clone(), value);
        }
    }
    claims.retain(|name, _| !RESERVED.contains(&name.as_str()));
    claims
}

/// Whether a text has the form Core §5.1 gives the claim. What has not is left out: relying parties may choke on it.
fn is_well_formed(name: &str, text: &str) -> bool {
    let digits = |text: &str, length: usize| text.len() == length && text.bytes().all(|b| b.is_ascii_digit());
    match name {
        "birthdate" => {
            let mut parts = text.split('-');
            let (year, month, day) = (parts.next(), parts.next(), parts.next());
            let within = |part: Option<&str>, most: u8| {
                part.is_some_and(|text| digits(text, 2) && text.parse().is_ok_and(|n: u8| (1..=most).contains(&n)))
            };
            year.is_some_and(|year| digits(year, 4))
                && parts.next().is_none()
                && (month.is_none() || within(month, 12) && within(day, 31))
        }
        "locale" => {
            let mut parts = text.split(['-', '_']);
            parts
                .next()
                .is_some_and(|part| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic()))
                && parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
        }
        "zoneinfo" => {
            text.len() <= 64
                && text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+-".contains(&b))
        }
        "profile" | "picture" | "website" => {
            let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['))
                && text.bytes().all(|b| b.is_ascii_graphic())
        }
        _ => true,
    }
}

/// One attribute by name, as the client's claim map names it: one value as text, several as an array.
fn read_attribute(user: &User, around: &Surroundings<'_>, attribute: &str) -> Option<Value> {
    match attribute {
        "uid" => return Some(json!(user.id)),
        "username" | "userName" => return Some(json!(user.username)),
        "realmName" => return Some(json!(around.realm)),
        "tenantId" => return Some(json!(around.tenant_host)),
        "groupIds" => return (!around.groups.is_empty()).then(|| json!(around.groups)),
        _ => {}
    }
    let values: Vec<&String> = user.attributes.get(attribute)?.iter().filter(|value| !value.is_empty()).collect();
    match values.as_slice() {
        [] => None,
        [one] => Some(json!(one)),
        many => Some(json!(many)),
    }
}

fn first<'u>(user: &'u User, name: &str) -> Option<&'u str> {
    user.attributes.get(name)?.iter().map(String::as_str).find(|value| !value.is_empty())
}

fn join_names(user: &User) -> Option<Value> {
    let parts: Vec<&str> = ["given_name", "family_name"].into_iter().filter_map(|name| first(user, name)).collect();
    (!parts.is_empty()).then(|| json!(parts.join(" ")))
}

/// Names of the claims that may come of a person or a sign-in (`claims_supported`).
pub fn supported() -> Vec<&'static str> {
    let own = ["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash", "address"];
    let mut names: Vec<&'static str> =
        own.into_iter().chain(PROFILE).chain(EMAIL).chain(PHONE).chain(DEFAULTS).chain(["groupIds"]).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Where claims go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Userinfo, or an ID token that no access token comes with: everything the scopes bring.
    Full,
    /// An ID token beside an access token: what scopes bring stays at userinfo (OpenID Connect Core §5.4).
    Lean,
}

/// Whose words are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The standards': `openid` alone brings nothing but `sub`.
    Standard,
    /// The vendor's: `openid` brings [`DEFAULTS`] (§4.13).
    Vendor,
}

impl Dialect {
    /// The dialect a grant was made in: the vendor's under the vendor's path families, and wherever the vendor's own grant began it. An
    /// issuer that is none of these paths is Oracle's, which adds nothing by itself.
    pub fn of(detail: &GrantDetail) -> Self {
        let vendor = detail.issuer != detail.base && detail.issuer.starts_with(&detail.base);
        if !vendor && detail.original_grant_type != "policyauth" { Self::Standard } else { Self::Vendor }
    }
}

/// What somebody is to learn of a person.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Granted scopes.
    pub scope: &'a [String],
    /// Where it goes.
    pub place: Place,
    /// In whose words.
    pub dialect: Dialect,
    /// The member of the `claims` parameter for this place, if there was one.
    pub asked: Option<&'a Map<String, Value>>,
}

/// The member `id_token` or `userinfo` of a `claims` parameter.
pub fn asked_for<'c>(claims_request: Option<&'c Value>, member: &str) -> Option<&'c Map<String, Value>> {
    claims_request?.get(member)?.as_object()
}

/// The claims that are wanted, of those the grant remembers; and those the client's own map names, always.
pub fn select(claims: &BTreeMap<String, Value>, client: &Client, wanted: &Wanted<'_>) -> Map<String, Value> {
    let has = |name: &str| wanted.scope.iter().any(|granted| granted == name);
    let brought = |name: &str| {
        has("openid") && wanted.dialect == Dialect::Vendor && DEFAULTS.contains(&name)
            || client.claims.contains_key(name)
            || wanted.asked.is_some_and(|asked| asked.contains_key(name))
            || wanted.place == Place::Full
                && (has("profile") && PROFILE.contains(&name)
                    || has("email") && EMAIL.contains(&name)
                    || has("phone") && PHONE.contains(&name)
                    || has("address") && name == "address")
    };
    claims
        .iter()
        .filter(|(name, value)| brought(name) && !value.is_null() && !RESERVED.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Puts the pairwise name in the place of the person's own wherever the dialect tells it beside `sub`.
pub fn hide_subject(person: &mut Map<String, Value>, sub: &str) {
    if let Some(own) = person.get_mut("uniqueSecurityName") {
        *own = sub.into();
    }
}

/// The claims of a person that introspection shows.
pub fn select_introspected(claims: &BTreeMap<String, Value>) -> Map<String, Value> {
    INTROSPECTED.into_iter().filter_map(|name| claims.get(name).map(|value| (name.to_owned(), value.clone()))).collect()
}

/// The answer of userinfo (OpenID Connect Core §5.3.2).
pub fn userinfo(
    sub: &str,
    claims: &BTreeMap<String, Value>,
    client: &Client,
    wanted: &Wanted<'_>,
) -> Map<String, Value> {
    let mut answer = select(claims, client, wanted);
    if client.pairwise {
        hide_subject(&mut answer, sub);
    }
    answer.insert("sub".into(), sub.into());
    answer
}

/// The claims of an ID token (OpenID Connect Core §2; vendor page §4.13).
#[derive(Clone, Debug, Serialize)]
pub struct IdToken<'a> {
    /// The issuer of the path family the tokens were asked under.
    pub iss: &'a str,
    /// The person, or their pairwise name.
    pub sub: &'a str,
    /// The client.
    pub aud: &'a str,
    /// When it was made.
    pub iat: Seconds,
    /// When it ends.
    pub exp: Seconds,
    /// When the person last actively authenticated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<Seconds>,
    /// The `nonce` of the request, unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<&'a str>,
    /// [`half_hash`] of the access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_hash: Option<String>,
    /// [`half_hash`] of the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub c_hash: Option<String>,
    /// [`half_hash`] of the state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s_hash: Option<String>,
    /// Names of the factors proved.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub amr: &'a [String],
    /// The policy that was met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<&'a str>,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<&'a str>,
    /// What [`select`] chose.
    #[serde(flatten)]
    pub person: Map<String, Value>,
}

/// The claims of a JWT access token (RFC 9068 §2.2).
#[derive(Clone, Debug, Serialize)]
pub struct AccessToken<'a> {
    /// The issuer.
    pub iss: &'a str,
    /// The person, or the client itself.
    pub sub: &'a str,
    /// Audiences: one is written as a text, several as an array.
    #[serde(serialize_with = "write_audience")]
    pub aud: Vec<&'a str>,
    /// When it ends.
    pub exp: Seconds,
    /// When it was made.
    pub iat: Seconds,
    /// Its name, for revocation.
    pub jti: &'a str,
    /// The client.
    pub client_id: &'a str,
    /// Granted scopes, separated by one blank.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub scope: &'a str,
    /// The grant it belongs to.
    pub grant_id: &'a str,
    /// When the person last actively authenticated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<Seconds>,
    /// The policy that was met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<&'a str>,
    /// Names of the factors proved.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub amr: &'a [String],
    /// Who acts for the person (RFC 8693 §4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<&'a Value>,
}

/// What introspection says of a token that is good (RFC 7662 §2.2; vendor page §4.11). Of any other it says [`INACTIVE`].
#[derive(Clone, Debug, Serialize)]
pub struct Introspection<'a> {
    /// Always true.
    pub active: True,
    /// Granted scopes; `mfa_challenge` for a challenge token.
    pub scope: &'a str,
    /// The client it was issued to.
    pub client_id: &'a str,
    /// `Bearer` for an access token, `refresh_token` for one of those.
    pub token_type: &'a str,
    /// When it ends.
    pub exp: Seconds,
    /// When it was issued.
    pub iat: Seconds,
    /// The `grant_type` of the request that produced this token.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub grant_type: &'a str,
    /// The grant it belongs to.
    pub grant_id: &'a str,
    /// The person, or the client itself.
    pub sub: &'a str,
    /// Audiences.
    #[serde(serialize_with = "write_audience")]
    pub aud: Vec<&'a str>,
    /// The issuer.
    pub iss: &'a str,
    /// What [`select_introspected`] chose; empty for a client's own token.
    #[serde(flatten)]
    pub person: Map<String, Value>,
    /// Names of the factors proved.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub amr: &'a [String],
    /// The policy that was met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<&'a str>,
    /// API entitlements.
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    pub entitlements: &'a [&'a str],
    /// Whether only those count.
    #[serde(rename = "restrictEntitlements")]
    pub restrict_entitlements: bool,
    /// `application` or `api_client`.
    pub category: &'a str,
}

/// All that is said of a token that is unknown, over, or none of the asker's business (RFC 7662 §2.2).
pub const INACTIVE: &str = r#"{"active":false}"#;

/// The one value `active` has in [`Introspection`].
#[derive(Clone, Copy, Debug, Default)]
pub struct True;

impl Serialize for True {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(true)
    }
}

fn write_audience<S: Serializer>(audience: &[&str], serializer: S) -> Result<S::Ok, S::Error> {
    match audience {
        [one] => serializer.serialize_str(one),
        many => many.serialize(serializer),
    }
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
