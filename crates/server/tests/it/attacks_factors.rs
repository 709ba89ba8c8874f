//! What people prove themselves with, under attack: authenticators nobody vouches for, credentials and ceremonies of others. Numbers
//! are those of the project's list of attack cases.

use serde_json::{Value, json};

use crate::support::browser::makers::{MAKER, MODEL, Maker, STRANGER};
use crate::support::browser::{Browser, Claim, Forger};
use crate::support::{ACME, Reply, Setup, TestServer, client, on_both};

const ORIGINS: &str = r#"origins = ["https://app.example.test"]"#;

fn setup(models: &str) -> Setup {
    let vouched = format!("{ORIGINS}\nattestation = {{ roots = [\"{}\"], models = [{models}] }}", MAKER.root);
    let more = "grant_types = [\"client_credentials\"]\nentitlements = [\"manageEnrollMFAMethodAnyUser\", \"manageAllUserGroups\"]";
    Setup::new().replace(ORIGINS, &vouched).add(&client("helpdesk", "h", more))
}

/// A desk that registers for others.
struct Desk<'a> {
    server: &'a TestServer,
    token: String,
}

impl<'a> Desk<'a> {
    async fn of(server: &'a TestServer) -> Self {
        Self { server, token: server.token_of("helpdesk", "h").await }
    }

    fn path(step: &str) -> String {
        format!("/v2.0/factors/fido2/relyingparties/{}/attestation/{step}", ACME.relying_party)
    }

    async fn options(&self, user: &str) -> Value {
        let body = json!({ "userId": user, "displayName": "Scott" });
        self.server.json("POST", &Self::path("options"), &self.token, &body).await.expect(200)
    }

    async fn result(&self, user: &str, response: &Value) -> Reply {
        let mut response = response.clone();
        response["userId"] = json!(user);
        self.server.json("POST", &Self::path("result"), &self.token, &response).await
    }

    /// A ceremony from its options to its end.
    async fn register(&self, user: &str, make: impl FnOnce(&Value) -> Value) -> Reply {
        let options = self.options(user).await;
        self.result(user, &make(&options)).await
    }
}

fn model(name: &str) -> [u8; 16] {
    *uuid::Uuid::try_parse(name).unwrap().as_bytes()
}

fn attested(forger: &Forger, options: &Value, name: &str, maker: &Maker) -> Value {
    let claim = Claim { format: "packed", ..Claim::honest_create(options, ACME.origin) };
    forger.create_as(&claim, model(name), Some(maker))
}

#[test]
fn attack_44_only_models_their_makers_vouch_for_are_registered() {
    on_both(async |store| {
        let server = setup(&format!("{MODEL:?}")).start_on(store).await;
        let desk = Desk::of(&server).await;
        let scott = ACME.admin.id;
        assert_eq!(desk.options(scott).await["attestation"], "direct");
        // Nobody vouches; it vouches for itself; somebody vouches who bears the maker's name.
        let mut browser = Browser::new(true);
        let options = desk.options(scott).await;
        let bare = browser.create(ACME.origin, &options).await.unwrap();
        desk.result(scott, &bare).await.factor_error(400, "CSIBN0021E");
        let forger = Forger::new(b"one");
        for format in ["none", "packed"] {
            let made = desk.register(scott, |options| {
                forger.create(&Claim { format, ..Claim::honest_create(options, ACME.origin) })
            });
            made.await.factor_error(400, "CSIBN0021E");
        }
        let home_made = desk.register(scott, |options| attested(&forger, options, MODEL, &STRANGER)).await;
        home_made.factor_error(400, "CSIBN0021E");
        // The maker vouches for one model, and another is claimed; or for a credential that this is not.
        let other = "7d1351f2-0a9e-4c0e-8a31-5fd12b6c9002";
        desk.register(scott, |options| attested(&forger, options, other, &MAKER)).await.factor_error(400, "CSIBN0021E");
        let moved = desk.register(scott, |options| {
            let mut response = attested(&forger, options, MODEL, &MAKER);
            let claim =
                Claim { format: "packed", flags: 0x45, ..Claim::honest_create(options, "https://evil.example") };
            response["response"]["clientDataJSON"] = forger.create(&claim)["response"]["clientDataJSON"].clone();
            response
        });
        moved.await.factor_error(400, "CSIBN0021E");
        let made = desk.register(scott, |options| attested(&forger, options, MODEL, &MAKER)).await.expect(200);
        for (member, value) in [("attestationType", "Basic"), ("attestationFormat", "packed"), ("aaGuid", MODEL)] {
            assert_eq!(made["attributes"][member], value, "{member}");
        }
        let shown = server.token_of("administration", "administration-demo-secret").await;
        let path = format!("/config/v2.0/factors/fido2/relyingparties/{}", ACME.relying_party);
        let party = server.get(&path, &shown).await.expect(200);
        assert_eq!(party["allowedAttestationTypes"], json!(["Basic", "AttCA"]));
    });
}

#[tokio::test]
async fn attack_44_a_model_that_is_not_listed_is_not_registered_whoever_vouches() {
    let server = setup("\"ee882879-721c-4913-9775-3dfcce97072a\"").start().await;
    let (desk, forger) = (Desk::of(&server).await, Forger::new(b"one"));
    let made = desk.register(ACME.admin.id, |options| attested(&forger, options, MODEL, &MAKER)).await;
    made.factor_error(400, "CSIBN0021E");
    // Where no model is named every one of the maker's is let in.
    let server = setup("").start().await;
    let desk = Desk::of(&server).await;
    desk.register(ACME.admin.id, |options| attested(&forger, options, MODEL, &MAKER)).await.expect(200);
}

#[test]
fn attack_44_a_credential_and_a_ceremony_have_one_owner() {
    on_both(async |store| {
        let more = "grant_types = [\"client_credentials\"]\nentitlements = [\"manageEnrollMFAMethodAnyUser\", \"manageAllUserGroups\"]";
        let native = "policy = 420017\npolicy_grants = { policyauth = true }";
        let server = Setup::new()
            .replace(native, &format!("{native}\nentitlements = [\"manageEnrollMFAMethod\"]"))
            .add(&client("helpdesk", "h", more))
            .start_on(store)
            .await;
        let desk = Desk::of(&server).await;
        // Before anything changes: the mail that tells of it is not the one with a code.
        let token = |tokens: &Value| tokens["access_token"].as_str().unwrap().to_owned();
        let (own, others) = (token(&server.sign_in().await), token(&server.sign_in_other().await));
        let forger = Forger::new(b"the same id for everybody");
        let honest = |options: &Value| forger.create(&Claim::honest_create(options, ACME.origin));
        desk.register(ACME.admin.id, honest).await.expect(200);
        // Another person's credential id, and the same person's once more.
        for user in [ACME.other.id, ACME.admin.id] {
            desk.register(user, honest).await.factor_error(400, "CSIBN0021E");
        }
        // A ceremony that was begun for somebody else, and one that is over.
        let second = Forger::new(b"another");
        let options = server.json("POST", &Desk::path("options"), &own, &json!({})).await.expect(200);
        let response = second.create(&Claim::honest_create(&options, ACME.origin));
        let result = async |token: &str| server.json("POST", &Desk::path("result"), token, &response).await;
        result(&others).await.factor_error(400, "CSIBN0021E");
        assert_eq!(result(&own).await.expect(200)["userId"], ACME.admin.id);
        result(&own).await.factor_error(400, "CSIBN0021E");
        // What an authenticator says of itself unasked is not believed, and not kept as if it were.
        let third = Forger::new(b"a third");
        let unasked = desk.register(ACME.other.id, |options| attested(&third, options, MODEL, &MAKER)).await;
        unasked.factor_error(400, "CSIBN0021E");
    });
}

#[tokio::test]
async fn several_relying_parties_keep_their_credentials_apart() {
    let more = "grant_types = [\"client_credentials\"]\nentitlements = [\"manageEnrollMFAMethodAnyUser\", \"manageAllUserGroups\"]";
    let party = "[[tenant.relying_parties]]\nid = \"9a1d7f0e-3a9e-4d34-9a55-0e4bb0c0a001\"\nrp_id = \"shop.example.test\"\n\
                 name = \"All of Example\"\norigins = [\"https://shop.example.test\"]\n";
    let server = Setup::new().add(&client("helpdesk", "h", more)).add(party).start().await;
    let desk = Desk::of(&server).await;
    let mut browser = Browser::new(true);
    let options = desk.options(ACME.admin.id).await;
    let response = browser.create(ACME.origin, &options).await.unwrap();
    // What one asked for is not answered at the other.
    let other = "/v2.0/factors/fido2/relyingparties/9a1d7f0e-3a9e-4d34-9a55-0e4bb0c0a001";
    let mut elsewhere = response.clone();
    elsewhere["userId"] = json!(ACME.admin.id);
    let reply = server.json("POST", &format!("{other}/attestation/result"), &desk.token, &elsewhere).await;
    reply.factor_error(400, "CSIBN0021E");
    let options = desk.options(ACME.admin.id).await;
    let response = browser.create(ACME.origin, &options).await.unwrap();
    let made = desk.result(ACME.admin.id, &response).await.expect(200);
    // Nor does a credential of one sign in at the other: it is not offered there, and not taken.
    let outside = crate::support::Challenge::of(&server.begin("203.0.113.9").await);
    let body = json!({ "userId": ACME.admin.id });
    let offered = server.json("POST", &format!("{other}/assertion/options"), &outside.token, &body).await.expect(200);
    assert!(!offered.to_string().contains(made["attributes"]["credentialId"].as_str().unwrap()), "{offered}");
    let options = server
        .json(
            "POST",
            &format!("/v2.0/factors/fido2/relyingparties/{}/assertion/options", ACME.relying_party),
            &outside.token,
            &json!({ "userId": null }),
        )
        .await
        .expect(200);
    let answer = browser.get(ACME.origin, &options).await.unwrap();
    let reply = server.json("POST", &format!("{other}/assertion/result?returnJwt=true"), &outside.token, &answer).await;
    reply.factor_error(400, "CSIBN0021E");
}
