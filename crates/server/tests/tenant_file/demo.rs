//! The tenant files that come with the source.

use std::collections::BTreeSet;
use std::path::Path;

use countersign::tenant_file::{TenantFile, load};
use engine::FactorKind;
use engine::facts::{ClientType, Fact, Facts, Subject};
use engine::policy::{Contact, Outcome};

fn demo(name: &str) -> TenantFile {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo").join(name);
    load(&path).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

#[test]
fn the_demonstration_tenants_have_no_problem_and_do_not_collide() {
    for name in ["tenant.toml", "second-tenant.toml"] {
        let file = demo(name);
        assert_eq!(file.tenants.len(), 1);
        assert!(file.requests("http://127.0.0.1:9999").unwrap().contains("curl -s http://"));
    }
    let requests = demo("tenant.toml").requests("http://127.0.0.1:9999/").unwrap();
    assert!(
        requests.contains("curl -s http://127.0.0.1:9999/oauth2/token") && !requests.contains("{base}"),
        "{requests}"
    );
    let both = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo")).unwrap();
    assert_eq!(both.tenants.len(), 2);
}

#[test]
fn one_person_has_every_standard_claim() {
    let file = demo("tenant.toml");
    let claims = [
        "name",
        "given_name",
        "family_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "email",
        "email_verified",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "phone_number",
        "phone_number_verified",
        "updated_at",
        "address.formatted",
        "address.street_address",
        "address.locality",
        "address.region",
        "address.postal_code",
        "address.country",
    ];
    let full = |user: &protocol::records::User| claims.iter().all(|claim| user.attributes.contains_key(*claim));
    assert!(file.tenants[0].users.iter().any(|part| full(&part.user)));
}

/// What the policy of the first client that has one says: for an address and, once somebody is known, their groups.
fn decide(file: &TenantFile, contact: Contact, ip: &str, group: Option<(&str, &str)>) -> Outcome {
    let part = &file.tenants[0];
    let id = part.clients.iter().find_map(|part| part.client.policy).unwrap();
    let document = &part.policies.iter().find(|policy| policy.id == id).unwrap().document;
    let policy = countersign::policy_document::parse(document, id, 1).unwrap();
    let mut facts = Facts::of_client(ClientType::Confidential);
    facts.ip = Fact::Known(ip.parse().unwrap());
    facts.subject = Fact::Known(Subject {
        groups: group.map(|(id, name)| vec![id.to_owned(), name.to_owned()]).unwrap_or_default(),
        realm: part.sources[0].realm.clone(),
        user_type: "regular".to_owned(),
        attributes: Default::default(),
    });
    let offered = countersign::directory::offered(&part.tenant.settings);
    engine::policy::decide(&policy, contact, &facts, &offered).outcome
}

/// The kinds asked for.
fn asked(outcome: Outcome) -> Vec<Vec<FactorKind>> {
    match outcome {
        Outcome::Demand(demands) => demands.into_iter().map(|demand| demand.any_of).collect(),
        Outcome::Allow => Vec::new(),
        Outcome::Deny => panic!("denied"),
    }
}

#[test]
fn both_policies_decide_alike_however_they_are_spelled() {
    for name in ["tenant.toml", "second-tenant.toml"] {
        let file = demo(name);
        let group = &file.tenants[0].groups[0];
        let member = Some((group.id.as_str(), group.name.as_str()));
        for (ip, first) in [
            ("192.168.1.1", FactorKind::Password),
            ("192.168.1.255", FactorKind::Password),
            ("192.168.2.0", FactorKind::Passkey),
            ("203.0.113.9", FactorKind::Passkey),
            ("2001:db8::1", FactorKind::Passkey),
        ] {
            assert_eq!(asked(decide(&file, Contact::First, ip, None)), [[first]], "{name} {ip}");
            let after = asked(decide(&file, Contact::After, ip, member));
            assert_eq!(after, [[FactorKind::EmailOtp]], "{name} {ip}");
            assert!(asked(decide(&file, Contact::After, ip, None)).is_empty(), "{name} {ip}");
        }
    }
}

#[test]
fn the_two_worlds_share_no_identifier() {
    let (one, two) = (demo("tenant.toml"), demo("second-tenant.toml"));
    let ids = |file: &TenantFile| {
        let part = &file.tenants[0];
        let mut ids: Vec<String> = vec![part.tenant.id.to_string()];
        ids.extend(part.tenant.urls.iter().cloned());
        ids.extend(
            part.sources.iter().flat_map(|source| [source.id.to_string(), source.name.clone(), source.realm.clone()]),
        );
        ids.extend(part.groups.iter().flat_map(|group| [group.id.to_string(), group.name.clone()]));
        ids.extend(part.users.iter().flat_map(|part| [part.user.id.to_string(), part.user.username.clone()]));
        ids.extend(part.enrolments.iter().map(|part| part.id.to_string()));
        ids.extend(part.clients.iter().map(|part| part.client.id.to_string()));
        ids.extend(part.policies.iter().map(|policy| policy.id.to_string()));
        ids.extend(part.relying_parties.iter().map(|party| party.id.to_string()));
        ids
    };
    let (one, two) = (ids(&one), ids(&two));
    assert!(one.len() > 15 && two.len() > 10);
    assert_eq!(one.iter().filter(|id| two.contains(id)).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// The names in the first column of the tables in a part of the reference.
fn told(from: &str, to: &str) -> BTreeSet<String> {
    let page = include_str!("../../../../docs/tenant-file.md");
    let part = page.split_once(from).unwrap().1.split_once(to).unwrap().0;
    let cells = part.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    cells.flat_map(|cell| cell.split('`')).map(|name| name.trim().to_owned()).filter(|name| name.len() > 1).collect()
}

/// The fields of a record in its stored form.
fn fields(record: &impl serde::Serialize) -> BTreeSet<String> {
    serde_json::to_value(record).unwrap().as_object().unwrap().keys().cloned().collect()
}

#[test]
fn the_reference_names_every_field_and_no_other() {
    let client: protocol::records::Client = serde_json::from_value(serde_json::json!({ "id": "x" })).unwrap();
    let mut of_client = fields(&client);
    for stored_only in ["secrets", "keys", "not_before", "registration"] {
        assert!(of_client.remove(stored_only), "{stored_only}");
    }
    of_client.extend(["secret", "secret_sha256", "jwks", "jwks_uri"].map(str::to_owned));
    assert_eq!(told("## `[[tenant.clients]]`", "## `[[tenant.keys]]`"), of_client);
    let of_settings = fields(&protocol::records::TenantSettings::default());
    assert_eq!(told("### `[tenant.settings]`", "## `[[tenant.sources]]`"), of_settings);
}
