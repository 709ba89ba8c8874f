//! `config check`: the configuration and every file it names, read without starting anything.

use std::path::Path;

use super::{Configured, Failure, print};
use crate::config::{Config, Database};
use crate::keys::MasterKey;
use crate::listen::Certificates;
use crate::secret::Secret;
use crate::signin::passwords::is_breached;

pub(super) fn run(command: &Configured) -> Result<(), Failure> {
    let config = command.load()?;
    if let Some(path) = &config.master_key_file {
        MasterKey::from_file(path)?;
    }
    if let Some(tls) = &config.tls {
        Certificates::load(tls)?;
    }
    if let Some(path) = &config.geo_database {
        crate::geo::Geo::open(path).map_err(|source| {
            Failure::Start(crate::app::StartError::Geo { path: path.display().to_string(), source })
        })?;
    }
    crate::app::ways_out(&config).map_err(Failure::Start)?;
    if let Some(list) = &config.breached_passwords {
        // One look-up instead of reading it whole: it is larger than memory.
        is_breached(list, &Secret::from("password")).map_err(Failure::LeakedPasswords)?;
    }
    for path in named_files(&config) {
        readable(path)?;
    }
    print(&format!("{}: no mistakes\n", command.config.display()))
}

/// Files that are only read once they are needed.
fn named_files(config: &Config) -> impl Iterator<Item = &Path> {
    let database = match &config.database {
        Database::Postgres { password_file, ca, .. } => [password_file.as_deref(), ca.as_deref()],
        Database::Sqlite(_) | Database::Temporary => [None, None],
    };
    let mail = config.mail.as_ref().and_then(|mail| mail.credentials_file.as_deref());
    database.into_iter().chain([mail, config.outbound.ca.as_deref()]).flatten()
}

fn readable(path: &Path) -> Result<(), Failure> {
    let file = |source| Failure::Start(crate::app::StartError::File { path: path.display().to_string(), source });
    std::fs::read(path).map(drop).map_err(file)
}
