//! Documents of operators and administrators: policies and tenant files.

use countersign::policy_document::{Shape, downgrade, parse, upgrade, validate, write};
use countersign::tenant_file;

use super::{text, value};

/// A policy.
pub fn policy_document(bytes: &[u8]) {
    let Some(value) = value(bytes) else { return };
    let new = upgrade(&value, None);
    for document in [&value, &new] {
        let Ok(policy) = validate(document) else { continue };
        let written = write(&policy);
        assert_eq!(parse(&written, policy.id, policy.revision).as_ref(), Ok(&policy), "{written}");
        let _ = (downgrade(document, Shape::Three), downgrade(document, Shape::One));
    }
}

/// A tenant file.
pub fn tenant_file(bytes: &[u8]) {
    if let Some(text) = text(bytes)
        && let Err(problems) = tenant_file::load_text("t.toml", text)
    {
        assert!(!problems.is_empty(), "refused without a word");
    }
}
