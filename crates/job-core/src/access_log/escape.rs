//! How any bytes stand in one field of a line: as UTF-8 without control characters.
//!
//! `\t`, `\n`, `\r` and `\\` for tab, line feed, carriage return and backslash; `\xNN` for each byte of other control
//! characters, of what other tools take for the end of a line (U+0085, U+2028, U+2029), and for bytes that are none of
//! UTF-8. All else stands as it is.

/// Appends the bytes, escaped.
pub fn write(bytes: &[u8], out: &mut Vec<u8>) {
    for_pieces(bytes, |_, written| {
        out.extend_from_slice(written);
        true
    });
}

/// The bytes escaped, as text for people; at most `longest` bytes of it.
pub fn shown(bytes: &[u8], longest: usize) -> String {
    let mut text = Vec::new();
    for_pieces(bytes, |_, written| {
        let fits = text.len() + written.len() <= longest;
        if fits {
            text.extend_from_slice(written);
        }
        fits
    });
    String::from_utf8(text).expect("what is escaped is UTF-8")
}

/// The bytes that an escaped text stands for; nothing where a backslash escapes nothing.
pub fn read(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (&kind, tail) = rest.split_first()?;
        rest = tail;
        bytes.push(match kind {
            b't' => b'\t',
            b'n' => b'\n',
            b'r' => b'\r',
            b'\\' => b'\\',
            b'x' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                rest = tail;
                16 * digit(digits[0])? + digit(digits[1])?
            }
            _ => return None,
        });
    }
    Some(bytes)
}

/// The bytes, or as many of their first ones as leave room for the marker, so that no more than `longest` bytes are
/// written. What was cut once is not cut again.
pub fn cut(bytes: &[u8], longest: usize, marker: &str) -> Vec<u8> {
    let (mut length, mut kept) = (0, 0);
    for_pieces(bytes, |end, written| {
        length += written.len();
        if length + marker.len() <= longest {
            kept = end;
        }
        length <= longest
    });
    if length <= longest {
        return bytes.to_vec();
    }
    [&bytes[..kept], marker.as_bytes()].concat()
}

/// Gives each character or single byte as it is written, with where it ends in `bytes`, until `take` has enough.
fn for_pieces(bytes: &[u8], mut take: impl FnMut(usize, &[u8]) -> bool) {
    let mut end = 0;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            end += c.len_utf8();
            let mut plain = [0; 4];
            let plain = c.encode_utf8(&mut plain).as_bytes();
            let goes_on = match c {
                '\t' => take(end, b"\\t"),
                '\n' => take(end, b"\\n"),
                '\r' => take(end, b"\\r"),
                '\\' => take(end, b"\\\\"),
                c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                    take(end, &hexadecimal(plain))
                }
                _ => take(end, plain),
            };
            if !goes_on {
                return;
            }
        }
        for byte in chunk.invalid() {
            end += 1;
            if !take(end, &hexadecimal(&[*byte])) {
                return;
            }
        }
    }
}

/// Each byte as `\xNN`.
fn hexadecimal(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let escaped = bytes.iter().flat_map(|byte| {
        let (high, low) = (usize::from(byte >> 4), usize::from(byte & 0xf));
        [b'\\', b'x', DIGITS[high], DIGITS[low]]
    });
    escaped.collect()
}

fn digit(text: u8) -> Option<u8> {
    let digit = char::from(text).to_digit(16)?;
    u8::try_from(digit).ok()
}
