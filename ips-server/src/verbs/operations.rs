//! `o_vm operations`: the journal, newest first; `--follow` waits for one operation.

use std::time::Duration;

use argh::FromArgs;
use uuid::Uuid;

use super::{finish, finish_with};
use crate::cli::output::{print, print_error, print_json, print_table};
use crate::cli::{Env, Error, usage_error};
use crate::error::chain;
use crate::json::OperationJson;
use crate::model::exit::Exit;
use crate::model::operation::Operation;

/// The most operations that are listed.
const MOST: u32 = 1000;

/// List operations, newest first.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "operations", help_triggers("--help", "-h"))]
pub struct Operations {
    /// only operations of this VM: vm_id or name
    #[argh(option)]
    vm: Option<String>,
    /// wait for this operation and exit with its code
    #[argh(option, arg_name = "operation")]
    follow: Option<Uuid>,
    /// print JSON
    #[argh(switch)]
    json: bool,
}

impl Operations {
    /// Lists or follows them.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        match self.follow {
            None => finish("operations", self.list(env)),
            Some(operation) => finish_with("operations", self.follow(env, operation)),
        }
    }

    fn list(&self, env: &Env) -> Result<(), Error> {
        let registry = env.registry()?;
        let vm = self.vm.as_deref().map(|vm| id_of(env, vm)).transpose()?;
        let operations = registry.operations(vm.as_ref(), MOST)?;
        if self.json {
            print_json(&operations.iter().map(OperationJson::of).collect::<Vec<_>>());
            return Ok(());
        }
        print_table(
            &[
                "OPERATION",
                "VM_ID",
                "VERB",
                "NODE",
                "STARTED",
                "EXIT",
                "REASON",
            ],
            operations.iter().map(row),
        );
        Ok(())
    }

    /// Shows steps as they are journaled, until the operation has ended.
    fn follow(&self, env: &Env, operation: Uuid) -> Result<Exit, Error> {
        let registry = env.registry()?;
        let mut shown = 0;
        loop {
            let found = registry.operation(operation)?;
            let found = found.ok_or_else(|| unknown(operation))?;
            for step in found.log.iter().skip(shown) {
                print_error(&format!("{} {} {}", step.at, step.step, step.result));
            }
            shown = found.log.len();
            if let Some(end) = &found.end {
                if self.json {
                    print_json(&OperationJson::of(&found));
                } else {
                    print(&end.reason);
                }
                // A code that this version does not know is not a success.
                return Ok(Exit::from_code(end.exit_code).unwrap_or(Exit::Unknown));
            }
            std::thread::sleep(env.settings.poll_interval.max(Duration::from_millis(20)));
        }
    }
}

/// The id of a VM. It may be undefined by now: its operations stay.
fn id_of(env: &Env, text: &str) -> Result<hps_core::names::VmId, Error> {
    match env.find(text) {
        Ok(vm) => Ok(vm.id),
        Err(unknown) => text.parse().map_err(|_| unknown),
    }
}

fn row(operation: &Operation) -> Vec<String> {
    let (exit, reason) = match &operation.end {
        Some(end) => (end.exit_code.to_string(), end.reason.clone()),
        None => (
            "open".to_owned(),
            operation
                .log
                .last()
                .map(|step| step.result.clone())
                .unwrap_or_default(),
        ),
    };
    vec![
        operation.id.to_string(),
        operation
            .vm
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        operation.verb.to_string(),
        operation
            .node()
            .map(ToString::to_string)
            .unwrap_or_default(),
        operation.started_at.to_string(),
        exit,
        reason,
    ]
}

/// The record of one operation, for `--json` of a verb.
pub(super) fn print_one(env: &Env, operation: Uuid) {
    match find(env, operation) {
        Ok(found) => print_json(&OperationJson::of(&found)),
        Err(error) => print_error(&chain(&error)),
    }
}

fn find(env: &Env, operation: Uuid) -> Result<Operation, Error> {
    let found = env.registry()?.operation(operation)?;
    found.ok_or_else(|| unknown(operation))
}

fn unknown(operation: Uuid) -> Error {
    usage_error(format!("unknown operation {operation}"))
}
