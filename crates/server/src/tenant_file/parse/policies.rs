//! Access policies in their document form, spelled in TOML.

use std::collections::HashMap;

use serde_json::Value;

use super::{Names, unique};
use crate::policy_document;
use crate::tenant_file::PolicyPart;
use crate::tenant_file::problem::Place;
use crate::tenant_file::reader::{Item, Section};

/// `[[tenant.policies]]`
pub(super) fn policies(tenant: &mut Section<'_>, names: &mut Names) -> Vec<PolicyPart> {
    let items = tenant.take("policies").map(|item| item.list()).unwrap_or_default();
    let (mut ids, mut policies, mut stages) = (HashMap::new(), Vec::new(), Vec::new());
    for item in items {
        let Some(mut section) = item.section() else { continue };
        let report = section.report;
        let id = section.need("id", "give it a whole number of its own").and_then(|id| {
            let number = id.number(1..=i64::MAX)?;
            Some((number, id.place))
        });
        let Some((id, place)) = id else { continue };
        unique(&mut ids, &id.to_string(), "policy", report, &place);
        let document = item.json();
        if let Err(problems) = policy_document::parse(&document, id, 1) {
            for problem in problems {
                report.add(&item.locate(&problem.path), problem.message, "");
            }
        }
        names.policies.add(&id.to_string(), id);
        stages.push((item, document.clone()));
        policies.push(PolicyPart { id, document });
    }
    for (item, document) in stages {
        sub_policies(&item, &document, names);
    }
    policies
}

/// The policies that stages of this one refer to must be there too.
fn sub_policies(item: &Item<'_>, document: &Value, names: &Names) {
    let Some(context) = document.pointer("/meta/evaluationContext") else { return };
    let parsed = match context {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        other => other.clone(),
    };
    let Value::Object(stages) = parsed else { return };
    for (stage, id) in stages {
        let word = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        let place: Place = item.locate(&format!("meta.evaluationContext.{stage}"));
        names.policies.find(&word, item.report, &place);
    }
}
