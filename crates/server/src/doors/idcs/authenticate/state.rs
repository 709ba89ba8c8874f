//! `requestState`: what links the steps (reference §1.5). Sealed with the key of this installation for one tenant, printed as the
//! vendor's are: base64 without padding, a tilde, and 32 bytes in 43 characters.
//!
//! It names where the dialogue stands and nothing that counts: attempts, codes and what was spent are rows. So it may come back as
//! often as a client likes, and no copy of it is worth a fresh attempt.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use protocol::records::{ClientId, GrantId, Seconds};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::app::App;
use crate::directory::TenantView;

/// How long a dialogue takes at most.
pub const LONGEST: Seconds = 3600;
/// Longer ones are not looked at.
const LONGEST_TEXT: usize = 8192;
/// What is sealed is filled up to a multiple of this, so that its length tells little.
const BLOCK: usize = 192;

/// Where a dialogue stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// When it began.
    #[serde(rename = "b")]
    pub began: Seconds,
    /// When it can no longer go on.
    #[serde(rename = "x")]
    pub expires: Seconds,
    /// The client that runs it; none where a browser brought it along.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<ClientId>,
    /// The application that is signed in to; the caller itself where none was named.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub application: Option<ClientId>,
    /// What brought the browser here, where one did: for the session endpoint to go back to.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub errand: Option<String>,
    /// The web origin of the sign-in page, for passkeys.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The person asked to stay signed in, and what the browser shall be called.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub stay: Option<String>,
    /// The person asked to trust this device, and what it shall be called.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<String>,
    /// Tokens of devices that were trusted, as the browser brought them.
    #[serde(rename = "d", default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// The token of somebody who stayed signed in, in place of the one they came with.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub stayed: Option<String>,
    /// The client of the page that somebody was sent elsewhere from, as the page said.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub page: Option<ClientId>,
    /// Which step waits.
    #[serde(rename = "s")]
    pub stage: Stage,
}

/// Which step waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Nobody is known, and nothing is stored yet.
    #[serde(rename = "s")]
    Start,
    /// A factor of this sign-in.
    #[serde(rename = "f")]
    Factor {
        /// The sign-in.
        #[serde(rename = "g")]
        grant: GrantId,
        /// The factor in play.
        #[serde(rename = "p")]
        focus: Focus,
    },
    /// A factor to be set up; what about it is the enrolment's to know.
    #[serde(rename = "e")]
    Enrolment {
        /// The sign-in.
        #[serde(rename = "g")]
        grant: GrantId,
        /// How far it is.
        #[serde(rename = "d")]
        detail: serde_json::Value,
    },
    /// Terms to be accepted.
    #[serde(rename = "t")]
    Terms {
        /// The sign-in.
        #[serde(rename = "g")]
        grant: GrantId,
    },
    /// Somebody new from another provider registers.
    #[serde(rename = "n")]
    Newcomer {
        /// The sign-in.
        #[serde(rename = "g")]
        grant: GrantId,
    },
}

/// The factor in play.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Focus {
    /// Its name on the wire.
    #[serde(rename = "f")]
    pub factor: String,
    /// The device: an enrolment, or the kind where the directory's own address is meant.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Another one was chosen than what was proposed.
    #[serde(rename = "b", default, skip_serializing_if = "std::ops::Not::not")]
    pub backup: bool,
    /// It shall be proposed first from now on, once it is proved.
    #[serde(rename = "p", default, skip_serializing_if = "std::ops::Not::not")]
    pub preferred: bool,
    /// The name with which the dialogue began, where a name alone began it.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

impl Stage {
    /// The sign-in, once there is one.
    pub fn grant(&self) -> Option<&GrantId> {
        match self {
            Self::Start => None,
            Self::Factor { grant, .. }
            | Self::Enrolment { grant, .. }
            | Self::Terms { grant }
            | Self::Newcomer { grant } => Some(grant),
        }
    }
}

/// How long a step waits for the next one.
fn life(tenant: &TenantView) -> Seconds {
    tenant.tenant.settings.oracle.request_state_lifetime.clamp(60, LONGEST)
}

fn purpose(tenant: &TenantView) -> String {
    format!("requestState\0{}", tenant.tenant.id)
}

impl State {
    /// The state of a dialogue that begins now.
    pub fn begin(app: &App, tenant: &TenantView, caller: Option<ClientId>, application: Option<ClientId>) -> Self {
        let now = app.world.now();
        Self {
            began: now,
            expires: now + life(tenant),
            caller,
            application,
            errand: None,
            origin: None,
            stay: None,
            trust: None,
            devices: Vec::new(),
            stayed: None,
            page: None,
            stage: Stage::Start,
        }
    }

    /// The same dialogue at another step, with time to answer it.
    pub fn at(&self, app: &App, tenant: &TenantView, stage: Stage) -> Self {
        let now = app.world.now();
        Self { stage, expires: (now + life(tenant)).min(self.began + LONGEST), ..self.clone() }
    }

    /// As it is handed out.
    pub fn seal(&self, app: &App, tenant: &TenantView) -> String {
        let mut plain = serde_json::to_vec(self).unwrap_or_default();
        plain.resize(plain.len().next_multiple_of(BLOCK), b' ');
        let purpose = purpose(tenant);
        let sealed = app.master.seal(&purpose, &plain);
        let mac = app.master.mac(&purpose, &sealed);
        format!("{}~{}", STANDARD_NO_PAD.encode(&sealed), STANDARD_NO_PAD.encode(mac))
    }

    /// What was handed out by this tenant and has not expired; none for anything else.
    pub fn open(app: &App, tenant: &TenantView, text: &str) -> Option<Self> {
        Self::read(app, tenant, text).filter(|state| !state.is_over(app))
    }

    /// Whether its time is over.
    pub fn is_over(&self, app: &App) -> bool {
        app.world.now() >= self.expires
    }

    /// The same, expired or not: good for telling where to say so.
    pub fn read(app: &App, tenant: &TenantView, text: &str) -> Option<Self> {
        if text.len() > LONGEST_TEXT {
            return None;
        }
        let (sealed, mac) = text.split_once('~')?;
        let sealed = STANDARD_NO_PAD.decode(sealed).ok()?;
        let mac = STANDARD_NO_PAD.decode(mac).ok()?;
        let purpose = purpose(tenant);
        if !bool::from(app.master.mac(&purpose, &sealed).ct_eq(&mac)) {
            return None;
        }
        serde_json::from_slice(&app.master.open(&purpose, &sealed)?).ok()
    }
}
