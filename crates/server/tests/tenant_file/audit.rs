//! `[tenant.audit]`: what is wrong is told in its place, and secrets are stored sealed.

use countersign::tenant_file::load_text;

use crate::applying::Bench;

const HEAD: &str = "[[tenant]]\nid = \"t\"\nurls = [\"https://t.example.test\"]\n";
const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5";

fn problems(more: &str) -> Vec<String> {
    match load_text("t.toml", &format!("{HEAD}{more}")) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

fn webhook(more: &str) -> String {
    format!(
        "[[tenant.audit.webhooks]]\nid = \"siem\"\nurl = \"https://siem.example.test/a\"\nsecret = \"{SECRET}\"\n{more}"
    )
}

#[test]
fn each_mistake_about_the_trail_has_its_place_and_its_remedy() {
    assert_eq!(problems(&format!("[tenant.audit]\nkeep_days = 365\n{}", webhook(""))), Vec::<String>::new());
    assert_eq!(problems(&webhook("events = [\"grant.*\", \"user.changed\"]")), Vec::<String>::new());
    let missing = "[[tenant.audit.webhooks]]\n";
    let cases = [
        ("[tenant.audit]\nkeep_days = 0".to_owned(), "t.toml:5:13: tenant[0].audit.keep_days: 0 is out of bounds"),
        ("[tenant.audit]\nkeep = 3".to_owned(), "t.toml:5:1: tenant[0].audit.keep: unknown key"),
        (missing.to_owned(), "t.toml:4:1: tenant[0].audit.webhooks[0]: `url` is missing; where it listens"),
        (missing.to_owned(), "t.toml:4:1: tenant[0].audit.webhooks[0]: `secret` is missing; `whsec_` and"),
        (
            webhook("").replace("https://siem", "http://siem"),
            "t.toml:6:7: tenant[0].audit.webhooks[0].url: no https URL; write it as `https://",
        ),
        (
            webhook("").replace("https://siem", "https://me:secret@siem"),
            "t.toml:6:7: tenant[0].audit.webhooks[0].url: no https URL",
        ),
        (
            webhook("").replace(SECRET, "whsec_c2hvcnQ="),
            "t.toml:7:10: tenant[0].audit.webhooks[0].secret: no secret to sign with; write `whsec_`",
        ),
        (webhook("").replace("\"siem\"", "\"SIEM\""), "t.toml:5:6: tenant[0].audit.webhooks[0].id: `SIEM` is no id"),
        (
            webhook("").repeat(2),
            "t.toml:9:6: tenant[0].audit.webhooks[1].id: webhook `siem` is there already, on line 5",
        ),
        (
            webhook("events = [\"user.added\", \"grant.isued\"]"),
            "t.toml:8:25: tenant[0].audit.webhooks[0].events[1]: no event `grant.isued`; did you mean `grant.issued`?",
        ),
        (webhook("events = [\"grants\"]"), "t.toml:8:11: tenant[0].audit.webhooks[0].events[0]: no event `grants`"),
        (webhook("events = []"), "t.toml:4:1: tenant[0].audit.webhooks[0]: `events` is empty"),
        (webhook("url2 = \"x\""), "t.toml:8:1: tenant[0].audit.webhooks[0].url2: unknown key; did you mean `url`?"),
    ];
    for (text, expected) in cases {
        let found = problems(&text);
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{expected}\nnot among {found:#?}");
        assert!(!found.iter().any(|problem| problem.contains("c2hvcnQ")), "a secret is not repeated: {found:#?}");
    }
    let nine: String = (0..9).map(|number| webhook("").replace("siem\"", &format!("siem-{number}\""))).collect();
    assert!(problems(&nine).iter().any(|problem| problem.contains("at most 8 webhooks")));
}

#[tokio::test]
async fn a_webhook_is_stored_sealed_and_told_from_when_it_was_there_first() {
    let bench = Bench::new().await;
    let file = |more: &str| format!("{HEAD}{more}");
    bench.apply(&file(&webhook(""))).await;
    let stored = async || bench.rows("t").await.tenant.settings.audit.webhooks["siem"].clone();
    let first = stored().await;
    assert!(!serde_json::to_string(&first).unwrap().contains(SECRET));
    let purpose = countersign::audit::tell::purpose(&"t".into(), "siem");
    assert_eq!(bench.master.open(&purpose, &first.sealed_secret).unwrap(), SECRET.as_bytes());
    // Again: nothing to change; another secret is.
    assert_eq!(bench.apply(&file(&webhook(""))).await, Vec::<String>::new());
    let lines = bench.apply(&file(&webhook("").replace("MDEy", "MDEz"))).await;
    assert_eq!(lines, ["t: tenant changed (settings: audit)"]);
    assert_ne!(stored().await.sealed_secret, first.sealed_secret);
    let cursors = async || bench.store.audit_cursors(&"t".into()).await.unwrap();
    assert_eq!(cursors().await.len(), 1);
    bench.apply(&file("")).await;
    assert!(cursors().await.is_empty(), "one that is gone has no place in the trail");
}
