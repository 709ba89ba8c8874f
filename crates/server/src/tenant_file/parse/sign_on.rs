//! Sign-on rules (`[[tenant.sign_on_policies]]`): ordered rules over where people signed in, who and where they are and how risky
//! that looks, spelled as a policy document. Owns what such a rule may say; what a document means is `policy_document`'s.

use std::collections::{BTreeMap, HashMap};

use protocol::records::TenantSettings;
use serde_json::{Value, json};

use super::{Names, unique};
use crate::policy_document;
use crate::tenant_file::PolicyPart;
use crate::tenant_file::problem::Place;
use crate::tenant_file::reader::{Section, quoted};

/// What the document form is called.
const SCHEMA: &str = "urn:access:policy:5.0:schema";
/// What begins where a policy does not say.
const BEGIN: [&str; 2] = ["password", "fido2"];
/// Ratings of risk, as rules and documents write them.
const RATINGS: [(&str, &str); 4] = [("low", "LOW"), ("medium", "MEDIUM"), ("high", "HIGH"), ("very-high", "VERY_HIGH")];

/// Conditions that are lists of alternatives.
const LISTS: [&str; 8] =
    ["identity_providers", "groups", "except_groups", "inside", "outside", "risk", "upstream_amr", "upstream_acr"];

/// What a rule may refer to besides people and groups.
struct Around<'n> {
    names: &'n Names,
    providers: &'n [String],
    perimeters: BTreeMap<String, Vec<String>>,
    administrators: &'n [String],
}

/// `[[tenant.sign_on_policies]]`
pub(super) fn sign_on_policies(
    tenant: &mut Section<'_>,
    names: &mut Names,
    settings: &TenantSettings,
    providers: &[String],
) -> Vec<PolicyPart> {
    let (mut ids, mut found) = (HashMap::new(), Vec::new());
    for mut section in tenant.tables("sign_on_policies") {
        let report = section.report;
        let id = section.need("id", "give it a whole number of its own").and_then(|id| {
            let number = id.number(1..=i64::MAX)?;
            Some((number, id.place))
        });
        let name = section.need_text("name", "give it a name, which applications may refer to it by");
        let default = section.flag("default", false);
        let begin = begin(&mut section, providers);
        let perimeters = perimeters(&mut section);
        let administrators = settings.administrator_groups.as_slice();
        let around = Around { names, providers, perimeters, administrators };
        let mut rules = vec![json!({
            "id": "begin", "name": "begin", "alwaysRun": false, "firstFactor": true, "conditions": [],
            "result": { "action": "ACTION_MFA_ALWAYS", "serverSideActions": [], "authnMethods": begin },
        })];
        let place = section.place.clone();
        let written = section.tables("rules");
        if written.is_empty() {
            report.add(
                &place,
                "a sign-on policy without rules lets nobody in",
                "add `[[tenant.sign_on_policies.rules]]`",
            );
        }
        for (position, rule) in written.into_iter().enumerate() {
            rules.extend(self::rule(rule, position + 1, &around));
        }
        section.finish();
        let (Some((id, id_place)), Some((name, name_place))) = (id, name) else { continue };
        unique(&mut ids, &id.to_string(), "policy", report, &id_place);
        if names.policies.by_word.contains_key(&id.to_string()) || names.policies.by_word.contains_key(name) {
            report.add(&name_place, "another policy has this id or name", "give each its own");
            continue;
        }
        let document = json!({
            "name": name,
            "rules": rules,
            "meta": {
                "state": "ACTIVE",
                "schema": SCHEMA,
                "scope": ["administrators"],
                "enforcementType": "nativeAppWeb",
                "tenantDefaultPolicy": default,
            },
        });
        // Whatever the document form refuses besides is told at the policy: rules were told at their own place.
        if let Err(problems) = policy_document::parse(&document, id, 1) {
            for problem in problems {
                report.add(&place, problem.message, "");
            }
        }
        names.policies.add(&id.to_string(), id);
        names.policies.add(name, id);
        found.push(PolicyPart { id, document });
    }
    found
}

fn begin(section: &mut Section<'_>, providers: &[String]) -> Vec<String> {
    let report = section.report;
    let given = section.texts("begin");
    if given.is_empty() {
        let federated = (!providers.is_empty()).then_some("federated");
        return BEGIN.into_iter().chain(federated).map(str::to_owned).collect();
    }
    let known = |name: &str| policy_document::method_from_name(name).is_some();
    for (name, place) in &given {
        if !known(name) {
            report.add(place, format!("no factor `{name}`"), "such as `password`, `fido2`, `emailotp`, `federated`");
        }
    }
    given.into_iter().filter(|(name, _)| known(name)).map(|(name, _)| name.to_owned()).collect()
}

/// Networks by name, for rules to refer to.
fn perimeters(section: &mut Section<'_>) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    let Some(mut table) = section.table("perimeters") else { return found };
    for name in table.remaining() {
        let mut networks = Vec::new();
        for (text, place) in table.texts(&name) {
            if text.parse::<engine::policy::Network>().is_err() {
                table.report.add(&place, format!("`{text}` is no network"), "such as `10.0.0.0/8`, or one address");
                continue;
            }
            networks.push(text.to_owned());
        }
        if networks.is_empty() {
            table.report.add(
                &table.place,
                format!("the perimeter `{name}` is empty"),
                "name a network, or leave it out",
            );
        }
        found.insert(name, networks);
    }
    table.finish();
    found
}

fn rule(mut section: Section<'_>, number: usize, around: &Around<'_>) -> Option<Value> {
    let name = section.need_text("name", "give it a name, for decision records").map(|(name, _)| name.to_owned());
    let conditions = conditions(&mut section, around);
    let result = result(&mut section);
    section.finish();
    Some(json!({
        "id": number.to_string(), "name": name?, "alwaysRun": false, "firstFactor": false,
        "conditions": conditions, "result": result?,
    }))
}

/// What must hold, all of it. A list is of alternatives.
fn conditions(section: &mut Section<'_>, around: &Around<'_>) -> Vec<Value> {
    let report = section.report;
    for key in LISTS {
        // Left out it holds for everybody; written with nothing in it, it must not.
        if section.gives(key) && section.elements(key).is_empty() {
            report.add(&section.place, format!("`{key}` is empty"), "name one, or leave it out");
        }
    }
    let mut conditions = Vec::new();
    let groups = |op: &str, values: &[String]| {
        let test = json!([{ "name": "groupIds", "opCode": op, "values": values }]);
        json!({ "type": "subjectAttributes", "attributes": test })
    };
    let mut providers: Vec<&str> = Vec::new();
    for (id, place) in section.texts("identity_providers") {
        if id == engine::policy::LOCAL || around.providers.iter().any(|known| known == id) {
            providers.push(id);
        } else {
            let fix = "name one of `[[tenant.identity_providers]]` by its id, or `local`";
            report.add(&place, format!("no identity provider `{id}`"), fix);
        }
    }
    if !providers.is_empty() {
        conditions.push(json!({ "type": "identityProvider", "opCode": "IN", "values": providers }));
    }
    for (key, op) in [("groups", "IN"), ("except_groups", "NOTIN")] {
        let mut named = Vec::new();
        for (word, place) in section.texts(key) {
            named.extend(around.names.groups.find(word, report, &place).map(|group| group.0));
        }
        if !named.is_empty() {
            conditions.push(groups(op, &named));
        }
    }
    if section.gives("administrator") {
        let op = if section.flag("administrator", true) { "IN" } else { "NOTIN" };
        conditions.push(groups(op, around.administrators));
    }
    for (key, op) in [("inside", "MATCH"), ("outside", "NOMATCH")] {
        let mut networks = Vec::new();
        for (word, place) in section.texts(key) {
            match around.perimeters.get(word) {
                Some(named) => networks.extend(named.iter().cloned()),
                None if word.parse::<engine::policy::Network>().is_ok() => networks.push(word.to_owned()),
                None => report.add(
                    &place,
                    format!("no perimeter `{word}`"),
                    "name one of `perimeters` of this policy, or a network such as `10.0.0.0/8`",
                ),
            }
        }
        if !networks.is_empty() {
            conditions.push(json!({ "type": "ipAddress", "opCode": op, "values": networks }));
        }
    }
    let mut ratings = Vec::new();
    for (word, place) in section.texts("risk") {
        match RATINGS.iter().find(|(name, _)| *name == word) {
            Some((_, written)) => ratings.push(*written),
            None => report.add(&place, format!("no rating `{word}`"), "`low`, `medium`, `high`, `very-high`"),
        }
    }
    if !ratings.is_empty() {
        conditions.push(json!({ "type": "riskLevel", "opCode": "IN", "values": ratings }));
    }
    for (key, kind) in [("upstream_amr", "upstreamAmr"), ("upstream_acr", "upstreamAcr")] {
        let values: Vec<&str> = section.texts(key).into_iter().map(|(value, _)| value).collect();
        if !values.is_empty() {
            conditions.push(json!({ "type": kind, "opCode": "IN", "values": values }));
        }
    }
    conditions
}

/// What follows where the rule holds.
fn result(section: &mut Section<'_>) -> Option<Value> {
    let report = section.report;
    let rule = section.place.clone();
    let access = section.need_text("access", "`access = \"allow\"` or `\"deny\"`");
    let anew = section.flag("reauthenticate", false);
    let factors = factors(section);
    let ask = word(section, "ask", &[("always", "ALWAYS"), ("session", "PER_SESSION"), ("device", "PER_DEVICE")]);
    let enrolment = word(section, "enrolment", &[("required", "required"), ("optional", "optional"), ("none", "none")]);
    let more = anew || !factors.is_empty() || ask.is_some() || enrolment.is_some();
    let mut result = match access? {
        ("deny", place) => {
            if more {
                report.add(&place, "a rule that denies asks for nothing", "leave out what it would ask for");
            }
            json!({ "action": "ACTION_DENY", "authnMethods": [] })
        }
        ("allow", _) if factors.is_empty() => {
            if ask.is_some() || enrolment.is_some() {
                report.add(
                    &rule,
                    "`ask` and `enrolment` need `factors`",
                    "`factors = [\"any\"]` is every second factor",
                );
            }
            json!({ "action": "ACTION_ALLOW", "authnMethods": [] })
        }
        ("allow", _) => {
            let action = format!("ACTION_MFA_{}", ask.unwrap_or("ALWAYS"));
            json!({ "action": action, "authnMethods": factors })
        }
        (other, place) => {
            report.add(&place, format!("no access `{other}`"), "`allow` or `deny`");
            return None;
        }
    };
    result["serverSideActions"] = json!([]);
    if let Some(enrolment) = enrolment {
        result["enrolment"] = json!(enrolment);
    }
    if anew {
        result["reauthenticate"] = json!(true);
    }
    Some(result)
}

fn factors(section: &mut Section<'_>) -> Vec<String> {
    let report = section.report;
    let mut found = Vec::new();
    for (name, place) in section.texts("factors") {
        let name = if name == "any" { "anyfactor" } else { name };
        let second = policy_document::method_from_name(name).is_some() && !matches!(name, "federated" | "qr");
        if second {
            found.push(name.to_owned());
        } else {
            report.add(&place, format!("no second factor `{name}`"), "such as `any`, `totp`, `emailotp`, `fido2`");
        }
    }
    found
}

fn word(section: &mut Section<'_>, key: &str, known: &[(&str, &'static str)]) -> Option<&'static str> {
    let report = section.report;
    let (given, place): (&str, Place) = section.text(key)?;
    let found = known.iter().find(|(name, _)| *name == given).map(|(_, written)| *written);
    if found.is_none() {
        let all: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        report.add(&place, format!("no `{key}` is called `{given}`"), quoted(&all));
    }
    found
}
