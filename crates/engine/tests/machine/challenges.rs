//! Challenges in flight: which are alive, which die, and what an answer needs.

use engine::FactorKind::{EmailOtp, Passkey, Totp};
use engine::policy::{Contact, Frequency};
use engine::{Event, Who};
use insta::assert_snapshot;

use crate::policies::{INSIDE, demand, policy, rule, setting};
use crate::support::{Script, failed, failed_for_good, issue, issued, known, passed, submit, withdraw};

/// Any of these begins.
fn any_of_three() -> Script {
    let action = demand(&[EmailOtp, Passkey, Totp], Frequency::Always);
    let policy = policy(vec![rule("1", Contact::First, Vec::new(), action)]);
    let mut script = Script::begin(setting(Some(policy), Some(INSIDE), &[]));
    script.transcript();
    script
}

/// One at a time of each kind, whichever enrolment it goes to: two codes alive would be two to guess at.
#[test]
fn sending_again_cancels_the_earlier_challenge_of_the_same_kind_only() {
    let mut script = any_of_three();
    script.is_sent(EmailOtp, "mail-1", "code-1").is_sent(Passkey, "key-1", "ceremony-1").transcript();
    script
        .is_sent(EmailOtp, "mail-2", "code-2")
        .does(submit(EmailOtp, known("scott"), Some("mail-1"), Some("code-1")))
        .does(submit(Passkey, known("scott"), Some("key-1"), Some("ceremony-1")));
    assert_snapshot!(script.transcript(), @r"
    > issue email-otp with mail-2
      record: cancel code-1
      ask: make a challenge for email-otp with mail-2
      stands: issuing email-otp, in flight ceremony-1
    > issued code-2
      show: respond to code-2 (email-otp)
      stands: expect-response [email-otp passkey totp], in flight ceremony-1 code-2
    > submit email-otp by scott with mail-1 answering code-1
      not now: no such challenge is in flight
    > submit passkey by scott with key-1 answering ceremony-1
      record: charge scott for passkey
      ask: check passkey of scott with key-1 against ceremony-1
      stands: checking passkey, in flight ceremony-1 code-2
    ");
}

/// What names no enrolment was once cancelled with everything else in flight: who asked twice for a passkey could no longer
/// type the code that had been sent meanwhile.
#[test]
fn asking_twice_for_a_passkey_leaves_a_code_alive() {
    let mut script = any_of_three();
    script.is_sent(EmailOtp, "mail-1", "code-1").does(issue(Passkey, None, None)).does(issued("ceremony-1"));
    script.transcript();
    script.does(issue(Passkey, None, None)).does(issued("ceremony-2")).does(submit(
        EmailOtp,
        known("scott"),
        Some("mail-1"),
        Some("code-1"),
    ));
    assert_snapshot!(script.transcript(), @r"
    > issue passkey
      record: cancel ceremony-1
      ask: make a challenge for passkey
      stands: issuing passkey, in flight code-1
    > issued ceremony-2
      show: respond to ceremony-2 (passkey)
      stands: expect-response [email-otp passkey totp], in flight code-1 ceremony-2
    > submit email-otp by scott with mail-1 answering code-1
      record: charge scott for email-otp
      ask: check email-otp of scott with mail-1 against code-1
      stands: checking email-otp, in flight code-1 ceremony-2
    ");
}

#[test]
fn a_withdrawn_challenge_is_no_longer_answered() {
    let mut script = any_of_three();
    script.is_sent(EmailOtp, "mail-1", "code-1").is_sent(Passkey, "key-1", "ceremony-1").transcript();
    script
        .does(withdraw("code-9"))
        .does(withdraw("code-1"))
        .does(withdraw("code-1"))
        .does(submit(EmailOtp, known("scott"), Some("mail-1"), Some("code-1")))
        .does(withdraw("ceremony-1"));
    assert_snapshot!(script.transcript(), @r"
    > withdraw code-9
      not now: no such challenge is in flight
    > withdraw code-1
      show: choose [email-otp passkey totp] at first contact
      stands: expect-response [email-otp passkey totp], in flight ceremony-1
    > withdraw code-1
      not now: no such challenge is in flight
    > submit email-otp by scott with mail-1 answering code-1
      not now: no such challenge is in flight
    > withdraw ceremony-1
      show: choose [email-otp passkey totp] at first contact
      stands: expect-factor [email-otp passkey totp]
    ");
}

#[test]
fn an_answer_needs_a_challenge_of_its_own_factor() {
    let mut script = any_of_three();
    script.does(submit(EmailOtp, known("scott"), Some("mail-1"), None)).does(submit(
        EmailOtp,
        known("scott"),
        Some("mail-1"),
        Some("code-1"),
    ));
    script.is_sent(Passkey, "key-1", "ceremony-1").transcript();
    script
        .does(submit(EmailOtp, known("scott"), Some("mail-1"), Some("ceremony-1")))
        .does(submit(Passkey, known("scott"), Some("key-1"), None))
        .does(submit(Totp, known("scott"), Some("totp-1"), None));
    assert_snapshot!(script.transcript(), @r"
    > submit email-otp by scott with mail-1 answering ceremony-1
      not now: no such challenge is in flight
    > submit passkey by scott with key-1
      not now: no such challenge is in flight
    > submit totp by scott with totp-1
      record: charge scott for totp
      ask: check totp of scott with totp-1
      stands: checking totp, in flight ceremony-1
    ");
}

/// A code read in one mailbox proves nothing about another; a passkey asked for by no name is whichever was used.
#[test]
fn an_answer_counts_for_the_enrolment_its_challenge_went_to() {
    let mut script = any_of_three();
    script.is_sent(EmailOtp, "mail-1", "code-1").does(issue(Passkey, None, None)).does(issued("ceremony-1"));
    script.transcript();
    script
        .does(submit(EmailOtp, known("scott"), Some("mail-2"), Some("code-1")))
        .does(submit(EmailOtp, known("scott"), None, Some("code-1")))
        .does(submit(Passkey, known("scott"), Some("key-1"), Some("ceremony-1")));
    assert_snapshot!(script.transcript(), @r"
    > submit email-otp by scott with mail-2 answering code-1
      not now: no such challenge is in flight
    > submit email-otp by scott answering code-1
      not now: no such challenge is in flight
    > submit passkey by scott with key-1 answering ceremony-1
      record: charge scott for passkey
      ask: check passkey of scott with key-1 against ceremony-1
      stands: checking passkey, in flight code-1 ceremony-1
    ");
}

#[test]
fn a_challenge_that_died_of_wrong_answers_goes_and_the_others_stay() {
    let mut script = any_of_three();
    script.is_sent(EmailOtp, "mail-1", "code-1").is_sent(Passkey, "key-1", "ceremony-1").transcript();
    script
        .does(submit(EmailOtp, known("scott"), Some("mail-1"), Some("code-1")))
        .does(failed())
        .does(submit(EmailOtp, known("scott"), Some("mail-1"), Some("code-1")))
        .does(failed_for_good())
        .does(submit(Passkey, known("scott"), Some("key-1"), Some("ceremony-1")))
        .does(failed_for_good());
    assert_snapshot!(script.transcript(), @r"
    > submit email-otp by scott with mail-1 answering code-1
      record: charge scott for email-otp
      ask: check email-otp of scott with mail-1 against code-1
      stands: checking email-otp, in flight code-1 ceremony-1
    > failed
      show: wrong, again [email-otp passkey totp]
      stands: expect-response [email-otp passkey totp], in flight code-1 ceremony-1
    > submit email-otp by scott with mail-1 answering code-1
      record: charge scott for email-otp
      ask: check email-otp of scott with mail-1 against code-1
      stands: checking email-otp, in flight code-1 ceremony-1
    > failed, challenge dead
      show: wrong, again [email-otp passkey totp]
      stands: expect-response [email-otp passkey totp], in flight ceremony-1
    > submit passkey by scott with key-1 answering ceremony-1
      record: charge scott for passkey
      ask: check passkey of scott with key-1 against ceremony-1
      stands: checking passkey, in flight ceremony-1
    > failed, challenge dead
      show: wrong, again [email-otp passkey totp]
      stands: expect-factor [email-otp passkey totp]
    ");
    assert_eq!(script.state.failures, 3);
}

/// A stranger's challenge dies like anybody's.
#[test]
fn a_stranger_who_answers_a_challenge_is_told_nothing_else() {
    let play = |who: &Who| {
        let mut script = any_of_three();
        script.does(issue(EmailOtp, None, None)).does(issued("code-1"));
        for verdict in [failed(), failed_for_good()] {
            script.does(submit(EmailOtp, who.clone(), None, Some("code-1"))).does(verdict);
        }
        (script.transcript(), script.state)
    };
    let (of_scott, scott) = play(&known("scott"));
    let (of_nobody, nobody) = play(&Who::Nobody);
    assert_eq!(of_scott.replace("scott", "nobody"), of_nobody);
    assert_eq!(scott, nobody);
}

/// The process died between the charge and the verdict.
#[test]
fn a_check_that_was_interrupted_leaves_its_charge_and_the_flow_goes_on() {
    let mut script = any_of_three();
    script.is_sent(EmailOtp, "mail-1", "code-1");
    script.does(submit(EmailOtp, known("scott"), Some("mail-1"), Some("code-1"))).transcript();
    let interrupted = script.clone();
    script.does(submit(EmailOtp, known("scott"), Some("mail-1"), Some("code-1"))).does(passed("receipt-1"));
    assert_snapshot!(script.transcript(), @r"
    > submit email-otp by scott with mail-1 answering code-1
      record: charge scott for email-otp
      ask: check email-otp of scott with mail-1 against code-1
      stands: checking email-otp, in flight code-1
    > passed, receipt receipt-1
      record: clear scott for email-otp
      record: cancel all challenges
      show: present receipt-1 for email-otp with mail-1 of scott, first
      stands: proven email-otp
    ");
    let mut script = interrupted.clone();
    script.is_sent(EmailOtp, "mail-1", "code-2").does(passed("receipt-1"));
    assert_snapshot!(script.transcript(), @r"
    > issue email-otp with mail-1
      record: cancel code-1
      ask: make a challenge for email-otp with mail-1
      stands: issuing email-otp
    > issued code-2
      show: respond to code-2 (email-otp)
      stands: expect-response [email-otp passkey totp], in flight code-2
    > passed, receipt receipt-1
      not now: the event does not fit the stage of the sign-in
    ");
    let mut script = interrupted;
    script.does(withdraw("code-1")).does(passed("receipt-1"));
    assert_snapshot!(script.transcript(), @r"
    > withdraw code-1
      show: choose [email-otp passkey totp] at first contact
      stands: expect-factor [email-otp passkey totp]
    > passed, receipt receipt-1
      not now: the event does not fit the stage of the sign-in
    ");
}

#[test]
fn what_the_driver_says_out_of_turn_changes_nothing() {
    let mut script = any_of_three();
    script.does(issued("code-1")).does(passed("receipt-1")).does(failed());
    script.does(issue(EmailOtp, Some("mail-1"), None));
    script
        .does(issue(EmailOtp, Some("mail-1"), None))
        .does(submit(Totp, known("scott"), Some("totp-1"), None))
        .does(withdraw("code-1"))
        .does(passed("receipt-1"))
        .presents("receipt-1")
        .does(Event::Redeem);
    assert_snapshot!(script.transcript(), @r"
    > issued code-1
      not now: the event does not fit the stage of the sign-in
    > passed, receipt receipt-1
      not now: the event does not fit the stage of the sign-in
    > failed
      not now: the event does not fit the stage of the sign-in
    > issue email-otp with mail-1
      ask: make a challenge for email-otp with mail-1
      stands: issuing email-otp
    > issue email-otp with mail-1
      not now: the event does not fit the stage of the sign-in
    > submit totp by scott with totp-1
      not now: the event does not fit the stage of the sign-in
    > withdraw code-1
      not now: the event does not fit the stage of the sign-in
    > passed, receipt receipt-1
      not now: the event does not fit the stage of the sign-in
    > present receipt-1
      not now: the event does not fit the stage of the sign-in
    > redeem
      not now: the event does not fit the stage of the sign-in
    ");
}
