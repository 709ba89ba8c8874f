//! The tenant the benchmark is run against: made for each server, with its own address, people and clients.

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::Value;

use crate::Outcome;

/// People without a second factor; as many again have one.
pub const PEOPLE: usize = 512;
/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery staple";
/// Every client's secret, random as a generated one is.
pub const SECRET: &str = "Vb7tq0C3mR9xW2eZ5kJ8aL1nS6dF4gHu";
/// The directory people are in.
pub const SOURCE: &str = "0b8b6a3e-7d1c-4f2a-9a55-3c1e6f7d8a90";
/// The client of the flows with people.
pub const APP: &str = "bench-app";

/// The application with a browser.
pub const WEB: &str = "bench-web";
/// Where it is returned to. Nobody listens there.
pub const CALLBACK: &str = "https://app.bench.example/callback";
/// Clients on devices.
pub const DEVICES: [&str; 4] = ["bench-device-1", "bench-device-2", "bench-device-3", "bench-device-4"];
/// The client whose tokens are exchanged.
pub const TILL: &str = "bench-till";
/// The client that exchanges them.
pub const EXCHANGE: &str = "bench-exchange";

/// The client with a sign-in page in Oracle's dialect.
pub const ORACLE: &str = "bench-oracle";

/// Who a flow signs in.
#[derive(Clone)]
pub struct Person {
    /// Login name.
    pub login: String,
    /// Where codes go.
    pub mail: String,
    /// The enrolment that codes are sent through.
    pub enrolment: String,
    /// User id.
    pub id: String,
}

/// Person number `index`; those from [`PEOPLE`] on need a second factor.
pub fn person(index: usize) -> Person {
    Person {
        login: format!("person{index:04}"),
        mail: format!("person{index:04}@bench.example"),
        enrolment: format!("00000000-0000-4000-8000-{index:012}"),
        id: format!("BENCH{index:05}"),
    }
}

/// Clients that get tokens of their own: name, form, algorithm.
const SERVICES: [(&str, &str, &str); 4] =
    [("opaque", "opaque", "ES256"), ("es256", "jwt", "ES256"), ("rs256", "jwt", "RS256"), ("eddsa", "jwt", "EdDSA")];

/// The tenant file. `prepared` holds the hashes of the password and of the secret.
pub fn file(address: SocketAddr, prepared: &Value) -> Outcome<String> {
    let text = |name: &str| prepared[name].as_str().ok_or_else(|| format!("`bare_costs prepare` gave no `{name}`"));
    let (password_hash, secret) = (text("password_hash")?, text("secret_sha256")?);
    let mut out = String::new();
    write_all(&mut out, address, password_hash, secret).map_err(|e| e.to_string())?;
    Ok(out)
}

fn write_all(out: &mut String, address: SocketAddr, password_hash: &str, secret: &str) -> std::fmt::Result {
    writeln!(
        out,
        r#"[[tenant]]
id = "bench"
name = "Bench"
urls = ["http://{address}"]

[tenant.settings]
messages_per_hour = 1000000
tries_per_place = 0

[[tenant.sources]]
id = "{SOURCE}"
name = "People"
realm = "bench"

[[tenant.groups]]
id = "BENCHGRP01"
name = "CAREFUL"

[[tenant.policies]]
id = 7
name = "Sign-in"

[tenant.policies.meta]
state = "ACTIVE"
schema = "urn:access:policy:5.0:schema"
scope = ["administrators"]
enforcementType = "nativeAppMobile"

[[tenant.policies.rules]]
name = "A password"
alwaysRun = false
firstFactor = true
conditions = [{{ type = "ipAddress", opCode = "MATCH", values = ["192.168.1.0/24"] }}]
result = {{ action = "ACTION_MFA_ALWAYS", serverSideActions = [], authnMethods = ["password"] }}

[[tenant.policies.rules]]
name = "Nobody else"
alwaysRun = false
firstFactor = true
conditions = []
result = {{ action = "ACTION_DENY", serverSideActions = [], authnMethods = [] }}

[[tenant.policies.rules]]
name = "The careful"
alwaysRun = false
firstFactor = false
conditions = [{{ type = "subjectAttributes", attributes = [{{ name = "groupIds", opCode = "EQ", values = ["BENCHGRP01"] }}] }}]
result = {{ action = "ACTION_MFA_ALWAYS", serverSideActions = [], authnMethods = ["emailotp"] }}

[[tenant.policies.rules]]
name = "Everybody else"
alwaysRun = false
firstFactor = false
conditions = []
result = {{ action = "ACTION_ALLOW", serverSideActions = [], authnMethods = [] }}

[[tenant.clients]]
id = "{APP}"
secret_sha256 = "{secret}"
grant_types = ["policyauth", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"]
policy = 7
policy_grants = {{ policyauth = true }}
"#
    )?;
    writeln!(
        out,
        r#"[[tenant.clients]]
id = "{WEB}"
secret_sha256 = "{secret}"
grant_types = ["authorization_code", "refresh_token"]
redirect_uris = ["{CALLBACK}"]
consent = "never_prompt"
id_token_alg = "ES256"

[[tenant.clients]]
id = "{TILL}"
secret_sha256 = "{secret}"
grant_types = ["password"]

[[tenant.clients]]
id = "{ORACLE}"
secret_sha256 = "{secret}"
grant_types = ["client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"]
app_roles = ["Signin", "Me"]

[[tenant.clients]]
id = "{EXCHANGE}"
secret_sha256 = "{secret}"
grant_types = ["urn:ietf:params:oauth:grant-type:token-exchange"]
subject_token_types = ["urn:ietf:params:oauth:token-type:access_token"]
requested_token_types = ["urn:ietf:params:oauth:token-type:access_token"]
exchange_from = ["{TILL}"]
"#
    )?;
    for device in DEVICES {
        writeln!(
            out,
            "[[tenant.clients]]\nid = \"{device}\"\nsecret_sha256 = \"{secret}\"\ndevice_code_lifetime = 86400\n\
             grant_types = [\"urn:ietf:params:oauth:grant-type:device_code\"]\n"
        )?;
    }
    for (name, form, alg) in SERVICES {
        writeln!(
            out,
            "[[tenant.clients]]\nid = \"{name}\"\nsecret_sha256 = \"{secret}\"\ngrant_types = [\"client_credentials\"]\n\
             access_token_format = \"{form}\"\naccess_token_alg = \"{alg}\"\nscopes = [\"read\", \"write\"]\n"
        )?;
    }
    writeln!(out, "[[tenant.keys]]\nalg = \"RS256\"\nkid = \"server\"\n")?;
    for alg in ["ES256", "EdDSA"] {
        writeln!(out, "[[tenant.keys]]\nalg = \"{alg}\"\n")?;
    }
    for index in 0..2 * PEOPLE {
        let Person { login, mail, enrolment, id } = person(index);
        let groups = if index < PEOPLE { "" } else { "\"BENCHGRP01\"" };
        writeln!(
            out,
            "[[tenant.users]]\nid = \"{id}\"\nusername = \"{login}\"\npassword_hash = \"{password_hash}\"\n\
             source = \"{SOURCE}\"\ngroups = [{groups}]\nattributes = {{ email = \"{mail}\" }}\n"
        )?;
        if index >= PEOPLE {
            writeln!(
                out,
                "[[tenant.enrolments]]\nid = \"{enrolment}\"\nuser = \"{id}\"\nkind = \"email-otp\"\naddress = \"{mail}\"\n"
            )?;
        }
    }
    Ok(())
}
