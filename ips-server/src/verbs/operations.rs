//! `o_vm operations`: the journal, newest first; `--follow` waits for one operation.

use std::time::Duration;

use argh::FromArgs;
use uuid::Uuid;

use super::{Env, done, registry_failed, say, say_json, say_table, wrong};
use crate::json::ShownOperation;
use crate::model::exit::Exit;
use crate::model::operation::Operation;
use crate::operation::Conclusion;

/// How many are shown.
const MOST: u32 = 1000;

/// List operations, newest first.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "operations")]
pub struct Operations {
    /// only of this VM: vm_id or name
    #[argh(option)]
    vm: Option<String>,
    /// wait for this operation, and exit as it did
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
            None => done("operations", self.list(env)),
            Some(operation) => self.follow(env, operation).unwrap_or_else(|conclusion| {
                super::print_error(&format!("operations: {}", conclusion.message));
                conclusion.code
            }),
        }
    }

    fn list(&self, env: &Env) -> Result<(), Conclusion> {
        let registry = env.registry()?;
        let vm = self.vm.as_deref().map(|vm| id_of(env, vm)).transpose()?;
        let operations = registry
            .operations(vm.as_ref(), MOST)
            .map_err(|error| registry_failed(&error))?;
        if self.json {
            say_json(
                &operations
                    .iter()
                    .map(ShownOperation::of)
                    .collect::<Vec<_>>(),
            );
            return Ok(());
        }
        say_table(
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
    fn follow(&self, env: &Env, operation: Uuid) -> Result<Exit, Conclusion> {
        let registry = env.registry()?;
        let mut shown = 0;
        loop {
            let found = registry
                .operation(operation)
                .map_err(|error| registry_failed(&error))?;
            let found = found.ok_or_else(|| wrong(format!("there is no operation {operation}")))?;
            for step in found.log.iter().skip(shown) {
                super::print_error(&format!("{} {} {}", step.at, step.step, step.result));
            }
            shown = found.log.len();
            if let Some(end) = &found.ended {
                if self.json {
                    say_json(&ShownOperation::of(&found));
                } else {
                    say(&end.reason);
                }
                return Ok(Exit::from_code(end.exit_code).unwrap_or(Exit::Unknown));
            }
            std::thread::sleep(env.settings.poll_interval.max(Duration::from_millis(20)));
        }
    }
}

/// The id of a VM that may be undefined by now: its history stays.
fn id_of(env: &Env, text: &str) -> Result<hps_core::names::VmId, Conclusion> {
    match env.find(text) {
        Ok(vm) => Ok(vm.id),
        Err(unknown) => text.parse().map_err(|_| unknown),
    }
}

fn row(operation: &Operation) -> Vec<String> {
    let (exit, reason) = match &operation.ended {
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
    match env.registry().map(|registry| registry.operation(operation)) {
        Ok(Ok(Some(found))) => say_json(&ShownOperation::of(&found)),
        Ok(Ok(None)) => super::print_error(&format!("operation {operation} is not in the journal")),
        Ok(Err(error)) => super::print_error(&registry_failed(&error).message),
        Err(conclusion) => super::print_error(&conclusion.message),
    }
}
