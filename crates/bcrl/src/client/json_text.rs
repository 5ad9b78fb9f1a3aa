//! Lays out JSON for the eye or on one line, by white space alone: every number and string stays as it was written,
//! which reading it into values and writing it again would not keep.

/// How JSON is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// One line, no spaces.
    Compact,
    /// A line for each member, indented by two spaces.
    Pretty,
}

/// A valid JSON document on one line.
pub(super) fn compact(json: &str) -> String {
    lay_out(json, Layout::Compact)
}

fn lay_out(json: &str, layout: Layout) -> String {
    let mut out = Vec::with_capacity(json.len());
    LaidOut::new(layout).push(json.as_bytes(), &mut out);
    String::from_utf8(out).expect("white space between ASCII characters leaves UTF-8 valid")
}

/// A JSON document that is laid out piece by piece, as it comes; where it is cut does not matter.
pub(super) struct LaidOut {
    layout: Layout,
    depth: usize,
    at: At,
}

/// What the next byte stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Behind an opening bracket: nothing is in it yet.
    Opened,
    /// Anywhere else outside of strings.
    Between,
    /// Inside a string.
    String,
    /// Inside a string, behind a backslash.
    Escape,
}

impl LaidOut {
    /// Before the first byte.
    pub(super) fn new(layout: Layout) -> LaidOut {
        LaidOut {
            layout,
            depth: 0,
            at: At::Between,
        }
    }

    /// Appends the next piece to `out`.
    pub(super) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for byte in piece {
            match self.at {
                At::String | At::Escape => self.push_in_string(*byte, out),
                At::Opened | At::Between => self.push_between(*byte, out),
            }
        }
    }

    fn push_in_string(&mut self, byte: u8, out: &mut Vec<u8>) {
        out.push(byte);
        self.at = match (self.at, byte) {
            (At::String, b'\\') => At::Escape,
            (At::String, b'"') => At::Between,
            _ => At::String,
        };
    }

    fn push_between(&mut self, byte: u8, out: &mut Vec<u8>) {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.at != At::Opened {
                    self.break_line(out);
                }
                out.push(byte);
                self.at = At::Between;
            }
            b',' => {
                out.push(byte);
                self.break_line(out);
            }
            b':' => {
                out.push(byte);
                if self.layout == Layout::Pretty {
                    out.push(b' ');
                }
            }
            _ => {
                if self.at == At::Opened {
                    self.break_line(out);
                }
                out.push(byte);
                self.at = match byte {
                    b'{' | b'[' => At::Opened,
                    b'"' => At::String,
                    _ => At::Between,
                };
                self.depth += usize::from(self.at == At::Opened);
            }
        }
    }

    fn break_line(&self, out: &mut Vec<u8>) {
        if self.layout == Layout::Pretty {
            out.push(b'\n');
            out.resize(out.len() + 2 * self.depth, b' ');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRETTY: &str = r#"{
  "a": [
    1.50,
    12345678901234567890123,
    {},
    []
  ],
  "b \"[,:]": "x\\",
  "c": null
}"#;
    const COMPACT: &str = r#"{"a":[1.50,12345678901234567890123,{},[]],"b \"[,:]":"x\\","c":null}"#;

    #[test]
    fn only_white_space_changes() {
        assert_eq!(lay_out(COMPACT, Layout::Pretty), PRETTY);
        assert_eq!(compact(PRETTY), COMPACT);
        assert_eq!(compact(COMPACT), COMPACT);
        assert_eq!(compact(" [ ] \n"), "[]");
        assert_eq!(compact("\"a b\""), "\"a b\"");
    }

    #[test]
    fn where_it_is_cut_does_not_matter() {
        let (mut laid_out, mut out) = (LaidOut::new(Layout::Pretty), Vec::new());
        for byte in COMPACT.as_bytes() {
            laid_out.push(&[*byte], &mut out);
        }
        assert_eq!(String::from_utf8(out).unwrap(), PRETTY);
    }
}
