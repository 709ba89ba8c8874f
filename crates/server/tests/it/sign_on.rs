//! Sign-on rules: ordered, over where people signed in, who and where they are; reached by whatever door asks for the application.

use countersign::tenant_file::load_text;

use crate::support::hosted::{CALLBACK, code_request, setup};
use crate::support::visitor::{Page, Visitor};
use crate::support::{ACME, Setup, TestServer, client, totp};

const SCOTT: (&str, &str) = (ACME.admin.username, ACME.admin.password);
const PAT: (&str, &str) = (ACME.other.username, ACME.other.password);
const SCOTT_TOTP: &[u8] = b"12345678901234567890";

/// Everybody in these tests comes from 198.51.100.77.
const RULES: &str = r#"
[[tenant.sign_on_policies]]
id = 880001
name = "Payroll"
perimeters = { office = ["198.51.100.0/24"], vault = ["10.0.0.0/8"] }

[[tenant.sign_on_policies.rules]]
name = "Nobody from the vault"
inside = ["vault"]
access = "deny"

[[tenant.sign_on_policies.rules]]
name = "Administrators"
administrator = true
inside = ["office"]
identity_providers = ["local"]
access = "allow"
reauthenticate = true
factors = ["totp"]
ask = "device"

[[tenant.sign_on_policies.rules]]
name = "Everybody else in the office"
except_groups = ["ADMINISTRATORS"]
inside = ["office", "10.1.0.0/16"]
risk = ["low", "medium"]
access = "allow"

[[tenant.sign_on_policies]]
id = 880002
name = "Vault"
perimeters = { vault = ["10.0.0.0/8"] }

[[tenant.sign_on_policies.rules]]
name = "Who is outside"
outside = ["vault"]
access = "deny"

[[tenant.sign_on_policies.rules]]
name = "Others"
access = "allow"
"#;

fn office() -> Setup {
    let code =
        format!("grant_types = [\"authorization_code\"]\nredirect_uris = [{CALLBACK:?}]\nconsent = \"never_prompt\"");
    setup()
        .add(&client("wages", "wages-secret", &format!("name = \"Wages\"\n{code}\npolicy = \"Payroll\"")))
        .add(&client("safe", "safe-secret", &format!("name = \"Safe\"\n{code}\npolicy = 880002")))
        .add(RULES)
}

async fn signs_in(visitor: &mut Visitor, client: &str, who: (&str, &str)) -> Page {
    let page = visitor.get(&code_request(client, &[])).await;
    visitor.sign_in(&page, who.0, who.1).await
}

#[tokio::test]
async fn the_first_rule_that_holds_says_what_is_asked() {
    let server = office().start().await;
    let mut visitor = Visitor::new(&server);
    signs_in(&mut visitor, "wages", PAT).await.landed(CALLBACK);
    // An administrator proves a second factor, and may trust the browser for the next time.
    let mut visitor = Visitor::new(&server);
    let page = signs_in(&mut visitor, "wages", SCOTT).await;
    assert!(page.path.ends_with("/totp") && page.has("keep"), "{} {}", page.path, page.text());
    let code = totp(SCOTT_TOTP, server.world.now());
    visitor.submit(&page, &[("code", &code), ("trust", "1")]).await.landed(CALLBACK);
    server.world.advance(86_400);
    signs_in(&mut visitor, "wages", SCOTT).await.landed(CALLBACK);
    // Nobody is let in where no rule lets them.
    let mut visitor = Visitor::new(&server);
    let refused = signs_in(&mut visitor, "safe", PAT).await.landed(CALLBACK);
    assert_eq!(refused["error"], "access_denied");
}

#[tokio::test]
async fn a_rule_may_want_the_person_to_sign_in_anew() {
    let server = office().start().await;
    let mut visitor = Visitor::new(&server);
    signs_in(&mut visitor, "web", PAT).await.landed(CALLBACK);
    visitor.get(&code_request("wages", &[])).await.landed(CALLBACK);
    // The session of an administrator does not do: they prove who they are for this application.
    let mut visitor = Visitor::new(&server);
    signs_in(&mut visitor, "web", SCOTT).await.landed(CALLBACK);
    let silent = visitor.silently("wages", &[]).await.landed(CALLBACK);
    assert!(["login_required", "interaction_required"].contains(&silent["error"].as_str()), "{silent:?}");
    let page = visitor.get(&code_request("wages", &[])).await;
    page.expect(200);
    assert!(page.has("person"), "{}", page.text());
    let page = visitor.submit(&page, &[("password", SCOTT.1)]).await;
    assert!(page.path.ends_with("/totp"), "{}", page.path);
    let code = totp(SCOTT_TOTP, server.world.now());
    visitor.submit(&page, &[("code", &code)]).await.landed(CALLBACK);
    // Elsewhere the session does as before.
    visitor.silently("other", &[]).await.landed(CALLBACK);
}

/// An application is the same by whatever door somebody comes to it.
#[tokio::test]
async fn the_rules_of_an_application_hold_at_the_oracle_door() {
    let server = office().start().await;
    let page = server.page().await;
    let step = page.password(Some("Wages"), SCOTT.0, SCOTT.1).await;
    assert_eq!(step.list("nextAuthFactors"), ["TOTP"], "{}", step.body);
    page.password(Some("Wages"), PAT.0, PAT.1).await.token();
    page.password(Some("Safe"), PAT.0, PAT.1).await.expect(401, "failed", Some("AUTH-3033"));
}

#[tokio::test]
async fn the_default_policy_holds_for_applications_without_one() {
    let rules = "[[tenant.sign_on_policies]]\nid = 880003\nname = \"Default\"\ndefault = true\n\
                 [[tenant.sign_on_policies.rules]]\nname = \"Two factors\"\naccess = \"allow\"\nfactors = [\"totp\"]\n";
    let server: TestServer = setup().add(rules).start().await;
    let mut visitor = Visitor::new(&server);
    let page = signs_in(&mut visitor, "web", PAT).await;
    assert!(page.path.ends_with("/totp"), "{}", page.path);
    // One of its own goes before.
    let mut visitor = Visitor::new(&server);
    let refused = signs_in(&mut visitor, "closed", PAT).await.landed(CALLBACK);
    assert_eq!(refused["error"], "access_denied");
}

/// A rule that says less than was meant must not be taken for one that holds for everybody.
#[test]
fn what_a_rule_refers_to_must_be_there() {
    let file = |rule: &str| {
        format!(
            "[[tenant]]\nid = \"t\"\nurls = [\"https://t.example\"]\n\
             [[tenant.sign_on_policies]]\nid = 7\nname = \"P\"\nperimeters = {{ office = [\"10.0.0.0/8\"] }}\n\
             [[tenant.sign_on_policies.rules]]\nname = \"R\"\n{rule}\n"
        )
    };
    assert!(load_text("t.toml", &file("inside = [\"office\"]\naccess = \"allow\"")).is_ok());
    for (rule, told) in [
        ("access = \"perhaps\"", "no access `perhaps`"),
        ("", "`access` is missing"),
        ("access = \"allow\"\ninside = [\"ofice\"]", "no perimeter `ofice`"),
        ("access = \"allow\"\ninside = []", "`inside` is empty"),
        ("access = \"allow\"\ngroups = [\"NOBODY\"]", "no group `NOBODY`"),
        ("access = \"allow\"\ngroups = []", "`groups` is empty"),
        ("access = \"allow\"\nidentity_providers = [\"partner\"]", "no identity provider `partner`"),
        ("access = \"allow\"\nrisk = [\"some\"]", "no rating `some`"),
        ("access = \"allow\"\nask = \"device\"", "`ask` and `enrolment` need `factors`"),
        ("access = \"allow\"\nfactors = [\"totp\"]\nask = \"sometimes\"", "no `ask` is called `sometimes`"),
        ("access = \"allow\"\nfactors = [\"federated\"]", "no second factor `federated`"),
        ("access = \"deny\"\nfactors = [\"totp\"]", "a rule that denies asks for nothing"),
        ("access = \"allow\"\nnetworks = [\"10.0.0.0/8\"]", "networks"),
    ] {
        let problems = load_text("t.toml", &file(rule)).unwrap_err();
        let all = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(all.contains(told), "{rule}: {all}");
    }
    let empty = file("access = \"allow\"").replace("[\"10.0.0.0/8\"]", "[]");
    assert!(load_text("t.toml", &empty).is_err(), "a perimeter of nothing");
}
