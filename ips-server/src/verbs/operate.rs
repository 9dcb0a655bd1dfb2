//! The common part of the verbs that run on nodes: find the VM and its node, execute the
//! operation, print its result. The verbs' own files hold only their arguments and their row.

use std::sync::atomic::AtomicBool;

use hps_core::names::NodeName;

use super::CATALOG;
use crate::cli::Env;
use crate::cli::output::print_error;
use crate::cli::signals::interruptible;
use crate::engine::Engine;
use crate::model::claim::Precondition;
use crate::model::exit::Exit;
use crate::model::options::Options;
use crate::model::verb::{ClaimEffect, Spec, Target};
use crate::model::vm::Vm;
use crate::operation::check::check_node;
use crate::operation::execute::Executor;
use crate::operation::progress::Progress;
use crate::operation::{CommandRequest, CommandResult, Error};
use crate::registry::Registry;

/// A verb's command line, parsed.
#[derive(Debug)]
pub struct VerbCall<'a> {
    /// vm_id or unique name.
    pub vm: &'a str,
    /// The verb's row.
    pub spec: &'static Spec,
    /// The node; `None`: where the VM is.
    pub node: Option<NodeName>,
    /// The verb's options.
    pub options: Options,
    /// Print the operation record as JSON on stdout.
    pub json: bool,
    /// Why, for the audit.
    pub reason: Option<&'a str>,
}

/// The arguments of a verb that runs on a node: its own ones, between the VM and those that
/// all of them have.
macro_rules! verb_args {
    ($(#[$doc:meta])* $name:ident, $word:tt { $($fields:tt)* }) => {
        $(#[$doc])*
        #[derive(argh::FromArgs, Debug)]
        #[argh(subcommand, name = $word, help_triggers("--help", "-h"))]
        pub struct $name {
            /// vm_id or name of the VM
            #[argh(positional)]
            vm: String,
            $($fields)*
            /// print the operation record as JSON
            #[argh(switch)]
            json: bool,
            /// reason, for the audit log
            #[argh(option, arg_name = "text")]
            reason: Option<String>,
        }

        impl $name {
            fn call(
                &self,
                node: Option<hps_core::names::NodeName>,
                options: $crate::model::options::Options,
            ) -> $crate::verbs::operate::VerbCall<'_> {
                $crate::verbs::operate::VerbCall {
                    vm: &self.vm,
                    spec: &SPEC,
                    node,
                    options,
                    json: self.json,
                    reason: self.reason.as_deref(),
                }
            }
        }
    };
}
pub(crate) use verb_args;

/// Executes a call, prints the result, and returns the exit code.
pub fn run(env: &Env, call: &VerbCall<'_>) -> Exit {
    let result = execute(env, call).unwrap_or_else(CommandResult::from);
    print_error(&format!(
        "{} {}: {}",
        call.spec.name, call.vm, result.message
    ));
    if call.json
        && let Some(operation) = result.operation
    {
        super::operations::print_one(env, operation);
    }
    result.code
}

fn execute(env: &Env, call: &VerbCall<'_>) -> Result<CommandResult, Error> {
    let stop = interruptible();
    let engine = env.engine(&stop)?;
    // A node that is given is checked before the VM is looked up: contract 3's order.
    if let Some(node) = &call.node {
        check_node(engine.as_ref(), node, &stop)?;
    }
    let mut executor = executor(env, engine.as_ref(), &stop, call.reason)?;
    let vm = find(&executor.registry, call.vm)?;
    let node = match destination(&executor.registry, call, &vm)? {
        Destination::Node(node) => node,
        Destination::NothingToDo(message) => {
            return Ok(CommandResult {
                code: Exit::Success,
                message,
                operation: None,
            });
        }
    };
    if call.node.is_none() {
        check_node(engine.as_ref(), &node, &stop)?;
    }
    let request = CommandRequest {
        vm: vm.id.clone(),
        spec: call.spec,
        node,
        options: call.options.clone(),
        precondition: None,
    };
    let result = executor.execute(&request, &vm);
    match call.spec.recreate {
        Some(create) if result.code == Exit::ExecutionFailed => {
            Ok(recreate(&mut executor, create, &request, &vm, result))
        }
        Some(_) | None => Ok(result),
    }
}

/// The VM of that id or name.
pub(super) fn find(registry: &Registry, text: &str) -> Result<Vm, Error> {
    let found = registry.find(text)?;
    found.ok_or_else(|| Error::NotDefined(hps_core::kv::one_line(text)))
}

enum Destination {
    Node(NodeName),
    NothingToDo(String),
}

/// The node of a call: the given one, else the VM's owner.
fn destination(registry: &Registry, call: &VerbCall<'_>, vm: &Vm) -> Result<Destination, Error> {
    if let Some(node) = call.node.as_ref().or(vm.owner.as_ref()) {
        return Ok(Destination::Node(node.clone()));
    }
    if call.spec.target == Target::Given {
        return Err(Error::NodeMissing(call.spec.name, vm.id.clone()));
    }
    let mut conflicts = registry.conflicts()?.into_iter();
    if let Some(conflict) = conflicts.find(|conflict| conflict.vm == vm.id) {
        return Err(Error::Stray {
            vm: vm.id.clone(),
            node: conflict.node,
            state: conflict.state.to_string(),
        });
    }
    if call.spec.claim == ClaimEffect::Ends {
        let message = format!("no node has {}: nothing to {}", vm.id, call.spec.name);
        return Ok(Destination::NothingToDo(message));
    }
    Err(Error::NowhereToRun(vm.id.clone()))
}

/// A diskless node has no domains after a reboot: a start that failed because its owner has
/// none creates the VM again, with the same UUID and claim.
fn recreate(
    executor: &mut Executor<'_>,
    create: &'static Spec,
    failed: &CommandRequest,
    vm: &Vm,
    result: CommandResult,
) -> CommandResult {
    if !executor.is_absent(vm, &failed.node) {
        return result;
    }
    let request = CommandRequest {
        spec: create,
        options: Options::default(),
        precondition: Some(Precondition::Owned),
        ..failed.clone()
    };
    let step = format!("{} has lost {}: created again", failed.node, failed.vm);
    executor.progress.step("absent", &step);
    executor.execute(&request, vm)
}

pub(super) fn executor<'a>(
    env: &'a Env,
    engine: &'a dyn Engine,
    stop: &'a AtomicBool,
    reason: Option<&str>,
) -> Result<Executor<'a>, Error> {
    Ok(Executor {
        registry: Registry::open(&env.settings.registry)?,
        engine,
        catalog: CATALOG,
        author: env.author(reason),
        lock_dir: &env.settings.lock_dir,
        wait_limit: env.settings.verb_timeout + env.settings.instance_timeout,
        stop,
        progress: Progress::to_stderr(),
    })
}
