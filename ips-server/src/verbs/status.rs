//! `o_vm status`: the state of a VM, by its node now, or by the registry with `--cached`.
//! Reads take no lock and are not operations.

use argh::FromArgs;
use hps_core::names::NodeName;

use super::finish_with;
use crate::cli::output::print_error;
use crate::cli::signals::interruptible;
use crate::cli::{Env, Error, usage_error};
use crate::engine::Engine;
use crate::model::exit::Exit;
use crate::model::node::Node;
use crate::model::vm::Vm;
use crate::operation::inventory;

/// Show the state of a VM, or of all VMs.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "status", help_triggers("--help", "-h"))]
pub struct Status {
    /// vm_id or name of the VM
    #[argh(positional)]
    vm: Option<String>,
    /// every VM; asks all nodes at once
    #[argh(switch)]
    all: bool,
    /// the last state in the registry; asks no node
    #[argh(switch)]
    cached: bool,
    /// print JSON
    #[argh(switch)]
    json: bool,
}

impl Status {
    /// Shows it. A node that does not answer is 11: its VMs are unknown, not off.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        let result = match (&self.vm, self.all) {
            (Some(vm), false) => self.one(env, vm),
            (None, true) => self.every(env),
            (Some(_), true) | (None, false) => Err(usage_error("give a VM or --all")),
        };
        finish_with("status", result)
    }

    fn one(&self, env: &Env, name: &str) -> Result<Exit, Error> {
        let vm = env.find(name)?;
        let answer = match &vm.owner {
            Some(owner) if !self.cached => ask(env, owner),
            Some(_) | None => Ok(()),
        };
        let vm = if answer.is_ok() {
            env.find(name)?
        } else {
            vm.doubted()
        };
        self.show(env, &[vm]);
        answer.map(|()| Exit::Success)
    }

    fn every(&self, env: &Env) -> Result<Exit, Error> {
        let failures = if self.cached {
            Vec::new()
        } else {
            ask_all(env)?
        };
        let vms = env.registry()?.vms()?;
        let doubted = |vm: Vm| match &vm.owner {
            Some(owner) if failures.contains(owner) => vm.doubted(),
            Some(_) | None => vm,
        };
        self.show(env, &vms.into_iter().map(doubted).collect::<Vec<_>>());
        Ok(if failures.is_empty() {
            Exit::Success
        } else {
            Exit::Unknown
        })
    }

    fn show(&self, env: &Env, vms: &[Vm]) {
        match (self.json, self.all) {
            (true, true) => super::list::print_json_array(env, vms),
            (true, false) => super::list::print_json_one(env, vms),
            (false, _) => super::list::print_usual(env, vms),
        }
    }
}

/// Asks one node; the registry has its answer afterwards.
fn ask(env: &Env, node: &NodeName) -> Result<(), Error> {
    let stop = interruptible();
    let engine = env.engine(&stop)?;
    inventory::refresh(&mut env.registry()?, engine.as_ref(), node)
}

/// Asks every node that answers, side by side; the names of those that gave no answer.
fn ask_all(env: &Env) -> Result<Vec<NodeName>, Error> {
    let stop = interruptible();
    let engine = env.engine(&stop)?;
    let engine = engine.as_ref();
    let nodes = inventory::hosts(&env.registry()?, engine)
        .map_err(|error| Error::Unknown(error.without_node()))?;
    Ok(std::thread::scope(|scope| {
        let threads: Vec<_> = nodes
            .into_iter()
            .map(|node| {
                let name = node.name.clone();
                (name, scope.spawn(move || ask_alive(env, engine, &node)))
            })
            .collect();
        threads
            .into_iter()
            .filter_map(|(name, thread)| answer(name, thread))
            .collect()
    }))
}

fn ask_alive(env: &Env, engine: &dyn Engine, node: &Node) -> Result<(), String> {
    if !node.health.is_alive() {
        let reason = node.health.reason();
        return Err(reason.unwrap_or("not in the cluster").to_owned());
    }
    let mut registry = env.registry().map_err(|error| error.without_node())?;
    inventory::refresh(&mut registry, engine, &node.name).map_err(|error| error.without_node())
}

fn answer(
    name: NodeName,
    thread: std::thread::ScopedJoinHandle<'_, Result<(), String>>,
) -> Option<NodeName> {
    let why = match thread.join() {
        Ok(Ok(())) => return None,
        Ok(Err(why)) => why,
        Err(_) => "the query of this node panicked".to_owned(),
    };
    print_error(&format!("status: {name}: {why}"));
    Some(name)
}
