//! The API's process: its listener, what it does beside answering, and its end.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use access_log::AccessLog;
use anyhow::Context;
use boot::{Parts, Shutdown};
use shared_folder::SharedFolder;
use shared_folder::submit::Submitter;
use shared_folder::sweep::{Duty, Sweeper};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Config;
use crate::context::State;
use crate::feed::{self, Feed};
use crate::forecast::Forecast;
use crate::listen::{self, serve};
use crate::measures::Measures;
use crate::rate::Rates;
use crate::site::{self, Site};
use crate::v1::jobs::csv::Room;
use crate::webhooks::deliver_again_and_again;

/// Between two looks at the catalogs.
const CATALOG_LOOK: Duration = Duration::from_millis(250);

/// An API that listens already.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    state: Arc<State>,
    site: watch::Sender<Arc<Site>>,
    /// Ends all waiting for jobs.
    ending: Shutdown,
}

/// Runs the API until it is shut down; requests that are under way are answered.
///
/// # Errors
/// As for [`Server::bind`], or where the server ends by itself.
pub async fn run(config: Config, parts: Parts, shutdown: Shutdown) -> anyhow::Result<()> {
    let server = tokio::task::spawn_blocking(move || Server::bind(config, &parts)).await??;
    server.run(shutdown).await
}

impl Server {
    /// Opens the folder, brings it in order, and listens.
    ///
    /// # Errors
    /// Where the folder cannot carry the protocol, or the address cannot be listened on.
    pub fn bind(config: Config, parts: &Parts) -> anyhow::Result<Self> {
        let measures = Arc::new(Measures::start());
        let clock = parts.clock;
        let options = config.options.clone();
        let folder = Arc::new(SharedFolder::start(
            &config.shared_dir,
            options,
            parts.lock_probe(),
            clock.now(),
        )?);
        // What ended before is not counted.
        measures.look(&folder, clock.now())?;
        let listener =
            listen::bind(config.listen).with_context(|| format!("listen on {}", config.listen))?;
        let (sender, site) = watch::channel(Arc::new(site::read(&folder, &config, None)?));
        let names = site.borrow().names.clone();
        let ending = Shutdown::new();
        let state = State {
            access_log: AccessLog::start(config.log_dir.clone(), config.instance.clone(), names),
            submitter: Submitter::start(folder.clone()),
            workers: Mutex::new(Sweeper::new(Duty::Settle, config.beat)),
            feed: Arc::new(Feed::new(folder.clone(), clock, ending.clone())),
            forecast: Forecast::default(),
            csv_room: Room::default(),
            measures,
            rates: Rates::new(&config.rate),
            started: Instant::now(),
            config,
            clock,
            folder,
            site,
        };
        Ok(Server {
            listener,
            state: Arc::new(state),
            site: sender,
            ending,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Where the operating system does not tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until it is shut down.
    ///
    /// # Errors
    /// Where the server ends by itself.
    pub async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let address = self.address()?;
        let server = serve(self.listener, &self.state, &self.ending)?;
        let handle = server.handle();
        let helpers = shutdown.child_token();
        let _helpers_end = helpers.clone().drop_guard();
        tokio::spawn(follow_catalogs(
            self.state.clone(),
            self.site,
            helpers.clone(),
        ));
        tokio::spawn(sweep_again_and_again(self.state.clone(), helpers.clone()));
        let measures = self.state.measures.clone();
        tokio::spawn(measures.sort_again_and_again(helpers.clone()));
        tokio::spawn(deliver_again_and_again(self.state.clone(), helpers.clone()));
        tokio::spawn(feed::tell_again_and_again(self.state.feed.clone(), helpers));
        tracing::info!(address = %address, folder = %self.state.folder.root().display(), "the API listens");
        let stopping = shutdown.clone();
        tokio::spawn(async move {
            stopping.cancelled().await;
            // Whoever waits for a job is answered with what is known of it.
            self.ending.cancel();
            handle.stop(true).await;
        });
        server.await?;
        let state = self.state.clone();
        let stop = move || {
            state.submitter.stop();
            state.access_log.stop();
        };
        tokio::task::spawn_blocking(stop).await?;
        anyhow::ensure!(
            shutdown.is_cancelled(),
            "the server ended although nobody asked for it"
        );
        tracing::info!("the API has ended");
        Ok(())
    }
}

/// Keeps the APIs and routes in step with what the workers publish.
async fn follow_catalogs(state: Arc<State>, site: watch::Sender<Arc<Site>>, end: Shutdown) {
    while tokio::time::timeout(CATALOG_LOOK, end.cancelled())
        .await
        .is_err()
    {
        let (shared, before) = (state.clone(), site.borrow().clone());
        let look = tokio::task::spawn_blocking(move || {
            let changed = shared.folder.catalog_stamp()? != before.stamp;
            changed
                .then(|| site::read(&shared.folder, &shared.config, Some(&before)))
                .transpose()
        });
        match look.await {
            Ok(Ok(Some(changed))) => {
                state.access_log.rename(changed.names.clone());
                site.send_replace(Arc::new(changed));
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "the catalogs cannot be read; the last ones stay")
            }
            Err(error) => tracing::error!(error = %error, "reading the catalogs panicked"),
        }
    }
}

/// Settles what third parties and killed processes leave, also where no worker of ours runs.
async fn sweep_again_and_again(state: Arc<State>, end: Shutdown) {
    let mut sweeper = Sweeper::new(Duty::Settle, state.config.beat);
    let mut ticks = interval(state.config.beat.sweep);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = end.cancelled() => return,
        }
        let shared = state.clone();
        let swept = tokio::task::spawn_blocking(move || {
            let site = shared.site.borrow().clone();
            let (now, clock) = (shared.clock.now(), shared.uptime());
            let settled = sweeper.run_once(&shared.folder, &site.catalog, now, clock);
            // Before retention removes what has ended.
            let looked = shared.measures.look(&shared.folder, now);
            let settled = settled.and(looked);
            (sweeper, settled)
        });
        match swept.await {
            Ok((back, settled)) => {
                sweeper = back;
                if let Err(error) = settled {
                    tracing::warn!(error = %error, "the folder could not be swept; the next sweep tries again");
                }
            }
            Err(error) => {
                tracing::error!(error = %error, "the sweep panicked");
                sweeper = Sweeper::new(Duty::Settle, state.config.beat);
            }
        }
    }
}
