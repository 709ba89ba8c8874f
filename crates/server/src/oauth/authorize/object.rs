//! Request objects (OpenID Connect Core §6, RFC 9101) on their way to parameters: fetched, decrypted and verified here.
//!
//! What they may say is judged in [`protocol::request_object`].

use protocol::form::Form;
use protocol::oauth_error::{OAuthCode, Rejection};
use protocol::records::Client;
use protocol::request_object::{self as rules, Object, Presented, Rules, Strictness};

use crate::app::App;
use crate::call::Call;
use crate::keys_of::keys_of_client;
use protocol::discovery::Prefix;

/// A request with its object made into parameters.
pub struct Merged {
    /// The parameters.
    pub form: Form,
    /// Whether a signature of the client was verified.
    pub signed: bool,
}

/// Makes one request of a form and the object it names by value or by an address the client registered.
///
/// # Errors
/// The object cannot be had, is not good, or is not of this client.
pub async fn merge(
    app: &App,
    call: &Call,
    client: &Client,
    form: &Form,
    presented: Presented<'_>,
    strictness: Strictness,
) -> Result<Merged, Rejection> {
    let jwt = match presented {
        Presented::Value(jwt) => jwt.to_owned(),
        Presented::Reference(uri) => fetch(app, client, uri).await?,
        Presented::Pushed(_) => {
            return Err(Rejection::invalid_request("a pushed request cannot name another"));
        }
    };
    let object = open(app, call, client, jwt, strictness).await?;
    let issuers: Vec<String> =
        call.tenant.tenant.urls.iter().flat_map(|base| Prefix::ALL.map(|prefix| prefix.issuer(base))).collect();
    let held_to = Rules { client, issuers: &issuers, strictness, now: app.world.now() };
    Ok(Merged { form: rules::merge(form, &object, &held_to)?, signed: object.is_signed() })
}

async fn fetch(app: &App, client: &Client, uri: &str) -> Result<String, Rejection> {
    rules::check_reference(uri, client)?;
    let refuse = |text: &'static str| Rejection::new(OAuthCode::InvalidRequestUri, text);
    let fetched = app.outbound.document(uri, "application/oauth-authz-req+jwt, application/jwt").await;
    let document = fetched.map_err(|error| {
        tracing::info!(client = %client.id, error = &error as &dyn std::error::Error, "a request object was not fetched");
        refuse("the request object cannot be fetched")
    })?;
    if !rules::media_type_fits(document.media_type.as_deref()) || !rules::content_fits(uri, &document.body) {
        return Err(refuse("what was fetched is not the request object meant"));
    }
    let text = String::from_utf8(document.body).map_err(|_| refuse("the request object is malformed"))?;
    Ok(text.trim().to_owned())
}

/// Decrypts where it is encrypted, and verifies.
async fn open(
    app: &App,
    call: &Call,
    client: &Client,
    mut jwt: String,
    strictness: Strictness,
) -> Result<Object, Rejection> {
    let refuse = |text: &'static str| Rejection::new(OAuthCode::InvalidRequestObject, text);
    if rules::is_encrypted(&jwt) {
        let opened = call.tenant.keys.decrypt_off_thread(&jwt, app.world.now()).await;
        let opened = opened.map_err(|_| refuse("the request object cannot be decrypted"))?;
        jwt = String::from_utf8(opened.plain.to_vec()).map_err(|_| refuse("the request object is malformed"))?;
    } else if client.request_object_encryption.is_some() {
        return Err(refuse("the client must encrypt its request objects"));
    }
    let needed = rules::needed(client, strictness);
    let named = protocol::jwt::peek(&jwt).ok().and_then(|peeked| peeked.kid);
    match keys_of_client(app, client, named.as_deref()).await {
        Ok(keys) => rules::open(&jwt, keys.keys(), &needed),
        // Without keys there is no signature that could hold; an unsigned one may still do.
        Err(_) => rules::open(&jwt, &[], &needed),
    }
}
