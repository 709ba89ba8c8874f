//! Sign-ins in which the person lacks what policy demands, and may enrol it.

use engine::FactorKind::{self, EmailOtp, Passkey, Password, Questions, SmsOtp, Totp};
use engine::facts::Fact;
use engine::policy::{Frequency, Unenrolled};
use engine::{Event, Level, NotNow, Stage, advance};

use crate::policies::{INSIDE, password_then, setting};
use crate::support::{Script, Setting, issue, known, passed, submit};

/// A password, and besides it one of these; what the person has is known.
fn lacking(unenrolled: Unenrolled, demands: &[&[FactorKind]], has: &[FactorKind]) -> Setting {
    let demands: Vec<(&[FactorKind], Frequency)> = demands.iter().map(|kinds| (*kinds, Frequency::Always)).collect();
    let mut policy = password_then(&demands);
    for rule in &mut policy.rules {
        rule.unenrolled = unenrolled;
    }
    let mut setting = setting(Some(policy), Some(INSIDE), &[]);
    setting.offered = FactorKind::ALL.to_vec();
    setting.known.enrolled = Fact::Known(has.to_vec());
    setting
}

fn after_the_password(setting: Setting) -> Script {
    let mut script = Script::begin(setting);
    script.does(submit(Password, known("scott"), None, None)).does(passed("receipt-1")).presents("receipt-1");
    script
}

fn enrolled(kind: FactorKind) -> Event<'static> {
    Event::Enrolled { kind, enrolment: format!("new {}", kind.as_str()), user_verified: false }
}

fn ends(script: &mut Script) {
    let setting = script.setting().clone();
    script.does(setting.end_enrolment());
}

#[test]
fn whoever_must_enrol_goes_on_once_something_is_enrolled() {
    let mut script = after_the_password(lacking(Unenrolled::Require, &[&[Totp, EmailOtp]], &[]));
    script.transcript();
    ends(&mut script);
    script.does(enrolled(Passkey));
    script.does(enrolled(Totp));
    script.does(enrolled(EmailOtp));
    ends(&mut script);
    insta::assert_snapshot!(script.transcript(), @"
    > no more to enrol
      not now: a factor must be enrolled first
    > enrolled passkey as new passkey
      not now: the factor is not among those asked for, [totp email-otp]
    > enrolled totp as new totp
      show: enrol [totp email-otp], required, one is there
      stands: expect-enrolment [totp email-otp] or enrol, met
    > enrolled email-otp as new email-otp
      show: enrol [totp email-otp], required, one is there
      stands: expect-enrolment [totp email-otp] or enrol, met
    > no more to enrol
      record: after contact of policy 420017 revision 3, rules [2 100]: demand [totp email-otp] or enrol
      show: finish
      stands: ready
    ");
    assert_eq!(Level::of(&script.state.proofs), Some(Level::Two));
}

#[test]
fn an_offer_may_be_declined_and_asks_for_nothing_more() {
    let mut script = after_the_password(lacking(Unenrolled::Offer, &[&[Totp, EmailOtp]], &[]));
    assert!(matches!(script.state.stage, Stage::ExpectEnrolment { met: false, .. }));
    ends(&mut script);
    assert_eq!(script.state.stage, Stage::Ready);
    assert!(script.state.declined);
}

#[test]
fn whoever_has_a_factor_that_is_demanded_is_asked_for_it() {
    for unenrolled in [Unenrolled::Offer, Unenrolled::Require, Unenrolled::Ask] {
        let script = after_the_password(lacking(unenrolled, &[&[Totp, EmailOtp]], &[EmailOtp]));
        assert!(matches!(script.state.stage, Stage::ExpectFactor(_)), "{unenrolled:?}");
    }
}

#[test]
fn what_policy_does_not_let_people_enrol_is_asked_for() {
    let script = after_the_password(lacking(Unenrolled::Ask, &[&[Totp]], &[]));
    assert!(matches!(script.state.stage, Stage::ExpectFactor(_)));
    let mut unknown = lacking(Unenrolled::Offer, &[&[Totp]], &[]);
    unknown.known.enrolled = Fact::Unknown;
    assert!(matches!(after_the_password(unknown).state.stage, Stage::ExpectFactor(_)), "nobody knows what they have");
}

/// A stolen password must not enrol its way past the second factor.
#[test]
fn a_factor_of_another_kind_is_proved_before_a_new_one_is_enrolled() {
    for unenrolled in [Unenrolled::Offer, Unenrolled::Require] {
        let mut script = after_the_password(lacking(unenrolled, &[&[Totp]], &[SmsOtp]));
        let Stage::ExpectFactor(open) = &script.state.stage else { panic!("{:?}", script.state.stage) };
        assert_eq!(open.any_of(), [SmsOtp, FactorKind::BypassCode]);
        assert_eq!(advance(script.state.clone(), enrolled(Totp), script.now), Err(NotNow::OutOfTurn));
        script.is_sent(SmsOtp, "sms", "c-1").does(submit(SmsOtp, known("scott"), Some("sms"), Some("c-1")));
        script.does(passed("receipt-2")).presents("receipt-2");
        assert!(matches!(script.state.stage, Stage::ExpectEnrolment { .. }), "{:?}", script.state.stage);
    }
}

/// Answers that others may find out must not enrol their way past the second factor either.
#[test]
fn answers_do_not_stand_in_for_a_stronger_factor_before_a_new_one_is_enrolled() {
    let mut script = after_the_password(lacking(Unenrolled::Require, &[&[Passkey]], &[Questions, Totp]));
    script.transcript();
    script.does(issue(Questions, Some("pets"), None));
    script.does(submit(Totp, known("scott"), Some("app"), None)).does(passed("receipt-2")).presents("receipt-2");
    insta::assert_snapshot!(script.transcript(), @"
    > issue questions with pets
      not now: the factor is not among those asked for, [totp bypass-code]
    > submit totp by scott with app
      record: charge scott for totp
      ask: check totp of scott with app
      stands: checking totp
    > passed, receipt receipt-2
      record: clear scott for totp
      record: cancel all challenges
      show: present receipt-2 for totp with app of scott
      stands: proven totp
    > present receipt-2
      record: after contact of policy 420017 revision 3, rules [2 100]: demand [passkey] or enrol
      show: enrol [passkey], required
      stands: expect-enrolment [passkey] or enrol
    ");
    // Where there is nothing better they are asked for.
    let script = after_the_password(lacking(Unenrolled::Require, &[&[Passkey]], &[Questions]));
    let Stage::ExpectFactor(open) = &script.state.stage else { panic!("{:?}", script.state.stage) };
    assert_eq!(open.any_of(), [Questions, FactorKind::BypassCode]);
}

/// What else is demanded stands, whatever was declined.
#[test]
fn declining_one_demand_leaves_the_others() {
    let mut script = after_the_password({
        let mut setting = lacking(Unenrolled::Offer, &[&[Totp], &[Passkey]], &[]);
        for policy in [&mut setting.policy, &mut setting.after].into_iter().flatten() {
            for rule in policy.rules.iter_mut().filter(|rule| rule.always).skip(1) {
                rule.unenrolled = Unenrolled::Require;
            }
        }
        setting
    });
    ends(&mut script);
    let Stage::ExpectEnrolment { open, met: false } = &script.state.stage else { panic!("{:?}", script.state.stage) };
    assert_eq!(open.any_of(), [Passkey]);
    assert_eq!(
        advance(script.state.clone(), script.setting().clone().end_enrolment(), script.now),
        Err(NotNow::MustEnrol)
    );
}
