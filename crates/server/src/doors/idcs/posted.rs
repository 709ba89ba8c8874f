//! Forms that browsers bring from sign-in pages: urlencoded, or in parts (reference §4.7). Owns reading them; what a field means is the
//! endpoint's.

use axum::http::header;
use protocol::form::Form;
use protocol::idcs::multipart;
use protocol::oauth_error::Rejection;

use crate::call::Call;

/// The form of a request, in whichever of the two media types, no field repeated.
///
/// # Errors
/// It is in neither, malformed, or too large.
pub fn form(call: &Call) -> Result<Form, Rejection> {
    let content_type = call.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !multipart::is_multipart(content_type) {
        return call.form(&[]);
    }
    let form = multipart::parse(content_type, &call.body)?;
    form.refuse_duplicates(&[])?;
    Ok(form)
}
