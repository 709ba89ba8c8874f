//! Owns reading `multipart/form-data` (RFC 7578): the session and provider endpoints take forms in it as well (Oracle page §4.7).
//!
//! Fields only. A part that names a file is refused: nothing is ever uploaded there.

use crate::form::{Form, USUAL};
use crate::oauth_error::Rejection;

/// The longest boundary (RFC 2046 §5.1.1).
const LONGEST_BOUNDARY: usize = 70;
/// Bytes of the head of a part.
const LONGEST_HEAD: usize = 2048;

fn malformed() -> Rejection {
    Rejection::invalid_request("the form is malformed")
}

/// Whether a media type is this one.
pub fn is_multipart(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("multipart/form-data")
}

/// Reads a body of this media type, within the usual limits of forms.
///
/// # Errors
/// It is malformed, too large, not text, or holds a file.
pub fn parse(content_type: &str, body: &[u8]) -> Result<Form, Rejection> {
    if body.len() > USUAL.bytes {
        return Err(Rejection::invalid_request("the form is too long"));
    }
    let boundary = parameter(content_type, "boundary").ok_or_else(malformed)?;
    if !(1..=LONGEST_BOUNDARY).contains(&boundary.len()) || !boundary.is_ascii() {
        return Err(malformed());
    }
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    // What stands before the first delimiter is nobody's; the delimiter may begin the body without a break before it.
    let mut rest = match body.strip_prefix(&delimiter[2..]) {
        Some(rest) => rest,
        None => after(body, &delimiter).ok_or_else(malformed)?.1,
    };
    let mut pairs: Vec<(String, String)> = Vec::new();
    loop {
        // Two hyphens end the form, blanks may follow a delimiter.
        if rest.starts_with(b"--") {
            return Ok(Form::from_pairs(pairs));
        }
        let start = rest.iter().position(|byte| !matches!(byte, b' ' | b'\t')).ok_or_else(malformed)?;
        rest = rest[start..].strip_prefix(b"\r\n").ok_or_else(malformed)?;
        let (part, next) = after(rest, &delimiter).ok_or_else(malformed)?;
        if pairs.len() == USUAL.pairs {
            return Err(Rejection::invalid_request("too many parameters"));
        }
        pairs.push(field(part)?);
        rest = next;
    }
}

/// What stands before and after the first of these bytes.
fn after<'b>(text: &'b [u8], what: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let at = text.windows(what.len()).position(|window| window == what)?;
    Some((&text[..at], &text[at + what.len()..]))
}

/// The name and the value of one part.
fn field(part: &[u8]) -> Result<(String, String), Rejection> {
    // A part without any head begins with the empty line.
    let (head, value) = match part.strip_prefix(b"\r\n") {
        Some(value) => (&b""[..], value),
        None => after(part, b"\r\n\r\n").ok_or_else(malformed)?,
    };
    let head = Some(head).filter(|head| head.len() <= LONGEST_HEAD).and_then(|head| std::str::from_utf8(head).ok());
    let mut lines = head.ok_or_else(malformed)?.split("\r\n");
    let disposition = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    });
    let disposition = disposition.ok_or_else(malformed)?;
    let kind = disposition.split(';').next().unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(malformed());
    }
    if parameter(disposition, "filename").is_some() || parameter(disposition, "filename*").is_some() {
        return Err(Rejection::invalid_request("files are not taken"));
    }
    let name = parameter(disposition, "name").ok_or_else(malformed)?;
    let value = std::str::from_utf8(value).map_err(|_| Rejection::invalid_request("the parameters are not UTF-8"))?;
    if name.len() > USUAL.name || value.len() > USUAL.value {
        return Err(Rejection::invalid_request("a parameter is too long"));
    }
    if name.contains('\0') || value.contains('\0') {
        return Err(Rejection::invalid_request("a parameter holds a forbidden character"));
    }
    Ok((name, value.to_owned()))
}

/// A parameter behind the first semicolon, plain or quoted; quotes within are escaped as `%22` or by a backslash.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    let mut rest = header.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let mut value = String::new();
                let mut chars = quoted.char_indices();
                let end = loop {
                    match chars.next()? {
                        (at, '"') => break at + 1,
                        (_, '\\') => value.push(chars.next()?.1),
                        (_, c) => value.push(c),
                    }
                };
                (value, quoted[end..].split_once(';').map(|(_, next)| next))
            }
            None => {
                let (value, next) = after.split_once(';').map_or((after, None), |(value, next)| (value, Some(next)));
                (value.trim().to_owned(), next)
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value.replace("%22", "\""));
        }
        rest = next?;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const TYPE: &str = "multipart/form-data; boundary=x-y";

    fn pairs(content_type: &str, body: &str) -> Option<Vec<(String, String)>> {
        let form = parse(content_type, body.as_bytes()).ok()?;
        Some(form.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn part(name: &str, value: &str) -> String {
        format!("--x-y\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    }

    #[test]
    fn fields_are_read_as_browsers_and_tools_write_them() {
        let body = format!("{}{}--x-y--\r\n", part("authnToken", "a+b/c=%20"), part("empty", ""));
        let read = pairs(TYPE, &body).unwrap();
        assert_eq!(read, [("authnToken".into(), "a+b/c=%20".into()), ("empty".into(), String::new())]);
        // A quoted boundary, a preamble, blanks behind a delimiter, another order and case of what is said of a part.
        let body = "ignored\r\n--x y\t \r\ncontent-type: text/plain; charset=utf-8\r\nCONTENT-DISPOSITION: form-data ; NAME=q\r\n\
                    \r\nline one\r\nline two\r\n--x y--";
        let read = pairs("Multipart/Form-Data; charset=utf-8; boundary=\"x y\"", body).unwrap();
        assert_eq!(read, [("q".into(), "line one\r\nline two".into())]);
        assert_eq!(pairs(TYPE, "--x-y--\r\n").unwrap(), []);
        let quoted = "--x-y\r\nContent-Disposition: form-data; name=\"a%22b\\\"c;d\"\r\n\r\n1\r\n--x-y--";
        assert_eq!(pairs(TYPE, quoted).unwrap(), [("a\"b\"c;d".into(), "1".into())]);
    }

    #[test]
    fn what_is_malformed_large_or_a_file_is_refused() {
        let file = "--x-y\r\nContent-Disposition: form-data; name=\"a\"; filename=\"b\"\r\n\r\n1\r\n--x-y--";
        for body in [
            "",
            "authnToken=x",
            "--x-y",
            "--x-y\r\n",
            "--x-y\r\n\r\n1\r\n--x-y--",
            "--x-y\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x-y--",
            "--x-y\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n1\r\n--x-y--",
            "--x-y\r\nContent-Disposition: form-data; name=\"a\"\r\n1\r\n--x-y--",
            "--x-y\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nnever ends",
            "--x-y\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\0\r\n--x-y--",
            file,
        ] {
            assert!(parse(TYPE, body.as_bytes()).is_err(), "{body:?}");
        }
        let fine = format!("{}--x-y--", part("a", "1"));
        for content_type in
            ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"x-y"]
        {
            assert!(parse(content_type, fine.as_bytes()).is_err(), "{content_type}");
        }
        assert!(parse(&format!("{TYPE}{}", "z".repeat(70)), fine.as_bytes()).is_err());
        assert!(parse(TYPE, format!("{}--x-y--", part("a", &"v".repeat(USUAL.value + 1))).as_bytes()).is_err());
        assert!(parse(TYPE, format!("{}--x-y--", part("a", "1").repeat(USUAL.pairs + 1)).as_bytes()).is_err());
        assert!(parse(TYPE, b"--x-y\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\xff\r\n--x-y--").is_err());
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(fields in prop::collection::vec(("[a-zA-Z]{1,8}", "[^\0]{0,20}"), 0..5)) {
            let body: String = fields.iter().map(|(name, value)| part(name, value)).collect();
            prop_assume!(!fields.iter().any(|(_, value)| value.contains("--x-y")));
            let read = pairs(TYPE, &format!("{body}--x-y--\r\n")).unwrap();
            prop_assert_eq!(read, fields);
        }

        #[test]
        fn nothing_breaks_it(content_type in "multipart/form-data; ?boundary=\"?[a-z]{0,3}\"?", body in prop::collection::vec(
            prop_oneof![Just(&b"--a"[..]), Just(&b"\r\n"[..]), Just(&b"Content-Disposition: form-data; name="[..]),
                Just(&b"\""[..]), Just(&b"--"[..]), Just(&b"\xff;="[..])], 0..20)) {
            let _ = parse(&content_type, &body.concat());
        }
    }
}
