//! The operations that are measured: what each asks, over how many connections, and what it must cost at least.

use std::cell::RefCell;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::applications::{self, Poll, RoundTrip, SignIn};
use super::http::Requests;
use super::load::{self, Script};
use super::oracle::{self, Once};
use super::scripts::{self, Flow, Introspect, Password, Refresh, Same, Shelf};
use super::server::{Process, Programs, WARM_UP, pinned};
use super::tenant::{self, PEOPLE, person};
use crate::Outcome;
use crate::machine;

/// One operation over so many connections.
pub struct Operation {
    /// Its name.
    pub name: &'static str,
    /// Connections, each asking again as soon as it is answered.
    pub connections: usize,
    /// What it must cost at least.
    pub parts: &'static [Part],
    /// The smallest ratio to the ceiling we aim at.
    pub aim: Option<f64>,
    kind: Kind,
}

/// A part of the ceiling.
#[derive(Clone, Copy)]
pub enum Part {
    /// So many empty requests.
    Http(u32),
    /// So many signatures.
    Sign(&'static str, u32),
    /// So many signatures verified.
    Verify(&'static str, u32),
    /// So many shares of a durable commit of this kind.
    Commit(&'static str, u32),
    /// One password hash.
    Hash,
}

#[derive(Clone, Copy)]
enum Kind {
    Service(&'static str),
    Introspection,
    Initiation,
    Password,
    Refresh,
    Flow,
    RoundTrip,
    Poll,
    Exchange,
    Document(&'static str),
    Oracle(Oracle),
}

/// Steps in Oracle's dialect, each of which rests on the ones before.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Oracle {
    Start,
    Password,
    Exchange,
    Me,
}

use Part::{Commit, Hash, Http, Sign, Verify};

const fn operation(
    name: &'static str,
    connections: usize,
    parts: &'static [Part],
    aim: Option<f64>,
    kind: Kind,
) -> Operation {
    Operation { name, connections, parts, aim, kind }
}

/// All of them, in the order of the report.
pub const OPERATIONS: &[Operation] = &[
    operation("client_credentials → opaque", 64, &[Http(1), Commit("token", 1)], Some(0.5), Kind::Service("opaque")),
    operation("client_credentials → opaque", 512, &[Http(1), Commit("token", 1)], Some(0.5), Kind::Service("opaque")),
    operation("client_credentials → JWT ES256", 64, &[Http(1), Sign("ES256", 1)], Some(0.7), Kind::Service("es256")),
    operation("client_credentials → JWT EdDSA", 64, &[Http(1), Sign("EdDSA", 1)], Some(0.7), Kind::Service("eddsa")),
    operation("client_credentials → JWT RS256", 64, &[Http(1), Sign("RS256", 1)], Some(0.9), Kind::Service("rs256")),
    operation("introspection of an opaque token", 64, &[Http(1)], Some(0.5), Kind::Introspection),
    operation("policyauth initiation", 64, &[Http(1), Commit("sign_in", 1)], Some(0.5), Kind::Initiation),
    operation("policyauth initiation", 512, &[Http(1), Commit("sign_in", 1)], Some(0.5), Kind::Initiation),
    operation("refresh rotation", 64, &[Http(1), Commit("rotation", 1)], Some(0.5), Kind::Refresh),
    operation("refresh rotation", 512, &[Http(1), Commit("rotation", 1)], Some(0.5), Kind::Refresh),
    operation("password factor", 64, &[Hash], Some(0.95), Kind::Password),
    // Seven requests and the look into the outbox; two assertions and an ID token; a commit for each step.
    operation(
        "whole seed flow",
        64,
        &[Http(8), Hash, Sign("RS256", 3), Commit("sign_in", 8), Commit("rotation", 1)],
        None,
        Kind::Flow,
    ),
    // The code is kept, then spent in the commit that writes the grant and its tokens.
    operation("code round trip with a session", 64, ROUND_TRIP, Some(0.6), Kind::RoundTrip),
    operation("code round trip with a session", 512, ROUND_TRIP, Some(0.6), Kind::RoundTrip),
    operation("device poll, nobody has decided", 64, &[Http(1), Commit("item", 1)], Some(0.5), Kind::Poll),
    operation("token exchange → opaque", 64, &[Http(1), Commit("grant", 1)], Some(0.5), Kind::Exchange),
    // Every call of this interface bears a token that is verified. The first step writes nothing.
    operation("Authenticate API, first step", 64, &[Http(1), Verify("RS256", 1)], None, Kind::Oracle(Oracle::Start)),
    operation(
        "Authenticate API, password",
        64,
        &[Hash, Sign("RS256", 1), Commit("sign_in", 2)],
        None,
        Kind::Oracle(Oracle::Password),
    ),
    operation(
        "authnToken exchange → JWT RS256",
        64,
        &[Http(1), Verify("RS256", 1), Sign("RS256", 1), Commit("grant", 1)],
        None,
        Kind::Oracle(Oracle::Exchange),
    ),
    operation("GET /admin/v1/Me", 64, &[Http(1), Verify("RS256", 1)], None, Kind::Oracle(Oracle::Me)),
    operation("discovery", 64, &[Http(1)], Some(0.9), Kind::Document("/oauth2/.well-known/openid-configuration")),
    operation("JWKS", 64, &[Http(1)], Some(0.9), Kind::Document("/oauth2/jwks")),
];

const ROUND_TRIP: &[Part] = &[Http(2), Sign("ES256", 1), Commit("item", 1), Commit("grant", 1)];

/// What one measurement found.
pub struct Sample {
    /// Operations a second.
    pub rate: f64,
    /// Operations a second of the core that others left to the server.
    pub free_rate: f64,
    /// Milliseconds half of them stay below.
    pub p50: f64,
    /// Milliseconds all but one in a hundred stay below.
    pub p99: f64,
    /// Microseconds of the server's processor time for each.
    pub cpu: f64,
    /// Share of the server's core that others used.
    pub others: f64,
    /// Most memory the server held, MB.
    pub memory: f64,
    /// Operations a second that its parts alone would allow, measured right before and after it.
    pub ceiling: f64,
}

impl Operation {
    /// Its name with the connections.
    pub fn title(&self) -> String {
        format!("{}, {} connections", self.name, self.connections)
    }
}

/// Starts a server with an empty database and measures one operation.
pub fn measure(
    operation: &Operation,
    programs: &Programs,
    directory: &Path,
    prepared: &Value,
    time: Duration,
) -> Outcome<Sample> {
    let server = start(programs, directory, prepared)?;
    let scripts = prepare(operation, server.address, time)?;
    let found = load::run(server.address, scripts, WARM_UP, time, || server.usage())?;
    let operations = found.operations as f64;
    let others = found.taken_by_others();
    let sample = Sample {
        rate: operations / found.seconds,
        free_rate: operations / (found.seconds - others),
        p50: found.latencies.quantile_ms(0.5),
        p99: found.latencies.quantile_ms(0.99),
        cpu: found.used.server * 1e6 / operations,
        others: others / found.seconds,
        memory: server.peak_memory(),
        ceiling: f64::INFINITY,
    };
    server.stop();
    Ok(sample)
}

/// A server in development mode, so that the codes it sends can be read, with its database in `directory`.
pub fn start(programs: &Programs, directory: &Path, prepared: &Value) -> Outcome<Process> {
    let address = SocketAddr::from(([127, 0, 0, 1], machine::free_port()?));
    let file = directory.join("tenant.toml");
    fs::write(&file, tenant::file(address, prepared)?).map_err(|e| format!("no tenant file: {e}"))?;
    let mut command = pinned(&programs.server);
    command.args(["dev", "--listen", &address.to_string(), "--data"]).arg(directory).arg("--tenant").arg(&file);
    let request = scripts::client_credentials(&Requests::to(address), "opaque");
    Process::start(command, &directory.join("log"), address, &request)
}

/// What the connections do, with everything they need beforehand.
fn prepare(operation: &Operation, address: SocketAddr, time: Duration) -> Outcome<Vec<Box<dyn Script>>> {
    let requests = Requests::to(address);
    let shelf: Shelf = Rc::new(RefCell::new(Vec::new()));
    let connections = operation.connections;
    let each = |make: &dyn Fn(usize) -> Box<dyn Script>| (0..connections).map(make).collect::<Vec<_>>();
    Ok(match operation.kind {
        Kind::Service(service) => {
            let request = scripts::client_credentials(&requests, service);
            each(&|_| Box::new(Same::forever(request.clone())))
        }
        Kind::Initiation => {
            let request = scripts::initiation(&requests);
            each(&|_| Box::new(Same::forever(request.clone())))
        }
        Kind::Introspection => {
            let request = scripts::client_credentials(&requests, "opaque");
            load::complete(address, each(&|_| Box::new(Same::keeping(request.clone(), 64, &shelf))))?;
            each(&|index| Box::new(Introspect::new(&requests, &shelf, index * 64)))
        }
        Kind::Password => {
            // As many as could be hashed in the time on two such cores, so that they do not run out.
            let each_needs = (time + WARM_UP).as_secs() as usize * 200 / connections + 2;
            let request = scripts::initiation(&requests);
            load::complete(address, each(&|_| Box::new(Same::keeping(request.clone(), each_needs, &shelf))))?;
            each(&|index| Box::new(Password::new(&requests, &shelf, person(index))))
        }
        Kind::Refresh => {
            few_at_a_time(address, connections.min(PEOPLE), &|index| {
                Box::new(Flow::keeping(&requests, person(index), &shelf))
            })?;
            let tokens = shelf.take();
            tokens.into_iter().map(|token| Box::new(Refresh::new(&requests, token)) as Box<dyn Script>).collect()
        }
        Kind::Document(path) => {
            let request = scripts::document(&requests, path);
            each(&|_| Box::new(Same::forever(request.clone())))
        }
        Kind::Poll => each(&|index| Box::new(Poll::new(&requests, index))),
        Kind::RoundTrip => {
            few_at_a_time(address, connections, &|index| Box::new(SignIn::new(&requests, person(index), &shelf)))?;
            let browsers = shelf.take();
            browsers.into_iter().map(|jar| Box::new(RoundTrip::new(&requests, jar)) as Box<dyn Script>).collect()
        }
        Kind::Exchange => {
            few_at_a_time(address, connections, &|index| {
                Box::new(Same::keeping(applications::at_the_till(&requests, &person(index)), 1, &shelf))
            })?;
            let tokens = shelf.take();
            let requests = tokens.iter().map(|token| applications::exchange(&requests, token));
            requests.map(|request| Box::new(Same::forever(request)) as Box<dyn Script>).collect()
        }
        Kind::Flow => each(&|index| Box::new(Flow::forever(&requests, person(PEOPLE + index)))),
        Kind::Oracle(step) => oracle_scripts(step, &requests, address, connections)?,
    })
}

/// Goes as far as the step before, then repeats this one.
fn oracle_scripts(
    step: Oracle,
    requests: &Requests,
    address: SocketAddr,
    connections: usize,
) -> Outcome<Vec<Box<dyn Script>>> {
    let shelf: Shelf = Rc::new(RefCell::new(Vec::new()));
    let one = |request: Vec<u8>, member| -> Outcome<String> {
        load::complete(address, vec![Box::new(Once::keeping(request, member, &shelf))])?;
        shelf.borrow_mut().pop().ok_or_else(|| format!("no `{member}` was kept"))
    };
    let forever = |made: Vec<Vec<u8>>| -> Vec<Box<dyn Script>> {
        made.into_iter().map(|request| Box::new(Same::forever(request)) as Box<dyn Script>).collect()
    };
    let page = one(oracle::page_token(requests), "access_token")?;
    if step == Oracle::Start {
        return Ok(forever(vec![oracle::start(requests, &page); connections]));
    }
    let state = one(oracle::start(requests, &page), "requestState")?;
    let password = |index: usize| oracle::password(requests, &page, &state, &person(index));
    if step == Oracle::Password {
        return Ok(forever((0..connections).map(password).collect()));
    }
    few_at_a_time(address, connections, &|index| Box::new(Once::keeping(password(index), "authnToken", &shelf)))?;
    let made: Vec<_> = shelf.take().iter().map(|token| oracle::exchange(requests, token)).collect();
    if step == Oracle::Exchange {
        return Ok(forever(made));
    }
    let once = |request| Box::new(Once::keeping(request, "access_token", &shelf)) as Box<dyn Script>;
    load::complete(address, made.into_iter().map(once).collect())?;
    Ok(forever(shelf.take().iter().map(|token| oracle::me(requests, token)).collect()))
}

/// Scripts that each have a password hashed, for so many people: more at once would only wait for the hashing threads.
fn few_at_a_time(address: SocketAddr, people: usize, make: &dyn Fn(usize) -> Box<dyn Script>) -> Outcome {
    let people: Vec<usize> = (0..people).collect();
    for some in people.chunks(32) {
        load::complete(address, some.iter().map(|index| make(*index)).collect())?;
    }
    Ok(())
}
