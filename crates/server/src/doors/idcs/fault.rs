//! The table of the vendor's codes (reference §3.3): what each means, the status it is answered with, and its text. The texts are ours.

use axum::http::StatusCode;

/// One code of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The factor is not one that is known or switched on.
    FactorNotEnabled,
    /// The person has as many methods as may be.
    TooManyMethods,
    /// A factor could not be begun.
    NotStarted,
    /// It was denied on the phone, or nobody answered in time.
    Denied,
    /// The account is locked.
    Locked,
    /// The server's own failure.
    SystemError,
    /// There is no such device.
    NoSuchDevice,
    /// Enrolment cannot be skipped.
    EnrolmentRequired,
    /// A question is not among those that may be chosen.
    QuestionNotEnabled,
    /// The same answer stands under another question.
    SameAnswer,
    /// An answer is too short.
    AnswerTooShort,
    /// The answers are wrong.
    WrongAnswer,
    /// Too many wrong answers.
    TooManyAttempts,
    /// A telephone number is not one.
    BadNumber,
    /// The number is enrolled already.
    NumberTaken,
    /// The body is empty or cannot be read.
    EmptyPayload,
    /// It may not be done.
    NotAllowed,
    /// The sign-in is gone.
    SessionGone,
    /// A factor is needed to be preferred.
    PreferredNeedsFactor,
    /// A hint gives the answer away.
    HintIsAnswer,
    /// A question was chosen twice.
    QuestionTwice,
    /// An answer is missing.
    AnswerMissing,
    /// An answer is too long.
    AnswerTooLong,
    /// A hint is too long.
    HintTooLong,
    /// Methods cannot be taken away while one is required.
    ResetRefused,
    /// Too few questions.
    QuestionsMissing,
    /// A question is unknown.
    QuestionInvalid,
    /// Codes by text message are switched off.
    SmsOff,
    /// Approval on the phone is switched off.
    PushOff,
    /// Codes of an authenticator are switched off.
    TotpOff,
    /// Questions are switched off.
    QuestionsOff,
    /// Bypass codes are switched off.
    BypassOff,
    /// Codes by mail are switched off.
    EmailOff,
    /// The code is wrong.
    WrongPasscode,
    /// It cannot be done now: another factor may be.
    UseBackup,
    /// The phone has not answered yet.
    PushPending,
    /// The phone has not registered yet.
    EnrolmentPending,
    /// The request is not in form, or lacks something.
    Invalid,
    /// The factor is not on offer here.
    FactorNotOffered,
    /// The operation is not on offer here.
    OpNotOffered,
    /// No application has this name.
    AppUnknown,
    /// The operation belongs to another endpoint.
    WrongEndpoint,
    /// The state is not ours, not for this, or too old.
    BadState,
    /// The body is no JSON.
    BadJson,
    /// The application is switched off.
    AppInactive,
    /// The user name or the password is wrong.
    WrongPassword,
    /// The account is locked (at the first factor).
    AccountLocked,
    /// The account is deactivated.
    Deactivated,
    /// The password is too old.
    PasswordExpired,
    /// The password must be changed.
    PasswordMustChange,
    /// A token is not valid.
    BadToken,
    /// The server has too much to do.
    Overloaded,
    /// The person may not use the application.
    NotEntitled,
    /// The sign-in came by a way that leads back to no page.
    WrongProtocol,
    /// Policy denies it.
    DeniedByPolicy,
    /// The terms were not accepted.
    TermsRefused,
    /// There are no terms in the language of the person.
    TermsMissing,
    /// There is no such person.
    NoSuchUser,
    /// No provider is called so.
    ProviderUnknown,
    /// The sign-in at another provider came to nothing.
    SocialFailed,
    /// Who signed in at another provider is nobody here.
    SocialUnknown,
}

impl Code {
    /// The code, its usual status and its text.
    fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::FactorNotEnabled => ("AUTH-1002", 400, "The factor is not supported or not enabled."),
            Self::TooManyMethods => ("AUTH-1005", 401, "No more methods can be added."),
            Self::NotStarted => ("AUTH-1006", 401, "The verification could not be started."),
            Self::Denied => ("AUTH-1007", 401, "The verification was denied or not answered in time."),
            Self::Locked => ("AUTH-1010", 401, "The account is locked. Try again later."),
            Self::SystemError => ("AUTH-1012", 500, "The server could not complete the request."),
            Self::NoSuchDevice => ("AUTH-1014", 401, "The device was not found."),
            Self::EnrolmentRequired => ("AUTH-1016", 401, "A method must be set up; this cannot be skipped."),
            Self::QuestionNotEnabled => ("AUTH-1018", 401, "The question cannot be chosen."),
            Self::SameAnswer => ("AUTH-1020", 401, "The same answer was given to another question."),
            Self::AnswerTooShort => ("AUTH-1021", 401, "An answer is too short."),
            Self::PreferredNeedsFactor => ("AUTH-1113", 400, "A factor is needed to prefer a device."),
            Self::HintIsAnswer => ("AUTH-1023", 401, "A hint must not be the answer."),
            Self::QuestionTwice => ("AUTH-1024", 401, "A question was chosen twice."),
            Self::ResetRefused => ("AUTH-1029", 401, "Methods cannot be reset while one is required."),
            Self::AnswerMissing => ("AUTH-1038", 401, "An answer is missing."),
            Self::AnswerTooLong => ("AUTH-1041", 401, "An answer is too long."),
            Self::HintTooLong => ("AUTH-1042", 401, "A hint is too long."),
            Self::WrongAnswer => ("AUTH-1026", 401, "The answer is not correct."),
            Self::TooManyAttempts => ("AUTH-1027", 401, "Too many attempts. Try again later."),
            Self::BadNumber => ("AUTH-1030", 401, "The phone number is not valid."),
            Self::NumberTaken => ("AUTH-1031", 401, "The phone number is set up already."),
            Self::EmptyPayload => ("AUTH-1033", 400, "The request body is empty or cannot be read."),
            Self::NotAllowed => ("AUTH-1034", 401, "This action is not allowed."),
            Self::SessionGone => ("AUTH-1036", 401, "This sign-in is over. Start again."),
            Self::QuestionsMissing => ("AUTH-1037", 401, "More questions must be set up."),
            Self::QuestionInvalid => ("AUTH-1039", 401, "The question is not known."),
            Self::SmsOff => ("AUTH-1100", 401, "Text messages are not enabled."),
            Self::PushOff => ("AUTH-1101", 401, "Push notifications are not enabled."),
            Self::TotpOff => ("AUTH-1102", 401, "Authenticator codes are not enabled."),
            Self::QuestionsOff => ("AUTH-1103", 401, "Security questions are not enabled."),
            Self::BypassOff => ("AUTH-1104", 401, "Bypass codes are not enabled."),
            Self::WrongPasscode => ("AUTH-1105", 401, "The passcode is not correct."),
            Self::UseBackup => ("AUTH-1106", 401, "This cannot be done now. Use another method or try again later."),
            Self::PushPending => ("AUTH-1108", 200, "Push Notification approval is pending."),
            Self::EnrolmentPending => ("AUTH-1109", 200, "The device has not been set up yet."),
            Self::Invalid => ("AUTH-1111", 400, "The request is not valid."),
            Self::FactorNotOffered => ("AUTH-1115", 400, "The factor is not offered here."),
            Self::OpNotOffered => ("AUTH-1116", 400, "The operation is not offered here."),
            Self::AppUnknown => ("AUTH-1118", 401, "There is no application of this name."),
            Self::WrongEndpoint => ("AUTH-1119", 400, "The operation is not served by this endpoint."),
            Self::BadState => ("AUTH-1120", 401, "The requestState is not valid or has expired."),
            Self::BadJson => ("AUTH-1121", 400, "The request body is not valid JSON."),
            Self::AppInactive => ("AUTH-1122", 401, "The application is not active."),
            Self::EmailOff => ("AUTH-1125", 401, "Codes by mail are not enabled."),
            Self::WrongPassword => ("AUTH-3001", 401, "The user name or the password is not correct."),
            Self::AccountLocked => ("AUTH-3002", 401, "The account is locked. Try again later."),
            Self::Deactivated => ("AUTH-3003", 401, "The account is deactivated."),
            Self::PasswordExpired => ("AUTH-3004", 401, "The password has expired."),
            Self::PasswordMustChange => ("AUTH-3005", 401, "The password must be changed."),
            Self::BadToken => ("AUTH-3008", 401, "The token is not valid or has expired."),
            Self::Overloaded => ("AUTH-3011", 503, "The server has too much to do. Try again shortly."),
            Self::NoSuchUser => ("AUTH-3018", 404, "The user was not found."),
            Self::ProviderUnknown => ("AUTH-3021", 400, "There is no provider of this name."),
            Self::SocialFailed => ("SSO-1002", 401, "The sign-in at the other provider failed."),
            Self::SocialUnknown => ("SSO-1003", 401, "The account of the other provider is not known here."),
            Self::NotEntitled => ("AUTH-3024", 401, "The application is not assigned to the user."),
            Self::WrongProtocol => ("AUTH-3026", 401, "The sign-in did not come by a way that is supported."),
            Self::DeniedByPolicy => ("AUTH-3033", 401, "The sign-on policy does not allow this."),
            Self::TermsRefused => ("AUTH-3035", 401, "The terms of use were not accepted."),
            Self::TermsMissing => ("AUTH-3036", 401, "There are no terms of use in this language."),
        }
    }

    /// As it is spelled.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The status it is usually answered with.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().1).unwrap_or(StatusCode::UNAUTHORIZED)
    }

    /// Its text.
    pub fn text(self) -> &'static str {
        self.row().2
    }
}

/// A step that was refused: a code, perhaps with a text or a status of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The code.
    pub code: Code,
    /// The status.
    pub status: StatusCode,
    /// What is told.
    pub message: String,
}

impl From<Code> for Failed {
    fn from(code: Code) -> Self {
        Self { code, status: code.status(), message: code.text().to_owned() }
    }
}

impl Failed {
    /// The same code with a text of its own.
    pub fn saying(code: Code, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::from(code) }
    }

    /// Readable, but something is missing (reference §3.2).
    pub fn incomplete(message: impl Into<String>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, ..Self::saying(Code::Invalid, message) }
    }

    /// A member has a value it may not have.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::saying(Code::Invalid, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_from_what_is_wrong_by_the_status() {
        assert_eq!(Failed::incomplete("x").status, 422);
        assert_eq!(Failed::invalid("x").status, 400);
        assert_eq!(Failed::from(Code::WrongPassword).status, 401);
        assert_eq!(Failed::from(Code::PushPending).status, 200);
    }
}
