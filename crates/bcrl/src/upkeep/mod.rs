//! What an operator does to the shared folder itself, on a machine that has it: `bcrl fsck`, `bcrl quarantine`,
//! `bcrl webhooks`.

pub mod fsck;
pub mod quarantine;
pub mod webhooks;

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use boot::{Clock, Settings};
use shared_folder::{Options, SharedFolder};

/// Where the shared folder is.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// The settings' file [default: bcrl.toml, where it exists]
    #[arg(long, env = "BCRL_CONFIG")]
    config: Option<PathBuf>,
    /// The shared folder [default: the setting shared_dir]
    #[arg(long, value_name = "DIR")]
    shared_dir: Option<PathBuf>,
}

/// The shared folder of a site, as one command uses it.
struct Site {
    shared_dir: PathBuf,
    options: Options,
    clock: Clock,
}

/// Exit code where the folder could not be worked on at all.
const TROUBLE: u8 = 8;

/// Runs a command with the site's settings; its own trouble is told on standard error, with exit code 8.
fn with_site(place: &Place, work: impl FnOnce(&Site) -> anyhow::Result<ExitCode>) -> ExitCode {
    let typed = |settings: &mut Settings| {
        if let Some(shared_dir) = &place.shared_dir {
            settings.shared_dir = Some(shared_dir.clone());
        }
    };
    let settings = match boot::run::settings(place.config.as_deref(), typed) {
        Ok(settings) => settings,
        Err(error) => return boot::run::told(&error.to_string(), boot::run::EX_CONFIG),
    };
    let done = || {
        let site = Site {
            shared_dir: settings.shared_dir(),
            options: worker::Config::new(&settings)?.options,
            clock: Clock::new(settings.timezone),
        };
        work(&site)
    };
    done().unwrap_or_else(|error| boot::run::told(&format!("{error:#}"), TROUBLE))
}

/// Opens the folder, which must be one already.
fn open(site: &Site) -> anyhow::Result<SharedFolder> {
    if !site.shared_dir.join("request").is_dir() {
        anyhow::bail!(
            "{}: there is no shared folder: it has no folder request/",
            site.shared_dir.display()
        );
    }
    Ok(SharedFolder::open(&site.shared_dir, site.options.clone())?)
}

/// Writes to stdout; a reader who has gone has read enough.
fn print(text: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// A name that came from the folder, fit for a terminal.
fn shown(text: &str) -> String {
    text.chars()
        .flat_map(char::escape_debug)
        .collect::<String>()
        .replace("\\\"", "\"")
        .replace("\\'", "'")
}

/// A path as it is shown.
fn shown_path(path: &Path) -> String {
    shown(&path.to_string_lossy())
}
