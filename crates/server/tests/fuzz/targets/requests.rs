//! Whole requests to the whole server: a line with method and target, headers, an empty line, the body. What stands in braces is
//! replaced by what somebody holds who is on their way (`{user}`, `{second}`, …), so that what lies behind the first check is
//! reached as well. Nothing that is sent may break a route, and no fault may come of it.

use std::cell::RefCell;

use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::support::hosted::{self, code_request};
use crate::support::visitor::Visitor;
use crate::support::{ACME, Ask, TestServer};

/// Requests to one server: then another takes its place, for what those before held has died of what was sent.
const ON_A_SERVER: usize = 250;
const MOST_HEADERS: usize = 40;

struct Site {
    runtime: Runtime,
    server: TestServer,
    holdings: Vec<(&'static str, String)>,
    sent: usize,
}

thread_local! {
    static SITE: RefCell<Option<Site>> = const { RefCell::new(None) };
}

impl Site {
    fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let server = runtime.block_on(hosted::setup().dev().start());
        let holdings = runtime.block_on(hold(&server));
        Self { runtime, server, holdings, sent: 0 }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.sent += 1;
        let Some(ask) = read(bytes, &self.holdings, &self.server) else { return };
        let reply = self.runtime.block_on(ask.send());
        let status = reply.status;
        // 501 is a kind of factor that the tenant does not offer (vendor page §5.2).
        assert!(!status.is_server_error() || status == StatusCode::NOT_IMPLEMENTED, "{reply:?}");
    }
}

/// One request.
pub fn request(bytes: &[u8]) {
    SITE.with_borrow_mut(|site| {
        let mut at = site.take().filter(|site| site.sent < ON_A_SERVER).unwrap_or_else(Site::open);
        at.send(bytes);
        // A server that did not survive is not asked again.
        *site = Some(at);
    });
}

/// What everybody holds who is on their way.
async fn hold(server: &TestServer) -> Vec<(&'static str, String)> {
    let text = |body: &Value, name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let (first, assertion) = server.password_assertion().await;
    let second = server.second_challenge().await;
    let verification = server.start_code(&second.token).await;
    let tokens = server.sign_in_other().await;
    let page = server.page().await;
    let step = page.start(None).await;
    let mut stranger = Visitor::new(server);
    let dialogue = stranger.get(&code_request("web", &[])).await;
    let mut visitor = Visitor::new(server);
    let code = visitor.code("web", ACME.other.username, ACME.other.password, &[]).await;
    let jar = |visitor: &Visitor| {
        visitor.jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    };
    let device = [("client_id", "television"), ("scope", "openid")];
    let device = server.post_form("/oauth2/device_authorization", &device).await;
    let device: Value = serde_json::from_slice(&device.body).unwrap_or_default();
    vec![
        ("{first}", first.token),
        ("{assertion}", assertion),
        ("{second}", second.token),
        ("{verification}", text(&verification, "id")),
        ("{user}", text(&tokens, "access_token")),
        ("{refresh}", text(&tokens, "refresh_token")),
        ("{admin}", server.token_of("administration", "administration-demo-secret").await),
        ("{state}", step.body["requestState"].as_str().unwrap_or_default().to_owned()),
        ("{page}", page.token),
        ("{dialogue}", dialogue.form().action),
        ("{stranger}", jar(&stranger)),
        ("{session}", jar(&visitor)),
        ("{code}", code),
        ("{device_code}", text(&device, "device_code")),
        ("{user_code}", text(&device, "user_code")),
    ]
}

/// A request as HTTP would let it in; none where it would not.
fn read(bytes: &[u8], holdings: &[(&str, String)], server: &TestServer) -> Option<Ask> {
    let mut bytes = bytes.to_vec();
    for (name, value) in holdings {
        while let Some(at) = bytes.windows(name.len()).position(|part| part == name.as_bytes()) {
            bytes.splice(at..at + name.len(), value.bytes());
        }
    }
    let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap_or(bytes.len());
    let mut lines = bytes[..end].split(|byte| *byte == b'\n');
    let (method, target) = std::str::from_utf8(lines.next()?).ok()?.split_once(' ')?;
    Method::from_bytes(method.as_bytes()).ok()?;
    target.parse::<Uri>().ok().filter(|uri| uri.path().starts_with('/'))?;
    // Each comes from a place of its own: none is turned away for what the others did.
    let place = bytes.iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
    let place = std::net::Ipv4Addr::from(0x6440_0000 | place & 0x3f_ffff);
    let mut ask = server.ask(method, target).from(&place.to_string());
    for line in lines.take(MOST_HEADERS) {
        let at = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (HeaderName::from_bytes(&line[..at]).ok()?, line[at + 1..].trim_ascii());
        HeaderValue::from_bytes(value).ok()?;
        ask = ask.header(name.as_str(), value);
    }
    Some(ask.raw(bytes.get(end + 2..).unwrap_or_default().to_vec()))
}
