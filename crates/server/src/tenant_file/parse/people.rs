//! Identity sources, groups, people and relying parties.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use protocol::records::{
    AttestationSettings, Group, GroupId, RelyingParty, RelyingPartyId, Source, SourceId, SourceKind, User, UserId,
};

use super::{Names, unique, words};
use crate::directory::split_url;
use crate::hashing::LONGEST_PASSWORD;
use crate::secret::Secret;
use crate::signin::factors::webauthn::{MOST_ROOTS, is_root};
use crate::tenant_file::problem::Place;
use crate::tenant_file::reader::{Item, Section};
use crate::tenant_file::{PasswordPart, UserPart};

/// `[[tenant.sources]]`
pub(super) fn sources(tenant: &mut Section<'_>, names: &mut Names) -> Vec<Source> {
    let (mut ids, mut realms, mut sources) = (HashMap::new(), HashMap::new(), Vec::new());
    for mut section in tenant.tables("sources") {
        let report = section.report;
        let id = words::uuid_id(&mut section);
        let name = section.need_text("name", "give the name people and clients know it by");
        let realm = section.need_text("realm", "give the realm, such as `realm = \"cloudIdentityRealm\"`");
        let kind = match section.text("kind") {
            None | Some(("cloud-directory", _)) => SourceKind::CloudDirectory,
            Some(("on-prem-ldap", _)) => SourceKind::OnPremLdap,
            Some(("federated", _)) => SourceKind::Federated,
            Some((kind, place)) => {
                let known = "one of `cloud-directory`, `on-prem-ldap`, `federated`";
                report.add(&place, format!("no kind of source `{kind}`"), known);
                SourceKind::CloudDirectory
            }
        };
        section.finish();
        if let Some((realm, place)) = &realm {
            unique(&mut realms, realm, "realm", report, place);
        }
        let (Some((id, place)), Some((name, _)), Some((realm, _))) = (id, name, realm) else { continue };
        unique(&mut ids, id, "source", report, &place);
        let id = SourceId::from(id);
        names.sources.add(id.as_str(), id.clone());
        sources.push(Source { id, name: name.to_owned(), realm: realm.to_owned(), kind });
    }
    sources
}

/// The source something belongs to: the one it names, or the only one there is.
pub(super) fn source(section: &mut Section<'_>, names: &Names) -> Option<SourceId> {
    let report = section.report;
    if let Some((id, place)) = section.text("source") {
        return names.sources.find(id, report, &place);
    }
    let mut all = names.sources.by_word.values();
    match (all.next(), all.next()) {
        (Some(only), None) => Some(only.clone()),
        (Some(_), Some(_)) => {
            report.add(&section.place, "`source` is missing", "the tenant has several sources: name one by its id");
            None
        }
        (None, _) => {
            report.add(&section.place, "the tenant has no identity source", "add one as `[[tenant.sources]]`");
            None
        }
    }
}

/// `[[tenant.groups]]`
pub(super) fn groups(tenant: &mut Section<'_>, names: &mut Names) -> Vec<Group> {
    let (mut ids, mut titles, mut groups) = (HashMap::new(), HashMap::new(), Vec::new());
    for mut section in tenant.tables("groups") {
        let report = section.report;
        let id = words::word_id(&mut section);
        let name = section.need_text("name", "give the name policies know it by");
        let source = source(&mut section, names);
        section.finish();
        let (Some((id, place)), Some((name, name_place)), Some(source)) = (id, name, source) else { continue };
        unique(&mut ids, id, "group", report, &place);
        unique(&mut titles, name, "group name", report, &name_place);
        names.groups.add(id, GroupId::from(id));
        groups.push(Group { id: GroupId::from(id), name: name.to_owned(), source });
    }
    // After all ids: a name never hides the id of another group.
    for group in &groups {
        names.groups.add(&group.name, group.id.clone());
    }
    groups
}

/// `[[tenant.users]]`
pub(super) fn users(tenant: &mut Section<'_>, names: &mut Names) -> Vec<UserPart> {
    let (mut ids, mut logins, mut users) = (HashMap::new(), HashMap::new(), Vec::new());
    for mut section in tenant.tables("users") {
        let report = section.report;
        let id = user_id(&mut section);
        let username = section.need_text("username", "give the login name");
        let source = source(&mut section, names);
        let password = password(&mut section);
        let active = section.flag("active", true);
        let mut groups = BTreeSet::new();
        for (word, place) in section.texts("groups") {
            groups.extend(names.groups.find(word, report, &place));
        }
        let attributes = section.table("attributes").map(attributes).unwrap_or_default();
        section.finish();
        let (Some((id, place)), Some((username, login_place)), Some(source)) = (id, username, source) else { continue };
        unique(&mut ids, id, "user", report, &place);
        if username.is_empty() || username.len() > 256 || username.chars().any(char::is_control) {
            report.add(&login_place, "the login name is empty, too long or holds control characters", "");
        }
        unique(&mut logins, &format!("{source} {}", username.to_lowercase()), "login name", report, &login_place);
        let user = User {
            id: UserId::from(id),
            source,
            username: username.to_owned(),
            active,
            password: None,
            groups,
            attributes,
            not_before: 0,
            created: 0,
            updated: 0,
        };
        names.users.add(id, user.id.clone());
        users.push(UserPart { user, password });
    }
    for part in &users {
        names.users.add(&part.user.username, part.user.id.clone());
    }
    users
}

fn user_id<'a>(section: &mut Section<'a>) -> Option<(&'a str, Place)> {
    let (id, place) = section.need_text("id", "give ten upper-case letters and digits of its own")?;
    let ours = (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    // As Oracle has them.
    let guid = id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !ours && !guid {
        let message = format!("`{}` is no user id", id.escape_debug());
        section.report.add(&place, message, "use upper-case letters and digits, normally ten");
        return None;
    }
    Some((id, place))
}

fn password(section: &mut Section<'_>) -> Option<PasswordPart> {
    let report = section.report;
    let plain = section.text("password");
    let hash = section.text("password_hash");
    if let (Some(_), Some((_, place))) = (&plain, &hash) {
        report.add(place, "both `password` and `password_hash` are given", "keep one of them");
    }
    if let Some((hash, place)) = hash {
        if !crate::hashing::Hashing::can_verify(hash) {
            report.add(
                &place,
                "not a password hash we can verify",
                "give a hash of Argon2, scrypt or PBKDF2 in PHC form (`$argon2id$v=19$…`), of bcrypt (`$2b$…`), or `{SSHA512}…`",
            );
            return None;
        }
        return Some(PasswordPart::Hash(hash.to_owned()));
    }
    let (plain, place) = plain?;
    if plain.is_empty() || plain.len() > LONGEST_PASSWORD || plain.contains('\0') {
        let message =
            format!("the password is empty, longer than {LONGEST_PASSWORD} bytes or contains a NUL character");
        report.add(&place, message, "");
        return None;
    }
    Some(PasswordPart::Plain(Secret::from(plain)))
}

/// Attributes: text, a list of texts, and one level of tables for members such as `address.locality`.
fn attributes(mut section: Section<'_>) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for key in section.remaining() {
        let Some(item) = section.take(&key) else { continue };
        let Some(mut inner) = item.is_table().then(|| item.section()).flatten() else {
            found.insert(key, values(&item));
            continue;
        };
        for name in inner.remaining() {
            if let Some(item) = inner.take(&name) {
                found.insert(format!("{key}.{name}"), values(&item));
            }
        }
    }
    found
}

fn values(item: &Item<'_>) -> Vec<String> {
    let items = if item.is_list() { item.list() } else { vec![item.clone()] };
    let text = |item: Item<'_>| match item.json() {
        serde_json::Value::String(text) => Some(text),
        value @ (serde_json::Value::Bool(_) | serde_json::Value::Number(_)) => Some(value.to_string()),
        _ => {
            item.wrong("text, a number, `true` or `false`");
            None
        }
    };
    items.into_iter().filter_map(text).collect()
}

/// `[[tenant.relying_parties]]`
pub(super) fn relying_parties(tenant: &mut Section<'_>, names: &mut Names) -> Vec<RelyingParty> {
    let (mut ids, mut parties) = (HashMap::new(), Vec::new());
    for mut section in tenant.tables("relying_parties") {
        let report = section.report;
        let id = words::uuid_id(&mut section);
        let rp_id = section.need_text("rp_id", "give the domain, such as `rp_id = \"example.test\"`");
        let name = section.text("name");
        let origins = section.texts("origins");
        let enabled = section.flag("enabled", true);
        let attestation = section.table("attestation").map(attestation);
        if origins.is_empty() {
            report.add(&section.place, "no origin may run a ceremony", "list at least one under `origins`");
        }
        for (origin, place) in &origins {
            check_origin(origin, rp_id.as_ref().map(|(id, _)| *id), report, place);
        }
        section.finish();
        let (Some((id, place)), Some((rp_id, _))) = (id, rp_id) else { continue };
        unique(&mut ids, id, "relying party", report, &place);
        let id = RelyingPartyId::from(id);
        names.relying_parties.add(id.as_str(), id.clone());
        parties.push(RelyingParty {
            id,
            rp_id: rp_id.to_owned(),
            name: name.map_or(rp_id, |(name, _)| name).to_owned(),
            origins: origins.into_iter().map(|(origin, _)| origin.to_owned()).collect(),
            enabled,
            attestation,
        });
    }
    parties
}

/// `attestation` of a relying party: whose authenticators are let in.
fn attestation(mut section: Section<'_>) -> AttestationSettings {
    let report = section.report;
    let (roots, models) = (section.texts("roots"), section.texts("models"));
    if roots.is_empty() || roots.len() > MOST_ROOTS {
        report.add(&section.place, "no maker is named, or too many", "list one to 32 root certificates under `roots`");
    }
    // PEM or the base64 in it: the same but for its frame.
    let bare = |text: &str| text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect::<String>();
    let roots: Vec<String> = roots
        .into_iter()
        .map(|(text, place)| {
            let root = bare(text);
            if !is_root(&root) {
                report.add(
                    &place,
                    "not a certificate",
                    "give the root certificate of a maker in PEM, or base64 of its DER",
                );
            }
            root
        })
        .collect();
    let models = models
        .into_iter()
        .map(|(model, place)| {
            let model = model.to_ascii_lowercase();
            if uuid::Uuid::try_parse(&model).is_err() || model.len() != 36 {
                report.add(
                    &place,
                    "not the name of a model",
                    "give AAGUIDs, such as `ee882879-721c-4913-9775-3dfcce97072a`",
                );
            }
            model
        })
        .collect();
    section.finish();
    AttestationSettings { roots, models }
}

/// An origin must be at the relying party's domain or below it (WebAuthn §5.1.4.1), and one that browsers give
/// ceremonies to: a secure one, or the machine itself. Native applications name themselves otherwise.
fn check_origin(origin: &str, rp_id: Option<&str>, report: &crate::tenant_file::problem::Report<'_>, place: &Place) {
    if let Some(hash) = origin.strip_prefix("android:apk-key-hash:") {
        if hash.is_empty() {
            report.add(place, "the hash of the application's key is missing", "");
        }
        return;
    }
    let Some((scheme, authority)) = split_url(origin) else {
        report.add(place, format!("`{origin}` is no origin"), "write scheme, host and perhaps port, nothing behind");
        return;
    };
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host).to_ascii_lowercase();
    let local = host == "localhost" || host.ends_with(".localhost");
    if scheme != "https" && !local {
        report.add(place, format!("browsers run no ceremony at `{origin}`"), "use `https`");
    }
    if let Some(rp_id) = rp_id
        && host != rp_id
        && !host.ends_with(&format!(".{rp_id}"))
    {
        let fix = format!("use an origin at `{rp_id}` or below it, or change `rp_id`");
        report.add(place, format!("`{origin}` is not at `{rp_id}`"), fix);
    }
}
