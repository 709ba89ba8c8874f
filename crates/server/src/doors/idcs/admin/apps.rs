//! `/Apps`: the clients of the tenant, as applications. What an application may do is changed by no request: roles come from the tenant
//! file, and whoever administers applications does not hand out an administrator's.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::records::{Client, ClientAuthMethod, ClientSecret};
use protocol::scim::oracle::resources::{APP, ORACLE_APP};
use protocol::scim::oracle::{self, SYSTEM};
use protocol::scim::{patch, read as scim_read};
use serde_json::{Map, Value, json};

use super::answer::{self, Document, Refusal};
use super::{collection, guard};
use crate::app::App;
use crate::call::{Call, Path};
use crate::directory::DirectoryChange;
use crate::scim::{self, Shape};
use crate::signin::terms::ATTACHED;
use crate::tokens;

/// Grants that an application made here may be given.
const GRANTS: [&str; 7] = [
    "authorization_code",
    "client_credentials",
    "refresh_token",
    "password",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:ietf:params:oauth:grant-type:device_code",
    "implicit",
];
/// Applications of a tenant that are made by request.
const MOST: usize = 10_000;
const MOST_URIS: usize = 50;

fn document(call: &Call, client: &Client) -> Document {
    let base = format!("{}{}", call.base, Shape::Oracle.base());
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| {
        shown.insert(name.to_owned(), value);
    };
    put("schemas", json!([APP]));
    put("id", client.id.as_str().into());
    put("meta", oracle::meta(&base, "App", client.id.as_str(), (0, 0)));
    put("name", client.id.as_str().into());
    put("displayName", if client.name.is_empty() { client.id.as_str() } else { &client.name }.into());
    put("active", client.enabled.into());
    put("isOAuthClient", true.into());
    put("isLoginTarget", (!client.redirect_uris.is_empty()).into());
    put("isOPCService", false.into());
    put("loginMechanism", "OIDC".into());
    let public = client.auth_method == ClientAuthMethod::None;
    put("clientType", if public { "public" } else { "confidential" }.into());
    put("allowedGrants", json!(client.grant_types));
    put("redirectUris", json!(client.redirect_uris));
    put("postLogoutRedirectUris", json!(client.post_logout_redirect_uris));
    let scopes: Vec<Value> = client.scopes.iter().map(|scope| json!({ "fqs": scope })).collect();
    put("allowedScopes", scopes.into());
    let roles: Vec<Value> =
        client.app_roles.iter().map(|role| json!({ "value": role.name(), "display": role.name() })).collect();
    put("grantedAppRoles", roles.into());
    if let Some(terms) = client.extra.get(ATTACHED).and_then(Value::as_str) {
        put("termsOfUse", json!({ "value": terms, "$ref": format!("{base}/TermsOfUses/{terms}") }));
    }
    for (name, url) in [("loginPageUrl", &client.oracle.login_url), ("errorPageUrl", &client.oracle.error_url)] {
        if let Some(url) = url {
            put(name, url.as_str().into());
        }
    }
    for (name, life) in
        [("accessTokenExpiry", client.access_token_lifetime), ("refreshTokenExpiry", client.refresh_token_lifetime)]
    {
        if let Some(life) = life {
            put(name, life.into());
        }
    }
    put("idcsCreatedBy", oracle::actor(&base, None));
    put("idcsLastModifiedBy", oracle::actor(&base, None));
    shown
}

/// The server itself, which stands as the maker of what a tenant file made.
fn system(call: &Call) -> Document {
    let base = format!("{}{}", call.base, Shape::Oracle.base());
    let shown = json!({
        "schemas": [APP],
        "id": SYSTEM,
        "meta": oracle::meta(&base, "App", SYSTEM, (0, 0)),
        "name": SYSTEM,
        "displayName": "Countersign",
        "active": true,
        "isOAuthClient": false,
        "isLoginTarget": false,
        "isOPCService": true,
    });
    match shown {
        Value::Object(shown) => shown,
        _ => Map::new(),
    }
}

fn clients(app: &App, call: &Call) -> Vec<std::sync::Arc<Client>> {
    let current = app.directories.current();
    let tenant = current.tenant(&call.tenant.tenant.id).unwrap_or(&call.tenant);
    let mut all: Vec<_> = tenant.clients.values().cloned().collect();
    all.sort_by(|a, b| a.id.cmp(&b.id));
    all
}

fn find(app: &App, call: &Call, id: &str) -> Result<Client, Refusal> {
    let found = clients(app, call).into_iter().find(|client| client.id.as_str() == id);
    found.map(|client| Client::clone(&client)).ok_or(Refusal::Scim(scim::Refusal::NotFound))
}

/// `GET /Apps`.
pub(super) async fn list(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        let all = clients(&app, &call).iter().map(|client| document(&call, client)).collect();
        collection::list(&call, &answer::query(&call)?, &ORACLE_APP, all)
    };
    answer::finish(&app, &call, run.await)
}

/// `POST /Apps/.search`.
pub(super) async fn search(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        let all = clients(&app, &call).iter().map(|client| document(&call, client)).collect();
        collection::list(&call, &answer::query_of_body(&call)?, &ORACLE_APP, all)
    };
    answer::finish(&app, &call, run.await)
}

/// `GET /Apps/{id}`.
pub(super) async fn read(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        let found = match find(&app, &call, &id) {
            Ok(client) => document(&call, &client),
            Err(_) if id == SYSTEM => system(&call),
            Err(refusal) => return Err(refusal),
        };
        collection::one(&call, &ORACLE_APP, StatusCode::OK, found)
    };
    answer::finish(&app, &call, run.await)
}

/// `POST /Apps`. Its secret is answered once.
pub(super) async fn create(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let caller = guard::administrator(&app, &call).await?;
        app.directories.refresh_if_changed().await?;
        let sent = scim_read::resource(&ORACLE_APP, &answer::body(&call)?)?;
        if clients(&app, &call).len() >= MOST {
            return Err(Refusal::value("there are too many applications"));
        }
        let public = match sent.get("clientType").and_then(Value::as_str) {
            None | Some("confidential" | "trusted") => false,
            Some("public") => true,
            Some(_) => return Err(Refusal::value("`clientType` is none of `confidential`, `trusted`, `public`")),
        };
        let id = app.world.uuid().replace('-', "");
        let method = if public { "none" } else { "client_secret_basic" };
        let new = json!({ "id": id, "enabled": false, "auth_method": method, "require_pkce": public });
        let new: Client =
            serde_json::from_value(new).map_err(|error| crate::fault::Fault::internal("a new application", error))?;
        let mut client = changed(&call, new, &sent)?;
        let secret = (!public).then(|| app.world.token(43));
        if let Some(secret) = &secret {
            let sha256 = protocol::b64::encode_url(tokens::digest(secret).0);
            client.secrets = vec![ClientSecret::Generated { sha256, expires: None }];
        }
        put(&app, &call, &client).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, client = id, actor = %caller.client.id, "application added");
        let mut shown = document(&call, &client);
        shown.extend(secret.map(|secret| ("clientSecret".to_owned(), secret.into())));
        collection::one(&call, &ORACLE_APP, StatusCode::CREATED, shown)
    };
    answer::finish(&app, &call, run.await)
}

/// `PUT` and `PATCH /Apps/{id}`.
pub(super) async fn change(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let caller = guard::administrator(&app, &call).await?;
        let changed = app.amend_directory(&call.tenant.tenant.id, |now| {
            let before = now.client(&id).ok_or(Refusal::Scim(scim::Refusal::NotFound))?;
            let after = changed(&call, Client::clone(before), &wanted(&call, before)?)?;
            let change = (after != **before).then(|| DirectoryChange::PutClient(Box::new(after.clone())));
            Ok::<_, Refusal>(((change.is_some(), after), change))
        });
        let (written, after) = changed.await?.ok_or(Refusal::Scim(scim::Refusal::Overtaken))?;
        if written {
            tracing::info!(tenant = %call.tenant.tenant.id, client = id, actor = %caller.client.id, "application changed");
        }
        collection::one(&call, &ORACLE_APP, StatusCode::OK, document(&call, &after))
    };
    answer::finish(&app, &call, run.await)
}

/// `DELETE /Apps/{id}`.
pub(super) async fn remove(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let caller = guard::administrator(&app, &call).await?;
        app.directories.refresh_if_changed().await?;
        let client = find(&app, &call, &id)?;
        if client.id == caller.client.id {
            return Err(Refusal::value("an application does not remove itself"));
        }
        write(&app, &call, DirectoryChange::RemoveClient(client.id)).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, client = id, actor = %caller.client.id, "application removed");
        Ok(answer::gone())
    };
    answer::finish(&app, &call, run.await)
}

/// The document of an application as a request wants it.
fn wanted(call: &Call, before: &Client) -> Result<Document, Refusal> {
    let mut shown = document(call, before);
    if call.method == axum::http::Method::PATCH {
        patch::apply(&ORACLE_APP, &mut shown, &scim::answer::operations(call)?)?;
        return Ok(shown);
    }
    let mut sent = scim_read::resource(&ORACLE_APP, &answer::body(call)?)?;
    // What the request does not name stays: the dialect knows less of a client than there is.
    for (name, value) in shown {
        sent.entry(name).or_insert(value);
    }
    Ok(sent)
}

async fn write(app: &App, call: &Call, change: DirectoryChange) -> Result<(), Refusal> {
    if app.change_directory(&call.tenant.tenant.id, vec![change]).await? {
        Ok(())
    } else {
        Err(Refusal::Scim(scim::Refusal::Overtaken))
    }
}

async fn put(app: &App, call: &Call, client: &Client) -> Result<(), Refusal> {
    write(app, call, DirectoryChange::PutClient(Box::new(client.clone()))).await
}

/// The client that a document describes, as far as it may be changed here.
fn changed(call: &Call, mut client: Client, wanted: &Document) -> Result<Client, Refusal> {
    let text = |name: &str| wanted.get(name).and_then(Value::as_str);
    let texts = |name: &str| -> Result<Vec<String>, Refusal> {
        let all = wanted.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if all.len() > MOST_URIS {
            return Err(Refusal::value(format!("attribute `{name}` has too many values")));
        }
        Ok(all.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    };
    if text("name").is_some_and(|name| client.enabled && name != client.id.as_str()) {
        return Err(Refusal::value("the name of an application cannot be changed"));
    }
    let before = client.name.clone();
    client.name = text("displayName").unwrap_or_default().to_owned();
    if client.name == client.id.as_str() && before.is_empty() {
        client.name = before;
    }
    client.enabled = wanted.get("active").and_then(Value::as_bool).unwrap_or(true);
    client.redirect_uris = texts("redirectUris")?;
    client.post_logout_redirect_uris = texts("postLogoutRedirectUris")?;
    for uri in client.redirect_uris.iter().chain(&client.post_logout_redirect_uris) {
        absolute(uri, "redirectUris")?;
    }
    let grants = texts("allowedGrants")?;
    if let Some(unknown) =
        grants.iter().find(|grant| !GRANTS.contains(&grant.as_str()) && !client.grant_types.contains(grant.as_str()))
    {
        return Err(Refusal::value(format!("`{}` is no grant", unknown.escape_debug())));
    }
    client.grant_types = grants.into_iter().collect();
    client.oracle.login_url = page(text("loginPageUrl"), "loginPageUrl")?;
    client.oracle.error_url = page(text("errorPageUrl"), "errorPageUrl")?;
    let life = |name: &str| match wanted.get(name).and_then(Value::as_i64) {
        None => Ok(None),
        Some(life) if (1..=315_360_000).contains(&life) => Ok(Some(life)),
        Some(_) => Err(Refusal::value(format!("attribute `{name}` is out of range"))),
    };
    client.access_token_lifetime = life("accessTokenExpiry")?;
    client.refresh_token_lifetime = life("refreshTokenExpiry")?;
    match wanted.get("termsOfUse").and_then(|terms| terms.get("value")?.as_str()) {
        None => {
            client.extra.remove(ATTACHED);
        }
        Some(terms) if call.tenant.tenant.settings.terms.contains_key(terms) => {
            client.extra.insert(ATTACHED.to_owned(), terms.into());
        }
        // Those that were there before the tenant lost them stay named.
        Some(terms) if client.extra.get(ATTACHED) == Some(&json!(terms)) => {}
        Some(_) => return Err(Refusal::value("there are no such terms of use")),
    }
    Ok(client)
}

fn page(url: Option<&str>, name: &str) -> Result<Option<String>, Refusal> {
    let Some(url) = url else { return Ok(None) };
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(Refusal::value(format!("attribute `{name}` is no web address")));
    }
    absolute(url, name)?;
    Ok(Some(url.to_owned()))
}

/// An address with a scheme, nothing that a browser would run, and no fragment.
fn absolute(uri: &str, name: &str) -> Result<(), Refusal> {
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default();
    let sound = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && !["javascript", "data", "vbscript", "file", "blob", "about"].contains(&scheme.as_str())
        && uri.len() <= 2048
        && uri.bytes().all(|b| b.is_ascii_graphic())
        && !uri.contains('#');
    if sound { Ok(()) } else { Err(Refusal::value(format!("attribute `{name}` holds what is no address"))) }
}
