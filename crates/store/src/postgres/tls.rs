//! TLS towards PostgreSQL.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::StoreError;

/// None where the URL says `sslmode=disable`. With TLS the certificate is always verified.
pub(super) fn connector(config: &Config, ca: Option<&Path>) -> Result<Option<MakeRustlsConnect>, StoreError> {
    if config.get_ssl_mode() == SslMode::Disable {
        return Ok(None);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| StoreError::from("TLS cannot be set up", source))?;
    let builder = match ca {
        Some(path) => builder.with_root_certificates(roots(path)?),
        None => builder.with_platform_verifier().map_err(|source| StoreError::from("TLS cannot be set up", source))?,
    };
    Ok(Some(MakeRustlsConnect::new(builder.with_no_client_auth())))
}

fn roots(path: &Path) -> Result<RootCertStore, StoreError> {
    let unreadable = |source| StoreError::from("the trusted certificates cannot be read", source);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        roots
            .add(certificate.map_err(unreadable)?)
            .map_err(|source| StoreError::from("a trusted certificate cannot be used", source))?;
    }
    if roots.is_empty() {
        return Err(StoreError::new("the file of trusted certificates holds none"));
    }
    Ok(roots)
}
