//! Signing in at another identity provider: a second server of ours is the other one, behind TLS on loopback.

use std::sync::{Arc, Mutex};

use protocol::records::{ClientAuthMethod, ClientKeys, SourceId, UserId};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::hosted::{CALLBACK, code_request, setup};
use crate::support::sink::{self, acceptor};
use crate::support::visitor::{Page, Visitor};
use crate::support::{ACME, Cast, Setup, TestKey, TestServer, client, decode, user};

const CALL_BACK: &str = "https://login.example.test/federation/callback";
/// The same for browsers that come from a sign-in page of Oracle's dialect.
const PAGE_BACK: &str = "https://login.example.test/sso/v1/sdk/idp/callback";
const SECRET: &str = "partner secret/with+marks";
/// People of the provider that we do not know: one whose address is verified, and one with an address of ours that is not. Besides
/// there is an `alice`, as here.
const PEOPLE: [(&str, &str, bool); 2] = [("new@partner.example", "0002", true), ("scott@acme.org", "0003", false)];
const PASSWORD: &str = "partner-password-1";

/// What is changed of the answers that come from the provider.
type Twist = Arc<Mutex<Option<Box<dyn Fn(&str, Value) -> Value + Send>>>>;

/// The other provider, its people, and what is wrong with it.
pub struct Partner {
    server: TestServer,
    base: &'static str,
    twist: Twist,
}

impl Partner {
    pub async fn start() -> Self {
        let acceptor = acceptor();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host: &'static str = Box::leak(format!("localhost:{}", listener.local_addr().unwrap().port()).into());
        let base: &'static str = Box::leak(format!("https://{host}").into());
        let people: String = PEOPLE
            .iter()
            .map(|(name, id, verified)| {
                let more = format!(
                    "[tenant.users.attributes]\nname = \"Somebody\"\npreferred_username = {name:?}\nemail = {name:?}\n\
                     email_verified = {verified}\n"
                );
                user(&format!("900000{id}"), name, PASSWORD, &more)
            })
            .collect();
        let relying = format!(
            "grant_types = [\"authorization_code\"]\nredirect_uris = [{CALL_BACK:?}, {PAGE_BACK:?}]\nconsent = \"never_prompt\""
        );
        let server = Setup::new()
            .replace(
                r#"urls = ["https://login.example.test", "https://alias.example.test"]"#,
                &format!("urls = [{base:?}]"),
            )
            .add(&client("us", SECRET, &relying))
            .add(&people)
            .start()
            .await
            .as_of(Cast { base, host, ..ACME });
        let twist: Twist = Arc::default();
        let (behind, change) = (server.clone(), Arc::clone(&twist));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                serve(stream, &behind, &change).await;
            }
        });
        Self { server, base, twist }
    }

    fn twist(&self, change: impl Fn(&str, Value) -> Value + Send + 'static) {
        *self.twist.lock().unwrap() = Some(Box::new(change));
    }

    /// A server of ours that lets people sign in there.
    pub async fn ours(&self, more: &str, rules: &str) -> TestServer {
        self.ours_known_by(&format!("client_secret = {SECRET:?}"), more, rules).await
    }

    /// The same, known there by something else than a secret in the header.
    async fn ours_known_by(&self, proof: &str, more: &str, rules: &str) -> TestServer {
        let provider = format!(
            "[[tenant.identity_providers]]\nid = \"partner\"\nname = \"Partner\"\nissuer = {:?}\nclient_id = \"us\"\n\
             {proof}\n{more}\n",
            self.base
        );
        let rules = if rules.is_empty() {
            "[[tenant.sign_on_policies]]\nid = 870001\nname = \"Default\"\ndefault = true\n\
             [[tenant.sign_on_policies.rules]]\nname = \"Everybody\"\naccess = \"allow\"\n"
        } else {
            rules
        };
        let server = setup().add(&provider).add(rules).outbound(sink::allowed()).start().await;
        server.world.advance(self.server.world.now() - server.world.now());
        server
    }

    /// Knows us by this method from now on, and by the keys of this server where that is by keys.
    async fn knows(&self, method: ClientAuthMethod, ours: &TestServer) {
        let keys: Value = ours.ask("GET", "/jwks").send().await.expect(200);
        self.server
            .change_client("us", |client| {
                client.auth_method = method;
                client.keys = ClientKeys::Jwks(keys);
            })
            .await;
    }

    /// Somebody signs in there, sent from here: what their browser brings back.
    pub async fn signs_in(&self, sent: &str, name: &str) -> String {
        let mut visitor = Visitor::new(&self.server);
        let page = visitor.get(sent.strip_prefix(self.base).unwrap()).await;
        let password = if name == "alice" { "wonderland-11" } else { PASSWORD };
        let back = visitor.sign_in(&page, name, password).await.reply.header("location").to_owned();
        back.strip_prefix("https://login.example.test").unwrap_or_else(|| panic!("{back}")).to_owned()
    }
}

/// One request of the other server, answered by its router.
async fn serve(mut stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>, behind: &TestServer, twist: &Twist) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let (head, body) = loop {
        let read = stream.read(&mut buffer).await.unwrap_or(0);
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) || read == 0 {
                break (head.to_owned(), body.to_owned());
            }
        }
        if read == 0 {
            return;
        }
    };
    let mut first = head.lines().next().unwrap().split(' ');
    let (method, path) = (first.next().unwrap(), first.next().unwrap());
    let mut ask = behind.ask(method, path);
    for line in head.lines().skip(1) {
        let (name, value) = line.split_once(": ").unwrap();
        if ["authorization", "accept"].contains(&name.to_ascii_lowercase().as_str()) {
            ask = ask.header(name, value);
        }
    }
    if method == "POST" {
        ask = ask.body("application/x-www-form-urlencoded", body);
    }
    let reply = ask.send().await;
    let mut value: Value = serde_json::from_slice(&reply.body).unwrap();
    if let Some(twist) = &*twist.lock().unwrap() {
        value = twist(path, value);
    }
    let body = value.to_string();
    let answer = format!(
        "HTTP/1.1 {} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        reply.status.as_u16(),
        body.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// A browser that is about to be sent away: it, and the address it is sent to.
async fn leaves(ours: &TestServer, client: &str) -> (Visitor, String) {
    let mut visitor = Visitor::new(ours);
    let page = visitor.get(&code_request(client, &[])).await;
    page.expect(200);
    let sent = away(&mut visitor, &page).await;
    (visitor, sent)
}

async fn away(visitor: &mut Visitor, page: &Page) -> String {
    let html = page.text();
    let at = html.find("id=\"provider-partner\"").unwrap_or_else(|| panic!("no provider: {html}"));
    let start = html[at..].find("href=\"").unwrap() + at + 6;
    let href = html[start..start + html[start..].find('"').unwrap()].replace("&#x2f;", "/");
    let left = visitor.once("GET", &href, None).await;
    assert_eq!(left.reply.status, 303, "{left:?}");
    left.reply.header("location").to_owned()
}

/// The whole way there and back.
async fn comes_back(partner: &Partner, ours: &TestServer, client: &str, name: &str) -> (Visitor, Page) {
    let (mut visitor, sent) = leaves(ours, client).await;
    let back = partner.signs_in(&sent, name).await;
    let page = visitor.get(&back).await;
    (visitor, page)
}

pub const BY_ADDRESS: &str = "username_claim = \"email\"\nlink = true\ncreate = true";

async fn by_name(server: &TestServer, name: &str) -> Option<UserId> {
    let source = SourceId::from(ACME.source);
    server.store.user_by_login(&server.tenant(), &source, name).await.unwrap().map(|user| user.id)
}

#[tokio::test]
async fn somebody_new_is_made_a_person_and_is_the_same_the_next_time() {
    let partner = Partner::start().await;
    let ours = partner.ours(BY_ADDRESS, "").await;
    let (_, sent) = leaves(&ours, "web").await;
    assert!(
        sent.contains("code_challenge_method=S256") && sent.contains("&nonce=") && !sent.contains("prompt="),
        "{sent}"
    );
    let (_, page) = comes_back(&partner, &ours, "web", "new@partner.example").await;
    let landed = page.landed(CALLBACK);
    let tokens = ours.redeem("web", &landed["code"]).await.expect(200);
    let claims = decode(tokens["id_token"].as_str().unwrap()).1;
    assert_eq!(claims["amr"], json!(["federated"]));
    let made = by_name(&ours, "new@partner.example").await.expect("a person");
    assert_eq!(claims["sub"], made.as_str());
    let record = ours.store.user(&ours.tenant(), &made).await.unwrap().unwrap();
    assert_eq!(record.attributes["name"], ["Somebody"]);
    assert!(record.groups.is_empty() && record.password.is_none());
    let (mut visitor, page) = comes_back(&partner, &ours, "other", "new@partner.example").await;
    let landed = page.landed(CALLBACK);
    let tokens = ours.redeem("other", &landed["code"]).await.expect(200);
    assert_eq!(decode(tokens["id_token"].as_str().unwrap()).1["sub"], made.as_str());
    // A session like any other.
    visitor.silently("web", &[]).await.landed(CALLBACK);
}

/// OpenID Connect Core §5.7: an address is nobody's that was not verified, and a name takes nothing over where the tenant does not
/// say so.
#[tokio::test]
async fn nobody_is_taken_over_by_a_name() {
    let partner = Partner::start().await;
    for (how, name, wanted) in [
        // Of an unverified address nothing follows, though a person here has it.
        ("username_claim = \"email\"\nlink = true\ncreate = true", "scott@acme.org", None),
        // Nor is somebody taken for a person of the same name where the provider's names are not ours.
        ("create = true", "alice", None),
        ("username_claim = \"email\"", "new@partner.example", None),
        // Where they are, the person is the one who is here.
        ("link = true", "alice", Some("6040003AL1")),
    ] {
        let ours = partner.ours(how, "").await;
        let (visitor, page) = comes_back(&partner, &ours, "web", name).await;
        match wanted {
            Some(id) => {
                let tokens = ours.redeem("web", &page.landed(CALLBACK)["code"]).await.expect(200);
                assert_eq!(decode(tokens["id_token"].as_str().unwrap()).1["sub"], id);
            }
            None => {
                page.expect(200);
                assert_eq!(page.problem().as_deref(), Some("provider_refused"), "{how} {name}");
                assert!(!visitor.jar.contains_key("__Host-countersign"), "{how} {name}");
            }
        }
    }
}

#[tokio::test]
async fn what_comes_back_counts_once_in_the_browser_that_was_sent() {
    let partner = Partner::start().await;
    let ours = partner.ours(BY_ADDRESS, "").await;
    let (mut visitor, sent) = leaves(&ours, "web").await;
    let back = partner.signs_in(&sent, "new@partner.example").await;
    // Planted in another browser it leads nowhere, and the sign-in there is not somebody else's.
    let mut victim = Visitor::new(&ours);
    victim.get(&code_request("web", &[])).await;
    let planted = victim.get(&back).await;
    assert!(planted.reply.header("location").is_empty(), "{planted:?}");
    assert!(!victim.jar.contains_key("__Host-countersign"));
    // It was taken by that.
    assert!(visitor.get(&back).await.reply.header("location").is_empty());

    let (mut visitor, sent) = leaves(&ours, "web").await;
    let back = partner.signs_in(&sent, "new@partner.example").await;
    for wrong in
        [back.replace("state=", "state=x"), back.replace("state=", "status="), "/federation/callback".to_owned()]
    {
        assert!(visitor.get(&wrong).await.reply.header("location").is_empty(), "{wrong}");
    }
    visitor.get(&back).await.landed(CALLBACK);
    assert!(visitor.get(&back).await.reply.header("location").is_empty(), "once");
}

#[tokio::test]
async fn an_answer_of_another_provider_or_none_at_all_is_told_and_changes_nothing() {
    let partner = Partner::start().await;
    let ours = partner.ours(BY_ADDRESS, "").await;
    for change in [
        |back: String| back.replace("iss=", "iss=https%3A%2F%2Fevil.example&was="),
        // One that says it names itself must.
        |back: String| back.replace("iss=", "was="),
        |back: String| back.replace("code=", "error=access_denied&was="),
        |back: String| back.replace("code=", "was="),
        |back: String| back.replace("code=", "code=x"),
    ] {
        let (mut visitor, sent) = leaves(&ours, "web").await;
        let back = change(partner.signs_in(&sent, "new@partner.example").await);
        let page = visitor.get(&back).await;
        page.expect(200);
        assert_eq!(page.problem().as_deref(), Some("provider_refused"), "{back}");
        // Another way in is still open.
        visitor.sign_in(&page, ACME.other.username, ACME.other.password).await.landed(CALLBACK);
    }
    assert!(by_name(&ours, "new@partner.example").await.is_none());
}

/// What the provider's token endpoint says is believed only where everything in it fits.
#[tokio::test]
async fn an_id_token_that_was_not_made_for_this_is_not_believed() {
    let key = TestKey::new("server");
    let forged = move |token: &str, change: &dyn Fn(&mut Value)| {
        let (_, mut claims) = decode(token);
        change(&mut claims);
        key.sign(&claims)
    };
    let forged = Arc::new(forged);
    for what in ["another key", "unsigned", "another token", "an earlier one", "none"] {
        let partner = Partner::start().await;
        let ours = partner.ours(BY_ADDRESS, "").await;
        let earlier = Arc::new(Mutex::new(String::new()));
        let (kept, forged) = (Arc::clone(&earlier), Arc::clone(&forged));
        partner.twist(move |path, mut value| {
            if path.ends_with("/token") && value.get("id_token").is_some() {
                let token = value["id_token"].as_str().unwrap().to_owned();
                let first = kept.lock().unwrap().clone();
                *kept.lock().unwrap() = token.clone();
                value["id_token"] = match what {
                    "another key" => json!(forged(&token, &|_| {})),
                    "unsigned" => json!(crate::support::unsigned(&json!({ "alg": "none" }), &decode(&token).1)),
                    "another token" => value["access_token"].clone(),
                    "an earlier one" if first.is_empty() => json!(token),
                    "an earlier one" => json!(first),
                    _ => Value::Null,
                };
            }
            value
        });
        if what == "an earlier one" {
            comes_back(&partner, &ours, "web", "new@partner.example").await.1.landed(CALLBACK);
        }
        let (_, page) = comes_back(&partner, &ours, "web", "new@partner.example").await;
        assert_eq!(page.problem().as_deref(), Some("provider_refused"), "{what}");
    }
    let partner = Partner::start().await;
    let ours = partner.ours(BY_ADDRESS, "").await;
    partner.twist(|path, mut value| {
        if path.ends_with("openid-configuration") {
            value["issuer"] = json!("https://evil.example");
        }
        value
    });
    let mut visitor = Visitor::new(&ours);
    let page = visitor.get(&code_request("web", &[])).await;
    let html = page.text();
    let at = html.find("/with/partner").map_or_else(|| html.find("with&#x2f;partner"), Some).unwrap();
    let start = html[..at].rfind('"').unwrap() + 1;
    let href = html[start..start + html[start..].find('"').unwrap()].replace("&#x2f;", "/");
    let told = visitor.get(&href).await;
    assert_eq!(told.problem().as_deref(), Some("provider_refused"));
}

/// However we are known there, we prove it that way and no other will do: the other server judges.
#[tokio::test]
async fn we_prove_who_we_are_as_the_provider_knows_us() {
    let secret = format!("client_secret = {SECRET:?}");
    for (proof, method) in [
        ("auth_method = \"private_key_jwt\"".to_owned(), ClientAuthMethod::PrivateKeyJwt),
        (format!("auth_method = \"client_secret_post\"\n{secret}"), ClientAuthMethod::ClientSecretPost),
        (format!("auth_method = \"client_secret_basic\"\n{secret}"), ClientAuthMethod::ClientSecretBasic),
    ] {
        let partner = Partner::start().await;
        let ours = partner.ours_known_by(&proof, BY_ADDRESS, "").await;
        partner.knows(method, &ours).await;
        // Twice: an assertion is one of its own each time, for whoever keeps those that were used.
        for client in ["web", "other"] {
            let (_, page) = comes_back(&partner, &ours, client, "new@partner.example").await;
            let tokens = ours.redeem(client, &page.landed(CALLBACK)["code"]).await.expect(200);
            assert_eq!(decode(tokens["id_token"].as_str().unwrap()).1["amr"], json!(["federated"]), "{method:?}");
        }
        // Known by another method, or by the keys of somebody else, nobody gets in.
        let other = match method {
            ClientAuthMethod::ClientSecretPost => ClientAuthMethod::ClientSecretBasic,
            _ => ClientAuthMethod::ClientSecretPost,
        };
        partner.knows(other, &ours).await;
        let (_, page) = comes_back(&partner, &ours, "web", "new@partner.example").await;
        assert_eq!(page.problem().as_deref(), Some("provider_refused"), "{method:?}");
    }
    let partner = Partner::start().await;
    let ours = partner.ours_known_by("auth_method = \"private_key_jwt\"", BY_ADDRESS, "").await;
    let stranger = Setup::new().start().await.as_of(crate::support::GLOBEX);
    partner.knows(ClientAuthMethod::PrivateKeyJwt, &stranger).await;
    let (_, page) = comes_back(&partner, &ours, "web", "new@partner.example").await;
    assert_eq!(page.problem().as_deref(), Some("provider_refused"), "the keys of somebody else");
}

/// A name there that becomes a way in here is told to whom it lets in.
#[tokio::test]
async fn who_is_linked_to_an_account_there_is_told_once() {
    let partner = Partner::start().await;
    let ours = partner.ours("link = true", "").await;
    let told = async || {
        let mails = ours.mail("alice@acme.org").await;
        mails.iter().map(|mail| mail["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    comes_back(&partner, &ours, "web", "alice").await.1.landed(CALLBACK);
    let first = told().await;
    assert!(first.len() == 1 && first[0].contains("A way to sign in was added"), "{first:?}");
    assert!(first[0].contains("Sign-in with another provider (Partner)"), "{first:?}");
    comes_back(&partner, &ours, "web", "alice").await.1.landed(CALLBACK);
    assert_eq!(told().await.len(), 1);
}

/// What the provider says of how somebody signed in there is what policy looks at: by `amr` and `acr` of an ID token that it signed.
#[tokio::test]
async fn how_somebody_signed_in_there_decides_what_is_asked_here() {
    let rules = |condition: &str| {
        format!(
            "[[tenant.sign_on_policies]]\nid = 870003\nname = \"Default\"\ndefault = true\n\
             [[tenant.sign_on_policies.rules]]\nname = \"Well enough\"\n{condition}\naccess = \"allow\"\n\
             [[tenant.sign_on_policies.rules]]\nname = \"Nobody else\"\naccess = \"deny\"\n"
        )
    };
    // A password alone is proved there: it says so, and at which level.
    for (condition, lets_in) in [
        ("upstream_amr = [\"pwd\"]", true),
        ("upstream_amr = [\"mfa\", \"otp\"]", false),
        ("upstream_acr = [\"urn:countersign:acr:1\"]", true),
        ("upstream_acr = [\"urn:countersign:acr:2\", \"phr\"]", false),
    ] {
        let partner = Partner::start().await;
        let ours = partner.ours(BY_ADDRESS, &rules(condition)).await;
        // Our request names no level; what that provider says of itself is what it has for us by default.
        partner
            .server
            .change_client("us", |client| client.default_acr_values = vec!["urn:countersign:acr:1".to_owned()])
            .await;
        let (visitor, page) = comes_back(&partner, &ours, "web", "new@partner.example").await;
        let in_ = visitor.jar.contains_key("__Host-countersign");
        assert_eq!(in_, lets_in, "{condition}: {:?}", page.reply.header("location"));
        // Nothing is said of somebody who signed in here, and nothing unknown lets anybody in.
        let mut visitor = Visitor::new(&ours);
        let page = visitor.get(&code_request("web", &[])).await;
        visitor.sign_in(&page, ACME.other.username, ACME.other.password).await;
        assert!(!visitor.jar.contains_key("__Host-countersign"), "{condition}");
    }
}

/// What the other provider says is a fact for policy, and reaches no level by itself.
#[tokio::test]
async fn policy_says_what_a_sign_in_there_is_worth() {
    let rules = r#"
[[tenant.sign_on_policies]]
id = 870002
name = "Default"
default = true

[[tenant.sign_on_policies.rules]]
name = "The partner's people prove one more"
identity_providers = ["partner"]
access = "allow"
factors = ["totp"]

[[tenant.sign_on_policies.rules]]
name = "Ours"
identity_providers = ["local"]
access = "allow"
"#;
    let partner = Partner::start().await;
    let ours = partner.ours("link = true", rules).await;
    let (mut visitor, sent) = leaves(&ours, "web").await;
    let back = partner.signs_in(&sent, "alice").await;
    // Alice has no application for codes here.
    let page = visitor.get(&back).await;
    page.expect(200);
    assert!(!visitor.jar.contains_key("__Host-countersign"));
    let mut visitor = Visitor::new(&ours);
    let page = visitor.get(&code_request("web", &[])).await;
    visitor.sign_in(&page, ACME.other.username, ACME.other.password).await.landed(CALLBACK);
    // The level two is not reached by a sign-in elsewhere.
    let ours = partner.ours("link = true", "").await;
    let mut visitor = Visitor::new(&ours);
    let page = visitor.get(&code_request("web", &[("acr_values", "urn:countersign:acr:2")])).await;
    let sent = away(&mut visitor, &page).await;
    let back = partner.signs_in(&sent, "alice").await;
    assert!(visitor.get(&back).await.reply.header("location").is_empty());
}

/// Who is to prove anew who they are does so there, too.
#[tokio::test]
async fn a_fresh_sign_in_is_one_there_as_well() {
    let partner = Partner::start().await;
    let ours = partner.ours(BY_ADDRESS, "").await;
    let (mut visitor, page) = comes_back(&partner, &ours, "web", "new@partner.example").await;
    page.landed(CALLBACK);
    let page = visitor.get(&code_request("web", &[("max_age", "0")])).await;
    let sent = away(&mut visitor, &page).await;
    assert!(sent.contains("&prompt=login&max_age=0"), "{sent}");
    let back = partner.signs_in(&sent, "new@partner.example").await;
    visitor.get(&back).await.landed(CALLBACK);
}
