//! As much HTTP/1.1 as a load generator needs: requests are bytes, answers have a length.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::Outcome;

/// An answer that lies in a buffer.
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Its status line and header lines.
    pub head: &'a [u8],
    /// Its body.
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// The text of a member of a JSON object whose value needs no unescaping: identifiers, tokens, codes.
    pub fn text(&self, name: &str) -> Outcome<&str> {
        let body = std::str::from_utf8(self.body).map_err(|_| "the answer is not UTF-8".to_owned())?;
        find(body, name).ok_or_else(|| format!("no `{name}` in the answer: {}", shorten(body)))
    }

    /// The same, of the last such member.
    pub fn last_text(&self, name: &str) -> Outcome<&str> {
        let body = std::str::from_utf8(self.body).map_err(|_| "the answer is not UTF-8".to_owned())?;
        let start = body.rfind(&format!("\"{name}\":\"")).unwrap_or(body.len());
        find(&body[start..], name).ok_or_else(|| format!("no `{name}` in the answer: {}", shorten(body)))
    }

    /// How many such members there are.
    pub fn count(&self, name: &str) -> usize {
        String::from_utf8_lossy(self.body).matches(&format!("\"{name}\":\"")).count()
    }

    /// The values of a header, named in lower case.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        let lines = std::str::from_utf8(self.head).unwrap_or_default().split("\r\n").skip(1);
        let pairs = lines.filter_map(|line| line.split_once(':'));
        pairs.filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// An error unless the status is the one expected.
    pub fn expect(&self, status: u16) -> Outcome {
        if self.status == status {
            return Ok(());
        }
        Err(format!("status {} in place of {status}: {}", self.status, shorten(&String::from_utf8_lossy(self.body))))
    }
}

fn find<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let key = format!("\"{name}\":\"");
    let rest = &body[body.find(&key)? + key.len()..];
    rest.split_once('"').map(|(value, _)| value)
}

fn shorten(text: &str) -> &str {
    text.char_indices().nth(300).map_or(text, |(end, _)| &text[..end])
}

/// Finds a whole answer at the start of `bytes`: where its body lies and its status. None while it is incomplete.
pub fn parse(bytes: &[u8]) -> Outcome<Option<(u16, usize, usize)>> {
    let Some(head) = find_end(bytes) else {
        return if bytes.len() > 64 * 1024 {
            Err("an answer without an end of its header".to_owned())
        } else {
            Ok(None)
        };
    };
    let text = std::str::from_utf8(&bytes[..head]).map_err(|_| "a header that is not UTF-8".to_owned())?;
    let status = text.get(9..12).and_then(|code| code.parse().ok()).ok_or("an answer without a status")?;
    let mut length = None;
    for line in text.split("\r\n").skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse::<usize>().ok();
        }
    }
    let length = length.ok_or("an answer without a length")?;
    let (start, end) = (head + 4, head + 4 + length);
    Ok((bytes.len() >= end).then_some((status, start, end)))
}

fn find_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n")
}

/// Writes requests to one authority.
#[derive(Clone)]
pub struct Requests {
    authority: String,
}

impl Requests {
    /// To this address, which is also the name of the host.
    pub fn to(address: SocketAddr) -> Self {
        Self { authority: address.to_string() }
    }

    /// A form.
    pub fn form(&self, out: &mut Vec<u8>, path: &str, pairs: &[(&str, &str)]) {
        self.form_with(out, path, pairs, None);
    }

    /// A form from a browser that holds cookies.
    pub fn form_as(&self, out: &mut Vec<u8>, path: &str, pairs: &[(&str, &str)], cookies: &str) {
        self.form_with(out, path, pairs, Some(("Cookie", cookies)));
    }

    fn form_with(&self, out: &mut Vec<u8>, path: &str, pairs: &[(&str, &str)], extra: Option<(&str, &str)>) {
        let mut body = String::new();
        for (name, value) in pairs {
            if !body.is_empty() {
                body.push('&');
            }
            body.push_str(name);
            body.push('=');
            body.extend(percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC));
        }
        self.post(out, path, "application/x-www-form-urlencoded", extra, &body);
    }

    /// A JSON body under a bearer token.
    pub fn json(&self, out: &mut Vec<u8>, path: &str, bearer: &str, body: &str) {
        let bearer = format!("Bearer {bearer}");
        self.post(out, path, "application/json", Some(("Authorization", &bearer)), body);
    }

    /// A request without a body.
    pub fn get(&self, out: &mut Vec<u8>, path: &str, bearer: Option<&str>) {
        let bearer = bearer.map(|bearer| format!("Bearer {bearer}"));
        self.get_with(out, path, bearer.as_ref().map(|bearer| ("Authorization", bearer.as_str())));
    }

    /// The same from a browser that holds cookies.
    pub fn get_as(&self, out: &mut Vec<u8>, path: &str, cookies: &str) {
        self.get_with(out, path, Some(("Cookie", cookies)));
    }

    fn get_with(&self, out: &mut Vec<u8>, path: &str, extra: Option<(&str, &str)>) {
        out.extend_from_slice(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n", self.authority).as_bytes());
        Self::finish_head(out, extra);
    }

    fn post(&self, out: &mut Vec<u8>, path: &str, kind: &str, extra: Option<(&str, &str)>, body: &str) {
        let (authority, length) = (&self.authority, body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n"
        );
        out.extend_from_slice(head.as_bytes());
        Self::finish_head(out, extra);
        out.extend_from_slice(body.as_bytes());
    }

    fn finish_head(out: &mut Vec<u8>, extra: Option<(&str, &str)>) {
        out.extend_from_slice(b"Accept: application/json\r\n");
        if let Some((name, value)) = extra {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// One request on a connection of its own: its status, if there was an answer at all.
pub fn once(address: SocketAddr, request: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.write_all(request).ok()?;
    let (mut buffer, mut chunk) = (Vec::new(), [0; 8192]);
    loop {
        if let Ok(Some((status, _, _))) = parse(&buffer) {
            return Some(status);
        }
        match stream.read(&mut chunk) {
            Ok(read) if read > 0 => buffer.extend_from_slice(&chunk[..read]),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_when_it_is_whole() {
        let bytes = b"HTTP/1.1 201 Created\r\ncontent-LENGTH: 4\r\nx: y\r\n\r\n{\"a\"HTTP/1.1";
        for end in 0..bytes.len() {
            let found = parse(&bytes[..end]).expect("well formed");
            assert_eq!(found.is_some(), end >= 53, "{end}");
        }
        assert_eq!(parse(bytes), Ok(Some((201, 49, 53))));
        assert!(parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn members_are_found_by_name() {
        let body = br#"[{"id":"1","code":"123456"},{"id":"2","code":"654321"}]"#;
        let answer = Answer { status: 200, head: b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nset-cookie: c=d", body };
        assert_eq!(answer.headers("set-cookie").collect::<Vec<_>>(), ["a=b", "c=d"]);
        assert_eq!(answer.text("code"), Ok("123456"));
        assert_eq!(answer.last_text("code"), Ok("654321"));
        assert_eq!((answer.count("code"), answer.count("absent")), (2, 0));
        assert!(answer.text("absent").is_err());
        assert!(answer.expect(200).is_ok() && answer.expect(201).is_err());
    }
}
