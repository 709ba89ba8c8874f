//! Somebody with a browser: keeps cookies, reads forms, follows redirects that stay here. Runs no script.

use std::collections::BTreeMap;

use protocol::pkce;
use serde_json::Value;

use super::{Reply, TestServer};

/// The browser of one person.
#[derive(Clone)]
pub struct Visitor {
    pub server: TestServer,
    pub jar: BTreeMap<String, String>,
    headers: Vec<(&'static str, String)>,
}

/// A page the browser shows, or the answer that took it elsewhere.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where it was had from.
    pub path: String,
    pub reply: Reply,
}

/// The form of a page.
#[derive(Clone, Debug)]
pub struct FormOf {
    pub action: String,
    pub fields: Vec<(String, String)>,
}

impl Visitor {
    pub fn new(server: &TestServer) -> Self {
        Self { server: server.clone(), jar: BTreeMap::new(), headers: Vec::new() }
    }

    /// Sends this header with everything.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The same browser at another node.
    pub fn at(&self, server: &TestServer) -> Self {
        Self { server: server.clone(), ..self.clone() }
    }

    /// One request, without following anything.
    pub async fn once(&mut self, method: &str, target: &str, form: Option<&[(String, String)]>) -> Page {
        let mut ask = self.server.ask(method, target);
        if !self.jar.is_empty() {
            let pairs: Vec<String> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            ask = ask.header("cookie", pairs.join("; "));
        }
        for (name, value) in &self.headers {
            ask = ask.header(name, value);
        }
        if let Some(fields) = form {
            ask = ask.form(fields);
        }
        let reply = ask.send().await;
        for cookie in reply.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            let (name, rest) = cookie.split_once('=').unwrap();
            let (value, attributes) = rest.split_once(';').unwrap();
            assert!(attributes.contains("Path=/") && attributes.contains("SameSite="), "{cookie}");
            if value.is_empty() {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
        Page { path: target.to_owned(), reply }
    }

    async fn follow(&mut self, mut page: Page) -> Page {
        for _ in 0..10 {
            match page.reply.header("location").to_owned() {
                to if to.starts_with('/') => {
                    assert_eq!(page.reply.status, 303, "{page:?}");
                    page = self.once("GET", &to, None).await;
                }
                _ => return page,
            }
        }
        panic!("redirected in circles: {page:?}");
    }

    pub async fn get(&mut self, target: &str) -> Page {
        let page = self.once("GET", target, None).await;
        self.follow(page).await
    }

    pub async fn post(&mut self, target: &str, fields: &[(&str, &str)]) -> Page {
        let fields: Vec<(String, String)> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let page = self.once("POST", target, Some(&fields)).await;
        self.follow(page).await
    }

    /// Fills in the form of a page and sends it.
    pub async fn submit(&mut self, page: &Page, values: &[(&str, &str)]) -> Page {
        let form = page.form();
        let mut fields = form.fields;
        for (name, value) in values {
            fields.retain(|(known, _)| known != name);
            fields.push(((*name).to_owned(), (*value).to_owned()));
        }
        let sent = self.once("POST", &form.action, Some(&fields)).await;
        self.follow(sent).await
    }

    /// Types user name and password into the page that asks for them.
    pub async fn sign_in(&mut self, page: &Page, username: &str, password: &str) -> Page {
        self.submit(page, &[("username", username), ("password", password)]).await
    }

    /// The browser state a page of ours in a frame would read.
    pub fn state(&self) -> Option<&str> {
        self.jar.get("__Host-countersign-state").map(String::as_str)
    }
}

impl Page {
    pub fn text(&self) -> &str {
        self.reply.text()
    }

    /// What is between the quotes of this attribute of the tag that begins so.
    fn attribute(tag: &str, name: &str) -> Option<String> {
        let start = tag.find(&format!(" {name}=\"")).or_else(|| tag.find(&format!("\n{name}=\"")))? + name.len() + 3;
        let end = tag[start..].find('"')? + start;
        Some(unescape(&tag[start..end]))
    }

    #[track_caller]
    pub fn form(&self) -> FormOf {
        let html = self.text();
        let start = html.find("<form").unwrap_or_else(|| panic!("no form: {} {html}", self.reply.status));
        let end = html[start..].find("</form>").unwrap() + start;
        let html = &html[start..end];
        let tag = &html[..html.find('>').unwrap()];
        let mut fields = Vec::new();
        for (at, _) in html.match_indices("<input") {
            let tag = &html[at..at + html[at..].find('>').unwrap()];
            let unticked = tag.contains("type=\"checkbox\"") && !tag.ends_with(" checked");
            if let Some(name) = Self::attribute(tag, "name").filter(|_| !unticked) {
                fields.push((name, Self::attribute(tag, "value").unwrap_or_default()));
            }
        }
        FormOf { action: Self::attribute(tag, "action").unwrap(), fields }
    }

    /// The value of a field or button by its id.
    #[track_caller]
    pub fn value(&self, id: &str) -> String {
        let html = self.text();
        let at = html.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no `#{id}`: {html}"));
        let start = html[..at].rfind('<').unwrap();
        let end = html[at..].find('>').unwrap() + at;
        Self::attribute(&html[start..end], "value").unwrap_or_default()
    }

    /// Whether something has this id.
    pub fn has(&self, id: &str) -> bool {
        self.text().contains(&format!("id=\"{id}\""))
    }

    /// The word of what went wrong.
    pub fn problem(&self) -> Option<String> {
        let html = self.text();
        let at = html.find("data-problem=\"")? + 14;
        Some(html[at..at + html[at..].find('"')?].to_owned())
    }

    /// What an error page is about.
    pub fn error_id(&self) -> Option<String> {
        let html = self.text();
        let at = html.find("data-error=\"")? + 12;
        Some(html[at..at + html[at..].find('"')?].to_owned())
    }

    /// Options of a passkey ceremony.
    #[track_caller]
    pub fn options(&self) -> Value {
        let html = self.text();
        let at = html.find("data-options='").unwrap_or_else(|| panic!("no options: {html}")) + 14;
        serde_json::from_str(&unescape(&html[at..at + html[at..].find('\'').unwrap()])).unwrap()
    }

    /// A page of ours of this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> &Self {
        assert_eq!(self.reply.status, status, "{} {}", self.reply.header("location"), self.text());
        assert_eq!(self.reply.header("content-type"), "text/html; charset=utf-8");
        assert!(self.reply.header("location").is_empty());
        self
    }

    /// The answer at the client's redirect URI: its parameters, wherever they stand.
    #[track_caller]
    pub fn landed(&self, uri: &str) -> BTreeMap<String, String> {
        let to = self.reply.header("location");
        let rest = to.strip_prefix(uri).unwrap_or_else(|| {
            panic!("`{to}` is not `{uri}`: {} {}", self.reply.status, String::from_utf8_lossy(&self.reply.body))
        });
        assert_eq!(self.reply.status, 303);
        let pairs: Vec<(String, String)> =
            form_urlencoded::parse(rest.trim_start_matches(['?', '#', '&']).as_bytes()).into_owned().collect();
        let found: BTreeMap<String, String> = pairs.iter().cloned().collect();
        assert_eq!(pairs.len(), found.len(), "a parameter stands twice: {to}");
        found
    }
}

fn unescape(text: &str) -> String {
    let mut text = text.to_owned();
    for (escaped, plain) in [
        ("&#x2f;", "/"),
        ("&#x27;", "'"),
        ("&#39;", "'"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ] {
        text = text.replace(escaped, plain);
    }
    text
}

/// The verifier all these clients use, and its challenge.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

pub fn challenge() -> String {
    pkce::write_s256(VERIFIER)
}

/// The target of an authorization request.
pub fn request(pairs: &[(&str, &str)]) -> String {
    request_at("", pairs)
}

pub fn request_at(prefix: &str, pairs: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("{prefix}/authorize?{query}")
}
