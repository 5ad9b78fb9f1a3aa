//! It shows that it lives, and looks after its runs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::Error;
use boot::Shutdown;
use job_core::files::Heartbeat;
use shared_folder::claim::RunState;
use shared_folder::heartbeat::{Presence, boot_id};
use tokio::time::{MissedTickBehavior, interval};

use crate::runs::Stop;
use crate::{Claimant, Host, blocking};

/// Longest name of a claimant, in characters.
const NAME_LIMIT: usize = 63;

/// Its sign of life, as of now.
pub(crate) fn heartbeat(host: &impl Host, counter: u64) -> Heartbeat {
    let claimant = host.claimant();
    Heartbeat {
        worker: claimant.id.clone(),
        host: host_name(),
        boot: boot_id(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").into(),
        counter,
        slots: claimant.slots,
        jobs: claimant.runs.all(),
        apis: host.offer().into_keys().collect(),
        problems: host.problems(),
    }
}

/// Beats until the end, and ends the runs that are no longer its own, or not wanted any more. Whoever could not beat
/// for as long as its lease has lost them all.
pub async fn beat_again_and_again<H: Host>(
    host: Arc<H>,
    presence: Presence,
    end: Shutdown,
) -> Presence {
    let claimant = host.claimant();
    let presence = Arc::new(presence);
    let mut ticks = interval(claimant.beat.heartbeat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    for counter in 1.. {
        tokio::select! {
            _ = ticks.tick() => {}
            () = claimant.look.notified() => {}
            () = end.cancelled() => break,
        }
        let (shared, beating) = (host.clone(), presence.clone());
        match blocking(move || beating.beat(&heartbeat(&*shared, counter))).await {
            Ok(Ok(())) => last = Instant::now(),
            Ok(Err(error)) => {
                let error = format!("{:#}", Error::new(error));
                tracing::error!(error, "the worker cannot show that it lives")
            }
            Err(error) => tracing::error!(error = format!("{error:#}"), "the heartbeat panicked"),
        }
        let silent = last.elapsed() > claimant.beat.lease;
        if claimant.silent.swap(silent, Ordering::Relaxed) && !silent {
            claimant.wake();
        }
        let shared = host.clone();
        let looked = blocking(move || look_after_runs(shared.claimant(), silent));
        if let Err(error) = looked.await {
            let error = format!("{error:#}");
            tracing::error!(error, "looking after the runs panicked");
        }
    }
    // The beating is over and nobody else holds it.
    Arc::into_inner(presence).expect("every beat was awaited")
}

fn look_after_runs(claimant: &Claimant, silent: bool) {
    let runs = claimant.runs.all();
    let claimed: Vec<_> = runs.iter().map(|run| (run.uuid, run.token)).collect();
    let states = claimant.folder.run_states(&claimed);
    for (run, state) in runs.into_iter().zip(states) {
        let why = match state {
            _ if silent => Stop::Lost,
            // A run that is just being published has no token any more either, and ends by itself.
            RunState::Lost => Stop::Lost,
            RunState::CancelRequested => Stop::Cancel,
            RunState::Held => continue,
        };
        claimant.runs.stop(run.token, why);
    }
}

/// The host's name, as far as it can stand in a file's name.
pub fn host_name() -> String {
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
            c
        } else {
            '-'
        }
    };
    let name: String = name.chars().map(plain).take(NAME_LIMIT).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    if name.is_empty() {
        "worker".into()
    } else {
        name.into()
    }
}
