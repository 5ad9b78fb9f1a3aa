//! What an endpoint is given: the request, and what all requests share.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use access_log::AccessLog;
use actix_web::http::header::HeaderName;
use actix_web::{HttpRequest, web};
use boot::Clock;
use shared_folder::SharedFolder;
use shared_folder::submit::Submitter;
use shared_folder::sweep::Sweeper;
use tokio::sync::watch;
use uuid::Uuid;

use crate::config::Config;
use crate::feed::Feed;
use crate::forecast::Forecast;
use crate::measures::Measures;
use crate::rate::Rates;
use crate::site::Site;
use crate::v1::jobs::csv::Room;

/// A request on its way to its endpoint.
#[derive(Debug)]
pub struct Context {
    /// What all requests share.
    pub state: web::Data<State>,
    /// The APIs and routes as they were when it came.
    pub site: Arc<Site>,
    /// The request.
    pub request: HttpRequest,
    /// The values of the route's parameters, decoded.
    pub parameters: Vec<(String, String)>,
    /// The request's own id.
    pub id: Uuid,
}

impl Context {
    /// The value of a parameter that the route has.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters
            .iter()
            .find(|(n, _)| n == name)
            .map_or("", |(_, value)| value)
    }

    /// A header's value as text; nothing where it is missing or no text.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.request.headers().get(name)?.to_str().ok()
    }
}

/// What all requests share.
#[derive(Debug)]
pub struct State {
    /// The settings.
    pub config: Config,
    /// The clock.
    pub clock: Clock,
    /// The shared folder.
    pub folder: Arc<SharedFolder>,
    /// Who writes a line for each request.
    pub access_log: AccessLog,
    /// Who appends to the index.
    pub submitter: Submitter,
    /// The APIs and routes as they are now.
    pub site: watch::Receiver<Arc<Site>>,
    /// What this process knows of the workers; apart from the sweeps, which may wait for the lock.
    pub workers: Mutex<Sweeper>,
    /// Who waits for a job's changes.
    pub feed: Arc<Feed>,
    /// The room for results that are turned into CSV.
    pub(crate) csv_room: Room,
    /// What is expected of the jobs.
    pub forecast: Forecast,
    /// Figures of what is done.
    pub measures: Arc<Measures>,
    /// How often each client asks.
    pub rates: Rates,
    /// When it started.
    pub(crate) started: Instant,
}

impl State {
    /// This process's time, which only goes forward.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}
