//! Another provider, chosen at a sign-in page of Oracle's dialect: there, back, and to the page again.

use serde_json::json;

use crate::support::TestServer;
use crate::support::oracle::Step;
use crate::support::visitor::{Page, Visitor};
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
    let ours = partner.ours(BY_ADDRESS, "").await;
    let start = began(&ours).await;
    start.waits(&["credSubmit", "chooseIDP"], &["USERNAME_PASSWORD", "IDP"]);
    assert_eq!(
        start.body["IDP"],
        json!({ "configuredIDPs": [{ "idpId": "partner", "idpName": "Partner", "idpType": "Social" }],
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
