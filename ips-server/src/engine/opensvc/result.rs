//! Running a task and finding its result. `om run --wait` is only a hint: what counts is
//! the exit code that OpenSVC recorded for our session id.

use std::fs::File;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hps_core::exec::ExecError;

use super::{OpenSvc, rid};
use crate::engine::{RunOutcome, TaskStatus};
use crate::error::chain;
use crate::model::task::{Task, TaskRef};
use crate::om::service::ServiceName;
use crate::om::task::{Run, RunRequest};

/// How far a recorded result may lag behind the end of its run; measured: 170 ms.
pub(super) const RECORD_LAG: Duration = Duration::from_secs(3);
/// The least number of polls for it: on a busy machine one poll may take all of that time.
const POLLS: u32 = 4;
/// How far it usually lags.
const USUAL_LAG: Duration = Duration::from_millis(400);
/// How long a node may be silent before its result counts as unknown.
const SILENCE: Duration = Duration::from_secs(10);

/// Doubt is reported with its first cause: the answer of `om run`.
fn with_cause(outcome: RunOutcome, cause: &str) -> RunOutcome {
    match outcome {
        RunOutcome::Unknown(later) => RunOutcome::Unknown(format!("{cause}; {later}")),
        RunOutcome::Exited(..) | RunOutcome::NotStarted(_) | RunOutcome::StoppedWaiting => outcome,
    }
}

/// The time and the number of polls without a result.
#[derive(Debug)]
pub(super) struct Patience {
    since: Instant,
    polls: u32,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            polls: 0,
        }
    }

    /// Counts a poll without a result; whether it was the last.
    pub(super) fn is_over(&mut self, limit: Duration) -> bool {
        self.polls += 1;
        self.polls >= POLLS && self.since.elapsed() >= limit
    }
}

impl OpenSvc<'_> {
    pub(super) fn run_service(&self, task: &Task, name: &ServiceName, lock: &File) -> RunOutcome {
        let reference = task.reference();
        let rid = rid(&reference);
        let wait = self.limits.wait(task.options.extra_time());
        let request = RunRequest {
            service: name,
            rid: &rid,
            node: &task.node,
            session: task.session,
            wait,
        };
        let until = Instant::now() + wait;
        match self.om.run_task(&request, Some(lock), self.stop) {
            Ok(Run::Accepted) => self.result(&reference, name, until),
            Ok(Run::Rejected(why)) => self.rejected(&reference, name, until, why),
            // Whether it started is unknown: the record, or the process list, may show it.
            Ok(Run::Unknown(why)) => with_cause(self.result(&reference, name, until), &why),
            Err(ExecError::LeftAlone { .. }) => RunOutcome::StoppedWaiting,
            Err(error) => with_cause(self.result(&reference, name, until), &chain(&error)),
        }
    }

    pub(super) fn wait_for_result(&self, task: &TaskRef, name: &ServiceName) -> RunOutcome {
        let until = Instant::now() + self.limits.wait(Duration::ZERO);
        self.result(task, name, until)
    }

    /// Waits until the result of our session is recorded, for as long as its task runs.
    /// Once it does not run, or the node does not answer, the record has a short time to
    /// arrive.
    fn result(&self, task: &TaskRef, name: &ServiceName, until: Instant) -> RunOutcome {
        let began = Instant::now();
        let mut patience = None;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return RunOutcome::StoppedWaiting;
            }
            let recorded = self
                .om
                .recorded_exit(name, &task.node, &rid(task), task.session);
            let why = match recorded {
                Ok(Some(code)) => return RunOutcome::Exited(code, None),
                Ok(None) => "no result of its session is recorded".to_owned(),
                Err(error) => chain(&error),
            };
            // Usually the record is only a little late.
            if began.elapsed() < USUAL_LAG {
                std::thread::sleep(self.limits.poll.min(USUAL_LAG));
                continue;
            }
            match self.grace(task) {
                None => patience = None,
                Some(grace) => {
                    if patience.get_or_insert_with(Patience::new).is_over(grace) {
                        return RunOutcome::Unknown(why);
                    }
                }
            }
            if Instant::now() >= until {
                return RunOutcome::Unknown(why);
            }
            std::thread::sleep(self.limits.poll);
        }
    }

    /// How long the record of a task may still take; `None`: the task runs.
    fn grace(&self, task: &TaskRef) -> Option<Duration> {
        match self.om.runs(&task.node, task.session) {
            Ok(true) => None,
            Ok(false) => Some(RECORD_LAG),
            Err(_) => Some(SILENCE),
        }
    }

    /// An empty answer means that `om` ran nothing, but an answer may also be lost: it counts
    /// once there is no record of our session, and no process of it.
    fn rejected(
        &self,
        task: &TaskRef,
        name: &ServiceName,
        until: Instant,
        why: String,
    ) -> RunOutcome {
        match self.observe(task, name) {
            Ok(TaskStatus::Over) => RunOutcome::NotStarted(why),
            Ok(TaskStatus::Exited(code)) => RunOutcome::Exited(code, None),
            Ok(TaskStatus::Running) => self.result(task, name, until),
            _ if self.stop.load(Ordering::Relaxed) => RunOutcome::StoppedWaiting,
            Ok(TaskStatus::Unknown(doubt)) | Err(doubt) => {
                RunOutcome::Unknown(format!("{why}; {doubt}"))
            }
        }
    }

    pub(super) fn observe(&self, task: &TaskRef, name: &ServiceName) -> Result<TaskStatus, String> {
        let failed = |error| chain(&error);
        let mut patience = Patience::new();
        loop {
            let recorded = self
                .om
                .recorded_exit(name, &task.node, &rid(task), task.session);
            if let Some(code) = recorded.map_err(failed)? {
                return Ok(TaskStatus::Exited(code));
            }
            if self.om.runs(&task.node, task.session).map_err(failed)? {
                return Ok(TaskStatus::Running);
            }
            let gone = !self.om.has_service(name).map_err(failed)?;
            if gone || patience.is_over(RECORD_LAG) {
                return Ok(TaskStatus::Over);
            }
            std::thread::sleep(self.limits.poll);
        }
    }
}
