//! Pictures as PNG (PNG third edition), QR codes among them (ISO/IEC 18004). Owns the file format; does not know what is in the picture.

use fast_qr::ECL;
use fast_qr::qr::QRBuilder;
use zeroize::Zeroizing;

/// Pixels of one module: large enough for a camera, small enough for an answer.
const SCALE: usize = 4;
/// Modules of white around the code (ISO/IEC 18004 §5.3.8).
const QUIET: usize = 4;
const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];
/// Most bytes of one stored block (RFC 1951 §3.2.4).
const BLOCK: usize = 0xffff;

/// The text as a QR code; none if it is too long for one.
pub fn qr_png(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let code = QRBuilder::new(text).ecl(ECL::M).build().ok()?;
    let modules = code.size + 2 * QUIET;
    let dark = |row: usize, column: usize| {
        let inside = QUIET..QUIET + code.size;
        inside.contains(&row) && inside.contains(&column) && code[row - QUIET][column - QUIET].value()
    };
    let width = modules * SCALE;
    // One bit a pixel, the highest first, rows padded to bytes, each after a filter byte of 0; 1 is white.
    let mut raw = Zeroizing::new(Vec::with_capacity(width * (width / 8 + 2)));
    for y in 0..width {
        raw.push(0);
        let mut byte = 0_u8;
        for x in 0..width {
            byte = (byte << 1) | u8::from(!dark(y / SCALE, x / SCALE));
            if x % 8 == 7 {
                raw.push(byte);
                byte = 0;
            }
        }
        if !width.is_multiple_of(8) {
            raw.push(byte << (8 - width % 8));
        }
    }
    let mut png = Zeroizing::new(SIGNATURE.to_vec());
    // Bit depth 1, grey.
    chunk(&mut png, b"IHDR", &header(u32::try_from(width).ok()?, [1, 0]));
    chunk(&mut png, b"IDAT", &stored(&raw));
    chunk(&mut png, b"IEND", &[]);
    Some(png)
}

/// A square picture in these sixteen colours; `pixel` says which, by column and row.
pub fn square_png(side: u16, colours: &[[u8; 3]; 16], pixel: impl Fn(u16, u16) -> u8) -> Vec<u8> {
    let mut raw = Vec::with_capacity(usize::from(side) * (usize::from(side) / 2 + 2));
    for y in 0..side {
        raw.push(0);
        for x in (0..side).step_by(2) {
            let second = if x + 1 < side { pixel(x + 1, y) & 15 } else { 0 };
            raw.push((pixel(x, y) & 15) << 4 | second);
        }
    }
    let mut png = SIGNATURE.to_vec();
    // Bit depth 4, by the palette.
    chunk(&mut png, b"IHDR", &header(u32::from(side), [4, 3]));
    chunk(&mut png, b"PLTE", colours.as_flattened());
    chunk(&mut png, b"IDAT", &stored(&raw));
    chunk(&mut png, b"IEND", &[]);
    png
}

/// Of a square picture: its side, bit depth and colour type; deflate, the one filter method, not interlaced.
fn header(side: u32, kind: [u8; 2]) -> Vec<u8> {
    let side = side.to_be_bytes();
    [side.as_slice(), &side, &kind, &[0, 0, 0]].concat()
}

fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    png.extend(length.to_be_bytes());
    png.extend(kind);
    png.extend(data);
    png.extend(crc32(kind.iter().chain(data)).to_be_bytes());
}

/// A zlib stream (RFC 1950) of stored blocks: a few kilobytes are not worth a compressor.
fn stored(raw: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(vec![0x78, 0x01]);
    let mut blocks = raw.chunks(BLOCK).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(adler32(raw).to_be_bytes());
    out
}

fn crc32<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    !bytes.fold(u32::MAX, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
        crc
    })
}

fn adler32(bytes: &[u8]) -> u32 {
    let (a, b) = bytes.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    (b << 16) | a
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[test]
    fn checksums_are_those_of_their_standards() {
        // The check values of both: PNG annex D and RFC 1950 §8.2 with the usual test strings.
        assert_eq!(crc32(b"123456789".iter()), 0xcbf4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11e6_0398);
    }

    #[test]
    fn the_picture_has_the_size_it_says_and_finder_patterns_in_three_corners() {
        let text = "otpauth://totp/Acme:scott?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Acme";
        let png = qr_png(text).unwrap();
        assert!(png.starts_with(&SIGNATURE));
        let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) as usize;
        let width = number(16);
        assert_eq!((number(8), width), (13, number(20)));
        assert_eq!(&png[37..41], b"IDAT");
        let row = width.div_ceil(8) + 1;
        // Behind the zlib header and the header of the only block.
        let pixels = &png[41 + 2 + 5..];
        assert_eq!(number(33), 2 + 5 + row * width + 4);
        let dark = |x: usize, y: usize| (pixels[y * row + 1 + x / 8] >> (7 - x % 8)) & 1 == 0;
        let (low, high) = (QUIET * SCALE, width - QUIET * SCALE - 1);
        assert!(!dark(0, 0) && !dark(low - 1, low - 1));
        assert!(dark(low, low) && dark(high, low) && dark(low, high));
        // The ring inside a finder pattern is light, its middle dark.
        assert!(!dark(low + SCALE, low + SCALE) && dark(low + 3 * SCALE, low + 3 * SCALE));
    }

    #[test]
    fn a_square_has_its_colours_where_they_were_put() {
        let mut colours = [[0; 3]; 16];
        colours[5] = [1, 2, 3];
        let png = square_png(3, &colours, |x, y| if (x, y) == (2, 1) { 5 } else { 0 });
        assert!(png.starts_with(&SIGNATURE));
        assert_eq!(&png[16..26], [0, 0, 0, 3, 0, 0, 0, 3, 4, 3]);
        assert_eq!((&png[37..41], &png[41 + 15..41 + 18]), (b"PLTE".as_slice(), [1, 2, 3].as_slice()));
        // Rows of a filter byte and two bytes of two pixels, behind the headers of zlib and of the only block.
        let at = 41 + 48 + 4;
        assert_eq!(&png[at + 4..at + 8], b"IDAT");
        assert_eq!(&png[at + 8 + 2 + 5..at + 8 + 2 + 5 + 9], [0, 0, 0, 0, 0, 0x50, 0, 0, 0]);
    }

    #[test]
    fn what_no_picture_can_hold_is_no_picture() {
        assert!(qr_png(&"x".repeat(10_000)).is_none());
    }
}
