//! Applications that people come from with their browsers.

use serde_json::Value;

use super::visitor::{Page, VERIFIER, Visitor, request};
use super::{Reply, Setup, TestServer, client, policy, rule};

pub const CALLBACK: &str = "https://app.example.test/cb";
/// The policy that wants a second factor of everybody.
pub const SECOND: i64 = 771;

/// The demonstration tenants with applications of every sort, whose pages may use passkeys.
pub fn setup() -> Setup {
    let code = format!("grant_types = [\"authorization_code\", \"refresh_token\"]\nredirect_uris = [{CALLBACK:?}]");
    let quiet = format!("{code}\nconsent = \"never_prompt\"");
    let second = policy(
        SECOND,
        &[
            rule("In", true, "[]", "ACTION_MFA_ALWAYS", r#"["password", "fido2"]"#),
            rule("More", false, "[]", "ACTION_MFA_PER_SESSION", r#"["emailotp", "totp", "fido2"]"#),
        ],
    );
    let denied = policy(
        SECOND + 1,
        &[
            rule("In", true, "[]", "ACTION_MFA_ALWAYS", r#"["password"]"#),
            rule("Out", false, "[]", "ACTION_DENY", "[]"),
        ],
    );
    let all = "grant_types = [\"authorization_code\", \"implicit\", \"refresh_token\"]";
    Setup::new()
        .replace(
            r#"origins = ["https://app.example.test"]"#,
            r#"origins = ["https://app.example.test", "https://login.example.test"]"#,
        )
        .add(&client("web", "web-secret", &quiet))
        .add(&client("other", "other-secret", &quiet))
        .add(&client("asks", "asks-secret", &format!("{code}\nscopes = [\"films\"]")))
        .add(&client("nags", "nags-secret", &format!("{code}\nconsent = \"always_prompt\"")))
        .add(&client(
            "portal",
            "portal-secret",
            &format!("{all}\nredirect_uris = [{CALLBACK:?}]\nconsent = \"never_prompt\""),
        ))
        .add(&format!(
            "[[tenant.clients]]\nid = \"spa\"\nauth_method = \"none\"\n{quiet}\n\
             post_logout_redirect_uris = [\"https://app.example.test/bye\"]\n"
        ))
        .add(&client("vault", "vault-secret", &format!("{quiet}\npolicy = {SECOND}")))
        .add(&client("closed", "closed-secret", &format!("{quiet}\npolicy = {}", SECOND + 1)))
        .add(&client("few", "few-secret", &format!("{quiet}\nopen_to_all = false\nentitled_users = [\"scott\"]")))
        .add(&client("hasty", "hasty-secret", &format!("{quiet}\nauthorization_code_lifetime = 30")))
        .add(&second)
        .add(&denied)
}

/// A request for a code.
pub fn code_request(client: &str, more: &[(&str, &str)]) -> String {
    let mut pairs = vec![
        ("client_id", client),
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid"),
        ("state", "st-1"),
    ];
    pairs.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    pairs.extend(more.iter().filter(|(_, value)| !value.is_empty()));
    request(&pairs)
}

impl TestServer {
    /// Redeems a code.
    pub async fn redeem(&self, client: &str, code: &str) -> Reply {
        self.redeem_with(client, &[("code", code), ("redirect_uri", CALLBACK)]).await
    }

    pub async fn redeem_with(&self, client: &str, more: &[(&str, &str)]) -> Reply {
        let mut form = vec![("grant_type", "authorization_code")];
        form.extend(more);
        self.ask("POST", "/token").basic(client, &format!("{client}-secret")).form(&form).send().await
    }
}

impl Visitor {
    /// Comes from an application, signs in with a password, and is back there with a code.
    pub async fn code(&mut self, client: &str, username: &str, password: &str, more: &[(&str, &str)]) -> String {
        let page = self.get(&code_request(client, more)).await;
        let page = self.sign_in(&page, username, password).await;
        page.landed(CALLBACK)["code"].clone()
    }

    /// The same, with the code redeemed.
    pub async fn tokens(&mut self, client: &str, username: &str, password: &str, more: &[(&str, &str)]) -> Value {
        let code = self.code(client, username, password, more).await;
        self.server.redeem(client, &code).await.expect(200)
    }

    /// Comes once more from an application, where nothing is asked any more.
    pub async fn silently(&mut self, client: &str, more: &[(&str, &str)]) -> Page {
        let mut all = vec![("prompt", "none")];
        all.extend(more);
        self.get(&code_request(client, &all)).await
    }
}

/// With the proof key all these clients use.
pub fn redeem_pkce(code: &str) -> [(&str, &str); 3] {
    [("code", code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)]
}
