//! `backup` and `restore`: a copy of the database in use, and a database made from one in which nothing spent is good again.

use std::fmt::Write as _;
use std::sync::Arc;

use clap::Args;
use engine::FactorKind;
use protocol::records::Client;
use store::{Change, CommitError, DirectoryChange};

use super::{Configured, Failure, block_on, print};
use crate::app::{Ground, StartError};
use crate::audit;
use crate::config::{Config, Database};
use crate::directory::Directories;
use crate::signin::LASTING;

/// What only a phone can prove. The tokens phones come with may have been spent or ended since, so no phone comes back: policy
/// must not ask for one.
const OF_PHONES: [&str; 3] =
    [FactorKind::PushPresence.as_str(), FactorKind::PushFingerprint.as_str(), FactorKind::PushFace.as_str()];

#[derive(Args)]
pub(super) struct Backup {
    /// The file to make; must not be there yet
    #[arg(value_name = "FILE")]
    file: std::path::PathBuf,
    #[command(flatten)]
    configured: Configured,
}

#[derive(Args)]
pub(super) struct Restore {
    /// A file that `countersign backup` made; the configured database must not be there yet
    #[arg(value_name = "FILE", required_unless_present = "loaded", conflicts_with = "loaded")]
    file: Option<std::path::PathBuf>,
    /// The configured database was loaded by other means (`pg_restore`): only end what may have been spent since
    #[arg(long)]
    loaded: bool,
    #[command(flatten)]
    configured: Configured,
}

pub(super) fn backup(command: &Backup) -> Result<(), Failure> {
    let config = command.configured.load()?;
    let Database::Sqlite(database) = &config.database else {
        return Err(Failure::Told(
            "this database is PostgreSQL's to copy: use `pg_dump --format=custom`, or continuous archiving".to_owned(),
        ));
    };
    eprintln!("copying {} while it is in use", database.display());
    let bytes = store::copy_sqlite(database, &command.file)?;
    print(&format!(
        "{}: {} KiB. It is worth nothing without the master key, which is kept elsewhere\n",
        command.file.display(),
        bytes.div_ceil(1024)
    ))
}

pub(super) fn restore(command: &Restore) -> Result<(), Failure> {
    let mut config = command.configured.load()?;
    let mut restoring = None;
    match (&command.file, &config.database) {
        (Some(file), Database::Sqlite(database)) => {
            let copy = store::Restoring::begin(file, database)?;
            config.database = Database::Sqlite(copy.path.clone());
            restoring = Some(copy);
        }
        (Some(_), _) => {
            return Err(Failure::Told(
                "this database is PostgreSQL's to restore: use `pg_restore`, then `countersign restore --loaded` before any \
                 server is started"
                    .to_owned(),
            ));
        }
        (None, _) => {}
    }
    let text = block_on(forget(&config))?;
    if let Some(restoring) = restoring {
        restoring.finish()?;
    }
    print(&text)
}

/// Ends what may have been spent since the copy was made; says so.
async fn forget(config: &Config) -> Result<String, Failure> {
    let ground = Ground::open(config, false).await?;
    // Opens what is sealed: the copy of another installation is noticed here and not by the first person to sign in.
    let _ = Directories::load(ground.store.clone(), Arc::clone(&ground.master)).await.map_err(StartError::from)?;
    let mut text = String::new();
    for rows in ground.store.load_directory().await?.tenants {
        let tenant = rows.tenant.id;
        let now = ground.world.now();
        // Documents of every other kind, known or to come, may have been spent or ended since and go.
        ground.store.forget_what_may_be_spent(&tenant, &LASTING, &OF_PHONES, now).await.map_err(told)?;
        // Of what a client was given in its own name no row tells.
        let older = rows.clients.into_iter().filter(|client| client.not_before < now);
        let cut = |client| DirectoryChange::PutClient(Box::new(Client { not_before: now, ..client }));
        ground.store.change_directory(&tenant, older.map(cut).collect()).await.map_err(told)?;
        let entry = Change::Audit(audit::by_command(&ground.world, "database.restored", "restore"));
        ground.store.commit(&tenant, "restore", vec![entry]).await.map_err(told)?;
        // Writing to a text does not fail.
        let _ = writeln!(text, "{tenant}: sign-ins, sessions, grants and tokens ended");
    }
    ground.store.close().await;
    text.push_str("people sign in anew; factors, passwords and configuration are those of the backup\n");
    text.push_str("phones that approve are set up anew: until then their owners have no such factor\n");
    Ok(text)
}

fn told(error: CommitError) -> Failure {
    Failure::Told(format!("{error}; the database must not be used before `countersign restore --loaded` succeeded"))
}
