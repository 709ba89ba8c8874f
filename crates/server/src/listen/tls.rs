//! The server's certificate: read from PEM files, exchanged without a restart. Owns the TLS settings; does not accept
//! connections.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::config::Tls;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or is not PEM.
    #[error("`{path}` cannot be read as PEM")]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// The chain is empty.
    #[error("`{path}` holds no certificate")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Key and certificate do not belong together, or cannot be used.
    #[error("the key in `{key}` does not fit the certificate in `{cert}`")]
    Unfit {
        /// The file with the certificate.
        cert: PathBuf,
        /// The file with the key.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

/// The certificate in use, and the files it came from.
#[derive(Debug)]
pub struct Certificates {
    files: Tls,
    provider: Arc<CryptoProvider>,
    current: ArcSwap<CertifiedKey>,
    stamp: Mutex<Stamp>,
}

/// What shows that a file changed: when it was written and how long it is, for both files.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Certificates {
    /// Reads certificate and key.
    pub fn load(files: &Tls) -> Result<Arc<Self>, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        // The stamp first: a change between the two is then seen at the next look.
        let stamp = Mutex::new(stamp(files));
        let current = ArcSwap::from_pointee(read(files, &provider)?);
        Ok(Arc::new(Self { files: files.clone(), provider, current, stamp }))
    }

    /// Reads the files again. On an error the certificate in use stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        *self.stamp.lock().unwrap_or_else(PoisonError::into_inner) = stamp(&self.files);
        self.current.store(Arc::new(read(&self.files, &self.provider)?));
        Ok(())
    }

    /// Reads the files again if one of them changed; whether it did.
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        if *self.stamp.lock().unwrap_or_else(PoisonError::into_inner) == stamp(&self.files) {
            return Ok(false);
        }
        self.reload().map(|()| true)
    }

    /// Keeps the certificate fresh: on SIGHUP at once, and within seconds of a change of the files. Ends never.
    pub async fn keep_fresh(self: Arc<Self>) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut hangup = signal(SignalKind::hangup())?;
        let mut look = tokio::time::interval(LOOK);
        loop {
            let reloaded = tokio::select! {
                _ = hangup.recv() => self.reload().map(|()| true),
                _ = look.tick() => self.reload_if_changed(),
            };
            match reloaded {
                Ok(true) => tracing::info!("the certificate was read again"),
                Ok(false) => {}
                Err(error) => {
                    let source = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(%error, source, "the new certificate is not usable, the old one stays");
                }
            }
        }
    }

    /// TLS 1.2 and 1.3 with this certificate, whatever it is at the time of a handshake.
    pub fn server_config(self: &Arc<Self>) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .expect("the provider supports the default versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn read(files: &Tls, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Pem { path, source }
    };
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(&files.cert).and_then(Iterator::collect).map_err(at(&files.cert))?;
    if chain.is_empty() {
        return Err(TlsError::Empty { path: files.cert.clone() });
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(at(&files.key))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|source| TlsError::Unfit {
        cert: files.cert.clone(),
        key: files.key.clone(),
        source,
    })
}

fn stamp(files: &Tls) -> Stamp {
    [&files.cert, &files.key].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}
