//! From TOML to the parts of a tenant. Owns what each section may say and what its words must refer to.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use protocol::records::{GroupId, RelyingPartyId, SourceId, Tenant, TenantId, TenantSettings, UserId};
use toml::de::DeTable;

use super::fields;
use super::problem::{Place, Problem, Report};
use super::reader::Section;
use super::suggest::nearest;
use super::{TenantFile, TenantPart};
use crate::directory::split_url;

mod audit;
mod clients;
mod enrolments;
mod identity_providers;
mod keys;
mod people;
mod policies;
mod provider;
mod self_service;
mod sign_on;
mod words;

/// Parses all files together: tenants of one must not collide with those of another.
pub(super) fn parse(files: &[(PathBuf, String)]) -> Result<TenantFile, Vec<Problem>> {
    let mut parsed = TenantFile::default();
    let mut problems = Vec::new();
    let mut taken = Taken::default();
    for (path, text) in files {
        let name = path.display().to_string();
        let report = Report::new(&name, text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let place = Place { path: String::new(), span: error.span().unwrap_or_default() };
            report.add(&place, error.message().to_lowercase(), "");
        }
        if errors.is_empty() {
            let mut root = Section::root(&report, &table);
            read_file(&mut root, path, &mut taken, &mut parsed);
            root.finish();
        }
        problems.extend(report.finish());
    }
    if problems.is_empty() { Ok(parsed) } else { Err(problems) }
}

/// What may be there once only, over all files, and where it was first.
#[derive(Default)]
struct Taken {
    tenants: HashMap<String, String>,
    authorities: HashMap<String, String>,
}

fn read_file(root: &mut Section<'_>, path: &Path, taken: &mut Taken, parsed: &mut TenantFile) {
    let given = root.remaining();
    let tenants = root.tables("tenant");
    let dev = root.table("dev");
    if !given.iter().any(|key| key == "tenant" || key == "dev") {
        root.report.add(&root.place, "the file holds no tenant", "begin one with `[[tenant]]`");
    }
    for section in tenants {
        if let Some(part) = tenant(section, path, taken) {
            parsed.tenants.push(part);
        }
    }
    if let Some(mut dev) = dev {
        if let Some((text, _)) = dev.text("requests") {
            parsed.requests.push(text.to_owned());
        }
        dev.finish();
    }
}

/// What the sections of one tenant refer to each other by.
struct Names {
    /// Source by id.
    sources: Words<SourceId>,
    /// Group by id and by name.
    groups: Words<GroupId>,
    /// Person by id and by login name.
    users: Words<UserId>,
    /// Relying party by id.
    relying_parties: Words<RelyingPartyId>,
    /// Policy by id.
    policies: Words<i64>,
}

/// The words that name the things of one kind.
struct Words<T> {
    kind: &'static str,
    section: &'static str,
    by_word: BTreeMap<String, T>,
}

impl<T: Clone> Words<T> {
    fn new(kind: &'static str, section: &'static str) -> Self {
        Self { kind, section, by_word: BTreeMap::new() }
    }

    fn add(&mut self, word: &str, value: T) {
        self.by_word.entry(word.to_owned()).or_insert(value);
    }

    /// What a word refers to; a problem where nothing does.
    fn find(&self, word: &str, report: &Report<'_>, place: &Place) -> Option<T> {
        let found = self.by_word.get(word);
        if found.is_none() {
            let words: Vec<&str> = self.by_word.keys().map(String::as_str).collect();
            let fix = match nearest(word, &words) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("add it as `[[tenant.{}]]` or name another", self.section),
            };
            report.add(place, format!("no {} `{word}` in this tenant", self.kind), fix);
        }
        found.cloned()
    }
}

/// Notes that a thing of one kind has this word; a problem where another has it.
fn unique(seen: &mut HashMap<String, Place>, word: &str, what: &str, report: &Report<'_>, place: &Place) {
    if let Some(first) = seen.get(word) {
        report.add(
            place,
            format!("{what} `{word}` is there already, on {}", report.line(first)),
            "give each its own, or remove one",
        );
        return;
    }
    seen.insert(word.to_owned(), place.clone());
}

fn tenant(mut section: Section<'_>, path: &Path, taken: &mut Taken) -> Option<TenantPart> {
    let report = section.report;
    let id = section.need_text("id", "give a short lower-case name such as `id = \"demo\"`");
    if let Some((id, place)) = &id {
        if !words::is_slug(id) {
            report.add(place, format!("`{id}` is no tenant id"), "use 1 to 63 of `a-z`, `0-9` and `-`");
        }
        let here = format!("{}, {}", path.display(), report.line(place));
        if let Some(first) = taken.tenants.insert((*id).to_owned(), here) {
            report.add(place, format!("tenant `{id}` is there already ({first})"), "give each its own id");
        }
    }
    let name = section.text("name").map(|(name, _)| name);
    let urls = urls(&mut section, path, taken);
    let mut settings = TenantSettings::default();
    let given = section.take("settings");
    if let Some(item) = &given
        && let Some(mut table) = item.section()
    {
        settings = fields::fill(settings, &mut table, &["identity_providers"]);
        words::check_settings(&settings, item);
        table.finish();
    }

    let mut names = Names {
        sources: Words::new("identity source", "sources"),
        groups: Words::new("group", "groups"),
        users: Words::new("user", "users"),
        relying_parties: Words::new("relying party", "relying_parties"),
        policies: Words::new("policy", "policies"),
    };
    // In the order of what refers to what, whatever the order of the file.
    let sources = people::sources(&mut section, &mut names);
    let groups = people::groups(&mut section, &mut names);
    if let Some(item) = &given {
        self_service::check(&mut settings, item, &names);
    }
    let users = people::users(&mut section, &mut names);
    let relying_parties = people::relying_parties(&mut section, &mut names);
    let enrolments = enrolments::enrolments(&mut section, &names, &users, &settings);
    let mut policies = policies::policies(&mut section, &mut names);
    let (providers, provider_secrets) = identity_providers::identity_providers(&mut section, &names);
    let known: Vec<String> = providers.keys().cloned().collect();
    policies.extend(sign_on::sign_on_policies(&mut section, &mut names, &settings, &known));
    settings.identity_providers = providers;
    let (audit, webhook_secrets) = audit::audit(&mut section);
    settings.audit = audit;
    let clients = clients::clients(&mut section, &names);
    let keys = keys::keys(&mut section, path);
    clients::check_algorithms(&clients, &keys, report);
    section.finish();
    let clients = clients.into_iter().map(|(part, _)| part).collect();

    let (id, _) = id?;
    let tenant = Tenant {
        id: TenantId::from(id),
        name: name.unwrap_or(id).to_owned(),
        urls,
        settings,
        managed: protocol::records::Managed::default(),
    };
    Some(TenantPart {
        tenant,
        sources,
        groups,
        users,
        enrolments,
        clients,
        policies,
        relying_parties,
        keys,
        provider_secrets,
        webhook_secrets,
    })
}

fn urls(section: &mut Section<'_>, path: &Path, taken: &mut Taken) -> Vec<String> {
    let report = section.report;
    let Some(item) =
        section.need("urls", "give the base URLs it answers under: `urls = [\"https://login.example.test\"]`")
    else {
        return Vec::new();
    };
    let mut urls: Vec<String> = Vec::new();
    let list = item.list();
    if list.is_empty() && item.is_list() {
        report.add(&item.place, "no base URL", "give at least one, the canonical one first");
    }
    for item in list {
        let Some(url) = item.text() else { continue };
        let Some((scheme, authority)) = split_url(url) else {
            report.add(
                &item.place,
                format!("`{url}` is no base URL"),
                "write scheme, host and perhaps port, nothing behind: `https://login.example.test`",
            );
            continue;
        };
        let standard = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
        let authority = authority.to_ascii_lowercase();
        let authority = authority.strip_suffix(standard).unwrap_or(&authority).to_owned();
        let here = format!("{}, {}", path.display(), report.line(&item.place));
        if let Some(first) = taken.authorities.insert(authority.clone(), here) {
            report.add(
                &item.place,
                format!("`{authority}` is answered for already ({first})"),
                "requests find their tenant by host and port: give each pair to one tenant, once",
            );
            continue;
        }
        urls.push(url.to_owned());
    }
    urls
}
