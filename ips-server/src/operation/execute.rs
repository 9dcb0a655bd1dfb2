//! One operation from its request to its end, in contract 3's order of checks. Each step is
//! journaled before the next begins; killed anywhere, the same request again (or a sweep)
//! ends right.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::error::Error;
use super::lock::{Attempt, Holder, VmLock, try_lock};
use super::progress::Progress;
use super::settle::{self, Leftover};
use super::{CommandRequest, CommandResult, task_ref};
use crate::engine::{Engine, PrepareError, RunOutcome};
use crate::error::chain;
use crate::model::exit::Exit;
use crate::model::node::Health;
use crate::model::operation::{BeginOutcome, Completion, NewOperation, Operation};
use crate::model::step::Step;
use crate::model::task::Task;
use crate::model::token::Token;
use crate::model::verb::{Catalog, PlanRequest, Spec};
use crate::model::vm::Vm;
use crate::registry::{Author, Registry};
use hps_core::names::{NodeName, VmId};

/// How often a lock that another process holds is looked at.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// What operations are executed with.
pub struct Executor<'a> {
    /// The registry.
    pub registry: Registry,
    /// What carries tasks to nodes.
    pub engine: &'a dyn Engine,
    /// The rows of all verbs.
    pub catalog: Catalog,
    /// Who asks.
    pub author: Author,
    /// The folder of the VM locks.
    pub lock_dir: &'a Path,
    /// How long to wait for a verb that an earlier process started.
    pub wait_limit: Duration,
    /// Raised when the user interrupts.
    pub stop: &'a AtomicBool,
    /// Where progress is shown.
    pub progress: Progress,
}

/// What a step came to.
enum StepEnd {
    /// It ended, and the operation goes on.
    GoOn,
    /// The operation ended, or stays open in doubt.
    Result(CommandResult),
}

impl Executor<'_> {
    /// Executes a request to its end; its node has been checked (see [`check_node`]).
    pub fn execute(&mut self, request: &CommandRequest, vm: &Vm) -> CommandResult {
        self.try_execute(request, vm).unwrap_or_else(|error| {
            let doubt = matches!(error, Error::Busy(_)) && self.is_interrupted();
            if doubt { Error::Interrupted } else { error }.into()
        })
    }

    fn try_execute(&mut self, request: &CommandRequest, vm: &Vm) -> Result<CommandResult, Error> {
        let version = self.registry.data_version()?;
        let (mut lock, attached) = self.lock(request)?;
        let operation = match self.settle(request)? {
            Leftover::Same(operation) => Some(operation),
            Leftover::Ended(result) if attached => return Ok(result),
            Leftover::Gone(result) => return Ok(result),
            Leftover::Nothing | Leftover::Ended(_) => None,
            Leftover::Runs(operation) => return self.attach(&operation, &mut lock),
        };
        // Read again only if another process wrote meanwhile.
        let current = match self.registry.data_version()? == version {
            true => None,
            false => Some(self.defined(&request.vm)?),
        };
        let vm = current.as_ref().unwrap_or(vm);
        let operation = match operation {
            Some(operation) => operation,
            None => self.begin(request)?,
        };
        self.go_on(operation, vm, &mut lock)
    }

    /// Executes what is left of a plan: from its first step that has not ended.
    ///
    /// # Errors
    /// The journal cannot be written, or holds a verb that this program does not have.
    pub fn go_on(
        &mut self,
        mut operation: Operation,
        vm: &Vm,
        lock: &mut VmLock,
    ) -> Result<CommandResult, Error> {
        loop {
            let Some(step) = operation.current().cloned() else {
                return Err(Error::NotJournaled(operation.id));
            };
            // Who holds the lock is for people only; a failure harms nothing.
            let _ = lock.sign(operation.id, operation.verb, &step.plan.node);
            let task = self.task(&operation, &step, vm)?;
            match self.run_step(&operation, &step, &task, lock)? {
                StepEnd::GoOn => operation = self.journaled(operation.id)?,
                StepEnd::Result(result) => return Ok(result),
            }
        }
    }

    /// Whether the node answers and has no domain of the VM.
    pub fn is_absent(&mut self, vm: &Vm, node: &NodeName) -> bool {
        let seen = super::inventory::see(&mut self.registry, self.engine, vm, node);
        seen.is_ok_and(|state| state == hps_core::state::VmState::Absent)
    }

    fn is_interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn defined(&self, vm: &VmId) -> Result<Vm, Error> {
        let found = self.registry.vm(vm)?;
        found.ok_or_else(|| Error::NotDefined(vm.to_string()))
    }

    /// Acquires the VM's lock. Where its owner died and its verb still runs, waits for that:
    /// then the second value is true.
    fn lock(&mut self, request: &CommandRequest) -> Result<(VmLock, bool), Error> {
        let began = Instant::now();
        let mut waited = false;
        loop {
            let holder = match try_lock(self.lock_dir, &request.vm).map_err(Error::Lock)? {
                Attempt::Locked(lock) => return Ok((lock, waited)),
                Attempt::Held(holder) => holder,
            };
            let worth_waiting = match &holder {
                // It was taken a moment ago, and its owner has not written yet.
                None => began.elapsed() < LOCK_POLL * 10,
                Some(holder) => is_orphan_of(request, holder) && began.elapsed() < self.wait_limit,
            };
            if !worth_waiting {
                return Err(Error::Busy(held(holder.as_ref())));
            }
            if self.is_interrupted() {
                return Err(Error::StoppedWaiting);
            }
            if let (Some(holder), false) = (&holder, waited) {
                self.progress.step("waiting", &orphaned(holder));
                waited = true;
            }
            std::thread::sleep(LOCK_POLL);
        }
    }

    fn settle(&mut self, request: &CommandRequest) -> Result<Leftover, Error> {
        settle::leftovers(&mut self.registry, self.engine, self.catalog, request)
    }

    /// Waits for a task that an earlier process started, ends its step, and goes on.
    fn attach(&mut self, operation: &Operation, lock: &mut VmLock) -> Result<CommandResult, Error> {
        let Some(step) = operation.current().cloned() else {
            return Err(Error::NotJournaled(operation.id));
        };
        self.progress
            .step("attached", &format!("{} runs already", operation.id));
        let progress = &mut self.progress;
        let task = task_ref(operation, &step);
        let outcome = self.engine.wait(&task, &mut |step, result| {
            progress.step(step, result);
        });
        match self.conclude(operation.id, step.plan.session, &outcome)? {
            StepEnd::Result(result) => Ok(result),
            StepEnd::GoOn => {
                let operation = self.journaled(operation.id)?;
                let vm = match &operation.vm {
                    Some(vm) => self.defined(vm)?,
                    None => return Err(Error::NotJournaled(operation.id)),
                };
                self.go_on(operation, &vm, lock)
            }
        }
    }

    fn begin(&mut self, request: &CommandRequest) -> Result<Operation, Error> {
        let id = Uuid::new_v4();
        let steps = (request.spec.plan)(&PlanRequest {
            operation: id,
            spec: request.spec,
            node: &request.node,
            options: &request.options,
        });
        let new = NewOperation {
            id,
            vm: Some(&request.vm),
            spec: request.spec,
            options: &request.options,
            plan: &steps,
            precondition: request.precondition,
        };
        match self
            .registry
            .begin(&self.author, &new)
            .map_err(Error::Journal)?
        {
            BeginOutcome::Journaled => self.journaled(id),
            BeginOutcome::Refused(why) => Err(Error::Refused(why)),
        }
    }

    fn journaled(&self, id: Uuid) -> Result<Operation, Error> {
        let found = self.registry.operation(id).map_err(Error::Journal)?;
        found.ok_or(Error::NotJournaled(id))
    }

    fn row(&self, operation: &Operation, step: &Step) -> Result<&'static Spec, Error> {
        let verb = step.plan.verb;
        self.catalog.find(verb).ok_or(Error::UnknownVerb {
            operation: operation.id,
            verb,
        })
    }

    fn task(&mut self, operation: &Operation, step: &Step, vm: &Vm) -> Result<Task, Error> {
        let spec = self.row(operation, step)?;
        let token = Token::new().map_err(Error::Token)?;
        let addresses = self.engine.addresses(&step.plan.node).map(|addresses| {
            let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            texts.join(" ")
        });
        let granted = self
            .registry
            .grant(&vm.id, &step.plan, token.hash(), addresses.as_deref());
        let keep = granted.and_then(|()| self.registry.disks_of_others(&vm.id));
        let keep = keep.map_err(|error| Error::JournalLost {
            operation: operation.id,
            error: Box::new(error),
        })?;
        Ok(Task {
            session: step.plan.session,
            vm: vm.id.clone(),
            vm_uuid: vm.uuid,
            name: vm.config.name.clone(),
            spec,
            node: step.plan.node.clone(),
            options: step.plan.options.clone(),
            token,
            keep,
        })
    }

    /// Prepares, runs and cleans up one step.
    fn run_step(
        &mut self,
        operation: &Operation,
        step: &Step,
        task: &Task,
        lock: &VmLock,
    ) -> Result<StepEnd, Error> {
        let id = operation.id;
        let (registry, progress) = (&mut self.registry, &mut self.progress);
        let prepared = self.engine.prepare(task, &mut |step, result| {
            record(registry, progress, id, step, result);
        });
        if let Err(error) = prepared {
            return self.give_up(operation, step, &error);
        }
        let detail = started(operation, step);
        self.progress
            .step(crate::model::operation::STARTED, &detail);
        if let Err(error) = self.registry.start_step(id, step.plan.session, &detail) {
            tracing::warn!(operation = %id, error = %chain(&error), "the start was not journaled");
        }
        let (registry, progress) = (&mut self.registry, &mut self.progress);
        let outcome = self.engine.run(task, lock.file(), &mut |step, result| {
            record(registry, progress, id, step, result);
        });
        self.conclude(id, step.plan.session, &outcome)
    }

    /// The task was not started: clean up, end the step and the claim that it made.
    fn give_up(
        &mut self,
        operation: &Operation,
        step: &Step,
        error: &PrepareError,
    ) -> Result<StepEnd, Error> {
        let code = match error {
            PrepareError::NotMade(_) => Exit::ServiceNotCreated,
            PrepareError::NotThere(_) | PrepareError::Interrupted => Exit::InstanceTimeout,
        };
        let completion = Completion {
            exit_code: code.code(),
            reason: chain(error),
            ends_claim: operation.has_fresh_claim() && !operation.was_started(),
            state: None,
            desired: None,
        };
        self.close(operation, step, completion)
    }

    fn conclude(
        &mut self,
        operation: Uuid,
        session: Uuid,
        outcome: &RunOutcome,
    ) -> Result<StepEnd, Error> {
        let (registry, engine) = (&mut self.registry, self.engine);
        let result = settle::conclude(registry, engine, self.catalog, operation, session, outcome)?;
        self.step_end(operation, result)
    }

    fn close(
        &mut self,
        operation: &Operation,
        step: &Step,
        completion: Completion,
    ) -> Result<StepEnd, Error> {
        let result = settle::close(&mut self.registry, self.engine, operation, step, completion)?;
        self.step_end(operation.id, result)
    }

    /// Whether steps are left, after one has ended or stays open.
    fn step_end(&self, operation: Uuid, result: settle::StepResult) -> Result<StepEnd, Error> {
        match result {
            settle::StepResult::Open(result) | settle::StepResult::Ended(result) => {
                Ok(StepEnd::Result(result))
            }
            // Nothing more is started for a user who has left.
            settle::StepResult::Continues if self.is_interrupted() => {
                Ok(StepEnd::Result(CommandResult {
                    code: Exit::StoppedWaiting,
                    message: format!(
                        "interrupted between two steps; operation {operation} stays open, \
                         the same command again goes on"
                    ),
                    operation: Some(operation),
                }))
            }
            settle::StepResult::Continues => Ok(StepEnd::GoOn),
        }
    }
}

/// Codes 2, 3 and 4: may a verb be sent to this node?
///
/// # Errors
/// It may not.
pub fn check_node(engine: &dyn Engine, node: &NodeName, stop: &AtomicBool) -> Result<(), Error> {
    let nodes = engine.nodes().map_err(|answer| {
        if stop.load(Ordering::Relaxed) {
            return Error::Interrupted;
        }
        Error::Validate {
            node: node.clone(),
            answer,
        }
    })?;
    let found = nodes.into_iter().find(|known| known.name == *node);
    let node = node.clone();
    match found.map_or(Health::NotInCluster, |known| known.health) {
        Health::Healthy => Ok(()),
        Health::NotInCluster => Err(Error::NotInCluster(node)),
        Health::NotReachable(why) => Err(Error::NotReachable { node, why }),
        Health::Frozen(why) => Err(Error::Frozen { node, why }),
    }
}

/// `create on tch-001`; with its place where the plan has several steps.
fn started(operation: &Operation, step: &Step) -> String {
    let what = format!("{} on {}", step.plan.verb, step.plan.node);
    match operation.plan.len() {
        1 => what,
        steps => format!("{what} (step {} of {steps})", step.position),
    }
}

/// Shows and journals progress. An entry that cannot be journaled is not worth stopping for:
/// the end of the step will meet the same registry, and counts.
fn record(
    registry: &mut Registry,
    progress: &mut Progress,
    operation: Uuid,
    step: &str,
    result: &str,
) {
    progress.step(step, result);
    if let Err(error) = registry.log(operation, step, result) {
        tracing::warn!(%operation, step, error = %chain(&error), "progress was not journaled");
    }
}

/// Its owner is dead, it is the same request, and its verb still runs.
fn is_orphan_of(request: &CommandRequest, holder: &Holder) -> bool {
    !holder.process.is_alive() && holder.verb == request.spec.name && holder.node == request.node
}

fn held(holder: Option<&Holder>) -> String {
    match holder {
        None => "another operation on this VM is under way".to_owned(),
        Some(holder) if holder.process.is_alive() => {
            let Holder {
                operation,
                verb,
                node,
                process,
            } = holder;
            let pid = process.pid;
            format!("operation {operation} ({verb} on {node}, process {pid}) is under way")
        }
        Some(holder) => orphaned(holder),
    }
}

fn orphaned(holder: &Holder) -> String {
    let Holder {
        operation,
        verb,
        node,
        ..
    } = holder;
    format!("operation {operation} ({verb} on {node}) still runs, though its o_vm is gone")
}
