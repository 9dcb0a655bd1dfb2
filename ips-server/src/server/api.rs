//! What people and monitoring may read: JSON under /v1, health and metrics. Read-only.

use hps_core::names::{VmId, VmName};
use hyper::Method;
use serde::Serialize;

use super::office::{Asked, Body};
use super::{Reply, Worker};
use crate::access;
use crate::json::{self, NodeJson, OperationJson, VmJson};
use crate::registry::{Registry, RegistryError};

/// How many operations one answer holds.
const OPERATIONS: u32 = 1000;

/// Checks what all of these have in common, then answers.
pub(super) fn get(
    worker: &Worker,
    asked: &Asked,
    answer: fn(&Worker, &Asked) -> Result<Reply, RegistryError>,
) -> Reply {
    if !matches!(asked.method, Method::GET | Method::HEAD) {
        return Reply::error(405, "only GET and HEAD");
    }
    if let Err(denied) = access::people(&asked.client, &worker.shared.settings) {
        worker.log_refusal(asked, denied.reason());
        return Reply::error(denied.status(), denied.reason());
    }
    match &asked.body {
        Body::Read(_) => {}
        Body::TooLong => return Reply::error(413, "the body is too long"),
        Body::Broken => return Reply::error(400, "the body cannot be read"),
    }
    if let Err(why) = &asked.query {
        return Reply::error(400, &format!("query: {why}"));
    }
    answer(worker, asked).unwrap_or_else(|error| Reply::error(503, &worker.registry_failed(&error)))
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
}

/// Opens the registry anew, as a fresh process would have to; it must be the file that
/// the workers have open.
pub(super) fn healthz(worker: &Worker, _: &Asked) -> Result<Reply, RegistryError> {
    let fresh = Registry::open_existing(&worker.shared.settings.registry)?;
    fresh.ping()?;
    if !fresh.is_same_file(&worker.registry.borrow()) {
        let path = fresh.path().display();
        let why = format!("registry {path}: another file stands there now; restart the server");
        return Ok(Reply::error(503, &why));
    }
    Ok(Reply::json(&Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    }))
}

pub(super) fn metrics(worker: &Worker, _: &Asked) -> Result<Reply, RegistryError> {
    let stale_after = worker.shared.settings.stale_after;
    let text = worker
        .shared
        .metrics
        .text(&worker.registry.borrow(), stale_after)?;
    Ok(Reply {
        content_type: "text/plain; version=0.0.4; charset=utf-8",
        ..Reply::text(text)
    })
}

pub(super) fn vms(worker: &Worker, _: &Asked) -> Result<Reply, RegistryError> {
    let stale_after = worker.shared.settings.stale_after;
    let json = json::vms_json(&worker.registry.borrow(), stale_after, |_| true)?;
    Ok(Reply::json_text(json))
}

pub(super) fn vm(worker: &Worker, asked: &Asked) -> Result<Reply, RegistryError> {
    let name = asked.path.strip_prefix("/v1/vms/").unwrap_or_default();
    if name.parse::<VmId>().is_err() && name.parse::<VmName>().is_err() {
        return Ok(Reply::error(400, "the path names no VM"));
    }
    let stale_after = worker.shared.settings.stale_after;
    Ok(match worker.registry.borrow().find(name)? {
        Some(vm) => Reply::json(&VmJson::of(&vm, stale_after)),
        None => Reply::error(404, &format!("no VM {name} is defined")),
    })
}

pub(super) fn operations(worker: &Worker, _: &Asked) -> Result<Reply, RegistryError> {
    let operations = worker.registry.borrow().operations(None, OPERATIONS)?;
    Ok(Reply::json(
        &operations.iter().map(OperationJson::of).collect::<Vec<_>>(),
    ))
}

pub(super) fn nodes(worker: &Worker, _: &Asked) -> Result<Reply, RegistryError> {
    let nodes = worker.registry.borrow().nodes()?;
    Ok(Reply::json(
        &nodes.iter().map(NodeJson::reported).collect::<Vec<_>>(),
    ))
}
