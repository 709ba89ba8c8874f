//! One place of wiring: everything a request may need, built once.

use std::sync::Arc;

use protocol::records::TenantId;
use store::{Change, CommitError, DirectoryChange, Store, StoreConfig};
use tracing::Instrument as _;

use crate::audit;
use crate::config::{Config, Database};
use crate::delivery::{Delivery, DevOutbox, Http, Smtp, SmtpConfig, Ways};
use crate::directory::{Directories, Directory, DirectoryError, TenantView};
use crate::geo::Geo;
use crate::hashing::Hashing;
use crate::keys::MasterKey;
use crate::logging::SPANS;
use crate::metrics::{Committed, Metrics};
use crate::outbound::Outbound;
use crate::signin::devices::Waits;
use crate::world::{Stopwatch, World};

/// How often a change of a tenant's configuration is made anew because somebody else changed something meanwhile.
const DIRECTORY_TRIES: usize = 10;

/// Everything a request may need. Cheap to clone; passed as axum's state.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// The parts of [`App`].
pub struct Parts {
    /// Records.
    pub store: Store,
    /// The tenants' configuration, as of the last change.
    pub directories: Directories,
    /// Clock and randomness.
    pub world: World,
    /// Seals what is stored and keys what is hashed.
    pub master: Arc<MasterKey>,
    /// Password hashing on threads of its own.
    pub hashing: Hashing,
    /// Delivers what the outbox holds.
    pub delivery: Arc<Delivery>,
    /// Counters and histograms.
    pub metrics: Arc<Metrics>,
    /// Fetches what others publish.
    pub outbound: Outbound,
    /// Phones that wait at this node to be asked.
    pub waits: Waits,
    /// Where addresses are, when a database is configured.
    pub geo: Geo,
    /// Configuration of this process.
    pub config: Arc<Config>,
    /// Development mode: `/dev` exists, codes are printed.
    pub dev: bool,
}

impl App {
    /// Wires the parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Commits these changes in one transaction, what the audit trail says of them included, and counts how it went. See
    /// [`Store::commit`].
    ///
    /// # Errors
    /// A change may not happen, or the database could not do it.
    pub async fn commit(
        &self,
        tenant: &TenantId,
        name: &'static str,
        mut changes: Vec<Change>,
    ) -> Result<(), CommitError> {
        let watch = Stopwatch::start();
        // Behind the others: a refusal names a change by its position.
        let entries = audit::of(&self.world, name, &changes);
        changes.extend(entries);
        let sends = changes.iter().any(|change| matches!(change, Change::Enqueue(_)));
        let span = tracing::trace_span!(target: SPANS, "commit", name);
        let done = self.store.commit(tenant, name, changes).instrument(span).await;
        let outcome = match &done {
            Ok(()) => Committed::Done,
            Err(CommitError::Refused { .. }) => Committed::Refused,
            Err(CommitError::Unavailable(_)) => Committed::Failed,
        };
        self.metrics.committed(name, outcome, watch.elapsed());
        if sends && done.is_ok() {
            self.delivery.wake();
        }
        done
    }

    /// Makes changes of one tenant's configuration that are right whatever it was: something added or taken away. See
    /// [`Directories::change`].
    ///
    /// # Errors
    /// The database could not do it, or holds what cannot be read.
    pub async fn change_directory(
        &self,
        tenant: &TenantId,
        changes: Vec<DirectoryChange>,
    ) -> Result<bool, DirectoryError> {
        self.write_directory(None, tenant, changes).await
    }

    /// Makes changes that were made of what `read` says, unless somebody changed anything since.
    ///
    /// # Errors
    /// The database could not do it, or holds what cannot be read.
    pub async fn change_directory_at(
        &self,
        read: &Directory,
        tenant: &TenantId,
        changes: Vec<DirectoryChange>,
    ) -> Result<bool, DirectoryError> {
        self.write_directory(Some(read), tenant, changes).await
    }

    /// Writes what `plan` makes of a tenant as it is now, planned anew where somebody else was first. None where others always were.
    ///
    /// # Errors
    /// Those of `plan`; the database could not do it, or holds what cannot be read.
    pub async fn amend_directory<T, E: From<DirectoryError>>(
        &self,
        tenant: &TenantId,
        plan: impl Fn(&TenantView) -> Result<(T, Option<DirectoryChange>), E>,
    ) -> Result<Option<T>, E> {
        for _ in 0..DIRECTORY_TRIES {
            let read = self.directories.latest().await?;
            let Some(view) = read.tenant(tenant) else { return Ok(None) };
            let (made, change) = plan(view)?;
            let Some(change) = change else { return Ok(Some(made)) };
            if self.change_directory_at(&read, tenant, vec![change]).await? {
                return Ok(Some(made));
            }
        }
        Ok(None)
    }

    async fn write_directory(
        &self,
        read: Option<&Directory>,
        tenant: &TenantId,
        mut changes: Vec<DirectoryChange>,
    ) -> Result<bool, DirectoryError> {
        let entries = audit::of_directory(&self.world, "server", &changes);
        changes.extend(entries);
        self.directories.change(read, tenant, changes).await
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The master key cannot be read or made.
    #[error("the master key cannot be used")]
    Key(#[source] crate::keys::KeyError),
    /// The database cannot be opened.
    #[error("the database cannot be opened")]
    Store(#[from] store::StoreError),
    /// The directory in the database cannot be read.
    #[error("the tenants in the database cannot be read")]
    Directory(#[from] crate::directory::DirectoryError),
    /// The hashing threads cannot be started.
    #[error("the password hashing threads cannot be started")]
    Hashing(#[source] std::io::Error),
    /// Mail is configured but cannot be used.
    #[error("mail cannot be set up")]
    Mail(#[from] crate::delivery::SmtpError),
    /// Text messages or calls are configured but cannot be used.
    #[error("text messages or calls cannot be set up")]
    Messages(#[from] crate::delivery::HttpError),
    /// The geographic database cannot be read.
    #[error("the geographic database `{path}` cannot be read")]
    Geo {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        source: maxminddb::MaxMindDbError,
    },
    /// The outbound client cannot be set up.
    #[error("outbound requests cannot be set up")]
    Outbound(#[source] crate::outbound::OutboundError),
    /// A file that configuration names cannot be read.
    #[error("`{path}` cannot be read")]
    File {
        /// Its path.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What every command needs before it can touch records: the database and the keys to what is sealed in it.
pub struct Ground {
    /// Records.
    pub store: Store,
    /// The master key.
    pub master: Arc<MasterKey>,
    /// Password hashing.
    pub hashing: Hashing,
    /// Clock and randomness.
    pub world: World,
}

impl Ground {
    /// Opens the database and the master key. In development mode a missing master key is made.
    ///
    /// # Errors
    /// One of them cannot be had.
    pub async fn open(config: &Config, dev: bool) -> Result<Self, StartError> {
        let master = match &config.master_key_file {
            Some(path) if dev && !path.exists() => {
                if let Some(directory) = path.parent() {
                    std::fs::create_dir_all(directory)
                        .map_err(|source| StartError::File { path: directory.display().to_string(), source })?;
                }
                MasterKey::create_file(path).map_err(StartError::Key)?
            }
            Some(path) => MasterKey::from_file(path).map_err(StartError::Key)?,
            None => MasterKey::generate(),
        };
        let store = open_store(&config.database).await?;
        let hashing = Hashing::start(config.hashing).map_err(StartError::Hashing)?;
        Ok(Self { store, master: Arc::new(master), hashing, world: World::real() })
    }
}

/// The ways out of this server that are configured. Reads their files and connects to nobody.
///
/// # Errors
/// A file cannot be read or used.
pub fn ways_out(config: &Config) -> Result<Ways, StartError> {
    let ca = config.outbound.ca.as_deref();
    let mail = config.mail.as_ref().map(|mail| Smtp::open(&SmtpConfig::of(mail, ca))).transpose()?;
    let open = |messages: &Option<crate::config::Messages>| {
        messages.as_ref().map(|messages| Http::open(messages, ca)).transpose()
    };
    Ok(Ways { mail, sms: open(&config.sms)?, voice: open(&config.voice)? })
}

async fn open_store(database: &Database) -> Result<Store, StartError> {
    let config = match database {
        Database::Temporary => return Ok(Store::temporary()?),
        Database::Sqlite(path) => StoreConfig::Sqlite { path: path.clone() },
        Database::Postgres { url, password_file, pool, ca } => {
            let mut url = url.clone();
            if let Some(path) = password_file {
                let password = std::fs::read_to_string(path)
                    .map_err(|source| StartError::File { path: path.display().to_string(), source })?;
                let encoded = percent_encoding::utf8_percent_encode(
                    password.trim_end_matches(['\r', '\n']),
                    percent_encoding::NON_ALPHANUMERIC,
                )
                .to_string();
                let joint = if url.contains('?') { '&' } else { '?' };
                url = format!("{url}{joint}password={encoded}");
            }
            StoreConfig::Postgres { url, pool: *pool, tls_ca: ca.clone() }
        }
    };
    Ok(Store::open(&config).await?)
}

impl App {
    /// Builds the process on its ground: reads the directory, sets up delivery and everything outbound.
    ///
    /// # Errors
    /// A part cannot be set up.
    pub async fn build(config: Config, ground: Ground, dev: bool) -> Result<Self, StartError> {
        let Ground { store, master, hashing, world } = ground;
        let directories = Directories::load(store.clone(), Arc::clone(&master)).await?;
        let delivery = if dev {
            Delivery::dev(Arc::clone(&master), DevOutbox::new())
        } else {
            Delivery::out(Arc::clone(&master), ways_out(&config)?)
        };
        let geo = match &config.geo_database {
            Some(path) => {
                Geo::open(path).map_err(|source| StartError::Geo { path: path.display().to_string(), source })?
            }
            None => Geo::none(),
        };
        let outbound = Outbound::new(&config.outbound).map_err(StartError::Outbound)?;
        let metrics = Arc::new(Metrics::new(&crate::router::paths()));
        delivery.count_in(Arc::clone(&metrics));
        Ok(Self::new(Parts {
            store,
            directories,
            world,
            master,
            hashing,
            delivery: Arc::new(delivery),
            metrics,
            outbound,
            waits: Waits::default(),
            geo,
            config: Arc::new(config),
            dev,
        }))
    }
}
