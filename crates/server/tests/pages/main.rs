//! The hosted pages as a browser would take them: what must hold of every page in every language, whatever is put into it.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};

use axum::http::header;
use countersign::doors::hosted::pages::*;
use countersign::world::World;
use engine::FactorKind;
use protocol::records::Tenant;

mod hostile;
mod markup;
mod samples;

use markup::{Tag, tags};

const LANGUAGES: [&str; 2] = ["en", "de"];

fn look(tenant: &Tenant, language: &str) -> Look {
    Look::of(tenant, Wanted { ui_locales: Some(language), accept_language: None }, &World::real())
}

fn html(page: &Page<'_>) -> String {
    page.html(&look(&samples::tenant(), "en")).unwrap()
}

/// The header and the page it came with.
async fn answer(page: &Page<'_>) -> (BTreeMap<String, String>, String) {
    let response = page.answer(&look(&samples::tenant(), "en"));
    let headers = response.headers().iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (headers, String::from_utf8(body.to_vec()).unwrap())
}

/// The directives of a policy, each with its sources.
fn directives(policy: &str) -> BTreeMap<&str, Vec<&str>> {
    policy
        .split("; ")
        .map(|directive| {
            let mut words = directive.split(' ');
            (words.next().unwrap(), words.collect())
        })
        .collect()
}

/// Runs a check on every page in every language.
fn each(check: impl Fn(&str, &str, &[Tag<'_>])) {
    for language in LANGUAGES {
        for (name, page) in samples::all() {
            let html = page.html(&look(&samples::tenant(), language)).unwrap();
            check(&format!("{name} in {language}"), &html, &tags(&html));
        }
    }
}

#[test]
fn every_page_has_a_title_a_language_and_one_heading() {
    each(|name, html, tags| {
        let (_, title) = html.split_once("<title>").unwrap();
        let (title, _) = title.split_once("</title>").unwrap();
        assert!(title.trim_matches(['·', ' ']).len() > 3, "{name}: {title}");
        assert!(html.starts_with("<!doctype html>\n<html lang=\""), "{name}");
        let root = tags.iter().find(|tag| tag.name == "html").unwrap();
        assert!(name.starts_with("check-session") || name.ends_with(root.value("lang").unwrap()), "{name}");
        let headings = tags.iter().filter(|tag| tag.name == "h1").count();
        assert_eq!(headings, usize::from(!name.starts_with("check-session")), "{name}");
    });
}

#[test]
fn ids_are_there_once_and_every_field_button_and_link_has_one() {
    each(|name, _, tags| {
        let mut seen = BTreeSet::new();
        for tag in tags {
            if let Some(id) = tag.value("id") {
                assert!(seen.insert(id.to_owned()), "{name}: {id} twice");
            }
            let hidden = tag.value("type") == Some("hidden");
            if matches!(tag.name, "input" | "select" | "button" | "a" | "form" | "main") && !hidden {
                assert!(tag.value("id").is_some(), "{name}: {tag:?}");
            }
        }
        for tag in tags {
            for refers in ["for", "aria-describedby", "aria-labelledby"] {
                for id in tag.value(refers).unwrap_or_default().split_ascii_whitespace() {
                    assert!(seen.contains(id), "{name}: {refers} names `{id}`");
                }
            }
        }
    });
}

#[test]
fn every_field_that_is_seen_has_a_label_and_says_what_it_is_for() {
    each(|name, _, tags| {
        let labelled: BTreeSet<&str> =
            tags.iter().filter(|tag| tag.name == "label").filter_map(|tag| tag.value("for")).collect();
        for tag in tags.iter().filter(|tag| matches!(tag.name, "input" | "select")) {
            if tag.value("type") == Some("hidden") || tag.value("aria-hidden").is_some() {
                continue;
            }
            assert!(labelled.contains(tag.value("id").unwrap()), "{name}: {tag:?}");
            assert!(tag.name == "select" || tag.value("autocomplete").is_some(), "{name}: {tag:?}");
        }
    });
}

#[test]
fn something_has_the_focus_on_every_page_that_waits_for_a_person() {
    each(|name, _, tags| {
        let focused = tags.iter().filter(|tag| tag.has("autofocus")).count();
        let moves_on = ["check-session", "form-post"].iter().any(|one| name.starts_with(one));
        assert_eq!(focused, usize::from(!moves_on), "{name}");
    });
}

#[test]
fn consent_is_never_given_by_a_mere_enter() {
    for (name, page) in samples::all() {
        if !matches!(page, Page::Consent(_) | Page::DeviceConfirm(_)) {
            continue;
        }
        let html = html(&page);
        for tag in tags(&html) {
            let gives = tag.name == "button" && tag.has("autofocus");
            assert!(!gives, "{name}: {tag:?}");
            let typed = tag.name == "input" && tag.value("type") != Some("hidden");
            assert!(!typed, "{name}: Enter in a field presses the first button");
        }
    }
}

#[test]
fn forms_are_posted_and_carry_what_they_were_given() {
    each(|name, html, tags| {
        for form in tags.iter().filter(|tag| tag.name == "form") {
            assert_eq!(form.value("method"), Some("post"), "{name}");
            if form.value("action") == Some("/login/next") {
                assert!(html.contains(r#"<input type="hidden" name="form_token" value="b4f0Qk2LZx81">"#), "{name}");
                assert!(html.contains(r#"<input type="hidden" name="interaction" value="Zt7Qp0">"#), "{name}");
            }
        }
    });
}

#[test]
fn every_button_sends_a_word_that_is_understood() {
    let mut heard = BTreeSet::new();
    for (name, page) in samples::all() {
        let html = html(&page);
        for tag in tags(&html).iter().filter(|tag| tag.name == "button") {
            match tag.value("name") {
                Some(field::DO) => {
                    let word = tag.value("value");
                    let press = Press::parse(word).unwrap_or_else(|| panic!("{name}: {tag:?}"));
                    assert_eq!(Some(press.as_str()), word, "{name}");
                    heard.insert(press.as_str());
                }
                // A way, an account, or what is to be kept while a phone is waited for.
                Some(other) => {
                    let chosen = [field::WAY, field::ACCOUNT, field::TRUST];
                    assert!(chosen.contains(&other), "{name}: {tag:?}");
                }
                None => assert_eq!(tag.value("id"), Some("submit"), "{name}"),
            }
        }
    }
    assert_eq!(heard.len(), 18, "{heard:?}");
    assert_eq!(Press::parse(None), Some(Press::Submit));
    assert_eq!(Press::parse(Some("format")), None);
}

#[test]
fn the_fields_are_those_that_the_door_reads() {
    let all: String = samples::all().iter().map(|(_, page)| html(page)).collect();
    for name in [
        field::USERNAME,
        field::PASSWORD,
        field::SOURCE,
        field::CODE,
        field::WAY,
        field::ACCOUNT,
        field::USER_CODE,
        field::DO,
    ] {
        assert!(all.contains(&format!("name=\"{name}\"")), "{name}");
    }
    assert!(all.contains(&format!(" {}: JSON.stringify(", field::CREDENTIAL)));
}

#[test]
fn nothing_is_loaded_from_elsewhere_and_nothing_runs_or_styles_from_an_attribute() {
    each(|name, html, tags| {
        for tag in tags {
            for (attribute, value) in &tag.attributes {
                assert!(!attribute.starts_with("on") && *attribute != "style", "{name}: {tag:?}");
                let loads = matches!(*attribute, "src" | "srcset" | "data" | "poster" | "background")
                    || (tag.name == "link" && *attribute == "href");
                if loads && tag.name != "iframe" {
                    assert!(value.starts_with("data:"), "{name}: {tag:?}");
                }
            }
            assert!(!matches!(tag.name, "object" | "embed" | "base" | "frame"), "{name}: {tag:?}");
        }
        assert!(!html.contains("@import") && !html.contains("url("), "{name}");
    });
}

#[tokio::test]
async fn the_policy_allows_what_the_page_brings_and_nothing_else() {
    for (name, page) in samples::all() {
        let (headers, html) = answer(&page).await;
        let policy = headers[header::CONTENT_SECURITY_POLICY.as_str()].clone();
        let directives = directives(&policy);
        let tags = tags(&html);
        assert_eq!(directives["default-src"], ["'none'"], "{name}");
        assert_eq!(directives["base-uri"], ["'none'"], "{name}");
        assert!(!policy.contains("unsafe") && !policy.contains("'self' 'nonce"), "{name}: {policy}");

        for (element, directive) in [("script", "script-src"), ("style", "style-src")] {
            let brought: Vec<&Tag<'_>> = tags.iter().filter(|tag| tag.name == element).collect();
            match directives.get(directive) {
                None => assert!(brought.is_empty(), "{name}: {element} without {directive}"),
                Some(sources) => {
                    assert_eq!(brought.len(), 1, "{name}: {directive} for nothing");
                    let nonce = brought[0].value("nonce").unwrap();
                    assert!(nonce.len() >= 22, "{name}");
                    assert_eq!(*sources, [format!("'nonce-{nonce}'")], "{name}");
                }
            }
        }
        let frames = tags.iter().filter(|tag| tag.name == "iframe").count();
        assert_eq!(directives.contains_key("frame-src"), frames > 0, "{name}");
        let framed = matches!(page, Page::CheckSession(_));
        assert_eq!(directives["frame-ancestors"], [if framed { "*" } else { "'none'" }], "{name}");
        assert_eq!(headers.contains_key("x-frame-options"), !framed, "{name}");
        if let Some(form) = tags.iter().find(|tag| tag.name == "form") {
            let own = form.value("action").unwrap().starts_with('/');
            assert_eq!(directives["form-action"], [if own { "'self'" } else { "https:" }], "{name}");
        }
    }
}

#[tokio::test]
async fn every_answer_has_the_headers_of_a_page() {
    let mut nonces = BTreeSet::new();
    for (name, page) in samples::all() {
        let (headers, _) = answer(&page).await;
        assert_eq!(headers["content-type"], "text/html; charset=utf-8", "{name}");
        assert_eq!(headers["cache-control"], "no-store", "{name}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{name}");
        // `no-referrer` would turn the `Origin` of our own forms into `null`.
        let posts_away = matches!(page, Page::FormPost(_));
        let expected = if posts_away { "strict-origin" } else { "same-origin" };
        assert_eq!(headers["referrer-policy"], expected, "{name}");
        let device = matches!(page, Page::DeviceCode(_) | Page::DeviceConfirm(_) | Page::DeviceDone(_))
            || name.starts_with("account");
        assert_eq!(headers.contains_key("cross-origin-opener-policy"), device, "{name}");
        assert!(nonces.insert(headers["content-security-policy"].clone()), "{name}: a nonce was used twice");
    }
}

#[tokio::test]
async fn pictures_and_redirects_are_let_through_by_host_only() {
    let mut tenant = samples::tenant();
    tenant.settings.look.logo_uri = Some("https://Pictures.example.test/logo.svg?x='self'".to_owned());
    let client = ClientView {
        name: "App",
        logo: Some("https://app.example.test:8443/logo.png"),
        home: None,
        policy: None,
        terms: None,
    };
    let form = Form { action: "/login/password", hidden: &[] };
    let page = Page::Totp(TotpEntry {
        step: Step { form, client: Some(client), problem: None, cancel: false, keep: None, providers: Vec::new() },
        length: 6,
        others: false,
    });
    for (redirect_uri, targets) in [
        ("https://app.example.test/cb", "https:"),
        ("http://127.0.0.1:51004/cb", "http://localhost:* http://127.0.0.1:* https:"),
        ("org.example.app:/cb", "org.example.app:"),
    ] {
        let response = page.answer(&look(&tenant, "en").answering_to(redirect_uri));
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        let directives = directives(policy);
        assert_eq!(
            directives["img-src"],
            ["'self'", "data:", "https://app.example.test:8443", "https://pictures.example.test"]
        );
        assert_eq!(directives["form-action"].join(" "), format!("'self' {targets}"));
    }
}

#[test]
fn the_first_page_of_a_login_is_small() {
    for (name, page) in samples::all() {
        for language in LANGUAGES {
            let html = page.html(&look(&samples::tenant(), language)).unwrap();
            // A picture that a phone scans is drawn into its page.
            let most = if html.contains("class=\"qr") { 36 } else { 20 };
            assert!(html.len() < most * 1024, "{name} in {language}: {} bytes", html.len());
        }
    }
    // Everything is in the page, so this is all there is; the largest logo of a tenant still fits below 30 KB.
    let mut tenant = samples::tenant();
    tenant.settings.look.logo_uri = Some(format!("data:image/png;base64,{}", "A".repeat(12 * 1024 - 22)));
    assert!(check_look(&tenant.settings.look).is_empty());
    let (_, page) = samples::all().into_iter().next().unwrap();
    let size = page.html(&look(&tenant, "de")).unwrap().len();
    assert!((12 * 1024..30_000).contains(&size), "{size} bytes");
}

#[test]
fn a_problem_is_read_out_and_known_by_its_word() {
    for language in LANGUAGES {
        let mut told = BTreeSet::new();
        for problem in Problem::ALL {
            let form = Form { action: "/login/code", hidden: &[] };
            let step =
                Step { form, client: None, problem: Some(problem), cancel: false, keep: None, providers: Vec::new() };
            let page = Page::Totp(TotpEntry { step, length: 6, others: false });
            let html = page.html(&look(&samples::tenant(), language)).unwrap();
            let tags = tags(&html);
            let error = tags.iter().find(|tag| tag.value("id") == Some("error")).unwrap();
            assert_eq!(error.value("role"), Some("alert"));
            assert_eq!(error.value("data-problem"), Some(problem.as_str()));
            let field = tags.iter().find(|tag| tag.value("id") == Some("code")).unwrap();
            assert_eq!(field.value("aria-describedby"), Some("error hint"));
            let (_, text) = html.split_once("role=\"alert\"").unwrap();
            let (text, _) = text.split_once("</p>").unwrap();
            assert!(told.insert(text.split_once('>').unwrap().1.to_owned()) || problem == Problem::Busy, "{problem:?}");
        }
    }
    let html = html(&Page::SignIn(SignIn {
        step: Step {
            form: Form { action: "/login", hidden: &[] },
            client: None,
            problem: Some(Problem::Resting { wait: Some(119) }),
            cancel: false,
            keep: None,
            providers: Vec::new(),
        },
        username: "alice",
        sources: &[],
        passkey: false,
        picture: false,
        passkey_options: None,
    }));
    assert!(html.contains("in <bdi>2 minutes</bdi>."), "{html}");
}

#[test]
fn every_kind_of_factor_has_words_of_its_own() {
    for language in LANGUAGES {
        let mut told = BTreeSet::new();
        for kind in FactorKind::ALL {
            let page = Page::ChooseWay(ChooseWay {
                step: Step {
                    form: Form { action: "/", hidden: &[] },
                    client: None,
                    problem: None,
                    cancel: false,
                    keep: None,
                    providers: Vec::new(),
                },
                ways: &[Way { id: "w", kind, detail: "" }],
            });
            let html = page.html(&look(&samples::tenant(), language)).unwrap();
            let (_, words) = html.split_once("<span class=\"who\"><b>").unwrap();
            assert!(told.insert(words.split_once("</b>").unwrap().0.to_owned()), "{kind:?} in {language}");
            assert!(html.contains(&format!("data-kind=\"{}\"", kind.as_str())));
        }
    }
}

#[test]
fn errors_say_in_fixed_english_what_was_wrong_in_every_language() {
    for language in LANGUAGES {
        for (name, page) in samples::all() {
            let Page::Error(error) = &page else { continue };
            let html = page.html(&look(&samples::tenant(), language)).unwrap();
            assert!(
                html.contains(&format!("<dd id=\"error-phrase\" lang=\"en\" dir=\"ltr\">{}</dd>", error.phrase)),
                "{name}"
            );
            assert!(html.contains(&format!("data-error=\"{}\"", error.id)), "{name}");
            assert!(html.contains(&format!("<code>{}</code>", error.reference)), "{name}");
            assert_eq!(page.answer(&look(&samples::tenant(), language)).status(), error.status, "{name}");
        }
    }
}

#[test]
fn a_tenant_dresses_its_pages() {
    let mut tenant = samples::tenant();
    tenant.settings.look.title = Some("Blue <Heron>".to_owned());
    tenant.settings.look.accent = Some("#F2B705".to_owned());
    let own = BTreeMap::from([("page.sign_in.title".to_owned(), "Welcome <b>{client}".to_owned())]);
    tenant.settings.texts.insert("en".to_owned(), own);
    let (_, page) = samples::all().into_iter().next().unwrap();
    let html = page.html(&look(&tenant, "en")).unwrap();
    assert!(html.contains("<span>Blue &lt;Heron&gt;</span>"));
    assert!(html.contains("--accent:#f2b705;") && html.contains("--on-accent:#101418"));
    // The place is one its page does not fill, which reading the tenant file refuses; here the built-in words stand in.
    assert!(html.contains("<h1>Sign in</h1>"), "{html}");
    let own = BTreeMap::from([("page.sign_in.title".to_owned(), "Welcome <b>".to_owned())]);
    tenant.settings.texts.insert("en".to_owned(), own);
    assert!(page.html(&look(&tenant, "en")).unwrap().contains("<h1>Welcome &lt;b&gt;</h1>"));
}

#[test]
fn a_form_post_page_holds_the_answer_as_it_was_and_goes_alone_or_by_a_button() {
    let page = samples::all().into_iter().find(|(name, _)| *name == "form-post").unwrap().1;
    let html = html(&page);
    assert!(html.contains(r#"<form id="form" method="post" action="https://travel.example.test/cb">"#));
    assert!(html.contains(r#"<input type="hidden" name="code" value="a&quot;b&lt;c&gt;&amp;d">"#));
    assert!(html.contains(r#"<input type="hidden" name="state" value="s p">"#));
    assert!(html.contains("<button id=\"submit\">"));
    assert!(html.contains("HTMLFormElement.prototype.submit.call"));
}

#[test]
fn signed_out_waits_for_its_frames_and_goes_on_without_scripts_too() {
    let page = samples::all().into_iter().find(|(name, _)| *name == "logged-out-continuing").unwrap().1;
    let html = html(&page);
    let target = "https://travel.example.test/bye?state=1&amp;more=2";
    assert!(html.contains(&format!("<noscript><meta http-equiv=\"refresh\" content=\"4;url={target}\"></noscript>")));
    assert!(html.contains(&format!("<a id=\"continue\" class=\"button\" href=\"{target}\">")));
    assert!(
        html.contains("src=\"https://travel.example.test/logout?iss=https%3A%2F%2Flogin.example.test&amp;sid=s1\"")
    );
    assert!(html.contains("addEventListener(\"load\", go"));
}

#[test]
fn a_qr_code_is_drawn_module_by_module() {
    let text = "https://login.example.test/device?user_code=BK7Q2M";
    let svg = qr_svg(text).unwrap();
    let code = fast_qr::qr::QRBuilder::new(text).ecl(fast_qr::ECL::M).build().unwrap();
    let side = code.size + 8;
    assert!(svg.contains(&format!("viewBox=\"0 0 {side} {side}\"")));
    let (_, path) = svg.split_once("fill=\"#000\" d=\"").unwrap();
    let (path, _) = path.split_once('"').unwrap();
    let mut dark = BTreeSet::new();
    for bar in path.split('M').skip(1) {
        let (place, rest) = bar.split_once('h').unwrap();
        let (x, y) = place.split_once(' ').unwrap();
        let (x, y, run): (usize, usize, usize) =
            (x.parse().unwrap(), y.parse().unwrap(), rest.split_once('v').unwrap().0.parse().unwrap());
        dark.extend((x..x + run).map(|x| (x, y)));
    }
    for row in 0..code.size {
        for column in 0..code.size {
            assert_eq!(dark.contains(&(column + 4, row + 4)), code[row][column].value(), "{row} {column}");
        }
    }
    assert_eq!(qr_svg(&"x".repeat(5000)), None);
}
