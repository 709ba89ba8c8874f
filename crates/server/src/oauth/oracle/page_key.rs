//! What `userData` is encrypted with for a sign-in page (Oracle page §6.3): made of the secret of its client, which the page makes anew
//! from the salt that comes along. The secret itself is not kept; what is made of it is sealed.

use protocol::idcs::handover::{self, BLOCK, SALT};
use protocol::records::{ClientId, TenantId};
use serde_json::Value;

use crate::keys::MasterKey;
use crate::secret::Secret;
use crate::world::World;

/// A salt, and what is made of it and a secret.
pub struct PageKey {
    salt: [u8; SALT],
    made: Secret<[u8; 2 * BLOCK]>,
}

fn purpose(tenant: &TenantId, client: &ClientId) -> String {
    format!("user data for a page\n{tenant}\n{client}")
}

impl PageKey {
    /// A new one of this secret.
    pub fn of(world: &World, client_secret: &str) -> Self {
        let mut salt = [0; SALT];
        world.random(&mut salt);
        Self { salt, made: Secret::new(handover::user_data_key(client_secret.as_bytes(), salt)) }
    }

    /// Whether it is made of this secret.
    pub fn is_of(&self, client_secret: &str) -> bool {
        self.made == Secret::new(handover::user_data_key(client_secret.as_bytes(), self.salt))
    }

    /// As it is kept.
    pub fn seal(&self, master: &MasterKey, tenant: &TenantId, client: &ClientId) -> Vec<u8> {
        let plain = Secret::new([&self.salt[..], &self.made.expose()[..]].concat());
        master.seal(&purpose(tenant, client), plain.expose())
    }

    /// What was kept; none where nothing was.
    pub fn open(master: &MasterKey, tenant: &TenantId, client: &ClientId, sealed: &[u8]) -> Option<Self> {
        let plain = Secret::new(master.open(&purpose(tenant, client), sealed)?);
        let (salt, made) = plain.expose().split_first_chunk::<SALT>()?;
        Some(Self { salt: *salt, made: Secret::new(made.try_into().ok()?) })
    }

    /// Attributes of somebody new, for the page.
    pub fn user_data(&self, world: &World, attributes: &Value) -> String {
        let mut iv = [0; BLOCK];
        world.random(&mut iv);
        handover::user_data(self.made.expose(), self.salt, iv, &handover::tame(attributes.clone()))
    }
}
