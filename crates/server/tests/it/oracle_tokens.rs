//! Tokens of Oracle's dialect, as the vendor's page has them (Oracle page §4): roles become scopes, a sign-in becomes a token that
//! others take in exchange, and nothing outlives its session that should not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::oracle::world;
use crate::support::oracle::{CLIENT, SECRET};
use crate::support::{Reply, Setup, TestServer, client, decode, names, verify};

const TOKEN: &str = "/oauth2/v1/token";
const BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const MINE: &str = "urn:opc:idm:__myscopes__";
const ISSUER: &str = "https://identity.oraclecloud.com/";

async fn ask(server: &TestServer, form: &[(&str, &str)]) -> Reply {
    server.ask("POST", TOKEN).basic(CLIENT, SECRET).form(form).send().await
}

/// The error of an OAuth endpoint.
#[track_caller]
fn refused(reply: &Reply, status: u16) -> String {
    reply.expect(status)["error"].as_str().unwrap().to_owned()
}

async fn client_token(server: &TestServer, scope: &str) -> Value {
    ask(server, &[("grant_type", "client_credentials"), ("scope", scope)]).await.expect(200)
}

/// The authnToken of somebody who signs in with a password.
async fn signed_in(server: &TestServer) -> String {
    let page = server.page().await;
    page.password(None, "admin@oracle.com", "Welc0me@1").await.token().to_owned()
}

async fn exchange(server: &TestServer, assertion: &str, scope: &str) -> Reply {
    ask(server, &[("grant_type", BEARER), ("scope", scope), ("assertion", assertion)]).await
}

async fn jwks(server: &TestServer) -> Value {
    let token = client_token(server, MINE).await;
    server.get("/admin/v1/SigningCert/jwk", token["access_token"].as_str().unwrap()).await.expect(200)
}

#[tokio::test]
async fn a_client_token_holds_the_scopes_of_its_roles_and_is_a_jwt_that_the_certificate_verifies() {
    let server = TestServer::start().await;
    let reply = ask(&server, &[("grant_type", "client_credentials"), ("scope", MINE)]).await;
    assert_eq!((reply.header("cache-control"), reply.header("pragma")), ("no-store", "no-cache"));
    let said = reply.expect(200);
    assert_eq!(names(&said), ["access_token", "token_type", "expires_in"]);
    assert_eq!((&said["token_type"], &said["expires_in"]), (&json!("Bearer"), &json!(7600)));
    let token = said["access_token"].as_str().unwrap();
    let (header, claims) = decode(token);
    assert_eq!((header["kid"].as_str(), header["alg"].as_str()), (Some("SIGNING_KEY"), Some("RS256")));
    assert!(header["x5t#S256"].is_string() && header["x5t"].is_string() && header.get("typ").is_none());
    assert_eq!(claims["iss"], ISSUER);
    assert_eq!((&claims["sub"], &claims["sub_type"]), (&json!(CLIENT), &json!("client")));
    let mut roles: Vec<&str> = claims["clientAppRoles"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    roles.sort_unstable();
    assert_eq!(
        roles,
        [
            "Authenticated Client",
            "Change Password",
            "Forgot Password",
            "Me",
            "Reset Password",
            "Self Registration",
            "Signin",
            "Verify Email"
        ]
    );
    let scope: Vec<&str> = claims["scope"].as_str().unwrap().split(' ').collect();
    for name in [
        "security.client",
        "user.signin",
        "user.mecreate",
        "user.forgotpassword",
        "user.resetpassword",
        "user.changepassword",
        "user.verifyemail",
    ] {
        assert!(scope.contains(&format!("urn:opc:idm:t.{name}").as_str()), "{name}: {scope:?}");
    }
    // What is for people's own tokens is in none of a client's.
    assert!(!scope.contains(&"urn:opc:idm:t.user.me"));
    assert_eq!((&claims["tenant"], &claims["user.tenant.name"]), (&json!("acme-demo"), &json!("acme-demo")));
    assert_eq!((&claims["tok_type"], claims.get("user_id")), (&json!("AT"), None));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 7600);

    let set = jwks(&server).await;
    let key = &set["keys"][0];
    assert_eq!((key["kid"].as_str(), key["kty"].as_str()), (Some("SIGNING_KEY"), Some("RSA")));
    assert!(STANDARD.decode(key["x5c"][0].as_str().unwrap()).is_ok_and(|der| der[0] == 0x30));
    assert_eq!(verify(token, &set), claims);
}

#[tokio::test]
async fn scopes_come_by_name_and_more_than_the_roles_give_is_dropped() {
    let server = TestServer::start().await;
    let raw = client_token(&server, "urn:opc:idm:t.user.signin urn:opc:idm:t.namedappadmin urn:opc:idm:t.mfa").await;
    let (_, claims) = decode(raw["access_token"].as_str().unwrap());
    assert_eq!(claims["scope"], "urn:opc:idm:t.user.signin");
    // As the collections send it: neither colon nor plus escaped.
    let body = "grant_type=client_credentials&scope=urn:opc:idm:t.security.client+urn:opc:idm:t.user.signin";
    let reply =
        server.ask("POST", TOKEN).basic(CLIENT, SECRET).body("application/x-www-form-urlencoded", body).send().await;
    let (_, claims) = decode(reply.expect(200)["access_token"].as_str().unwrap());
    assert_eq!(claims["scope"], "urn:opc:idm:t.security.client urn:opc:idm:t.user.signin");
    let nothing = ask(&server, &[("grant_type", "client_credentials"), ("scope", "urn:opc:idm:t.namedappadmin")]).await;
    assert_eq!(refused(&nothing, 400), "invalid_scope");
    let short = client_token(&server, "urn:opc:idm:t.user.signin urn:opc:resource:expiry=120").await;
    assert_eq!(short["expires_in"], 120);
    let wrong = server.ask("POST", TOKEN).basic(CLIENT, "wrong").form(&[("grant_type", "client_credentials")]).send();
    assert_eq!(refused(&wrong.await, 401), "invalid_client");
    // An old SDK sends its form with GET.
    let form = [("grant_type", "client_credentials"), ("scope", MINE)];
    server.ask("GET", TOKEN).basic(CLIENT, SECRET).form(&form).send().await.expect(200);
}

#[tokio::test]
async fn an_authn_token_says_who_signed_in_and_is_exchanged_as_often_as_its_session_lives() {
    let server = TestServer::start().await;
    let authn = signed_in(&server).await;
    let claims = verify(&authn, &jwks(&server).await);
    assert_eq!((&claims["iss"], &claims["tok_type"]), (&json!(ISSUER), &json!("IT")));
    assert_eq!(claims["aud"], json!([ISSUER, CLIENT, "Sign-in Page"]));
    assert_eq!((&claims["sub"], &claims["sub_mappingattr"]), (&json!("admin@oracle.com"), &json!("userName")));
    assert_eq!(claims["user_id"], "de94e8399a0e4f23ac52fc681f5fb828");
    assert_eq!((&claims["user_displayname"], &claims["amr"]), (&json!("admin opc"), &json!(["USERNAME_PASSWORD"])));
    assert_eq!(claims["session_exp"], claims["exp"]);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 28_800);

    let first = exchange(&server, &authn, MINE).await.expect(200);
    assert_eq!(names(&first), ["access_token", "token_type", "expires_in"]);
    assert_eq!(first["expires_in"], 7600);
    let (_, access) = decode(first["access_token"].as_str().unwrap());
    assert_eq!((&access["sub"], &access["sub_type"]), (&json!("admin@oracle.com"), &json!("user")));
    assert_eq!(access["scope"], "urn:opc:idm:t.security.client urn:opc:idm:t.user.me");
    assert_eq!((&access["sid"], &access["amr"]), (&claims["sid"], &claims["amr"]));
    assert_eq!((&access["user_isAdmin"], &access["userAppRoles"]), (&json!(false), &json!(["Authenticated"])));
    // Another time, and with what lasts longer than the session.
    let lasting = exchange(&server, &authn, &format!("{MINE} offline_access openid")).await.expect(200);
    assert_eq!(names(&lasting), ["access_token", "token_type", "expires_in", "refresh_token", "id_token"]);
    assert_ne!(lasting["access_token"], first["access_token"]);
    let id = verify(lasting["id_token"].as_str().unwrap(), &jwks(&server).await);
    assert_eq!((&id["aud"], &id["sub"]), (&json!([CLIENT]), &json!("admin@oracle.com")));

    // Rotation, and the scope that is repeated without narrowing.
    let refresh = lasting["refresh_token"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("scope", "offline_access")];
    let renewed = ask(&server, &form).await.expect(200);
    assert_ne!(renewed["refresh_token"], lasting["refresh_token"]);
    let (_, again) = decode(renewed["access_token"].as_str().unwrap());
    assert!(again["scope"].as_str().unwrap().contains("urn:opc:idm:t.user.me"), "{again}");
}

#[tokio::test]
async fn what_is_not_an_authn_token_is_not_taken_for_one() {
    let server = TestServer::start().await;
    let authn = signed_in(&server).await;
    let lasting = exchange(&server, &authn, &format!("{MINE} openid")).await.expect(200);
    let text = |member: &str| lasting[member].as_str().unwrap().to_owned();
    let altered = {
        let mut parts: Vec<String> = authn.split('.').map(str::to_owned).collect();
        parts[1] = parts[1].replacen(|c: char| c.is_ascii_lowercase(), "X", 1);
        parts.join(".")
    };
    // An ID token has the same header and the same issuer, but is for its client alone.
    for wrong in [text("id_token"), text("access_token"), altered, "a.b.c".to_owned(), "x".to_owned()] {
        assert_eq!(refused(&exchange(&server, &wrong, MINE).await, 400), "invalid_grant", "{wrong}");
    }
    // Nor is it anywhere else what it is here.
    let elsewhere = server.ask("POST", "/token").basic(CLIENT, SECRET);
    let elsewhere = elsewhere.form(&[("grant_type", BEARER), ("assertion", &authn)]).send().await;
    assert_eq!(refused(&elsewhere, 400), "invalid_grant");
    // As a bearer token it opens nothing.
    assert_eq!(server.get("/admin/v1/SigningCert/jwk", &authn).await.status, 401);
    assert_eq!(server.get("/oauth2/v1/userinfo", &authn).await.status, 401);
    // A client that may not use the grant.
    let mfa = server.ask("POST", TOKEN).basic("idcs-mfa", "idcs-mfa-secret");
    let mfa = mfa.form(&[("grant_type", BEARER), ("assertion", &authn), ("scope", MINE)]).send().await;
    assert_eq!(refused(&mfa, 400), "unauthorized_client");
    server.world.advance(28_801);
    assert_eq!(refused(&exchange(&server, &authn, MINE).await, 400), "invalid_grant");
}

#[tokio::test]
async fn a_session_that_is_ended_takes_its_token_and_its_exchanges_along() {
    let server = TestServer::start().await;
    let authn = signed_in(&server).await;
    let bound = exchange(&server, &authn, &format!("{MINE} openid")).await.expect(200);
    let lasting = exchange(&server, &authn, &format!("{MINE} openid offline_access")).await.expect(200);
    let sid = decode(&authn).1["sid"].as_str().unwrap().to_owned();
    let tenant = server.tenant();
    let session = countersign::browser::session::by_id(&server.app, &tenant, &sid).await.unwrap().unwrap();
    let changes = countersign::browser::session::end(&session);
    server.app.commit(&tenant, "test", changes.into_iter().collect()).await.unwrap();

    assert_eq!(refused(&exchange(&server, &authn, MINE).await, 400), "invalid_grant");
    let open = async |answer: &Value| {
        let reply = server.get("/oauth2/v1/userinfo", answer["access_token"].as_str().unwrap()).await;
        reply.status.as_u16()
    };
    assert_eq!(open(&bound).await, 401);
    // What was asked for to outlive it does.
    assert_eq!(open(&lasting).await, 200);
}

#[tokio::test]
async fn who_administers_is_the_persons_own_and_the_clients_to_pass_on() {
    let server = Setup::new()
        .add(&client(
            "console",
            "console-secret",
            "grant_types = [\"client_credentials\", \"urn:ietf:params:oauth:grant-type:jwt-bearer\"]\n\
             app_roles = [\"Signin\", \"Me\", \"Identity Domain Administrator\"]",
        ))
        .start()
        .await;
    let page = server.page().await;
    let through = async |name: &str, password: &str| {
        let authn = page.password(None, name, password).await.token().to_owned();
        let form = [("grant_type", BEARER), ("scope", MINE), ("assertion", authn.as_str())];
        let said = server.ask("POST", TOKEN).basic("console", "console-secret").form(&form).send().await.expect(200);
        decode(said["access_token"].as_str().unwrap()).1
    };
    let scott = through("scott", "hunter22").await;
    assert!(scott["scope"].as_str().unwrap().contains("namedappadmin"), "{scott}");
    assert_eq!(scott["user_isAdmin"], true);
    let pat = through("pat", "correct-horse-9").await;
    assert!(!pat["scope"].as_str().unwrap().contains("namedappadmin"), "{pat}");
    assert_eq!(pat["user_isAdmin"], false);
}

/// A token lives for as long as it was asked to, and administers for as long as its person does.
#[tokio::test]
async fn attack_66_who_administers_no_more_does_not_with_a_token_of_before() {
    let server = Setup::new()
        .add(&client(
            "console",
            "console-secret",
            "grant_types = [\"client_credentials\", \"urn:ietf:params:oauth:grant-type:jwt-bearer\"]\n\
             app_roles = [\"Signin\", \"Me\", \"Identity Domain Administrator\"]",
        ))
        .start()
        .await;
    let authn = server.page().await.password(None, "scott", "hunter22").await.token().to_owned();
    let scope = format!("{MINE} urn:opc:resource:expiry=31536000");
    let form = [("grant_type", BEARER), ("scope", scope.as_str()), ("assertion", authn.as_str())];
    let said = server.ask("POST", TOKEN).basic("console", "console-secret").form(&form).send().await.expect(200);
    let token = said["access_token"].as_str().unwrap();
    server.get("/admin/v1/Apps", token).await.expect(200);
    let (group, user) = ("604000ADMS".into(), server.cast.admin.id.into());
    server.store.commit(&server.tenant(), "test", vec![store::Change::LeaveGroup { group, user }]).await.unwrap();
    assert!([401, 403].contains(&server.get("/admin/v1/Apps", token).await.status.as_u16()));
    server.get("/admin/v1/Me", token).await.expect(200);
}

/// Its tokens name people as everybody does, wherever they are asked for.
#[tokio::test]
async fn a_client_with_pairwise_subjects_has_no_tokens_of_this_dialect() {
    let callback = "https://one.example.test/cb";
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    let more = format!(
        "pairwise = true\nredirect_uris = [{callback:?}]\n\
         grant_types = [\"authorization_code\", \"implicit\", {device:?}]\n\
         response_types = [\"code\", \"id_token\", \"id_token token\"]"
    );
    let server = Setup::new().add(&client("hidden", "s", &more)).start().await;
    for kind in ["code", "id_token", "id_token token"] {
        let kind = kind.replace(' ', "%20");
        let path = format!(
            "/oauth2/v1/authorize?client_id=hidden&response_type={kind}&scope=openid&state=7&nonce=n&redirect_uri={callback}"
        );
        let reply = server.ask("GET", &path).send().await;
        let location = reply.header("location");
        assert!(location.starts_with(callback) && location.contains("error=unauthorized_client"), "{kind}: {location}");
    }
    let form = [("response_type", "device_code"), ("client_id", "hidden"), ("scope", "openid")];
    assert_eq!(refused(&server.post_form("/oauth2/v1/device", &form).await, 400), "unauthorized_client");
}

#[tokio::test]
async fn tokens_are_introspected_revoked_and_opened_in_this_dialect() {
    let server = TestServer::start().await;
    let authn = signed_in(&server).await;
    let all = "openid profile email phone address groups approles offline_access";
    let said = exchange(&server, &authn, all).await.expect(200);
    let (access, refresh) = (said["access_token"].as_str().unwrap(), said["refresh_token"].as_str().unwrap());
    let introspect = async |token: &str| {
        let ask = server.ask("POST", "/oauth2/v1/introspect").basic(CLIENT, SECRET);
        ask.form(&[("token", token)]).send().await.expect(200)
    };
    let known = introspect(access).await;
    assert_eq!((&known["active"], &known["iss"]), (&json!(true), &json!(ISSUER)));
    assert_eq!((&known["preferred_username"], &known["prn"]), (&json!("admin@oracle.com"), &json!("admin@oracle.com")));
    assert_eq!(introspect(refresh).await["token_type"], "refresh_token");
    assert_eq!(introspect("nothing").await, json!({ "active": false }));

    let person = server.get("/oauth2/v1/userinfo", access).await.expect(200);
    assert_eq!((&person["sub"], &person["email"]), (&json!("admin@oracle.com"), &json!("admin@oracle.com")));
    assert_eq!((&person["email_verified"], &person["gender"]), (&json!(false), &json!("")));
    assert_eq!((&person["groups"], &person["appRoles"]), (&json!([]), &json!([])));

    let revoke = server.ask("POST", "/oauth2/v1/revoke").basic(CLIENT, SECRET).form(&[("token", refresh)]).send().await;
    assert_eq!((revoke.status.as_u16(), revoke.body.len()), (200, 0));
    assert_eq!(introspect(refresh).await, json!({ "active": false }));
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    assert_eq!(refused(&ask(&server, &form).await, 400), "invalid_grant");
}

/// Where a rule wants another factor, the grant knows no way to ask for it (Oracle page §4.3).
#[tokio::test]
async fn the_password_grant_of_oracles_dialect_wants_no_other_factor() {
    let more = |policy: &str| format!("grant_types = [\"password\"]\n{policy}");
    let server = world::setup()
        .add(&client("pw-plain", "s", &more("")))
        .add(&client("pw-mfa", "s", &more("policy = 610001\npolicy_grants = { password = true }")))
        .start()
        .await;
    let form =
        [("grant_type", "password"), ("username", world::NAME), ("password", world::PASSWORD), ("scope", "openid")];
    let plain = server.ask("POST", TOKEN).basic("pw-plain", "s").form(&form).send().await.expect(200);
    assert_eq!(decode(plain["access_token"].as_str().unwrap()).1["sub"], world::NAME);
    let refused_by = server.ask("POST", TOKEN).basic("pw-mfa", "s").form(&form).send().await;
    assert_eq!(refused(&refused_by, 400), "invalid_grant");
    assert!(refused_by.text().contains("MFA"), "{}", refused_by.text());
}

#[tokio::test]
async fn an_assertion_of_saml_and_other_grants_nobody_serves_are_unsupported() {
    let server = TestServer::start().await;
    for grant in ["urn:ietf:params:oauth:grant-type:saml2-bearer", "tls_client_auth", "urn:x"] {
        let form = [("grant_type", grant), ("assertion", "PHNhbWw+"), ("scope", "urn:opc:idm:__myscopes__")];
        assert_eq!(refused(&ask(&server, &form).await, 400), "unsupported_grant_type", "{grant}");
        let document = server.ask("GET", "/oauth2/v1/.well-known/openid-configuration").send().await.expect(200);
        assert!(!document["grant_types_supported"].as_array().unwrap().contains(&json!(grant)));
    }
}

#[tokio::test]
async fn both_documents_name_endpoints_that_are_there() {
    let server = TestServer::start().await;
    let about = server.ask("GET", "/.well-known/idcs-configuration").send().await.expect(200);
    let openid = &about["openid-configuration"];
    let same = server.ask("GET", "/oauth2/v1/.well-known/openid-configuration").send().await.expect(200);
    assert_eq!((openid, &openid["issuer"]), (&same, &json!(ISSUER)));
    let base = server.cast.base;
    for name in ["authorization", "token", "userinfo", "revocation", "introspect", "device_authorization"] {
        let url = openid[format!("{name}_endpoint")].as_str().unwrap();
        let path = url.strip_prefix(base).unwrap_or_else(|| panic!("{url}"));
        let status = server.ask("POST", path).form(&[("x", "y")]).send().await.status;
        assert!([400, 401].contains(&status.as_u16()), "{url}: {status}");
    }
    assert_eq!(openid["jwks_uri"], format!("{base}/admin/v1/SigningCert/jwk"));
    assert_eq!(server.ask("GET", "/admin/v1/SigningCert/jwk").send().await.status, 401);
    let open = Setup::new().replace("name = \"acme-demo\"", "signing_cert_public = true\ndiscovery_at_root = true");
    let open = open.start().await;
    open.ask("GET", "/admin/v1/SigningCert/jwk").send().await.expect(200);
    assert_eq!(open.ask("GET", "/.well-known/openid-configuration").send().await.expect(200)["issuer"], ISSUER);
    let own = server.ask("GET", "/.well-known/openid-configuration").send().await.expect(200);
    assert_eq!(own["issuer"], base);
}

#[tokio::test]
async fn a_device_is_told_where_people_let_it_in() {
    let server = TestServer::start().await;
    let form = [("response_type", "device_code"), ("client_id", "television"), ("scope", "openid offline_access")];
    let said = server.post_form("/oauth2/v1/device", &form).await.expect(200);
    assert_eq!(names(&said), ["device_code", "user_code", "verification_uri", "expires_in"]);
    assert_eq!(said["verification_uri"], format!("{}/ui/v1/device", server.cast.base));
    let code = said["device_code"].as_str().unwrap();
    let poll = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", "television"),
        ("device_code", code),
    ];
    assert_eq!(refused(&server.post_form(TOKEN, &poll).await, 400), "authorization_pending");
    let page = server.ask("GET", "/ui/v1/device").send().await;
    assert!(page.status == 200 && page.header("content-type").starts_with("text/html"), "{page:?}");
}
