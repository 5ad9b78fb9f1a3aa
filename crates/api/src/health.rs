//! `GET /healthz`: is the process alive? `GET /readyz`: can jobs be run?

use std::sync::PoisonError;

use actix_web::{HttpResponse, web};
use job_core::files::Heartbeat;
use serde::Serialize;

use crate::context::Context;
use crate::problem::Problem;

/// Always well: a process that answers is alive.
pub fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "status": "ok" }))
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    workers: Vec<ReadyWorker>,
    apis: usize,
}

#[derive(Serialize)]
struct ReadyWorker {
    worker: job_core::ids::WorkerId,
    slots: u32,
    running: usize,
}

/// The workers that live, as their last heartbeats tell of them.
///
/// # Errors
/// Trouble with the folder.
pub(crate) async fn living_workers(context: &Context) -> Result<Vec<Heartbeat>, Problem> {
    let state = context.state.clone();
    let living = web::block(move || {
        let mut workers = state.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.living_workers(&state.folder, state.uptime())
    });
    Ok(living.await??)
}

/// Well where the folder can be read and a worker lives.
///
/// # Errors
/// `no-app-server` where no worker lives, or trouble with the folder.
pub async fn readyz(context: Context) -> Result<HttpResponse, Problem> {
    let living = living_workers(&context).await?;
    if living.is_empty() {
        let detail = "no worker is alive: nothing is run until one is";
        return Err(Problem::no_worker(detail));
    }
    let workers = living.into_iter();
    let workers = workers.map(|beat| ReadyWorker {
        worker: beat.worker,
        slots: beat.slots,
        running: beat.jobs.len(),
    });
    let apis = context.site.catalog.iter().count();
    Ok(HttpResponse::Ok().json(Ready {
        status: "ready",
        workers: workers.collect(),
        apis,
    }))
}
