//! What a simulated APP server is told at its start.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use boot::settings::Settings;
use job_core::catalog::CatalogFile;
use job_core::lease::Beat;
use shared_folder::Options;
use shared_folder::watch::WatchMode;

use super::answer::Answer;
use super::apis;
use super::args::AppServerArgs;
use super::scenario::{Odds, Scenario};

/// A simulated APP server's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name, the same after each start.
    pub name: String,
    /// The shared folder.
    pub shared_dir: PathBuf,
    /// How the shared folder is used.
    pub options: Options,
    /// What it offers.
    pub catalog: CatalogFile,
    /// Whether it offers nothing any more once it has ended.
    pub withdraw: bool,
    /// How it notices jobs between two sweeps.
    pub watch: WatchMode,
    /// How many jobs it runs at once.
    pub concurrency: u32,
    /// How it shows that it lives, and judges others.
    pub beat: Beat,
    /// How long it tries to publish how a job ended once it is shut down.
    pub grace: Duration,
    /// How jobs go.
    pub scenario: Scenario,
    /// What jobs that are done answer with.
    pub answer: Answer,
    /// When it ends by itself.
    pub until: Until,
}

/// When a simulated APP server ends by itself, besides when it is shut down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Until {
    /// When nothing is left that it could run.
    pub drained: bool,
    /// When so many jobs have ended here.
    pub jobs: Option<u64>,
}

impl Until {
    pub(crate) fn ends(self) -> claimant::Until {
        match self.drained {
            true => claimant::Until::Drained,
            false => claimant::Until::Shutdown,
        }
    }
}

impl Config {
    /// A site's settings, and what was typed.
    ///
    /// # Errors
    /// Where the group is unknown, the apps or the answer cannot be read, or fates are more than a hundred percent.
    pub fn new(settings: &Settings, args: &AppServerArgs) -> anyhow::Result<Self> {
        let worker = &settings.worker;
        let options = settings.folder_options()?;
        Ok(Config {
            name: args.name.clone(),
            shared_dir: settings.shared_dir(),
            catalog: match &args.apps_dir {
                Some(apps_dir) => apis::of_apps(apps_dir)?,
                None => apis::named(&args.apis),
            },
            withdraw: args.withdraw,
            watch: worker.watch_mode(),
            concurrency: args
                .concurrency
                .map_or_else(|| worker.slots(), NonZero::get),
            beat: worker.beat(),
            grace: worker.grace,
            scenario: Scenario {
                seed: args.seed.unwrap_or_else(any_seed),
                takes: args.takes,
                jitter: args.jitter,
                odds: Odds::new(args.fail, args.hang, args.die)?,
            },
            answer: match &args.answer {
                Some(path) => Answer::read(path, options.result_limit)?,
                None => Answer::Echo,
            },
            until: Until {
                drained: args.once,
                jobs: args.jobs,
            },
            options,
        })
    }
}

/// A seed for whoever does not mind which. Short enough to be typed again.
fn any_seed() -> u64 {
    let bits = getrandom::u32().expect("the kernel has random bits once it has booted");
    bits.into()
}
