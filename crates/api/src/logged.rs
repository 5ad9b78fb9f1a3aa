//! A request's line in the access log, from its coming until its answer was made to its end.

use std::time::Instant;

use actix_web::http::{Method, StatusCode, Uri};
use actix_web::{HttpRequest, web};
use job_core::access_log::Line;
use job_core::date::Date;

use crate::context::State;

/// The status in the line of a client that went away before there was an answer (the one that nginx gives it).
const GONE: u16 = 499;

/// A request that has its line when this is dropped: whatever becomes of it, there is one.
#[derive(Debug)]
pub(crate) struct Logged {
    state: web::Data<State>,
    url: Vec<u8>,
    method: Method,
    /// Of the answer, once there is one.
    status: Option<StatusCode>,
    begun: Instant,
    time: Date,
}

impl Logged {
    /// A request that just came.
    pub(crate) fn new(state: &web::Data<State>, request: &HttpRequest) -> Self {
        Logged {
            state: state.clone(),
            url: as_received(request.uri()),
            method: request.method().clone(),
            status: None,
            begun: Instant::now(),
            time: state.clock.now(),
        }
    }

    /// There is an answer; its body is still to be made.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let status = self.status.map_or(GONE, |status| status.as_u16());
        let (method, took) = (self.method.as_str().as_bytes(), self.begun.elapsed());
        let line = Line::new(&self.url, method, status, took, self.time);
        self.state.access_log.note(line);
    }
}

/// Path and query; of a request for no path (`CONNECT`) what stands there.
fn as_received(uri: &Uri) -> Vec<u8> {
    let path = uri.path_and_query().map(|path| path.as_str());
    path.map_or_else(|| uri.to_string().into(), |path| path.into())
}
