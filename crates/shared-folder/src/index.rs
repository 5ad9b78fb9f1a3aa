//! The text of the index, `request/status.json`: one entry a line, so that people can read and grep it, and so that
//! whoever knows the last generation parses only the lines that differ.

use std::fmt;
use std::sync::Arc;

use job_core::entry::Entry;
use job_core::queue::Queue;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The index's file, in `request/`.
pub(crate) const INDEX: &str = "status.json";
/// The generation before, kept for the day on which the index is damaged.
pub(crate) const PREVIOUS: &str = ".status.prev.json";
/// The largest index that is read.
pub(crate) const SIZE_LIMIT: u64 = 64 << 20;

const HEAD: &str = "{\"jobs\":[\n";
const TAIL: &str = "\n]}\n";

/// What the index says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Document {
    /// The jobs.
    pub(crate) queue: Queue,
    /// Somebody's keys beside `jobs`, as they were written.
    foreign: Arc<Vec<(String, Box<RawValue>)>>,
}

/// A document, and what of its text could not be taken.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// What could be read.
    pub(crate) document: Document,
    /// Entries that break the contract, each with its trouble.
    pub(crate) bad: Vec<(String, String)>,
}

/// The text is no index at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Damage(pub(crate) String);

impl Document {
    /// Reads an index; `known` is the last generation that was read, whose lines need no second look.
    pub(crate) fn parse(bytes: &[u8], known: Option<&Document>) -> Result<Parsed, Damage> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| Damage(format!("it is not UTF-8: {error}")))?;
        // Some editors begin every file with a byte order mark; what follows it is an index all the same.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match Self::parse_lines(text, known) {
            Some(document) => Ok(Parsed {
                document,
                bad: Vec::new(),
            }),
            None => Self::parse_whole(text),
        }
    }

    /// Reads our own form line by line; nothing where any of it is in another form.
    fn parse_lines(text: &str, known: Option<&Document>) -> Option<Document> {
        let body = text.strip_prefix(HEAD)?.strip_suffix(TAIL)?;
        let known = known.map(|document| &document.queue);
        let mut old = known.map(|queue| queue.iter().peekable());
        let mut entries = Vec::with_capacity(known.map_or(16, Queue::len) + 16);
        let mut lines = body.split('\n').peekable();
        while let Some(line) = lines.next() {
            let last = lines.peek().is_none();
            let line = if last { line } else { line.strip_suffix(',')? };
            // Between two generations most lines stay where they are, relative to each other.
            let same = old
                .as_mut()
                .and_then(|old| old.next_if(|entry| entry.as_written() == Some(line)));
            entries.push(match same {
                Some(entry) => entry.clone(),
                None => {
                    let entry = Arc::new(Entry::parse(line).ok()?);
                    if let (Some(queue), Some(old)) = (known, old.as_mut())
                        && queue.get(entry.uuid).is_some()
                    {
                        while old.next_if(|before| before.uuid != entry.uuid).is_some() {}
                        old.next();
                    }
                    entry
                }
            });
        }
        let (queue, doubles) = Queue::new(entries);
        doubles.is_empty().then(|| Document {
            queue,
            foreign: Arc::default(),
        })
    }

    /// Reads any form, and sorts out the entries that break the contract.
    fn parse_whole(text: &str) -> Result<Parsed, Damage> {
        let raw: Raw = serde_json::from_str(text)
            .map_err(|error| Damage(format!("it is no index: {error}")))?;
        let mut bad = Vec::new();
        let mut entries = Vec::with_capacity(raw.jobs.len());
        for job in &raw.jobs {
            match Entry::parse(job.get()) {
                Ok(entry) => entries.push(Arc::new(entry)),
                Err(error) => bad.push((job.get().to_owned(), error.to_string())),
            }
        }
        let (queue, doubles) = Queue::new(entries);
        bad.extend(doubles.iter().map(|entry| {
            (
                entry.line().to_string(),
                "its id stands in the index twice".to_owned(),
            )
        }));
        Ok(Parsed {
            document: Document {
                queue,
                foreign: Arc::new(raw.foreign),
            },
            bad,
        })
    }

    /// The same document, every entry remembering its line.
    pub(crate) fn with_lines(self) -> Self {
        Document {
            queue: self.queue.with_lines(),
            ..self
        }
    }

    /// The index's text.
    pub(crate) fn to_text(&self) -> String {
        if self.queue.is_empty() && self.foreign.is_empty() {
            return "{\"jobs\":[]}\n".to_owned();
        }
        // An entry takes about 130 bytes while it waits, and some more once it has ended.
        let mut text = String::with_capacity(self.queue.len() * 192 + 64);
        text.push_str("{\"jobs\":[");
        for (n, entry) in self.queue.iter().enumerate() {
            text.push_str(if n == 0 { "\n" } else { ",\n" });
            text.push_str(&entry.line());
        }
        text.push_str("\n]");
        for (name, value) in self.foreign.iter() {
            text.push_str(",\n");
            text.push_str(&serde_json::to_string(name).expect("text always serializes"));
            text.push(':');
            text.push_str(value.get());
        }
        text.push_str("}\n");
        text
    }
}

/// The document's keys as they were written.
struct Raw {
    jobs: Vec<Box<RawValue>>,
    foreign: Vec<(String, Box<RawValue>)>,
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with the array \"jobs\"")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let (mut jobs, mut foreign) = (None, Vec::new());
                while let Some(key) = map.next_key::<String>()? {
                    if key != "jobs" {
                        foreign.push((key, map.next_value()?));
                    } else if jobs.replace(map.next_value()?).is_some() {
                        return Err(A::Error::duplicate_field("jobs"));
                    }
                }
                Ok(Raw {
                    jobs: jobs.ok_or_else(|| A::Error::missing_field("jobs"))?,
                    foreign,
                })
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use job_core::status::State;

    const A: &str = r#"{"uuid":"f47ac10b-58cc-4372-a567-0e02b2c3d479","api":"soc","status":"pending","request_date":"2023-10-01T00:00:00.000+09:00"}"#;
    const B: &str = r#"{"uuid":"0190a6f0-1c2d-7abc-8def-0123456789ab","api":"add","status":"done","request_date":"2023-10-01T00:00:01.000+09:00","note":1}"#;

    fn parse(text: &str) -> Parsed {
        Document::parse(text.as_bytes(), None).unwrap()
    }

    fn ids(document: &Document) -> Vec<String> {
        document
            .queue
            .iter()
            .map(|entry| entry.uuid.to_string())
            .collect()
    }

    #[test]
    fn our_own_form_comes_back_to_the_letter() {
        let text = format!("{{\"jobs\":[\n{A},\n{B}\n]}}\n");
        assert_eq!(parse(&text).document.to_text(), text);
        assert_eq!(
            parse("{\"jobs\":[]}\n").document.to_text(),
            "{\"jobs\":[]}\n"
        );
    }

    #[test]
    fn any_form_of_a_third_party_is_read_and_its_keys_are_kept() {
        let text = format!(
            "\u{feff}{{\"version\": 3,\r\n \"jobs\" : [ {A} ,\r\n\r\n {B}], \"owner\":{{\"lab\": \"電池\"}} }}"
        );
        let parsed = parse(&text);
        assert!(parsed.bad.is_empty());
        let again = parse(&parsed.document.to_text());
        assert_eq!(ids(&again.document).len(), 2);
        assert!(
            parsed
                .document
                .to_text()
                .contains(r#""owner":{"lab": "電池"}"#)
        );
        assert_eq!(again.document.to_text(), parsed.document.to_text());
    }

    #[test]
    fn a_bad_entry_goes_alone() {
        let parsed = parse(&format!(
            "{{\"jobs\":[{A},null,{{\"uuid\":\"../../x\"}},{B},{A}]}}"
        ));
        assert_eq!((ids(&parsed.document).len(), parsed.bad.len()), (2, 3));
    }

    #[test]
    fn what_is_no_index_is_damage() {
        let half = format!("{{\"jobs\":[\n{A},\n");
        let deep = format!("{{\"jobs\":[{}", "[".repeat(300));
        for bad in [
            "",
            "null",
            "[]",
            "{}",
            "{\"jobs\":{}}",
            "{\"jobs\":[]} x",
            "{\"jobs\":[],\"jobs\":[]}",
            &half,
            &deep,
        ] {
            assert!(Document::parse(bad.as_bytes(), None).is_err(), "{bad}");
        }
        assert!(Document::parse(b"{\"jobs\":[\xff]}", None).is_err());
    }

    #[test]
    fn only_lines_that_differ_are_parsed_again() {
        let before = parse(&format!("{{\"jobs\":[\n{A},\n{B}\n]}}\n")).document;
        let mut after = before.clone();
        after.queue.set_state(
            before.queue.iter().next().unwrap().uuid,
            State::Canceled { finished: None },
        );
        let read = Document::parse(after.to_text().as_bytes(), Some(&before))
            .unwrap()
            .document;
        let entry = |document: &Document, n| Arc::as_ptr(document.queue.iter().nth(n).unwrap());
        assert_ne!(entry(&read, 0), entry(&before, 0));
        assert_eq!(entry(&read, 1), entry(&before, 1));
        assert_eq!(read.to_text(), after.to_text());
    }
}
