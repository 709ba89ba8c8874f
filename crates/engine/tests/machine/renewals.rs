//! Sign-ins that begin with somebody known: a grant renewed, a person vouched for elsewhere.

use engine::FactorKind::{self, EmailOtp, Passkey, Password, Totp};
use engine::policy::Frequency;
use engine::{Prior, Proof};
use insta::assert_snapshot;

use crate::policies::{INSIDE, password_then, setting};
use crate::support::{NOW, Script, Setting, known, passed, submit};

fn earlier(kind: FactorKind, first: bool) -> Proof {
    Proof { kind, at: NOW - 86_400, enrolment: None, user_verified: false, this_run: false, first, upstream: None }
}

/// Renewed by scott, who proved a password and a code by mail a day ago.
fn renewal(demands: &[(&[FactorKind], Frequency)]) -> Setting {
    let proofs = vec![earlier(Password, true), earlier(EmailOtp, false)];
    let prior = Some(Prior { subject: "scott".to_owned(), proofs });
    Setting { prior, ..setting(Some(password_then(demands)), Some(INSIDE), &[]) }
}

#[test]
fn a_demand_once_per_grant_is_still_satisfied_when_the_grant_is_renewed() {
    let mut script = Script::begin(renewal(&[(&[EmailOtp, Totp], Frequency::PerGrant)]));
    script.redeems();
    assert_snapshot!(script.transcript(), @r"
    > begin
      record: after contact of policy 420017 revision 3, rules [2 100]: demand [email-otp totp] once per grant
      show: finish
      stands: ready
    > redeem
      show: done
      stands: closed, redeemed
    ");
}

#[test]
fn a_demand_for_every_run_is_proved_again_when_the_grant_is_renewed() {
    let mut script = Script::begin(renewal(&[(&[EmailOtp], Frequency::Always)]));
    script
        .is_sent(EmailOtp, "mail-1", "code-1")
        .does(submit(EmailOtp, known("pat"), Some("mail-9"), Some("code-1")))
        .does(submit(EmailOtp, known("scott"), Some("mail-1"), Some("code-1")))
        .does(passed("receipt-1"))
        .presents("receipt-1");
    assert_snapshot!(script.transcript(), @r"
    > begin
      record: after contact of policy 420017 revision 3, rules [2 100]: demand [email-otp]
      show: choose [email-otp] at after contact
      stands: expect-factor [email-otp]
    > issue email-otp with mail-1
      ask: make a challenge for email-otp with mail-1
      stands: issuing email-otp
    > issued code-1
      show: respond to code-1 (email-otp)
      stands: expect-response [email-otp], in flight code-1
    > submit email-otp by pat with mail-9 answering code-1
      not now: the sign-in belongs to somebody else
    > submit email-otp by scott with mail-1 answering code-1
      record: charge scott for email-otp
      ask: check email-otp of scott with mail-1 against code-1
      stands: checking email-otp, in flight code-1
    > passed, receipt receipt-1
      record: clear scott for email-otp
      record: cancel all challenges
      show: present receipt-1 for email-otp with mail-1 of scott
      stands: proven email-otp
    > present receipt-1
      record: after contact of policy 420017 revision 3, rules [2 100]: demand [email-otp]
      show: finish
      stands: ready
    ");
    assert_eq!(script.state.proofs.len(), 3);
    assert_eq!(script.state.subject.as_deref(), Some("scott"));
}

#[test]
fn of_two_demands_only_the_one_for_every_run_is_left() {
    let demands = [(&[EmailOtp][..], Frequency::PerGrant), (&[Totp, Passkey][..], Frequency::Always)];
    let mut script = Script::begin(renewal(&demands));
    assert_snapshot!(script.transcript(), @r"
    > begin
      record: after contact of policy 420017 revision 3, rules [2 3 100]: demand [email-otp] once per grant and [totp passkey]
      show: choose [totp passkey] at after contact
      stands: expect-factor [totp passkey]
    ");
}

#[test]
fn the_factor_the_grant_began_with_does_not_count_when_it_is_renewed() {
    let mut script = Script::begin(renewal(&[(&[Password], Frequency::PerGrant)]));
    assert_snapshot!(script.transcript(), @r"
    > begin
      record: after contact of policy 420017 revision 3, rules [2 100]: demand [password] once per grant
      record: cancel all challenges
      show: refused, denied by policy
      stands: closed, denied by policy
    ");
}

/// Vouched for by another issuer: known, with nothing proved here.
#[test]
fn who_is_vouched_for_elsewhere_still_proves_what_the_rules_ask() {
    let prior = Some(Prior { subject: "scott".to_owned(), proofs: Vec::new() });
    let demands: &[(&[FactorKind], Frequency)] = &[(&[Totp], Frequency::PerGrant)];
    let mut script = Script::begin(Setting { prior, ..setting(Some(password_then(demands)), None, &[]) });
    script.does(submit(Totp, known("scott"), Some("totp-1"), None)).does(passed("receipt-1")).presents("receipt-1");
    assert_snapshot!(script.transcript(), @r"
    > begin
      record: after contact of policy 420017 revision 3, rules [2 100]: demand [totp] once per grant
      show: choose [totp] at after contact
      stands: expect-factor [totp] once per grant
    > submit totp by scott with totp-1
      record: charge scott for totp
      ask: check totp of scott with totp-1
      stands: checking totp
    > passed, receipt receipt-1
      record: clear scott for totp
      record: cancel all challenges
      show: present receipt-1 for totp with totp-1 of scott
      stands: proven totp
    > present receipt-1
      record: after contact of policy 420017 revision 3, rules [2 100]: demand [totp] once per grant
      show: finish
      stands: ready
    ");
    assert!(!script.state.proofs[0].first);
}

#[test]
fn without_a_policy_who_is_known_is_through_and_nobody_else_is() {
    let prior = Some(Prior { subject: "scott".to_owned(), proofs: vec![earlier(Password, true)] });
    let mut script = Script::begin(Setting { prior, ..setting(None, Some(INSIDE), &[]) });
    script.redeems();
    assert_snapshot!(script.transcript(), @r"
    > begin
      show: finish
      stands: ready
    > redeem
      show: done
      stands: closed, redeemed
    ");
    let mut script = Script::begin(setting(None, Some(INSIDE), &[]));
    assert_snapshot!(script.transcript(), @r"
    > begin
      record: cancel all challenges
      show: refused, denied by policy
      stands: closed, denied by policy
    ");
}
