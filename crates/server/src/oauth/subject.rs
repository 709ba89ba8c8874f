//! What a person is called towards a client: by the tenant's own name for them, or by a pairwise one (OpenID Connect Core §8).

use protocol::pairwise;
use protocol::records::{Client, TenantId, UserId};

use crate::keys::MasterKey;

/// The `sub` of a person towards a client: in ID tokens, userinfo, introspection and the tokens themselves.
pub fn subject(master: &MasterKey, tenant: &TenantId, client: &Client, user: &UserId) -> String {
    if !client.pairwise {
        return user.0.clone();
    }
    let mac = |text: &[u8]| master.mac(&format!("pairwise subject\0{tenant}"), text);
    pairwise::subject(&pairwise::sector(client), user.as_str(), mac)
}
