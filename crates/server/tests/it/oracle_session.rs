//! A browser is handed to the sign-in page of an application and comes back (Oracle page §1.6, §4.7, §6.3), and pages of other origins
//! call (§1.4).

use aws_lc_rs::cipher::{AES_128, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::oracle::{AUTHENTICATE, CLIENT, Page, SECRET, Step};
use crate::support::{Reply, Setup, TestServer, decode};

const PAGE: &str = "http://localhost:3000";
const BACK: &str = "http://127.0.0.1:8400/dev/callback";
const SESSION: &str = "/sso/v1/sdk/session";

/// A browser: it keeps cookies, and tells where it comes from.
#[derive(Default)]
struct Browser {
    cookies: Vec<(String, String)>,
}

impl Browser {
    fn line(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, reply: &Reply) {
        for cookie in reply.headers.get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    async fn visit(&mut self, server: &TestServer, target: &str) -> Reply {
        let reply = server.ask("GET", target).header("cookie", self.line()).send().await;
        self.keep(&reply);
        reply
    }

    /// Posts a form from a page of another site: the cookies stay at home (`SameSite=Lax`), what is set is kept.
    async fn post_from(&mut self, server: &TestServer, origin: &str, path: &str, form: &[(&str, &str)]) -> Reply {
        let reply = server.ask("POST", path).header("origin", origin).form(form).send().await;
        self.keep(&reply);
        reply
    }

    /// Posts a form from a page of the same site.
    async fn post_near(&mut self, server: &TestServer, path: &str, form: &[(&str, &str)]) -> Reply {
        let ask = server.ask("POST", path).header("origin", PAGE).header("cookie", self.line());
        let reply = ask.form(form).send().await;
        self.keep(&reply);
        reply
    }
}

fn authorize(client: &str, more: &str) -> String {
    format!(
        "/oauth2/v1/authorize?client_id={client}&response_type=code&scope=openid&state=77&redirect_uri=http%3A%2F%2F127.0.0.1%3A8400%2Fdev%2Fcallback{more}"
    )
}

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let at = page.find(&format!("name=\"{name}\"")).unwrap_or_else(|| panic!("no `{name}` in {page}"));
    let rest = &page[at..];
    let start = rest.find("value=\"").unwrap() + 7;
    let text = &rest[start..start + rest[start..].find('"').unwrap()];
    text.replace("&#x2f;", "/").replace("&#43;", "+").replace("&#x2b;", "+").replace("&#61;", "=").replace("&amp;", "&")
}

/// Opens what is handed over, as a sign-in page does.
pub fn open(context: &str) -> Value {
    let key = &digest(&SHA256, b"acme-demo").as_ref()[..16].to_vec();
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_128, key).unwrap()).unwrap();
    let mut text = STANDARD.decode(context).unwrap();
    let plain = key.decrypt(&mut text, DecryptionContext::Iv128(FixedLength::from([0; 16]))).unwrap();
    serde_json::from_slice(plain).unwrap()
}

/// A browser that goes to an application, and what its page is handed.
async fn handed(server: &TestServer, client: &str, more: &str) -> (Browser, Step) {
    let mut browser = Browser::default();
    let reply = browser.visit(server, &authorize(client, more)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(
        reply.text().contains("action=\"http:&#x2f;&#x2f;localhost:3000&#x2f;\"")
            || reply.text().contains("action=\"http://localhost:3000/\""),
        "{}",
        reply.text()
    );
    let body = open(&hidden(reply.text(), "loginCtx"));
    (browser, Step { status: 200, body })
}

async fn signed_in(page: &Page, first: &Step, name: &str, password: &str) -> String {
    let credentials = json!({ "username": name, "password": password });
    page.credentials(first, Some("USERNAME_PASSWORD"), credentials).await.token().to_owned()
}

fn code_of(reply: &Reply) -> String {
    assert_eq!(reply.status, 303, "{}", reply.text());
    let location = reply.header("location");
    assert!(location.starts_with(&format!("{BACK}?")), "{location}");
    let query: std::collections::HashMap<String, String> =
        form_urlencoded::parse(location.split_once('?').unwrap().1.as_bytes()).into_owned().collect();
    assert_eq!(query["state"], "77");
    query["code"].clone()
}

#[tokio::test]
async fn a_browser_is_handed_over_signed_and_comes_back_with_a_code() {
    let server = TestServer::start().await;
    let page = server.page().await;
    let mut browser = Browser::default();
    let reply = browser.visit(&server, &authorize("timesheets", "")).await;
    let (login_ctx, signature) = (hidden(reply.text(), "loginCtx"), hidden(reply.text(), "signature"));
    // The signature is over the name and the text, by the key of the first certificate.
    let key = server.get("/admin/v1/SigningCert/jwk", &page.token).await.expect(200)["keys"][0].clone();
    let part = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let public = RsaPublicKeyComponents { n: part("n"), e: part("e") };
    let text = format!("loginCtx{login_ctx}");
    let signature = STANDARD.decode(signature).unwrap();
    public.verify(&RSA_PKCS1_2048_8192_SHA256, text.as_bytes(), &signature).unwrap();
    let first = Step { status: 200, body: open(&login_ctx) };
    first.waits(&["credSubmit"], &["USERNAME_PASSWORD"]);

    let authn = signed_in(&page, &first, "admin@oracle.com", "Welc0me@1").await;
    // From another site no cookie comes along: the browser is sent on, and brings them.
    let on = browser.post_from(&server, PAGE, SESSION, &[("authnToken", &authn)]).await;
    assert_eq!((on.status.as_u16(), on.text()), (303, ""));
    assert_eq!((on.header("x-content-type-options"), on.header("pragma")), ("nosniff", "no-cache"));
    let path = on.header("location").strip_prefix(server.cast.base).unwrap().to_owned();
    let code = code_of(&browser.visit(&server, &path).await);
    let redeem = server.ask("POST", "/oauth2/v1/token").basic("timesheets", "timesheets-demo-secret");
    // Clients of this dialect leave the address out.
    let form = [("grant_type", "authorization_code"), ("code", code.as_str())];
    let tokens = redeem.form(&form).send().await.expect(200);
    assert_eq!(decode(tokens["id_token"].as_str().unwrap()).1["sub"], "admin@oracle.com");
    // Signed in, the browser is not handed over again; nor where its own ID token says who is meant.
    code_of(&browser.visit(&server, &authorize("timesheets", "")).await);
    let hint = format!("&prompt=none&id_token_hint={}", tokens["id_token"].as_str().unwrap());
    code_of(&browser.visit(&server, &authorize("timesheets", &hint)).await);
}

#[tokio::test]
async fn a_page_of_the_same_site_brings_the_browser_back_at_once() {
    let server = TestServer::start().await;
    let page = server.page().await;
    let (mut browser, first) = handed(&server, "timesheets", "").await;
    let authn = signed_in(&page, &first, "admin@oracle.com", "Welc0me@1").await;
    code_of(&browser.post_near(&server, SESSION, &[("authnToken", &authn)]).await);
}

#[tokio::test]
async fn who_must_prove_it_anew_does_not_come_by_with_an_old_token() {
    let server = TestServer::start().await;
    let page = server.page().await;
    let (mut browser, first) = handed(&server, "timesheets", "").await;
    let authn = signed_in(&page, &first, "admin@oracle.com", "Welc0me@1").await;
    code_of(&browser.post_near(&server, SESSION, &[("authnToken", &authn)]).await);
    server.world.advance(60);
    let again = browser.visit(&server, &authorize("timesheets", "&prompt=login")).await;
    let first = Step { status: 200, body: open(&hidden(again.text(), "loginCtx")) };
    let authn = signed_in(&page, &first, "admin@oracle.com", "Welc0me@1").await;
    code_of(&browser.post_near(&server, SESSION, &[("authnToken", &authn)]).await);
}

#[tokio::test]
async fn a_request_belongs_to_the_browser_it_came_with() {
    let server = TestServer::start().await;
    let page = server.page().await;
    // Somebody begins in a browser of their own and has another person sign in for it.
    let (_, first) = handed(&server, "timesheets", "").await;
    let authn = signed_in(&page, &first, "admin@oracle.com", "Welc0me@1").await;
    let (mut victim, _) = handed(&server, "timesheets", "").await;
    let reply = victim.post_near(&server, SESSION, &[("authnToken", &authn)]).await;
    assert_ne!(reply.status, 303, "{}", reply.text());
    assert!(!reply.header("location").starts_with(BACK));
    let mut blank = Browser::default();
    let on = blank.post_from(&server, PAGE, SESSION, &[("authnToken", &authn)]).await;
    let path = on.header("location").strip_prefix(server.cast.base).unwrap().to_owned();
    assert_ne!(blank.visit(&server, &path).await.status, 303);
}

#[tokio::test]
async fn a_token_makes_a_cookie_once_and_only_pages_that_are_known_may_bring_it() {
    let server = TestServer::start().await;
    let page = server.page().await;
    let authn = page.password(None, "admin@oracle.com", "Welc0me@1").await.token().to_owned();
    let form = [("authnToken", authn.as_str())];
    let mut browser = Browser::default();
    // A stranger's page would sign people in as whom it likes.
    let foreign = browser.post_from(&server, "https://evil.example", SESSION, &form).await;
    assert_eq!(foreign.status, 400);
    assert!(browser.cookies.is_empty());
    let first = browser.post_from(&server, PAGE, SESSION, &form).await;
    assert_eq!((first.status.as_u16(), first.header("location")), (303, "https://login.example.test/"));
    assert!(browser.cookies.iter().any(|(name, _)| name == "__Host-countersign"), "{:?}", browser.cookies);
    // The same browser, whose answer was lost, finds what is there; no other one does.
    assert_eq!(browser.post_near(&server, SESSION, &form).await.status, 303);
    let mut other = Browser::default();
    assert_eq!(other.post_from(&server, PAGE, SESSION, &form).await.status, 401);
    assert!(other.cookies.is_empty());
    for (form, status) in [(&[("authnToken", "x")][..], 401), (&[("requestState", "a~b")], 401), (&[("x", "y")], 400)] {
        let reply = browser.post_from(&server, PAGE, SESSION, form).await;
        assert_eq!((reply.status.as_u16(), reply.header("content-type").starts_with("text/html")), (status, true));
    }
}

#[tokio::test]
async fn the_secure_endpoint_wants_the_pages_own_token() {
    let server = TestServer::start().await;
    let page = server.page().await;
    let authn = page.password(None, "admin@oracle.com", "Welc0me@1").await.token().to_owned();
    let secure = "/sso/v1/sdk/secure/session";
    let bring = async |more: &[(&str, &str)]| {
        let mut form = vec![("authnToken", authn.as_str())];
        form.extend_from_slice(more);
        server.ask("POST", secure).form(&form).send().await
    };
    assert_eq!(bring(&[]).await.status, 401);
    assert_eq!(bring(&[("authorization", "x")]).await.status, 401);
    let mfa = [("grant_type", "client_credentials"), ("scope", "urn:opc:idm:__myscopes__")];
    let mfa = server.ask("POST", "/oauth2/v1/token").basic("idcs-mfa", "idcs-mfa-secret").form(&mfa).send().await;
    let mfa = mfa.expect(200)["access_token"].as_str().unwrap().to_owned();
    assert_eq!(bring(&[("authorization", &mfa)]).await.status, 401);
    let done = bring(&[("accesstoken", &page.token)]).await;
    assert_eq!((done.status.as_u16(), done.header("location")), (303, "https://login.example.test/"));
    assert_eq!((done.header("content-length"), done.body.len()), ("0", 0));
}

/// The last answer listed `createSession`: its state alone is good for a session, where nothing must be set up first.
#[tokio::test]
async fn a_state_makes_a_session_where_it_was_offered_one() {
    let server = crate::oracle_enrol::setup().start().await;
    let page = server.page().await;
    for (application, status) in [(crate::oracle_enrol::OPTIONAL, 303), (crate::oracle_enrol::REQUIRED, 401)] {
        let offer = page.password(Some(application), crate::oracle_enrol::NAME, crate::oracle_enrol::PASSWORD).await;
        assert_eq!(offer.list("nextOp").contains(&"createSession"), status == 303);
        let mut browser = Browser::default();
        let reply = browser.post_from(&server, PAGE, SESSION, &[("requestState", offer.state())]).await;
        assert_eq!(reply.status, status, "{application}");
        assert_eq!(!browser.cookies.is_empty(), status == 303);
        if status == 303 {
            assert_eq!(browser.post_from(&server, PAGE, SESSION, &[("requestState", offer.state())]).await.status, 401);
        }
    }
}

/// What a sign-in gave besides its token is kept by the browser, and counts for its person when the browser is handed over again.
#[tokio::test]
async fn what_a_sign_in_gave_besides_is_kept_by_the_browser() {
    use crate::support::oracle::world::{self, DEVICE, NAME, PASSWORD, passcode};
    let server = world::setup().start().await;
    server
        .change_client("app-device", |client| {
            client.oracle.login_url = Some("http://localhost:3000/".to_owned());
            client.redirect_uris.push(BACK.to_owned());
        })
        .await;
    let page = server.page().await;
    let start = page.start(Some(DEVICE)).await;
    let members = json!({
        "op": "credSubmit", "keepMeSignedIn": true, "credentials": { "username": NAME, "password": PASSWORD }
    });
    let asked = page.submit(&start, members).await;
    let members = json!({
        "op": "credSubmit", "credentials": { "otpCode": passcode(&server) }, "trustedDevice": true,
        "trustedDeviceDisplayName": "Firefox on Linux",
    });
    let done = page.submit(&asked, members).await;
    let text = |name: &str| done.body[name].as_str().unwrap().to_owned();
    let (authn, trust, stays) = (text("authnToken"), text("trustToken"), text("kmsiToken"));
    let mut browser = Browser::default();
    let form = [("authnToken", authn.as_str()), ("trustToken", &trust), ("kmsiToken", &stays)];
    assert_eq!(browser.post_from(&server, PAGE, SESSION, &form).await.status, 303);
    for token in [&trust, &stays] {
        assert!(browser.cookies.iter().any(|(_, value)| value.contains(token.as_str())), "{:?}", browser.cookies);
    }
    // Handed over again, to sign in anew: the browser is known.
    let reply = browser.visit(&server, &authorize("app-device", "&prompt=login")).await;
    let first = Step { status: 200, body: open(&hidden(reply.text(), "loginCtx")) };
    let credentials = json!({ "username": NAME, "password": PASSWORD });
    page.credentials(&first, None, credentials.clone()).await.token();
    // Nobody else's browser is, nor for a token that was made up.
    let mut other = Browser::default();
    let authn = page.credentials(&first, None, credentials).await.token().to_owned();
    let form = [("authnToken", authn.as_str()), ("trustToken", "made-up"), ("kmsiToken", "made-up")];
    assert_eq!(other.post_from(&server, PAGE, SESSION, &form).await.status, 303);
    assert!(other.cookies.iter().all(|(_, value)| !value.contains("made-up")), "{:?}", other.cookies);
}

/// A form in parts, as tools and scripts of pages send it.
#[tokio::test]
async fn forms_may_come_in_parts() {
    let server = TestServer::start().await;
    let page = server.page().await;
    let in_parts = |fields: &[(&str, &str)]| {
        let part = |(name, value): &(&str, &str)| {
            format!("--x7MA4YWxk\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        fields.iter().map(part).collect::<String>() + "--x7MA4YWxk--\r\n"
    };
    let post = async |path: &str, fields: &[(&str, &str)]| {
        let ask = server.ask("POST", path).header("origin", PAGE);
        ask.body("multipart/form-data; boundary=x7MA4YWxk", in_parts(fields)).send().await
    };
    let authn = page.password(None, "admin@oracle.com", "Welc0me@1").await.token().to_owned();
    let done = post(SESSION, &[("authnToken", &authn)]).await;
    assert_eq!((done.status.as_u16(), done.header("location")), (303, "https://login.example.test/"));
    let authn = page.password(None, "admin@oracle.com", "Welc0me@1").await.token().to_owned();
    let secure = "/sso/v1/sdk/secure/session";
    assert_eq!(post(secure, &[("authnToken", &authn), ("authorization", &page.token)]).await.status, 303);
    // Twice the same field, a file, or no form at all.
    let twice = [("authnToken", authn.as_str()), ("authnToken", authn.as_str())];
    assert_eq!(post(SESSION, &twice).await.status, 400);
    let ask = server.ask("POST", SESSION).header("origin", PAGE);
    assert_eq!(ask.body("multipart/form-data; boundary=x7MA4YWxk", "authnToken=x".to_owned()).send().await.status, 400);
    let ask = server.ask("POST", SESSION).header("origin", PAGE);
    assert_eq!(ask.body("application/json", "{}".to_owned()).send().await.status, 400);
}

#[tokio::test]
async fn who_signs_out_is_not_asked_and_goes_where_the_client_registered() {
    let server = TestServer::start().await;
    let page = server.page().await;
    let authn = page.password(None, "admin@oracle.com", "Welc0me@1").await.token().to_owned();
    let mut browser = Browser::default();
    browser.post_from(&server, PAGE, SESSION, &[("authnToken", &authn)]).await;
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", authn.as_str()),
        ("scope", "openid"),
    ];
    let exchange = async || server.ask("POST", "/oauth2/v1/token").basic(CLIENT, SECRET).form(&form).send().await;
    let id_token = exchange().await.expect(200)["id_token"].as_str().unwrap().to_owned();
    let out = |uri: &str| {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("id_token_hint", id_token.as_str()), ("post_logout_redirect_uri", uri), ("state", "s")])
            .finish();
        format!("/oauth2/v1/userlogout?{query}")
    };
    // Where nobody may be sent, nobody is signed out either.
    assert_eq!(browser.visit(&server, &out("https://evil.example/")).await.status, 400);
    assert!(exchange().await.status.is_success());
    let gone = browser.visit(&server, &out("http://localhost:3000/")).await;
    assert_eq!((gone.status.as_u16(), gone.header("location")), (303, "http://localhost:3000/?state=s"));
    assert_eq!(exchange().await.status, 400, "the session took its token along");
    let bare = browser.visit(&server, "/oauth2/v1/userlogout").await;
    assert_eq!((bare.status.as_u16(), bare.header("location")), (303, "https://login.example.test/"));
}

#[tokio::test]
async fn pages_call_from_where_the_tenant_names_and_from_nowhere_else() {
    let server = TestServer::start().await;
    let star = |reply: &Reply| reply.header("access-control-allow-origin").to_owned();
    for (path, method) in [(AUTHENTICATE, "POST"), ("/admin/v1/Me", "PATCH"), ("/oauth2/v1/token", "POST")] {
        let ask = |origin: &str| {
            server
                .ask("OPTIONS", path)
                .header("origin", origin)
                .header("access-control-request-method", method)
                .header("access-control-request-headers", "authorization,content-type")
        };
        let known = ask(PAGE).send().await;
        assert_eq!((known.status.as_u16(), star(&known).as_str()), (200, PAGE), "{path}");
        assert!(known.header("access-control-allow-methods").contains(method));
        assert!(known.header("access-control-allow-headers").to_lowercase().contains("authorization"));
        assert_eq!(star(&ask("https://evil.example").send().await), "", "{path}");
    }
    // On errors too, the one for a dead client token among them; and never a star.
    let dead = server.ask("GET", AUTHENTICATE).header("origin", PAGE).bearer("x").send().await;
    assert_eq!((dead.status.as_u16(), dead.header("content-type"), star(&dead).as_str()), (401, "text/html", PAGE));
    let other = server.ask("GET", AUTHENTICATE).header("origin", "https://evil.example").bearer("x").send().await;
    assert_eq!((star(&other).as_str(), other.header("vary")), ("", "Origin"));
    let none = Setup::new().replace("cors_origins = [\"localhost:3000\", \"127.0.0.1:3000\"]", "cors_enabled = false");
    let none = none.start().await;
    let refused = none.ask("GET", AUTHENTICATE).header("origin", PAGE).bearer("x").send().await;
    assert_eq!(star(&refused), "");
}

#[tokio::test]
async fn without_a_page_of_its_own_a_client_uses_ours() {
    let ours = |server: TestServer, target: String| async move {
        let reply = server.ask("GET", &target).send().await;
        assert_eq!(reply.status, 303, "{}", reply.text());
        assert!(reply.header("location").starts_with("/login/"), "{}", reply.header("location"));
    };
    let server = TestServer::start().await;
    let own = "/oauth2/v1/authorize?client_id=idcs-demo&response_type=code&scope=openid&redirect_uri=http%3A%2F%2Flocalhost%3A3000%2Fcallback";
    ours(server.clone(), own.to_owned()).await;
    // Under the other path families there is no hand-over.
    ours(server, authorize("timesheets", "").replace("/oauth2/v1/authorize", "/authorize")).await;
    let off = Setup::new().replace("name = \"acme-demo\"", "sdk_enabled = false").start().await;
    ours(off, authorize("timesheets", "")).await;
}
