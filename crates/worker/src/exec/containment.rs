//! What holds a script apart from its host: what is wanted of it, and what was in force.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What is wanted to hold a run's script apart from the host and from other runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Containment {
    /// The user that the script runs as, where it is not the supervisor's own.
    pub user: Option<ScriptUser>,
    /// Whether the script gets a PID namespace of its own, with the `/proc` that belongs to it.
    pub pid_namespace: bool,
    /// Whether Landlock bounds where it writes.
    pub landlock: bool,
    /// Whether a part that cannot be had is a refusal ([`super::Ending::NotContained`]); otherwise the script runs
    /// without that part.
    pub required: bool,
}

impl Containment {
    /// Whether nothing is wanted: the script is what the worker is.
    pub fn is_off(&self) -> bool {
        !Part::ALL.into_iter().any(|part| self.wants(part))
    }

    /// Whether a part is wanted.
    pub fn wants(&self, part: Part) -> bool {
        match part {
            Part::User => self.user.is_some(),
            Part::PidNamespace => self.pid_namespace,
            Part::Landlock => self.landlock,
        }
    }

    /// Wants a part no longer.
    pub(crate) fn give_up(&mut self, part: Part) {
        match part {
            Part::User => self.user = None,
            Part::PidNamespace => self.pid_namespace = false,
            Part::Landlock => self.landlock = false,
        }
    }
}

/// Another user than the supervisor's own, which only root can give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScriptUser {
    /// One of `count` user ids from `first` on that no other run on this host has, with the group of the same number.
    /// Where that user cannot reach what it is to run, or root may give none, the user counts as a missing part. That
    /// none is free is the supervisor's own failure.
    OneOf {
        /// The first id.
        first: u32,
        /// How many ids there are.
        count: u32,
    },
    /// This one, which runs may share. What it cannot reach is the script's trouble.
    This(Ids),
}

/// A user's numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ids {
    /// As people write it: its name, or `uid:gid`.
    pub name: String,
    /// The user id.
    pub uid: u32,
    /// The primary group's id.
    pub gid: u32,
    /// The ids of the other groups.
    pub groups: Vec<u32>,
}

/// What held a script.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// The user that it ran as, where that was not the supervisor's own.
    pub user: Option<String>,
    /// It had a PID namespace of its own.
    pub pid_namespace: bool,
    /// What of [`super::Order::hidden`] was out of its sight; nothing without that namespace.
    pub hidden: Vec<PathBuf>,
    /// The version of Landlock's interface that bounded its writes.
    pub landlock_abi: Option<u32>,
    /// What was wanted and could not be had.
    pub missing: Vec<Missing>,
}

impl InForce {
    /// Why a part was wanted and could not be had.
    pub fn why_missing(&self, part: Part) -> Option<&str> {
        let missing = self.missing.iter().find(|missing| missing.part == part);
        missing.map(|missing| missing.why.as_str())
    }
}

/// A part of the containment that could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The part.
    pub part: Part,
    /// What kept it away.
    pub why: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} is not available: {}", self.part, self.why)
    }
}

/// A part of the containment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A user of the script's own.
    User,
    /// A PID namespace of the script's own.
    PidNamespace,
    /// Bounded writes.
    Landlock,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 3] = [Part::User, Part::PidNamespace, Part::Landlock];

    /// The part without which something went wrong.
    pub(super) fn missing(self, why: impl fmt::Display) -> Missing {
        Missing {
            part: self,
            why: why.to_string(),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Part::User => "own user",
            Part::PidNamespace => "own PID namespace",
            Part::Landlock => "Landlock",
        })
    }
}
