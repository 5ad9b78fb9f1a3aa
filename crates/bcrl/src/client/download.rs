//! A body of any size, such as a result, on its way here.

use reqwest::Response;
use reqwest::header::CONTENT_TYPE;

use super::error::Error;

/// A body that is read piece by piece, so that its size costs no memory.
pub(super) struct Download {
    answer: Response,
    /// The server's address as it may be shown.
    url: String,
}

impl Download {
    /// The body of an answer of the server at `url`.
    pub(super) fn new(answer: Response, url: &str) -> Download {
        Download {
            answer,
            url: url.to_owned(),
        }
    }

    /// Its size in bytes, where the server told it.
    pub(super) fn size(&self) -> Option<u64> {
        self.answer.content_length()
    }

    /// Whether it is JSON.
    pub(super) fn is_json(&self) -> bool {
        let kind = self.answer.headers().get(CONTENT_TYPE);
        kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"))
    }

    /// The next piece; none at the end.
    ///
    /// # Errors
    /// Where the connection is lost before the end.
    pub(super) async fn next(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, Error> {
        let piece = self.answer.chunk().await;
        piece.map_err(|error| Error::of_connection(&self.url, &error))
    }
}
