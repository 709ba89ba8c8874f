//! Document form → typed policy. Everything the engine could misread is refused here.

use std::collections::BTreeMap;

use engine::FactorKind;
use engine::policy::{Action, Adaptive, Condition, Contact, Enforcement, Frequency, Method, Policy, Rule, Unenrolled};
use serde_json::{Map, Value};

use super::Problem;
use super::names::{SCHEMA, enforcement_from_name, method_from_name, unenrolled_from_name};
use super::reader::{Reader, at, quoted};

/// The most rules of a policy.
const MOST_RULES: usize = 200;
/// The most conditions of a rule.
const MOST_CONDITIONS: usize = 50;
/// The most methods of a rule.
const MOST_METHODS: usize = 50;
/// The most stages with a policy of their own.
const MOST_STAGES: usize = 20;

/// Reads a document of schema 5.0 into the policy it stands for.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn parse(document: &Value, id: i64, revision: i64) -> Result<Policy, Vec<Problem>> {
    let mut reader = Reader::default();
    match reader.policy(document, id, revision) {
        Some(policy) if reader.problems.is_empty() => Ok(policy),
        _ => Err(reader.problems),
    }
}

impl Reader {
    fn policy(&mut self, document: &Value, id: i64, revision: i64) -> Option<Policy> {
        let document = self.object("", Some(document))?;
        let name = self.text("name", document.get("name")).map(str::to_owned);
        let meta = self.object("meta", document.get("meta"));
        let (enforced, enforcement, stages) = match meta {
            Some(meta) => (self.state(meta), self.enforcement(meta), self.stages(meta, id)),
            None => (None, None, BTreeMap::new()),
        };
        self.browser = enforcement == Some(Enforcement::Browser);
        let rules = self.rules(document.get("rules"));
        if enforcement == Some(Enforcement::Browser)
            && let Some(position) = rules.iter().position(|rule| rule.contact == Contact::First)
        {
            self.problem(
                &format!("rules[{position}].firstFactor"),
                "only a policy whose `meta.enforcementType` is native may have first-factor rules",
            );
        }
        let adaptive = match document.get("adaptive") {
            None | Some(Value::Null) => None,
            given => self.adaptive(given),
        };
        let (name, enforced, enforcement) = (name?, enforced?, enforcement?);
        Some(Policy { id, revision, name, enforcement, enforced, rules, stages, adaptive })
    }

    fn state(&mut self, meta: &Map<String, Value>) -> Option<bool> {
        if let Some(schema) = meta.get("schema").filter(|schema| schema.as_str() != Some(SCHEMA)) {
            let shown = schema.as_str().map(quoted).unwrap_or_default();
            self.problem("meta.schema", format!("must be `{SCHEMA}`, not {shown}"));
        }
        match self.text("meta.state", meta.get("state"))? {
            "ACTIVE" => Some(true),
            "IDLE" | "DRAFT" | "DRY" => Some(false),
            other => {
                self.problem("meta.state", format!("unknown state {}", quoted(other)));
                None
            }
        }
    }

    /// At the top level of the document `enforcementType` means nothing, as on a real tenant: such a policy is one for
    /// the browser and never looked at for other flows.
    fn enforcement(&mut self, meta: &Map<String, Value>) -> Option<Enforcement> {
        let Some(given) = meta.get("enforcementType").filter(|given| !given.is_null()) else {
            return Some(Enforcement::Browser);
        };
        let name = self.text("meta.enforcementType", Some(given))?;
        let enforcement = enforcement_from_name(name);
        if enforcement.is_none() {
            self.problem("meta.enforcementType", format!("unknown enforcement type {}", quoted(name)));
        }
        enforcement
    }

    fn stages(&mut self, meta: &Map<String, Value>, id: i64) -> BTreeMap<String, i64> {
        const PATH: &str = "meta.evaluationContext";
        let mut stages = BTreeMap::new();
        let Some(given) = evaluation_context(meta.get("evaluationContext")) else {
            self.problem(PATH, "must be an object, or a text that holds one");
            return stages;
        };
        if given.len() > MOST_STAGES {
            self.problem(PATH, format!("must have at most {MOST_STAGES} stages"));
            return stages;
        }
        for (stage, policy) in &given {
            let path = at(PATH, &quoted(stage));
            let number = policy.as_i64().or_else(|| policy.as_str().and_then(|text| text.trim().parse().ok()));
            match number {
                Some(own) if own == id => self.problem(&path, "must be another policy"),
                Some(number) if !stage.is_empty() && stage.chars().count() <= 64 => {
                    stages.insert(stage.clone(), number);
                }
                Some(_) => self.problem(&path, "the name of a stage has 1 to 64 characters"),
                None => self.problem(&path, "must be the id of a policy"),
            }
        }
        stages
    }

    fn rules(&mut self, given: Option<&Value>) -> Vec<Rule> {
        if !matches!(given, Some(Value::Array(_))) {
            self.problem("rules", "must be a list");
            return Vec::new();
        }
        let Some(items) = self.list("rules", given, MOST_RULES) else { return Vec::new() };
        let mut rules: Vec<Rule> = Vec::with_capacity(items.len());
        let ids = rule_ids(items);
        for (position, (item, id)) in items.iter().zip(ids).enumerate() {
            let path = format!("rules[{position}]");
            if let Some(rule) = self.rule(&path, item, id) {
                if rules.iter().any(|other| other.id == rule.id) {
                    self.problem(&at(&path, "id"), "is the id of an earlier rule");
                }
                rules.push(rule);
            }
        }
        rules
    }

    fn rule(&mut self, path: &str, item: &Value, id: String) -> Option<Rule> {
        let item = self.object(path, Some(item))?;
        if let Some(given) = item.get("id").filter(|given| !given.is_null()) {
            self.text(&at(path, "id"), Some(given));
        }
        let name = self.text(&at(path, "name"), item.get("name")).map(str::to_owned);
        let always = self.flag(&at(path, "alwaysRun"), item.get("alwaysRun"));
        let first = self.flag(&at(path, "firstFactor"), item.get("firstFactor"));
        let contact = if first == Some(true) { Contact::First } else { Contact::After };
        let mut conditions: Vec<Condition> = Vec::new();
        let conditions_path = at(path, "conditions");
        for (position, condition) in
            self.list(&conditions_path, item.get("conditions"), MOST_CONDITIONS)?.iter().enumerate()
        {
            conditions.extend(self.condition(&format!("{conditions_path}[{position}]"), condition, contact));
        }
        let action = self.result(&at(path, "result"), item.get("result"), contact);
        let unenrolled = self.unenrolled(&at(path, "result"), item.get("result"), contact);
        let reauthenticate = self.reauthenticate(&at(path, "result"), item.get("result"), contact);
        first?;
        let (name, always, action, unenrolled) = (name?, always?, action?, unenrolled?);
        Some(Rule { id, name, always, contact, conditions, action, unenrolled, reauthenticate: reauthenticate? })
    }

    /// What becomes of people who have none of the factors a rule demands. Ours: the vendor's documents have no word for it.
    fn unenrolled(&mut self, path: &str, given: Option<&Value>, contact: Contact) -> Option<Unenrolled> {
        let path = at(path, "enrolment");
        let Some(given) = given.and_then(|result| result.get("enrolment")).filter(|given| !given.is_null()) else {
            return Some(Unenrolled::Ask);
        };
        let unenrolled = unenrolled_from_name(self.text(&path, Some(given))?);
        if unenrolled.is_none() || contact == Contact::First {
            let text =
                "must be `required`, `optional` or `none`, and stands only in a rule that is no first-factor rule";
            self.problem(&path, text);
        }
        unenrolled
    }

    /// Whether the person must have signed in for this very purpose. Ours as well.
    fn reauthenticate(&mut self, path: &str, given: Option<&Value>, contact: Contact) -> Option<bool> {
        let path = at(path, "reauthenticate");
        match given.and_then(|result| result.get("reauthenticate")) {
            None | Some(Value::Null) => Some(false),
            given => {
                let flag = self.flag(&path, given)?;
                if flag && contact == Contact::First {
                    self.problem(&path, "stands only in a rule that is no first-factor rule");
                }
                Some(flag)
            }
        }
    }

    fn result(&mut self, path: &str, given: Option<&Value>, contact: Contact) -> Option<Action> {
        let result = self.object(path, given)?;
        let name = self.text(&at(path, "action"), result.get("action")).map(str::to_owned);
        let methods_path = at(path, "authnMethods");
        if result.get("authnMethods").is_none() {
            self.problem(&methods_path, "is required, and may be an empty list");
        }
        let methods = self.methods(&methods_path, result.get("authnMethods"));
        let actions = at(path, "serverSideActions");
        self.list(&actions, result.get("serverSideActions"), MOST_METHODS);
        let (name, methods) = (name?, methods?);
        match contact {
            Contact::First => self.first_action(path, &name, methods),
            Contact::After => self.after_action(path, &name, methods),
        }
    }

    fn methods(&mut self, path: &str, given: Option<&Value>) -> Option<Vec<Method>> {
        let names = self.values(path, given, MOST_METHODS)?;
        let mut methods: Vec<Method> = Vec::with_capacity(names.len());
        for (position, name) in names.iter().enumerate() {
            match method_from_name(name) {
                Some(method) if !methods.contains(&method) => methods.push(method),
                Some(_) => {}
                None => {
                    self.problem(&format!("{path}[{position}]"), format!("unknown method {}", quoted(name)));
                    return None;
                }
            }
        }
        Some(methods)
    }

    /// Before anybody is known a rule denies or says which factors may begin, whatever its action is called.
    fn first_action(&mut self, path: &str, name: &str, methods: Vec<Method>) -> Option<Action> {
        let path = at(path, "authnMethods");
        let frequency = match self.verb(&path, name)? {
            Verb::Deny | Verb::DenyOverride => return Some(Action::Deny),
            // Nobody is known yet whose device it could be.
            Verb::PerSession | Verb::PerDevice => Frequency::PerGrant,
            Verb::Always
            | Verb::AlwaysOverride
            | Verb::Allow
            | Verb::AllowOverride
            | Verb::Continue
            | Verb::Redirect => Frequency::Always,
        };
        if methods.is_empty() {
            self.problem(&path, "a first-factor rule that does not deny must name a factor");
            return None;
        }
        if methods.iter().all(|method| *method == Method::Kind(FactorKind::Questions)) {
            self.problem(&path, "`questions` are never enough to begin with");
            return None;
        }
        Some(Action::Demand { methods, frequency })
    }

    fn after_action(&mut self, path: &str, name: &str, methods: Vec<Method>) -> Option<Action> {
        let action_path = at(path, "action");
        let demand = |reader: &mut Self, frequency| {
            if methods.is_empty() {
                reader.problem(&at(path, "authnMethods"), "a rule that demands a factor must name one");
                return None;
            }
            Some(Action::Demand { methods: methods.clone(), frequency })
        };
        Some(match self.verb(&action_path, name)? {
            Verb::Deny => Action::Deny,
            Verb::Allow => Action::Allow,
            Verb::Always => demand(self, Frequency::Always)?,
            Verb::PerSession => demand(self, Frequency::PerGrant)?,
            Verb::PerDevice => demand(self, Frequency::PerDevice)?,
            Verb::DenyOverride => Action::Override(Box::new(Action::Deny)),
            Verb::AllowOverride => Action::Override(Box::new(Action::Allow)),
            Verb::AlwaysOverride => Action::Override(Box::new(demand(self, Frequency::Always)?)),
            // A redirect in the browser would hold the person up until something is done there. Nothing here can do that, and
            // to go on without it would be looser than what was written. In an API flow it decides nothing.
            Verb::Redirect if self.browser => Action::Deny,
            Verb::Continue | Verb::Redirect => Action::Continue,
        })
    }

    fn verb(&mut self, path: &str, name: &str) -> Option<Verb> {
        Some(match name {
            "ACTION_DENY" | "ACTION_DENY_AND_REDIRECT" => Verb::Deny,
            "ACTION_ALLOW" => Verb::Allow,
            "ACTION_MFA_ALWAYS" => Verb::Always,
            "ACTION_MFA_PER_SESSION" => Verb::PerSession,
            // Ours: the vendor has no name for it.
            "ACTION_MFA_PER_DEVICE" => Verb::PerDevice,
            "ACTION_DENY_OVERRIDE" => Verb::DenyOverride,
            "ACTION_ALLOW_OVERRIDE" => Verb::AllowOverride,
            "ACTION_MFA_OVERRIDE" => Verb::AlwaysOverride,
            "ACTION_CONTINUE" => Verb::Continue,
            "ACTION_REDIRECT" => Verb::Redirect,
            other => {
                self.problem(path, format!("unknown action {}", quoted(other)));
                return None;
            }
        })
    }

    /// What each risk rating leads to: a name, or `{action, authnMethods}` where factors are demanded.
    fn adaptive(&mut self, given: Option<&Value>) -> Option<Adaptive> {
        let adaptive = self.object("adaptive", given)?;
        let actions = self.object("adaptive.actions", adaptive.get("actions"))?;
        let mut action = |rating: &str| self.risk_action(&at("adaptive.actions", rating), actions.get(rating));
        let (low, medium) = (action("low"), action("medium"));
        let (high, very_high) = (action("high"), action("veryHigh"));
        Some(Adaptive { low: low?, medium: medium?, high: high?, very_high: very_high? })
    }

    fn risk_action(&mut self, path: &str, given: Option<&Value>) -> Option<Action> {
        let (name, methods) = match given {
            Some(Value::String(name)) => (name.as_str(), Vec::new()),
            given => {
                let members = self.object(path, given)?;
                let name = self.text(&at(path, "action"), members.get("action"))?;
                (name, self.methods(&at(path, "authnMethods"), members.get("authnMethods"))?)
            }
        };
        match self.after_action(path, name, methods)? {
            Action::Override(_) | Action::Continue => {
                self.problem(path, "a risk rating leads to deny, allow or a demand for factors");
                None
            }
            action => Some(action),
        }
    }
}

/// What the name of an action says.
#[derive(Clone, Copy)]
enum Verb {
    Deny,
    Allow,
    Always,
    PerSession,
    PerDevice,
    DenyOverride,
    AllowOverride,
    AlwaysOverride,
    Continue,
    Redirect,
}

/// The stages of `meta.evaluationContext`: an object, or as some clients send it a text that holds one.
pub(super) fn evaluation_context(given: Option<&Value>) -> Option<Map<String, Value>> {
    match given {
        None | Some(Value::Null) => Some(Map::new()),
        Some(Value::Object(stages)) => Some(stages.clone()),
        Some(Value::String(text)) if text.trim().is_empty() => Some(Map::new()),
        Some(Value::String(text)) => serde_json::from_str(text).ok(),
        Some(_) => None,
    }
}

/// The ids of the rules: those given, and for the others the smallest numbers not taken.
pub(super) fn rule_ids(rules: &[Value]) -> Vec<String> {
    let given = |rule: &Value| rule.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned);
    let mut taken: std::collections::BTreeSet<String> = rules.iter().filter_map(given).collect();
    let mut next = 1_u64;
    rules
        .iter()
        .map(|rule| {
            given(rule).unwrap_or_else(|| {
                while taken.contains(&next.to_string()) {
                    next += 1;
                }
                let id = next.to_string();
                taken.insert(id.clone());
                id
            })
        })
        .collect()
}
