//! OAuth clients. Every field of the record may be given under its own name; here are those that need more than that.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::records::{AccessTokenFormat, Client, ClientAuthMethod, ClientId, ClientKeys, TrustedIssuer};
use serde_json::{Value, json};

use super::{Names, Words, provider, unique, words};
use crate::secret::Secret;
use crate::tenant_file::fields;
use crate::tenant_file::problem::{Place, Report};
use crate::tenant_file::reader::{Item, Section, quoted};
use crate::tenant_file::suggest::nearest;
use crate::tenant_file::{ClientPart, KeyPart, SecretPart};

/// The grant types of the standards and of the dialect, as they are spelled on the wire.
const GRANT_TYPES: [&str; 10] = [
    "authorization_code",
    "client_credentials",
    "implicit",
    "password",
    "policyauth",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "urn:openid:params:grant-type:ciba",
];
const RESPONSE_TYPES: [&str; 8] =
    ["code", "code id_token", "code id_token token", "code token", "id_token", "id_token token", "none", "token"];

/// Fields that the record has but a file gives otherwise or not at all.
const RESERVED: [&str; 5] = ["secrets", "keys", "not_before", "registration", "page_key"];

/// `[[tenant.clients]]`, each with its place.
pub(super) fn clients(tenant: &mut Section<'_>, names: &Names) -> Vec<(ClientPart, Place)> {
    let (mut ids, mut clients) = (HashMap::new(), Vec::new());
    for mut section in tenant.tables("clients") {
        let report = section.report;
        let id = words::word_id(&mut section);
        if let Some((id, place)) = &id {
            unique(&mut ids, id, "client", report, place);
        }
        // What was given but is wrong is told as wrong, not as missing too.
        let has_secret = section.gives("secret") || section.gives("secret_sha256");
        let has_keys = section.gives("jwks") || section.gives("jwks_uri");
        let secret = secret(&mut section);
        let keys = keys(&mut section);
        let lists = checked_lists(&section);
        let policy = section.take("policy").and_then(|item| {
            // A policy is called by its number, or one of sign-on rules by its name.
            let word = match item.json() {
                serde_json::Value::String(name) => name,
                _ => item.number(1..=i64::MAX)?.to_string(),
            };
            names.policies.find(&word, report, &item.place)
        });
        let entitled_users = references(&mut section, "entitled_users", &names.users);
        let entitled_groups = references(&mut section, "entitled_groups", &names.groups);
        let trusted_issuers = trusted_issuers(&mut section);
        let place = section.place.clone();

        let blank = json!({ "id": id.as_ref().map_or("-", |(id, _)| id) });
        let Ok(blank) = serde_json::from_value::<Client>(blank) else { continue };
        let mut client = fields::fill(blank, &mut section, &RESERVED);
        section.finish();
        client.keys = keys;
        client.policy = policy;
        client.entitled_users = entitled_users;
        client.entitled_groups = entitled_groups;
        client.trusted_issuers = trusted_issuers;
        lists.check(&client, report, &place);
        check_authentication(&client, has_secret, has_keys, report, &place);
        provider::check(&client, report, &place);
        if let Some((id, _)) = id {
            client.id = ClientId::from(id);
            clients.push((ClientPart { client, secret }, place));
        }
    }
    clients
}

/// What a client's tokens are signed with must be among the keys the tenant holds.
pub(super) fn check_algorithms(clients: &[(ClientPart, Place)], keys: &[KeyPart], report: &Report<'_>) {
    for (ClientPart { client, .. }, place) in clients {
        let jwt = client.access_token_format == AccessTokenFormat::Jwt;
        let needed = [
            ("access_token_alg", Some(client.access_token_alg).filter(|_| jwt)),
            ("id_token_alg", Some(client.id_token_alg)),
            ("userinfo_alg", client.userinfo_alg),
        ];
        for (field, alg) in needed {
            if let Some(alg) = alg.filter(|alg| !keys.iter().any(|key| key.alg == *alg && !key.decrypts)) {
                let name = serde_json::to_value(alg).unwrap_or_default();
                let message = format!("the tenant holds no key for {name}");
                let fix = format!("add `[[tenant.keys]]` with `alg = {name}`, or set another algorithm");
                report.add(&place.part(field, place.span.clone()), message, fix);
            }
        }
    }
}

fn secret(section: &mut Section<'_>) -> Option<SecretPart> {
    let report = section.report;
    let plain = section.text("secret");
    let sha256 = section.text("secret_sha256");
    if let (Some(_), Some((_, place))) = (&plain, &sha256) {
        report.add(place, "both `secret` and `secret_sha256` are given", "keep one of them");
    }
    if let Some((sha256, place)) = sha256 {
        let text = sha256.trim_end_matches('=');
        if URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32) {
            return Some(SecretPart::Sha256(text.to_owned()));
        }
        report.add(&place, "not a SHA-256 in base64url", "hash a random secret: 43 characters come out");
        return None;
    }
    let (plain, place) = plain?;
    // RFC 6749 appendix A.2: visible ASCII and blanks.
    if !(1..=1024).contains(&plain.len()) || !plain.bytes().all(|b| matches!(b, 0x20..=0x7e)) {
        report.add(&place, "the secret is empty, too long or not visible ASCII", "");
        return None;
    }
    Some(SecretPart::Plain(Secret::from(plain)))
}

/// Keys by value (`jwks`) or by address (`jwks_uri`).
fn keys(section: &mut Section<'_>) -> ClientKeys {
    let report = section.report;
    let jwks = section.take("jwks");
    let uri = section.text("jwks_uri");
    if let (Some(_), Some((_, place))) = (&jwks, &uri) {
        report.add(place, "both `jwks` and `jwks_uri` are given", "keep one of them");
    }
    if let Some(item) = jwks {
        return jwk_set(&item).map_or(ClientKeys::None, ClientKeys::Jwks);
    }
    let Some((uri, place)) = uri else { return ClientKeys::None };
    if !words::is_web_url(uri) {
        report.add(&place, format!("`{uri}` is no URL"), "give an absolute `https` URL");
        return ClientKeys::None;
    }
    ClientKeys::JwksUri(uri.to_owned())
}

/// A JWK Set (RFC 7517 §5): a table with `keys`, or its JSON as text.
fn jwk_set(item: &Item<'_>) -> Option<Value> {
    let set = match item.json() {
        Value::String(text) => serde_json::from_str(&text).unwrap_or_default(),
        other => other,
    };
    let report = item.report;
    let Some(keys) = set.get("keys").and_then(Value::as_array).filter(|keys| !keys.is_empty()) else {
        report.add(&item.place, "no JWK Set", "give `{ keys = [ … ] }`, or its JSON as text");
        return None;
    };
    for (index, key) in keys.iter().enumerate() {
        let place = item.locate(&format!("keys[{index}]"));
        match key.get("kty").and_then(Value::as_str) {
            Some("RSA" | "EC" | "OKP") => {}
            Some(kty) => report.add(&place, format!("no public key has the type `{kty}`"), "use `RSA`, `EC` or `OKP`"),
            None => report.add(&place, "a key without `kty`", "give a JWK (RFC 7517 §4)"),
        }
        if key.get("d").is_some() {
            report.add(&place, "this is a private key", "give the public half only: leave out `d` and what follows it");
        }
    }
    Some(set)
}

fn references<T: Clone + Eq + Ord + Hash>(section: &mut Section<'_>, key: &str, words: &Words<T>) -> BTreeSet<T> {
    let report = section.report;
    let found = section.texts(key);
    found.iter().filter_map(|(word, place)| words.find(word, report, place)).collect()
}

fn trusted_issuers(section: &mut Section<'_>) -> Vec<TrustedIssuer> {
    let (mut seen, mut issuers) = (HashMap::new(), Vec::new());
    for mut table in section.tables("trusted_issuers") {
        let report = table.report;
        let issuer = table.need_text("issuer", "give the `iss` value of its assertions");
        let has_keys = table.gives("jwks") || table.gives("jwks_uri");
        let keys = keys(&mut table);
        if !has_keys {
            report.add(&table.place, "an issuer without keys", "give `jwks` or `jwks_uri`");
        }
        let search_by = table.text("search_by").map_or("uid", |(name, _)| name).to_owned();
        let enabled = table.flag("enabled", true);
        table.finish();
        if let Some((issuer, place)) = issuer {
            unique(&mut seen, issuer, "issuer", report, &place);
            issuers.push(TrustedIssuer { issuer: issuer.to_owned(), keys, search_by, enabled });
        }
    }
    issuers
}

/// Places of list elements, noted before the list is taken as a field of the record.
struct Lists(HashMap<&'static str, Vec<Place>>);

fn checked_lists(section: &Section<'_>) -> Lists {
    let keys = ["grant_types", "response_types", "redirect_uris", "post_logout_redirect_uris", "networks"];
    Lists(keys.into_iter().map(|key| (key, section.elements(key))).collect())
}

impl Lists {
    fn check(&self, client: &Client, report: &Report<'_>, whole: &Place) {
        // Sets lose the order of the file, so an element is pointed at by its list where there is no better place.
        let place =
            |key: &str, index: usize| self.0.get(key).and_then(|places| places.get(index)).unwrap_or(whole).clone();
        for grant in &client.grant_types {
            if !GRANT_TYPES.contains(&grant.as_str()) {
                let fix = match nearest(grant, &GRANT_TYPES) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("known: {}", quoted(&GRANT_TYPES)),
                };
                report.add(&place("grant_types", 0), format!("no grant type `{grant}`"), fix);
            }
        }
        for (index, kind) in client.response_types.iter().enumerate() {
            let mut words: Vec<&str> = kind.split(' ').collect();
            words.sort_unstable();
            if !RESPONSE_TYPES.contains(&words.join(" ").as_str()) {
                let fix = format!("known: {}", quoted(&RESPONSE_TYPES));
                report.add(&place("response_types", index), format!("no response type `{kind}`"), fix);
            }
        }
        for (key, uris) in
            [("redirect_uris", &client.redirect_uris), ("post_logout_redirect_uris", &client.post_logout_redirect_uris)]
        {
            for (index, uri) in uris.iter().enumerate() {
                if let Some(message) = wrong_redirect(uri) {
                    report.add(&place(key, index), message, "give an absolute URI, compared character for character");
                }
            }
        }
        for (index, network) in client.networks.iter().enumerate() {
            if network.parse::<ipnet::IpNet>().is_err() && network.parse::<std::net::IpAddr>().is_err() {
                let message = format!("`{network}` is no network");
                report.add(&place("networks", index), message, "write an address or CIDR, such as `10.0.0.0/8`");
            }
        }
    }
}

/// Why a URI may not be registered (RFC 6749 §3.1.2: absolute, no fragment), if it may not.
fn wrong_redirect(uri: &str) -> Option<String> {
    let shown = uri.escape_debug();
    if uri.len() > 2048 || !uri.bytes().all(|b| b.is_ascii_graphic()) {
        return Some("the URI is too long or holds other characters than visible ASCII".to_owned());
    }
    if uri.contains('#') {
        return Some(format!("`{shown}` has a fragment"));
    }
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    let well_formed = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    };
    match scheme.as_deref() {
        Some("javascript" | "data" | "vbscript" | "file" | "about" | "blob") => {
            Some(format!("`{shown}` would run or show something instead of going somewhere"))
        }
        Some("http" | "https") if !words::is_web_url(uri) => Some(format!("`{shown}` names no host")),
        Some(scheme) if well_formed(scheme) => None,
        Some(_) | None => Some(format!("`{shown}` is not absolute")),
    }
}

/// A client must be able to prove itself by the method it is registered for, and by nothing else.
fn check_authentication(client: &Client, has_secret: bool, has_keys: bool, report: &Report<'_>, place: &Place) {
    let (problem, fix) = match client.auth_method {
        ClientAuthMethod::Default | ClientAuthMethod::ClientSecretBasic | ClientAuthMethod::ClientSecretPost
            if !has_secret =>
        {
            ("the client has no secret", "give `secret` or `secret_sha256`, or set `auth_method = \"none\"`")
        }
        ClientAuthMethod::PrivateKeyJwt if !has_keys => {
            ("the client has no keys to verify its assertions with", "give `jwks` or `jwks_uri`")
        }
        ClientAuthMethod::None | ClientAuthMethod::PrivateKeyJwt if has_secret => {
            ("the client has a secret it cannot use", "remove it, or set another `auth_method`")
        }
        ClientAuthMethod::None if client.grant_types.contains("client_credentials") => (
            "a public client cannot have `client_credentials`: there is nothing to prove",
            "remove the grant type, or give the client a secret or keys",
        ),
        _ => return,
    };
    report.add(place, problem, fix);
}
