//! Other identity providers that people may sign in at (`[[tenant.identity_providers]]`). Owns what a file says of one.

use std::collections::{BTreeMap, HashMap};

use protocol::records::IdentityProvider;

use super::{Names, people, unique, words};
use crate::secret::Secret;
use crate::signin::upstream::AUTH_METHODS;
use crate::tenant_file::fields;
use crate::tenant_file::reader::Section;

/// The most providers of a tenant: each has a button.
const MOST: usize = 20;

/// The providers by id, and their secrets.
pub(super) type Providers = (BTreeMap<String, IdentityProvider>, BTreeMap<String, Secret<String>>);

/// `[[tenant.identity_providers]]`
pub(super) fn identity_providers(tenant: &mut Section<'_>, names: &Names) -> Providers {
    let (mut ids, mut found, mut secrets) = (HashMap::new(), BTreeMap::new(), BTreeMap::new());
    for (position, mut section) in tenant.tables("identity_providers").into_iter().enumerate() {
        let report = section.report;
        let place = section.place.clone();
        if position == MOST {
            report.add(&place, format!("a tenant has at most {MOST} identity providers"), "");
        }
        let id = section.need_text("id", "give a short lower-case name such as `id = \"partner\"`");
        let secret = section.text("client_secret").map(|(secret, _)| Secret::from(secret));
        let source = people::source(&mut section, names);
        let provider: IdentityProvider =
            fields::fill(IdentityProvider::default(), &mut section, &["sealed_secret", "source"]);
        section.finish();
        let (Some((id, id_place)), Some(source)) = (id, source) else { continue };
        unique(&mut ids, id, "identity provider", report, &id_place);
        if !words::is_slug(id) || id == engine::policy::LOCAL {
            report.add(
                &id_place,
                format!("`{id}` is no id"),
                "use 1 to 63 of `a-z`, `0-9` and `-`; `local` is this server",
            );
        }
        let wrong = |message: &str, fix: &str| report.add(&place, message, fix);
        if !words::is_web_url(&provider.issuer) || provider.issuer.contains(['?', '#']) {
            wrong(
                "`issuer` must be a URL",
                "as the provider's metadata says it, such as `https://login.partner.example`",
            );
        }
        if provider.client_id.is_empty() {
            wrong("`client_id` is missing", "what the provider calls us");
        }
        match provider.auth_method.as_str() {
            "client_secret_basic" | "client_secret_post" if secret.is_none() => {
                wrong("`client_secret` is missing", "or let `auth_method` be `private_key_jwt` or `none`");
            }
            known if AUTH_METHODS.contains(&known) => {}
            _ => wrong(
                "unknown `auth_method`",
                "one of `client_secret_basic`, `client_secret_post`, `private_key_jwt`, `none`",
            ),
        }
        if provider.username_claim.is_empty() {
            wrong("`username_claim` is missing", "the claim that names a person here, such as `preferred_username`");
        }
        let name = if provider.name.is_empty() { id.to_owned() } else { provider.name.clone() };
        secrets.extend(secret.map(|secret| (id.to_owned(), secret)));
        found.insert(id.to_owned(), IdentityProvider { name, source, ..provider });
    }
    (found, secrets)
}
