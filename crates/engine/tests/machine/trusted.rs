//! Sign-ins on a device that somebody trusted earlier.

use engine::facts::{Fact, Remembered};
use engine::policy::Frequency;
use engine::{FactorKind, Level, Stage};

use FactorKind::{EmailOtp, Password, Totp};
use Frequency::{Always, PerDevice, PerGrant};

use crate::policies::{INSIDE, password_then, setting};
use crate::support::{Script, Setting, known, passed, submit};

/// A password, and besides it what is demanded; the device was trusted by `by` for `kinds`.
fn on_a_device(demand: Frequency, by: &str, kinds: &[FactorKind]) -> Setting {
    let mut setting = setting(Some(password_then(&[(&[EmailOtp, Totp], demand)])), Some(INSIDE), &[]);
    setting.known.remembered = Fact::Known(Remembered { subject: by.to_owned(), kinds: kinds.to_vec() });
    setting
}

fn after_the_password(setting: Setting) -> Script {
    let mut script = Script::begin(setting);
    script.does(submit(Password, known("scott"), None, None)).does(passed("receipt-1")).presents("receipt-1");
    script
}

fn is_through(setting: Setting) -> bool {
    after_the_password(setting).state.stage == Stage::Ready
}

#[test]
fn a_trusted_device_waives_the_second_factor_where_policy_says_so() {
    assert!(is_through(on_a_device(PerDevice, "scott", &[Totp])));
}

/// Attack case 47: policy that demands the factor itself is not moved by a device, nor is anybody else's device.
#[test]
fn attack_47_a_trusted_device_waives_nothing_else() {
    assert!(!is_through(on_a_device(PerGrant, "scott", &[Totp])));
    assert!(!is_through(on_a_device(Always, "scott", &[Totp])));
    assert!(!is_through(on_a_device(PerDevice, "pat", &[Totp])), "a device of somebody else");
    assert!(!is_through(on_a_device(PerDevice, "scott", &[])), "nothing was proved on it");
    assert!(!is_through(on_a_device(PerDevice, "scott", &[Password])), "only what began");
}

/// What is waived is not proved: a level is reached by proofs alone.
#[test]
fn a_trusted_device_reaches_no_level() {
    let mut setting = on_a_device(PerDevice, "scott", &[Totp]);
    setting.at_least = Some(Level::Two);
    let script = after_the_password(setting);
    assert!(matches!(script.state.stage, Stage::ExpectFactor(_)), "{:?}", script.state.stage);
    assert_eq!(Level::of(&script.state.proofs), Some(Level::One));
}
