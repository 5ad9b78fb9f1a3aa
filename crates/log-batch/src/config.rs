//! What a log batch is told at its start.

use std::path::PathBuf;

use boot::{Settings, Unmet};
use log_db::Address;

/// A log batch's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder of the access log.
    pub log_dir: PathBuf,
    /// Where the database is.
    pub database: Address,
    /// When days are counted: minute, hour, day, month, weekday.
    pub cron: String,
    /// How many days files are kept once they are counted.
    pub keep_days: i64,
}

impl Config {
    /// The log batch's part of a site's settings.
    ///
    /// # Errors
    /// [`Unmet`] where the URL of the database is none.
    pub fn new(settings: &Settings) -> Result<Self, Unmet> {
        let url = settings.database_url();
        let database = url.whole().parse();
        let days = settings.retention.logs.as_secs() / (24 * 60 * 60);
        Ok(Config {
            log_dir: settings.log_dir(),
            database: database.map_err(|error| Unmet(format!("database_url: {error}")))?,
            cron: settings.log_batch.cron.clone(),
            keep_days: i64::try_from(days).unwrap_or(i64::MAX),
        })
    }
}
