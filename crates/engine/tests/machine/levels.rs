//! Levels of assurance: what proofs are worth together, and how one that is demanded is reached.

use engine::FactorKind::{
    self, BypassCode, EmailOtp, Passkey, Password, PushFace, PushPresence, Questions, SmsOtp, Totp, VoiceOtp,
};
use engine::policy::{Action, Contact, Frequency};
use engine::{Level, Proof, Stage};
use insta::assert_snapshot;

use crate::ghost::kept;
use crate::policies::{demand, password_then, policy, rule, setting};
use crate::support::{Script, known, passed, submit};

fn verified(kind: FactorKind) -> Proof {
    Proof { user_verified: true, ..kept(kind, true, false) }
}

fn of(kinds: &[FactorKind]) -> Option<Level> {
    let proofs: Vec<Proof> = kinds.iter().map(|kind| kept(*kind, true, false)).collect();
    Level::of(&proofs)
}

#[test]
fn two_factors_are_two_means() {
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[Questions]), None, "what others can find out is worth nothing alone");
    assert_eq!(of(&[Password]), Some(Level::One));
    assert_eq!(of(&[Password, Questions]), Some(Level::One));
    assert_eq!(of(&[Password, Password]), Some(Level::One));
    assert_eq!(of(&[SmsOtp, VoiceOtp]), Some(Level::One), "one phone");
    assert_eq!(of(&[PushPresence, PushFace]), Some(Level::One), "one phone");
    assert_eq!(of(&[Password, EmailOtp]), Some(Level::Two));
    assert_eq!(of(&[Password, BypassCode]), Some(Level::Two));
    assert_eq!(of(&[EmailOtp, Totp]), Some(Level::Two));
    assert_eq!(of(&[Passkey]), Some(Level::One), "a touch is one factor");
    assert_eq!(of(&[Password, Passkey]), Some(Level::PhishingResistant));
    assert_eq!(Level::of(&[verified(Passkey)]), Some(Level::PhishingResistant));
    assert_eq!(Level::of(&[verified(PushFace)]), Some(Level::Two));
    assert_eq!(Level::of(&[verified(Password)]), Some(Level::One), "a password verifies nobody's finger");
}

#[test]
fn a_level_is_demanded_once_policy_is_content() {
    let mut scene = setting(Some(password_then(&[])), None, &[]);
    scene.at_least = Some(Level::Two);
    let mut script = Script::begin(scene);
    script.does(submit(Password, known("scott"), None, None)).does(passed("r1")).presents("r1");
    script.does(submit(Totp, known("scott"), Some("app"), None)).does(passed("r2")).presents("r2");
    assert_snapshot!(script.transcript(), @r"
    > begin
      record: first contact of policy 420017 revision 3, rules [1]: demand [password]
      show: choose [password] at first contact
      stands: expect-factor [password]
    > submit password by scott
      record: charge scott for password
      ask: check password of scott
      stands: checking password
    > passed, receipt r1
      record: clear scott for password
      record: cancel all challenges
      show: present r1 for password of scott, first
      stands: proven password
    > present r1
      record: after contact of policy 420017 revision 3, rules [100]: allow
      show: choose [email-otp totp passkey] at after contact
      stands: expect-factor [email-otp totp passkey]
    > submit totp by scott with app
      record: charge scott for totp
      ask: check totp of scott with app
      stands: checking totp
    > passed, receipt r2
      record: clear scott for totp
      record: cancel all challenges
      show: present r2 for totp with app of scott
      stands: proven totp
    > present r2
      record: after contact of policy 420017 revision 3, rules [100]: allow
      show: finish
      stands: ready
    ");
}

#[test]
fn a_level_raised_with_a_receipt_stands_from_then_on() {
    let mut scene = setting(Some(password_then(&[])), None, &[]);
    scene.raised = Some(Level::PhishingResistant);
    let mut script = Script::begin(scene);
    script.does(submit(Password, known("scott"), None, None)).does(passed("r1")).presents("r1");
    script.setting().raised = None;
    script.is_sent(Passkey, "key", "c1").does(submit(Passkey, known("scott"), Some("key"), Some("c1")));
    script.does(passed("r2")).presents("r2");
    assert_snapshot!(script.transcript(), @r"
    > begin
      record: first contact of policy 420017 revision 3, rules [1]: demand [password]
      show: choose [password] at first contact
      stands: expect-factor [password]
    > submit password by scott
      record: charge scott for password
      ask: check password of scott
      stands: checking password
    > passed, receipt r1
      record: clear scott for password
      record: cancel all challenges
      show: present r1 for password of scott, first
      stands: proven password
    > present r1
      record: after contact of policy 420017 revision 3, rules [100]: allow
      show: choose [passkey] at after contact
      stands: expect-factor [passkey]
    > issue passkey with key
      ask: make a challenge for passkey with key
      stands: issuing passkey
    > issued c1
      show: respond to c1 (passkey)
      stands: expect-response [passkey], in flight c1
    > submit passkey by scott with key answering c1
      record: charge scott for passkey
      ask: check passkey of scott with key against c1
      stands: checking passkey, in flight c1
    > passed, receipt r2
      record: clear scott for passkey
      record: cancel all challenges
      show: present r2 for passkey with key of scott
      stands: proven passkey
    > present r2
      record: after contact of policy 420017 revision 3, rules [100]: allow
      show: finish
      stands: ready
    ");
}

/// Where a factor did not reach the level, it is not asked for a second time; where nothing else could, it is refused.
#[test]
fn a_level_out_of_reach_is_refused_and_not_asked_for_in_a_circle() {
    let begins = rule("1", Contact::First, Vec::new(), demand(&[Passkey], Frequency::Always));
    let allows = rule("2", Contact::After, Vec::new(), Action::Allow);
    let mut scene = setting(Some(policy(vec![begins, allows])), None, &[]);
    scene.at_least = Some(Level::Two);
    scene.offered = vec![Passkey];
    let mut script = Script::begin(scene);
    script.is_sent(Passkey, "key", "c1").does(submit(Passkey, known("scott"), Some("key"), Some("c1")));
    script.does(passed("r1")).presents("r1");
    assert_snapshot!(script.transcript(), @r"
    > begin
      record: first contact of policy 420017 revision 3, rules [1]: demand [passkey]
      show: choose [passkey] at first contact
      stands: expect-factor [passkey]
    > issue passkey with key
      ask: make a challenge for passkey with key
      stands: issuing passkey
    > issued c1
      show: respond to c1 (passkey)
      stands: expect-response [passkey], in flight c1
    > submit passkey by scott with key answering c1
      record: charge scott for passkey
      ask: check passkey of scott with key against c1
      stands: checking passkey, in flight c1
    > passed, receipt r1
      record: clear scott for passkey
      record: cancel all challenges
      show: present r1 for passkey with key of scott, first
      stands: proven passkey
    > present r1
      record: after contact of policy 420017 revision 3, rules [2]: allow
      record: cancel all challenges
      show: refused, level out of reach
      stands: closed, level out of reach
    ");
}

#[test]
fn a_session_as_strong_as_that_is_not_asked_again() {
    for (proofs, ready) in [
        (vec![kept(Password, false, true), kept(Totp, false, false)], true),
        (vec![kept(Password, false, true)], false),
    ] {
        let mut scene = setting(Some(password_then(&[])), None, &[]);
        scene.prior = Some(engine::Prior { subject: "scott".to_owned(), proofs });
        scene.at_least = Some(Level::Two);
        let script = Script::begin(scene);
        assert_eq!(script.state.stage == Stage::Ready, ready, "{:?}", script.state.stage);
    }
    // Without a policy the level stands all the same.
    let mut scene = setting(None, None, &[]);
    scene.prior = Some(engine::Prior { subject: "scott".to_owned(), proofs: vec![kept(Password, false, true)] });
    scene.at_least = Some(Level::Two);
    assert!(matches!(Script::begin(scene).state.stage, Stage::ExpectFactor(_)));
}

/// Attack case 43: a touch is not taken where only a verified person would do.
#[test]
fn a_passkey_must_verify_the_person_where_a_touch_would_not_reach_the_level() {
    let demanding = |proofs: Vec<Proof>, level| {
        let mut scene = setting(None, None, &[]);
        scene.prior = Some(engine::Prior { subject: "scott".to_owned(), proofs });
        scene.at_least = level;
        Script::begin(scene).state
    };
    let touched = || vec![kept(Passkey, false, true)];
    assert!(demanding(touched(), Some(Level::Two)).must_verify(Passkey));
    assert!(!demanding(touched(), None).must_verify(Passkey));
    assert!(!demanding(vec![kept(Password, false, true)], Some(Level::PhishingResistant)).must_verify(Passkey));
    assert!(!demanding(touched(), Some(Level::Two)).must_verify(Totp));
}
