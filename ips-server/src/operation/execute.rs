//! One operation from its request to its end, in contract 3's order of checks. Each step is
//! journaled before the next begins. After a kill at any point, the same request again (or a
//! sweep) brings the operation to its correct end.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use uuid::Uuid;

use super::error::Error;
use super::lock::VmLock;
use super::progress::Progress;
use super::settle::{self, Leftover};
use super::{CommandRequest, CommandResult, task_ref};
use crate::engine::{Engine, PrepareError, RunOutcome};
use crate::error::chain;
use crate::model::exit::Exit;
use crate::model::operation::{BeginOutcome, Completion, NewOperation, Operation};
use crate::model::step::Step;
use crate::model::task::Task;
use crate::model::token::Token;
use crate::model::verb::{Catalog, PlanRequest};
use crate::model::vm::Vm;
use crate::registry::{Author, Registry};
use hps_core::names::{NodeName, VmId};

/// Executes operations; holds what all of them need.
pub struct Executor<'a> {
    /// The registry.
    pub registry: Registry,
    /// The engine, which runs tasks on nodes.
    pub engine: &'a dyn Engine,
    /// The rows of all verbs.
    pub catalog: Catalog,
    /// The author of the request, for the audit.
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

/// The end of a step, for its operation.
enum StepEnd {
    /// It ended, and the operation goes on.
    GoOn,
    /// The operation ended, or stays open in doubt.
    Result(CommandResult),
}

impl Executor<'_> {
    /// Executes a request to its end; its node has been checked (see [`super::check::check_node`]).
    pub fn execute(&mut self, request: &CommandRequest, vm: &Vm) -> CommandResult {
        self.try_execute(request, vm).unwrap_or_else(|error| {
            let doubt = matches!(error, Error::Busy(_)) && self.is_interrupted();
            if doubt { Error::Interrupted } else { error }.into()
        })
    }

    fn try_execute(&mut self, request: &CommandRequest, vm: &Vm) -> Result<CommandResult, Error> {
        let version = self.registry.data_version()?;
        let (mut lock, attached) = self.acquire(request)?;
        let operation = match self.settle(request)? {
            Leftover::Same(operation) => Some(operation),
            Leftover::Result(result) if attached => return Ok(result),
            Leftover::Gone(result) => return Ok(result),
            Leftover::Nothing | Leftover::Result(_) => None,
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

    /// Executes a plan from its first step that has not ended.
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
            // The owner record is for people only, so a failure harms nothing.
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

    pub(super) fn is_interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn defined(&self, vm: &VmId) -> Result<Vm, Error> {
        let found = self.registry.vm(vm)?;
        found.ok_or_else(|| Error::NotDefined(vm.to_string()))
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

    fn task(&mut self, operation: &Operation, step: &Step, vm: &Vm) -> Result<Task, Error> {
        let spec = settle::row(self.catalog, operation, step)?;
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

    /// The end of a step, or of the operation when the user has interrupted.
    fn step_end(&self, operation: Uuid, result: settle::StepResult) -> Result<StepEnd, Error> {
        match result {
            settle::StepResult::Open(result) | settle::StepResult::Result(result) => {
                Ok(StepEnd::Result(result))
            }
            // After an interrupt no further step is started.
            settle::StepResult::Continues if self.is_interrupted() => {
                Ok(StepEnd::Result(CommandResult {
                    code: Exit::StoppedWaiting,
                    message: format!(
                        "interrupted between two steps; operation {operation} stays open; \
                         the same command continues it"
                    ),
                    operation: Some(operation),
                }))
            }
            settle::StepResult::Continues => Ok(StepEnd::GoOn),
        }
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

/// Shows and journals progress. A journal entry that fails does not stop the operation: the
/// end of the step is written to the same registry, and that failure counts.
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
