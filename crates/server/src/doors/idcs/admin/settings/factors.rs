//! `/AuthenticationFactorSettings`: which factors the tenant offers, and how each is made and judged.

use axum::extract::State;
use axum::response::Response;
use protocol::idcs::roles::AppRole;
use protocol::records::TenantSettings;
use serde_json::{Map, Value, json};

use super::super::answer::{self, Document, Refusal};
use super::super::guard;
use super::{current, flag, members, number, sent, single, write};
use crate::app::App;
use crate::call::Call;

const KIND: &str = "AuthenticationFactorSettings";
/// What Oracle calls the hashes, and what the tenant's settings do.
const HASHES: [(&str, &str); 3] = [("SHA1", "SHA1"), ("SHA256", "SHA256"), ("SHA512", "SHA512")];

fn minutes(seconds: i64) -> i64 {
    (seconds + 59) / 60
}

fn shown(settings: &TenantSettings) -> Document {
    let hash = HASHES.iter().find(|(_, own)| *own == settings.totp.algorithm).map_or("SHA1", |(name, _)| *name);
    members(json!({
        "smsEnabled": settings.sms_otp.enabled,
        "emailEnabled": settings.email_otp.enabled,
        "totpEnabled": settings.totp.enabled,
        "pushEnabled": settings.push.enabled,
        "securityQuestionsEnabled": settings.questions.enabled,
        "bypassCodeEnabled": settings.bypass.enabled,
        "phoneCallEnabled": settings.voice_otp.enabled,
        "fidoAuthenticatorEnabled": settings.fido2_enabled,
        "yubicoOtpEnabled": false,
        // Whether anybody must enrol is a matter of sign-on rules.
        "mfaEnrollmentType": "Optional",
        "totpSettings": {
            "hashingAlgorithm": hash,
            "passcodeLength": settings.totp.digits,
            "timeStepInSecs": settings.totp.period,
            "timeStepTolerance": settings.totp.skew,
            "keyRefreshIntervalInDays": 60,
            "jwtValidityDurationInSecs": 300,
            "smsOtpValidityDurationInMins": minutes(settings.sms_otp.expiry),
            "smsPasscodeLength": settings.sms_otp.length,
            "emailOtpValidityDurationInMins": minutes(settings.email_otp.expiry),
            "emailPasscodeLength": settings.email_otp.length,
        },
        "bypassCodeSettings": {
            "length": 12,
            "maxActive": settings.bypass.most,
            "selfServiceGenerationEnabled": settings.bypass.enabled,
            "helpDeskGenerationEnabled": settings.bypass.enabled,
            "helpDeskMaxUsage": settings.bypass.most_uses,
            "helpDeskCodeExpiryInMins": minutes(settings.bypass.life),
        },
        "endpointRestrictions": {
            "maxEnrolledDevices": settings.devices.most,
            "trustedEndpointsEnabled": settings.trusted_device.enabled,
            "maxTrustedEndpoints": settings.trusted_device.most,
            "maxEndpointTrustDurationInDays": settings.trusted_device.days,
            "maxIncorrectAttempts": settings.lock_after,
        },
        "clientAppSettings": { "requestSigningAlgo": "SHA256withRSA", "keyPairLength": 2048 },
        "compliancePolicy": [],
        "notificationSettings": { "pullEnabled": true },
        "thirdPartyFactor": { "duoSecurity": false },
    }))
}

/// `GET`.
pub(in super::super) async fn read(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &[AppRole::Signin]).await?;
        single(&call, KIND, shown(&current(&app, &call)))
    };
    answer::finish(&app, &call, run.await)
}

/// `PUT` and `PATCH`: members left out stay as they are.
pub(in super::super) async fn replace(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        let body = sent(&call)?;
        let made = write(&app, &call, |settings| {
            change(settings, &body)?;
            Ok(shown(settings))
        });
        let made = made.await?;
        tracing::info!(tenant = %call.tenant.tenant.id, "factor settings changed");
        single(&call, KIND, made)
    };
    answer::finish(&app, &call, run.await)
}

fn within<'b>(body: &'b Document, name: &str) -> Result<std::borrow::Cow<'b, Document>, Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(std::borrow::Cow::Owned(Map::new())),
        Some(Value::Object(inner)) => Ok(std::borrow::Cow::Borrowed(inner)),
        Some(_) => Err(Refusal::value(format!("attribute `{name}` is no object"))),
    }
}

fn change(settings: &mut TenantSettings, body: &Document) -> Result<(), Refusal> {
    for (name, switch) in [
        ("smsEnabled", &mut settings.sms_otp.enabled),
        ("emailEnabled", &mut settings.email_otp.enabled),
        ("totpEnabled", &mut settings.totp.enabled),
        ("pushEnabled", &mut settings.push.enabled),
        ("securityQuestionsEnabled", &mut settings.questions.enabled),
        ("bypassCodeEnabled", &mut settings.bypass.enabled),
        ("phoneCallEnabled", &mut settings.voice_otp.enabled),
        ("fidoAuthenticatorEnabled", &mut settings.fido2_enabled),
    ] {
        *switch = flag(body, name)?.unwrap_or(*switch);
    }
    // What is not served must not seem to be.
    if flag(body, "yubicoOtpEnabled")? == Some(true) {
        return Err(Refusal::value("one-time passwords of YubiKeys are not served; as security keys they are"));
    }
    let totp = within(body, "totpSettings")?;
    if let Some(name) = answer::optional(&totp, "hashingAlgorithm")? {
        let known = HASHES.iter().find(|(one, _)| *one == name);
        let (_, own) = known.ok_or_else(|| Refusal::value("`hashingAlgorithm` is none of SHA1, SHA256, SHA512"))?;
        (*own).clone_into(&mut settings.totp.algorithm);
    }
    settings.totp.digits = number(&totp, "passcodeLength", 6..=12)?.unwrap_or(settings.totp.digits);
    settings.totp.period = number(&totp, "timeStepInSecs", 10..=240)?.unwrap_or(settings.totp.period);
    settings.totp.skew = number(&totp, "timeStepTolerance", 0..=5)?.unwrap_or(settings.totp.skew);
    for (length, life, code) in [
        ("smsPasscodeLength", "smsOtpValidityDurationInMins", &mut settings.sms_otp),
        ("emailPasscodeLength", "emailOtpValidityDurationInMins", &mut settings.email_otp),
    ] {
        code.length = number(&totp, length, 4..=20)?.unwrap_or(code.length);
        if let Some(minutes) = number::<i64>(&totp, life, 1..=30)?.filter(|found| *found != self::minutes(code.expiry))
        {
            code.expiry = minutes * 60;
        }
    }
    let bypass = within(body, "bypassCodeSettings")?;
    settings.bypass.most = number(&bypass, "maxActive", 1..=50)?.unwrap_or(settings.bypass.most);
    settings.bypass.most_uses = number(&bypass, "helpDeskMaxUsage", 1..=100)?.unwrap_or(settings.bypass.most_uses);
    let life = number::<i64>(&bypass, "helpDeskCodeExpiryInMins", 1..=43_200)?;
    if let Some(minutes) = life.filter(|found| *found != self::minutes(settings.bypass.life)) {
        settings.bypass.life = minutes * 60;
    }
    let ends = within(body, "endpointRestrictions")?;
    settings.devices.most = number(&ends, "maxEnrolledDevices", 1..=100)?.unwrap_or(settings.devices.most);
    let trust = &mut settings.trusted_device;
    trust.enabled = flag(&ends, "trustedEndpointsEnabled")?.unwrap_or(trust.enabled);
    trust.most = number(&ends, "maxTrustedEndpoints", 1..=100)?.unwrap_or(trust.most);
    trust.days = number(&ends, "maxEndpointTrustDurationInDays", 1..=3650)?.unwrap_or(trust.days);
    settings.lock_after = number(&ends, "maxIncorrectAttempts", 1..=100)?.unwrap_or(settings.lock_after);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_read_can_be_written_back_and_changes_nothing() {
        let before = TenantSettings::default();
        let mut after = before.clone();
        change(&mut after, &shown(&before)).unwrap();
        assert_eq!(after, before);
    }

    #[test]
    fn a_setting_out_of_bounds_is_refused() {
        let mut settings = TenantSettings::default();
        for wrong in [
            json!({ "smsEnabled": 1 }),
            json!({ "totpSettings": [] }),
            json!({ "totpSettings": { "timeStepTolerance": 6 } }),
            json!({ "totpSettings": { "hashingAlgorithm": "MD5" } }),
            json!({ "endpointRestrictions": { "maxIncorrectAttempts": 0 } }),
            json!({ "endpointRestrictions": { "maxEnrolledDevices": 101 } }),
            json!({ "bypassCodeSettings": { "maxActive": 0 } }),
            json!({ "bypassCodeSettings": { "helpDeskMaxUsage": "5" } }),
            json!({ "yubicoOtpEnabled": true }),
        ] {
            assert!(change(&mut settings, &members(wrong.clone())).is_err(), "{wrong}");
        }
        change(&mut settings, &members(json!({ "smsEnabled": "false", "totpSettings": { "smsPasscodeLength": 8 } })))
            .unwrap();
        assert!(!settings.sms_otp.enabled);
        assert_eq!(settings.sms_otp.length, 8);
    }
}
