//! The schemas of people and groups: those of RFC 7643 §4, §8.7.1 and what the vendor adds, and the types made of them.

use serde_json::{Value, json};

use super::attribute::{Attribute, Kind, Returned};
use super::list::LARGEST_PAGE;
use super::model::{Model, Schema};

/// The URN of people.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The URN of groups.
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The URN of what enterprises add to people (RFC 7643 §4.3).
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// The URN of what the vendor adds to people.
pub const VENDOR: &str = "urn:ietf:params:scim:schemas:extension:ibm:2.0:User";

const PLACES: [&str; 3] = ["work", "home", "other"];

pub(super) const TYPE: Attribute = Attribute::text("type", "What the value is for.");
pub(super) const DISPLAY: Attribute = Attribute::text("display", "The value as it is shown to people.");
pub(super) const PRIMARY: Attribute =
    Attribute::new(Kind::Boolean, "primary", "Whether the value is the preferred one.");

pub(super) const NAME: [Attribute; 6] = [
    Attribute::text("formatted", "The whole name, as it is shown."),
    Attribute::text("familyName", "The family name."),
    Attribute::text("givenName", "The given name."),
    Attribute::text("middleName", "The middle name."),
    Attribute::text("honorificPrefix", "What stands before the name."),
    Attribute::text("honorificSuffix", "What stands behind the name."),
];
const EMAILS: [Attribute; 4] = [Attribute::text("value", "The address."), DISPLAY, TYPE.canonical(&PLACES), PRIMARY];
const PHONES: [Attribute; 4] = [
    Attribute::text("value", "The number."),
    DISPLAY,
    TYPE.canonical(&["work", "home", "mobile", "fax", "pager", "other"]),
    PRIMARY,
];
pub(super) const IMS: [Attribute; 4] = [
    Attribute::text("value", "The address."),
    DISPLAY,
    TYPE.canonical(&["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"]),
    PRIMARY,
];
pub(super) const PHOTOS: [Attribute; 4] = [
    Attribute::reference("value", "Where the picture is.", &["external"]),
    DISPLAY,
    TYPE.canonical(&["photo", "thumbnail"]),
    PRIMARY,
];
pub(super) const ADDRESSES: [Attribute; 8] = [
    Attribute::text("formatted", "The whole address, as it is shown."),
    Attribute::text("streetAddress", "Street and house number."),
    Attribute::text("locality", "The place."),
    Attribute::text("region", "The state or region."),
    Attribute::text("postalCode", "The postal code."),
    Attribute::text("country", "The country."),
    TYPE.canonical(&PLACES),
    PRIMARY,
];
pub(super) const GROUPS: [Attribute; 4] = [
    Attribute::text("value", "The identifier of the group.").exact().read_only(),
    Attribute::reference("$ref", "Where the group is.", &["Group"]).read_only(),
    Attribute::text("display", "The name of the group.").read_only(),
    Attribute::text("type", "Whether the person is in the group itself.").canonical(&["direct"]).read_only(),
];
pub(super) const WORDS: [Attribute; 4] = [Attribute::text("value", "The value."), DISPLAY, TYPE, PRIMARY];
pub(super) const CERTIFICATES: [Attribute; 4] =
    [Attribute::new(Kind::Binary, "value", "The certificate, DER."), DISPLAY, TYPE, PRIMARY];

/// The groups of a person.
pub(super) const MEMBER_OF: Attribute =
    Attribute::complex("groups", "The groups the person is in.", &GROUPS).many().read_only();

/// How many attributes a person has.
pub(super) const OF_A_PERSON: usize = 21;

/// The attributes of a person (RFC 7643 §4.1), with those parts in which the vendors differ.
pub(super) const fn of_a_person(
    emails: &'static [Attribute],
    phones: &'static [Attribute],
    groups: Attribute,
) -> [Attribute; OF_A_PERSON] {
    [
        Attribute::text("userName", "The login name.").required().unique(),
        Attribute::complex("name", "The parts of the name.", &NAME),
        Attribute::text("displayName", "The name as it is shown."),
        Attribute::text("nickName", "The casual name."),
        Attribute::reference("profileUrl", "Where the person's page is.", &["external"]),
        Attribute::text("title", "The position."),
        Attribute::text("userType", "How the person belongs to the organisation."),
        Attribute::text("preferredLanguage", "The languages the person prefers (RFC 9110 §12.5.4)."),
        Attribute::text("locale", "The language and region for numbers and dates."),
        Attribute::text("timezone", "The time zone, as the IANA names it."),
        Attribute::new(Kind::Boolean, "active", "Whether the person may sign in."),
        Attribute::text("password", "The password. It is never answered.").exact().write_only(),
        Attribute::complex("emails", "Mail addresses.", emails).many(),
        Attribute::complex("phoneNumbers", "Telephone numbers.", phones).many(),
        Attribute::complex("ims", "Addresses for instant messages.", &IMS).many(),
        Attribute::complex("photos", "Pictures.", &PHOTOS).many(),
        Attribute::complex("addresses", "Postal addresses.", &ADDRESSES).many(),
        groups,
        Attribute::complex("entitlements", "What the person is entitled to.", &WORDS).many(),
        Attribute::complex("roles", "The roles of the person.", &WORDS).many(),
        Attribute::complex("x509Certificates", "Certificates of the person.", &CERTIFICATES).many(),
    ]
}

static USER_ATTRIBUTES: [Attribute; OF_A_PERSON] = of_a_person(&EMAILS, &PHONES, MEMBER_OF);

const MANAGER: [Attribute; 3] = [
    Attribute::text("value", "The identifier of the manager.").exact(),
    Attribute::reference("$ref", "Where the manager is.", &["User"]),
    Attribute::text("displayName", "The name of the manager.").read_only(),
];
static ENTERPRISE_ATTRIBUTES: [Attribute; 6] = [
    Attribute::text("employeeNumber", "The number of the employee."),
    Attribute::text("costCenter", "The cost centre."),
    Attribute::text("organization", "The organisation."),
    Attribute::text("division", "The division."),
    Attribute::text("department", "The department."),
    Attribute::complex("manager", "The manager.", &MANAGER),
];

const CUSTOM: [Attribute; 2] = [
    Attribute::text("name", "The name of the attribute.").exact().required(),
    Attribute::text("values", "Its values.").many(),
];
static VENDOR_ATTRIBUTES: [Attribute; 3] = [
    Attribute::text("userCategory", "`regular`, or `federated` for people of another directory.")
        .canonical(&["regular", "federated"])
        .read_only(),
    Attribute::text("realm", "The realm of the identity source.").immutable(),
    Attribute::complex("customAttributes", "Attributes no schema has.", &CUSTOM).many(),
];

pub(super) const MEMBERS: [Attribute; 4] = [
    Attribute::text("value", "The identifier of the member.").exact().immutable(),
    Attribute::reference("$ref", "Where the member is.", &["User"]).immutable(),
    Attribute::text("type", "What the member is.").canonical(&["User"]).immutable(),
    Attribute::text("display", "The login name of the member.").read_only().returned(Returned::Request),
];
static GROUP_ATTRIBUTES: [Attribute; 2] = [
    Attribute::text("displayName", "The name of the group.").required().unique(),
    Attribute::complex("members", "The people in the group.", &MEMBERS).many(),
];

static USER_SCHEMA: Schema = Schema { id: USER, name: "User", description: "A person.", attributes: &USER_ATTRIBUTES };
pub(super) static ENTERPRISE_SCHEMA: Schema = Schema {
    id: ENTERPRISE,
    name: "EnterpriseUser",
    description: "What enterprises know of a person.",
    attributes: &ENTERPRISE_ATTRIBUTES,
};
static VENDOR_SCHEMA: Schema =
    Schema { id: VENDOR, name: "VendorUser", description: "What the vendor adds.", attributes: &VENDOR_ATTRIBUTES };
static GROUP_SCHEMA: Schema =
    Schema { id: GROUP, name: "Group", description: "A group of people.", attributes: &GROUP_ATTRIBUTES };

/// People as the standard has them.
pub static STANDARD_USER: Model = Model {
    name: "User",
    endpoint: "/Users",
    description: "People.",
    core: &USER_SCHEMA,
    extensions: &[&ENTERPRISE_SCHEMA],
};
/// People as the vendor has them.
pub static VENDOR_USER: Model = Model {
    name: "User",
    endpoint: "/Users",
    description: "People.",
    core: &USER_SCHEMA,
    extensions: &[&ENTERPRISE_SCHEMA, &VENDOR_SCHEMA],
};
/// Groups.
pub static STANDARD_GROUP: Model = Model {
    name: "Group",
    endpoint: "/Groups",
    description: "Groups of people.",
    core: &GROUP_SCHEMA,
    extensions: &[],
};

/// The schemas of these types, each once.
pub fn of(models: &[&'static Model]) -> Vec<&'static Schema> {
    let mut all: Vec<&'static Schema> = Vec::new();
    for model in models {
        for schema in std::iter::once(model.core).chain(model.extensions.iter().copied()) {
            if !all.iter().any(|known| known.id == schema.id) {
                all.push(schema);
            }
        }
    }
    all
}

/// What the server can do (RFC 7643 §5).
pub fn provider(base: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": true },
        "bulk": { "supported": true, "maxOperations": 100, "maxPayloadSize": 262_144 },
        "filter": { "supported": true, "maxResults": LARGEST_PAGE },
        "changePassword": { "supported": true },
        "sort": { "supported": true },
        "etag": { "supported": true },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "OAuth bearer token",
            "description": "An access token of a client that is entitled to the directory (RFC 6750).",
            "specUri": "https://www.rfc-editor.org/rfc/rfc6750",
            "primary": true,
        }],
        "meta": { "resourceType": "ServiceProviderConfig", "location": format!("{base}/ServiceProviderConfig") },
    })
}
