//! Factors performed outside a grant, with the token of a client or of a person (vendor page §2.4), and the ordinary grant that
//! takes their assertion (§4.6).

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{
    ACME, Challenge, JWT_BEARER, Reply, Setup, TOKEN, TestServer, client, decode, names, on_both, user,
};

const PASSWORDS: &str = "/v1.0/authnmethods/password/46872982-ab9e-4c9f-8200-8f394b328394?returnJwt=true";
const EMAIL: &str = "/v2.0/factors/emailotp/504a8fab-95d9-44d4-b4af-6a1c143b6031/verifications";
const PERFORMER: &str = "grant_types = [\"client_credentials\", \"refresh_token\", \"urn:ietf:params:oauth:grant-type:jwt-bearer\"]\n\
                         entitlements = [\"authnAnyUser\"]";

fn setup() -> Setup {
    Setup::new()
        .add(&client("performer", "p", PERFORMER))
        .add(&client("performer-2", "p", PERFORMER))
        .add(&client("plain", "p", "grant_types = [\"client_credentials\"]\nentitlements = [\"authn\"]"))
        .add(&client("guarded", "p", &format!("{PERFORMER}\npolicy = 420017\npolicy_grants = {{ jwt_bearer = true }}")))
        .replace(
            "policy = 420017\npolicy_grants = { policyauth = true }",
            "policy = 420017\npolicy_grants = { policyauth = true }\nentitlements = [\"authn\"]",
        )
}

/// A client's own token.
async fn own_token(server: &TestServer, id: &str) -> String {
    let form = [("grant_type", "client_credentials")];
    let reply = server.ask("POST", TOKEN).basic(id, "p").form(&form).send().await.expect(200);
    reply["access_token"].as_str().unwrap().to_owned()
}

async fn bearer(server: &TestServer, id: &str, assertion: &str) -> Reply {
    let form = [("grant_type", JWT_BEARER), ("assertion", assertion), ("scope", "openid")];
    server.ask("POST", TOKEN).basic(id, "p").form(&form).send().await
}

async fn password(server: &TestServer, token: &str, username: &str, password: &str) -> Reply {
    server.json("POST", PASSWORDS, token, &json!({ "username": username, "password": password })).await
}

async fn assertion(server: &TestServer, id: &str) -> String {
    let token = own_token(server, id).await;
    let body = password(server, &token, "scott", "hunter22").await.expect(200);
    body["assertion"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_password_outside_a_grant_gives_an_assertion_that_names_no_grant() {
    let server = setup().start().await;
    let token = own_token(&server, "performer").await;
    let body = password(&server, &token, "scott", "hunter22").await.expect(200);
    assert_eq!(names(&body), ["groups", "attributes", "assertion", "id"]);
    let (header, claims) = decode(body["assertion"].as_str().unwrap());
    assert_eq!(header, json!({ "alg": "RS256", "kid": "server" }));
    assert_eq!(names(&claims), ["sub", "jti", "iat", "exp", "tenantId", "iss", "aud", "factor", "amr"]);
    assert_eq!(claims["sub"], ACME.admin.id);
    assert_eq!(claims["aud"], json!(["performer", "https://login.example.test/v1.0/endpoint/default/token"]));
    assert_eq!((&claims["factor"], &claims["amr"]), (&json!("password"), &json!(["password"])));
    let exp = claims["exp"].as_i64().unwrap();
    assert_eq!(exp - claims["iat"].as_i64().unwrap(), 300);
    // Without `returnJwt` the answer is the same but for the assertion.
    let path = PASSWORDS.trim_end_matches("?returnJwt=true");
    let plain = server.json("POST", path, &token, &json!({ "username": "scott", "password": "hunter22" })).await;
    assert_eq!(names(&plain.expect(200)), ["groups", "attributes", "id"]);
}

#[tokio::test]
async fn a_stranger_looks_like_a_wrong_password_outside_a_grant_too() {
    let server = setup().start().await;
    let token = own_token(&server, "performer").await;
    let wrong = password(&server, &token, "scott", "nope").await;
    wrong.factor_error(400, "CSIBH0044E");
    assert_eq!(password(&server, &token, "nobody", "nope").await, wrong);
}

#[tokio::test]
async fn wrong_answers_are_counted_in_one_place_wherever_they_come_in() {
    let server = setup().start().await;
    let token = own_token(&server, "performer").await;
    for _ in 0..5 {
        password(&server, &token, "scott", "nope").await.factor_error(400, "CSIBH0044E");
    }
    let first = server.begin_inside().await;
    server.password(&first.token, "scott", "hunter22").await.factor_error(400, "CSIBH0044E");
    password(&server, &token, "scott", "hunter22").await.factor_error(400, "CSIBH0044E");
    server.world.advance(61);
    server.password(&first.token, "scott", "hunter22").await.expect(200);
}

#[tokio::test]
async fn such_an_assertion_begins_one_grant_and_no_second() {
    let server = setup().start().await;
    let assertion = assertion(&server, "performer").await;
    // Only for the client it was made for, and only with the grant.
    bearer(&server, "performer-2", &assertion).await.oauth_error(400, "invalid_grant", "CSIAQ");
    bearer(&server, "plain", &assertion).await.oauth_error(400, "unauthorized_client", "CSIAQ");
    let tokens = bearer(&server, "performer", &assertion).await.expect(200);
    assert_eq!(tokens["scope"], "openid");
    let (_, id_token) = decode(tokens["id_token"].as_str().unwrap());
    assert_eq!((&id_token["sub"], &id_token["amr"]), (&json!(ACME.admin.id), &json!(["password"])));
    bearer(&server, "performer", &assertion).await.oauth_error(400, "invalid_grant", "CSIAQ");
}

#[tokio::test]
async fn such_an_assertion_dies_after_its_time_and_with_its_person() {
    let server = setup().start().await;
    let old = assertion(&server, "performer").await;
    server.world.advance(300);
    bearer(&server, "performer", &old).await.oauth_error(400, "invalid_grant", "CSIAQ");
    let fresh = assertion(&server, "performer").await;
    let tampered = format!("{}A{}", &fresh[..fresh.len() - 20], &fresh[fresh.len() - 19..]);
    bearer(&server, "performer", &tampered).await.oauth_error(400, "invalid_grant", "CSIAQ");
    let mut scott = server.store.user(&server.tenant(), &ACME.admin.id.into()).await.unwrap().unwrap();
    scott.active = false;
    server.store.commit(&server.tenant(), "test", vec![store::Change::PutUser(scott)]).await.unwrap();
    bearer(&server, "performer", &fresh).await.oauth_error(400, "invalid_grant", "CSIAQ");
}

#[tokio::test]
async fn the_policy_is_told_what_was_proved_outside() {
    let server = setup().start().await;
    let assertion = assertion(&server, "guarded").await;
    let challenge = Challenge::of(&bearer(&server, "guarded", &assertion).await);
    assert_eq!(challenge.allowed, ["emailotp"]);
    let proved = server.prove_code(&challenge.token).await;
    let (_, claims) = decode(&proved);
    assert_eq!(claims["amr"], json!(["emailotp", "password"]));
    let tokens = bearer(&server, "guarded", &proved).await.expect(200);
    assert_eq!(tokens["grant_id"], challenge.grant.as_str());
}

#[test]
fn of_many_presentations_of_one_assertion_one_has_tokens() {
    on_both(|store| async move {
        let server = setup().start_on(store).await;
        let assertion = assertion(&server, "performer").await;
        let mut all = JoinSet::new();
        for _ in 0..30 {
            let (server, assertion) = (server.clone(), assertion.clone());
            all.spawn(async move { bearer(&server, "performer", &assertion).await.status.as_u16() });
        }
        let mut statuses = all.join_all().await;
        statuses.sort_unstable();
        assert_eq!(statuses[0], 200);
        assert!(statuses[1..].iter().all(|status| *status == 400), "{statuses:?}");
    });
}

#[tokio::test]
async fn a_code_is_checked_without_an_assertion_for_a_token_that_may_do_anybodys() {
    let server = setup().start().await;
    let token = own_token(&server, "performer").await;
    let made = server.json("POST", EMAIL, &token, &json!({ "correlation": "AB12" })).await.expect(201);
    assert_eq!((&made["userId"], &made["correlation"]), (&json!(ACME.admin.id), &json!("AB12")));
    assert!(made.get("client").is_none(), "{made}");
    let path = format!("{EMAIL}/{}?returnJwt=true", made["id"].as_str().unwrap());
    // Nobody else's: not another client's, not a sign-in's.
    let other = own_token(&server, "performer-2").await;
    server.get(&path, &other).await.factor_error(404, "CSIBN0028E");
    let second = server.second_challenge().await;
    server.get(&path, &second.token).await.factor_error(404, "CSIBN0028E");
    let code = server.code("scott@acme.org").await;
    server.json("POST", &path, &other, &json!({ "otp": code })).await.factor_error(404, "CSIBN0028E");
    server.json("POST", &path, &second.token, &json!({ "otp": code })).await.factor_error(404, "CSIBN0028E");
    server.json("POST", &path, &token, &json!({ "otp": "x" })).await.factor_error(400, "CSIBN0021E");
    assert_eq!(server.get(&path, &token).await.expect(200)["attempts"], 1);
    server.json("POST", &path, &token, &json!({ "otp": code })).await.expect_empty(204);
    server.json("POST", &path, &token, &json!({ "otp": code })).await.factor_error(404, "CSIBN0028E");
    assert_eq!(server.get(&path, &token).await.expect(200)["state"], "SUCCESS");
}

#[tokio::test]
async fn a_code_outside_a_grant_has_its_tries_and_its_time_and_can_be_withdrawn() {
    let server = setup().start().await;
    let token = own_token(&server, "performer").await;
    let start = || async {
        let body = json!({ "emailAddress": "guest@elsewhere.example" });
        let made =
            server.json("POST", "/v2.0/factors/emailotp/transient/verifications", &token, &body).await.expect(201);
        assert!(made.get("userId").is_none(), "{made}");
        let path = format!("/v2.0/factors/emailotp/transient/verifications/{}", made["id"].as_str().unwrap());
        (path, server.code("guest@elsewhere.example").await)
    };
    let (path, code) = start().await;
    for _ in 0..5 {
        server.json("POST", &path, &token, &json!({ "otp": "x" })).await.factor_error(400, "CSIBN0021E");
    }
    assert_eq!(server.get(&path, &token).await.expect(200)["state"], "FAILED");
    server.json("POST", &path, &token, &json!({ "otp": code })).await.factor_error(404, "CSIBN0028E");
    let (path, code) = start().await;
    server.world.advance(301);
    server.json("POST", &path, &token, &json!({ "otp": code })).await.factor_error(400, "CSIBN0025E");
    let (path, code) = start().await;
    server.json("DELETE", &path, &token, &Value::Null).await.expect_empty(204);
    assert_eq!(server.get(&path, &token).await.expect(200)["state"], "CANCELED");
    server.json("POST", &path, &token, &json!({ "otp": code })).await.factor_error(404, "CSIBN0028E");
    let (path, code) = start().await;
    server.json("POST", &format!("{path}?returnJwt=true"), &token, &json!({ "otp": code })).await.expect_empty(204);
}

#[tokio::test]
async fn nobodys_mailbox_is_flooded_by_way_of_a_client() {
    let server = setup().start().await;
    let token = own_token(&server, "performer").await;
    let body = json!({ "emailAddress": "guest@elsewhere.example" });
    let path = "/v2.0/factors/emailotp/transient/verifications";
    for _ in 0..10 {
        server.json("POST", path, &token, &body).await.expect(201);
    }
    server.json("POST", path, &token, &body).await.factor_error(400, "CSIBN0081E");
    assert_eq!(server.mail("guest@elsewhere.example").await.len(), 10);
    server.json("POST", path, &token, &json!({ "emailAddress": "other@elsewhere.example" })).await.expect(201);
}

#[tokio::test]
async fn the_token_of_a_person_performs_that_persons_factors_only() {
    let server = setup().start().await;
    let tokens = server.sign_in().await;
    let token = tokens["access_token"].as_str().unwrap();
    let own = password(&server, token, "scott", "hunter22").await.expect(200);
    let (_, claims) = decode(own["assertion"].as_str().unwrap());
    assert_eq!(claims["aud"][0], ACME.client);
    // Another's is refused before it is judged, whether there is such a person or not.
    let refused = password(&server, token, "pat", "correct-horse-9").await;
    refused.factor_error(403, "CSIAK4300E");
    assert_eq!(password(&server, token, "nobody", "x").await, refused);
    let made = server.json("POST", EMAIL, token, &Value::Null).await.expect(201);
    let code = server.code("scott@acme.org").await;
    let path = format!("{EMAIL}/{}?returnJwt=true", made["id"].as_str().unwrap());
    let proved = server.json("POST", &path, token, &json!({ "otp": code })).await.expect(200);
    let (_, claims) = decode(proved["assertion"].as_str().unwrap());
    assert_eq!((&claims["factor"], claims.get("grant_id")), (&json!("emailotp"), None));
    // An address that is not the person's proves nothing about the person.
    let path = "/v2.0/factors/emailotp/transient/verifications";
    let body = json!({ "emailAddress": "thief@elsewhere.example" });
    server.json("POST", path, token, &body).await.factor_error(400, "CSIBN9999E");
    assert!(server.mail("thief@elsewhere.example").await.is_empty());
    server.json("POST", path, token, &json!({ "emailAddress": "scott@acme.org" })).await.expect(201);
}

#[tokio::test]
async fn a_code_to_a_strangers_address_is_no_second_factor() {
    let server = setup().start().await;
    let second = server.second_challenge().await;
    let path = "/v2.0/factors/emailotp/transient/verifications";
    let body = json!({ "emailAddress": "thief@elsewhere.example" });
    let made = server.json("POST", path, &second.token, &body).await.expect(201);
    assert!(server.mail("thief@elsewhere.example").await.is_empty(), "nothing is sent there");
    let answer = format!("{path}/{}?returnJwt=true", made["id"].as_str().unwrap());
    for guess in ["000000", "123456"] {
        server.json("POST", &answer, &second.token, &json!({ "otp": guess })).await.factor_error(400, "CSIBN0021E");
    }
    // At the person's own address it is one.
    let made = server.json("POST", path, &second.token, &json!({ "emailAddress": "scott@acme.org" })).await.expect(201);
    let code = server.code("scott@acme.org").await;
    let answer = format!("{path}/{}?returnJwt=true", made["id"].as_str().unwrap());
    let proved = server.json("POST", &answer, &second.token, &json!({ "otp": code })).await.expect(200);
    server.present(proved["assertion"].as_str().unwrap()).await.expect(200);
}

#[tokio::test]
async fn a_token_without_the_entitlement_performs_nothing() {
    let server = setup().add(&client("bare", "p", "grant_types = [\"client_credentials\"]")).start().await;
    // `authn` is for the person of a token; a client's own token has none.
    for id in ["bare", "plain"] {
        let token = own_token(&server, id).await;
        password(&server, &token, "scott", "hunter22").await.factor_error(403, "CSIAK4300E");
        server.json("POST", EMAIL, &token, &Value::Null).await.factor_error(403, "CSIAK4300E");
    }
    password(&server, "unknown", "scott", "hunter22").await.factor_error(401, "CSIAK9999E");
}

#[tokio::test]
async fn a_passkey_is_proved_outside_a_grant() {
    let server = setup().start().await;
    let mut browser = server.passkey_of(ACME.admin.id).await;
    let token = own_token(&server, "performer").await;
    let proved = server.passkey(&token, &mut browser, &json!({ "userId": ACME.admin.id })).await.expect(200);
    assert_eq!(proved["userId"], ACME.admin.id);
    assert_eq!(proved["references"]["rpUuid"], ACME.relying_party);
    let (_, claims) = decode(proved["assertion"].as_str().unwrap());
    assert_eq!((&claims["factor"], claims.get("grant_id")), (&json!("fido2"), None));
    let tokens = bearer(&server, "performer", proved["assertion"].as_str().unwrap()).await.expect(200);
    assert_eq!(decode(tokens["id_token"].as_str().unwrap()).1["amr"], json!(["fido2"]));
    // The ceremony of one client is not answered by another.
    let base = format!("/v2.0/factors/fido2/relyingparties/{}/assertion", ACME.relying_party);
    let options = server.json("POST", &format!("{base}/options"), &token, &json!({})).await.expect(200);
    assert_eq!(options["allowCredentials"], json!([]));
    let answer = browser.get(ACME.origin, &options).await.unwrap();
    let other = own_token(&server, "performer-2").await;
    server.json("POST", &format!("{base}/result"), &other, &answer).await.factor_error(400, "CSIBN0021E");
    server.json("POST", &format!("{base}/result"), &token, &answer).await.expect(200);
    server.json("POST", &format!("{base}/result"), &token, &answer).await.factor_error(400, "CSIBN0021E");
}

/// The code of the secret in the demonstration tenant.
fn totp(server: &TestServer, secret: &[u8]) -> String {
    let now = u64::try_from(server.world.now()).unwrap();
    let totp = totp_rs::Builder::new()
        .with_algorithm(totp_rs::Algorithm::SHA1)
        .with_digits(6)
        .with_step_duration(30)
        .with_secret(totp_rs::Secret::new(secret.to_vec().into_boxed_slice()))
        .build_noncompliant();
    totp.generate(now).to_string()
}

#[tokio::test]
async fn a_time_based_code_is_proved_once_outside_a_grant() {
    let server = setup().start().await;
    let token = own_token(&server, "performer").await;
    let path = "/v2.0/factors/totp/9381dffe-3116-4d8d-bbe2-8ab36ccdafe5?returnJwt=true";
    server.json("POST", path, &token, &json!({ "otp": "000000" })).await.factor_error(400, "CSIBN0021E");
    let code = totp(&server, b"12345678901234567890");
    let proved = server.json("POST", path, &token, &json!({ "otp": code })).await.expect(200);
    assert_eq!(decode(proved["assertion"].as_str().unwrap()).1["amr"], json!(["totp"]));
    server.json("POST", path, &token, &json!({ "otp": code })).await.factor_error(400, "CSIBN0021E");
}

#[tokio::test]
async fn the_older_transient_api_answers_as_the_plug_in_reads_it() {
    let server = setup().start().await;
    let token = own_token(&server, "performer").await;
    let base = "/v1.0/authnmethods/emailotp/transient/verification";
    let body = json!({ "otpDeliveryEmailAddress": "guest@elsewhere.example" });
    let reply = server.json("POST", base, &token, &body).await;
    let made = reply.expect(202);
    assert_eq!(
        names(&made),
        [
            "owner",
            "transactionType",
            "maxTries",
            "sentTo",
            "methodType",
            "correlation",
            "creationTime",
            "expiryTime",
            "numberOfAttempts",
            "id",
        ]
    );
    assert_eq!((&made["transactionType"], &made["maxTries"]), (&json!("transient"), &json!(5)));
    let id = made["id"].as_str().unwrap();
    assert_eq!(reply.text().find("\"id\":\""), reply.text().rfind("\"id\":\""), "one `id`, without a blank");
    let code = server.code("guest@elsewhere.example").await;
    let path = format!("{base}/{id}");
    server.json("POST", &path, &token, &json!({ "otp": "0" })).await.factor_error(400, "CSIAH0619E");
    let done = server.json("POST", &path, &token, &json!({ "otp": code })).await;
    done.factor_error(200, "CSIAH0620I");
    server.json("POST", &path, &token, &json!({ "otp": code })).await.factor_error(400, "CSIAH0619E");
    let text = json!({ "otpDeliveryMobileNumber": "+441865276150" });
    let path = "/v1.0/authnmethods/smsotp/transient/verification";
    assert_eq!(server.json("POST", path, &token, &text).await.expect(202)["sentTo"], "+441865276150");
    let path = "/v1.0/authnmethods/voiceotp/transient/verification";
    server.json("POST", path, &token, &text).await.factor_error(404, "CSIAG0605E");
}

#[tokio::test]
async fn what_is_switched_off_is_501_everywhere() {
    let server = setup()
        .replace("mail_from = \"no-reply@acme.org\"", "mail_from = \"no-reply@acme.org\"\nfido2_enabled = false\nemail_otp = { enabled = false }\ntotp = { enabled = false }")
        .add(&user("6040003QQQ", "quinn", "quinn-quinn-1", ""))
        .start()
        .await;
    let token = own_token(&server, "performer").await;
    let party = format!("/v2.0/factors/fido2/relyingparties/{}/assertion", ACME.relying_party);
    for path in [
        EMAIL.to_owned(),
        "/v2.0/factors/emailotp/transient/verifications".to_owned(),
        "/v1.0/authnmethods/emailotp/transient/verification".to_owned(),
        "/v2.0/factors/totp/9381dffe-3116-4d8d-bbe2-8ab36ccdafe5".to_owned(),
        "/v2.0/factors/questions/x/verifications".to_owned(),
        "/v2.0/factors/fido2/relyingparties".to_owned(),
        format!("{party}/options"),
        format!("{party}/result"),
    ] {
        server.json("POST", &path, &token, &json!({})).await.factor_error(501, "CSIBN9998E");
    }
}
