//! The IPS command interface (design: contract 2), as installed nodes speak it:
//! `/cgi-bin/boot_manager.sh?cmd=vm&get_config=get_config&vm_id=ID`. A file per command.

pub(super) mod config;
pub(super) mod inventory;
pub(super) mod log_message;
pub(super) mod report;

use super::query::{Query, QueryError};
use super::reply::Failure;
use super::routes::{COMMANDS, Route};

/// Where installed nodes send their commands.
pub(super) const PATH: &str = "/cgi-bin/boot_manager.sh";

/// The route of the command that a query names.
///
/// # Errors
/// It names none.
pub(super) fn select(query: &Result<Query, QueryError>) -> Result<&'static Route, Failure> {
    let query = match query {
        Ok(query) => query,
        Err(why) => return Err(Failure::refused(400, format!("query: {why}"))),
    };
    let name = match query.get("cmd") {
        Some("vm") if query.get("get_config").is_some() => "get_config",
        Some("vm") => match query.get("report") {
            Some("inventory") => "inventory",
            Some("report" | "") => "report",
            Some(_) => return Err(Failure::refused(400, "report: want report or inventory")),
            None => return Err(Failure::refused(400, "cmd=vm: want get_config or report")),
        },
        Some("log_message") => "log_message",
        Some(_) => return Err(Failure::refused(404, "unknown command")),
        None => return Err(Failure::refused(400, "cmd is missing")),
    };
    let route = COMMANDS.iter().find(|route| route.command == name);
    route.ok_or_else(|| Failure::refused(404, "unknown command"))
}
