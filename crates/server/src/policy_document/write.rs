//! Typed policy → document form. Carries what the engine knows; what only the document holds is the caller's.

use engine::policy::{Action, Adaptive, Contact, Enforcement, Frequency, Method, Policy, Rule, Unenrolled};
use serde_json::{Value, json};

use super::conditions;
use super::names::{SCHEMA, method_name, unenrolled_name};

/// The document of schema 5.0 that reads back as this policy.
pub fn write(policy: &Policy) -> Value {
    let mut document = json!({
        "id": policy.id,
        "name": policy.name,
        "rules": policy.rules.iter().map(rule).collect::<Vec<_>>(),
        "meta": {
            "schema": SCHEMA,
            "revision": policy.revision,
            "state": if policy.enforced { "ACTIVE" } else { "DRY" },
            "enforcementType": match policy.enforcement {
                Enforcement::Browser => "fedSSO",
                Enforcement::Native => "nativeAppWeb",
            },
            "evaluationContext": policy.stages.iter().map(|(stage, id)| (stage.clone(), json!(id.to_string())))
                .collect::<serde_json::Map<_, _>>(),
        },
    });
    if let Some(adaptive) = &policy.adaptive {
        document["adaptive"] = json!({ "actions": actions(adaptive) });
    }
    document
}

fn rule(rule: &Rule) -> Value {
    let (action, methods) = action(&rule.action);
    let mut document = json!({
        "id": rule.id,
        "name": rule.name,
        "alwaysRun": rule.always,
        "firstFactor": rule.contact == Contact::First,
        "conditions": rule.conditions.iter().map(conditions::write).collect::<Vec<_>>(),
        "result": { "action": action, "serverSideActions": [], "authnMethods": names(methods) },
    });
    // Ours: only where it says something the vendor's documents have no word for.
    if rule.unenrolled != Unenrolled::Ask {
        document["result"]["enrolment"] = json!(unenrolled_name(rule.unenrolled));
    }
    if rule.reauthenticate {
        document["result"]["reauthenticate"] = json!(true);
    }
    document
}

fn actions(adaptive: &Adaptive) -> Value {
    let of = |one: &Action| {
        let (name, methods) = action(one);
        json!({ "action": name, "authnMethods": names(methods) })
    };
    json!({
        "low": of(&adaptive.low),
        "medium": of(&adaptive.medium),
        "high": of(&adaptive.high),
        "veryHigh": of(&adaptive.very_high),
    })
}

fn names(methods: &[Method]) -> Vec<&'static str> {
    methods.iter().map(|method| method_name(*method)).collect()
}

fn action(action: &Action) -> (&'static str, &[Method]) {
    match action {
        Action::Deny => ("ACTION_DENY", &[]),
        Action::Allow => ("ACTION_ALLOW", &[]),
        Action::Demand { methods, frequency: Frequency::Always } => ("ACTION_MFA_ALWAYS", methods),
        Action::Demand { methods, frequency: Frequency::PerGrant } => ("ACTION_MFA_PER_SESSION", methods),
        Action::Demand { methods, frequency: Frequency::PerDevice } => ("ACTION_MFA_PER_DEVICE", methods),
        Action::Continue => ("ACTION_CONTINUE", &[]),
        Action::Override(inner) => match inner.as_ref() {
            Action::Allow => ("ACTION_ALLOW_OVERRIDE", &[]),
            // The vendor has one name for a demand in place of the risk action, and it means every time.
            Action::Demand { methods, .. } => ("ACTION_MFA_OVERRIDE", methods),
            Action::Deny | Action::Continue | Action::Override(_) => ("ACTION_DENY_OVERRIDE", &[]),
        },
    }
}
