//! Owns redirect URIs: which may be registered, and which requested one is a registered one.
//!
//! Comparison is of whole texts, never of parts decoded or put in order (RFC 9700 §2.1); the one exception is the port of a native
//! application on loopback (RFC 8252 §7.3).

/// Bytes of a URI.
const MAX_URI: usize = 2048;
/// Schemes that run or show content instead of going somewhere.
const FORBIDDEN: [&str; 9] =
    ["javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "view-source", "ws"];

/// Why a URI may not be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriProblem {
    /// Empty or too long.
    #[error("the URI is empty or too long")]
    Length,
    /// A control character, blank, backslash, quote or non-ASCII character.
    #[error("the URI holds a character that may not stand in one")]
    Character,
    /// No scheme, or one with a meaning of its own.
    #[error("the scheme of the URI is missing or forbidden")]
    Scheme,
    /// No host, or a user part, or a port that is none.
    #[error("the authority of the URI is missing or malformed")]
    Authority,
    /// A fragment (RFC 6749 §3.1.2).
    #[error("the URI has a fragment")]
    Fragment,
    /// `http` where only `https` may stand.
    #[error("the URI must be `https`")]
    Cleartext,
    /// A private scheme for an application that is not native, or without a dot (RFC 8252 §7.1).
    #[error("a private scheme is for native applications and is a domain written backwards")]
    PrivateScheme,
}

/// Checks a redirect or logout URI before it is registered. Plain `http` is for loopback unless allowed.
///
/// # Errors
/// What is wrong with it.
pub fn check_registrable(uri: &str, native: bool, allow_http: bool) -> Result<(), UriProblem> {
    if uri.is_empty() || uri.len() > MAX_URI {
        return Err(UriProblem::Length);
    }
    // RFC 3986 §2: nothing else may stand in a URI. Leading blanks and controls would hide the scheme.
    if !uri.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b)) {
        return Err(UriProblem::Character);
    }
    let (scheme, rest) = uri.split_once(':').ok_or(UriProblem::Scheme)?;
    let scheme = scheme.to_ascii_lowercase();
    let starts_well = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    if !starts_well
        || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        || FORBIDDEN.contains(&scheme.as_str())
    {
        return Err(UriProblem::Scheme);
    }
    if uri.contains('#') {
        return Err(UriProblem::Fragment);
    }
    match scheme.as_str() {
        "http" | "https" => {
            let host = read_host(rest).ok_or(UriProblem::Authority)?;
            let local = ["127.0.0.1", "[::1]", "localhost"].contains(&host.to_ascii_lowercase().as_str());
            if scheme == "http" && !local && !allow_http { Err(UriProblem::Cleartext) } else { Ok(()) }
        }
        private if native && private.contains('.') => Ok(()),
        _ => Err(UriProblem::PrivateScheme),
    }
}

/// Whether a requested URI is one of those registered: letter for letter, or, for a native application, with another
/// port on a loopback address. `localhost` has no such freedom: it may be a name of somebody else (RFC 8252 §8.3).
pub fn is_registered(registered: &[String], requested: &str, native: bool) -> bool {
    if requested.len() > MAX_URI {
        return false;
    }
    registered.iter().any(|known| {
        known == requested
            || native
                && match (split_loopback(known), split_loopback(requested)) {
                    (Some(known), Some(requested)) => known == requested,
                    _ => false,
                }
    })
}

/// A loopback URI as its host and what follows the port; none if it is not on loopback or its port is none.
fn split_loopback(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let host = ["127.0.0.1", "[::1]"].into_iter().find(|host| authority.starts_with(host))?;
    match &authority[host.len()..] {
        "" => Some((host, tail)),
        port => read_port(port).map(|()| (host, tail)),
    }
}

/// The host of an `http` or `https` address, in lower case; none where it is no such address.
pub fn web_host(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once(':')?;
    let web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    read_host(rest).filter(|_| web).map(str::to_ascii_lowercase)
}

/// The host of `//host:port/…`; none if there is none, a user part, or a port that is none.
fn read_host(rest: &str) -> Option<&str> {
    let rest = rest.strip_prefix("//")?;
    let authority = &rest[..rest.find(['/', '?']).unwrap_or(rest.len())];
    let end = match authority.strip_prefix('[') {
        Some(inside) => inside.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let plain = host.starts_with('[') && host.bytes().all(|b| b.is_ascii_hexdigit() || b"[:.]".contains(&b))
        || !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    (plain && (port.is_empty() || read_port(port).is_some())).then_some(host)
}

fn read_port(text: &str) -> Option<()> {
    let digits = text.strip_prefix(':')?;
    let plain = (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    (plain && digits.parse::<u16>().is_ok_and(|port| port > 0)).then_some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const APP: &str = "https://app.example.com/cb";

    #[test]
    fn look_alikes_are_not_registered() {
        // attack case 1
        let registered = [APP.to_owned()];
        assert!(is_registered(&registered, APP, false));
        for other in [
            "https://app.example.com/cb/",
            "https://app.example.com/CB",
            "https://app.example.com/cb?x=1",
            "https://app.example.com/cb#x",
            "https://user@app.example.com/cb",
            "https://app.example.com:443/cb",
            "https://app.example.com\\cb",
            "https://app.example.com/x/..;/cb",
            "https://app.example.com/%2e%2e/cb",
            "https://app.example.com.evil.org/cb",
            "https://appXexample.com/cb",
            "https://APP.example.com/cb",
            "http://app.example.com/cb",
            " https://app.example.com/cb",
            "",
        ] {
            assert!(!is_registered(&registered, other, false), "{other}");
            assert!(!is_registered(&registered, other, true), "{other}");
        }
    }

    #[test]
    fn native_applications_have_any_loopback_port() {
        let registered =
            ["http://127.0.0.1/cb?x=1".to_owned(), "http://[::1]:9/cb".to_owned(), "http://localhost/cb".to_owned()];
        for good in [
            "http://127.0.0.1:49152/cb?x=1",
            "http://127.0.0.1/cb?x=1",
            "http://[::1]:1/cb",
            "http://[::1]/cb",
            "http://localhost/cb",
        ] {
            assert!(is_registered(&registered, good, true), "{good}");
        }
        assert!(!is_registered(&registered, "http://127.0.0.1:49152/cb?x=1", false), "not a native one");
        for bad in [
            "http://127.0.0.1.evil.org/cb?x=1",
            "http://127.0.0.1:1@evil.org/cb?x=1",
            "http://127.0.0.1:0/cb?x=1",
            "http://127.0.0.1:65536/cb?x=1",
            "http://127.0.0.1:/cb?x=1",
            "http://127.0.0.1:+1/cb?x=1",
            "https://127.0.0.1:1/cb?x=1",
            "http://127.0.0.1:1/cb",
            "http://127.0.0.1:1/cb?x=1&y",
            "http://127.0.0.10:1/cb?x=1",
            "http://localhost:1/cb",
            "http://[::1]x:1/cb",
            "http://127.0.0.1:1\\@evil/cb?x=1",
        ] {
            assert!(!is_registered(&registered, bad, true), "{bad}");
        }
    }

    #[test]
    fn what_runs_instead_of_going_somewhere_is_never_registered() {
        // attack case 2
        for bad in
            ["javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "VBSCRIPT:x", "file:///etc/passwd"]
        {
            assert_eq!(check_registrable(bad, true, true), Err(UriProblem::Scheme), "{bad}");
        }
        for bad in [
            "\u{1}javascript:x",
            " javascript:x",
            "java\tscript:x",
            "https://a/\n",
            "https://ä/",
            "https://a\\b",
            "https://a/\"x",
        ] {
            assert_eq!(check_registrable(bad, true, true), Err(UriProblem::Character), "{bad:?}");
        }
    }

    #[test]
    fn registration_says_what_is_wrong() {
        let check = |uri: &str| check_registrable(uri, false, false);
        assert_eq!(check(APP), Ok(()));
        assert_eq!(check("http://localhost:3000/cb"), Ok(()));
        assert_eq!(check("http://[::1]/cb"), Ok(()));
        assert_eq!(check("http://app.example.com/cb"), Err(UriProblem::Cleartext));
        assert_eq!(check_registrable("http://app.example.com/cb", false, true), Ok(()));
        assert_eq!(check("http://localhost.evil.org/cb"), Err(UriProblem::Cleartext));
        assert_eq!(check("https://app.example.com/cb#x"), Err(UriProblem::Fragment));
        assert_eq!(check("com.example.app:/cb"), Err(UriProblem::PrivateScheme));
        assert_eq!(check_registrable("com.example.app:/cb", true, false), Ok(()));
        assert_eq!(check_registrable("myapp:/cb", true, false), Err(UriProblem::PrivateScheme));
        assert_eq!(check("/cb"), Err(UriProblem::Scheme));
        assert_eq!(check("1a:x"), Err(UriProblem::Scheme));
        assert_eq!(check(""), Err(UriProblem::Length));
        assert_eq!(check(&format!("https://a/{}", "x".repeat(2048))), Err(UriProblem::Length));
        for bad in [
            "https:app",
            "https://",
            "https:///cb",
            "https://u@a/cb",
            "https://u:p@a/cb",
            "https://a:x/cb",
            "https://a:99999/",
            "https://[::1/",
            "https://[x]/",
        ] {
            assert_eq!(check(bad), Err(UriProblem::Authority), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(a in ".{0,60}", b in "(http://)?(127\\.0\\.0\\.1|\\[::1\\])?[:/?@a0-9.\\[\\]]{0,12}") {
            for uri in [&a, &b] {
                let _ = check_registrable(uri, true, true);
                let _ = is_registered(&[a.clone(), b.clone()], uri, true);
            }
        }

        #[test]
        fn without_native_only_the_same_text_is_registered(a in "[a-z:/.0-9]{0,12}", b in "[a-z:/.0-9]{0,12}") {
            prop_assert_eq!(is_registered(std::slice::from_ref(&a), &b, false), a == b);
        }
    }
}
