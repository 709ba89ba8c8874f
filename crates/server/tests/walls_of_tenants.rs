//! Walls between tenants: two tenants with the very same ids, logins and client secrets, and nothing that one handed out
//! is accepted at the other. Each refusal stands beside the same request at the right host, which succeeds.
#![allow(clippy::unwrap_used, clippy::panic)]

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::app::{App, Ground};
use countersign::config::Config;
use countersign::{router, tenant_file};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

const BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const SOURCE: &str = "11111111-1111-4111-8111-111111111111";
const TOTP: &str = "22222222-2222-4222-8222-222222222221";
const MAIL: &str = "22222222-2222-4222-8222-222222222222";

/// One of the two: the same in everything but its name, its host, its passwords and what is given as `extra`.
fn twin(id: &str, password: &str, extra: &str) -> String {
    format!(
        r#"
[[tenant]]
id = "{id}"
urls = ["http://{id}.example.test"]
[[tenant.sources]]
id = "{SOURCE}"
name = "People"
realm = "people"
[[tenant.groups]]
id = "G1"
name = "STAFF"
[[tenant.users]]
id = "AAAAAAAAA1"
username = "ann"
password = "{password}"
groups = ["STAFF"]
attributes = {{ email = "ann@{id}.example.test" }}
[[tenant.enrolments]]
id = "{MAIL}"
user = "ann"
kind = "email-otp"
address = "ann@{id}.example.test"
[[tenant.policies]]
id = 7
name = "Of {id}"
meta = {{ state = "ACTIVE", enforcementType = "nativeAppWeb" }}
[[tenant.policies.rules]]
name = "First"
alwaysRun = false
firstFactor = true
conditions = []
result = {{ action = "ACTION_MFA_ALWAYS", authnMethods = ["password"] }}
[[tenant.policies.rules]]
name = "Then"
alwaysRun = false
firstFactor = false
conditions = []
result = {{ action = "ACTION_ALLOW", authnMethods = [] }}
[[tenant.policies]]
id = 8
name = "Two factors of {id}"
meta = {{ state = "ACTIVE", enforcementType = "nativeAppWeb" }}
[[tenant.policies.rules]]
name = "First"
alwaysRun = false
firstFactor = true
conditions = []
result = {{ action = "ACTION_MFA_ALWAYS", authnMethods = ["password"] }}
[[tenant.policies.rules]]
name = "Then"
alwaysRun = false
firstFactor = false
conditions = []
result = {{ action = "ACTION_MFA_ALWAYS", authnMethods = ["emailotp", "totp"] }}
[[tenant.clients]]
id = "app"
secret = "the same secret"
grant_types = ["policyauth", "refresh_token", "client_credentials", "{BEARER}"]
policy = 7
policy_grants = {{ policyauth = true }}
introspect = "any"
[[tenant.clients]]
id = "strict"
secret = "the same secret"
grant_types = ["policyauth", "refresh_token"]
policy = 8
policy_grants = {{ policyauth = true }}
[[tenant.clients]]
id = "signed"
secret = "the same secret"
grant_types = ["client_credentials"]
access_token_format = "jwt"
entitlements = ["readAccessPolicies", "readOIDCGrants"]
[[tenant.clients]]
id = "own-{id}"
secret = "the same secret"
grant_types = ["client_credentials"]
[[tenant.keys]]
alg = "RS256"
[[tenant.keys]]
alg = "ES256"
{extra}
"#
    )
}

/// A server with both, and a way to ask it.
struct Server(App);

impl Server {
    async fn start() -> Self {
        let text = twin("one", "password of one", "")
            + &twin(
                "two",
                "password of two",
                &format!(
                    "[[tenant.enrolments]]\nid = \"{TOTP}\"\nuser = \"ann\"\nkind = \"totp\"\nsecret = \
                     \"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\"\n[[tenant.users]]\nid = \"BBBBBBBBB2\"\nusername = \"bea\"\n\
                     password = \"password of bea\"\n"
                ),
            );
        let file = tenant_file::load_text("twins.toml", &text).unwrap_or_else(|problems| {
            panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        });
        let config = Config::dev("127.0.0.1:0".parse().unwrap(), None);
        let ground = Ground::open(&config, true).await.unwrap();
        tenant_file::apply(&ground.store, &ground.master, &ground.hashing, &ground.world, &file, false).await.unwrap();
        Self(App::build(config, ground, true).await.unwrap())
    }

    async fn send(&self, host: &str, request: axum::http::request::Builder, body: String) -> (StatusCode, Value) {
        let request = request.header(header::HOST, format!("{host}.example.test")).body(Body::from(body)).unwrap();
        let response: Response = router::build(self.0.clone()).oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn get(&self, host: &str, path: &str, token: &str) -> (StatusCode, Value) {
        let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        self.send(host, request, String::new()).await
    }

    async fn post(&self, host: &str, path: &str, token: &str, body: Value) -> (StatusCode, Value) {
        let request = Request::post(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json");
        self.send(host, request, body.to_string()).await
    }

    /// A form at an endpoint of the authorization server, as `client`.
    async fn form(&self, host: &str, path: &str, client: &str, fields: &[(&str, &str)]) -> (StatusCode, Value) {
        let basic = STANDARD.encode(format!("{client}:the same secret"));
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post(path)
            .header(header::AUTHORIZATION, format!("Basic {basic}"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(host, request, body).await
    }

    /// `policyauth`, begun: the challenge token.
    async fn begin(&self, host: &str, client: &str) -> String {
        let context = STANDARD.encode(r#"{"sessionId":"s","ipAddress":"192.168.1.1","userAgent":"u"}"#);
        let fields = [("grant_type", "policyauth"), ("scope", "openid"), ("context", context.as_str())];
        let (status, answer) = self.form(host, "/oauth2/token", client, &fields).await;
        assert_eq!((status, &answer["allowedFactors"]), (StatusCode::OK, &json!(["password"])), "{answer}");
        text(&answer, "access_token")
    }

    async fn password(&self, host: &str, challenge: &str, password: &str) -> (StatusCode, Value) {
        let path = format!("/v1.0/authnmethods/password/{SOURCE}?returnJwt=true");
        self.post(host, &path, challenge, json!({ "username": "ann", "password": password })).await
    }

    /// The assertion of a right password.
    async fn assertion(&self, host: &str, challenge: &str) -> String {
        let (status, answer) = self.password(host, challenge, &format!("password of {host}")).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        text(&answer, "assertion")
    }

    async fn present(&self, host: &str, client: &str, assertion: &str) -> (StatusCode, Value) {
        self.form(host, "/oauth2/token", client, &[("grant_type", BEARER), ("assertion", assertion)]).await
    }

    /// The whole flow: access token, refresh token and the rest.
    async fn tokens(&self, host: &str) -> Value {
        let challenge = self.begin(host, "app").await;
        let assertion = self.assertion(host, &challenge).await;
        let (status, answer) = self.present(host, "app", &assertion).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    async fn active(&self, host: &str, token: &str) -> bool {
        let (status, answer) = self.form(host, "/oauth2/introspect", "app", &[("token", token)]).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["active"].as_bool().unwrap()
    }
}

fn text(answer: &Value, member: &str) -> String {
    answer[member].as_str().unwrap_or_else(|| panic!("no `{member}` in {answer}")).to_owned()
}

#[tokio::test]
async fn a_host_that_is_nobodys_answers_nothing() {
    let server = Server::start().await;
    let (status, _) = server.form("three", "/oauth2/token", "app", &[("grant_type", "client_credentials")]).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = server.form("one", "/oauth2/token", "app", &[("grant_type", "client_credentials")]).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn clients_of_one_tenant_are_strangers_at_the_other() {
    let server = Server::start().await;
    for (client, home, away) in [("own-one", "one", "two"), ("own-two", "two", "one")] {
        let fields = [("grant_type", "client_credentials")];
        assert_eq!(server.form(home, "/oauth2/token", client, &fields).await.0, StatusCode::OK);
        let (status, answer) = server.form(away, "/oauth2/token", client, &fields).await;
        assert_eq!((status, &answer["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_client")));
    }
}

#[tokio::test]
async fn access_tokens_mean_nothing_at_the_other() {
    let server = Server::start().await;
    let opaque = text(&server.tokens("one").await, "access_token");
    let (_, answer) = server.form("one", "/oauth2/token", "signed", &[("grant_type", "client_credentials")]).await;
    let signed = text(&answer, "access_token");
    assert_eq!((opaque.matches('.').count(), signed.matches('.').count()), (0, 2));
    for token in [&opaque, &signed] {
        assert!(server.active("one", token).await);
        assert!(!server.active("two", token).await);
    }
    let (status, answer) = server.get("one", "/oauth2/userinfo", &opaque).await;
    assert_eq!((status, &answer["sub"]), (StatusCode::OK, &json!("AAAAAAAAA1")));
    assert_eq!(server.get("two", "/oauth2/userinfo", &opaque).await.0, StatusCode::UNAUTHORIZED);

    // With a right that would let it read every policy at home.
    let (status, answer) = server.get("one", "/v5.0/policyvault/accesspolicy", &signed).await;
    assert_eq!((status, &answer["total"]), (StatusCode::OK, &json!(2)), "{answer}");
    assert!(answer.to_string().contains("Of one") && !answer.to_string().contains("Of two"));
    assert_eq!(server.get("two", "/v5.0/policyvault/accesspolicy", &signed).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn revoking_at_the_other_revokes_nothing() {
    let server = Server::start().await;
    let answer = server.tokens("one").await;
    let (access, refresh) = (text(&answer, "access_token"), text(&answer, "refresh_token"));
    for token in [&access, &refresh] {
        assert_eq!(server.form("two", "/oauth2/revoke", "app", &[("token", token)]).await.0, StatusCode::OK);
        assert!(server.active("one", token).await, "still alive at home");
    }
    assert_eq!(server.form("one", "/oauth2/revoke", "app", &[("token", &access)]).await.0, StatusCode::OK);
    assert!(!server.active("one", &access).await, "while its own tenant can end it");
}

#[tokio::test]
async fn refresh_tokens_are_refused_at_the_other_and_live_on() {
    let server = Server::start().await;
    let refresh = text(&server.tokens("one").await, "refresh_token");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    let (status, answer) = server.form("two", "/oauth2/token", "app", &fields).await;
    assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
    assert_eq!(server.form("one", "/oauth2/token", "app", &fields).await.0, StatusCode::OK);
}

#[tokio::test]
async fn challenge_tokens_open_no_factor_of_the_other() {
    let server = Server::start().await;
    let challenge = server.begin("one", "app").await;
    let (status, _) = server.password("two", &challenge, "password of two").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let sources = "/v1.0/authnmethods/password";
    assert_eq!(server.get("two", sources, &challenge).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(server.get("one", sources, &challenge).await.0, StatusCode::OK);
    // Nor does it stand for its client there (vendor page §2.5, form 2).
    let assertion = server.assertion("one", &challenge).await;
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("grant_type", BEARER), ("assertion", assertion.as_str())])
        .finish();
    for (host, expected) in [("two", false), ("one", true)] {
        let request = Request::post("/oauth2/token")
            .header(header::AUTHORIZATION, format!("Bearer {challenge}"))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let (status, answer) = server.send(host, request, body.clone()).await;
        assert_eq!(status == StatusCode::OK, expected, "{host}: {answer}");
    }
}

#[tokio::test]
async fn a_password_counts_where_it_was_set() {
    let server = Server::start().await;
    let (one, two) = (server.begin("one", "app").await, server.begin("two", "app").await);
    assert_eq!(server.password("one", &one, "password of two").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(server.password("two", &two, "password of one").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(server.password("one", &one, "password of one").await.0, StatusCode::OK);
    assert_eq!(server.password("two", &two, "password of two").await.0, StatusCode::OK);
    // Somebody of the other tenant is nobody here, in the words of a wrong password.
    let path = format!("/v1.0/authnmethods/password/{SOURCE}?returnJwt=true");
    let bea = json!({ "username": "bea", "password": "password of bea" });
    let (one, two) = (server.begin("one", "app").await, server.begin("two", "app").await);
    let (status, stranger) = server.post("one", &path, &one, bea.clone()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(stranger, server.password("one", &one, "wrong").await.1);
    assert_eq!(server.post("two", &path, &two, bea).await.0, StatusCode::OK);
}

#[tokio::test]
async fn wrong_answers_at_one_do_not_lock_the_other() {
    let server = Server::start().await;
    let challenge = server.begin("one", "app").await;
    for _ in 0..8 {
        assert_ne!(server.password("one", &challenge, "wrong").await.0, StatusCode::OK);
    }
    assert_ne!(server.password("one", &challenge, "password of one").await.0, StatusCode::OK, "resting");
    server.tokens("two").await;
}

#[tokio::test]
async fn assertions_prove_nothing_at_the_other() {
    let server = Server::start().await;
    let challenge = server.begin("one", "app").await;
    let assertion = server.assertion("one", &challenge).await;
    // A sign-in waits at the other as well, so that nothing is missing there but trust.
    server.begin("two", "app").await;
    let (status, answer) = server.present("two", "app", &assertion).await;
    assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")), "{answer}");
    assert_eq!(server.present("one", "app", &assertion).await.0, StatusCode::OK, "nor was it spent there");
}

#[tokio::test]
async fn factors_of_the_other_are_as_if_absent() {
    let server = Server::start().await;
    let mut challenges = Vec::new();
    for host in ["one", "two"] {
        let begun = server.begin(host, "strict").await;
        let assertion = server.assertion(host, &begun).await;
        let (status, answer) = server.present(host, "strict", &assertion).await;
        assert_eq!((status, &answer["scope"]), (StatusCode::OK, &json!("mfa_challenge")), "{answer}");
        challenges.push(text(&answer, "access_token"));
    }
    let [one, two] = &challenges[..] else { panic!("two challenges") };
    // The same person by id and login has a generator at two only.
    let (_, found) = server.get("one", "/v2.0/factors", one).await;
    assert_eq!(found["total"], 1, "{found}");
    assert!(!found.to_string().contains(TOTP) && !found.to_string().contains("two.example.test"), "{found}");
    let (_, found) = server.get("two", "/v2.0/factors", two).await;
    assert_eq!(found["total"], 2, "{found}");
    let totp = format!("/v2.0/factors/totp/{TOTP}");
    assert_eq!(server.get("one", &totp, one).await.0, StatusCode::NOT_FOUND);
    assert_eq!(server.get("two", &totp, two).await.0, StatusCode::OK);

    // A code sent at one is answered at one, whoever knows its id.
    let start = format!("/v2.0/factors/emailotp/{MAIL}/verifications");
    assert_eq!(server.post("two", &start, one, json!({})).await.0, StatusCode::UNAUTHORIZED);
    let (status, sent) = server.post("one", &start, one, json!({})).await;
    assert_eq!(status, StatusCode::CREATED, "{sent}");
    let answer = format!("{start}/{}?returnJwt=true", text(&sent, "id"));
    let (status, _) = server.post("two", &answer, two, json!({ "otp": "000000" })).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn keys_and_metadata_are_each_their_own() {
    let server = Server::start().await;
    let mut keys = Vec::new();
    for host in ["one", "two"] {
        let (_, jwks) = server.get(host, "/oauth2/jwks", "-").await;
        let list = jwks["keys"].as_array().unwrap();
        assert_eq!(list.len(), 4, "two to sign with, two to encrypt to");
        keys.extend(list.iter().map(|key| key.get("n").or_else(|| key.get("x")).unwrap().clone()));
        let (_, metadata) = server.get(host, "/oauth2/.well-known/openid-configuration", "-").await;
        assert_eq!(metadata["issuer"], format!("http://{host}.example.test/oauth2"));
        assert!(!metadata.to_string().contains(if host == "one" { "two.example" } else { "one.example" }));
    }
    let distinct: std::collections::HashSet<String> = keys.iter().map(Value::to_string).collect();
    assert_eq!(distinct.len(), 8, "no two keys are the same");
}
