//! The body of a step, taken apart (reference §2.1). Owns which forms a member may come in; whether it fits the step is the step's.

use protocol::json;
use serde_json::{Map, Value};

use super::factor::Factor;
use crate::doors::idcs::fault::{Code, Failed};
use crate::secret::Secret;

/// Longest text of a member that is not a token or an assertion.
const LONGEST: usize = 1024;
/// Longest name of a device or a person that is remembered between steps, and longest origin.
const REMEMBERED: usize = 200;
/// Longest assertion of an authenticator.
const LONGEST_ASSERTION: usize = 64 * 1024;

/// What a step asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Submits, starts or polls a factor.
    CredSubmit,
    /// Begins to set up a factor, or lists those that can be.
    Enrollment,
    /// Sends a code again.
    ResendCode,
    /// Lists the factors there are.
    GetBackupFactors,
    /// Ends the dialogue.
    CreateToken,
    /// Answers the terms of use.
    AcceptTou,
    /// Registers somebody who came from a social provider.
    SocialRegister,
}

/// Answers to questions, by the keys of their questions.
pub type Answers = Vec<(String, Secret<String>)>;

impl Op {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::CredSubmit,
        Self::Enrollment,
        Self::ResendCode,
        Self::GetBackupFactors,
        Self::CreateToken,
        Self::AcceptTou,
        Self::SocialRegister,
    ];

    /// As it is spelled.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CredSubmit => "credSubmit",
            Self::Enrollment => "enrollment",
            Self::ResendCode => "resendCode",
            Self::GetBackupFactors => "getBackupFactors",
            Self::CreateToken => "createToken",
            Self::AcceptTou => "acceptTOU",
            Self::SocialRegister => "socialRegister",
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// It belongs to another endpoint, or is none.
    fn parse(name: &str) -> Result<Self, Failed> {
        let elsewhere = |use_instead: &str| {
            Err(Failed::saying(
                Code::WrongEndpoint,
                format!("The operation {name} is not served by /sso/v1/sdk/authenticate; use {use_instead}."),
            ))
        };
        match name {
            "createSession" => return elsewhere("/sso/v1/sdk/session"),
            "chooseIDP" => return elsewhere("/sso/v1/sdk/idp"),
            // A misprint of the vendor's own table.
            "resentCode" => return Ok(Self::ResendCode),
            _ => {}
        }
        let known = Self::ALL.into_iter().find(|op| op.as_str() == name);
        known.ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|op| op.as_str()).collect();
            Failed::saying(
                Code::OpNotOffered,
                format!("The operation is not supported; supported: {}.", all.join(", ")),
            )
        })
    }
}

/// A body that was read.
#[derive(Debug)]
pub struct Body {
    members: Map<String, Value>,
}

/// One step.
#[derive(Debug)]
pub struct Request {
    /// What is asked for.
    pub op: Op,
    /// The factor that is named.
    pub factor: Option<Factor>,
    /// Its credentials.
    pub credentials: Credentials,
    /// The person asks to trust the device, and what it shall be called.
    pub trust: Option<String>,
    /// The person asks to stay signed in, and what the browser shall be called.
    pub stay: Option<String>,
    /// The token of somebody who stayed signed in.
    pub kmsi: Option<Secret<String>>,
    /// The token of a device that was trusted. The vendor knows no way to present one here; ours may.
    pub device: Option<String>,
    /// The application that is named.
    pub application: Option<String>,
    /// The web origin of the page.
    pub origin: Option<String>,
    /// The address of the person, as the client says.
    pub address: Option<String>,
    /// What somebody new says of themselves (`socialSCIMAttrs`).
    pub newcomer: Map<String, Value>,
    /// The code is to be given to the client: the thumbprint of the certificate it is encrypted for.
    pub thumbprint: Option<String>,
}

impl Body {
    /// Reads a body.
    ///
    /// # Errors
    /// It is empty, or no JSON object.
    pub fn read(bytes: &[u8]) -> Result<Self, Failed> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(Code::EmptyPayload.into());
        }
        let members = json::parse_object(bytes, json::USUAL).map_err(|_| Failed::from(Code::BadJson))?;
        Ok(Self { members })
    }

    /// `requestState` as it came.
    ///
    /// # Errors
    /// It is no text.
    pub fn state(&self) -> Result<Option<&str>, Failed> {
        match self.members.get("requestState") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(Failed::invalid("The attribute requestState is not text.")),
        }
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, Failed> {
        text(&self.members, name)
    }

    /// The step, once the state is known to be good.
    ///
    /// # Errors
    /// A member is missing or has a value it may not have.
    pub fn step(self) -> Result<Request, Failed> {
        let credentials = match self.members.get("credentials") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(members)) => members.clone(),
            Some(_) => return Err(Failed::invalid("The attribute credentials is not an object.")),
        };
        let credentials = Credentials { members: credentials };
        let op = match self.members.get("op") {
            None | Some(Value::Null) => return Err(Failed::incomplete("The attribute op is missing.")),
            Some(Value::String(name)) => Op::parse(name)?,
            Some(_) => return Err(Failed::invalid("The attribute op is not text.")),
        };
        let factor = match self.members.get("authFactor") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) if name.is_empty() => None,
            Some(Value::String(name)) => Some(Factor::parse(name).ok_or_else(|| unknown_factor(name))?),
            Some(_) => return Err(Failed::invalid("The attribute authFactor is not text.")),
        };
        let trusted = flag(&self.members, "trustedDevice")?;
        let trust_name = self.text("trustedDeviceDisplayName")?.unwrap_or_default();
        // The sign-in page puts these two inside the credentials, the documents beside them.
        let stays = flag(&self.members, "keepMeSignedIn")?.or(credentials.flag("keepMeSignedIn")?);
        let stay_name = match self.text("kmsiDeviceDisplayName")? {
            Some(name) => name,
            None => credentials.text("kmsiDeviceDisplayName")?.unwrap_or_default(),
        };
        let origin = match self.text("origin")? {
            Some(origin) => Some(origin),
            None => credentials.text("origin")?,
        };
        let newcomer = match self.members.get("socialSCIMAttrs") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(members)) => members.clone(),
            Some(_) => return Err(Failed::invalid("The attribute socialSCIMAttrs is not an object.")),
        };
        let returned = flag(&self.members, "userFlowControlledByExternalClient")?.unwrap_or(false);
        let thumbprint = self.text("x5t")?.filter(|_| returned);
        Ok(Request {
            op,
            factor,
            trust: trusted.unwrap_or(false).then(|| clip(&trust_name)),
            stay: stays.unwrap_or(false).then(|| clip(&stay_name)),
            kmsi: self.text("kmsiToken")?.filter(|token| !token.is_empty()).map(Secret::new),
            device: self.text("trustToken")?.filter(|token| !token.is_empty()),
            application: self.text("appName")?.filter(|name| !name.is_empty()),
            origin: origin.filter(|origin| (1..=REMEMBERED).contains(&origin.len())),
            address: self.text("ipAddress")?.filter(|address| !address.is_empty()),
            newcomer,
            thumbprint,
            credentials,
        })
    }
}

impl Request {
    /// What somebody new says of themselves, by its name; none where it is left out or empty.
    ///
    /// # Errors
    /// It is no text, or too long.
    pub fn said(&self, name: &'static str) -> Result<Option<String>, Failed> {
        Ok(text(&self.newcomer, name)?.filter(|text| !text.trim().is_empty()))
    }

    /// Stands for a body that could not be read.
    pub fn nothing() -> Self {
        Self {
            op: Op::CredSubmit,
            factor: None,
            credentials: Credentials::default(),
            trust: None,
            stay: None,
            kmsi: None,
            device: None,
            application: None,
            origin: None,
            address: None,
            newcomer: Map::new(),
            thumbprint: None,
        }
    }
}

fn unknown_factor(name: &str) -> Failed {
    // What was typed is repeated only where it is harmless to show.
    let shown: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
    let all: Vec<&str> = Factor::ALL.iter().map(|factor| factor.as_str()).collect();
    Failed::invalid(format!(
        "Invalid value [{shown}] for the attribute authFactor, one of [{}] expected.",
        all.join(", ")
    ))
}

/// As much of a name as is remembered: a state must not grow with what is typed.
pub fn clip(name: &str) -> String {
    name.trim().chars().filter(|c| !c.is_control()).take(REMEMBERED).collect()
}

fn text(members: &Map<String, Value>, name: &'static str) -> Result<Option<String>, Failed> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= LONGEST => Ok(Some(text.clone())),
        Some(Value::String(_)) => Err(Failed::invalid(format!("The attribute {name} is too long."))),
        Some(_) => Err(Failed::invalid(format!("The attribute {name} is not text."))),
    }
}

/// A boolean, which may come as text or as null.
fn flag(members: &Map<String, Value>, name: &'static str) -> Result<Option<bool>, Failed> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(Value::String(text)) if text == "true" => Ok(Some(true)),
        Some(Value::String(text)) if text == "false" || text.is_empty() => Ok(Some(false)),
        Some(_) => Err(Failed::invalid(format!("The attribute {name} is not a boolean."))),
    }
}

/// The credentials of a step.
#[derive(Debug, Default)]
pub struct Credentials {
    members: Map<String, Value>,
}

impl Credentials {
    /// A text.
    ///
    /// # Errors
    /// It is something else, or too long.
    pub fn text(&self, name: &'static str) -> Result<Option<String>, Failed> {
        text(&self.members, name)
    }

    /// A boolean.
    ///
    /// # Errors
    /// It is something else.
    pub fn flag(&self, name: &'static str) -> Result<Option<bool>, Failed> {
        flag(&self.members, name)
    }

    /// Whether a member came at all.
    pub fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    /// A member as it came.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// The device that is named; none where it is left out or empty.
    ///
    /// # Errors
    /// It is no text.
    pub fn device(&self) -> Result<Option<String>, Failed> {
        Ok(self.text("deviceId")?.filter(|device| !device.is_empty()))
    }

    /// A code of digits, as text or as a number, without what people put between them.
    ///
    /// # Errors
    /// It is neither.
    pub fn code(&self, name: &'static str) -> Result<Option<Secret<String>>, Failed> {
        let typed = match self.members.get(name) {
            Some(Value::Number(number)) if number.is_u64() => Some(number.to_string()),
            Some(Value::Number(_)) => return Err(Failed::invalid(format!("The attribute {name} is not a code."))),
            _ => self.text(name)?,
        };
        let typed = typed.map(|code| code.chars().filter(|c| !c.is_whitespace() && *c != '-').collect::<String>());
        Ok(typed.filter(|code| !code.is_empty()).map(Secret::new))
    }

    /// `preferred`, at whichever place it came.
    ///
    /// # Errors
    /// It is no boolean.
    pub fn preferred(&self) -> Result<bool, Failed> {
        let inside = match self.members.get("questions").and_then(Value::as_array).and_then(|all| all.first()) {
            Some(Value::Object(first)) => flag(first, "preferred")?,
            _ => None,
        };
        Ok(self.flag("preferred")?.or(inside).unwrap_or(false))
    }

    /// Answers to questions, by the keys of their questions; none where there are none.
    ///
    /// # Errors
    /// They are not in form.
    pub fn answers(&self) -> Result<Option<Answers>, Failed> {
        let list = match self.members.get("questions") {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Array(list)) => list,
            Some(_) => return Err(Failed::invalid("The attribute questions is not a list.")),
        };
        let read = |one: &Value| {
            let text = |name: &str| one.get(name).and_then(Value::as_str).filter(|text| text.len() <= LONGEST);
            Some((text("questionId")?.to_owned(), Secret::from(text("answer")?)))
        };
        let answers: Option<Vec<_>> = list.iter().map(read).collect();
        answers.map(Some).ok_or_else(|| Failed::invalid("Each question must have a questionId and an answer."))
    }

    /// The response of an authenticator: JSON in a text.
    ///
    /// # Errors
    /// It is neither JSON nor in form.
    pub fn assertion(&self) -> Result<Option<Value>, Failed> {
        let malformed = || Failed::invalid("The attribute fidoAssertion is not the JSON text of a credential.");
        match self.members.get("fidoAssertion") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) if text.len() <= LONGEST_ASSERTION => {
                let object = json::parse_object(text.as_bytes(), json::USUAL).map_err(|_| malformed())?;
                Ok(Some(Value::Object(object)))
            }
            Some(_) => Err(malformed()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn step(body: &str) -> Result<Request, Failed> {
        Body::read(body.as_bytes())?.step()
    }

    #[test]
    fn what_cannot_be_read_is_told_by_its_own_code() {
        let code = |body: &str| step(body).unwrap_err();
        assert_eq!(code("").code, Code::EmptyPayload);
        assert_eq!(code("{").code, Code::BadJson);
        assert_eq!(code("[]").code, Code::BadJson);
        assert_eq!(code(r#"{"op":"a","op":"b"}"#).code, Code::BadJson);
        assert_eq!((code("{}").code, code("{}").status.as_u16()), (Code::Invalid, 422));
        assert_eq!((code(r#"{"op":7}"#).code, code(r#"{"op":7}"#).status.as_u16()), (Code::Invalid, 400));
        assert_eq!(code(r#"{"op":"fly"}"#).code, Code::OpNotOffered);
        assert_eq!(code(r#"{"op":"createSession"}"#).code, Code::WrongEndpoint);
        assert_eq!(code(r#"{"op":"chooseIDP"}"#).code, Code::WrongEndpoint);
        assert_eq!(code(r#"{"op":"credSubmit","authFactor":"<b>X"}"#).message.matches('<').count(), 0);
        for members in [
            r#""credentials":[]"#,
            r#""trustedDevice":"yes""#,
            r#""authFactor":3"#,
            r#""kmsiToken":{}"#,
            r#""origin":[]"#,
            r#""ipAddress":1"#,
            r#""socialSCIMAttrs":"x""#,
        ] {
            let failed = code(&format!(r#"{{"op":"credSubmit",{members}}}"#));
            assert_eq!((failed.code, failed.status.as_u16()), (Code::Invalid, 400), "{members}");
        }
    }

    #[test]
    fn members_may_come_in_every_form_that_clients_send() {
        let step = step(
            r#"{"op":"resentCode","authFactor":"","trustedDevice":null,"keepMeSignedIn":"false","unknown":{},
                "credentials":{"keepMeSignedIn":true,"origin":"https://a.test","otpCode":481516,"deviceId":"",
                "questions":[{"questionId":"q","answer":"a","preferred":true}]}}"#,
        )
        .unwrap();
        assert_eq!((step.op, step.factor, step.trust), (Op::ResendCode, None, None));
        assert_eq!(step.stay, None, "what stands beside the credentials comes first");
        assert_eq!(step.origin.as_deref(), Some("https://a.test"));
        assert_eq!(step.credentials.code("otpCode").unwrap().unwrap().expose(), "481516");
        assert_eq!(step.credentials.device().unwrap(), None);
        assert!(step.credentials.preferred().unwrap());
        assert_eq!(step.credentials.answers().unwrap().unwrap().len(), 1);
    }

    #[test]
    fn leading_zeros_of_a_code_are_kept_where_it_is_text() {
        let step = step(r#"{"op":"credSubmit","credentials":{"otpCode":" 004 5-16"}}"#).unwrap();
        assert_eq!(step.credentials.code("otpCode").unwrap().unwrap().expose(), "004516");
    }
}
