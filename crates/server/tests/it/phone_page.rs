//! The web phone as it is served: one page and what stands behind it, the same for every stranger, and letting nothing else run.

use serde_json::{Value, json};

use crate::support::{Setup, TestServer};

/// A title, colour and logo of a tenant's own, in place of those of the demonstration.
fn dressed() -> Setup {
    let logo = "logo_uri = \"https://cdn.example.test/l.svg\"\ntitle = \"Blue <Heron>\"";
    Setup::new()
        .replace("[tenant.settings.look]\nlogo_uri", &format!("[tenant.settings.look]\n{logo}\n# logo_uri"))
        .replace("accent = \"#2b4acb\"", "accent = \"#124e78\"")
}

#[tokio::test]
async fn the_page_runs_its_own_script_alone_and_is_new_for_everybody() {
    let server = dressed().start().await;
    let mut policies = std::collections::BTreeSet::new();
    for (language, words) in [("en-GB", "Nothing to approve"), ("de-AT,en;q=0.5", "Nichts zu bestätigen")] {
        let page = server.ask("GET", "/phone").header("accept-language", language).send().await;
        assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
        assert!(page.text().contains(words) && page.text().contains("Blue &lt;Heron&gt;"), "{}", page.text());
        assert_eq!((page.header("cache-control"), page.header("x-frame-options")), ("no-store", "DENY"));
        assert!(!page.headers.contains_key("set-cookie"));
        let policy = page.header("content-security-policy").to_owned();
        let directives: Vec<&str> = policy.split("; ").collect();
        for expected in [
            "default-src 'none'",
            "connect-src 'self'",
            "worker-src 'self'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "img-src 'self' data: https://cdn.example.test",
            "require-trusted-types-for 'script'",
        ] {
            assert!(directives.contains(&expected), "{expected}: {policy}");
        }
        assert!(!policy.contains("unsafe"));
        let nonce = policy.split_once("script-src 'nonce-").unwrap().1.split_once('\'').unwrap().0;
        // Every script and style of the page has it, and nothing stands in an attribute.
        for element in ["<script", "<style"] {
            let all = page.text().matches(element).count();
            assert!(
                all > 0 && page.text().matches(&format!("{element} nonce=\"{nonce}\"")).count() == all,
                "{element}"
            );
        }
        assert!(!page.text().contains(" style=\"") && !page.text().contains(" onclick"));
        assert!(policies.insert(policy), "a nonce was used twice");
    }
}

#[tokio::test]
async fn what_stands_behind_the_page_is_typed_and_reaches_no_further() {
    let server = dressed().start().await;
    let worker = server.ask("GET", "/phone/worker.js").send().await;
    assert_eq!(worker.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(worker.header("service-worker-allowed"), "/phone");
    let manifest = server.ask("GET", "/phone/manifest.webmanifest").header("accept-language", "de").send().await;
    assert_eq!(manifest.header("content-type"), "application/manifest+json");
    let manifest: Value = serde_json::from_str(manifest.text()).unwrap();
    assert_eq!((&manifest["name"], &manifest["lang"]), (&json!("Blue <Heron>"), &json!("de")));
    assert_eq!((&manifest["start_url"], &manifest["scope"]), (&json!("/phone"), &json!("/phone")));
    assert_eq!(manifest["theme_color"], "#124e78");
    let icon = server.ask("GET", "/phone/icon.svg").send().await;
    assert_eq!(icon.header("content-type"), "image/svg+xml");
    assert!(icon.text().contains("fill=\"#124e78\"") && !icon.text().contains('{'));
    // Home screens that take no drawing have the same in pixels: in the tenant's colour, of the size the manifest says.
    let named: Vec<&str> = manifest["icons"].as_array().unwrap().iter().filter_map(|one| one["src"].as_str()).collect();
    assert_eq!(named, ["/phone/icon.svg", "/phone/icon.svg", "/phone/icon.png"]);
    assert_eq!(manifest["icons"][2]["sizes"], "192x192");
    let icon = server.ask("GET", "/phone/icon.png").send().await;
    assert_eq!(icon.header("content-type"), "image/png");
    assert_eq!(
        (&icon.body[16..24], &icon.body[41..44]),
        ([0, 0, 0, 192, 0, 0, 0, 192].as_slice(), [0x12, 0x4e, 0x78].as_slice())
    );
    for path in ["/phone", "/phone/worker.js", "/phone/manifest.webmanifest", "/phone/icon.svg", "/phone/icon.png"] {
        let reply = server.ask("GET", path).send().await;
        assert_eq!((reply.status.as_u16(), reply.header("x-content-type-options")), (200, "nosniff"), "{path}");
        assert_eq!(server.ask("POST", path).send().await.status, 405, "{path}");
        assert_eq!(server.ask("GET", path).host("nobody.example.test").send().await.status, 404, "{path}");
    }
}

/// What a person is handed opens the phone with the invitation in it, where no server sees it.
#[tokio::test]
async fn a_link_carries_the_invitation_behind_the_hash() {
    let server = TestServer::start().await;
    let link = countersign::doors::hosted::phone_link("https://login.example.test", r#"{"code":"ü?"}"#);
    let (address, carried) = link.split_once("#register=").unwrap();
    assert_eq!(address, "https://login.example.test/phone");
    assert!(carried.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "{carried}");
    assert_eq!(server.ask("GET", "/phone").send().await.status, 200);
}
