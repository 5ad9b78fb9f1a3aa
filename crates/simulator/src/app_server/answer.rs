//! What a job that is done answers with: an echo of its request, or one document for all.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use job_core::files::Request;
use job_core::ids::{ApiName, JobId};
use serde::Serialize;
use serde_json::value::RawValue;

/// What jobs that are done answer with.
#[derive(Debug, Clone)]
pub enum Answer {
    /// API, id and parameters of the request, and that it was simulated.
    Echo,
    /// This document.
    Document(Arc<[u8]>),
}

#[derive(Serialize)]
struct Echo<'a> {
    api: &'a ApiName,
    uuid: JobId,
    params: &'a RawValue,
    simulated: bool,
}

impl Answer {
    /// Reads the document that all jobs are to answer with.
    ///
    /// # Errors
    /// Where the file cannot be read, is not one JSON document, or is larger than `limit` bytes.
    pub fn read(path: &Path, limit: u64) -> anyhow::Result<Self> {
        let at = || format!("--answer {}", path.display());
        let text = std::fs::read_to_string(path).with_context(at)?;
        serde_json::from_str::<serde::de::IgnoredAny>(&text)
            .context("it is not one JSON document")
            .with_context(at)?;
        let size = text.len() as u64;
        ensure!(
            size <= limit,
            "{}: it has {size} bytes, and a result may have {limit}",
            at()
        );
        Ok(Answer::Document(text.into_bytes().into()))
    }

    /// The document that this request is answered with.
    pub fn to(&self, request: &Request) -> Vec<u8> {
        match self {
            Answer::Document(text) => text.to_vec(),
            Answer::Echo => {
                let echo = Echo {
                    api: &request.api,
                    uuid: request.uuid,
                    params: &request.params,
                    simulated: true,
                };
                serde_json::to_vec(&echo).expect("a request that was read can be written")
            }
        }
    }
}

/// A document where the shared folder takes results from: a file. It has no name, so that nothing of it is left
/// however this process ends.
#[derive(Debug)]
pub struct Printed(File);

impl Printed {
    /// A file with this content.
    ///
    /// # Errors
    /// Where there is no room for temporary files.
    pub fn new(document: &[u8]) -> io::Result<Self> {
        let mut file = tempfile::tempfile()?;
        file.write_all(document)?;
        Ok(Printed(file))
    }

    /// Where this process can open it, as long as this lives.
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        serde_json::from_str(
            r#"{"uuid":"0190a6f0-1c2d-7abc-8def-0123456789ab","api":"add","request_date":"2023-10-01T00:00:00Z","params":{"num1": 1.50}}"#,
        )
        .unwrap()
    }

    #[test]
    fn an_echo_repeats_the_parameters_to_the_letter() {
        let echo = String::from_utf8(Answer::Echo.to(&request())).unwrap();
        assert_eq!(
            echo,
            r#"{"api":"add","uuid":"0190a6f0-1c2d-7abc-8def-0123456789ab","params":{"num1": 1.50},"simulated":true}"#
        );
    }

    #[test]
    fn a_document_is_answered_as_it_stands_in_its_file() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("answer.json");
        std::fs::write(&path, "[1.50, 2]\n").unwrap();
        let answer = Answer::read(&path, 100).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(answer.to(&request()), b"[1.50, 2]\n");
    }

    #[test]
    fn only_a_json_document_that_may_be_a_result_is_taken() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("answer.json");
        let told = |path: &Path| format!("{:#}", Answer::read(path, 10).unwrap_err());
        assert!(told(&path).contains("answer.json: No such file"));
        for (text, reason) in [
            ("", "it is not one JSON document"),
            ("{} {}", "it is not one JSON document"),
            ("[1, 2, 3, 4]", "it has 12 bytes, and a result may have 10"),
        ] {
            std::fs::write(&path, text).unwrap();
            assert!(told(&path).contains(reason), "{}", told(&path));
        }
    }

    #[test]
    fn what_was_printed_can_be_read_more_than_once() {
        let printed = Printed::new(b"[1]").unwrap();
        for _ in 0..2 {
            assert_eq!(std::fs::read(printed.path()).unwrap(), b"[1]");
        }
        let path = printed.path();
        drop(printed);
        assert!(std::fs::read(path).is_err());
    }
}
