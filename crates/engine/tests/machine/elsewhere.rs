//! Sign-ins that began at another identity provider, and policy that wants one for itself.

use engine::facts::Subject;
use engine::policy::{Action, Condition, Contact, Frequency, LOCAL, Operator, Policy, Rule, ValueTest};
use engine::{Closure, Event, FactorKind, Level, Prior, Proof, Refusal, Stage, Upstream, Verdict};

use FactorKind::{EmailOtp, Federated, Password, Totp};

use crate::policies::{INSIDE, demand, policy, rule, setting};
use crate::support::{NOW, Script, Setting, known, passed, submit};

fn test(values: &[&str]) -> ValueTest {
    ValueTest { op: Operator::In, values: values.iter().map(|value| (*value).to_owned()).collect() }
}

/// Either begins. Who comes from the partner with two factors goes on, everybody from there proves one more, others are let in.
fn partners() -> Policy {
    let partner = || Condition::Provider(test(&["partner"]));
    let begin = demand(&[Password, Federated], Frequency::Always);
    policy(vec![
        rule("1", Contact::First, Vec::new(), begin),
        rule("2", Contact::After, vec![partner(), Condition::UpstreamAmr(test(&["mfa"]))], Action::Allow),
        rule("3", Contact::After, vec![partner()], demand(&[Totp, EmailOtp], Frequency::Always)),
        rule("4", Contact::After, vec![Condition::Provider(test(&[LOCAL]))], Action::Allow),
    ])
}

fn offering(policy: Policy) -> Setting {
    let mut setting = setting(Some(policy), Some(INSIDE), &[]);
    setting.offered.push(Federated);
    setting
}

fn said(provider: &str, amr: &[&str]) -> Option<Box<Upstream>> {
    let amr = amr.iter().map(|one| (*one).to_owned()).collect();
    Some(Box::new(Upstream { provider: provider.to_owned(), amr, acr: None }))
}

fn came_from(upstream: Option<Box<Upstream>>) -> Stage {
    let mut script = Script::begin(offering(partners()));
    script
        .is_sent(Federated, "partner", "state-1")
        .does(submit(Federated, known("scott"), Some("partner"), Some("state-1")))
        .does(Event::Judged(Verdict::Passed { receipt: "receipt-1".to_owned(), user_verified: false, upstream }))
        .presents("receipt-1");
    assert!(Level::of(&script.state.proofs) <= Some(Level::One), "what others say reaches no level here");
    script.state.stage
}

#[test]
fn policy_looks_at_where_the_person_signed_in() {
    assert_eq!(came_from(said("partner", &["pwd", "mfa"])), Stage::Ready);
    assert!(matches!(came_from(said("partner", &["pwd"])), Stage::ExpectFactor(_)));
    let refused = Stage::Closed(Closure::Refused(Refusal::DeniedByPolicy));
    assert_eq!(came_from(said("somebody else", &["mfa"])), refused);
    // Nothing is known of it: every rule that might hold is obeyed, and none surely does.
    assert_eq!(came_from(None), refused);
}

#[test]
fn a_sign_in_here_is_one_at_no_other_provider() {
    let mut script = Script::begin(offering(partners()));
    script.does(submit(Password, known("scott"), None, None)).does(passed("receipt-1")).presents("receipt-1");
    assert_eq!(script.state.stage, Stage::Ready);
}

/// What the door tells of it in its facts is not looked at.
#[test]
fn nobody_but_the_proof_says_where_the_person_signed_in() {
    let mut told = offering(partners());
    told.known.upstream = engine::facts::Fact::Known(*said("partner", &["mfa"]).unwrap());
    let mut lies = told.clone();
    lies.policy = Some(policy(partners().rules[..3].to_vec()));
    lies.after.clone_from(&lies.policy);
    let mut script = Script::begin(lies);
    script.does(submit(Password, known("scott"), None, None)).does(passed("receipt-1")).presents("receipt-1");
    assert_eq!(script.state.stage, Stage::Closed(Closure::Refused(Refusal::DeniedByPolicy)));
}

#[test]
fn a_sign_in_elsewhere_is_never_a_second_factor() {
    let mut two = partners();
    two.rules[1].action = demand(&[Federated], Frequency::Always);
    let mut script = Script::begin(Setting { known: offering(two.clone()).known, ..offering(two) });
    script
        .is_sent(Federated, "partner", "state-1")
        .does(submit(Federated, known("scott"), Some("partner"), Some("state-1")))
        .does(Event::Judged(Verdict::Passed {
            receipt: "receipt-1".to_owned(),
            user_verified: false,
            upstream: said("partner", &["mfa"]),
        }))
        .presents("receipt-1");
    assert_eq!(script.state.stage, Stage::Closed(Closure::Refused(Refusal::DeniedByPolicy)));
}

/// A rule for administrators that wants them to sign in for this very purpose.
fn anew() -> Policy {
    let everybody = rule("3", Contact::After, Vec::new(), Action::Allow);
    let groups = engine::policy::AttributeTest {
        name: "groupIds".to_owned(),
        op: Operator::In,
        values: vec!["ADMINISTRATORS".to_owned()],
    };
    let condition = Condition::SubjectAttribute(groups);
    let administrators = Rule { reauthenticate: true, ..rule("2", Contact::After, vec![condition], Action::Allow) };
    let begin = rule("1", Contact::First, Vec::new(), demand(&[Password], Frequency::Always));
    policy(vec![begin, administrators, everybody])
}

#[test]
fn what_was_proved_earlier_does_not_do_where_policy_wants_the_person_to_sign_in_anew() {
    let proof = |this_run| Proof {
        kind: Password,
        at: NOW - 600,
        enrolment: None,
        user_verified: false,
        this_run,
        first: true,
        upstream: None,
    };
    let stands = |groups: &[&str], this_run| {
        let mut setting = setting(Some(anew()), Some(INSIDE), groups);
        setting.prior = Some(Prior { subject: "scott".to_owned(), proofs: vec![proof(this_run)] });
        Script::begin(setting).state.stage
    };
    assert_eq!(stands(&["ADMINISTRATORS"], false), Stage::Closed(Closure::Refused(Refusal::Reauthenticate)));
    assert_eq!(stands(&["ADMINISTRATORS"], true), Stage::Ready);
    assert_eq!(stands(&[], false), Stage::Ready);
    // Nobody could say which groups they are in: the rule might hold.
    let mut unknown = setting(Some(anew()), Some(INSIDE), &[]);
    unknown.known.subject = engine::facts::Fact::<Subject>::Unknown;
    unknown.prior = Some(Prior { subject: "scott".to_owned(), proofs: vec![proof(false)] });
    let stage = Script::begin(unknown).state.stage;
    assert_eq!(stage, Stage::Closed(Closure::Refused(Refusal::Reauthenticate)));
}
