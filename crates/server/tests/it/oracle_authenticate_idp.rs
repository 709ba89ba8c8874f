//! Another provider, chosen at a sign-in page of Oracle's dialect: there, back, and to the page again.

use aws_lc_rs::cipher::{AES_128, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::iv::FixedLength;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::oracle_session::open;
use crate::support::oracle::{CLIENT, SECRET, Step};
use crate::support::visitor::{Page, Visitor};
use crate::support::{TestServer, decode};
use crate::upstream::{BY_ADDRESS, Partner};

const APP: &str = "Time Sheets";
const IDP: &str = "/sso/v1/sdk/idp";
const COOKIE: &str = "ORA_OCIS_REQ_1";

fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn began(server: &TestServer) -> Step {
    server.page().await.start(Some(APP)).await
}

/// A browser that chose the partner, and where it was sent.
async fn leaves(server: &TestServer, start: &Step) -> (Visitor, String) {
    let mut visitor = Visitor::new(server);
    let fields = form(&[
        ("requestState", start.state()),
        ("idpName", "Partner"),
        ("idpId", "partner"),
        ("idpType", "Social"),
        ("clientId", "undefined"),
    ]);
    let page = visitor.once("POST", IDP, Some(&fields)).await;
    assert_eq!(page.reply.status, 303, "{}", page.text());
    for (name, value) in [("expires", "Sat, 01 Jan 2000 00:00:00 GMT"), ("x-content-type-options", "nosniff")] {
        assert_eq!(page.reply.header(name), value);
    }
    let cookie = page.reply.header("set-cookie");
    assert!(cookie.starts_with(&format!("{COOKIE}=")) && cookie.contains("HttpOnly"), "{cookie}");
    (visitor, page.reply.header("location").to_owned())
}

#[track_caller]
fn leads_nowhere(page: &Page) {
    assert!(page.reply.status.is_client_error(), "{page:?}");
    assert!(!page.text().contains("authnToken"));
}

#[tokio::test]
async fn a_provider_is_offered_gone_to_and_come_back_from() {
    let partner = Partner::start().await;
    let icon = "https://partner.example/icon.svg";
    let ours = partner.ours(&format!("{BY_ADDRESS}\nicon = {icon:?}"), "").await;
    let start = began(&ours).await;
    start.waits(&["credSubmit", "chooseIDP"], &["USERNAME_PASSWORD", "IDP"]);
    assert_eq!(
        start.body["IDP"],
        json!({ "configuredIDPs": [{ "idpId": "partner", "idpName": "Partner", "idpType": "Social", "iconUrl": icon }],
                "credentials": ["idpId", "idpType"] })
    );
    let (mut visitor, sent) = leaves(&ours, &start).await;
    let back = partner.signs_in(&sent, "new@partner.example").await;
    // Another browser gets nothing by it, and nobody afterwards.
    leads_nowhere(&Visitor::new(&ours).get(&back).await);
    leads_nowhere(&visitor.get(&back).await);

    let (mut visitor, sent) = leaves(&ours, &start).await;
    let back = partner.signs_in(&sent, "new@partner.example").await;
    let page = visitor.get(&back).await;
    page.expect(200);
    let posted = page.form();
    assert_eq!(posted.action, "http://localhost:3000/");
    let token = posted.fields.iter().find(|(name, _)| name == "authnToken").unwrap().1.clone();
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("scope", "urn:opc:idm:__myscopes__"),
        ("assertion", token.as_str()),
    ];
    let made = ours.ask("POST", "/oauth2/v1/token").basic("idcs-demo", "idcs-demo-secret").form(&form).send().await;
    assert!(made.expect(200)["access_token"].is_string());
    leads_nowhere(&visitor.get(&back).await);
}

#[tokio::test]
async fn who_is_nobody_here_is_told_at_the_page_for_errors() {
    let partner = Partner::start().await;
    let ours = partner.ours("", "").await;
    let start = began(&ours).await;
    let (mut visitor, sent) = leaves(&ours, &start).await;
    let back = partner.signs_in(&sent, "new@partner.example").await;
    let told = visitor.once("GET", &back, None).await;
    assert_eq!(told.reply.status, 303, "{}", told.text());
    assert!(told.reply.header("location").starts_with("http://localhost:3000/error?errorCtx="), "{told:?}");
    // The state is as good as before.
    let sent = json!({ "username": "admin@oracle.com", "password": "Welc0me@1" });
    ours.page().await.credentials(&start, None, sent).await.token();
}

/// What an error page is told.
#[track_caller]
fn told(page: &Page) -> String {
    assert_eq!(page.reply.status, 303, "{}", page.text());
    let query = page.reply.header("location").strip_prefix("http://localhost:3000/error?").unwrap();
    let (name, context) = form_urlencoded::parse(query.as_bytes()).next().unwrap();
    assert_eq!(name, "errorCtx");
    open(&context)["errors"][0]["code"].as_str().unwrap().to_owned()
}

/// Whatever stops a browser on its way, the application's page for errors is told, and by which code.
#[tokio::test]
async fn every_way_that_is_stopped_ends_at_the_page_for_errors() {
    let partner = Partner::start().await;
    let ours = partner.ours(BY_ADDRESS, "").await;
    let start = began(&ours).await;
    let fields = |id: &str| form(&[("requestState", start.state()), ("idpId", id), ("idpType", "SOCIAL")]);
    let unknown = Visitor::new(&ours).once("POST", IDP, Some(&fields("nobody"))).await;
    assert_eq!(told(&unknown), "AUTH-3021");
    // The person gave up there; said twice it leads nowhere, for the first answer was taken.
    let (mut visitor, sent) = leaves(&ours, &start).await;
    let back = partner.signs_in(&sent, "new@partner.example").await;
    let query = back.split_once('?').unwrap().1;
    let state = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "state").unwrap().1.into_owned();
    let declined = format!("/sso/v1/sdk/idp/callback?error=access_denied&state={state}");
    assert_eq!(told(&visitor.once("GET", &declined, None).await), "SSO-1002");
    leads_nowhere(&visitor.once("GET", &back, None).await);
    // Too long at the page.
    ours.world.advance(901);
    let late = Visitor::new(&ours).once("POST", IDP, Some(&fields("partner"))).await;
    assert_eq!(told(&late), "AUTH-1120");
}

/// Where somebody new may register, the page is told who they are, in a text that its client alone can read, and registers them.
#[tokio::test]
async fn somebody_new_registers_at_the_page_with_what_the_provider_said() {
    let partner = Partner::start().await;
    let ours = partner.ours("username_claim = \"email\"\nregister = true", "").await;
    let page = ours.page().await;
    let start = page.start(Some(APP)).await;
    let comes = async || {
        let mut visitor = Visitor::new(&ours);
        let fields =
            form(&[("requestState", start.state()), ("idpId", "partner"), ("idpType", "Social"), ("clientId", CLIENT)]);
        let sent = visitor.once("POST", IDP, Some(&fields)).await.reply.header("location").to_owned();
        let back = partner.signs_in(&sent, "new@partner.example").await;
        visitor.once("GET", &back, None).await
    };
    let handed = comes().await;
    let posted = handed.form();
    assert_eq!(posted.action, "http://localhost:3000/error");
    let field = |name: &str| posted.fields.iter().find(|(known, _)| known == name).unwrap().1.clone();
    let said = user_data(&field("userData"), SECRET);
    assert_eq!(said, json!({ "userName": "new@partner.example", "email": "new@partner.example" }));
    let at = Step { status: 200, body: json!({ "requestState": field("requestState") }) };

    let register = |username: &str| {
        json!({
            "op": "socialRegister", "userMappingAttr": "email", "callbackUrl": "https://unused.example",
            "socialSCIMAttrs": {
                "userName": username, "email": "somebody@else.example", "givenName": "Noor", "familyName": "New",
                "phoneNo": "15550001234",
            },
        })
    };
    // A name that is another's, or would pass for it, is not to be had; the stage stays.
    for (username, status) in [("admin@oracle.com", 400), ("eve@else.example", 400), ("a b", 400), ("", 422)] {
        let no = page.submit(&at, register(username)).await;
        no.expect(status, "failed", Some("AUTH-1111"));
        assert_eq!(no.list("nextOp"), ["socialRegister"], "{}", no.body);
    }
    page.submit(&at, json!({ "op": "credSubmit" })).await.expect(400, "failed", Some("AUTH-1116"));
    let done = page.submit(&at, register("noor")).await;
    let claims = decode(done.token()).1;
    assert_eq!((&claims["sub"], &claims["amr"]), (&json!("noor"), &json!(["IDP"])));
    // What they typed beside their name is not what the provider verified.
    let user = ours.store.user(&ours.tenant(), &claims["user_id"].as_str().unwrap().into()).await.unwrap().unwrap();
    assert_eq!(user.attributes["email"], ["new@partner.example"]);
    assert_eq!(
        (&user.attributes["given_name"][0], &user.attributes["family_name"][0]),
        (&"Noor".into(), &"New".into())
    );
    assert!(user.password.is_none() && !user.attributes.contains_key("phone_number"));
    // It happens once, and the next time they are known.
    page.submit(&at, register("noor2")).await.expect(401, "failed", Some("AUTH-1036"));
    let known = comes().await.form();
    assert!(known.fields.iter().any(|(name, _)| name == "authnToken"), "{known:?}");
}

/// Nothing is told to a page whose client has no secret to read it with, and the time to register is short.
#[tokio::test]
async fn nobody_registers_late_or_at_a_page_without_a_secret() {
    let partner = Partner::start().await;
    let ours = partner.ours("username_claim = \"email\"\nregister = true", "").await;
    let start = began(&ours).await;
    ours.change_client(CLIENT, |client| client.page_key.clear()).await;
    let comes = async || {
        let (mut visitor, sent) = leaves(&ours, &start).await;
        let back = partner.signs_in(&sent, "new@partner.example").await;
        visitor.once("GET", &back, None).await
    };
    assert_eq!(told(&comes().await), "SSO-1003");
    let ours = partner.ours("username_claim = \"email\"\nregister = true", "").await;
    let page = ours.page().await;
    let start = page.start(Some(APP)).await;
    let (mut visitor, sent) = leaves(&ours, &start).await;
    let back = partner.signs_in(&sent, "new@partner.example").await;
    let posted = visitor.once("GET", &back, None).await.form();
    let state = posted.fields.iter().find(|(name, _)| name == "requestState").unwrap().1.clone();
    ours.world.advance(601);
    let body = json!({ "op": "socialRegister", "requestState": state, "socialSCIMAttrs": { "userName": "noor" } });
    page.send(&body).await.expect(401, "failed", Some("AUTH-1036"));
}

/// Opens `userData` as the vendor's page does.
fn user_data(text: &str, secret: &str) -> Value {
    let all = STANDARD.decode(text).unwrap();
    let number = |at: usize| u32::from_le_bytes(all[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!(number(8), all.len() - 8);
    let (length, iv_length) = (number(12), usize::from(all[16]));
    let data = &all[18..18 + length];
    let iv: [u8; 16] = all[18 + length..18 + length + iv_length].try_into().unwrap();
    let text_length = u32::from_le_bytes(data[4..8].try_into().unwrap()) as usize;
    let mut sealed = data[10..10 + text_length].to_vec();
    let hash = digest(&SHA256, &[&all[..8], secret.as_bytes()].concat());
    let key = UnboundCipherKey::new(&AES_128, &hash.as_ref()[16..]).unwrap();
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).unwrap();
    let plain = key.decrypt(&mut sealed, DecryptionContext::Iv128(FixedLength::from(iv))).unwrap();
    let outer: Value = serde_json::from_slice(plain).unwrap();
    serde_json::from_str(outer["scim_user_attr"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn a_form_that_does_not_fit_goes_nowhere() {
    let partner = Partner::start().await;
    let ours = partner.ours(BY_ADDRESS, "").await;
    let start = began(&ours).await;
    for fields in [
        form(&[]),
        form(&[("requestState", "x"), ("idpId", "partner")]),
        form(&[("requestState", "undefined"), ("idpId", "partner")]),
    ] {
        let page = Visitor::new(&ours).once("POST", IDP, Some(&fields)).await;
        leads_nowhere(&page);
    }
    let unknown = form(&[("requestState", start.state()), ("idpId", "nobody")]);
    let page = Visitor::new(&ours).once("POST", IDP, Some(&unknown)).await;
    assert!(page.reply.header("location").starts_with("http://localhost:3000/error?errorCtx="), "{page:?}");
    // The other form wants a client token besides.
    let token = ours.page().await.token;
    for (field, token, wanted) in
        [("authorization", "x", 401), ("authorization", token.as_str(), 303), ("accesstoken", token.as_str(), 303)]
    {
        let fields = form(&[("requestState", start.state()), ("idpId", "partner"), (field, token)]);
        let page = Visitor::new(&ours).once("POST", "/sso/v1/sdk/secure/idp", Some(&fields)).await;
        assert_eq!(page.reply.status, wanted, "{field}");
    }
}
