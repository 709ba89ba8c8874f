//! The picture that an authenticator scans (reference §2.10), and the credential in it that invites a phone of ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use protocol::records::{Seconds, SigningAlg, TotpSettings, User};
use serde_json::{Value, json};

use crate::app::App;
use crate::call::Call;
use crate::fault::Fault;
use crate::keys::{Sign, Typ};
use crate::picture::qr_png;
use crate::secret::Secret;

/// Seconds a phone has to register.
pub const INVITED: Seconds = 300;

/// What is in a picture.
pub struct Picture<'a> {
    /// The request.
    pub call: &'a Call,
    /// Whose device it will be.
    pub user: &'a User,
    /// The device.
    pub device: &'a str,
    /// The request to register, a name of its own.
    pub request: &'a str,
}

/// What the device is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Codes.
    Codes,
    /// Codes and approvals.
    CodesAndApprovals,
}

fn percent(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

impl Picture<'_> {
    /// For any authenticator: the secret is in it.
    pub fn offline(&self, secret: &Secret<String>) -> Secret<String> {
        let secret = secret.expose().trim_end_matches('=');
        Secret::new(self.content("otpauth", &format!("secret={secret}"), Service::Codes))
    }

    /// For a phone of ours: it fetches what it needs under the credential.
    pub fn online(&self, credential: &Secret<String>, service: Service) -> Secret<String> {
        let login = percent(&format!("{}/sso/v1/", self.call.base));
        let middle = format!("LoginURL={login}&OTP={}", credential.expose());
        Secret::new(self.content("oraclemobileauthenticator", &middle, service))
    }

    fn content(&self, scheme: &str, middle: &str, service: Service) -> String {
        let settings = &self.call.tenant.tenant.settings;
        let TotpSettings { algorithm, digits, period, .. } = &settings.totp;
        let issuer = settings.oracle.name_of(&self.call.tenant.tenant.id);
        let service = match service {
            Service::Codes => "TOTP",
            Service::CodesAndApprovals => "TOTP%2BPUSH",
        };
        format!(
            "{scheme}://totp/{}?issuer={}&period={period}&algorithm={algorithm}&digits={digits}&RSA=SHA256withRSA\
             &Deviceid={}&RequestId={}&{middle}&ServiceType={service}&KeyPairLength=2048&SSE=Base32",
            percent(&self.user.username),
            percent(&issuer),
            self.device,
            self.request,
        )
    }
}

/// The credential of an invitation: signed, so that a phone may see whose it is, and unlike any other.
///
/// # Errors
/// No key signs.
pub fn credential(app: &App, call: &Call, device: &str) -> Result<Secret<String>, Fault> {
    let now = app.world.now();
    let keys = &call.tenant.keys;
    let algorithms = keys.algorithms(now);
    let with =
        if algorithms.contains(&SigningAlg::Rs256) { Some(SigningAlg::Rs256) } else { algorithms.first().copied() };
    let with = with.ok_or_else(|| Fault::stored("the tenant has no signing key"))?;
    let claims = json!({
        "device_id": device,
        "iss": "AuthSrv",
        "iat": now,
        "exp": now + INVITED,
        "tenant": call.tenant.tenant.settings.oracle.name_of(&call.tenant.tenant.id),
        "jti": app.world.uuid(),
    });
    Ok(Secret::new(keys.sign(Sign::With(with), Typ::Absent, &claims, now)?))
}

/// `qrCode`: the text and its picture.
///
/// # Errors
/// The text is too long for a picture.
pub fn shown(content: &Secret<String>) -> Result<Value, Fault> {
    let png = qr_png(content.expose()).ok_or_else(|| Fault::stored("an invitation fits no picture"))?;
    Ok(json!({
        "content": content.expose(),
        "imageType": "image/png",
        "imageData": STANDARD.encode(png.as_slice()),
    }))
}
