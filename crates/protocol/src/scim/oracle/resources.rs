//! What stands beside people and groups in Oracle's shape: applications, devices, browsers that are trusted, and the settings that
//! sign-in pages read. Owns which attributes each has, so that filters, paths and projections work on them.

use super::{ACTOR, Attribute, Kind, Model, Schema};

const fn text(name: &'static str) -> Attribute {
    Attribute::text(name, "")
}
const fn exact(name: &'static str) -> Attribute {
    text(name).exact()
}
const fn flag(name: &'static str) -> Attribute {
    Attribute::new(Kind::Boolean, name, "")
}
const fn number(name: &'static str) -> Attribute {
    Attribute::new(Kind::Integer, name, "")
}
const fn moment(name: &'static str) -> Attribute {
    Attribute::new(Kind::DateTime, name, "")
}
const fn complex(name: &'static str, sub: &'static [Attribute]) -> Attribute {
    Attribute::complex(name, "", sub)
}
const fn schema(id: &'static str, name: &'static str, attributes: &'static [Attribute]) -> Schema {
    Schema { id, name, description: "", attributes }
}
const fn model(name: &'static str, endpoint: &'static str, core: &'static Schema) -> Model {
    Model { name, endpoint, description: "", core, extensions: &[] }
}

const REFERENCE: [Attribute; 3] = [exact("value"), exact("$ref").read_only(), text("display").read_only()];
const LOCALISED: [Attribute; 3] = [text("value"), text("locale"), flag("default")];
const CREATED: Attribute = complex("idcsCreatedBy", &ACTOR).read_only();
const MODIFIED: Attribute = complex("idcsLastModifiedBy", &ACTOR).read_only();

/// The schema of applications.
pub const APP: &str = "urn:ietf:params:scim:schemas:oracle:idcs:App";
const SCOPES: [Attribute; 1] = [text("fqs")];
static APP_ATTRIBUTES: [Attribute; 22] = [
    exact("name").immutable(),
    text("displayName").required(),
    text("description"),
    flag("active"),
    flag("isOAuthClient").read_only(),
    flag("isLoginTarget").read_only(),
    flag("isOPCService").read_only(),
    text("loginMechanism").read_only(),
    text("clientType"),
    exact("clientSecret").read_only(),
    exact("allowedGrants").many(),
    exact("redirectUris").many(),
    exact("postLogoutRedirectUris").many(),
    complex("allowedScopes", &SCOPES).many().read_only(),
    complex("grantedAppRoles", &REFERENCE).many().read_only(),
    complex("termsOfUse", &REFERENCE),
    exact("loginPageUrl"),
    exact("errorPageUrl"),
    number("accessTokenExpiry"),
    number("refreshTokenExpiry"),
    CREATED,
    MODIFIED,
];
static APP_SCHEMA: Schema = schema(APP, "App", &APP_ATTRIBUTES);
/// Applications.
pub static ORACLE_APP: Model = model("App", "/Apps", &APP_SCHEMA);

/// The schema of devices.
pub const DEVICE: &str = "urn:ietf:params:scim:schemas:oracle:idcs:Device";
const FACTORS: [Attribute; 3] = [text("type"), text("status"), exact("publicKey")];
const PAIRS: [Attribute; 2] = [text("key"), text("value")];
static DEVICE_ATTRIBUTES: [Attribute; 16] = [
    text("displayName"),
    text("status").read_only(),
    complex("authenticationFactors", &FACTORS).many().read_only(),
    text("phoneNumber").read_only(),
    text("countryCode").read_only(),
    text("platform").read_only(),
    text("deviceType").read_only(),
    exact("deviceUUID").read_only(),
    text("appVersion").read_only(),
    moment("lastSyncTime").read_only(),
    moment("lastValidatedTime").read_only(),
    flag("isAccRecEnabled").read_only(),
    complex("additionalAttributes", &PAIRS).many().read_only(),
    complex("user", &REFERENCE).read_only(),
    CREATED,
    MODIFIED,
];
static DEVICE_SCHEMA: Schema = schema(DEVICE, "Device", &DEVICE_ATTRIBUTES);
/// Devices.
pub static ORACLE_DEVICE: Model = model("Device", "/Devices", &DEVICE_SCHEMA);

/// The schema of browsers that are trusted.
pub const AGENT: &str = "urn:ietf:params:scim:schemas:oracle:idcs:TrustedUserAgent";
static AGENT_ATTRIBUTES: [Attribute; 12] = [
    text("name").read_only(),
    text("platform").read_only(),
    text("location").read_only(),
    text("browser").read_only(),
    text("tokenType").read_only(),
    exact("trustToken").read_only(),
    moment("expiryTime").read_only(),
    moment("lastUsedOn").read_only(),
    complex("user", &REFERENCE).read_only(),
    complex("app", &REFERENCE).read_only(),
    CREATED,
    MODIFIED,
];
static AGENT_SCHEMA: Schema = schema(AGENT, "TrustedUserAgent", &AGENT_ATTRIBUTES);
/// Browsers that are trusted, and those in which people stay signed in.
pub static ORACLE_AGENT: Model = model("TrustedUserAgent", "/TrustedUserAgents", &AGENT_SCHEMA);

/// The schema of questions.
pub const QUESTION: &str = "urn:ietf:params:scim:schemas:oracle:idcs:SecurityQuestion";
static QUESTION_ATTRIBUTES: [Attribute; 3] =
    [flag("active").read_only(), text("type").read_only(), complex("questionText", &LOCALISED).many().read_only()];
static QUESTION_SCHEMA: Schema = schema(QUESTION, "SecurityQuestion", &QUESTION_ATTRIBUTES);
/// Questions that people may choose.
pub static ORACLE_QUESTION: Model = model("SecurityQuestion", "/SecurityQuestions", &QUESTION_SCHEMA);

/// The schema of password policies.
pub const POLICY: &str = "urn:ietf:params:scim:schemas:oracle:idcs:PasswordPolicy";
static POLICY_ATTRIBUTES: [Attribute; 28] = [
    text("name").read_only(),
    text("description").read_only(),
    number("priority").read_only(),
    number("minLength").read_only(),
    number("maxLength").read_only(),
    number("minLowerCase").read_only(),
    number("minUpperCase").read_only(),
    number("minAlphas").read_only(),
    number("minNumerals").read_only(),
    number("minAlphaNumerals").read_only(),
    number("minSpecialChars").read_only(),
    number("maxSpecialChars").read_only(),
    number("minUniqueChars").read_only(),
    number("maxRepeatedChars").read_only(),
    flag("startsWithAlphabet").read_only(),
    flag("userNameDisallowed").read_only(),
    flag("firstNameDisallowed").read_only(),
    flag("lastNameDisallowed").read_only(),
    text("disallowedChars").read_only(),
    text("requiredChars").read_only(),
    number("numPasswordsInHistory").read_only(),
    number("passwordExpiresAfter").read_only(),
    number("maxIncorrectAttempts").read_only(),
    number("lockoutDuration").read_only(),
    text("passwordStrength").read_only(),
    flag("forcePasswordReset").read_only(),
    CREATED,
    MODIFIED,
];
static POLICY_SCHEMA: Schema = schema(POLICY, "PasswordPolicy", &POLICY_ATTRIBUTES);
/// The rules new passwords are held to.
pub static ORACLE_POLICY: Model = model("PasswordPolicy", "/PasswordPolicies", &POLICY_SCHEMA);

/// The schema of terms of use.
pub const TERMS: &str = "urn:ietf:params:scim:schemas:oracle:idcs:TermsOfUse";
const STATEMENTS: [Attribute; 3] = [exact("value").required(), text("locale").read_only(), exact("$ref").read_only()];
static TERMS_ATTRIBUTES: [Attribute; 7] = [
    text("name").required(),
    text("description"),
    flag("active"),
    number("expiryDays"),
    complex("statements", &STATEMENTS).many(),
    CREATED,
    MODIFIED,
];
static TERMS_SCHEMA: Schema = schema(TERMS, "TermsOfUse", &TERMS_ATTRIBUTES);
/// Terms of use.
pub static ORACLE_TERMS: Model = model("TermsOfUse", "/TermsOfUses", &TERMS_SCHEMA);

/// The schema of their statements.
pub const STATEMENT: &str = "urn:ietf:params:scim:schemas:oracle:idcs:TermsOfUseStatement";
static STATEMENT_ATTRIBUTES: [Attribute; 4] =
    [text("locale").required(), exact("statement").required(), CREATED, MODIFIED];
static STATEMENT_SCHEMA: Schema = schema(STATEMENT, "TermsOfUseStatement", &STATEMENT_ATTRIBUTES);
/// The words of terms of use in one language each.
pub static ORACLE_STATEMENT: Model = model("TermsOfUseStatement", "/TermsOfUseStatements", &STATEMENT_SCHEMA);

/// The schema of lists of values.
pub const VALUES: &str = "urn:ietf:params:scim:schemas:oracle:idcs:AllowedValue";
const LABELLED: [Attribute; 2] = [text("value"), text("label")];
static VALUES_ATTRIBUTES: [Attribute; 2] =
    [text("attrName").read_only(), complex("attrValues", &LABELLED).many().read_only()];
static VALUES_SCHEMA: Schema = schema(VALUES, "AllowedValue", &VALUES_ATTRIBUTES);
/// Lists of values that forms offer.
pub static ORACLE_VALUES: Model = model("AllowedValue", "/AllowedValues", &VALUES_SCHEMA);

/// The schema of profiles of registration.
pub const PROFILE: &str = "urn:ietf:params:scim:schemas:oracle:idcs:SelfRegistrationProfile";
const FIELDS: [Attribute; 5] =
    [text("value"), number("seqNumber"), text("fullyQualifiedAttributeName"), text("metadata"), text("deleteValue")];
static PROFILE_ATTRIBUTES: [Attribute; 16] = [
    text("name").read_only(),
    flag("active").read_only(),
    flag("showOnLoginPage").read_only(),
    flag("activationEmailRequired").read_only(),
    number("numberOfDaysRedirectUrlIsValid").read_only(),
    text("allowedEmailDomains").many().read_only(),
    complex("displayName", &LOCALISED).many().read_only(),
    complex("userAttributes", &FIELDS).many().read_only(),
    flag("consentTextPresent").read_only(),
    complex("consentText", &LOCALISED).many().read_only(),
    text("headerLogo").read_only(),
    complex("headerText", &LOCALISED).many().read_only(),
    text("footerLogo").read_only(),
    complex("footerText", &LOCALISED).many().read_only(),
    CREATED,
    MODIFIED,
];
static PROFILE_SCHEMA: Schema = schema(PROFILE, "SelfRegistrationProfile", &PROFILE_ATTRIBUTES);
/// How people may register themselves.
pub static ORACLE_PROFILE: Model = model("SelfRegistrationProfile", "/SelfRegistrationProfiles", &PROFILE_SCHEMA);
