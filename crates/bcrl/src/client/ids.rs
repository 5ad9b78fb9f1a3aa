//! Job ids of a command line: written out, or `-` for one a line from stdin.

use std::str::FromStr;

use job_core::ids::JobId;

use super::error::Error;
use super::terminal;

/// A place where ids come from.
#[derive(Debug, Clone)]
pub(super) enum IdArg {
    /// Written out.
    Id(JobId),
    /// `-`: lines of stdin.
    Stdin,
}

impl FromStr for IdArg {
    type Err = job_core::ids::InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "-" => Ok(IdArg::Stdin),
            id => id.parse().map(IdArg::Id),
        }
    }
}

/// All ids, each once, in the order in which they were named.
///
/// # Errors
/// Where a line of stdin begins with no id, or there is none at all.
pub(super) async fn read(args: &[IdArg]) -> Result<Vec<JobId>, Error> {
    let mut ids = Vec::new();
    for arg in args {
        match arg {
            IdArg::Id(id) => ids.push(*id),
            IdArg::Stdin => ids.extend(parse_lines(&terminal::read_stdin().await?)?),
        }
    }
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| seen.insert(*id));
    if ids.is_empty() {
        return Err(Error::Usage("there is no job id on stdin".into()));
    }
    Ok(ids)
}

/// The first word of each line: also what `bcrl submit` prints for people is understood.
fn parse_lines(text: &str) -> Result<Vec<JobId>, Error> {
    let words = text
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    words
        .map(|word| {
            word.parse()
                .map_err(|error| Error::Usage(format!("{word:?} on stdin: {error}")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0190a6f0-1c2d-7abc-8def-0123456789ab";

    #[test]
    fn the_first_word_of_a_line_is_its_id() {
        let text = format!("{ID}\n\n  {ID} pending\r\n");
        let ids = parse_lines(&text).unwrap();
        assert_eq!(ids, [ID.parse().unwrap(); 2]);
        assert!(parse_lines("id  api\n").is_err());
    }

    #[test]
    fn a_dash_stands_for_stdin() {
        assert!(matches!("-".parse(), Ok(IdArg::Stdin)));
        assert!(matches!(ID.parse(), Ok(IdArg::Id(_))));
        assert!("0190".parse::<IdArg>().is_err());
    }
}
