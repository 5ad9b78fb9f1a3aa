//! Whether what the script printed is a result: exactly one JSON document (RFC 8259).

use job_core::document;

use super::Ending;

/// The longest message, in characters.
const MESSAGE_LIMIT: usize = 200;

/// The ending of a script that exited with 0 after printing this.
pub(super) fn judge(printed: &[u8]) -> Ending {
    if printed.trim_ascii().is_empty() {
        return Ending::NoResult;
    }
    match document::check(printed) {
        Ok(()) => Ending::Printed,
        Err(message) => Ending::InvalidOutput {
            message: message.chars().take(MESSAGE_LIMIT).collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_document_is_a_result() {
        let deep = format!("{}{}", "[".repeat(127), "]".repeat(127));
        for text in [
            "{}",
            " \r\n\t[1, -2, 3.5e-7, 18446744073709551615, 123456789012345678901234567890]\n",
            "null",
            "true",
            "\"日本 \\ud83d\\ude00\"",
            r#"{"a":{"a":[{"b":null}]},"":false}"#,
            &deep,
        ] {
            assert_eq!(judge(text.as_bytes()), Ending::Printed, "{text}");
        }
    }

    #[test]
    fn white_space_is_no_result() {
        for text in ["", "\n", " \t\r\n\n"] {
            assert_eq!(judge(text.as_bytes()), Ending::NoResult, "{text:?}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_place() {
        let deep = "[".repeat(128);
        let bottomless = "[".repeat(1_000_000);
        for (printed, place) in [
            (&b"NaN"[..], "at line 1 column 1"),
            (b"[1,\n Infinity]", "at line 2 column 2"),
            (b"{}\n{}", "trailing characters at line 2 column 1"),
            (b"{} x", "trailing characters at line 1 column 4"),
            (b"{\"a\":", "at line 1 column 5"),
            (b"Traceback", "at line 1 column 1"),
            (b"{'a': 1}", "at line 1 column 2"),
            (b"\"\\ud800\"", "at line 1 column 8"),
            (b"{\"\\udc00\": 1}", "at line 1 column 8"),
            (b"\"\\ud83d x\"", "at line 1 column 8"),
            (b"\"\x01\"", "at line 1 column 2"),
            (b"1e999", "number out of range at line 1"),
            (b"01", "at line 1 column 2"),
            (b"[1]\n\"\xff\"", "invalid UTF-8 at line 2 column 2"),
            (b"\xef\xbb\xbf{}", "byte order mark at line 1 column 1"),
            (b"\xff\xfe{\0}\0", "invalid UTF-8 at line 1 column 1"),
            (b"\0", "at line 1 column 1"),
            (
                deep.as_bytes(),
                "recursion limit exceeded at line 1 column 128",
            ),
            (bottomless.as_bytes(), "recursion limit exceeded"),
        ] {
            let Ending::InvalidOutput { message } = judge(printed) else {
                panic!("{:?} was taken", String::from_utf8_lossy(printed));
            };
            assert!(
                message.contains(place),
                "{message:?} does not say {place:?}"
            );
            assert!(message.chars().count() <= MESSAGE_LIMIT);
        }
    }
}
