//! Versions of resources as entity tags (RFC 7644 §3.14, RFC 9110 §8.8.3, §13.1).

/// The weak entity tag of a version.
pub fn tag(version: i64) -> String {
    format!("W/\"{version}\"")
}

/// Whether a version is among the tags of `If-Match` or `If-None-Match`. Tags are compared weakly: SCIM's are weak.
pub fn is_among(header: &str, version: i64) -> bool {
    let own = version.to_string();
    header.split(',').map(str::trim).any(|one| {
        let opaque = one.strip_prefix("W/").unwrap_or(one);
        one == "*" || opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) == Some(own.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly() {
        assert_eq!(tag(7), "W/\"7\"");
        for header in ["W/\"7\"", "\"7\"", "*", "\"a\", W/\"7\" ", "\"7\",\"8\""] {
            assert!(is_among(header, 7), "{header}");
        }
        for header in ["", "7", "W/\"77\"", "\"\"", "W/7", "\"8\", \"9\""] {
            assert!(!is_among(header, 7), "{header}");
        }
    }
}
