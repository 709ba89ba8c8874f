//! What a client is told and where it is told: algorithms that exist, addresses of the right kind, lifetimes within bounds, and the
//! rules of registration that hold for administrators as well.

use std::ops::RangeInclusive;

use protocol::jwe::{ContentEnc, KeyAlg};
use protocol::jwt::{ASYMMETRIC, Algorithm};
use protocol::pairwise;
use protocol::records::{Client, ClientKeys, Seconds};

use super::words::is_web_url;
use crate::tenant_file::problem::{Place, Report};
use crate::tenant_file::reader::quoted;

/// Ten years.
const LONG: RangeInclusive<Seconds> = 1..=315_360_000;

/// Reports what is wrong with a client's settings as a relying party.
pub(super) fn check(client: &Client, report: &Report<'_>, place: &Place) {
    let wrong = |field: &str, message: &str, fix: &str| {
        report.add(&place.part(field, place.span.clone()), message.to_owned(), fix.to_owned());
    };
    for (field, pair, outbound) in [
        ("id_token_encryption", &client.id_token_encryption, true),
        ("userinfo_encryption", &client.userinfo_encryption, true),
        ("request_object_encryption", &client.request_object_encryption, false),
    ] {
        let Some((alg, enc)) = pair else { continue };
        if KeyAlg::named(alg).is_none() {
            wrong(
                field,
                "no such encryption algorithm",
                &format!("known: {}", quoted(&KeyAlg::ALL.map(KeyAlg::as_str))),
            );
        }
        if ContentEnc::named(enc).is_none() {
            wrong(
                field,
                "no such content cipher",
                &format!("known: {}", quoted(&ContentEnc::ALL.map(ContentEnc::as_str))),
            );
        }
        if outbound && client.keys == ClientKeys::None {
            wrong(field, "the client has no key to encrypt to", "give `jwks` or `jwks_uri`");
        }
    }
    for (field, alg, unsigned) in [
        ("token_endpoint_auth_signing_alg", &client.token_endpoint_auth_signing_alg, false),
        ("request_object_signing_alg", &client.request_object_signing_alg, true),
    ] {
        let Some(alg) = alg else { continue };
        let known = alg.parse::<Algorithm>().is_ok_and(|alg| ASYMMETRIC.contains(&alg));
        let expected = known || unsigned && alg == "none";
        if !expected {
            wrong(field, "no such signature algorithm", "name one of public keys, such as `ES256`");
        }
    }
    let secure = |uri: &str| uri.starts_with("https://") && is_web_url(uri);
    for (field, uri) in [
        ("initiate_login_uri", &client.initiate_login_uri),
        ("sector_identifier_uri", &client.sector_identifier_uri),
        ("backchannel_logout_uri", &client.backchannel_logout_uri),
    ] {
        if uri.as_deref().is_some_and(|uri| !secure(uri)) {
            wrong(field, "no `https` address", "give an absolute `https` URL");
        }
    }
    if client.request_uris.iter().any(|uri| !secure(uri)) {
        wrong("request_uris", "one of them is no `https` address", "give absolute `https` URLs");
    }
    for (field, uri) in [
        ("client_uri", &client.client_uri),
        ("logo_uri", &client.logo_uri),
        ("policy_uri", &client.policy_uri),
        ("tos_uri", &client.tos_uri),
        ("frontchannel_logout_uri", &client.frontchannel_logout_uri),
    ] {
        if uri.as_deref().is_some_and(|uri| !is_web_url(uri)) {
            wrong(field, "no web address", "give an absolute URL");
        }
    }
    for (field, number, bounds) in [
        ("authorization_code_lifetime", client.authorization_code_lifetime, 1..=3600),
        ("device_code_lifetime", client.device_code_lifetime, 1..=86_400),
        ("device_interval", client.device_interval, 2..=3600),
        ("user_code_length", client.user_code_length.map(Seconds::from), 6..=200),
        ("default_max_age", client.default_max_age, 0..=*LONG.end()),
        ("exchange_id_token_window", client.exchange_id_token_window, 0..=*LONG.end()),
        ("access_token_lifetime", client.access_token_lifetime, LONG),
        ("refresh_token_lifetime", client.refresh_token_lifetime, LONG),
        ("id_token_lifetime", client.id_token_lifetime, LONG),
        ("grant_lifetime", client.grant_lifetime, LONG),
    ] {
        if number.is_some_and(|number| !bounds.contains(&number)) {
            wrong(field, &format!("must be from {} to {}", bounds.start(), bounds.end()), "");
        }
    }
    let several = pairwise::hosts(&client.redirect_uris).len() > 1;
    if client.pairwise && several && client.sector_identifier_uri.is_none() {
        let fix = "give `sector_identifier_uri`, or redirect URIs of one host";
        wrong("pairwise", "redirect URIs of several hosts belong to no one sector", fix);
    }
}
