//! The IPS command interface (design: contract 2), as installed nodes speak it:
//! `/cgi-bin/boot_manager.sh?cmd=vm&get_config=get_config&vm_id=ID`.

use hps_core::kv::one_line;
use hps_core::names::VmId;
use hps_core::report::{Inventory, Report};
use hyper::Method;

use super::office::{Asked, Body};
use super::query::Query;
use super::{Reply, Worker};
use crate::access::{self, Denied};
use crate::model::token;
use crate::registry::RegistryError;
use crate::registry::tokens::{Grant, ReportOutcome};

/// Answers a command; every refusal is `error=TEXT`.
pub(super) fn answer(worker: &Worker, asked: &Asked) -> Reply {
    if !matches!(asked.method, Method::GET | Method::POST) {
        return Reply::refusal(405, "only GET and POST");
    }
    let body = match &asked.body {
        Body::Read(body) => body,
        Body::TooLong => return Reply::refusal(413, "the body is too long"),
        Body::Broken => return Reply::refusal(400, "the body cannot be read"),
    };
    let query = match &asked.query {
        Ok(query) => query,
        Err(why) => return Reply::refusal(400, &format!("query: {why}")),
    };
    let command = Command {
        worker,
        asked,
        query,
        body,
    };
    let answered = match query.get("cmd") {
        Some("vm") if query.get("get_config").is_some() => command.get_config(),
        Some("vm") => match query.get("report") {
            Some("inventory") => command.inventory(),
            Some("report" | "") => command.report(),
            Some(_) => Ok(Reply::refusal(400, "report: want report or inventory")),
            None => Ok(Reply::refusal(400, "cmd=vm: want get_config or report")),
        },
        Some("log_message") => command.log_message(),
        Some(_) => Ok(Reply::refusal(404, "no such command here")),
        None => Ok(Reply::refusal(400, "cmd is missing")),
    };
    answered.unwrap_or_else(|error| Reply::refusal(503, &worker.registry_failed(&error)))
}

struct Command<'a> {
    worker: &'a Worker,
    asked: &'a Asked,
    query: &'a Query,
    body: &'a [u8],
}

impl Command<'_> {
    fn get_config(&self) -> Result<Reply, RegistryError> {
        let Some(id) = self.query.get("vm_id") else {
            return Ok(Reply::refusal(400, "vm_id is missing"));
        };
        let id: VmId = match id.parse() {
            Ok(id) => id,
            Err(error) => return Ok(Reply::refusal(400, &one_line(&format!("{error}")))),
        };
        let (settings, registry) = (
            &self.worker.shared.settings,
            &*self.worker.registry.borrow(),
        );
        if let Err(denied) = access::config(&self.asked.client, &id, settings, registry)? {
            return Ok(self.deny(denied));
        }
        Ok(match registry.vm(&id)? {
            Some(vm) => Reply::text(vm.config.to_text()),
            None => Reply::refusal(404, &format!("no VM {id} is defined")),
        })
    }

    fn report(&self) -> Result<Reply, RegistryError> {
        let grant = match access::token(&self.asked.client, &self.worker.registry.borrow())? {
            Ok(grant) => grant,
            Err(denied) => return Ok(self.deny(denied)),
        };
        let report = match Report::parse(self.body) {
            Ok(report) => report,
            Err(error) => return Ok(Reply::refusal(400, &format!("report: {error}"))),
        };
        if !is_of(&report, &grant) {
            return Ok(self.deny(Denied::OtherVm));
        }
        Ok(
            match self.worker.registry.borrow_mut().record_report(&report)? {
                ReportOutcome::Recorded => Reply::nothing(),
                ReportOutcome::Contradicted => {
                    Reply::refusal(409, "another report of this operation stands")
                }
                ReportOutcome::Closed => Reply::refusal(403, "the operation is closed"),
            },
        )
    }

    fn inventory(&self) -> Result<Reply, RegistryError> {
        let grant = match access::token(&self.asked.client, &self.worker.registry.borrow())? {
            Ok(grant) => grant,
            Err(denied) => return Ok(self.deny(denied)),
        };
        let inventory = match Inventory::parse(self.body) {
            Ok(inventory) => inventory,
            Err(error) => return Ok(Reply::refusal(400, &format!("inventory: {error}"))),
        };
        if grant.session.is_some()
            || grant.vm.is_some()
            || grant.node.as_ref() != Some(&inventory.node)
        {
            return Ok(self.deny(Denied::OtherVm));
        }
        let mut registry = self.worker.registry.borrow_mut();
        registry.record_inventory(&inventory, grant.epoch.unwrap_or_default())?;
        // Whoever asked decides by this answer, not by what others make of the registry meanwhile.
        if let Some(shown) = self.asked.client.token.as_deref() {
            registry.keep_inventory(token::hash(shown), &inventory)?;
        }
        Ok(Reply::nothing())
    }

    fn log_message(&self) -> Result<Reply, RegistryError> {
        let (settings, registry) = (
            &self.worker.shared.settings,
            &*self.worker.registry.borrow(),
        );
        let grant = match access::log(&self.asked.client, settings, registry)? {
            Ok(grant) => grant,
            Err(denied) => return Ok(self.deny(denied)),
        };
        let Some(message) = self.query.get("message") else {
            return Ok(Reply::refusal(400, "message is missing"));
        };
        let address = self.asked.client.address;
        if !self.worker.shared.limiter.admits(address) {
            return Ok(Reply::refusal(429, "too many messages"));
        }
        let node = grant
            .and_then(|grant| grant.node)
            .map_or_else(|| address.to_string(), |node| node.to_string());
        let function = self.query.get("function").unwrap_or_default();
        tracing::info!(%node, function, "{message}");
        Ok(Reply::nothing())
    }

    fn deny(&self, denied: Denied) -> Reply {
        self.worker.log_refusal(self.asked, denied.reason());
        Reply::refusal(denied.status(), denied.reason())
    }
}

/// A report belongs to the token's own operation in every respect.
fn is_of(report: &Report, grant: &Grant) -> bool {
    grant.session == Some(report.operation)
        && grant.vm.as_ref() == Some(&report.vm_id)
        && grant
            .verb
            .is_some_and(|verb| verb.as_str() == report.verb.as_str())
        && grant.node.as_ref() == Some(&report.node)
}
