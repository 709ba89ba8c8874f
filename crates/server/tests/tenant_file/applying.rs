//! The store follows the file: once, again, and back.

use countersign::hashing::{Cost, Hashing};
use countersign::keys::MasterKey;
use countersign::tenant_file::{ApplyError, TenantFile, apply, load_text};
use countersign::world::World;
use protocol::records::{
    Client, ClientId, ClientSecret, EnrolmentId, Group, GroupId, SourceId, TenantId, User, UserId,
};
use store::{DirectoryChange, Store, TenantRows};

pub(super) const NOW: i64 = 1_800_000_000;

/// A store with what applying needs beside it.
pub(super) struct Bench {
    pub(super) store: Store,
    pub(super) master: MasterKey,
    pub(super) hashing: Hashing,
    pub(super) world: World,
}

impl Bench {
    pub(super) async fn new() -> Self {
        // Hashing as cheap as it can be: what is tried here is what is hashed, not how well.
        let cost = Cost { lanes: 1, queue: 64, memory: 8, passes: 1, parallel: 1 };
        Self {
            store: Store::temporary().unwrap(),
            master: MasterKey::generate(),
            hashing: Hashing::start(cost).unwrap(),
            world: World::fake(NOW),
        }
    }

    pub(super) async fn apply(&self, text: &str) -> Vec<String> {
        self.try_apply(&file(text), false).await.unwrap()
    }

    async fn try_apply(&self, file: &TenantFile, dry_run: bool) -> Result<Vec<String>, ApplyError> {
        apply(&self.store, &self.master, &self.hashing, &self.world, file, dry_run).await
    }

    pub(super) async fn rows(&self, tenant: &str) -> TenantRows {
        let rows = self.store.load_directory().await.unwrap();
        rows.tenants.into_iter().find(|rows| rows.tenant.id.as_str() == tenant).unwrap()
    }

    pub(super) async fn user(&self, id: &str) -> Option<User> {
        self.store.user(&tenant(), &UserId::from(id)).await.unwrap()
    }
}

fn file(text: &str) -> TenantFile {
    load_text("t.toml", text).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

pub(super) fn tenant() -> TenantId {
    TenantId::from("t")
}

pub(super) const WORLD: &str = r#"
[[tenant]]
id = "t"
name = "T"
urls = ["https://t.example.test"]
[[tenant.sources]]
id = "11111111-1111-4111-8111-111111111111"
name = "People"
realm = "people"
[[tenant.groups]]
id = "G1"
name = "STAFF"
[[tenant.users]]
id = "AAAAAAAAA1"
username = "ann"
password = "secret-of-ann"
groups = ["STAFF"]
attributes = { email = "ann@example.test", address = { locality = "Bath" } }
[[tenant.users]]
id = "AAAAAAAAA2"
username = "bo"
[[tenant.relying_parties]]
id = "33333333-3333-4333-8333-333333333333"
rp_id = "example.test"
origins = ["https://example.test"]
[[tenant.enrolments]]
id = "22222222-2222-4222-8222-222222222221"
user = "ann"
kind = "email-otp"
address = "ann@example.test"
[[tenant.enrolments]]
id = "22222222-2222-4222-8222-222222222222"
user = "ann"
kind = "totp"
secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
[[tenant.enrolments]]
id = "22222222-2222-4222-8222-222222222223"
user = "bo"
kind = "passkey"
relying_party = "33333333-3333-4333-8333-333333333333"
credential_id = "AQIDBA"
public_key = "pQECAyYgASFYIGw6QjivPm6UPFuIymSTDQCuSgdH9rTMq3ukk8DPnasRIlgg34I7Fs1m1_0X8iDrhHGvqfiGIrofIGIW-1xtmNPlQI4"
counter = 4
nickname = "Laptop"
[[tenant.policies]]
id = 7
name = "P"
meta = { state = "ACTIVE", enforcementType = "nativeAppWeb" }
[[tenant.policies.rules]]
name = "First"
alwaysRun = false
firstFactor = true
conditions = []
result = { action = "ACTION_MFA_ALWAYS", authnMethods = ["password"] }
[[tenant.policies.rules]]
name = "Then"
alwaysRun = false
firstFactor = false
conditions = []
result = { action = "ACTION_ALLOW", authnMethods = [] }
[[tenant.clients]]
id = "chosen"
secret = "a chosen secret"
grant_types = ["policyauth"]
policy = 7
policy_grants = { policyauth = true }
[[tenant.clients]]
id = "generated"
secret_sha256 = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
grant_types = ["client_credentials"]
[[tenant.keys]]
alg = "RS256"
[[tenant.keys]]
alg = "ES256"
"#;

#[tokio::test]
async fn a_file_applied_twice_changes_nothing_the_second_time() {
    let bench = Bench::new().await;
    let lines = bench.apply(WORLD).await;
    for line in [
        "t: tenant added",
        "t: identity source `11111111-1111-4111-8111-111111111111` added",
        "t: group `G1` added",
        "t: user `AAAAAAAAA1` added",
        "t: enrolment `22222222-2222-4222-8222-222222222222` added",
        "t: relying party `33333333-3333-4333-8333-333333333333` added",
        "t: policy `7` added",
        "t: client `chosen` added",
        "t: key `server` added",
    ] {
        assert!(lines.iter().any(|found| found == line), "`{line}` is not in {lines:#?}");
    }
    let version = bench.store.directory_version().await.unwrap();
    bench.world.advance(1000);
    assert_eq!(bench.apply(WORLD).await, Vec::<String>::new());
    assert_eq!(bench.store.directory_version().await.unwrap(), version, "nothing was written");
}

/// How many keys sign, and how many others encrypt to.
fn signing_and_decrypting(keys: &[protocol::records::KeyRecord]) -> (usize, usize) {
    let decrypting = keys.iter().filter(|key| key.decrypts).count();
    (keys.len() - decrypting, decrypting)
}

#[tokio::test]
async fn what_is_stored_is_what_the_file_says() {
    let bench = Bench::new().await;
    bench.apply(WORLD).await;
    let user = bench.user("AAAAAAAAA1").await.unwrap();
    assert_eq!(user.groups.into_iter().collect::<Vec<_>>(), [GroupId::from("G1")]);
    assert_eq!(user.attributes["address.locality"], ["Bath"]);
    let phc = user.password.unwrap();
    assert!(phc.starts_with("$argon2id$"), "{phc}");
    assert!(bench.hashing.verify(&phc, "secret-of-ann".into()).await.unwrap());
    assert_eq!(bench.user("AAAAAAAAA2").await.unwrap().password, None);

    let rows = bench.rows("t").await;
    let client = |id: &str| rows.clients.iter().find(|client| client.id.as_str() == id).unwrap();
    assert!(matches!(&client("chosen").secrets[..], [ClientSecret::Chosen { phc, expires: None }]
        if phc.starts_with("$argon2id$")));
    assert!(matches!(&client("generated").secrets[..], [ClientSecret::Generated { expires: None, .. }]));
    assert_eq!(client("chosen").policy, Some(7));
    assert_eq!(signing_and_decrypting(&rows.keys), (2, 2));
    assert!(rows.policies[0].primary && rows.policies[0].revision == 1);

    let credential = bench.store.enrolment_by_lookup(&tenant(), "passkey", "AQIDBA").await.unwrap().unwrap();
    assert_eq!((credential.user.as_str(), &credential.attributes["counter"]), ("AAAAAAAAA2", &4.into()));
    assert_eq!(credential.attributes["rpId"], "example.test");
}

#[tokio::test]
async fn a_dry_run_tells_the_same_and_writes_nothing() {
    let bench = Bench::new().await;
    let version = bench.store.directory_version().await.unwrap();
    let told = bench.try_apply(&file(WORLD), true).await.unwrap();
    assert_eq!(bench.store.directory_version().await.unwrap(), version);
    assert!(bench.store.load_directory().await.unwrap().tenants.is_empty());
    assert_eq!(bench.user("AAAAAAAAA1").await, None);
    let done = bench.apply(WORLD).await;
    // The names of generated keys are drawn anew.
    let stable = |lines: &[String]| lines.iter().filter(|line| !line.contains("key `")).cloned().collect::<Vec<_>>();
    assert_eq!((stable(&told), told.len()), (stable(&done), done.len()));

    let changed = WORLD
        .replace("secret-of-ann", "another")
        .replace("\"STAFF\"\n", "\"CREW\"\n")
        .replace("groups = [\"STAFF\"]", "");
    let told = bench.try_apply(&file(&changed), true).await.unwrap();
    assert_eq!(told, ["t: group `G1` changed (name)", "t: user `AAAAAAAAA1` changed (groups, password)"]);
    assert_eq!(bench.apply(WORLD).await, Vec::<String>::new());
}

#[tokio::test]
async fn changes_are_told_by_name_and_only_they_are_made() {
    let bench = Bench::new().await;
    bench.apply(WORLD).await;
    bench.world.advance(60);
    let changed = WORLD
        .replace("name = \"T\"", "name = \"Tea\"\nsettings = { lock_after = 9 }")
        .replace("\"secret-of-ann\"", "\"a better one\"")
        .replace("a chosen secret", "a newer secret")
        .replace("nickname = \"Laptop\"", "nickname = \"Old laptop\"")
        .replace("id = \"generated\"", "id = \"generated\"\nscopes = [\"x\"]");
    assert_eq!(
        bench.apply(&changed).await,
        [
            "t: tenant changed (name, settings: lock_after)",
            "t: user `AAAAAAAAA1` changed (password)",
            "t: enrolment `22222222-2222-4222-8222-222222222223` changed (attributes, payload)",
            "t: client `chosen` changed (secrets)",
            "t: client `generated` changed (scopes)",
        ]
    );
    let user = bench.user("AAAAAAAAA1").await.unwrap();
    assert_eq!((user.created, user.updated), (NOW, NOW + 60));
    assert!(bench.hashing.verify(&user.password.unwrap(), "a better one".into()).await.unwrap());
    assert_eq!(bench.apply(&changed).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_policy_that_decides_otherwise_becomes_a_new_revision() {
    let bench = Bench::new().await;
    bench.apply(WORLD).await;
    let reworded = WORLD.replace("name = \"P\"", "name = \"Policy\"");
    assert_eq!(bench.apply(&reworded).await, ["t: policy `7` changed (in words only)"]);
    assert_eq!(bench.rows("t").await.policies[0].revision, 1);

    let stricter = reworded.replace("ACTION_ALLOW", "ACTION_DENY");
    assert_eq!(bench.apply(&stricter).await, ["t: policy `7` changed (revision 2)"]);
    let revisions = bench.store.policy_revisions(&tenant(), 7).await.unwrap();
    let seen: Vec<_> = revisions.iter().map(|record| (record.revision, record.primary)).collect();
    assert_eq!(seen, [(1, false), (2, true)], "a sign-in that began with the first revision still finds it");
    assert_eq!(bench.apply(&stricter).await, Vec::<String>::new());
}

#[tokio::test]
async fn only_what_the_file_made_is_removed_with_it() {
    let bench = Bench::new().await;
    bench.apply(WORLD).await;
    let by_hand: Client = serde_json::from_value(serde_json::json!({ "id": "by-hand" })).unwrap();
    let person =
        User { id: UserId::from("BBBBBBBBB1"), username: "zoe".to_owned(), ..bench.user("AAAAAAAAA2").await.unwrap() };
    let source = SourceId::from("11111111-1111-4111-8111-111111111111");
    let group = Group { id: GroupId::from("G9"), name: "GUESTS".to_owned(), source };
    let changes = vec![
        DirectoryChange::PutClient(Box::new(by_hand)),
        DirectoryChange::PutUser { user: person, managed: false },
        DirectoryChange::PutGroup(group),
    ];
    bench.store.change_directory(&tenant(), changes).await.unwrap();
    assert_eq!(bench.apply(WORLD).await, Vec::<String>::new(), "what others made is no business of the file");

    let smaller = r#"
[[tenant]]
id = "t"
name = "T"
urls = ["https://t.example.test"]
[[tenant.sources]]
id = "11111111-1111-4111-8111-111111111111"
name = "People"
realm = "people"
[[tenant.keys]]
alg = "RS256"
"#;
    assert_eq!(
        bench.apply(smaller).await,
        [
            "t: list of what the file made changed",
            "t: enrolment `22222222-2222-4222-8222-222222222221` removed",
            "t: enrolment `22222222-2222-4222-8222-222222222222` removed",
            "t: enrolment `22222222-2222-4222-8222-222222222223` removed",
            "t: user `AAAAAAAAA1` removed",
            "t: user `AAAAAAAAA2` removed",
            "t: client `chosen` removed",
            "t: client `generated` removed",
            "t: policy `7` removed",
            "t: relying party `33333333-3333-4333-8333-333333333333` removed",
            "t: group `G1` removed",
        ]
    );
    let rows = bench.rows("t").await;
    assert_eq!(rows.clients.iter().map(|client| &client.id).collect::<Vec<_>>(), [&ClientId::from("by-hand")]);
    assert_eq!(rows.groups.iter().map(|group| &group.id).collect::<Vec<_>>(), [&GroupId::from("G9")]);
    assert!(bench.user("BBBBBBBBB1").await.is_some());
    assert_eq!(bench.user("AAAAAAAAA1").await, None);
    assert_eq!(signing_and_decrypting(&rows.keys), (2, 2), "keys are rotated, never removed");
    assert_eq!(bench.apply(smaller).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_policy_that_others_use_is_not_removed() {
    let bench = Bench::new().await;
    bench.apply(WORLD).await;
    let mut client: Client = serde_json::from_value(serde_json::json!({ "id": "by-hand" })).unwrap();
    client.policy = Some(7);
    bench.store.change_directory(&tenant(), vec![DirectoryChange::PutClient(Box::new(client))]).await.unwrap();
    let without = "[[tenant]]\nid = \"t\"\nurls = [\"https://t.example.test\"]\n";
    let error = bench.try_apply(&file(without), false).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the file contradicts what is stored: policy `7` would go, but client `by-hand` uses it"
    );
    assert_eq!(bench.rows("t").await.policies.len(), 1);
}

#[tokio::test]
async fn what_lives_on_with_use_survives() {
    let bench = Bench::new().await;
    bench.apply(WORLD).await;
    // A password upgraded, a code and a credential used, keys rotated, a secret being phased out.
    let id = EnrolmentId::from("22222222-2222-4222-8222-222222222223");
    let mut credential = bench.store.enrolment(&tenant(), &id).await.unwrap().unwrap();
    credential.attributes["counter"] = 9.into();
    credential.payload = b"sealed anew".to_vec();
    credential.attempted = Some(NOW + 5);
    let mut rows = bench.rows("t").await;
    let mut client = rows.clients.remove(0);
    client.secrets.push(ClientSecret::Generated { sha256: "x".to_owned(), expires: Some(NOW + 100) });
    client.not_before = NOW - 1;
    let mut key = rows.keys.into_iter().find(|key| key.kid == "server").unwrap();
    key.signs_from = NOW + 7;
    bench
        .store
        .change_directory(
            &tenant(),
            vec![
                DirectoryChange::PutEnrolment { enrolment: credential.clone(), managed: true },
                DirectoryChange::PutClient(Box::new(client.clone())),
                DirectoryChange::PutKey(key.clone()),
            ],
        )
        .await
        .unwrap();
    assert_eq!(bench.apply(WORLD).await, Vec::<String>::new());

    // A change beside them does not undo them either.
    let renamed = WORLD.replace("id = \"chosen\"", "id = \"chosen\"\nname = \"Chosen\"");
    assert_eq!(bench.apply(&renamed).await, ["t: client `chosen` changed (name)"]);
    let rows = bench.rows("t").await;
    let stored = rows.clients.iter().find(|stored| stored.id == client.id).unwrap();
    assert_eq!((stored.not_before, &stored.secrets), (NOW - 1, &client.secrets));
    assert!(rows.keys.contains(&key));
    let after = bench.store.enrolment(&tenant(), &id).await.unwrap().unwrap();
    assert_eq!((&after.payload, &after.attributes["counter"]), (&credential.payload, &9.into()));
}

#[tokio::test]
async fn a_hash_that_was_upgraded_at_sign_in_is_not_put_back() {
    let bench = Bench::new().await;
    let weak = {
        let cheaper = Cost { lanes: 1, queue: 4, memory: 8, passes: 1, parallel: 1 };
        Hashing::start(cheaper).unwrap().hash("pw".into()).await.unwrap()
    };
    let strong = Hashing::start(Cost { lanes: 1, queue: 4, memory: 16, passes: 2, parallel: 1 }).unwrap();
    let text = WORLD.replace("password = \"secret-of-ann\"", &format!("password_hash = \"{weak}\""));
    bench.apply(&text).await;
    let mut user = bench.user("AAAAAAAAA1").await.unwrap();
    assert_eq!(user.password.as_deref(), Some(weak.as_str()));

    let upgraded = strong.hash("pw".into()).await.unwrap();
    user.password = Some(upgraded.clone());
    bench.store.change_directory(&tenant(), vec![DirectoryChange::PutUser { user, managed: true }]).await.unwrap();
    let lines = apply(&bench.store, &bench.master, &strong, &bench.world, &file(&text), false).await.unwrap();
    assert_eq!(lines, Vec::<String>::new());
    assert_eq!(bench.user("AAAAAAAAA1").await.unwrap().password, Some(upgraded));
}

#[tokio::test]
async fn a_login_name_can_pass_from_one_person_to_the_next() {
    let bench = Bench::new().await;
    bench.apply(WORLD).await;
    let passed = WORLD.replace("AAAAAAAAA2", "CCCCCCCCC3");
    let lines = bench.apply(&passed).await;
    assert!(lines.contains(&"t: user `AAAAAAAAA2` removed".to_owned()), "{lines:#?}");
    assert!(lines.contains(&"t: user `CCCCCCCCC3` added".to_owned()), "{lines:#?}");
    assert_eq!(bench.user("AAAAAAAAA2").await, None);
}

#[tokio::test]
async fn a_refused_change_undoes_every_tenant_of_the_file_and_names_itself() {
    let bench = Bench::new().await;
    bench.apply(WORLD).await;
    let person =
        User { id: UserId::from("BBBBBBBBB1"), username: "zoe".to_owned(), ..bench.user("AAAAAAAAA2").await.unwrap() };
    bench
        .store
        .change_directory(&tenant(), vec![DirectoryChange::PutUser { user: person, managed: false }])
        .await
        .unwrap();
    let text = format!(
        "[[tenant]]\nid = \"other\"\nurls = [\"https://other.example.test\"]\n{}",
        WORLD.replace("username = \"bo\"", "username = \"Zoe\"").replace("user = \"bo\"", "user = \"Zoe\"")
    );
    let error = bench.try_apply(&file(&text), false).await.unwrap_err();
    assert!(error.to_string().starts_with("t: user `AAAAAAAAA2` changed (username): refused"), "{error}");
    let tenants = bench.store.load_directory().await.unwrap().tenants;
    assert_eq!(tenants.len(), 1, "the other tenant is not there either");
}

#[tokio::test]
async fn tenants_beside_the_file_stay_and_keep_their_hosts() {
    let bench = Bench::new().await;
    bench.apply(WORLD).await;
    let other = "[[tenant]]\nid = \"u\"\nurls = [\"https://u.example.test\"]\n";
    let lines = bench.apply(other).await;
    assert_eq!(lines[0], "u: tenant added");
    assert_eq!(bench.rows("t").await.clients.len(), 2);
    let thief = "[[tenant]]\nid = \"v\"\nurls = [\"https://T.example.test\"]\n";
    let error = bench.try_apply(&file(thief), false).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the file contradicts what is stored: tenants `v` and `t` would both answer for `t.example.test`"
    );
}

#[tokio::test]
async fn a_key_may_be_brought_along_and_is_never_replaced() {
    let bench = Bench::new().await;
    let dir = tempfile::tempdir().unwrap();
    let pem = include_str!("../../../../demo/reporting-service.pem");
    std::fs::write(dir.path().join("es256.pem"), pem).unwrap();
    let text = "[[tenant]]\nid = \"t\"\nurls = [\"https://t.example.test\"]\n[[tenant.keys]]\nalg = \"RS256\"\n\
                [[tenant.keys]]\nalg = \"ES256\"\nkid = \"ours\"\nfile = \"es256.pem\"\n";
    let path = dir.path().join("t.toml");
    std::fs::write(&path, text).unwrap();
    let read = || countersign::tenant_file::load(&path).unwrap();
    let lines = bench.try_apply(&read(), false).await.unwrap();
    assert_eq!(lines[..3], ["t: tenant added", "t: key `server` added", "t: key `ours` added"]);
    assert!(lines.len() == 5 && lines[3..].iter().all(|line| line.starts_with("t: key `enc-")), "{lines:?}");
    let before = bench.rows("t").await.keys;
    assert_eq!(bench.try_apply(&read(), false).await.unwrap(), Vec::<String>::new());
    assert_eq!(bench.rows("t").await.keys, before);

    std::fs::write(dir.path().join("es256.pem"), "nothing of the kind").unwrap();
    let problems = countersign::tenant_file::load(&path).unwrap_err();
    assert!(problems[0].to_string().contains("it is no private key in PKCS#8"), "{}", problems[0]);
    std::fs::remove_file(dir.path().join("es256.pem")).unwrap();
    assert!(countersign::tenant_file::load(&path).is_err());
}
