//! What a browser keeps of a sign-in beyond its session: that it is trusted, and that somebody stays signed in with it.
//!
//! Owns the two cookies and what is kept when a person asks for it. What either is worth is `signin/trust`'s and policy's.

use axum::http::HeaderValue;
use engine::Proof;
use protocol::records::{Client, User, UserId};
use serde::{Deserialize, Serialize};
use store::Change;

use super::cookies::Cookie;
use super::session;
use crate::app::App;
use crate::call::Call;
use crate::fault::Fault;
use crate::signin::SignIns;
use crate::signin::trust::{Kept, Stayed, TOKEN, Trust, TrustKind, Wish};

/// People who may trust one browser at a time.
const MOST: usize = 5;

/// What a person asked for in a dialogue, to be kept once they are through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wishes {
    /// To trust this browser.
    pub trust: bool,
    /// To stay signed in.
    pub stay: bool,
}

/// What must be written for what is kept, and the cookies that keep it.
#[derive(Default)]
pub struct Keeping {
    /// What must be written together with the end of the sign-in.
    pub changes: Vec<Change>,
    /// What the browser is told.
    pub cookies: Vec<HeaderValue>,
}

/// The device as this person trusted it before, if it still counts.
///
/// # Errors
/// The store failed.
pub async fn trusted(app: &App, call: &Call, user: &User, client: &Client) -> Result<Option<Trust>, Fault> {
    SignIns { app, tenant: &call.tenant }.trusted_device(devices(call), user, &client.id).await
}

/// Who stayed signed in with this browser, and the cookie that it must have from now on.
///
/// # Errors
/// The store failed.
pub async fn stayed(app: &App, call: &Call, client: &Client) -> Result<Option<(Stayed, HeaderValue)>, Fault> {
    let Some(token) = Cookie::Stay.read(call) else { return Ok(None) };
    let found = SignIns { app, tenant: &call.tenant }.stayed(token, &client.id).await?;
    Ok(found.map(|stayed| {
        let lasts = stayed.trust.expires - app.world.now();
        let cookie = Cookie::Stay.write_for(call, stayed.token.expose(), lasts);
        (stayed, cookie)
    }))
}

/// Keeps what was asked for of a sign-in that is through: as far as the tenant offers it and something was proved for it.
///
/// # Errors
/// The store failed.
pub async fn keep(app: &App, call: &Call, wishes: Wishes, user: &User, proofs: &[Proof]) -> Result<Keeping, Fault> {
    let sign_ins = SignIns { app, tenant: &call.tenant };
    let mut keeping = Keeping::default();
    let agent = session::agent(call);
    let (name, address) = (describe(&agent), call.peer.to_string());
    for kind in TrustKind::ALL {
        let wished = match kind {
            TrustKind::Device => wishes.trust,
            TrustKind::StaySignedIn => wishes.stay,
        };
        if !wished {
            continue;
        }
        let replaces = match kind {
            TrustKind::Device => sign_ins.named(kind, devices(call), &user.id).await?,
            TrustKind::StaySignedIn => sign_ins.named(kind, Cookie::Stay.read(call), &user.id).await?,
        };
        let wish = Wish {
            kind,
            user,
            client: None,
            name: &name,
            agent: &agent,
            address: &address,
            proofs,
            replaces: replaces.as_ref(),
        };
        let Some(kept) = sign_ins.trust(wish).await? else { continue };
        keeping.cookies.push(cookie(app, call, kind, &kept));
        keeping.changes.extend(kept.changes);
    }
    Ok(keeping)
}

/// Nobody stays signed in with this browser any more: what must be written, and the cookie that goes. Only where it was this
/// person.
///
/// # Errors
/// The store failed.
pub async fn sign_out(app: &App, call: &Call, person: &UserId) -> Result<Keeping, Fault> {
    let sign_ins = SignIns { app, tenant: &call.tenant };
    let Some(trust) = sign_ins.named(TrustKind::StaySignedIn, Cookie::Stay.read(call), person).await? else {
        return Ok(Keeping::default());
    };
    Ok(Keeping { changes: vec![trust.end()], cookies: vec![Cookie::Stay.write(call, "")] })
}

/// The cookies for what a person keeps of a sign-in that ran elsewhere than on our pages, where they bring it along: as far as it is
/// theirs.
///
/// # Errors
/// The store failed.
pub async fn bring(
    app: &App,
    call: &Call,
    person: &UserId,
    device: Option<&str>,
    stay: Option<&str>,
) -> Result<Vec<HeaderValue>, Fault> {
    let sign_ins = SignIns { app, tenant: &call.tenant };
    let mut cookies = Vec::new();
    for (kind, token) in [(TrustKind::Device, device), (TrustKind::StaySignedIn, stay)] {
        let Some(token) = token else { continue };
        let Some(trust) = sign_ins.named(kind, [token], person).await? else { continue };
        let lasts = trust.expires - app.world.now();
        cookies.push(match kind {
            TrustKind::Device => {
                let others = devices(call).filter(|other| *other != token);
                let all: Vec<&str> = std::iter::once(token).chain(others).take(MOST).collect();
                Cookie::Devices.write_for(call, &all.join("."), lasts)
            }
            TrustKind::StaySignedIn => Cookie::Stay.write_for(call, token, lasts),
        });
    }
    Ok(cookies)
}

fn cookie(app: &App, call: &Call, kind: TrustKind, kept: &Kept) -> HeaderValue {
    let lasts = kept.expires - app.world.now();
    match kind {
        TrustKind::Device => {
            let new = std::iter::once(kept.token.expose().as_str());
            let all: Vec<&str> = new.chain(devices(call)).take(MOST).collect();
            Cookie::Devices.write_for(call, &all.join("."), lasts)
        }
        TrustKind::StaySignedIn => Cookie::Stay.write_for(call, kept.token.expose(), lasts),
    }
}

/// What the browser was trusted by, whether or not it counts.
pub fn devices(call: &Call) -> impl Iterator<Item = &str> {
    let value = Cookie::Devices.read(call).unwrap_or_default();
    value.split('.').filter(|token| token.len() == TOKEN).take(MOST)
}

/// What people call a browser, as far as it says so itself: "Firefox, Linux".
pub fn describe(agent: &str) -> String {
    // Those that say what they are made from come behind those they are made of.
    const BROWSERS: [(&str, &str); 7] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Macintosh", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let find = |all: &[(&str, &'static str)]| all.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser}, {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => agent.split(['/', ' ']).next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_called_what_it_is() {
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        assert_eq!(describe(firefox), "Firefox, Linux");
        let edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/138.0 Safari/537.36 Edg/138.0";
        assert_eq!(describe(edge), "Edge, Windows");
        let phone =
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1 Version/18.5 Safari/604.1";
        assert_eq!(describe(phone), "Safari, iPhone");
        assert_eq!(describe("curl/8.5.0"), "curl");
        assert_eq!(describe(""), "");
    }
}
