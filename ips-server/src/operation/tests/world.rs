//! A registry in a folder of its own, and an engine with scripted nodes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hps_core::config::VmConfig;
use hps_core::names::NodeName;
use hps_core::report::{DomainReport, Inventory};
use hps_core::state::VmState;
use uuid::Uuid;

use crate::engine::{
    CleanupError, Detail, Engine, InventoryAnswer, NoAnswer, OnStep, PrepareError, RunOutcome,
    TaskStatus,
};
use crate::model::node::{Health, Node};
use crate::model::options::Options;
use crate::model::task::{Task, TaskRef};
use crate::model::token::Token;
use crate::model::verb::{Catalog, Spec};
use crate::model::vm::Vm;
use crate::operation::execute::Executor;
use crate::operation::progress::Progress;
use crate::operation::{CommandRequest, CommandResult};
use crate::registry::{Author, Registry};

/// What a task of the fake engine does.
#[derive(Debug, Clone)]
pub(super) enum Does {
    /// Its `n_vm` ends with this code.
    Exits(i32),
    /// The process of `o_vm` dies while the task runs: nothing comes back, the task ends with
    /// this code all the same, and OpenSVC records it or not.
    Dies { recorded: Option<i32> },
    /// The service cannot be made.
    IsNotMade,
}

/// An engine whose tasks are scripted by `verb on node`; any other succeeds.
#[derive(Default)]
pub(super) struct FakeEngine {
    pub(super) script: Mutex<BTreeMap<String, Does>>,
    /// The tasks that were run, in order.
    pub(super) ran: Mutex<Vec<String>>,
    /// Results of sessions whose process died.
    recorded: Mutex<BTreeMap<Uuid, TaskStatus>>,
    /// Raised when a task "kills" the process: the caller then drops everything.
    pub(super) is_dead: AtomicBool,
    /// Domains by node.
    pub(super) domains: Mutex<BTreeMap<String, (Uuid, VmState)>>,
}

fn key(verb: impl std::fmt::Display, node: &NodeName) -> String {
    format!("{verb} on {node}")
}

impl Engine for FakeEngine {
    fn nodes(&self) -> Result<Vec<Node>, NoAnswer> {
        let node = |name: &str| Node {
            name: name.parse().unwrap(),
            health: Health::Healthy,
            labels: Vec::new(),
            load_15m: None,
            memory_mb: None,
        };
        Ok(["n1", "n2"].map(node).to_vec())
    }

    fn is_host(&self, _: &NodeName) -> bool {
        true
    }

    fn addresses(&self, _: &NodeName) -> Option<Vec<IpAddr>> {
        None
    }

    fn prepare(&self, task: &Task, _: OnStep<'_>) -> Result<(), PrepareError> {
        match self
            .script
            .lock()
            .unwrap()
            .get(&key(task.spec.name, &task.node))
        {
            Some(Does::IsNotMade) => Err(PrepareError::NotMade("scripted".to_owned())),
            Some(Does::Exits(_) | Does::Dies { .. }) | None => Ok(()),
        }
    }

    fn run(&self, task: &Task, _: &File, _: OnStep<'_>) -> RunOutcome {
        let key = key(task.spec.name, &task.node);
        self.ran.lock().unwrap().push(key.clone());
        match self.script.lock().unwrap().get(&key) {
            None => RunOutcome::Exited(0, None),
            Some(Does::Exits(code)) => RunOutcome::Exited(*code, Some(format!("{key} failed"))),
            Some(Does::Dies { recorded }) => {
                let status = recorded.map_or(TaskStatus::Over, TaskStatus::Exited);
                self.recorded.lock().unwrap().insert(task.session, status);
                self.is_dead.store(true, Ordering::Relaxed);
                RunOutcome::Unknown("the process died".to_owned())
            }
            Some(Does::IsNotMade) => unreachable!("it was not prepared"),
        }
    }

    fn status(&self, task: &TaskRef) -> TaskStatus {
        let recorded = self.recorded.lock().unwrap();
        recorded
            .get(&task.session)
            .cloned()
            .unwrap_or(TaskStatus::Over)
    }

    fn wait(&self, _: &TaskRef, _: OnStep<'_>) -> RunOutcome {
        RunOutcome::Unknown("nothing runs".to_owned())
    }

    fn clean(&self, _: &TaskRef) -> Result<(), CleanupError> {
        Ok(())
    }

    fn service_of(&self, task: &TaskRef) -> String {
        format!("{}-{}", task.verb, task.subject)
    }

    fn task_services(&self) -> Result<Vec<String>, NoAnswer> {
        Ok(Vec::new())
    }

    fn remove_task_service(&self, _: &str) -> Result<(), CleanupError> {
        Ok(())
    }

    fn inventory(
        &self,
        node: &NodeName,
        _: &Token,
        _: Detail,
    ) -> Result<InventoryAnswer, NoAnswer> {
        let domains = self.domains.lock().unwrap();
        let found = domains.get(node.as_str()).into_iter();
        Ok(InventoryAnswer::Here(Inventory {
            node: node.clone(),
            boot_id: Uuid::from_u128(1),
            version: "1".to_owned(),
            cpus: 1,
            memory_mb: 64,
            domains: found
                .map(|(uuid, state)| DomainReport {
                    name: "web".to_owned(),
                    uuid: *uuid,
                    state: *state,
                    vcpus: 1,
                    memory_mb: 64,
                    vnc: None,
                    definition: None,
                })
                .collect(),
        }))
    }
}

/// The surroundings of an operation.
pub(super) struct World {
    pub(super) engine: FakeEngine,
    folder: PathBuf,
    stop: AtomicBool,
    catalog: Catalog,
    operations: RefCell<Vec<Uuid>>,
    deaths: Cell<usize>,
}

impl World {
    pub(super) fn new(name: &str, catalog: Catalog) -> Self {
        let folder = std::env::temp_dir().join(format!("hps-plan-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let world = Self {
            engine: FakeEngine::default(),
            folder,
            stop: AtomicBool::new(false),
            catalog,
            operations: RefCell::default(),
            deaths: Cell::new(0),
        };
        let text = "name=web\ncpu_count=1\nram_mb=64\nprovision_method=virt-install\n";
        let config = VmConfig::parse(text.as_bytes()).unwrap().config;
        world
            .registry()
            .define(&author(), &[("vm-1".parse().unwrap(), config)])
            .unwrap();
        world
    }

    pub(super) fn registry(&self) -> Registry {
        Registry::open(&self.folder.join("registry.db")).unwrap()
    }

    pub(super) fn vm(&self) -> Vm {
        let vm = self.registry().vm(&"vm-1".parse().unwrap());
        vm.unwrap().unwrap()
    }

    pub(super) fn script(&self, task: &str, does: Does) {
        self.engine
            .script
            .lock()
            .unwrap()
            .insert(task.to_owned(), does);
    }

    pub(super) fn succeeds_again(&self, task: &str) {
        self.engine.script.lock().unwrap().remove(task);
    }

    pub(super) fn ran(&self) -> Vec<String> {
        self.engine.ran.lock().unwrap().clone()
    }

    pub(super) fn executor(&self) -> Executor<'_> {
        Executor {
            registry: self.registry(),
            engine: &self.engine,
            catalog: self.catalog,
            author: author(),
            lock_dir: &self.folder,
            wait_limit: Duration::from_secs(1),
            stop: &self.stop,
            progress: Progress::quiet(),
        }
    }

    /// One run of `o_vm VERB`.
    pub(super) fn run(&self, spec: &'static Spec, node: &str) -> CommandResult {
        let request = CommandRequest {
            vm: "vm-1".parse().unwrap(),
            spec,
            node: node.parse().unwrap(),
            options: Options::default(),
            precondition: None,
        };
        let result = self.executor().execute(&request, &self.vm());
        self.operations.borrow_mut().extend(result.operation);
        let died = self.engine.is_dead.swap(false, Ordering::Relaxed);
        self.deaths.set(self.deaths.get() + usize::from(died));
        result
    }

    /// How many runs were killed.
    pub(super) fn deaths(&self) -> usize {
        self.deaths.get()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn author() -> Author {
    Author {
        who: "tester (uid 0)".into(),
        source: "test".into(),
        reason: None,
    }
}
