//! `/livez`, `/readyz`, `/metrics`, `/tasks`: for probes, Prometheus and people.
//!
//! Names no customer. Next: `customers.rs`.

use super::Sources;
use crate::domain::time::Timestamp;
use crate::metrics::TEXT_FORMAT;
use crate::runtime::broker::Input;
use crate::runtime::clock;
use crate::runtime::status::{TaskState, TaskStatus, WorkerStatus};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// 200 while every worker's thread runs and loops.
pub(super) async fn livez(State(sources): State<Sources>) -> Response {
    probe(sources.status.alive(clock::monotonic_ms(), sources.stalled_after))
}

/// 200 while the cluster answers, nobody else is in the group, every worker has joined and every
/// assigned task is restored. What goes on beside that is told, one line each.
pub(super) async fn readyz(State(sources): State<Sources>) -> Response {
    match sources.status.ready() {
        Ok(()) => {
            let lines = sources.status.under_way();
            let lines = std::iter::once("ok".to_owned()).chain(lines);
            (lines.collect::<Vec<_>>().join("\n") + "\n").into_response()
        }
        refused => probe(refused),
    }
}

/// One reason per line.
fn probe(result: Result<(), Vec<String>>) -> Response {
    match result {
        Ok(()) => "ok\n".into_response(),
        Err(reasons) => {
            (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n").into_response()
        }
    }
}

/// The metrics in Prometheus' text format.
pub(super) async fn metrics(State(sources): State<Sources>) -> Response {
    let now = clock::wall_now();
    match sources.metrics.render(now, &sources.status.snapshot(now)) {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be encoded");
            (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response()
        }
    }
}

/// The workers and their tasks.
pub(super) async fn tasks(State(sources): State<Sources>) -> Response {
    let now = clock::wall_now();
    let (workers, troubles) = sources.status.report();
    let away = sources.status.cluster().away();
    let reasons = sources.status.ready().err().unwrap_or_default();
    let troubles: serde_json::Map<String, Value> =
        troubles.into_iter().map(|(of, text)| (of.name().to_owned(), text.into())).collect();
    axum::Json(json!({
        "ready": reasons.is_empty(),
        "reasons": reasons,
        "broker": {
            "up": sources.status.cluster().is_up(),
            "away_since": away.as_ref().and_then(|away| rfc3339(away.since)),
            "error": away.as_ref().map(|away| &away.error),
        },
        "last_errors": troubles,
        "workers": workers
            .iter()
            .enumerate()
            .map(|(index, worker)| worker_json(index, worker, now))
            .collect::<Vec<_>>(),
    }))
    .into_response()
}

fn worker_json(index: usize, worker: &WorkerStatus, now: Timestamp) -> Value {
    json!({
        "worker": index,
        "joined": worker.joined,
        "last_commit_at": worker.last_commit_at.and_then(rfc3339),
        "tasks": worker
            .tasks
            .iter()
            .map(|(partition, task)| task_json(*partition, task, now))
            .collect::<Vec<_>>(),
    })
}

fn task_json(partition: u32, task: &TaskStatus, now: Timestamp) -> Value {
    let inputs: serde_json::Map<String, Value> = Input::ALL
        .into_iter()
        .map(|input| {
            let status = &task.inputs[input.index()];
            let value = json!({
                "next_offset": status.next_offset,
                "end_offset": status.end_offset,
                "lag_ms": status.lag_ms(now),
            });
            (input.name().to_owned(), value)
        })
        .collect();
    let reason = match &task.state {
        TaskState::Blocked { reason } => Some(reason),
        TaskState::Created
        | TaskState::Restoring { .. }
        | TaskState::Running
        | TaskState::Suspended
        | TaskState::Closed => None,
    };
    json!({
        "partition": partition,
        "state": task.state.name(),
        "reason": reason,
        "clock": task.clock.and_then(rfc3339),
        "clock_lag_ms": task.clock_lag_ms(now),
        "held_by": task.held_by.name(),
        "inputs": inputs,
        "customers": task.customers,
        "reevaluation": task.reevaluation.map(|it| json!({
            "revision": it.revision,
            "customers_done": task.customers.saturating_sub(it.left),
            "customers_left": it.left,
            "customers_per_second": it.per_second,
        })),
        "state_bytes": task.state_bytes,
        "redirects": task.redirects,
        "timers_pending": task.timers_pending,
        "timer_overdue_ms": task.overdue_ms(),
        "timer_hold_ms": task.hold_ms(),
        "commit_count": task.commit_count,
        "last_commit_at": task.last_commit_at.and_then(rfc3339),
    })
}

/// RFC 3339, UTC, three decimals; `None` beyond the years that it can write.
fn rfc3339(at: Timestamp) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(at.0).ok()?;
    Some(at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}
