//! The only clock. Everybody else is told what time it is.

use chrono_tz::Tz;
use job_core::date::Date;

/// The wall clock, read in the site's zone.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    zone: Tz,
}

impl Clock {
    /// The clock of this zone.
    pub fn new(zone: Tz) -> Self {
        Clock { zone }
    }

    /// What time it is.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the place that asks the clock"
    )]
    pub fn now(&self) -> Date {
        Date::new(chrono::Utc::now().with_timezone(&self.zone).fixed_offset())
    }

    /// The zone.
    pub fn zone(&self) -> Tz {
        self.zone
    }
}
