//! How far a list was read: what `next` of a page says. It holds where the page ended, not how many jobs came before, so
//! that jobs which come or go meanwhile are neither skipped nor told twice.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use job_core::entry::Entry;
use job_core::ids::JobId;

/// In which order jobs are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// What was submitted last comes first.
    #[default]
    Newest,
    /// What was submitted first comes first.
    Oldest,
}

impl FromStr for Order {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "newest" => Ok(Order::Newest),
            "oldest" => Ok(Order::Oldest),
            _ => Err("newest or oldest is due"),
        }
    }
}

/// The place behind a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The order of the list that was read.
    pub(super) order: Order,
    /// When the last job was submitted, in milliseconds since 1970.
    submitted: i64,
    /// The last job.
    pub(super) uuid: JobId,
}

impl Cursor {
    /// The place behind this job.
    pub(super) fn behind(entry: &Entry, order: Order) -> Self {
        Cursor {
            order,
            submitted: entry.request_date.unix_millis(),
            uuid: entry.uuid,
        }
    }

    /// What comes behind it. Where the job is still `known`, that is what follows it. Where it was removed, it is what
    /// was submitted later than it, or earlier, as the order goes.
    pub(super) fn go_on<'e, E: Borrow<Entry> + 'e>(
        &self,
        entries: impl Iterator<Item = &'e E>,
        known: bool,
    ) -> impl Iterator<Item = &'e E> {
        let (order, here) = (self.order, (self.submitted, self.uuid));
        let is_before = move |entry: &&'e E| {
            let entry: &Entry = (*entry).borrow();
            let there = (entry.request_date.unix_millis(), entry.uuid);
            match order {
                _ if known => entry.uuid != here.1,
                Order::Newest => there > here,
                Order::Oldest => there < here,
            }
        };
        entries.skip_while(is_before).skip(usize::from(known))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = match self.order {
            Order::Newest => "n",
            Order::Oldest => "o",
        };
        let told = format!("{order}.{}.{}", self.submitted, self.uuid);
        to.write_str(&URL_SAFE_NO_PAD.encode(told))
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let told = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
            let (order, rest) = told.split_once('.')?;
            let (submitted, uuid) = rest.split_once('.')?;
            Some(Cursor {
                order: match order {
                    "n" => Order::Newest,
                    "o" => Order::Oldest,
                    _ => return None,
                },
                submitted: submitted.parse().ok()?,
                uuid: uuid.parse().ok()?,
            })
        };
        read().ok_or("the next of a page is due, as it was sent")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let entry = |n: u32| {
            let uuid = format!("0190a6f0-1c2d-7abc-8def-00000000000{n}");
            let date = format!("2026-01-01T00:00:0{}Z", n / 2);
            let (api, date) = ("a".parse().unwrap(), date.parse().unwrap());
            Entry::pending(uuid.parse().unwrap(), api, date)
        };
        (0..6).map(entry).collect()
    }

    fn rest(cursor: &Cursor, mut entries: Vec<&Entry>) -> Vec<JobId> {
        if cursor.order == Order::Newest {
            entries.reverse();
        }
        let known = entries.iter().any(|entry| entry.uuid == cursor.uuid);
        let rest = cursor.go_on(entries.into_iter(), known);
        rest.map(|entry| entry.uuid).collect()
    }

    #[test]
    fn a_list_goes_on_behind_a_job_also_when_that_is_gone() {
        let all = entries();
        let (newest, oldest) = (
            Cursor::behind(&all[3], Order::Newest),
            Cursor::behind(&all[3], Order::Oldest),
        );
        let left: Vec<_> = all
            .iter()
            .filter(|entry| entry.uuid != all[3].uuid)
            .collect();
        for entries in [all.iter().collect(), left] {
            assert_eq!(
                rest(&newest, entries.clone()),
                [2, 1, 0].map(|n: usize| all[n].uuid)
            );
            assert_eq!(rest(&oldest, entries), [4, 5].map(|n: usize| all[n].uuid));
        }
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is_one() {
        for order in [Order::Newest, Order::Oldest] {
            let cursor = Cursor::behind(&entries()[1], order);
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in ["", "x", "bi4xLngu", "0190a6f0-1c2d-7abc-8def-000000000001"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
