//! How sign-ins end early: denied, expired, or left without the policy that governs them.

use engine::FactorKind::{EmailOtp, Password};
use engine::policy::{Action, Contact, Frequency};
use engine::{Closure, Event, NotNow, Prior, Refusal, SignIn, Stage, advance};
use insta::assert_snapshot;

use crate::policies::{INSIDE, demand, inside, office, policy, rule, setting};
use crate::support::{LIFETIME, NOW, Script, Setting, failed, issue, issued, known, passed, submit, withdraw};

#[test]
fn denied_at_first_contact_it_is_over() {
    let closed = policy(vec![rule("1", Contact::First, vec![office()], Action::Deny)]);
    let mut script = Script::begin(setting(Some(closed), Some(INSIDE), &[]));
    script.does(submit(Password, known("scott"), None, None)).redeems();
    assert_snapshot!(script.transcript(), @r"
    > begin
      record: first contact of policy 420017 revision 3, rules [1]: deny
      record: cancel all challenges
      show: refused, denied by policy
      stands: closed, denied by policy
    > submit password by scott
      not now: the sign-in is over
    > redeem
      not now: the sign-in is over
    ");
}

#[test]
fn denied_once_the_person_is_known_it_is_over() {
    let closed = policy(vec![
        rule("1", Contact::First, Vec::new(), demand(&[Password], Frequency::Always)),
        rule("2", Contact::After, Vec::new(), Action::Deny),
    ]);
    let mut script = Script::begin(setting(Some(closed), Some(INSIDE), &[]));
    script.does(submit(Password, known("scott"), None, None)).does(passed("receipt-1")).transcript();
    script.presents("receipt-1").presents("receipt-1").redeems();
    assert_snapshot!(script.transcript(), @r"
    > present receipt-1
      record: after contact of policy 420017 revision 3, rules [2]: deny
      record: cancel all challenges
      show: refused, denied by policy
      stands: closed, denied by policy
    > present receipt-1
      not now: the sign-in is over
    > redeem
      not now: the sign-in is over
    ");
}

/// The only factor the rule asks for is the one that began it: nothing the person could still prove would do.
#[test]
fn a_demand_nobody_could_satisfy_is_a_denial() {
    let closed = policy(vec![
        rule("1", Contact::First, Vec::new(), demand(&[Password], Frequency::Always)),
        rule("2", Contact::After, Vec::new(), demand(&[Password], Frequency::Always)),
    ]);
    let mut script = Script::begin(setting(Some(closed), Some(INSIDE), &[]));
    script.does(submit(Password, known("scott"), None, None)).does(passed("receipt-1")).transcript();
    script.presents("receipt-1");
    assert_snapshot!(script.transcript(), @r"
    > present receipt-1
      record: after contact of policy 420017 revision 3, rules [2]: demand [password]
      record: cancel all challenges
      show: refused, denied by policy
      stands: closed, denied by policy
    ");
}

/// Fail closed: a policy that could not be found must not be taken for no policy at all.
#[test]
fn a_sign_in_under_a_policy_is_refused_when_none_is_handed_over() {
    let mut script = Script::begin(inside());
    script.does(submit(Password, known("scott"), None, None)).does(passed("receipt-1")).transcript();
    script.setting().after = None;
    script.presents("receipt-1");
    assert_snapshot!(script.transcript(), @r"
    > present receipt-1
      record: cancel all challenges
      show: refused, denied by policy
      stands: closed, denied by policy
    ");
    let prior = Some(Prior { subject: "scott".to_owned(), proofs: Vec::new() });
    let script = Script::begin(Setting { after: None, prior, ..inside() });
    assert_eq!(script.state.stage, Stage::Closed(Closure::Refused(Refusal::DeniedByPolicy)));
}

#[test]
fn begun_too_late_it_is_refused() {
    let expired = inside().begin(NOW + LIFETIME);
    assert_eq!(expired.sign_in.stage, Stage::Closed(Closure::Refused(Refusal::DeniedByPolicy)));
    let known = Setting { prior: Some(Prior { subject: "scott".to_owned(), proofs: Vec::new() }), ..inside() };
    assert_eq!(known.begin(NOW + LIFETIME).sign_in.stage, Stage::Closed(Closure::Refused(Refusal::DeniedByPolicy)));
}

/// A receipt in hand does not outlive the sign-in, and the last second still counts.
#[test]
fn a_receipt_presented_too_late_is_worth_nothing() {
    let mut script = Script::begin(inside());
    script.does(submit(Password, known("scott"), None, None)).does(passed("receipt-1")).transcript();
    let mut late = script.clone();
    script.at(LIFETIME - 1).presents("receipt-1");
    late.at(LIFETIME).presents("receipt-1").does(submit(Password, known("scott"), None, None));
    assert_snapshot!(script.transcript(), @r"
    > 599 seconds after it began
    > present receipt-1
      record: after contact of policy 420017 revision 3, rules [3]: demand [email-otp]
      show: choose [email-otp] at after contact
      stands: expect-factor [email-otp]
    ");
    assert_snapshot!(late.transcript(), @r"
    > 600 seconds after it began
    > present receipt-1
      not now: the sign-in has expired
    > submit password by scott
      not now: the sign-in has expired
    ");
}

/// One sign-in at every stage, by the way that leads there.
pub fn at_every_stage() -> Vec<SignIn> {
    let mut all = Vec::new();
    let mut script = Script::begin(inside());
    let mut take = |script: &Script| all.push(script.state.clone());
    take(&script);
    take(script.does(submit(Password, known("scott"), None, None)));
    take(script.does(passed("receipt-1")));
    take(script.presents("receipt-1"));
    take(script.does(issue(EmailOtp, Some("mail-1"), None)));
    take(script.does(issued("code-1")));
    take(script.does(submit(EmailOtp, known("scott"), Some("mail-1"), Some("code-1"))));
    take(script.does(failed()));
    script.does(submit(EmailOtp, known("scott"), Some("mail-1"), Some("code-1"))).does(passed("receipt-2"));
    take(script.presents("receipt-2"));
    take(script.clone().redeems());
    take(script.does(Event::Refuse(Refusal::NotEntitled)));
    all
}

fn every_event(setting: &Setting) -> Vec<Event<'_>> {
    vec![
        issue(EmailOtp, Some("mail-1"), None),
        issued("code-2"),
        withdraw("code-1"),
        submit(Password, known("scott"), None, None),
        submit(EmailOtp, known("scott"), Some("mail-1"), Some("code-1")),
        passed("receipt-3"),
        failed(),
        setting.present("receipt-1"),
        setting.present("receipt-2"),
        Event::Refuse(Refusal::NotEntitled),
        Event::Redeem,
    ]
}

#[test]
fn at_every_stage_time_runs_out() {
    let setting = inside();
    let mut kinds = std::collections::HashSet::new();
    for state in at_every_stage() {
        kinds.insert(std::mem::discriminant(&state.stage));
        let over = matches!(state.stage, Stage::Closed(_));
        let mut accepted = 0;
        for (position, event) in every_event(&setting).into_iter().enumerate() {
            let refused = advance(state.clone(), event, NOW + LIFETIME).unwrap_err();
            assert_eq!(refused, if over { NotNow::Closed } else { NotNow::Expired }, "{:?}", state.stage);
            // A second earlier the same stage takes at least one of them, unless it is over.
            let event = every_event(&setting).swap_remove(position);
            accepted += usize::from(advance(state.clone(), event, NOW + LIFETIME - 1).is_ok());
        }
        assert_eq!(accepted == 0, over, "{:?}", state.stage);
    }
    assert_eq!(kinds.len(), 7);
}
