//! Where a person is signed in, which devices they trust, what they allowed, and what happened of late.

use axum::response::Response;
use protocol::form::Form;
use protocol::records::ClientId;

use super::super::pages::{
    AccountActivity, AccountApplications, AccountPlaces, Allowed, Happened, Moment, Page, Place, Press, Said, Trusted,
    field,
};
use super::{Desk, done, nothing, one};
use crate::browser::session::{self, Session};
use crate::oauth::authorize::Stop;
use crate::oauth::{consents, logout};
use crate::signin::trust::TrustKind;

/// Sign-ins that are listed.
const MOST_SIGN_INS: i64 = 20;

/// `GET /account/places`.
pub(super) async fn list(desk: &Desk<'_>) -> Result<Response, Stop> {
    let now = desk.now();
    let mut sessions = sessions(desk).await?;
    sessions.sort_by_key(|session| (session.id != desk.holder.session.id, std::cmp::Reverse(session.seen())));
    let places = sessions
        .iter()
        .map(|session| {
            let (browser, system) = called(session.agent());
            Place {
                id: session.id.clone(),
                browser: browser.to_owned(),
                system: system.to_owned(),
                address: session.address().to_owned(),
                since: Moment::of(session.created, now),
                seen: Moment::of(session.seen(), now),
                here: session.id == desk.holder.session.id,
            }
        })
        .collect();
    let mut trusted = Vec::new();
    for (kind, word) in [(TrustKind::Device, "device"), (TrustKind::StaySignedIn, "stay")] {
        for trust in desk.sign_ins().trusts_of(&desk.holder.user.id, kind).await? {
            let (browser, system) = called(&trust.agent);
            let runs = [browser, system].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ");
            trusted.push(Trusted {
                id: trust.id,
                kind: word,
                name: if trust.name.is_empty() { runs } else { trust.name },
                address: trust.address,
                seen: Moment::of(trust.seen, now),
            });
        }
    }
    Ok(desk.answer(&Page::AccountPlaces(AccountPlaces { frame: desk.frame(None), places, trusted })))
}

async fn sessions(desk: &Desk<'_>) -> Result<Vec<Session>, Stop> {
    Ok(session::of_person(desk.app, &desk.call.tenant.tenant.id, &desk.holder.user.id).await?)
}

/// `POST /account/places`.
pub(super) async fn act(desk: &Desk<'_>, form: &Form, press: Press) -> Result<Response, Stop> {
    let id = one(form, field::ID).unwrap_or_default();
    match press {
        Press::End => {
            let found = sessions(desk).await?.into_iter().find(|session| session.id == id);
            if let Some(session) = found.filter(|session| session.id != desk.holder.session.id) {
                logout::close(desk.app, desk.call, &session).await?;
            }
            done("/account/places", Said::Ended)
        }
        Press::EndOthers => {
            for session in sessions(desk).await? {
                if session.id != desk.holder.session.id {
                    logout::close(desk.app, desk.call, &session).await?;
                }
            }
            done("/account/places", Said::EndedOthers)
        }
        Press::Forget => {
            desk.sign_ins().forget(&desk.holder.user.id, id).await?;
            done("/account/places", Said::Forgotten)
        }
        _ => Ok(nothing()),
    }
}

/// `GET /account/applications`.
pub(super) async fn applications(desk: &Desk<'_>) -> Result<Response, Stop> {
    let given = consents::of_person(desk.app, &desk.call.tenant.tenant.id, &desk.holder.user.id).await?;
    let allowed = given
        .into_iter()
        .rev()
        .map(|one| Allowed {
            name: name_of(desk, &one.client),
            client: one.client.0,
            scopes: one.scopes.into_iter().collect(),
            since: Moment::of(one.since, desk.now()),
        })
        .collect();
    Ok(desk.answer(&Page::AccountApplications(AccountApplications { frame: desk.frame(None), allowed })))
}

/// `POST /account/applications`: what an application was allowed is taken back.
pub(super) async fn withdraw(desk: &Desk<'_>, form: &Form) -> Result<Response, Stop> {
    let tenant = &desk.call.tenant.tenant.id;
    let client = ClientId::from(one(form, field::ID).unwrap_or_default());
    let taken = consents::revoke(desk.app, tenant, &desk.holder.user.id, &client, None).await?;
    if let Some(changes) = taken
        && let Err(error) = desk.app.commit(tenant, "consent taken back", changes).await
        && let Some(fault) = consents::lost(error)
    {
        return Err(fault.into());
    }
    done("/account/applications", Said::Withdrawn)
}

/// `GET /account/activity`.
pub(super) async fn activity(desk: &Desk<'_>) -> Result<Response, Stop> {
    let last = desk.sign_ins().last_sign_ins(&desk.holder.user.id, MOST_SIGN_INS).await?;
    let sign_ins = last
        .into_iter()
        .map(|(client, at, kinds)| Happened { name: name_of(desk, &client), kinds, at: Moment::of(at, desk.now()) })
        .collect();
    Ok(desk.answer(&Page::AccountActivity(AccountActivity { frame: desk.frame(None), sign_ins })))
}

fn name_of(desk: &Desk<'_>, client: &ClientId) -> String {
    let known = desk.call.tenant.client(client.as_str());
    known.map(|known| known.name.as_str()).filter(|name| !name.is_empty()).unwrap_or(client.as_str()).to_owned()
}

/// What a browser calls itself and its system, as far as people have names for them. Most name others too, to be taken for them: the
/// one that is not named by any other comes first.
fn called(agent: &str) -> (&'static str, &'static str) {
    const BROWSERS: [(&str, &str); 9] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Vivaldi/", "Vivaldi"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 8] = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
        ("FreeBSD", "FreeBSD"),
    ];
    let find = |table: &[(&'static str, &'static str)]| {
        table.iter().find(|(mark, _)| agent.contains(mark)).map_or("", |(_, name)| *name)
    };
    (find(&BROWSERS), find(&SYSTEMS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_called_what_people_call_them() {
        for (agent, browser, system) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox", "Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0",
                "Edge",
                "Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1",
                "Safari",
                "iPhone",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
                "Chrome",
                "Android",
            ),
            ("curl/8.14", "", ""),
            ("", "", ""),
        ] {
            assert_eq!(called(agent), (browser, system), "{agent}");
        }
    }
}
