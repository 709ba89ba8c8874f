//! Each way to a token against each rule that may stand in it: every cell is stated here, and tried.

use store::Change;

use crate::support::visitor::Visitor;
use crate::support::ways::{EVERY, Ready, Seen, TWO, Way, Ways};
use crate::support::{ACME, Person, TestServer};

/// What stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    DisabledUser,
    DisabledClient,
    LockedAccount,
    SecondFactor,
    SwitchedOff,
    WrongTenant,
    Expired,
    ConsentMissing,
}

const RULES: [Rule; 8] = [
    Rule::DisabledUser,
    Rule::DisabledClient,
    Rule::LockedAccount,
    Rule::SecondFactor,
    Rule::SwitchedOff,
    Rule::WrongTenant,
    Rule::Expired,
    Rule::ConsentMissing,
];

/// What must come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    /// Tokens: the rule has no say here, for the reason given.
    Tokens(&'static str),
    /// A challenge in place of tokens.
    Challenge,
    /// A page that asks for it.
    Asks(&'static str),
    /// A no, with its status (303: at the client's redirect URI) and code.
    No(u16, &'static str),
}

const INVALID: Cell = Cell::No(400, "invalid_grant");
const STRANGER: Cell = Cell::No(401, "invalid_client");
const OFF: Cell = Cell::No(400, "unauthorized_client");
/// A lock stops guessing: what was proved, or is proved without a password, stands.
const NOT_GUESSED: Cell = Cell::Tokens("no password is tried in this step");
/// Grants without a page cannot ask (vendor page §4.20).
const NO_PAGE: Cell = Cell::Tokens("there is no page to ask on");

/// The whole table.
fn expected(way: Way, rule: Rule) -> Cell {
    match (rule, way) {
        (Rule::DisabledUser, Way::Implicit) => Cell::No(303, "login_required"),
        // RFC 8693 §2.2.2 has a code of its own for tokens that cannot be used.
        (Rule::DisabledUser | Rule::Expired | Rule::WrongTenant, Way::Exchange) => Cell::No(400, "invalid_request"),
        (Rule::DisabledUser, _) => INVALID,

        (Rule::DisabledClient, Way::Implicit) => Cell::No(400, "unknown_client"),
        (Rule::DisabledClient, _) => STRANGER,

        // The page of a locked account is that of a wrong password.
        (Rule::LockedAccount, Way::Code | Way::Implicit | Way::Hybrid | Way::Device) => {
            Cell::No(200, "wrong_credentials")
        }
        (Rule::LockedAccount, Way::Password) => INVALID,
        (Rule::LockedAccount, Way::Policyauth) => Cell::No(400, "CSIBH0044E"),
        (Rule::LockedAccount, Way::Jwt | Way::Refresh | Way::Exchange) => NOT_GUESSED,

        (Rule::SecondFactor, Way::Code | Way::Implicit | Way::Hybrid | Way::Device) => Cell::Asks("factor"),
        (Rule::SecondFactor, _) => Cell::Challenge,

        (Rule::SwitchedOff, Way::Implicit) => Cell::No(303, "unauthorized_client"),
        (Rule::SwitchedOff, _) => OFF,

        (Rule::WrongTenant, Way::Implicit) => Cell::No(303, "login_required"),
        (Rule::WrongTenant, _) => INVALID,

        (Rule::Expired, Way::Implicit) => Cell::No(303, "login_required"),
        (Rule::Expired, Way::Device) => Cell::No(400, "expired_token"),
        (Rule::Expired, Way::Password) => Cell::Tokens("a password does not expire on its way"),
        (Rule::Expired, _) => INVALID,

        (Rule::ConsentMissing, Way::Code | Way::Implicit | Way::Hybrid | Way::Device) => Cell::Asks("allow"),
        (Rule::ConsentMissing, _) => NO_PAGE,
    }
}

const PERSON: Person = ACME.admin;

async fn apply(ways: &Ways, way: Way, rule: Rule) {
    let server = &ways.server;
    match rule {
        Rule::DisabledUser => {
            let tenant = server.tenant();
            let mut user = server.store.user(&tenant, &PERSON.id.into()).await.unwrap().unwrap();
            user.active = false;
            server.store.commit(&tenant, "test", vec![Change::PutUser(user)]).await.unwrap();
        }
        Rule::DisabledClient => ways.change(|client| client.enabled = false).await,
        Rule::LockedAccount => {
            let wrong = [("grant_type", "password"), ("username", PERSON.username), ("password", "wrong")];
            let wrong = wrong.map(|(name, value)| (name.to_owned(), value.to_owned()));
            for _ in 0..5 {
                assert_eq!(ways.token(server, EVERY, &wrong).await.status, 400);
            }
        }
        Rule::SecondFactor => {
            ways.change(|client| {
                client.policy = Some(TWO);
                let on = &mut client.policy_grants;
                on.policyauth = true;
                on.password = way == Way::Password;
                (on.jwt_bearer, on.refresh_token, on.token_exchange) = (true, true, true);
            })
            .await;
        }
        Rule::SwitchedOff => {
            // An assertion of a factor may be presented by whoever may begin a grant that asks for factors.
            let also: &[&str] = match way {
                Way::Policyauth => &[
                    "policyauth",
                    "password",
                    "refresh_token",
                    crate::support::JWT_BEARER,
                    crate::support::ways::EXCHANGE,
                ],
                _ => way.grants(),
            };
            ways.change(|client| client.grant_types.retain(|grant| !also.contains(&grant.as_str()))).await;
        }
        Rule::Expired => {
            let seconds = match way {
                Way::Refresh => 64_800,
                Way::Implicit => 31 * 86_400,
                _ => 7200,
            };
            server.world.advance(seconds);
        }
        Rule::ConsentMissing => {
            ways.change(|client| client.consent = protocol::records::Consent::AlwaysPrompt).await;
        }
        Rule::WrongTenant => {}
    }
}

/// A way whose rule is met while the person signs in.
async fn by_page(ways: &Ways, way: Way) -> Seen {
    if way == Way::Device {
        return Ways::page(&ways.let_in(PERSON).await);
    }
    let mut visitor = Visitor::new(&ways.server);
    let page = ways.authorize(&mut visitor, way, &[]).await;
    Ways::page(&visitor.sign_in(&page, PERSON.username, PERSON.password).await)
}

async fn try_cell(way: Way, rule: Rule) -> Seen {
    let ways = Ways::new().await;
    let pages = matches!(way, Way::Code | Way::Implicit | Way::Hybrid | Way::Device);
    match rule {
        Rule::LockedAccount | Rule::SecondFactor | Rule::ConsentMissing if pages => {
            apply(&ways, way, rule).await;
            return by_page(&ways, way).await;
        }
        Rule::LockedAccount if way == Way::Policyauth => {
            apply(&ways, way, rule).await;
            return Ways::answer(&ways.proved(PERSON).await);
        }
        // A flow keeps the policy it began with.
        Rule::SecondFactor if way == Way::Policyauth => {
            apply(&ways, way, rule).await;
            let ready = ways.ready(way, PERSON).await;
            return ways.finish(&ways.server, way, &ready).await;
        }
        _ => {}
    }
    let ready: Ready = ways.ready(way, PERSON).await;
    apply(&ways, way, rule).await;
    let server: TestServer = if rule == Rule::WrongTenant { ways.elsewhere() } else { ways.server.clone() };
    ways.finish(&server, way, &ready).await
}

#[track_caller]
fn compare(way: Way, rule: Rule, seen: &Seen) {
    let cell = expected(way, rule);
    let fits = match (cell, seen) {
        (Cell::Tokens(reason), Seen::Tokens(tokens)) => {
            !reason.is_empty() && (tokens["access_token"].is_string() || tokens["id_token"].is_string())
        }
        (Cell::Challenge, Seen::Challenge) => true,
        (Cell::Asks(what), Seen::Asked(asked)) => what == *asked,
        (Cell::No(status, code), Seen::Refused(seen, said)) => (status, code) == (*seen, said.as_str()),
        _ => false,
    };
    assert!(fits, "{way:?} x {rule:?}: {cell:?} was expected, and there was {seen:?}");
}

async fn row(way: Way) {
    // Without anything in the way there are tokens: every no below is for the reason it names.
    let ways = Ways::new().await;
    let ready = ways.ready(way, PERSON).await;
    ways.finish(&ways.server, way, &ready).await.tokens();
    for rule in RULES {
        compare(way, rule, &try_cell(way, rule).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_a_token_against_every_rule() {
    let rows: Vec<_> = Way::ALL.into_iter().map(|way| tokio::spawn(row(way))).collect();
    let mut wrong = Vec::new();
    for row in rows {
        if let Err(error) = row.await {
            let text = error.into_panic();
            wrong.push(text.downcast_ref::<String>().cloned().unwrap_or_else(|| "a row broke".to_owned()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The person of the other tenant whose id might be mistaken for one here.
#[tokio::test]
async fn nobody_of_another_tenant_has_tokens_by_any_way() {
    let ways = Ways::new().await;
    for way in Way::ALL {
        let ready = ways.ready(way, PERSON).await;
        let seen = ways.finish(&ways.elsewhere(), way, &ready).await;
        assert!(!matches!(seen, Seen::Tokens(_) | Seen::Challenge), "{way:?}: {seen:?}");
    }
}
