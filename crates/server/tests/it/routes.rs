//! Every route is closed to strangers, or listed as open with a reason; whatever is sent to it, it answers and lives.
//! Numbers are those of the project's list of attack cases.

use std::collections::BTreeSet;

use countersign::doors::{hosted, idcs, policyauth};
use countersign::oauth::logout;
use countersign::router::{DEV_ONLY, OPEN, PREFIXES, paths};
use countersign::scim;
use serde_json::{Value, json};

use crate::support::{ACME, Ask, Reply, Setup, TOKEN, TestServer, context_for};

const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "BREW"];

/// Every route, with real ids in place of its parameters.
fn every_path() -> Vec<(String, String)> {
    let core = paths()
        .into_iter()
        .filter(|path| !policyauth::PATHS.contains(path) && !policyauth::vault::PATHS.contains(path))
        .filter(|path| !hosted::PATHS.contains(path) && *path != logout::CONFIRM)
        .filter(|path| !hosted::ACCOUNT_PATHS.contains(path) && !hosted::PHONE_PATHS.contains(path))
        .filter(|path| !scim::PATHS.contains(path) && *path != scim::REST)
        .filter(|path| !idcs::paths().contains(path));
    let mut all: Vec<String> = core.flat_map(|path| PREFIXES.map(|prefix| format!("{prefix}{path}"))).collect();
    all.extend(policyauth::PATHS.into_iter().chain(policyauth::vault::PATHS).chain(hosted::PATHS).map(str::to_owned));
    all.push("/.well-known/oauth-authorization-server/{*issuer}".to_owned());
    all.push(logout::CONFIRM.to_owned());
    all.extend(hosted::ACCOUNT_PATHS.into_iter().chain(hosted::PHONE_PATHS).map(str::to_owned));
    all.extend(scim::PATHS.into_iter().chain([scim::REST]).map(str::to_owned));
    all.extend(idcs::paths().into_iter().map(str::to_owned));
    all.into_iter().map(|path| (fill(&path), path)).collect()
}

fn fill(path: &str) -> String {
    [
        ("{source}", ACME.source),
        ("{kind}", "emailotp"),
        ("{enrolment}", ACME.email),
        ("{verification}", "5e0d6c1b-0c59-4ad2-8b8e-9a1f7c2d3e40"),
        ("{id}", ACME.relying_party),
        ("{policy}", "420017"),
        ("{revision}", "1"),
        ("{*issuer}", "oauth2"),
        ("{*rest}", "nothing/here"),
        ("{handle}", "nobodyHasBegunThisDialogueInAnyBrowserYet"),
        ("{page}", "password"),
        ("{item}", "totp"),
        ("{client}", ACME.client),
        ("{provider}", "nobody-we-know"),
    ]
    .iter()
    .fold(path.to_owned(), |path, (name, value)| path.replace(name, value))
}

fn is_open(path: &str) -> bool {
    OPEN.iter().any(|(open, _)| PREFIXES.iter().any(|prefix| path == format!("{prefix}{open}")))
}

fn is_page(reply: &Reply) -> bool {
    reply.header("content-type").starts_with("text/html")
}

/// Whether whoever asks for My security is led to sign in, with nothing but what the dialogue is bound to.
fn is_led(route: &str, reply: &Reply) -> bool {
    let cookies: Vec<&str> = reply.headers.get_all("set-cookie").iter().map(|one| one.to_str().unwrap()).collect();
    let to = reply.header("location");
    hosted::ACCOUNT_PATHS.contains(&route)
        && reply.status == 303
        && (to == "/account" || to.starts_with("/login/"))
        && cookies.iter().all(|cookie| cookie.starts_with("__Host-countersign-browser="))
}

#[tokio::test]
async fn every_route_refuses_a_stranger_or_is_listed_as_open() {
    let server = TestServer::start().await;
    let paths = every_path();
    for (path, route) in &paths {
        assert!(!path.contains('{'), "`{route}` has a parameter this test does not know");
        let mut closed = false;
        for method in METHODS {
            for credential in [None, Some("x".repeat(40))] {
                let ask = server.ask(method, path);
                let ask = match &credential {
                    Some(token) => ask.bearer(token),
                    None => ask,
                };
                let reply = ask.json(&json!({})).send().await;
                let status = reply.status.as_u16();
                if is_open(route) {
                    // A person is told by a page what is wrong.
                    let told = is_page(&reply) && reply.status.is_client_error();
                    let led = is_led(route, &reply);
                    // Who has nothing to sign out of is sent on to the front door.
                    let sent_on = route == "/oauth2/v1/userlogout" && status == 303;
                    assert!([200, 405].contains(&status) || told || led || sent_on, "{method} {path}: {status}");
                    assert!(led || !reply.headers.contains_key("set-cookie"), "{method} {path}");
                    continue;
                }
                assert!([400, 401, 405].contains(&status), "{method} {path}: {status} {}", reply.text());
                closed |= status == 401;
            }
            // With a form, as the endpoints of OAuth want it.
            let form =
                server.ask(method, path).form(&[("grant_type", "client_credentials"), ("token", "x")]).send().await;
            if !is_open(route) {
                assert!([400, 401, 405].contains(&form.status.as_u16()), "{method} {path}: {}", form.text());
                closed |= form.status == 401;
            }
        }
        assert!(closed || is_open(route), "{path} never asks who is calling");
    }
    assert!(paths.len() > 60, "{}", paths.len());
    for (open, reason) in OPEN {
        assert!(!reason.is_empty());
        assert!(paths.iter().any(|(_, route)| route.ends_with(open)), "`{open}` is no route any more");
    }
}

#[tokio::test]
async fn what_development_mode_has_exists_nowhere_else() {
    let (server, dev) = (TestServer::start().await, Setup::new().dev().start().await);
    for path in DEV_ONLY {
        for method in METHODS {
            assert_eq!(server.ask(method, path).send().await.status, 404, "{method} {path}");
        }
    }
    dev.second_challenge_with_code().await;
    let list = dev.ask("GET", "/dev/outbox?to=scott@acme.org").send().await.expect(200);
    let message = &list.as_array().unwrap()[0];
    assert_eq!(crate::support::names(message), ["channel", "to", "code", "text", "time"]);
    assert_eq!(dev.ask("GET", "/dev/outbox?to=nobody@acme.org").send().await.expect(200), json!([]));
    let came = dev.ask("GET", "/dev/callback?code=c%20d&state=s").send().await;
    assert_eq!(came.expect(200), json!({ "code": "c d", "state": "s" }));
    assert_eq!(came.header("access-control-allow-origin"), "", "a code is nobody else's to read");
}

/// Bodies that are no good anywhere.
fn bad_bodies() -> Vec<(&'static str, Vec<u8>)> {
    let json = "application/json";
    let form = "application/x-www-form-urlencoded";
    vec![
        (json, b"".to_vec()),
        (json, b"{".to_vec()),
        (json, b"[]".to_vec()),
        (json, b"null".to_vec()),
        (json, b"\"x\"".to_vec()),
        (json, b"{\"a\":1,\"a\":2}".to_vec()),
        (json, b"{\"username\":\"\xff\xfe\",\"password\":\"x\"}".to_vec()),
        (json, b"{\"otp\":\"\\ud800\"}".to_vec()),
        (json, format!("{{\"a\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000)).into_bytes()),
        (json, format!("{{\"userId\":\"{}\"}}", "x".repeat(200_000)).into_bytes()),
        (json, vec![0; 1000]),
        (json, b"{} trailing".to_vec()),
        (form, b"".to_vec()),
        (form, b"a=%".to_vec()),
        (form, b"a=%zz&b=%f".to_vec()),
        (form, b"grant_type=%ff%fe&token=%c3%28".to_vec()),
        (form, b"grant_type=x&grant_type=y&token=1&token=2".to_vec()),
        (form, b"client_id=a&client_id=b&client_secret=c".to_vec()),
        (form, "=&".repeat(50_000).into_bytes()),
        (form, "a&".repeat(50_000).into_bytes()),
        (form, format!("grant_type=policyauth&context={}", "A".repeat(200_000)).into_bytes()),
        ("text/plain", b"grant_type=client_credentials".to_vec()),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n--x--".to_vec()),
        ("", b"{}".to_vec()),
        ("application/x-www-form-urlencoded; charset=utf-16", b"token=x".to_vec()),
    ]
}

/// Tokens to try each body under: nobody's, those of both stages, and of a client that may do a lot.
async fn callers(server: &TestServer) -> Vec<Option<String>> {
    let administration = server.token_of("administration", "administration-demo-secret").await;
    vec![
        None,
        Some(server.begin_inside().await.token),
        Some(server.second_challenge().await.token),
        Some(administration),
    ]
}

/// What errors of the Oracle door's resources have besides (Oracle page §4.8).
const ORACLE_ERROR: &str = "urn:ietf:params:scim:api:oracle:idcs:extension:messages:Error";

#[track_caller]
fn is_told_no(reply: &Reply, what: &str) {
    let status = reply.status.as_u16();
    // 501 is a kind of factor that the tenant does not offer (vendor page §5.2).
    assert!(status < 500 || status == 501, "{what}: {status} {}", reply.text());
    if reply.status.is_client_error() && !reply.body.is_empty() && !is_page(reply) {
        let media = ["application/json", "application/json;charset=utf-8", "application/scim+json"];
        assert!(media.contains(&reply.header("content-type")), "{what}");
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        let names: BTreeSet<&str> = crate::support::names(&body).into_iter().collect();
        // The Oracle door tells the stage with what is wrong, under a name of the request (Oracle page §2.2).
        if names.contains("ecId") {
            assert!(names.contains("cause") && body["status"] == "failed", "{what}: {body}");
            return;
        }
        let known = [
            BTreeSet::from(["error", "error_description"]),
            BTreeSet::from(["messageId", "messageDescription"]),
            BTreeSet::from(["schemas", "status", "detail", "scimType"]),
            BTreeSet::from(["schemas", "status", "detail"]),
            BTreeSet::from(["schemas", "status", "detail", ORACLE_ERROR]),
            BTreeSet::from(["schemas", "status", "detail", "scimType", ORACLE_ERROR]),
        ];
        assert!(known.contains(&names), "{what}: {body}");
    }
}

#[tokio::test]
async fn attack_70_nothing_that_is_sent_to_any_route_breaks_it() {
    let server = TestServer::start().await;
    let callers = callers(&server).await;
    // What a caller may not do at all must not be reached by accident: nothing here deletes.
    for (path, _) in every_path() {
        for method in ["GET", "POST", "PUT"] {
            for (media, body) in bad_bodies() {
                for caller in &callers {
                    let ask = server.ask(method, &path).body(media, body.clone());
                    let ask = match caller {
                        Some(token) => ask.bearer(token),
                        None => ask,
                    };
                    is_told_no(&ask.send().await, &format!("{method} {path} as {media}"));
                }
            }
        }
    }
    let gone = server.another().await;
    gone.sign_in().await;
}

#[tokio::test]
async fn attack_70_odd_paths_queries_headers_and_methods_are_answered() {
    let server = TestServer::start().await;
    let second = server.second_challenge().await;
    let administration = server.token_of("administration", "administration-demo-secret").await;
    let long = format!("/v2.0/factors/{}", "x".repeat(60_000));
    for path in [
        "/",
        "//",
        "/v2.0/factors/",
        "/v2.0/factors/emailotp/",
        "/v2.0/factors/%00",
        "/v2.0/factors/%ff%fe/x/verifications",
        "/v2.0/factors/emailotp/%ff/verifications/%c3%28",
        "/v2.0/factors/emailotp/..%2f..%2f/verifications",
        "/v2.0/factors/../../etc/passwd",
        "/v2.0/factors/questions/x/verifications",
        "/v2.0/factors/nothing/x",
        "/v1.0/authnmethods/password/%ff",
        "/v5.0/policyvault/accesspolicy/99999999999999999999999",
        "/v5.0/policyvault/accesspolicy/-1/revision/%ff",
        "/v5.0/policyvault/accesspolicy/x/revision/y",
        "/.well-known/oauth-authorization-server/%ff",
        &long,
        "/v2.0/factors?search=",
        "/v2.0/factors?search=%",
        "/v2.0/factors?search=%ff",
        "/v2.0/factors?search=userId",
        "/v2.0/factors?search=userId%3D",
        "/v2.0/factors?search=userId%3D%22",
        "/v2.0/factors?search=nothing%3D1",
        "/v2.0/factors?search=userId%3C%22x%22",
        "/v2.0/factors?search=enabled%3D%22true%22",
        "/v2.0/factors?search=enabled%3Dtrue&search=enabled%3Dfalse",
        "/v2.0/factors?filter=nothing",
        "/v2.0/factors?sort=nothing",
        "/v2.0/factors?pagination=count%3D-1",
        "/v2.0/factors?pagination=limit%3D99999999999999999999%26page%3D99999999999999",
        "/v2.0/factors?pagination=page%3D0%26limit%3D0",
        &format!("/v2.0/factors?search={}", "enabled%3Dtrue%26".repeat(2_000)),
        &format!("/v2.0/factors?search=userId%3D%22{}%22", "x".repeat(50_000)),
        "/v1.0/authnmethods/password?search=name = \"Cloud",
    ] {
        // A target that no HTTP client can send is none of ours.
        let Ok(target) = path.replace(' ', "%20").replace('"', "%22").parse::<axum::http::Uri>() else { continue };
        for method in METHODS {
            for token in [&second.token, &administration] {
                let reply = server.ask(method, &target.to_string()).bearer(token).json(&json!({})).send().await;
                is_told_no(&reply, &format!("{method} {path:.80}"));
            }
        }
    }
    let with = |header: &'static str, value: Vec<u8>| -> Ask {
        server.ask("GET", "/v2.0/factors").bearer(&second.token).header(header, value)
    };
    for (header, value) in [
        ("content-type", b"\xff\xfe".to_vec()),
        ("content-type", b";;;".to_vec()),
        ("accept", b"image/png".to_vec()),
        ("accept", b"\xff".to_vec()),
        ("accept-encoding", b"x".repeat(5_000)),
        ("content-length", b"5".to_vec()),
        ("x-forwarded-for", b"\xff, , ,,".to_vec()),
        ("forwarded", b"for=\"[".to_vec()),
        ("cookie", b"=;=;=".to_vec()),
        ("expect", b"200-ok".to_vec()),
    ] {
        assert_eq!(with(header, value).send().await.status, 200, "{header}");
    }
    for authorization in [
        b"Bearer".to_vec(),
        b"Bearer ".to_vec(),
        b"Bearer \xff\xff".to_vec(),
        b"Bearer a b".to_vec(),
        b"bearer".to_vec(),
    ] {
        let reply = server.ask("GET", "/v2.0/factors").header("authorization", authorization).send().await;
        reply.factor_error(401, "CSIAK9999E");
    }
    let lower =
        server.ask("GET", "/v2.0/factors").header("authorization", format!("bearer {}", second.token)).send().await;
    lower.expect(200);
}

#[tokio::test]
async fn attack_03_a_parameter_given_twice_is_refused() {
    let server = TestServer::start().await;
    let base = [
        ("client_id", ACME.client),
        ("client_secret", ACME.secret),
        ("grant_type", "client_credentials"),
        ("scope", ""),
    ];
    for twice in base {
        let form = [&base[..], &[twice]].concat();
        server.post_form(TOKEN, &form).await.oauth_error(400, "invalid_request", "CSIAQ");
    }
    for path in ["/oauth2/introspect", "/oauth2/revoke"] {
        let form = [base[0], base[1], ("token", "x"), ("token", "y")];
        server.post_form(path, &form).await.oauth_error(400, "invalid_request", "CSIAQ");
    }
    let both = server.post_form("/oauth2/userinfo", &[("access_token", "x"), ("access_token", "y")]).await;
    both.oauth_error(400, "invalid_request", "CSIAQ");
}

#[tokio::test]
async fn attack_69_large_and_deep_input_is_bounded() {
    let server = TestServer::start().await;
    let many: Vec<String> = (0..10_000).map(|number| format!("s{number}")).collect();
    let scopes = many.join(" ");
    let form = [("grant_type", "client_credentials"), ("scope", scopes.as_str())];
    assert_eq!(server.token(&form).await.status, 400);
    let long = "x".repeat(64 * 1024);
    for name in ["scope", "grant_type", "resource", "assertion", "refresh_token", "context"] {
        let mut form: Vec<(&str, &str)> = vec![("grant_type", "client_credentials")];
        form.retain(|(one, _)| *one != name);
        form.push((name, &long));
        let reply = server.token(&form).await;
        assert!(reply.status.as_u16() < 500, "{name}: {}", reply.text());
    }
    let deep = context_for(&json!({
        "sessionId": "s", "ipAddress": "192.168.1.1", "userAgent": "x",
        "x": (0..50).fold(json!(1), |inner, _| json!([inner])),
    }));
    let reply = server.token(&[("grant_type", "policyauth"), ("context", &deep)]).await;
    reply.oauth_error(400, "invalid_request", "CSIAQ");
    let wide: serde_json::Map<String, Value> = (0..5_000).map(|number| (format!("m{number}"), json!(number))).collect();
    let reply = server.token(&[("grant_type", "policyauth"), ("context", &context_for(&Value::Object(wide)))]).await;
    reply.oauth_error(400, "invalid_request", "CSIAQ");
    let body = server.ask("POST", TOKEN).body("application/x-www-form-urlencoded", vec![b'a'; 300 * 1024]).send().await;
    assert_eq!(body.status, 413);
}

#[tokio::test]
async fn attack_68_odd_passwords_are_judged_or_refused_without_much_work() {
    let server = TestServer::start().await;
    let first = server.begin_inside().await;
    let wrong = server.password(&first.token, ACME.other.username, "wrong").await;
    for password in [
        "x".repeat(1025),
        "x".repeat(200_000),
        "\u{fdfa}".repeat(10_000),
        format!("{}\u{0}", ACME.other.password),
        "\u{0}".to_owned(),
    ] {
        let again = server.begin_inside().await;
        let reply = server.password(&again.token, "nobody-at-all", &password).await;
        if password.len() > 50_000 {
            // Not even read.
            reply.factor_error(400, "CSIAG5401E");
        } else {
            assert_eq!(reply, wrong, "{} bytes", password.len());
        }
    }
    // A NUL and what follows it are part of the password.
    let nul = server.password(&first.token, ACME.other.username, &format!("{}\u{0}x", ACME.other.password)).await;
    assert_eq!(nul, wrong);
    server.password(&first.token, ACME.other.username, ACME.other.password).await.expect(200);
    let megabyte = server.password(&first.token, ACME.other.username, &"x".repeat(1024 * 1024)).await;
    assert_eq!(megabyte.status, 413);
}
