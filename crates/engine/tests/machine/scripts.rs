//! Whole flows as a reader follows them: who proves what, what it leads to, and what is recorded.

use engine::FactorKind::{EmailOtp, Passkey, Password, Totp};
use engine::policy::{Action, Contact, Frequency};
use engine::{Event, Refusal, Who};
use insta::assert_snapshot;

use crate::policies::{INSIDE, OUTSIDE, demand, inside, password_then, policy, rule, seed, setting};
use crate::support::{Script, failed, known, passed, submit};

#[test]
fn inside_the_network_a_password_and_a_code_by_mail_are_proved() {
    let mut script = Script::begin(inside());
    script
        .does(submit(Password, known("scott"), None, None))
        .does(passed("receipt-1"))
        .presents("receipt-1")
        .is_sent(EmailOtp, "mail-1", "code-1")
        .does(submit(EmailOtp, known("scott"), Some("mail-1"), Some("code-1")))
        .does(passed("receipt-2"))
        .presents("receipt-2")
        .redeems();
    assert_snapshot!(script.transcript(), @r"
    > begin
      record: first contact of policy 420017 revision 3, rules [1]: demand [password]
      show: choose [password] at first contact
      stands: expect-factor [password]
    > submit password by scott
      record: charge scott for password
      ask: check password of scott
      stands: checking password
    > passed, receipt receipt-1
      record: clear scott for password
      record: cancel all challenges
      show: present receipt-1 for password of scott, first
      stands: proven password
    > present receipt-1
      record: after contact of policy 420017 revision 3, rules [3]: demand [email-otp]
      show: choose [email-otp] at after contact
      stands: expect-factor [email-otp]
    > issue email-otp with mail-1
      ask: make a challenge for email-otp with mail-1
      stands: issuing email-otp
    > issued code-1
      show: respond to code-1 (email-otp)
      stands: expect-response [email-otp], in flight code-1
    > submit email-otp by scott with mail-1 answering code-1
      record: charge scott for email-otp
      ask: check email-otp of scott with mail-1 against code-1
      stands: checking email-otp, in flight code-1
    > passed, receipt receipt-2
      record: clear scott for email-otp
      record: cancel all challenges
      show: present receipt-2 for email-otp with mail-1 of scott
      stands: proven email-otp
    > present receipt-2
      record: after contact of policy 420017 revision 3, rules [3]: demand [email-otp]
      show: finish
      stands: ready
    > redeem
      show: done
      stands: closed, redeemed
    ");
    assert_eq!(script.state.subject.as_deref(), Some("scott"));
    let proved: Vec<_> = script.state.proofs.iter().map(|proof| (proof.kind, proof.first, proof.this_run)).collect();
    assert_eq!(proved, [(Password, true, true), (EmailOtp, false, true)]);
}

#[test]
fn outside_the_network_a_passkey_is_proved_without_saying_who() {
    let mut script = Script::begin(setting(Some(seed()), Some(OUTSIDE), &[]));
    script.does(crate::support::issue(Passkey, None, None)).does(crate::support::issued("ceremony-1"));
    script
        .does(submit(Passkey, known("pat"), Some("key-1"), Some("ceremony-1")))
        .does(Event::Judged(engine::Verdict::Passed {
            receipt: "receipt-1".to_owned(),
            user_verified: true,
            upstream: None,
        }))
        .presents("receipt-1")
        .redeems();
    assert_snapshot!(script.transcript(), @r"
    > begin
      record: first contact of policy 420017 revision 3, rules [2]: demand [passkey]
      show: choose [passkey] at first contact
      stands: expect-factor [passkey]
    > issue passkey
      ask: make a challenge for passkey
      stands: issuing passkey
    > issued ceremony-1
      show: respond to ceremony-1 (passkey)
      stands: expect-response [passkey], in flight ceremony-1
    > submit passkey by pat with key-1 answering ceremony-1
      record: charge pat for passkey
      ask: check passkey of pat with key-1 against ceremony-1
      stands: checking passkey, in flight ceremony-1
    > passed, receipt receipt-1, user verified
      record: clear pat for passkey
      record: cancel all challenges
      show: present receipt-1 for passkey with key-1 of pat, first
      stands: proven passkey
    > present receipt-1
      record: after contact of policy 420017 revision 3, rules [100]: allow
      show: finish
      stands: ready
    > redeem
      show: done
      stands: closed, redeemed
    ");
    assert!(script.state.proofs[0].user_verified);
    assert_eq!(script.state.proofs[0].enrolment.as_deref(), Some("key-1"));
}

#[test]
fn a_factor_the_policy_does_not_ask_for_is_not_taken() {
    let mut script = Script::begin(setting(Some(seed()), Some(OUTSIDE), &[]));
    script
        .does(submit(Password, known("scott"), None, None))
        .does(crate::support::issue(EmailOtp, Some("mail-1"), None))
        .does(crate::support::issue(Password, None, None));
    assert_snapshot!(script.transcript(), @r"
    > begin
      record: first contact of policy 420017 revision 3, rules [2]: demand [passkey]
      show: choose [passkey] at first contact
      stands: expect-factor [passkey]
    > submit password by scott
      not now: the factor is not among those asked for, [passkey]
    > issue email-otp with mail-1
      not now: the factor is not among those asked for, [passkey]
    > issue password
      not now: the factor is not among those asked for, [passkey]
    ");
    // What is answered without a challenge cannot be sent one.
    let mut script = Script::begin(inside());
    script.transcript();
    script.does(crate::support::issue(Password, None, None));
    assert_snapshot!(script.transcript(), @r"
    > issue password
      not now: the event does not fit the stage of the sign-in
    ");
}

/// Nobody knows where the person is, so both first rules count.
#[test]
fn without_an_address_both_first_factors_are_proved_by_the_same_person() {
    let mut script = Script::begin(setting(Some(seed()), None, &[]));
    script
        .does(submit(Password, known("scott"), None, None))
        .does(passed("receipt-1"))
        .presents("receipt-1")
        .is_sent(Passkey, "key-1", "ceremony-1")
        .does(submit(Passkey, known("pat"), Some("key-9"), Some("ceremony-1")))
        .does(submit(Passkey, known("scott"), Some("key-1"), Some("ceremony-1")))
        .does(passed("receipt-2"))
        .presents("receipt-2");
    assert_snapshot!(script.transcript(), @r"
    > begin
      record: first contact of policy 420017 revision 3, rules [1 2]: demand [password] and [passkey]
      show: choose [password] at first contact
      stands: expect-factor [password] and [passkey]
    > submit password by scott
      record: charge scott for password
      ask: check password of scott
      stands: checking password
    > passed, receipt receipt-1
      record: clear scott for password
      record: cancel all challenges
      show: present receipt-1 for password of scott, first
      stands: proven password
    > present receipt-1
      show: choose [passkey] at first contact
      stands: expect-factor [passkey]
    > issue passkey with key-1
      ask: make a challenge for passkey with key-1
      stands: issuing passkey
    > issued ceremony-1
      show: respond to ceremony-1 (passkey)
      stands: expect-response [passkey], in flight ceremony-1
    > submit passkey by pat with key-9 answering ceremony-1
      not now: the sign-in belongs to somebody else
    > submit passkey by scott with key-1 answering ceremony-1
      record: charge scott for passkey
      ask: check passkey of scott with key-1 against ceremony-1
      stands: checking passkey, in flight ceremony-1
    > passed, receipt receipt-2
      record: clear scott for passkey
      record: cancel all challenges
      show: present receipt-2 for passkey with key-1 of scott
      stands: proven passkey
    > present receipt-2
      record: after contact of policy 420017 revision 3, rules [100]: allow
      show: finish
      stands: ready
    ");
    let first: Vec<bool> = script.state.proofs.iter().map(|proof| proof.first).collect();
    assert_eq!(first, [true, false]);
}

#[test]
fn two_demands_are_worked_off_one_by_one_and_no_factor_counts_twice() {
    let twice = password_then(&[(&[EmailOtp], Frequency::Always), (&[Totp, Passkey], Frequency::Always)]);
    let mut script = Script::begin(setting(Some(twice), Some(INSIDE), &[]));
    script.does(submit(Password, known("scott"), None, None)).does(passed("receipt-1")).presents("receipt-1");
    assert_snapshot!(script.transcript(), @r"
    > begin
      record: first contact of policy 420017 revision 3, rules [1]: demand [password]
      show: choose [password] at first contact
      stands: expect-factor [password]
    > submit password by scott
      record: charge scott for password
      ask: check password of scott
      stands: checking password
    > passed, receipt receipt-1
      record: clear scott for password
      record: cancel all challenges
      show: present receipt-1 for password of scott, first
      stands: proven password
    > present receipt-1
      record: after contact of policy 420017 revision 3, rules [2 3 100]: demand [email-otp] and [totp passkey]
      show: choose [email-otp] at after contact
      stands: expect-factor [email-otp] and [totp passkey]
    ");
    script
        .does(submit(Totp, known("scott"), Some("totp-1"), None))
        .is_sent(EmailOtp, "mail-1", "code-1")
        .does(submit(EmailOtp, known("scott"), Some("mail-1"), Some("code-1")))
        .does(passed("receipt-2"))
        .presents("receipt-2");
    assert_snapshot!(script.transcript(), @r"
    > submit totp by scott with totp-1
      not now: the factor is not among those asked for, [email-otp]
    > issue email-otp with mail-1
      ask: make a challenge for email-otp with mail-1
      stands: issuing email-otp
    > issued code-1
      show: respond to code-1 (email-otp)
      stands: expect-response [email-otp] and [totp passkey], in flight code-1
    > submit email-otp by scott with mail-1 answering code-1
      record: charge scott for email-otp
      ask: check email-otp of scott with mail-1 against code-1
      stands: checking email-otp, in flight code-1
    > passed, receipt receipt-2
      record: clear scott for email-otp
      record: cancel all challenges
      show: present receipt-2 for email-otp with mail-1 of scott
      stands: proven email-otp
    > present receipt-2
      record: after contact of policy 420017 revision 3, rules [2 3 100]: demand [email-otp] and [totp passkey]
      show: choose [totp passkey] at after contact
      stands: expect-factor [totp passkey]
    ");
    script
        .is_sent(EmailOtp, "mail-2", "code-2")
        .does(submit(Totp, known("scott"), Some("totp-1"), None))
        .does(passed("receipt-3"))
        .presents("receipt-3");
    assert_snapshot!(script.transcript(), @r"
    > issue email-otp with mail-2
      not now: the factor is not among those asked for, [totp passkey]
    > issued code-2
      not now: the event does not fit the stage of the sign-in
    > submit totp by scott with totp-1
      record: charge scott for totp
      ask: check totp of scott with totp-1
      stands: checking totp
    > passed, receipt receipt-3
      record: clear scott for totp
      record: cancel all challenges
      show: present receipt-3 for totp with totp-1 of scott
      stands: proven totp
    > present receipt-3
      record: after contact of policy 420017 revision 3, rules [2 3 100]: demand [email-otp] and [totp passkey]
      show: finish
      stands: ready
    ");
}

#[test]
fn wrong_answers_are_counted_and_the_right_one_still_goes_through() {
    let mut script = Script::begin(inside());
    script.transcript();
    for _ in 0..2 {
        script.does(submit(Password, known("scott"), None, None)).does(failed());
    }
    script.does(submit(Password, known("scott"), None, None)).does(passed("receipt-1"));
    assert_snapshot!(script.transcript(), @r"
    > submit password by scott
      record: charge scott for password
      ask: check password of scott
      stands: checking password
    > failed
      show: wrong, again [password]
      stands: expect-factor [password]
    > submit password by scott
      record: charge scott for password
      ask: check password of scott
      stands: checking password
    > failed
      show: wrong, again [password]
      stands: expect-factor [password]
    > submit password by scott
      record: charge scott for password
      ask: check password of scott
      stands: checking password
    > passed, receipt receipt-1
      record: clear scott for password
      record: cancel all challenges
      show: present receipt-1 for password of scott, first
      stands: proven password
    ");
    assert_eq!(script.state.failures, 2);
}

/// The check said yes (a decoy that matched, a bug in a factor): nobody is still nobody.
#[test]
fn a_stranger_fails_whatever_the_check_says_and_it_counts() {
    let mut script = Script::begin(inside());
    script.transcript();
    script.does(submit(Password, Who::Nobody, None, None)).does(passed("receipt-1")).presents("receipt-1");
    assert_snapshot!(script.transcript(), @r"
    > submit password by nobody
      record: charge nobody for password
      ask: check password of nobody
      stands: checking password
    > passed, receipt receipt-1
      show: wrong, again [password]
      stands: expect-factor [password]
    > present receipt-1
      not now: the event does not fit the stage of the sign-in
    ");
    assert_eq!(script.state.failures, 1);
}

#[test]
fn once_it_is_known_who_it_is_nobody_else_may_answer() {
    let mut script = Script::begin(inside());
    script.does(submit(Password, known("scott"), None, None)).does(passed("receipt-1")).presents("receipt-1");
    script.is_sent(EmailOtp, "mail-1", "code-1").transcript();
    script
        .does(submit(EmailOtp, known("pat"), Some("mail-9"), Some("code-1")))
        .does(submit(EmailOtp, Who::Nobody, None, Some("code-1")))
        .does(crate::support::issue(EmailOtp, Some("mail-9"), Some(known("pat"))))
        .does(crate::support::issue(EmailOtp, Some("mail-9"), Some(Who::Nobody)));
    assert_snapshot!(script.transcript(), @r"
    > submit email-otp by pat with mail-9 answering code-1
      not now: the sign-in belongs to somebody else
    > submit email-otp by nobody answering code-1
      not now: the sign-in belongs to somebody else
    > issue email-otp with mail-9 for pat
      not now: the sign-in belongs to somebody else
    > issue email-otp with mail-9 for nobody
      not now: the sign-in belongs to somebody else
    ");
}

/// While nobody is fixed yet, the last proof is the one that stands.
#[test]
fn before_the_receipt_comes_back_another_person_may_prove_instead() {
    let mut script = Script::begin(inside());
    script.does(submit(Password, known("scott"), None, None)).does(passed("receipt-1")).transcript();
    script
        .does(submit(Password, known("pat"), None, None))
        .does(passed("receipt-2"))
        .presents("receipt-1")
        .presents("receipt-2");
    assert_snapshot!(script.transcript(), @r"
    > submit password by pat
      record: charge pat for password
      ask: check password of pat
      stands: checking password
    > passed, receipt receipt-2
      record: clear pat for password
      record: cancel all challenges
      show: present receipt-2 for password of pat, first
      stands: proven password
    > present receipt-1
      not now: the receipt does not fit the proof at hand
    > present receipt-2
      record: after contact of policy 420017 revision 3, rules [3]: demand [email-otp]
      show: choose [email-otp] at after contact
      stands: expect-factor [email-otp]
    ");
    assert_eq!(script.state.subject.as_deref(), Some("pat"));
    assert_eq!(script.state.proofs.len(), 1);
}

#[test]
fn a_proof_is_lost_when_another_answer_is_tried_and_wrong() {
    let mut script = Script::begin(inside());
    script.does(submit(Password, known("scott"), None, None)).does(passed("receipt-1")).transcript();
    script.does(submit(Password, known("scott"), None, None)).does(failed()).presents("receipt-1");
    assert_snapshot!(script.transcript(), @r"
    > submit password by scott
      record: charge scott for password
      ask: check password of scott
      stands: checking password
    > failed
      show: wrong, again [password]
      stands: expect-factor [password]
    > present receipt-1
      not now: the event does not fit the stage of the sign-in
    ");
}

#[test]
fn a_receipt_counts_once_and_only_the_right_one() {
    let mut script = Script::begin(inside());
    script.presents("receipt-1");
    script.does(submit(Password, known("scott"), None, None)).presents("receipt-1").does(passed("receipt-1"));
    script.transcript();
    script.presents("receipt-0").presents("").presents("receipt-1").presents("receipt-1");
    assert_snapshot!(script.transcript(), @r"
    > present receipt-0
      not now: the receipt does not fit the proof at hand
    > present 
      not now: the receipt does not fit the proof at hand
    > present receipt-1
      record: after contact of policy 420017 revision 3, rules [3]: demand [email-otp]
      show: choose [email-otp] at after contact
      stands: expect-factor [email-otp]
    > present receipt-1
      not now: the event does not fit the stage of the sign-in
    ");
    assert_eq!(script.state.proofs.len(), 1);
}

#[test]
fn nothing_is_redeemed_before_it_is_ready_nor_twice() {
    let mut script = Script::begin(setting(Some(seed()), Some(INSIDE), &[]));
    script.transcript();
    script
        .redeems()
        .does(submit(Password, known("pat"), None, None))
        .redeems()
        .does(passed("receipt-1"))
        .redeems()
        .presents("receipt-1")
        .redeems()
        .redeems();
    assert_snapshot!(script.transcript(), @r"
    > redeem
      not now: the event does not fit the stage of the sign-in
    > submit password by pat
      record: charge pat for password
      ask: check password of pat
      stands: checking password
    > redeem
      not now: the event does not fit the stage of the sign-in
    > passed, receipt receipt-1
      record: clear pat for password
      record: cancel all challenges
      show: present receipt-1 for password of pat, first
      stands: proven password
    > redeem
      not now: the event does not fit the stage of the sign-in
    > present receipt-1
      record: after contact of policy 420017 revision 3, rules [100]: allow
      show: finish
      stands: ready
    > redeem
      show: done
      stands: closed, redeemed
    > redeem
      not now: the sign-in is over
    ");
}

#[test]
fn the_first_factor_satisfies_a_demand_where_the_tenant_says_so() {
    let rules = vec![
        rule("1", Contact::First, Vec::new(), demand(&[Passkey, Password], Frequency::Always)),
        rule("2", Contact::After, Vec::new(), demand(&[Passkey, Totp], Frequency::Always)),
    ];
    let mut lenient = setting(Some(policy(rules)), None, &[]);
    lenient.first_satisfies = true;
    let mut script = Script::begin(lenient);
    script
        .is_sent(Passkey, "key-1", "ceremony-1")
        .does(submit(Passkey, known("scott"), Some("key-1"), Some("ceremony-1")))
        .does(passed("receipt-1"))
        .transcript();
    let mut strict = script.clone();
    script.presents("receipt-1");
    assert_snapshot!(script.transcript(), @r"
    > present receipt-1
      record: after contact of policy 420017 revision 3, rules [2]: demand [passkey totp]
      show: finish
      stands: ready
    ");
    strict.setting().first_satisfies = false;
    strict.presents("receipt-1");
    assert_snapshot!(strict.transcript(), @r"
    > present receipt-1
      record: after contact of policy 420017 revision 3, rules [2]: demand [passkey totp]
      show: choose [totp] at after contact
      stands: expect-factor [totp]
    ");
}

#[test]
fn who_may_not_use_the_application_is_refused_after_the_proof() {
    let mut script = Script::begin(inside());
    script.does(Event::Refuse(Refusal::NotEntitled));
    script.does(submit(Password, known("scott"), None, None)).does(Event::Refuse(Refusal::NotEntitled));
    script.does(passed("receipt-1")).does(Event::Refuse(Refusal::NotEntitled)).presents("receipt-1");
    assert_snapshot!(script.transcript(), @r"
    > begin
      record: first contact of policy 420017 revision 3, rules [1]: demand [password]
      show: choose [password] at first contact
      stands: expect-factor [password]
    > refuse not entitled
      not now: the event does not fit the stage of the sign-in
    > submit password by scott
      record: charge scott for password
      ask: check password of scott
      stands: checking password
    > refuse not entitled
      not now: the event does not fit the stage of the sign-in
    > passed, receipt receipt-1
      record: clear scott for password
      record: cancel all challenges
      show: present receipt-1 for password of scott, first
      stands: proven password
    > refuse not entitled
      record: cancel all challenges
      show: refused, not entitled
      stands: closed, not entitled
    > present receipt-1
      not now: the sign-in is over
    ");
}

#[test]
fn what_is_allowed_at_first_contact_signs_in_nobody() {
    let open = policy(vec![rule("1", Contact::First, Vec::new(), Action::Allow)]);
    let mut script = Script::begin(setting(Some(open), Some(INSIDE), &[]));
    assert_snapshot!(script.transcript(), @r"
    > begin
      record: first contact of policy 420017 revision 3, rules [1]: deny
      record: cancel all challenges
      show: refused, denied by policy
      stands: closed, denied by policy
    ");
}
