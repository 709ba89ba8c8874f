//! Documents by example and by property.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use engine::FactorKind;
use engine::facts::{ClientType, Facts, RiskLevel};
use engine::policy::{
    Action, Adaptive, AttributeTest, Condition, Contact, Enforcement, Finding, Frequency, LocationPart, Method,
    NetworkTest, Operator, Outcome, Policy, Rule, Unenrolled, ValueTest, decide,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// The policy of the reference, section 3.8.
fn seed() -> Value {
    json!({"name":"Native login","containsFirstFactor":true,
     "rules":[
      {"name":"Office network","alwaysRun":false,"firstFactor":true,
       "conditions":[{"type":"ipAddress","opCode":"MATCH","values":["192.168.1.0/24"]}],
       "result":{"action":"ACTION_MFA_ALWAYS","serverSideActions":[],"authnMethods":["password"]}},
      {"name":"Elsewhere","alwaysRun":false,"firstFactor":true,"conditions":[],
       "result":{"action":"ACTION_MFA_ALWAYS","serverSideActions":[],"authnMethods":["fido2"]}},
      {"name":"Administrators","alwaysRun":false,"firstFactor":false,
       "conditions":[{"type":"subjectAttributes","attributes":[{"name":"groupIds","opCode":"IN","values":["ADMINISTRATORS"]}]}],
       "result":{"action":"ACTION_MFA_ALWAYS","serverSideActions":[],"authnMethods":["emailotp"]}},
      {"name":"Default rule","alwaysRun":false,"firstFactor":false,"conditions":[],
       "result":{"action":"ACTION_ALLOW","serverSideActions":[],"authnMethods":[]}}],
     "meta":{"state":"ACTIVE","schema":"urn:access:policy:5.0:schema","scope":["administrators"],
       "enforcementType":"nativeAppWeb","tenantDefaultPolicy":false}})
}

/// The seed with one part replaced; the path is a JSON pointer.
fn seed_with(pointer: &str, value: Value) -> Value {
    let mut document = seed();
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Object(members) => {
            members.insert(member.to_owned(), value);
        }
        Value::Array(items) => items[member.parse::<usize>().unwrap()] = value,
        other => panic!("no place for `{pointer}` in {other}"),
    }
    document
}

fn seed_without(pointer: &str) -> Value {
    let mut document = seed();
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(member).unwrap();
    document
}

fn refused_at(document: &Value) -> Vec<String> {
    validate(document).unwrap_err().into_iter().map(|problem| problem.path).collect()
}

/// The conditions read from a second-factor rule with these.
fn conditions(items: Value) -> Result<Vec<Condition>, Vec<Problem>> {
    validate(&seed_with("/rules/2/conditions", items)).map(|policy| policy.rules[2].conditions.clone())
}

#[test]
fn the_seed_policy_reads_as_four_rules() {
    let policy = parse(&seed(), 420_017, 2).unwrap();
    assert_eq!((policy.id, policy.revision, policy.enforced), (420_017, 2, true));
    assert_eq!(policy.enforcement, Enforcement::Native);
    assert_eq!(policy.rules.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>(), ["1", "2", "3", "4"]);
    let mut facts = Facts::of_client(ClientType::Confidential);
    facts.ip = Some("192.168.1.9".parse().unwrap()).into();
    let Outcome::Demand(demands) = decide(&policy, Contact::First, &facts, &FactorKind::ALL).outcome else {
        panic!("must demand")
    };
    assert_eq!(allowed_factors(&demands[0].any_of), ["password"]);
}

#[test]
fn each_mistake_is_named_with_its_place() {
    let first = "/rules/0/result";
    for (document, path) in [
        (json!([]), ""),
        (json!("x"), ""),
        (seed_without("/name"), "name"),
        (seed_with("/name", json!(" ")), "name"),
        (seed_with("/name", json!("n".repeat(1025))), "name"),
        (seed_without("/meta"), "meta"),
        (seed_without("/meta/state"), "meta.state"),
        (seed_with("/meta/state", json!("LIVE")), "meta.state"),
        (seed_with("/meta/schema", json!("urn:access:policy:4.0:schema")), "meta.schema"),
        (seed_with("/meta/enforcementType", json!("native")), "meta.enforcementType"),
        (seed_with("/meta/evaluationContext", json!([])), "meta.evaluationContext"),
        (seed_with("/meta/evaluationContext", json!("{")), "meta.evaluationContext"),
        (seed_with("/meta/evaluationContext", json!({"landing": "x"})), "meta.evaluationContext.`landing`"),
        (seed_without("/rules"), "rules"),
        (seed_with("/rules", json!({})), "rules"),
        (seed_with("/rules/1", json!(1)), "rules[1]"),
        (seed_without("/rules/1/name"), "rules[1].name"),
        (seed_without("/rules/1/alwaysRun"), "rules[1].alwaysRun"),
        (seed_with("/rules/1/alwaysRun", json!("false")), "rules[1].alwaysRun"),
        (seed_without("/rules/1/firstFactor"), "rules[1].firstFactor"),
        (seed_with("/rules/1/conditions", json!({})), "rules[1].conditions"),
        (seed_without("/rules/1/result"), "rules[1].result"),
        (seed_without("/rules/1/result/action"), "rules[1].result.action"),
        (seed_without("/rules/1/result/authnMethods"), "rules[1].result.authnMethods"),
        (seed_with("/rules/2/result/action", json!("ACTION_MAYBE")), "rules[2].result.action"),
        (seed_with("/rules/2/result/action", json!({"allowAccess": true})), "rules[2].result.action"),
        (
            seed_with("/rules/2/result/authnMethods", json!(["emailotp", "carrierpigeon"])),
            "rules[2].result.authnMethods[1]",
        ),
        (seed_with("/rules/2/result/authnMethods", json!([])), "rules[2].result.authnMethods"),
        (seed_with("/rules/2/result/serverSideActions", json!("x")), "rules[2].result.serverSideActions"),
        (seed_with(&format!("{first}/authnMethods"), json!([])), "rules[0].result.authnMethods"),
        (seed_with(first, json!({"action": "ACTION_ALLOW", "authnMethods": []})), "rules[0].result.authnMethods"),
        (seed_with(&format!("{first}/authnMethods"), json!(["questions"])), "rules[0].result.authnMethods"),
        (seed_with("/rules/1/id", json!("1")), ""),
        (seed_with("/adaptive", json!({"actions": {"low": "ACTION_ALLOW"}})), "adaptive.actions.medium"),
    ] {
        match (validate(&document), path) {
            // An id that is given is not given away again.
            (Ok(policy), "") => assert_eq!(policy.rules[0].id, "2"),
            (Ok(_), path) => panic!("`{path}` was not refused"),
            (Err(problems), path) => {
                assert!(problems.iter().any(|problem| problem.path == path), "{path}: {problems:?}");
            }
        }
    }
    let mut twice = seed_with("/rules/0/id", json!("9"));
    twice["rules"][1]["id"] = json!("9");
    assert_eq!(refused_at(&twice), ["rules[1].id"]);
}

#[test]
fn each_unreadable_condition_is_refused() {
    for (item, path) in [
        (json!("x"), ""),
        (json!({}), ".type"),
        (json!({"type": "weather"}), ".type"),
        (json!({"type": "ipAddress", "values": ["10.0.0.1"]}), ".opCode"),
        (json!({"type": "ipAddress", "opCode": "LIKE", "values": ["10.0.0.1"]}), ".opCode"),
        (json!({"type": "ipAddress", "opCode": "CONTAINS", "values": ["10.0.0.1"]}), ".opCode"),
        (json!({"type": "ipAddress", "opCode": "MATCH", "values": []}), ".values"),
        (json!({"type": "ipAddress", "opCode": "MATCH", "values": ["10.0.0.1", "10.0.0.0/40"]}), ".values[1]"),
        (json!({"type": "ipAddress", "opCode": "MATCH", "values": [["10.0.0.1"]]}), ".values[0]"),
        (json!({"type": "location", "attributes": []}), ".attributes"),
        (
            json!({"type": "location", "attributes": [{"name": "planet", "opCode": "IN", "values": ["x"]}]}),
            ".attributes[0].name",
        ),
        (
            json!({"type": "location", "attributes": [{"name": "city", "opCode": "IS", "values": ["x"]}]}),
            ".attributes[0].opCode",
        ),
        (
            json!({"type": "customAttributes", "attributes": [{"name": "vip", "opCode": "IN", "values": ["x"]}]}),
            ".customAttributes",
        ),
        (
            json!({"type": "subjectAttributes", "attributes": [{"name": "vip", "opCode": "IN", "values": []}]}),
            ".attributes[0].values",
        ),
        (
            json!({"type": "subjectAttributes", "attributes": [{"name": "vip", "opCode": "EXISTS", "values": ["x"]}]}),
            ".attributes[0].values",
        ),
        (json!({"type": "subjectAttributes", "attributes": [{"opCode": "EXISTS"}]}), ".attributes[0].name"),
        (
            json!({"type": "oidcContext", "attributes": [{"name": "nonce", "opCode": "IN", "values": ["x"]}]}),
            ".attributes[0].name",
        ),
        (
            json!({"type": "oidcContext", "attributes": [{"name": "client_type", "opCode": "IN", "values": ["x"]}]}),
            ".attributes[0].values[0]",
        ),
        (json!({"type": "geoLocation", "enabled": "yes", "opCode": "IS"}), ".enabled"),
        (json!({"type": "geoLocation", "enabled": false, "opCode": "EQ"}), ".opCode"),
        (json!({"type": "devicePlatform", "values": ["AMIGA"]}), ".values[0]"),
        (json!({"type": "deviceCompliance", "values": "COMPLIANT"}), ".values"),
        (json!({"type": "lastMfaOnDevice", "values": ["0"]}), ".values"),
        (json!({"type": "lastMfaOnDevice", "values": ["741"]}), ".values"),
        (json!({"type": "riskLevel", "values": ["EXTREME"]}), ".values[0]"),
        (json!({"type": "mfaLifetime", "opCode": "EQ", "values": []}), ".values"),
        (json!({"type": "mfaLifetime", "opCode": "EQ", "values": ["1", "2"]}), ".values"),
        (json!({"type": "mfaLifetime", "opCode": "EQ", "values": ["9223372036854775808"]}), ".values"),
    ] {
        let problems = conditions(json!([item])).unwrap_err();
        let expected = format!("rules[2].conditions[0]{path}");
        assert!(problems.iter().any(|problem| problem.path == expected), "{item}: {problems:?}");
    }
}

#[test]
fn usual_values_are_filled_in() {
    assert_eq!(
        conditions(json!([
            {"type": "newGeoLocation"},
            {"type": "lastMfaOnDevice"},
            {"type": "devicePlatform", "values": ["IOS"]},
            {"type": "mfaLifetime", "values": [3600]},
            {"type": "newDevice", "enabled": false, "opCode": "IS"},
        ]))
        .unwrap(),
        [
            Condition::Finding { finding: Finding::NewLocation, expected: true },
            Condition::LastMfaOnDevice { days: 90 },
            Condition::DevicePlatform(ValueTest { op: Operator::In, values: vec!["IOS".to_owned()] }),
            Condition::MfaLifetime { seconds: 3600 },
        ]
    );
    assert_eq!(conditions(Value::Null).unwrap(), []);
}

#[test]
fn a_first_factor_rule_looks_at_nothing_about_the_person() {
    for item in [
        json!({"type": "subjectAttributes", "attributes": [{"name": "groupIds", "opCode": "IN", "values": ["x"]}]}),
        json!({"type": "oidcContext", "attributes": [{"name": "acr_values", "opCode": "IN", "values": ["x"]}]}),
        json!({"type": "oidcContext", "attributes": [{"name": "claims", "opCode": "IN", "values": ["x"]}]}),
        json!({"type": "geoLocation", "enabled": true, "opCode": "IS"}),
        json!({"type": "newDevice"}),
        json!({"type": "behavioralAnomaly"}),
        json!({"type": "lastMfaOnDevice"}),
        json!({"type": "mfaLifetime", "values": ["60"]}),
    ] {
        let document = seed_with("/rules/0/conditions", json!([item]));
        assert_eq!(refused_at(&document), ["rules[0].conditions[0].type"], "{document}");
    }
    let custom = json!([
        {"type": "customAttributes", "customAttributes": [{"name": "kiosk", "opCode": "IN", "values": ["true"]}]},
        {"type": "oidcContext", "attributes": [{"name": "client_type", "opCode": "IN", "values": ["public"]}]},
    ]);
    let policy = validate(&seed_with("/rules/0/conditions", custom)).unwrap();
    assert!(matches!(&policy.rules[0].conditions[0], Condition::ContextAttribute(test) if test.name == "kiosk"));
}

#[test]
fn the_enforcement_type_counts_only_inside_meta() {
    let mut document = seed_without("/meta/enforcementType");
    document["enforcementType"] = json!("nativeAppWeb");
    // Outside it is not read, so this is a policy for the browser, which cannot have first-factor rules.
    assert_eq!(refused_at(&document), ["rules[0].firstFactor"]);
    document["rules"].as_array_mut().unwrap().drain(..2);
    assert_eq!(validate(&document).unwrap().enforcement, Enforcement::Browser);
    for name in ["nativeApp", "nativeAppMobile", "adaptiveNativeAppWeb", "adaptiveNativeAppMobile"] {
        let policy = validate(&seed_with("/meta/enforcementType", json!(name))).unwrap();
        assert_eq!(policy.enforcement, Enforcement::Native);
    }
}

#[test]
fn only_an_active_policy_is_enforced() {
    for (state, enforced) in [("ACTIVE", true), ("DRY", false), ("DRAFT", false), ("IDLE", false)] {
        assert_eq!(validate(&seed_with("/meta/state", json!(state))).unwrap().enforced, enforced);
    }
}

#[test]
fn stages_are_read_as_object_and_as_text() {
    let expected = BTreeMap::from([("landing".to_owned(), 420_018), ("profile".to_owned(), 5)]);
    for given in [json!({"landing": "420018", "profile": 5}), json!("{\"landing\":\"420018\",\"profile\":5}")] {
        let document = seed_with("/meta/evaluationContext", given);
        assert_eq!(validate(&document).unwrap().stages, expected);
        assert!(parse(&document, 420_018, 1).is_err(), "a policy cannot be its own stage");
        let stored = normalise(&document, None, Stamp { id: 1, revision: 1, now: 5, actor: "x" });
        assert_eq!(stored["meta"]["references"], json!(["420018", "5"]));
        assert_eq!(stored["meta"]["evaluationContext"], json!({"landing": "420018", "profile": "5"}));
    }
}

#[test]
fn every_action_reads_as_what_it_means() {
    let demand = |frequency| Action::Demand { methods: vec![Method::Kind(FactorKind::EmailOtp)], frequency };
    for (name, after, first) in [
        ("ACTION_DENY", Action::Deny, Action::Deny),
        ("ACTION_DENY_AND_REDIRECT", Action::Deny, Action::Deny),
        ("ACTION_DENY_OVERRIDE", Action::Override(Box::new(Action::Deny)), Action::Deny),
        ("ACTION_ALLOW", Action::Allow, demand(Frequency::Always)),
        ("ACTION_ALLOW_OVERRIDE", Action::Override(Box::new(Action::Allow)), demand(Frequency::Always)),
        ("ACTION_MFA_ALWAYS", demand(Frequency::Always), demand(Frequency::Always)),
        ("ACTION_MFA_PER_SESSION", demand(Frequency::PerGrant), demand(Frequency::PerGrant)),
        ("ACTION_MFA_PER_DEVICE", demand(Frequency::PerDevice), demand(Frequency::PerGrant)),
        ("ACTION_MFA_OVERRIDE", Action::Override(Box::new(demand(Frequency::Always))), demand(Frequency::Always)),
        ("ACTION_CONTINUE", Action::Continue, demand(Frequency::Always)),
        ("ACTION_REDIRECT", Action::Continue, demand(Frequency::Always)),
    ] {
        let result = json!({"action": name, "authnMethods": ["emailotp", "email"]});
        let policy = validate(&seed_with("/rules/2/result", result.clone())).unwrap();
        assert_eq!(policy.rules[2].action, after, "{name}");
        let policy = validate(&seed_with("/rules/0/result", result)).unwrap();
        assert_eq!(policy.rules[0].action, first, "{name}");
    }
    // The browser flow has nowhere to redirect to, and going on would be looser.
    let mut browser = seed_with("/meta/enforcementType", json!("fedSSO"));
    browser["rules"].as_array_mut().unwrap().drain(..2);
    browser["rules"][0]["result"]["action"] = json!("ACTION_REDIRECT");
    assert_eq!(validate(&browser).unwrap().rules[0].action, Action::Deny);
}

#[test]
fn risk_actions_are_names_or_demands() {
    let actions = json!({"low": "ACTION_ALLOW", "medium": {"action": "ACTION_MFA_ALWAYS", "authnMethods": ["anyfactor"]},
        "high": {"action": "ACTION_MFA_PER_SESSION", "authnMethods": ["fido2"]}, "veryHigh": "ACTION_DENY"});
    let policy = validate(&seed_with("/adaptive", json!({ "actions": actions }))).unwrap();
    assert_eq!(
        policy.adaptive.unwrap(),
        Adaptive {
            low: Action::Allow,
            medium: Action::Demand { methods: vec![Method::Any], frequency: Frequency::Always },
            high: Action::Demand { methods: vec![Method::Kind(FactorKind::Passkey)], frequency: Frequency::PerGrant },
            very_high: Action::Deny,
        }
    );
    for wrong in ["ACTION_CONTINUE", "ACTION_ALLOW_OVERRIDE", "ACTION_MFA_ALWAYS", "ACTION_X"] {
        let mut wrong_actions = actions.clone();
        wrong_actions["low"] = json!(wrong);
        let problems = refused_at(&seed_with("/adaptive", json!({ "actions": wrong_actions })));
        assert!(problems.iter().all(|path| path.starts_with("adaptive.actions.low")), "{wrong}: {problems:?}");
    }
}

#[test]
fn a_stored_document_has_what_the_server_knows() {
    let mut document = seed();
    document["rules"][0]["id"] = json!("2");
    document["id"] = json!(1);
    document["containsFirstFactor"] = json!(false);
    document["strange"] = json!("member");
    document["meta"]["predefined"] = json!(true);
    document["meta"]["createdBy"] = json!("somebody else");
    let stored =
        normalise(&document, None, Stamp { id: 420_017, revision: 1, now: 1_777_600_000, actor: "604000ADM1" });
    assert_eq!(
        stored["meta"],
        json!({"state": "ACTIVE", "schema": "urn:access:policy:5.0:schema", "revision": 1, "label": "", "predefined": false,
            "created": 1_777_600_000, "createdBy": "604000ADM1", "lastActive": 1_777_600_000, "modified": 1_777_600_000,
            "modifiedBy": "604000ADM1", "scope": ["administrators"], "enforcementType": "nativeAppWeb", "referencedBy": [],
            "references": [], "tenantDefaultPolicy": false})
    );
    assert_eq!(
        stored["rules"][0],
        json!({"id": "2", "name": "Office network", "description": "", "alwaysRun": false, "firstFactor": true,
            "conditions": [{"type": "ipAddress", "opCode": "MATCH", "values": ["192.168.1.0/24"]}],
            "result": {"action": "ACTION_MFA_ALWAYS", "serverSideActions": [], "authnMethods": ["password"]}})
    );
    let ids: Vec<&Value> = stored["rules"].as_array().unwrap().iter().map(|rule| &rule["id"]).collect();
    assert_eq!(ids, ["2", "1", "3", "4"]);
    let mut rest = stored.clone();
    rest["rules"] = json!([]);
    rest["meta"] = json!({});
    assert_eq!(
        rest,
        json!({"id": 420_017, "name": "Native login", "description": "", "containsFirstFactor": true, "rules": [], "meta": {},
            "validations": {"subscriptionsNeeded": []}, "requiredSubscriptions": []})
    );

    let before = &stored["meta"];
    let mut changed = stored.clone();
    changed["meta"]["state"] = json!("DRY");
    let next = normalise(&changed, Some(before), Stamp { id: 420_017, revision: 2, now: 1_777_700_000, actor: "X" });
    let meta = &next["meta"];
    assert_eq!(meta["created"], json!(1_777_600_000));
    assert_eq!(meta["createdBy"], json!("604000ADM1"));
    assert_eq!(meta["lastActive"], json!(0), "this revision never was");
    let same = normalise(&changed, Some(before), Stamp { id: 420_017, revision: 1, now: 1_777_700_000, actor: "X" });
    assert_eq!(same["meta"]["lastActive"], json!(1_777_600_000));
    assert_eq!((&meta["modified"], &meta["modifiedBy"]), (&json!(1_777_700_000), &json!("X")));
    assert_eq!(meta["revision"], json!(2));
    assert!(differs_in_effect(&stored, &next));
    assert_eq!(validate(&next).unwrap().rules, validate(&stored).unwrap().rules);

    let mut renamed = stored.clone();
    renamed["name"] = json!("Another name");
    assert!(!differs_in_effect(&stored, &renamed));
}

#[test]
fn the_form_before_is_read_and_written() {
    let old = json!({"name": "Old", "schemaVersion": "urn:access:policy:4.0:schema", "enforcementType": "nativeApp",
        "creationTime": 5, "author": "a", "lastModifiedOn": 6, "lastModifiedBy": "b", "predefined": false,
        "rules": [
            {"name": "Admins", "conditions": {
                "subjectAttributes": {"attributes": [{"name": "groupIds", "opCode": "IN", "values": ["A"]}]},
                "ipAddress": {"opCode": "NOMATCH", "values": ["10.0.0.0/8"]},
                "geoLocation": {"enabled": true, "opCode": "IS"}, "contextAttributes": null},
             "result": {"extendedAction": {"action": "ACTION_MFA_ALWAYS"}, "authnMethods": ["email", "sms"]}},
            {"name": "Else", "conditions": {}, "result": {"extendedAction": {"action": "ACTION_ALLOW"}, "authnMethods": []}}]});
    let new = upgrade(&old, None);
    let policy = validate(&new).unwrap();
    assert_eq!(policy.enforcement, Enforcement::Native);
    assert_eq!(policy.rules[0].conditions.len(), 3);
    assert_eq!(
        policy.rules[0].action,
        Action::Demand {
            methods: vec![Method::Kind(FactorKind::EmailOtp), Method::Kind(FactorKind::SmsOtp)],
            frequency: Frequency::Always
        }
    );
    assert_eq!((&new["meta"]["created"], &new["meta"]["createdBy"]), (&json!(5), &json!("a")));
    assert_eq!(new.get("schemaVersion"), None);
    let again = downgrade(&new, Shape::Three);
    assert_eq!(again["rules"][0]["conditions"]["ipAddress"], old["rules"][0]["conditions"]["ipAddress"]);
    for member in ["schemaVersion", "enforcementType", "creationTime", "author", "lastModifiedOn", "lastModifiedBy"] {
        assert_eq!(again[member], old[member], "{member}");
    }
    assert_eq!(again["rules"][0]["result"], old["rules"][0]["result"]);
    assert_eq!(upgrade(&new, None), new);
}

#[test]
fn the_oldest_form_is_read_and_written() {
    let result = |action: Value| json!({"name": "R", "conditions": {"devicePlatform": ["IOS"]}, "result": {"action": action, "authnMethods": ["anyfactor"]}});
    let document = |action: Value| json!({"name": "Oldest", "schemaVersion": "access:policy:1.0:schema", "format": "json", "rules": [result(action)]});
    let any = |frequency| Action::Demand { methods: vec![Method::Any], frequency };
    for (action, expected) in [
        (json!({"allowAccess": false}), Some(Action::Deny)),
        (json!({"allowAccess": false, "requireFactor": true}), Some(Action::Deny)),
        (json!({"allowAccess": true}), Some(Action::Allow)),
        (json!({"allowAccess": true, "requireFactor": false}), Some(Action::Allow)),
        (json!({"allowAccess": true, "requireFactor": true}), Some(any(Frequency::Always))),
        (
            json!({"allowAccess": true, "requireFactor": true, "factorFrequency": "ALWAYS"}),
            Some(any(Frequency::Always)),
        ),
        (
            json!({"allowAccess": true, "requireFactor": true, "factorFrequency": "ONCE"}),
            Some(any(Frequency::PerGrant)),
        ),
        (json!({"allowAccess": "true"}), None),
        (json!({"allowAccess": true, "requireFactor": "no"}), None),
        (json!({"requireFactor": true}), None),
        (json!({}), None),
    ] {
        let new = upgrade(&document(action.clone()), None);
        match (validate(&new), expected) {
            (Ok(policy), Some(expected)) => {
                assert_eq!(policy.rules[0].action, expected, "{action}");
                assert!(matches!(policy.rules[0].conditions[0], Condition::DevicePlatform(_)));
                let old = downgrade(&new, Shape::One);
                assert_eq!(old["rules"][0]["conditions"], json!({"devicePlatform": ["IOS"]}));
                assert_eq!(old["format"], json!("json"));
                assert_eq!(validate(&upgrade(&old, None)).unwrap(), policy);
            }
            (Err(_), None) => {}
            (read, expected) => panic!("{action}: {read:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn what_the_older_form_cannot_say_is_kept_from_before() {
    let meta = json!({"state": "DRY", "scope": ["developers"], "evaluationContext": {"landing": "9"}, "enforcementType": "nativeApp"});
    let old = json!({"name": "Old", "rules": []});
    let policy = validate(&upgrade(&old, Some(&meta))).unwrap();
    assert!(!policy.enforced);
    assert_eq!(policy.stages.len(), 1);
    assert_eq!(policy.enforcement, Enforcement::Native);
}

#[test]
fn an_unknown_condition_of_an_older_form_is_refused() {
    for conditions in
        [json!({"weather": {"opCode": "IS"}}), json!({"ipAddress": true}), json!({"ipAddress": ["10.0.0.1"]})]
    {
        let old = json!({"name": "Old", "rules": [{"name": "R", "conditions": conditions,
            "result": {"extendedAction": {"action": "ACTION_ALLOW"}, "authnMethods": []}}]});
        assert!(validate(&upgrade(&old, None)).is_err(), "{old}");
    }
}

#[test]
fn a_strangers_text_in_a_message_is_short_and_plain() {
    let action = format!("ACTION\n{}", "x".repeat(900));
    let problems = validate(&seed_with("/rules/2/result/action", json!(action))).unwrap_err();
    assert!(problems[0].message.chars().count() < 120 && !problems[0].message.contains('\n'));
    let many: Vec<Value> = (0..200).map(|_| json!({})).collect();
    assert_eq!(validate(&seed_with("/rules", json!(many))).unwrap_err().len(), 50);
    let too_many: Vec<Value> = (0..201).map(|_| seed()["rules"][3].clone()).collect();
    assert_eq!(refused_at(&seed_with("/rules", json!(too_many))), ["rules"]);
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[A-Za-z0-9 *.@-]{1,12}", 1..4)
}

fn one_of<T: Clone + std::fmt::Debug + 'static>(all: &[T]) -> impl Strategy<Value = T> + Clone + use<T> {
    prop::sample::select(all.to_vec())
}

const TEXT: [Operator; 9] = [
    Operator::Eq,
    Operator::Neq,
    Operator::In,
    Operator::NotIn,
    Operator::Match,
    Operator::NoMatch,
    Operator::StartsWith,
    Operator::EndsWith,
    Operator::Contains,
];
const MEMBERSHIP: [Operator; 4] = [Operator::In, Operator::NotIn, Operator::Eq, Operator::Neq];

fn networks() -> impl Strategy<Value = NetworkTest> {
    let network = one_of(&["10.0.0.1", "10.0.0.0/8", "10.0.0.1-10.0.0.9", "2001:db8::/32", "::1"])
        .prop_map(|text| text.parse().unwrap());
    (one_of(&[Operator::Match, Operator::NoMatch]), prop::collection::vec(network, 1..4))
        .prop_map(|(op, networks)| NetworkTest { op, networks })
}

fn attribute() -> impl Strategy<Value = AttributeTest> {
    let flat = one_of(&[Operator::Exists, Operator::Is, Operator::IsNot]).prop_map(|op| (op, Vec::new()));
    ("[a-zA-Z]{1,8}", prop_oneof![(one_of(&TEXT), texts()), flat]).prop_map(|(name, (op, values))| AttributeTest {
        name,
        op,
        values,
    })
}

fn value_test() -> impl Strategy<Value = ValueTest> {
    (one_of(&TEXT), texts()).prop_map(|(op, values)| ValueTest { op, values })
}

fn listed(known: &[&'static str]) -> impl Strategy<Value = ValueTest> + use<> {
    (one_of(&MEMBERSHIP), prop::sample::subsequence(known.to_vec(), 1..=known.len()))
        .prop_map(|(op, values)| ValueTest { op, values: values.into_iter().map(str::to_owned).collect() })
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let levels = prop::sample::subsequence(RiskLevel::ALL.to_vec(), 1..=4);
    prop_oneof![
        networks().prop_map(Condition::IpAddress),
        networks().prop_map(Condition::RemoteIp),
        (one_of(&[LocationPart::Country, LocationPart::City, LocationPart::Network]), one_of(&TEXT), texts())
            .prop_map(|(part, op, values)| Condition::Location { part, op, values }),
        attribute().prop_map(Condition::CustomAttribute),
        attribute().prop_map(Condition::SubjectAttribute),
        attribute().prop_map(Condition::ContextAttribute),
        listed(&["public", "confidential"]).prop_map(Condition::ClientType),
        value_test().prop_map(Condition::AcrValues),
        value_test().prop_map(Condition::Claims),
        (one_of(&Finding::ALL), any::<bool>()).prop_map(|(finding, expected)| Condition::Finding { finding, expected }),
        listed(&names::PLATFORMS).prop_map(Condition::DevicePlatform),
        listed(&names::COMPLIANCE).prop_map(Condition::DeviceCompliance),
        value_test().prop_map(Condition::DeviceStatus),
        value_test().prop_map(Condition::Isp),
        value_test().prop_map(Condition::Provider),
        value_test().prop_map(Condition::UpstreamAmr),
        value_test().prop_map(Condition::UpstreamAcr),
        (1_i64..=740).prop_map(|days| Condition::LastMfaOnDevice { days }),
        (one_of(&MEMBERSHIP), levels).prop_map(|(op, levels)| Condition::RiskLevel { op, levels }),
        (1_i64..=1_000_000).prop_map(|seconds| Condition::MfaLifetime { seconds }),
    ]
}

fn demand() -> impl Strategy<Value = Action> + Clone {
    let methods: Vec<Method> =
        FactorKind::ALL.into_iter().map(Method::Kind).chain([Method::Any, Method::AnyPush]).collect();
    (
        prop::sample::subsequence(methods, 1..=4).prop_shuffle(),
        one_of(&[Frequency::Always, Frequency::PerGrant, Frequency::PerDevice]),
    )
        .prop_map(|(methods, frequency)| Action::Demand { methods, frequency })
}

fn any_action() -> impl Strategy<Value = Action> {
    let flat = prop_oneof![Just(Action::Deny), Just(Action::Allow), demand()];
    let replacing = flat.clone().prop_map(|action| match action {
        Action::Demand { methods, .. } => Action::Demand { methods, frequency: Frequency::Always },
        other => other,
    });
    prop_oneof![4 => flat, 1 => Just(Action::Continue), 1 => replacing.prop_map(|inner| Action::Override(Box::new(inner)))]
}

fn unenrolled() -> impl Strategy<Value = Unenrolled> {
    one_of(&[Unenrolled::Ask, Unenrolled::Require, Unenrolled::Offer])
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let rule = (
        "[a-z ]{0,6}[a-z]",
        any::<bool>(),
        prop::collection::vec(any_condition(), 0..4),
        any_action(),
        unenrolled(),
        any::<bool>(),
    )
        .prop_map(|(name, always, conditions, action, unenrolled, reauthenticate)| Rule {
            id: String::new(),
            name,
            always,
            contact: Contact::After,
            conditions,
            action,
            unenrolled,
            reauthenticate,
        });
    let flat = || prop_oneof![Just(Action::Deny), Just(Action::Allow), demand()];
    let adaptive = (flat(), flat(), flat(), flat()).prop_map(|(low, medium, high, very_high)| Adaptive {
        low,
        medium,
        high,
        very_high,
    });
    let stages = prop::collection::btree_map("[a-z]{1,8}", 100_i64..200, 0..3);
    (
        prop::collection::vec(rule, 0..5),
        stages,
        prop::option::of(adaptive),
        one_of(&[Enforcement::Browser, Enforcement::Native]),
        any::<bool>(),
    )
        .prop_map(|(mut rules, stages, adaptive, enforcement, enforced)| {
            for (position, rule) in rules.iter_mut().enumerate() {
                rule.id = format!("r{position}");
            }
            Policy { id: 7, revision: 3, name: "A policy".to_owned(), enforcement, enforced, rules, stages, adaptive }
        })
}

/// Any JSON, with the words of the documents in it.
fn any_json() -> impl Strategy<Value = Value> {
    let word = one_of(&[
        "type",
        "rules",
        "meta",
        "state",
        "ACTIVE",
        "conditions",
        "ipAddress",
        "opCode",
        "IN",
        "values",
        "result",
        "action",
        "ACTION_DENY",
        "authnMethods",
        "attributes",
        "name",
        "extendedAction",
        "evaluationContext",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..6).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect::<Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(policy in any_policy()) {
        let document = write(&policy);
        prop_assert_eq!(parse(&document, 7, 3).unwrap(), policy.clone());
        let stored = normalise(&document, None, Stamp { id: 7, revision: 3, now: 1, actor: "x" });
        prop_assert_eq!(parse(&stored, 7, 3).unwrap(), policy.clone());
        for shape in [Shape::One, Shape::Three] {
            let back = upgrade(&downgrade(&stored, shape), Some(&stored["meta"]));
            let back = parse(&back, 7, 3).unwrap();
            prop_assert_eq!(back.rules.len(), policy.rules.len());
            for (back, rule) in back.rules.iter().zip(&policy.rules) {
                // Keyed by kind, conditions come back in another order; they hold together either way.
                prop_assert_eq!(&back.action, &rule.action);
                prop_assert_eq!(back.conditions.len(), rule.conditions.len());
                prop_assert!(rule.conditions.iter().all(|condition| back.conditions.contains(condition)));
            }
            prop_assert_eq!(&back.stages, &policy.stages);
            prop_assert_eq!(&back.adaptive, &policy.adaptive);
            prop_assert_eq!((back.enforced, back.enforcement), (policy.enforced, policy.enforcement));
        }
    }

    #[test]
    fn normal_form_is_its_own(policy in any_policy()) {
        let stamp = Stamp { id: 7, revision: 3, now: 9, actor: "x" };
        let once = normalise(&write(&policy), None, stamp);
        prop_assert_eq!(&normalise(&once, Some(&once["meta"]), stamp), &once);
    }

    #[test]
    fn no_document_is_too_strange(document in any_json()) {
        for shape in [Shape::One, Shape::Three] {
            let _ = downgrade(&document, shape);
        }
        let upgraded = upgrade(&document, Some(&document));
        for document in [document, upgraded] {
            if let Err(problems) = validate(&document) {
                prop_assert!(!problems.is_empty() && problems.len() <= 50);
            }
            let _ = normalise(&document, Some(&document), Stamp { id: 1, revision: 1, now: 1, actor: "x" });
        }
    }
}
