//! One operation from its request to its end, in contract 3's order of checks. Each
//! step is journaled before the next begins; killed anywhere, the same request again
//! (or a sweep) ends right.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hps_core::names::{NodeName, VmId};
use hps_core::state::VmState;
use uuid::Uuid;

use super::job::Job;
use super::lock::{Attempt, Holder, VmLock, try_lock};
use super::progress::Progress;
use super::settle::{self, Left};
use super::token::Token;
use super::{Conclusion, Request};
use crate::engine::{Ended, Engine, Health, Unprepared};
use crate::error::chain;
use crate::model::exit::Exit;
use crate::registry::journal::{Beginning, Begun, Ending};
use crate::registry::operations::{Operation, STARTED};
use crate::registry::vms::Vm;
use crate::registry::{Author, Registry};

/// How often a lock that another process holds is looked at.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// What operations are performed with.
pub struct Performer<'a> {
    /// The registry.
    pub registry: Registry,
    /// What carries verbs to nodes.
    pub engine: &'a dyn Engine,
    /// Who asks.
    pub author: Author,
    /// Where VM locks are.
    pub lock_dir: &'a Path,
    /// How long to wait for a verb that an earlier process started.
    pub wait_limit: Duration,
    /// Raised when the user stops waiting.
    pub stop: &'a AtomicBool,
    /// Where the steps are shown.
    pub progress: Progress,
}

impl Performer<'_> {
    /// Performs a request to its end; its node has been checked (see [`check_node`]).
    pub fn perform(&mut self, request: &Request) -> Conclusion {
        self.try_perform(request)
            .unwrap_or_else(|conclusion| conclusion)
    }

    fn try_perform(&mut self, request: &Request) -> Result<Conclusion, Conclusion> {
        self.defined(&request.vm)?;
        let (mut lock, attached) = self.lock(request)?;
        let operation = match self.settle(request)? {
            Left::Same(operation) => Some(operation),
            Left::Ended(conclusion) if attached => return Ok(conclusion),
            Left::Gone(conclusion) => return Ok(conclusion),
            Left::Nothing | Left::Ended(_) => None,
            Left::Runs(operation) => return self.attach(&operation),
        };
        // Waiting may have taken long: it is what it is now.
        let vm = self.defined(&request.vm)?;
        let operation = match operation {
            Some(operation) => operation,
            None => self.begin(request)?,
        };
        // Who holds the lock is for people only; not knowing it harms nothing.
        let _ = lock.mark(operation.operation, operation.verb, &operation.node);
        let job = self.job(&operation, &vm)?;
        Ok(self.carry(&operation, &job, &lock))
    }

    /// Whether the node answers and has no such domain.
    pub fn is_absent(&mut self, request: &Request) -> bool {
        let seen = settle::see(&mut self.registry, self.engine, &request.vm, &request.node);
        seen == Ok(VmState::Absent)
    }

    fn defined(&self, vm: &VmId) -> Result<Vm, Conclusion> {
        let found = self
            .registry
            .vm(vm)
            .map_err(|error| Conclusion::refused(Exit::Parameters, chain(&error)))?;
        found.ok_or_else(|| {
            Conclusion::refused(
                Exit::Parameters,
                format!("no VM {vm} is defined; `o_vm define` makes one"),
            )
        })
    }

    /// Takes the VM's lock. Where its owner died and its verb still runs, waits for it:
    /// then true comes back as well.
    fn lock(&mut self, request: &Request) -> Result<(VmLock, bool), Conclusion> {
        let began = Instant::now();
        let mut waited = false;
        loop {
            let attempt = try_lock(self.lock_dir, &request.vm);
            let attempt =
                attempt.map_err(|error| Conclusion::refused(Exit::Parameters, chain(&error)))?;
            let holder = match attempt {
                Attempt::Locked(lock) => return Ok((lock, waited)),
                Attempt::Held(holder) => holder,
            };
            let worth_waiting = match &holder {
                // It was taken a moment ago, and its owner has not written yet.
                None => began.elapsed() < LOCK_POLL * 10,
                Some(holder) => is_orphan_of(request, holder) && began.elapsed() < self.wait_limit,
            };
            if !worth_waiting {
                return Err(Conclusion::refused(Exit::Refused, held(holder.as_ref())));
            }
            if self.stop.load(Ordering::Relaxed) {
                return Err(Conclusion::refused(
                    Exit::StoppedWaiting,
                    "stopped waiting; the operation goes on",
                ));
            }
            if let (Some(holder), false) = (&holder, waited) {
                self.progress.step("waiting", &orphaned(holder));
                waited = true;
            }
            std::thread::sleep(LOCK_POLL);
        }
    }

    fn settle(&mut self, request: &Request) -> Result<Left, Conclusion> {
        settle::leftovers(&mut self.registry, self.engine, request)
    }

    /// Waits for a verb that an earlier process sent, and ends that operation.
    fn attach(&mut self, operation: &Operation) -> Result<Conclusion, Conclusion> {
        self.progress
            .step("attached", &format!("{} runs already", operation.operation));
        let progress = &mut self.progress;
        let ended = self.engine.wait(&operation.past(), &mut |step, result| {
            progress.step(step, result);
        });
        Ok(self.conclude(operation.operation, &ended))
    }

    fn begin(&mut self, request: &Request) -> Result<Operation, Conclusion> {
        let operation = Uuid::new_v4();
        let new = Beginning {
            operation,
            vm: &request.vm,
            verb: request.verb,
            node: &request.node,
            options: &request.options,
            again: request.again,
        };
        let failed =
            |error| Conclusion::refused(Exit::Parameters, format!("journal: {}", chain(&error)));
        match self.registry.begin(&self.author, &new).map_err(failed)? {
            Begun::Journaled => {}
            Begun::Refused(why) => return Err(Conclusion::refused(Exit::Refused, why)),
        }
        let journaled = self.registry.operation(operation).map_err(failed)?;
        journaled.ok_or_else(|| {
            Conclusion::refused(
                Exit::Unknown,
                format!("operation {operation} is not in the journal"),
            )
        })
    }

    fn job(&mut self, operation: &Operation, vm: &Vm) -> Result<Job, Conclusion> {
        let token = Token::new();
        let addresses = self.engine.addresses(&operation.node).map(|addresses| {
            addresses
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        });
        let granted = self
            .registry
            .grant(operation, token.hash(), addresses.as_deref());
        let keep = granted.and_then(|()| self.registry.disks_of_others(&operation.vm));
        let keep = keep.map_err(|error| Conclusion {
            code: Exit::Unknown,
            message: format!("journal: {}", chain(&error)),
            operation: Some(operation.operation),
        })?;
        Ok(Job {
            operation: operation.operation,
            vm: operation.vm.clone(),
            vm_uuid: vm.uuid,
            name: vm.config.name.clone(),
            verb: operation.verb,
            node: operation.node.clone(),
            options: operation.options.clone(),
            token,
            keep,
        })
    }

    /// Prepares, runs and cleans up.
    fn carry(&mut self, operation: &Operation, job: &Job, lock: &VmLock) -> Conclusion {
        let id = operation.operation;
        if let Err(unprepared) = self.prepare(job) {
            return self.give_up(operation, &unprepared);
        }
        self.say(id, STARTED, &format!("{} on {}", job.verb, job.node));
        let (registry, progress) = (&mut self.registry, &mut self.progress);
        let ended = self.engine.run(job, lock, &mut |step, result| {
            record(registry, progress, id, step, result);
        });
        self.conclude(id, &ended)
    }

    fn prepare(&mut self, job: &Job) -> Result<(), Unprepared> {
        let (registry, progress, id) = (&mut self.registry, &mut self.progress, job.operation);
        self.engine.prepare(job, &mut |step, result| {
            record(registry, progress, id, step, result);
        })
    }

    /// The verb was not started: clean up, end the operation and the claim it made.
    fn give_up(&mut self, operation: &Operation, unprepared: &Unprepared) -> Conclusion {
        let code = match unprepared {
            Unprepared::NotMade(_) => Exit::ServiceNotCreated,
            Unprepared::NotThere(_) => Exit::InstanceTimeout,
        };
        let ending = Ending {
            exit_code: code.code(),
            reason: chain(unprepared),
            ends_claim: operation.has_fresh_claim() && !operation.was_started(),
            state: None,
            desired: None,
        };
        settle::close(&mut self.registry, self.engine, operation, ending)
    }

    fn conclude(&mut self, operation: Uuid, ended: &Ended) -> Conclusion {
        settle::conclude(&mut self.registry, self.engine, operation, ended)
    }

    fn say(&mut self, operation: Uuid, step: &str, result: &str) {
        record(
            &mut self.registry,
            &mut self.progress,
            operation,
            step,
            result,
        );
    }
}

/// Codes 2, 3 and 4: may a verb be sent to this node?
///
/// # Errors
/// It may not; the message says why.
pub fn check_node(engine: &dyn Engine, node: &NodeName) -> Result<(), Conclusion> {
    let nodes = engine.nodes().map_err(|error| {
        Conclusion::refused(
            Exit::NodeNotReachable,
            format!("validate {node}: {}", chain(&error)),
        )
    })?;
    let found = nodes.into_iter().find(|known| known.name == *node);
    let (code, message) = match found.map_or(Health::NotInCluster, |known| known.health) {
        Health::Healthy => return Ok(()),
        Health::NotInCluster => (
            Exit::NodeNotInCluster,
            format!("node {node} is not in the cluster"),
        ),
        Health::NotReachable(why) => (
            Exit::NodeNotReachable,
            format!("node {node} is not reachable: {why}"),
        ),
        Health::Frozen(why) => (Exit::NodeFrozen, format!("node {node} is frozen: {why}")),
    };
    Err(Conclusion::refused(code, message))
}

/// Shows and journals a step. A step that cannot be journaled is not worth stopping for:
/// the end of the operation will meet the same registry, and counts.
fn record(
    registry: &mut Registry,
    progress: &mut Progress,
    operation: Uuid,
    step: &str,
    result: &str,
) {
    progress.step(step, result);
    if let Err(error) = registry.step(operation, step, result) {
        tracing::warn!(%operation, step, error = %chain(&error), "step not journaled");
    }
}

/// Its owner is dead, and it is what is asked for: its verb still runs.
fn is_orphan_of(request: &Request, holder: &Holder) -> bool {
    !holder.process.lives() && holder.verb == request.verb && holder.node == request.node
}

fn held(holder: Option<&Holder>) -> String {
    match holder {
        None => "another operation on this VM is under way".to_owned(),
        Some(Holder {
            operation,
            verb,
            node,
            process,
        }) if process.lives() => {
            format!(
                "operation {operation} ({verb} on {node}, process {}) is under way",
                process.pid
            )
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
