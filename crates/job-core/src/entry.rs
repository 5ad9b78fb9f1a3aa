//! One job's line in the index, `request/status.json`.
//!
//! Four fields are the contract with everybody who reads or edits the file: `uuid`, `api`, `status`, `request_date`.
//! Ours are optional; whatever else stands in a line is somebody's, and is kept to the letter.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::date::Date;
use crate::ids::{ApiName, JobId};
use crate::status::{State, Status};

/// One job as the index knows it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The job's id.
    pub uuid: JobId,
    /// The API that it asks for.
    pub api: ApiName,
    /// When it was submitted.
    pub request_date: Date,
    /// When a client first fetched its result.
    pub retrieved_date: Option<Date>,
    state: State,
    /// Fields that are not ours, in their order and as they were written.
    foreign: Vec<(String, Box<RawValue>)>,
    /// The line as it stands in the file; nothing once the entry was changed.
    line: Option<Arc<str>>,
}

impl Entry {
    /// The entry of a job that was just submitted.
    pub fn pending(uuid: JobId, api: ApiName, request_date: Date) -> Self {
        Entry {
            uuid,
            api,
            request_date,
            retrieved_date: None,
            state: State::Pending,
            foreign: Vec::new(),
            line: None,
        }
    }

    /// The same entry in another state. Of a failure's message the index keeps the beginning; the receipt has all of
    /// it.
    pub fn with_state(&self, state: State) -> Self {
        Entry {
            state: state.in_brief(),
            line: None,
            ..self.clone()
        }
    }

    /// The same entry, its result first fetched at `date`.
    pub fn with_retrieved_date(&self, date: Date) -> Self {
        Entry {
            retrieved_date: Some(date),
            line: None,
            ..self.clone()
        }
    }

    /// Its status with what belongs to it.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The word for its state.
    pub fn status(&self) -> Status {
        self.state.status()
    }

    /// Reads one entry from its JSON text, without the comma behind it.
    ///
    /// # Errors
    /// Where the text is no JSON object, a field of the contract is missing or mistyped, or the status is unknown.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let mut entry: Entry = serde_json::from_str::<Fields>(text)?.try_into()?;
        // A text that spans lines is given one line when it is written next.
        entry.line = (!text.contains(['\n', '\r'])).then(|| text.into());
        Ok(entry)
    }

    /// The entry as one line of JSON, without the comma behind it. An entry that was not changed since it was read
    /// comes out to the letter.
    pub fn line(&self) -> Cow<'_, str> {
        self.as_written()
            .map_or_else(|| self.to_json().into(), Cow::Borrowed)
    }

    /// The line that it was read from; nothing once it was changed, or where it spanned several lines.
    pub fn as_written(&self) -> Option<&str> {
        self.line.as_deref()
    }

    /// The same entry, remembering how it is written.
    pub fn with_line(&self) -> Self {
        Entry {
            line: Some(self.line().into()),
            ..self.clone()
        }
    }

    fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Ours<'a> {
            uuid: JobId,
            api: &'a ApiName,
            status: Status,
            request_date: Date,
            #[serde(skip_serializing_if = "Option::is_none")]
            token: Option<crate::ids::Token>,
            #[serde(skip_serializing_if = "Option::is_none")]
            finished_date: Option<Date>,
            #[serde(skip_serializing_if = "Option::is_none")]
            failure: Option<&'a crate::status::Failure>,
            #[serde(skip_serializing_if = "Option::is_none")]
            retrieved_date: Option<Date>,
        }
        let ours = Ours {
            uuid: self.uuid,
            api: &self.api,
            status: self.status(),
            request_date: self.request_date,
            token: self.state.token(),
            finished_date: self.state.finished(),
            failure: match &self.state {
                State::Failed { failure, .. } => failure.as_ref(),
                _ => None,
            },
            retrieved_date: self.retrieved_date,
        };
        let mut text =
            serde_json::to_string(&ours).expect("names, dates and words always serialize");
        text.pop();
        for (name, value) in &self.foreign {
            text.push(',');
            text.push_str(&serde_json::to_string(name).expect("text always serializes"));
            text.push(':');
            // A foreign value may have been written over several lines; ours has one.
            text.extend(
                value
                    .get()
                    .chars()
                    .map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }),
            );
        }
        text.push('}');
        text
    }
}

/// The fields of a JSON object, in their order and as they were written.
struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an entry, which is an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::with_capacity(8);
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Fields {
    /// Takes the last field of this name; doubles before it go as well.
    fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        let last = self.0.iter().rposition(|(n, _)| n == name)?;
        let (_, value) = self.0.remove(last);
        self.0.retain(|(n, _)| n != name);
        Some(value)
    }

    fn due<T: for<'a> Deserialize<'a>>(
        &mut self,
        name: &'static str,
    ) -> Result<T, serde_json::Error> {
        let value = self
            .take(name)
            .ok_or_else(|| <serde_json::Error as serde::de::Error>::missing_field(name))?;
        serde_json::from_str(value.get())
    }

    /// A field of ours that somebody filled with something else is theirs: it is left where it is.
    fn maybe<T: for<'a> Deserialize<'a>>(&mut self, name: &str) -> Option<T> {
        let (_, value) = self.0.iter().rev().find(|(n, _)| n == name)?;
        let value = serde_json::from_str(value.get()).ok()?;
        self.take(name);
        Some(value)
    }
}

impl TryFrom<Fields> for Entry {
    type Error = serde_json::Error;

    fn try_from(mut fields: Fields) -> Result<Self, serde_json::Error> {
        let uuid = fields.due("uuid")?;
        let api = fields.due("api")?;
        let status = fields.due("status")?;
        let request_date = fields.due("request_date")?;
        let state = match status {
            Status::Pending => State::Pending,
            Status::Processing => State::Processing {
                token: fields.maybe("token"),
            },
            Status::Done => State::Done {
                finished: fields.maybe("finished_date"),
            },
            Status::Failed => State::Failed {
                finished: fields.maybe("finished_date"),
                failure: fields.maybe("failure"),
            },
            Status::Canceled => State::Canceled {
                finished: fields.maybe("finished_date"),
            },
        };
        // What belongs to another status than the one it has is no longer true.
        if status != Status::Processing {
            fields.take("token");
        }
        if !status.is_final() {
            fields.take("finished_date");
            fields.take("failure");
        }
        let retrieved_date = fields.maybe("retrieved_date");
        Ok(Entry {
            uuid,
            api,
            request_date,
            retrieved_date,
            state,
            foreign: fields.0,
            line: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Token;
    use crate::status::{Failure, FailureReason};

    const LINE: &str = r#"{"uuid":"f47ac10b-58cc-4372-a567-0e02b2c3d479","api":"soc","status":"pending","request_date":"2023-10-01T00:00:00.000+09:00"}"#;

    #[test]
    fn the_specifications_entry_is_read_and_written_to_the_letter() {
        let entry = Entry::parse(LINE).unwrap();
        assert_eq!(
            (entry.status(), entry.api.as_str()),
            (Status::Pending, "soc")
        );
        assert_eq!(&*entry.line(), LINE);
        let again = Entry::pending(entry.uuid, entry.api.clone(), entry.request_date);
        assert_eq!(&*again.line(), LINE);
    }

    #[test]
    fn foreign_fields_survive_a_change_of_state_to_the_letter() {
        let text = LINE.replace(
            "}",
            r#","note":"充電 \u0041","n":12345678901234567890123,"nested":{"b":[1, 2],
"a":null}}"#,
        );
        let token = Token::new([1; 16]);
        let changed = Entry::parse(&text)
            .unwrap()
            .with_state(State::Processing { token: Some(token) });
        let line = changed.line();
        assert!(line.contains(r#""note":"充電 \u0041","n":12345678901234567890123,"nested":{"b":[1, 2], "a":null}}"#), "{line}");
        assert!(!line.contains('\n'));
        assert_eq!(
            Entry::parse(&line).unwrap().state(),
            &State::Processing { token: Some(token) }
        );
    }

    #[test]
    fn a_token_is_gone_with_its_run() {
        let entry = Entry::parse(LINE).unwrap().with_state(State::Processing {
            token: Some(Token::new([1; 16])),
        });
        let failure =
            Failure::new(FailureReason::ExitCode, "the script exited with 1").with_exit_code(1);
        let finished = Some("2023-10-01T00:01:00+09:00".parse().unwrap());
        let failed = entry.with_state(State::Failed {
            finished,
            failure: Some(failure),
        });
        assert!(!failed.line().contains("token"));
        assert_eq!(
            Entry::parse(&failed.line()).unwrap().state(),
            failed.state()
        );
    }

    #[test]
    fn a_field_of_ours_filled_by_somebody_else_is_theirs() {
        let text = LINE
            .replace("pending", "failed")
            .replace('}', r#","failure":"disk","retrieved_date":"yesterday"}"#);
        let entry = Entry::parse(&text).unwrap();
        assert_eq!(
            entry.state(),
            &State::Failed {
                finished: None,
                failure: None
            }
        );
        let fetched = entry.with_retrieved_date("2023-10-02T00:00:00Z".parse().unwrap());
        let line = fetched.line();
        assert!(line.contains(r#""failure":"disk""#), "{line}");
    }

    #[test]
    fn entries_that_break_the_contract_are_refused() {
        for bad in [
            "null",
            "[]",
            "{}",
            r#"{"uuid":"../x","api":"soc","status":"pending","request_date":"2023-10-01T00:00:00Z"}"#,
            &LINE.replace("pending", "sleeping"),
            &LINE.replace("soc", "So C"),
            &LINE.replace("2023-10-01T00:00:00.000+09:00", "yesterday"),
            &LINE[..60],
        ] {
            assert!(Entry::parse(bad).is_err(), "{bad}");
        }
    }
}
