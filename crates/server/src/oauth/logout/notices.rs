//! Logout notices (Back-Channel Logout 1.0 §2.5): every client of a session that ended is told so, server to server.
//!
//! A notice is a row of the outbox, written with the end of the session; the signed token is made when it is sent, so that one
//! that waited is not stale. Owns what a notice holds and what an answer to it means; when it is tried again is the job's.

use protocol::logout::LogoutToken;
use protocol::records::{ClientId, Seconds, TenantId};
use serde::{Deserialize, Serialize};
use store::Mail;

use crate::app::App;
use crate::browser::Session;
use crate::delivery::Outcome;
use crate::directory::TenantView;
use crate::keys::{Sign, Typ};
use crate::oauth::subject::subject;
use crate::outbound::FetchError;

/// The channel of notices in the outbox.
pub const CHANNEL: &str = "logout";
/// Seconds a notice is tried: beyond that the client's own sessions have ended, or somebody has looked after it.
const LIFETIME: Seconds = 6 * 3600;
/// Seconds a logout token lives (Back-Channel Logout 1.0 §2.4 recommends at most two minutes).
const TOKEN_LIFETIME: Seconds = 120;

#[derive(Serialize, Deserialize)]
struct Notice {
    client: ClientId,
    issuer: String,
    subject: String,
    sid: String,
}

fn purpose(id: &str) -> String {
    format!("logout notice\0{id}")
}

/// The notices due when a session ends.
pub fn of(app: &App, tenant: &TenantView, session: &Session) -> Vec<Mail> {
    let now = app.world.now();
    let due = session.clients().iter().filter_map(|login| {
        let client = tenant.client(login.client.as_str()).filter(|client| client.enabled)?;
        client.backchannel_logout_uri.as_ref()?;
        let notice = Notice {
            client: client.id.clone(),
            issuer: login.issuer.clone(),
            subject: subject(&app.master, &tenant.tenant.id, client, &session.subject),
            sid: login.sid.clone(),
        };
        let id = app.world.uuid();
        let plain = serde_json::to_vec(&notice).ok()?;
        let sealed = app.master.seal(&purpose(&id), &plain);
        Some(Mail { id, channel: CHANNEL.to_owned(), sealed, created: now, expires: now + LIFETIME })
    });
    due.collect()
}

/// Delivers notices.
#[derive(Clone)]
pub struct Notices {
    app: App,
}

impl Notices {
    /// Of this process.
    pub fn new(app: &App) -> Self {
        Self { app: app.clone() }
    }

    /// Tries to deliver one.
    pub async fn deliver(&self, tenant: &TenantId, mail: &Mail) -> Outcome {
        let never = |text: &str| Outcome::Never(text.to_owned());
        let directory = self.app.directories.current();
        let Some(view) = directory.tenant(tenant) else { return never("the tenant is gone") };
        let Some(notice) = self.app.master.open(&purpose(&mail.id), &mail.sealed) else {
            return never("the notice does not open");
        };
        let Ok(notice) = serde_json::from_slice::<Notice>(&notice) else { return never("the notice cannot be read") };
        // As the client is set now: one that is gone, or wants no notices any more, gets none.
        let client = view.client(notice.client.as_str()).filter(|client| client.enabled);
        let Some((client, uri)) = client.and_then(|one| Some((one, one.backchannel_logout_uri.as_deref()?))) else {
            return never("the client takes no notices");
        };
        let now = self.app.world.now();
        let jti = self.app.world.uuid();
        let token = LogoutToken {
            issuer: &notice.issuer,
            client_id: client.id.as_str(),
            subject: &notice.subject,
            sid: Some(&notice.sid),
            jti: &jti,
            now,
            lifetime: TOKEN_LIFETIME,
        };
        let sign = Sign::With(client.id_token_alg);
        let token = match view.keys.sign_off_thread(sign, Typ::Logout, &token.claims(), now).await {
            Ok(token) => token,
            Err(error) => return Outcome::Later(error.to_string()),
        };
        match self.app.outbound.post_form(uri, &[("logout_token", &token)]).await {
            Ok(200..=299) => Outcome::Delivered,
            // It was understood and refused: the same again would be too (Back-Channel Logout 1.0 §2.8).
            Ok(status @ (400..=407 | 409..=428 | 430..=499)) => {
                Outcome::Never(format!("the client answered with status {status}"))
            }
            Ok(status) => Outcome::Later(format!("the client answered with status {status}")),
            Err(FetchError::NotAllowed) => never("the client's address may not be called"),
            Err(error) => Outcome::Later(error.to_string()),
        }
    }
}
