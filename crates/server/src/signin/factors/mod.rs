//! The factors a person can prove. Each module makes what its factor needs and judges what comes back.
//!
//! No factor touches the store: records come in, and the changes a verdict implies go out with it, to be committed in
//! the same transaction. None counts guesses over accounts, looks anybody up, or knows a wire dialect.

pub mod otp;
pub mod password;
pub mod push;
pub mod qr;
pub mod questions;
pub mod totp;
pub mod webauthn;

use store::Change;

/// What a check said, and what must be written with it.
#[derive(Clone)]
pub struct Judgement {
    /// The answer was right.
    pub passed: bool,
    /// The authenticator verified the person (WebAuthn UV); false for every other factor.
    pub user_verified: bool,
    /// What the other identity provider said, where the factor is a sign-in there.
    pub upstream: Option<Box<engine::Upstream>>,
    /// The challenge can no longer be answered.
    pub challenge_dead: bool,
    /// Why, for audit and for the door's choice of message; never shown as it is.
    pub cause: Cause,
    /// To be committed together with the verdict.
    pub changes: Vec<Change>,
}

impl Judgement {
    /// A right answer.
    pub fn right() -> Self {
        Self {
            passed: true,
            user_verified: false,
            upstream: None,
            challenge_dead: false,
            cause: Cause::Right,
            changes: Vec::new(),
        }
    }

    /// A wrong answer, after which the same challenge may be tried again.
    pub fn failed(cause: Cause) -> Self {
        Self { passed: false, user_verified: false, upstream: None, challenge_dead: false, cause, changes: Vec::new() }
    }

    /// A wrong answer that ends the challenge.
    pub fn dead(cause: Cause) -> Self {
        Self { challenge_dead: true, ..Self::failed(cause) }
    }

    /// The same, with a change to be committed with it.
    pub(super) fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }
}

impl std::fmt::Debug for Judgement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judgement")
            .field("passed", &self.passed)
            .field("user_verified", &self.user_verified)
            .field("challenge_dead", &self.challenge_dead)
            .field("cause", &self.cause)
            .field("changes", &self.changes.len())
            .finish()
    }
}

/// Why a check came out as it did. For audit, and for doors that have several messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The answer was right.
    Right,
    /// Nothing is judged at present: too many wrong answers.
    Resting,
    /// The password is wrong, or nobody has this login.
    WrongPassword,
    /// The password is right but too old: another must take its place.
    PasswordExpired,
    /// The password is right but was set for one use: another must take its place.
    PasswordMustChange,
    /// The account may not sign in. Never shown as such without policy's leave.
    Inactive,
    /// The code is wrong; another try is left.
    WrongCode,
    /// The code is wrong, and that was the last try.
    NoTriesLeft,
    /// The challenge has expired.
    Expired,
    /// The challenge was answered, withdrawn or used up before.
    NotPending,
    /// What was presented is right but was used before.
    Replayed,
    /// The enrolment is switched off or belongs to another factor.
    Disabled,
    /// What is stored cannot be read: a fault of ours, logged.
    Unreadable,
    /// The response of the authenticator is not in form.
    Malformed,
    /// No such credential.
    UnknownCredential,
    /// The credential is another person's, or not among those asked for.
    ForeignCredential,
    /// The ceremony is of another type, challenge or relying party.
    WrongCeremony,
    /// The ceremony ran at an origin that is not the relying party's, or inside a foreign frame.
    WrongOrigin,
    /// The authenticator saw nobody.
    NotPresent,
    /// The authenticator did not verify the person although that was demanded.
    NotVerified,
    /// The signature is wrong.
    BadSignature,
    /// The signature counter did not grow: the credential may have been copied.
    CounterWentBack,
    /// Whether the credential can be backed up has changed, which it cannot.
    BackupChanged,
    /// An algorithm or attestation that is not accepted.
    NotAccepted,
}

/// Why a challenge or an enrolment cannot be made from this input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The factor is switched off in the tenant, or is no factor of this kind.
    #[error("the factor is switched off")]
    SwitchedOff,
    /// The enrolment has no address.
    #[error("the enrolment has no address")]
    NoAddress,
    /// The address is not one.
    #[error("the address is not valid")]
    BadAddress,
    /// The tenant does not write to this mail domain.
    #[error("the mail domain is not allowed")]
    DomainNotAllowed,
    /// The correlation has other characters than letters and digits, or is too long.
    #[error("the correlation may hold only letters and digits")]
    BadCorrelation,
    /// The secret is not base32, or too short or too long.
    #[error("the secret is not base32 of 16 to 128 bytes")]
    BadSecret,
    /// The settings of the factor cannot be used.
    #[error("the settings of the factor cannot be used")]
    BadSettings,
    /// `userVerification` is not one of `required`, `preferred`, `discouraged`.
    #[error("`userVerification` is none of `required`, `preferred`, `discouraged`")]
    BadUserVerification,
    /// The relying party is switched off.
    #[error("the relying party is switched off")]
    RelyingPartyOff,
    /// There is more to show than fits on a phone.
    #[error("there is too much to show")]
    TooMuchToShow,
    /// The text of the message could not be made.
    #[error("the message could not be written")]
    NoMessage,
}
