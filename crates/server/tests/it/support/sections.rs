//! Sections of a tenant file, put together.

/// A client with a secret; `more` holds further fields, one a line.
pub fn client(id: &str, secret: &str, more: &str) -> String {
    format!("[[tenant.clients]]\nid = {id:?}\nsecret = {secret:?}\n{more}\n")
}

/// One rule of a policy; conditions and methods as TOML arrays.
pub fn rule(name: &str, first: bool, conditions: &str, action: &str, methods: &str) -> String {
    format!(
        "[[tenant.policies.rules]]\nname = {name:?}\nalwaysRun = false\nfirstFactor = {first}\n\
         conditions = {conditions}\n\
         result = {{ action = {action:?}, serverSideActions = [], authnMethods = {methods} }}\n"
    )
}

/// A policy for API grants.
pub fn policy(id: i64, rules: &[String]) -> String {
    format!(
        "[[tenant.policies]]\nid = {id}\nname = \"Policy {id}\"\n[tenant.policies.meta]\nstate = \"ACTIVE\"\n\
         schema = \"urn:access:policy:5.0:schema\"\nscope = [\"administrators\"]\nenforcementType = \"nativeAppWeb\"\n\
         tenantDefaultPolicy = false\n{}",
        rules.concat()
    )
}

/// A person of the first source of the demonstration tenant.
pub fn user(id: &str, username: &str, password: &str, more: &str) -> String {
    format!("[[tenant.users]]\nid = {id:?}\nusername = {username:?}\npassword = {password:?}\n{more}\n")
}
