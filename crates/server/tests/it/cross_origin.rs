//! Pages of other origins may use what answers in JSON, with a credential they bring themselves, and nothing else.

use crate::support::Setup;

#[tokio::test]
async fn a_page_of_another_origin_may_call_what_takes_a_credential() {
    let server = Setup::new().start().await;
    for path in
        ["/oauth2/token", "/oauth2/userinfo", "/oauth2/revoke", "/v2.0/factors/emailotp/transient/verifications"]
    {
        let asked = server
            .ask("OPTIONS", path)
            .header("origin", "https://app.example.test")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
            .send()
            .await;
        assert_eq!(asked.status.as_u16(), 204, "{path}");
        assert_eq!(asked.header("access-control-allow-origin"), "*");
        assert!(asked.header("access-control-allow-methods").contains("POST"));
        assert!(asked.header("access-control-allow-headers").to_lowercase().contains("authorization"));
        assert_eq!(asked.header("access-control-allow-credentials"), "", "a cookie must never count");
    }
    // Errors are readable as well, or a page could not tell a wrong code from a broken line.
    let refused = server.ask("POST", "/oauth2/token").header("origin", "https://app.example.test").send().await;
    assert_eq!((refused.status.as_u16(), refused.header("access-control-allow-origin")), (400, "*"));
}

#[tokio::test]
async fn pages_and_what_cookies_open_are_kept_from_other_origins() {
    let server = Setup::new().start().await;
    for path in ["/oauth2/authorize?client_id=x", "/oauth2/end_session", "/login/nothing"] {
        let page = server.ask("GET", path).header("origin", "https://app.example.test").send().await;
        assert_eq!(page.header("access-control-allow-origin"), "", "{path}");
    }
    let redirect = server.ask("GET", "/oauth2/authorize?client_id=web&redirect_uri=https%3A%2F%2Fx.test").send().await;
    assert_eq!(redirect.header("access-control-allow-origin"), "");
    // Without the question of a browser, OPTIONS is a method like any other that is not taken.
    assert_eq!(server.ask("OPTIONS", "/oauth2/token").send().await.status.as_u16(), 405);
}
