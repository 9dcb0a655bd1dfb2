//! `GET /healthz`: whether the registry answers.

use serde::Serialize;

use super::call::Call;
use super::reply::{Answer, Failure, Reply};
use crate::registry::Registry;

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
}

/// Opens the registry as a new process would; it must be the file that the server has open.
pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let fresh = Registry::open_existing(&call.server.settings.registry)?;
    fresh.ping()?;
    if !fresh.is_same_file(call.registry) {
        let path = fresh.path().display();
        let why = format!("registry {path} was replaced by another file; restart the server");
        return Err(Failure::refused(503, why));
    }
    Ok(Reply::json(&Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    }))
}
