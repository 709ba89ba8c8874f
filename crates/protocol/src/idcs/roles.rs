//! Owns the app roles: their names, the scope each stands for in a token, and what each opens (Oracle page §1.2).

use serde::{Deserialize, Serialize};

use crate::scope;

/// A role an application may hold. Names are Oracle's and are what tokens and tenant files say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AppRole {
    /// Every client has it.
    #[serde(rename = "Authenticated Client")]
    AuthenticatedClient,
    /// May run sign-ins.
    #[serde(rename = "Signin")]
    Signin,
    /// May let people register.
    #[serde(rename = "Self Registration")]
    SelfRegistration,
    /// May begin the way back to a forgotten password.
    #[serde(rename = "Forgot Password")]
    ForgotPassword,
    /// May end it.
    #[serde(rename = "Reset Password")]
    ResetPassword,
    /// May change a password that must be changed.
    #[serde(rename = "Change Password")]
    ChangePassword,
    /// May redeem what was mailed to an address.
    #[serde(rename = "Verify Email")]
    VerifyEmail,
    /// With a person's token: everything of their own.
    #[serde(rename = "Me")]
    Me,
    /// May verify factors on demand.
    #[serde(rename = "Authenticator Client")]
    AuthenticatorClient,
    /// May verify and enrol factors on demand.
    #[serde(rename = "MFA Client")]
    MfaClient,
    /// May do everything.
    #[serde(rename = "Identity Domain Administrator")]
    IdentityDomainAdministrator,
}

use AppRole::*;

impl AppRole {
    /// Every role.
    pub const ALL: [Self; 11] = [
        AuthenticatedClient,
        Signin,
        SelfRegistration,
        ForgotPassword,
        ResetPassword,
        ChangePassword,
        VerifyEmail,
        Me,
        AuthenticatorClient,
        MfaClient,
        IdentityDomainAdministrator,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            AuthenticatedClient => "Authenticated Client",
            Signin => "Signin",
            SelfRegistration => "Self Registration",
            ForgotPassword => "Forgot Password",
            ResetPassword => "Reset Password",
            ChangePassword => "Change Password",
            VerifyEmail => "Verify Email",
            Me => "Me",
            AuthenticatorClient => "Authenticator Client",
            MfaClient => "MFA Client",
            IdentityDomainAdministrator => "Identity Domain Administrator",
        }
    }

    /// The scope that stands for it in a token.
    pub fn scope(self) -> &'static str {
        match self {
            AuthenticatedClient => "urn:opc:idm:t.security.client",
            Signin => "urn:opc:idm:t.user.signin",
            SelfRegistration => "urn:opc:idm:t.user.mecreate",
            ForgotPassword => "urn:opc:idm:t.user.forgotpassword",
            ResetPassword => "urn:opc:idm:t.user.resetpassword",
            ChangePassword => "urn:opc:idm:t.user.changepassword",
            VerifyEmail => "urn:opc:idm:t.user.verifyemail",
            Me => "urn:opc:idm:t.user.me",
            AuthenticatorClient => "urn:opc:idm:t.user.authn.factors",
            MfaClient => "urn:opc:idm:t.mfa",
            IdentityDomainAdministrator => "urn:opc:idm:t.namedappadmin",
        }
    }

    /// The role a scope stands for.
    pub fn of_scope(scope: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.scope() == scope)
    }

    /// The roles the `scope` of a token holds.
    pub fn of_token(scope: &str) -> Vec<Self> {
        scope::parse(scope).unwrap_or_default().iter().filter_map(|one| Self::of_scope(one)).collect()
    }
}

/// In whose name a token speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// The client's own.
    Client,
    /// A person's, and whether that person administers the tenant.
    Person {
        /// Whether the tenant counts them among its administrators.
        administrator: bool,
    },
}

impl Holder {
    /// Whether a role of the client counts in this name: what is for strangers who sign in is the client's alone, and nobody
    /// administers through a client who does not administer by themselves.
    pub fn may_bear(self, role: AppRole) -> bool {
        match self {
            Self::Client => role != Me,
            Self::Person { administrator } => match role {
                AuthenticatedClient | Me => true,
                IdentityDomainAdministrator => administrator,
                Signin | SelfRegistration | ForgotPassword | ResetPassword | ChangePassword | VerifyEmail
                | AuthenticatorClient | MfaClient => false,
            },
        }
    }
}

/// One line of the table: a resource, the methods meant (none: all), and the roles any of which opens it to a client's own token and
/// to a person's.
type Line = (&'static str, &'static [&'static str], &'static [AppRole], &'static [AppRole]);

const READ: &[&str] = &["GET"];
const ALL: &[&str] = &[];
const NOBODY: &[AppRole] = &[];

/// What each role opens. Resources are named by their last fixed part of the path; what is not here is for administrators.
const TABLE: &[Line] = &[
    ("authenticate", ALL, &[Signin, ChangePassword], NOBODY),
    ("session", ALL, &[Signin], NOBODY),
    ("idp", ALL, &[Signin], NOBODY),
    ("SigningCert", READ, &[AuthenticatedClient], &[AuthenticatedClient]),
    ("AllowedValues", READ, &[AuthenticatedClient], &[AuthenticatedClient]),
    ("UserTokens", READ, &[AuthenticatedClient], &[AuthenticatedClient]),
    ("Me", &["POST"], &[SelfRegistration], NOBODY),
    ("Me", READ, NOBODY, &[Me, AuthenticatedClient]),
    ("Me", ALL, NOBODY, &[Me]),
    ("AccountRecoverySettings", READ, &[Signin], NOBODY),
    ("AuthenticationFactorSettings", READ, &[Signin], NOBODY),
    ("BrandingSettings", READ, &[Signin, SelfRegistration, ForgotPassword], NOBODY),
    ("SecurityQuestions", READ, &[Signin], &[Me]),
    ("SecurityQuestionSettings", READ, &[Signin], &[Me]),
    ("TermsOfUseStatements", READ, &[Signin], NOBODY),
    ("SelfRegistrationProfiles", READ, &[SelfRegistration], NOBODY),
    ("UserNameGenerator", &["POST"], &[SelfRegistration], NOBODY),
    ("MePasswordRecoveryOptionRetriever", ALL, &[ForgotPassword], NOBODY),
    ("MePasswordResetRequestor", ALL, &[ForgotPassword], NOBODY),
    ("MeSecurityQuestionsRetriever", ALL, &[ForgotPassword], NOBODY),
    ("MePasswordRecoveryFactorValidator", ALL, &[ForgotPassword, ResetPassword], NOBODY),
    ("MePasswordResetter", ALL, &[ResetPassword], NOBODY),
    ("MeSecurityQuestionAnswerValidator", ALL, &[ResetPassword], NOBODY),
    ("UserTokenValidator", ALL, &[ResetPassword], NOBODY),
    ("UserPasswordValidator", ALL, &[ResetPassword, ChangePassword], NOBODY),
    ("PasswordPolicies", READ, &[ResetPassword, ChangePassword], NOBODY),
    ("ApplicablePasswordPolicyRetriever", ALL, &[ResetPassword, ChangePassword], NOBODY),
    ("MePasswordMustChanger", ALL, &[ChangePassword], NOBODY),
    ("MeEmailVerified", ALL, &[VerifyEmail], NOBODY),
    ("MeEmailVerifier", ALL, NOBODY, &[Me]),
    ("MePasswordChanger", ALL, NOBODY, &[Me]),
    ("Asserter", ALL, &[AuthenticatorClient, MfaClient], NOBODY),
    ("HTTPAuthenticator", ALL, &[AuthenticatorClient, MfaClient], NOBODY),
    ("PasswordAuthenticator", ALL, &[AuthenticatorClient, MfaClient], NOBODY),
    ("mfa/requests", &["GET", "POST", "PATCH"], &[AuthenticatorClient, MfaClient], NOBODY),
    ("mfa/users", READ, &[AuthenticatorClient, MfaClient], NOBODY),
    ("mfa/users", &["POST", "PATCH", "DELETE"], &[MfaClient], NOBODY),
];

/// Whether a token with this `scope` opens a resource to its holder. `resource` is the last fixed part of the path (`Me`,
/// `MyDevices`, `authenticate`), with `mfa/` before those of the on-demand API.
pub fn opens(scope: &str, holder: Holder, resource: &str, method: &str) -> bool {
    let held = AppRole::of_token(scope);
    if held.contains(&IdentityDomainAdministrator) && holder.may_bear(IdentityDomainAdministrator) {
        return true;
    }
    demanded(resource, method, holder).iter().any(|role| held.contains(role) && holder.may_bear(*role))
}

/// The roles any of which opens a resource, beside that of an administrator.
pub fn demanded(resource: &str, method: &str, holder: Holder) -> &'static [AppRole] {
    // `Me…` are tasks with rules of their own; `My…` are a person's things.
    if resource.starts_with("My") {
        return match holder {
            Holder::Client => NOBODY,
            Holder::Person { .. } => &[Me],
        };
    }
    let fits = |line: &&Line| line.0 == resource && (line.1.is_empty() || line.1.contains(&method));
    TABLE.iter().find(fits).map_or(NOBODY, |(_, _, client, person)| match holder {
        Holder::Client => client,
        Holder::Person { .. } => person,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: Holder = Holder::Person { administrator: false };

    #[test]
    fn every_role_has_a_scope_and_a_name_of_its_own() {
        for role in AppRole::ALL {
            assert_eq!(AppRole::of_scope(role.scope()), Some(role));
            assert_eq!(serde_json::to_value(role).ok(), Some(role.name().into()));
        }
        assert_eq!(AppRole::of_scope("urn:opc:idm:__myscopes__"), None);
    }

    #[test]
    fn a_role_opens_its_own_and_nothing_else() {
        let signin = Signin.scope();
        assert!(opens(signin, Holder::Client, "authenticate", "POST"));
        assert!(opens(signin, Holder::Client, "SecurityQuestions", "GET"));
        for (resource, method) in [("SecurityQuestions", "POST"), ("Users", "GET"), ("Me", "GET"), ("MyDevices", "GET")]
        {
            assert!(!opens(signin, Holder::Client, resource, method), "{method} {resource}");
        }
        assert!(opens(Me.scope(), PERSON, "MyDevices", "DELETE"));
        assert!(opens(Me.scope(), PERSON, "Me", "PATCH"));
        assert!(!opens(Me.scope(), PERSON, "Me", "POST"));
        assert!(!opens(AuthenticatedClient.scope(), PERSON, "Me", "PATCH"));
        assert!(opens(AuthenticatedClient.scope(), PERSON, "Me", "GET"));
        assert!(opens(SelfRegistration.scope(), Holder::Client, "Me", "POST"));
        assert!(opens(AuthenticatorClient.scope(), Holder::Client, "mfa/requests", "PATCH"));
        assert!(!opens(AuthenticatorClient.scope(), Holder::Client, "mfa/users", "POST"));
        assert!(opens(MfaClient.scope(), Holder::Client, "mfa/users", "DELETE"));
    }

    #[test]
    fn what_is_the_client_s_own_never_counts_in_a_person_s_token() {
        for role in [Signin, SelfRegistration, ForgotPassword, ResetPassword, ChangePassword, VerifyEmail, MfaClient] {
            for (resource, methods, _, _) in TABLE {
                for method in if methods.is_empty() { &["POST"][..] } else { methods } {
                    assert!(!opens(role.scope(), PERSON, resource, method), "{role:?} {method} {resource}");
                }
            }
        }
    }

    #[test]
    fn nobody_administers_through_a_client_who_does_not_by_themselves() {
        let scope = IdentityDomainAdministrator.scope();
        assert!(opens(scope, Holder::Client, "Users", "DELETE"));
        assert!(opens(scope, Holder::Person { administrator: true }, "Users", "DELETE"));
        assert!(!opens(scope, PERSON, "Users", "GET"));
    }
}
