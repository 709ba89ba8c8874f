//! Metadata documents of a tenant, written once for each address they are asked at. Owns the keeping; does not know what they say.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::body::Bytes;
use protocol::discovery::Prefix;
use protocol::records::SigningAlg;

/// What a document depends on beside the tenant's configuration, which never changes within one view: algorithms that sign at
/// present, and whether anything can be encrypted to the tenant.
pub type Depends = (Vec<SigningAlg>, bool);

/// The documents of one view of a tenant.
#[derive(Debug, Default)]
pub struct Documents(ArcSwap<Vec<Document>>);

#[derive(Clone, Debug)]
struct Document {
    base: Box<str>,
    prefix: Prefix,
    depends: Depends,
    body: Bytes,
}

impl Documents {
    /// The document for this address. As many are kept as a tenant has base URLs and path families, no more.
    pub fn get_or_write(
        &self,
        base: &str,
        prefix: Prefix,
        depends: Depends,
        write: impl FnOnce(&Depends) -> Bytes,
    ) -> Bytes {
        let here = |document: &Document| document.prefix == prefix && *document.base == *base;
        if let Some(known) = self.0.load().iter().find(|document| here(document) && document.depends == depends) {
            return known.body.clone();
        }
        let body = write(&depends);
        let document = Document { base: base.into(), prefix, depends, body: body.clone() };
        self.0.rcu(|before| {
            let others = before.iter().filter(|document| !here(document)).cloned();
            Arc::new(others.chain([document.clone()]).collect::<Vec<_>>())
        });
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_written_once_until_what_it_depends_on_changes() {
        let documents = Documents::default();
        let get = |base: &str, prefix, algs: &[SigningAlg], text: &'static str| {
            documents.get_or_write(base, prefix, (algs.to_vec(), true), |_| Bytes::from_static(text.as_bytes()))
        };
        let (one, two) = ([SigningAlg::Rs256], [SigningAlg::Rs256, SigningAlg::Es256]);
        assert_eq!(get("https://a", Prefix::Root, &one, "first"), "first");
        assert_eq!(get("https://a", Prefix::Root, &one, "second"), "first");
        assert_eq!(get("https://b", Prefix::Root, &one, "other host"), "other host");
        assert_eq!(get("https://a", Prefix::Newer, &one, "other family"), "other family");
        assert_eq!(get("https://a", Prefix::Root, &two, "rotated"), "rotated");
        assert_eq!(get("https://a", Prefix::Root, &two, "again"), "rotated");
        assert_eq!(documents.0.load().len(), 3);
    }
}
