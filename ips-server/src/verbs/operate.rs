//! What every verb that changes a VM shares: find the VM and its node, perform the
//! operation, say how it ended. The verbs' own files hold their words and options only.

use std::sync::atomic::AtomicBool;

use hps_core::names::{NodeName, VmId};
use hps_core::verb::Verb;

use crate::cli::output::print_error;
use crate::cli::signals::interruptible;
use crate::cli::{Env, Error};
use crate::engine::Engine;
use crate::model::exit::Exit;
use crate::operation::options::Options;
use crate::operation::perform::{Performer, check_node};
use crate::operation::progress::Progress;
use crate::operation::{Conclusion, Request};
use crate::registry::journal::Again;
use crate::registry::vms::Vm;

/// What a verb's command line comes down to.
#[derive(Debug)]
pub struct Order<'a> {
    /// vm_id or unique name.
    pub vm: &'a str,
    /// What to do.
    pub verb: Verb,
    /// Where; `None`: where the VM is.
    pub node: Option<NodeName>,
    /// How.
    pub options: Options,
    /// Print the operation record as JSON on stdout.
    pub json: bool,
    /// Why, for the audit.
    pub reason: Option<&'a str>,
}

/// Performs it, prints the outcome, and returns the exit code.
pub fn order(env: &Env, order: &Order<'_>) -> Exit {
    let conclusion = perform(env, order).unwrap_or_else(|refused| refused);
    tell(env, order, &conclusion);
    conclusion.code
}

fn perform(env: &Env, order: &Order<'_>) -> Result<Conclusion, Conclusion> {
    let stop = interruptible();
    let engine = env.engine(&stop)?;
    // A node that is given is checked before the VM is looked up: contract 3's order.
    if let Some(node) = &order.node {
        check_node(engine.as_ref(), node)?;
    }
    let vm = env.find(order.vm)?;
    let request = match request(env, order, &vm) {
        Ok(request) => request,
        Err(nothing_to_do) => return Ok(nothing_to_do),
    };
    if order.node.is_none() {
        check_node(engine.as_ref(), &request.node)?;
    }
    let mut performer = performer(env, engine.as_ref(), &stop, order.reason)?;
    let conclusion = performer.perform(&request);
    if order.verb == Verb::Start && conclusion.code == Exit::ExecutionFailed {
        return Ok(make_again(&mut performer, &request, conclusion));
    }
    Ok(conclusion)
}

/// Where it goes: to the node it was told, else to the VM's owner.
fn request(env: &Env, order: &Order<'_>, vm: &Vm) -> Result<Request, Conclusion> {
    let node = match (&order.node, &vm.owner) {
        (Some(node), _) | (None, Some(node)) => node.clone(),
        (None, None) => return Err(nowhere(env, order.verb, &vm.id)?),
    };
    Ok(Request {
        vm: vm.id.clone(),
        verb: order.verb,
        node,
        options: order.options.clone(),
        again: None,
    })
}

/// What a verb without a node comes to when no node owns the VM.
fn nowhere(env: &Env, verb: Verb, vm: &VmId) -> Result<Conclusion, Conclusion> {
    let conflicts = env.registry()?.conflicts();
    let conflicts = conflicts.map_err(Error::from)?;
    if let Some(conflict) = conflicts.into_iter().find(|conflict| conflict.vm == *vm) {
        let (node, state) = (conflict.node, conflict.state);
        let why = format!(
            "no node owns {vm}, but {node} has a domain of it ({state}); `o_vm create {vm} {node}` takes it over"
        );
        return Ok(Conclusion::refused(Exit::Refused, why));
    }
    Ok(if verb == Verb::Destroy {
        Conclusion::refused(
            Exit::Success,
            format!("no node has {vm}: nothing to destroy"),
        )
    } else {
        let why = format!("no node has {vm}; `o_vm create {vm} NODE` makes it");
        Conclusion::refused(Exit::Parameters, why)
    })
}

/// A diskless node knows no domain after a reboot: a start that failed because the owner
/// has none makes it again, same UUID, same claim.
fn make_again(performer: &mut Performer<'_>, start: &Request, failed: Conclusion) -> Conclusion {
    if !performer.is_absent(start) {
        return failed;
    }
    let create = Request {
        verb: Verb::Create,
        options: Options::default(),
        again: Some(Again::Owned),
        ..start.clone()
    };
    performer.progress.step(
        "absent",
        &format!(
            "{} does not know {} any more: made again",
            start.node, start.vm
        ),
    );
    performer.perform(&create)
}

pub(super) fn performer<'a>(
    env: &'a Env,
    engine: &'a dyn Engine,
    stop: &'a AtomicBool,
    reason: Option<&str>,
) -> Result<Performer<'a>, Conclusion> {
    Ok(Performer {
        registry: env.registry()?,
        engine,
        author: env.author(reason),
        lock_dir: &env.settings.lock_dir,
        wait_limit: env.settings.verb_timeout + env.settings.instance_timeout,
        stop,
        progress: Progress::to_stderr(),
    })
}

/// One line for people on stderr; the record on stdout where it is asked for.
fn tell(env: &Env, order: &Order<'_>, conclusion: &Conclusion) {
    print_error(&format!(
        "{} {}: {}",
        order.verb, order.vm, conclusion.message
    ));
    if order.json
        && let Some(operation) = conclusion.operation
    {
        super::operations::print_one(env, operation);
    }
}
