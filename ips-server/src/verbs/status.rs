//! `o_vm status`: the state of a VM, asked of its node now; `--cached` asks the registry
//! alone. Reads take no lock and are no operations.

use argh::FromArgs;
use hps_core::names::NodeName;

use crate::cli::output::print_error;
use crate::cli::signals::interruptible;
use crate::cli::{Env, Error};
use crate::engine::Engine;
use crate::error::chain;
use crate::model::exit::Exit;
use crate::operation::Conclusion;
use crate::operation::settle;
use crate::registry::vms::Vm;

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
    /// Tells it. A node that does not answer is 11: unknown, not off.
    #[must_use]
    pub fn run(&self, env: &Env) -> Exit {
        let told = match (&self.vm, self.all) {
            (Some(vm), false) => self.one(env, vm),
            (None, true) => self.every(env),
            (Some(_), true) | (None, false) => {
                Err(Conclusion::refused(Exit::Parameters, "want a VM or --all"))
            }
        };
        told.unwrap_or_else(|conclusion| {
            print_error(&format!("status: {}", conclusion.message));
            conclusion.code
        })
    }

    fn one(&self, env: &Env, name: &str) -> Result<Exit, Conclusion> {
        let vm = env.find(name)?;
        let asked = match &vm.owner {
            Some(owner) if !self.cached => ask(env, owner),
            Some(_) | None => Ok(()),
        };
        let vm = if asked.is_ok() {
            env.find(name)?
        } else {
            vm.doubted()
        };
        self.show(env, &[vm]);
        asked.map(|()| Exit::Success)
    }

    fn every(&self, env: &Env) -> Result<Exit, Conclusion> {
        let failures = if self.cached {
            Vec::new()
        } else {
            ask_all(env)?
        };
        let vms = env.registry()?.vms().map_err(Error::from)?;
        let doubted = |vm: Vm| {
            if vm
                .owner
                .as_ref()
                .is_some_and(|owner| failures.contains(owner))
            {
                vm.doubted()
            } else {
                vm
            }
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

/// Asks one node; what it has is in the registry afterwards.
fn ask(env: &Env, node: &NodeName) -> Result<(), Conclusion> {
    let stop = interruptible();
    let engine = env.engine(&stop)?;
    let unknown = |why: String| Conclusion::refused(Exit::Unknown, format!("{node}: {why}"));
    settle::take_inventory(&mut env.registry()?, engine.as_ref(), node).map_err(unknown)
}

/// Asks every node that answers, side by side; the names of those that gave no answer.
fn ask_all(env: &Env) -> Result<Vec<NodeName>, Conclusion> {
    let stop = interruptible();
    let engine = env.engine(&stop)?;
    let engine = engine.as_ref();
    let nodes = settle::hosts(&env.registry()?, engine)
        .map_err(|why| Conclusion::refused(Exit::Unknown, why))?;
    Ok(std::thread::scope(|scope| {
        let asked: Vec<_> = nodes
            .into_iter()
            .map(|node| {
                (
                    node.name.clone(),
                    scope.spawn(move || ask_alive(env, engine, &node)),
                )
            })
            .collect();
        asked
            .into_iter()
            .filter_map(|(name, thread)| answer(name, thread))
            .collect()
    }))
}

fn ask_alive(env: &Env, engine: &dyn Engine, node: &crate::engine::Node) -> Result<(), String> {
    if !node.health.is_alive() {
        return Err(node
            .health
            .reason()
            .unwrap_or("not in the cluster")
            .to_owned());
    }
    let mut registry = env.registry().map_err(|error| chain(&error))?;
    settle::take_inventory(&mut registry, engine, &node.name)
}

fn answer(
    name: NodeName,
    thread: std::thread::ScopedJoinHandle<'_, Result<(), String>>,
) -> Option<NodeName> {
    let why = match thread.join() {
        Ok(Ok(())) => return None,
        Ok(Err(why)) => why,
        Err(_) => "the asking thread ended early".to_owned(),
    };
    print_error(&format!("status: {name}: {why}"));
    Some(name)
}
