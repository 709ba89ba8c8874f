//! The list of passwords that leaked: a file of SHA-1 hashes in order, as Have I Been Pwned hands it out. Looked up by halving,
//! so it is neither loaded nor indexed.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use aws_lc_rs::digest;

use crate::secret::Secret;

/// Hexadecimal digits of a hash.
const DIGITS: usize = 40;
/// No line is longer: a hash, a colon and a number.
const LONGEST_LINE: usize = 64;

/// The list cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` cannot be read as a list of leaked passwords")]
pub struct Unreadable {
    path: String,
    #[source]
    source: std::io::Error,
}

/// Whether a password is on the list. Each line holds a SHA-1 in hexadecimal digits, then anything; the lines are in order.
///
/// # Errors
/// The file cannot be read.
pub fn is_breached(list: &Path, password: &Secret<String>) -> Result<bool, Unreadable> {
    let wanted = hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, password.expose().as_bytes()).as_ref());
    search(list, &wanted).map_err(|source| Unreadable { path: list.display().to_string(), source })
}

fn search(list: &Path, wanted: &[u8; DIGITS]) -> std::io::Result<bool> {
    let file = File::open(list)?;
    // The line looked for begins in `low..high`.
    let (mut low, mut high) = (0, file.metadata()?.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let Some((begin, end, hash)) = line_behind(&file, middle, high)? else {
            // No line begins behind the middle: what is left is at or before it.
            high = middle;
            continue;
        };
        match hash.as_slice().cmp(wanted.as_slice()) {
            std::cmp::Ordering::Equal => return Ok(true),
            std::cmp::Ordering::Less => low = end,
            std::cmp::Ordering::Greater if begin == middle => high = middle,
            std::cmp::Ordering::Greater => high = middle.max(low),
        }
    }
    Ok(false)
}

/// The first line that begins at or behind `at` and before `limit`: where it begins, where the next one does, its hash.
fn line_behind(file: &File, at: u64, limit: u64) -> std::io::Result<Option<(u64, u64, Vec<u8>)>> {
    let start = at.saturating_sub(1);
    let mut buffer = [0; 2 * LONGEST_LINE + 2];
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], start + read as u64)? {
            0 => break,
            count => read += count,
        }
    }
    let buffer = &buffer[..read];
    let offset =
        if at == 0 { Some(0) } else { buffer.iter().position(|byte| *byte == b'\n').map(|position| position + 1) };
    let Some(offset) = offset.filter(|offset| *offset < buffer.len()) else { return Ok(None) };
    let begin = start + offset as u64;
    if begin >= limit {
        return Ok(None);
    }
    let rest = &buffer[offset..];
    let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let hash = rest[..length].iter().take(DIGITS).map(u8::to_ascii_uppercase).collect();
    Ok(Some((begin, begin + length as u64 + 1, hash)))
}

fn hex(bytes: &[u8]) -> [u8; DIGITS] {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut digits = [0; DIGITS];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    digits
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn list(passwords: &[String], end: &str, lower: bool) -> tempfile::NamedTempFile {
        let mut lines: Vec<String> = passwords
            .iter()
            .enumerate()
            .map(|(nth, password)| {
                let hash = hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes()).as_ref());
                let hash = String::from_utf8(hash.to_vec()).unwrap();
                let hash = if lower { hash.to_lowercase() } else { hash };
                if nth % 3 == 0 { hash } else { format!("{hash}:{}", nth * 977) }
            })
            .collect();
        lines.sort();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), lines.join(end)).unwrap();
        file
    }

    #[test]
    fn every_password_on_the_list_is_found_and_no_other() {
        for count in [0, 1, 2, 3, 7, 100, 1001] {
            for (end, lower) in [("\n", false), ("\r\n", true)] {
                let passwords: Vec<String> = (0..count).map(|nth| format!("leaked-{nth}")).collect();
                let file = list(&passwords, end, lower);
                let found = |password: &str| is_breached(file.path(), &Secret::from(password)).unwrap();
                for password in &passwords {
                    assert!(found(password), "{password} of {count}");
                }
                for nth in 0..50 {
                    assert!(!found(&format!("other-{nth}")));
                }
            }
        }
    }

    #[test]
    fn a_list_that_is_not_there_is_told_and_never_taken_for_an_empty_one() {
        assert!(is_breached(Path::new("/nowhere/leaked.txt"), &Secret::from("x")).is_err());
    }
}
