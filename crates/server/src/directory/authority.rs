//! How a request is matched to a base URL: by authority, and by nothing else of it.

/// Longest authority that is looked up: a host name has at most 253 characters (RFC 1035 §2.3.4), a port five.
pub(super) const LONGEST: usize = 260;

/// Folds an authority to the form it is looked up in, in a buffer of the caller's: requests allocate nothing here.
pub(super) fn fold<'a>(authority: &str, buffer: &'a mut [u8; LONGEST]) -> Option<&'a str> {
    let folded = buffer.get_mut(..authority.len())?;
    folded.copy_from_slice(authority.as_bytes());
    folded.make_ascii_lowercase();
    std::str::from_utf8(folded).ok()
}

/// The forms a request may name the authority of `base` in: as it is written and, where the port is the scheme's own,
/// with and without it.
pub(super) fn keys(base: &str) -> Vec<Box<str>> {
    let Some((scheme, authority)) = split_url(base) else { return Vec::new() };
    let authority = authority.to_ascii_lowercase();
    let standard = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
    if let Some(host) = authority.strip_suffix(standard) {
        return vec![host.into(), authority.as_str().into()];
    }
    if port(&authority).is_some() {
        return vec![authority.into()];
    }
    vec![format!("{authority}{standard}").into(), authority.into()]
}

/// Scheme and authority of a base URL; none where it is no `http` or `https` URL with nothing behind the authority.
///
/// The authority is a host name, an IPv4 address or a bracketed IPv6 address, with or without a port; no user name, no
/// path, no trailing slash.
pub fn split_url(base: &str) -> Option<(&str, &str)> {
    let (scheme, authority) = base.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let host = match port(authority) {
        Some((host, port)) => {
            port.parse::<u16>().ok().filter(|port| *port > 0)?;
            host
        }
        None => authority,
    };
    let well_formed = match host.strip_prefix('[').map(|rest| rest.strip_suffix(']')) {
        Some(Some(inner)) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        Some(None) => false,
        None => {
            !host.is_empty()
                && host.len() <= 253
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
                && !host.starts_with('.')
                && !host.ends_with('.')
        }
    };
    well_formed.then_some((scheme, authority))
}

/// Host and port of an authority that names a port.
fn port(authority: &str) -> Option<(&str, &str)> {
    // The colons within the brackets of an IPv6 address are not followed by a port.
    let (host, port) = authority.rsplit_once(':')?;
    (!port.ends_with(']')).then_some((host, port))
}
