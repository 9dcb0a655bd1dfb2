//! Engine `opensvc`: a verb goes to a node as the task of a transient service (the
//! specification's data flow). Its result is what OpenSVC recorded for our own session,
//! nothing that `om` says by its exit code.

mod inventory;

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hps_core::names::NodeName;

use super::{
    Carrier, Detail, Earlier, Ended, Engine, Inventoried, Node, Say, Unanswered, Uncleaned,
    Unprepared,
};
use crate::error::chain;
use crate::om::Om;
use crate::om::node::Cluster;
use crate::om::service::{ServiceName, TaskService};
use crate::om::task::{Run, RunRequest};
use crate::operation::job::{Job, Past};
use crate::operation::lock::VmLock;
use crate::operation::token::Token;

/// By how much a recorded result may lag behind the end of its run; seen: 170 ms.
const RECORD_LAG: Duration = Duration::from_secs(3);

/// The cluster, through the `om` of this node.
#[derive(Debug)]
pub struct OpenSvc<'a> {
    /// How `om` is called.
    pub om: Om<'a>,
    /// What the settings say.
    pub limits: Limits,
    /// `N_VM_IPS` of the tasks; unset: the nodes use their own setting.
    pub advertise: Option<String>,
    /// Whether a token works from its node's addresses only.
    pub bind_address: bool,
    /// Raised when the user stops waiting.
    pub stop: &'a AtomicBool,
    /// The name `om` gives this node; asked once.
    pub own: OnceLock<NodeName>,
}

/// How long things may take.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "as in the settings")]
pub struct Limits {
    pub instance: Duration,
    pub verb: Duration,
    pub delete: Duration,
    pub poll: Duration,
    /// How much longer OpenSVC lets a task live than the verb may take.
    pub task_margin: Duration,
    /// How much longer than OpenSVC we wait.
    pub wait_margin: Duration,
}

impl Limits {
    /// How long OpenSVC lets the task of a verb live.
    fn task(&self, extra: Duration) -> Duration {
        self.verb + extra + self.task_margin
    }

    /// How long its result is waited for.
    fn wait(&self, extra: Duration) -> Duration {
        self.task(extra) + self.wait_margin
    }
}

/// By how much it lags as a rule.
const USUAL_LAG: Duration = Duration::from_millis(400);
/// How long a node may be silent before its result is given up for unknown.
const SILENCE: Duration = Duration::from_secs(10);

/// The service that carries a job.
#[must_use]
pub fn service_of(past: &Past) -> String {
    format!("vm-ops-{}-{}", past.verb, past.vm)
}

fn service_name(past: &Past) -> Result<ServiceName, String> {
    ServiceName::new(&service_of(past))
}

/// Doubt is told with its first cause: what `om run` said.
fn or_why(ended: Ended, why: &str) -> Ended {
    match ended {
        Ended::Unknown(later) => Ended::Unknown(format!("{why}; {later}")),
        Ended::Exited(..) | Ended::NotStarted(_) | Ended::StoppedWaiting => ended,
    }
}

fn rid(past: &Past) -> String {
    format!("task#{}", past.verb)
}

impl Engine for OpenSvc<'_> {
    fn nodes(&self) -> Result<Vec<Node>, Unanswered> {
        Ok(self.cluster()?.nodes)
    }

    fn is_host(&self, node: &NodeName) -> bool {
        self.own().is_ok_and(|own| own != *node)
    }

    fn addresses(&self, node: &NodeName) -> Option<Vec<IpAddr>> {
        if !self.bind_address {
            return None;
        }
        let found = (node.as_str(), 0).to_socket_addrs();
        let addresses: Vec<_> = found
            .map(|all| all.map(|one| one.ip()).collect())
            .unwrap_or_default();
        if addresses.is_empty() {
            tracing::warn!(%node, "its name does not resolve: the token works from any address");
            return None;
        }
        Some(addresses)
    }

    fn prepare(&self, job: &Job, say: Say<'_>) -> Result<(), Unprepared> {
        let past = job.past();
        let name = service_name(&past).map_err(Unprepared::NotMade)?;
        let scope = self
            .scope(&job.node)
            .map_err(|error| Unprepared::NotMade(error.0))?;
        std::thread::scope(|threads| {
            let checked = threads.spawn(|| self.check_om());
            self.remove_leftover(&name, &past)?;
            match checked.join() {
                Ok(checked) => checked.map_err(Unprepared::NotMade),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })?;
        let ini = self.ini(job, &name, &scope).map_err(Unprepared::NotMade)?;
        let began = Instant::now();
        self.om
            .create_service(&name, &ini, self.limits.instance)
            .map_err(|error| Unprepared::NotMade(chain(&error)))?;
        say("service", name.as_str());
        self.wait_for_instance(&name, &job.node)?;
        say(
            "instance",
            &format!(
                "{name} on {} after {:.1} s",
                job.node,
                began.elapsed().as_secs_f64()
            ),
        );
        Ok(())
    }

    fn run(&self, job: &Job, lock: &VmLock, _: Say<'_>) -> Ended {
        let past = job.past();
        let name = match service_name(&past) {
            Ok(name) => name,
            Err(why) => return Ended::NotStarted(why),
        };
        let rid = rid(&past);
        let wait = self.limits.wait(job.options.extra_time());
        let request = RunRequest {
            service: &name,
            rid: &rid,
            node: &job.node,
            session: job.operation,
            wait,
        };
        let until = Instant::now() + wait;
        match self.om.run_task(&request, Some(lock.file()), self.stop) {
            Ok(Run::Taken) => self.result(&past, &name, until),
            Ok(Run::NotTaken(why)) => self.not_taken(&past, &name, until, why),
            // Whether it started is unknown: the record, or the process list, may tell.
            Ok(Run::Unknown(why)) => or_why(self.result(&past, &name, until), &why),
            Err(hps_core::exec::ExecError::LeftAlone { .. }) => Ended::StoppedWaiting,
            Err(error) => or_why(self.result(&past, &name, until), &chain(&error)),
        }
    }

    fn earlier(&self, past: &Past) -> Earlier {
        let found = service_name(past).and_then(|name| self.look(past, &name));
        found.unwrap_or_else(Earlier::Unknown)
    }

    fn wait(&self, past: &Past, _: Say<'_>) -> Ended {
        let until = Instant::now() + self.limits.wait(Duration::ZERO);
        match service_name(past) {
            Ok(name) => self.result(past, &name, until),
            Err(why) => Ended::Unknown(why),
        }
    }

    fn clean(&self, past: &Past) -> Result<(), Uncleaned> {
        let mend = format!("om {} purge", service_of(past));
        let name = service_name(past).map_err(|what| Uncleaned {
            what,
            mend: mend.clone(),
        })?;
        self.delete(&name).map_err(|what| Uncleaned { what, mend })
    }

    fn carriers(&self) -> Result<Vec<Carrier>, Unanswered> {
        let services = self
            .om
            .services("vm-ops-*")
            .map_err(|error| Unanswered(chain(&error)))?;
        Ok(services.into_iter().map(|name| Carrier { name }).collect())
    }

    fn remove_carrier(&self, carrier: &Carrier) -> Result<(), Uncleaned> {
        let mend = format!("om {} purge", carrier.name);
        let left = |what: String| Uncleaned {
            what,
            mend: mend.clone(),
        };
        let name = ServiceName::new(&carrier.name).map_err(left)?;
        let nodes = self.cluster().map_err(|error| left(error.0))?.nodes;
        for node in nodes.iter().filter(|node| node.health.is_alive()) {
            match self.om.is_busy(&node.name, &name) {
                Ok(false) => {}
                Ok(true) => {
                    return Err(left(format!(
                        "a task of {name} still runs on {}",
                        node.name
                    )));
                }
                Err(error) => return Err(left(chain(&error))),
            }
        }
        self.delete(&name).map_err(left)
    }

    fn inventory(
        &self,
        node: &NodeName,
        token: &Token,
        detail: Detail,
    ) -> Result<Inventoried, Unanswered> {
        self.take_inventory(node, token, detail)
            .map(|()| Inventoried::Reported)
    }
}

impl OpenSvc<'_> {
    fn cluster(&self) -> Result<Cluster, Unanswered> {
        let cluster = self
            .om
            .cluster()
            .map_err(|error| Unanswered(chain(&error)))?;
        let _ = self.own.set(cluster.own.clone());
        Ok(cluster)
    }

    /// An `om` that is too old would run a task without waiting, under another session id.
    fn check_om(&self) -> Result<(), String> {
        match self.om.can_wait() {
            Ok(true) => Ok(()),
            Ok(false) => Err("this `om` is too old: `om svc instance run` has no --wait; OpenSVC v3.0.0-rc18 or newer is needed".to_owned()),
            Err(error) => Err(chain(&error)),
        }
    }

    /// The name of this node, as `om` has it: never assumed.
    fn own(&self) -> Result<NodeName, Unanswered> {
        match self.own.get() {
            Some(own) => Ok(own.clone()),
            None => Ok(self.cluster()?.own),
        }
    }

    /// The IPS itself, for managing, and the node.
    fn scope(&self, node: &NodeName) -> Result<Vec<NodeName>, Unanswered> {
        let own = self.own()?;
        Ok(if own == *node {
            vec![own]
        } else {
            vec![own, node.clone()]
        })
    }

    fn ini(&self, job: &Job, name: &ServiceName, scope: &[NodeName]) -> Result<String, String> {
        let mut environment = job.environment();
        environment.extend(self.advertise.iter().map(|url| ("N_VM_IPS", url.clone())));
        let command = format!("n_vm_{} {}", job.verb, job.arguments().join(" "));
        TaskService {
            name,
            nodes: scope,
            task: job.verb.as_str(),
            command: command.trim_end(),
            environment: &environment,
            timeout: self.limits.task(job.options.extra_time()),
        }
        .ini()
    }

    /// A service of this name that no open operation accounts for: a down node brought it
    /// back, or an earlier clean-up failed. While its task runs it stays.
    fn remove_leftover(&self, name: &ServiceName, past: &Past) -> Result<(), Unprepared> {
        let failed = |why: String| Unprepared::NotMade(why);
        if !self
            .om
            .has_service(name)
            .map_err(|error| failed(chain(&error)))?
        {
            return Ok(());
        }
        let busy = self
            .om
            .is_busy(&past.node, name)
            .map_err(|error| failed(chain(&error)))?;
        if busy {
            return Err(failed(format!(
                "an earlier task of {name} still runs on {}",
                past.node
            )));
        }
        self.delete(name).map_err(failed)
    }

    fn wait_for_instance(&self, name: &ServiceName, node: &NodeName) -> Result<(), Unprepared> {
        let until = Instant::now() + self.limits.instance;
        loop {
            let last = match self.om.has_instance(name, node) {
                Ok(true) => return Ok(()),
                Ok(false) => format!(
                    "no instance of {name} on {node} within {:?}",
                    self.limits.instance
                ),
                Err(error) => chain(&error),
            };
            if Instant::now() >= until || self.stop.load(Ordering::Relaxed) {
                return Err(Unprepared::NotThere(last));
            }
            std::thread::sleep(self.limits.poll);
        }
    }

    /// Waits until the result of our session is recorded, for as long as its task runs.
    /// Once it does not run, or nobody can say, the record has a short time to arrive.
    fn result(&self, past: &Past, name: &ServiceName, until: Instant) -> Ended {
        let began = Instant::now();
        let mut since = None;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Ended::StoppedWaiting;
            }
            let why = match self
                .om
                .recorded_exit(name, &past.node, &rid(past), past.operation)
            {
                Ok(Some(code)) => return Ended::Exited(code, None),
                Ok(None) => "no result of its session is recorded".to_owned(),
                Err(error) => chain(&error),
            };
            // Most often the record is only a moment late.
            if began.elapsed() < USUAL_LAG {
                std::thread::sleep(self.limits.poll.min(USUAL_LAG));
                continue;
            }
            let grace = match self.om.runs(&past.node, past.operation) {
                Ok(true) => None,
                Ok(false) => Some(RECORD_LAG),
                Err(_) => Some(SILENCE),
            };
            match grace {
                None => since = None,
                Some(grace) if since.get_or_insert_with(Instant::now).elapsed() >= grace => {
                    return Ended::Unknown(why);
                }
                Some(_) => {}
            }
            if Instant::now() >= until {
                return Ended::Unknown(why);
            }
            std::thread::sleep(self.limits.poll);
        }
    }

    /// That `om` ran nothing is what an empty answer says, and an answer may be lost: believed
    /// once there is no record of our session, and no process of it.
    fn not_taken(&self, past: &Past, name: &ServiceName, until: Instant, why: String) -> Ended {
        match self.look(past, name) {
            Ok(Earlier::Over) => Ended::NotStarted(why),
            Ok(Earlier::Exited(code)) => Ended::Exited(code, None),
            Ok(Earlier::Running) => self.result(past, name, until),
            Ok(Earlier::Unknown(doubt)) | Err(doubt) => Ended::Unknown(format!("{why}; {doubt}")),
        }
    }

    fn look(&self, past: &Past, name: &ServiceName) -> Result<Earlier, String> {
        let said = |error| chain(&error);
        let until = Instant::now() + RECORD_LAG;
        loop {
            let recorded = self
                .om
                .recorded_exit(name, &past.node, &rid(past), past.operation);
            if let Some(code) = recorded.map_err(said)? {
                return Ok(Earlier::Exited(code));
            }
            if self.om.runs(&past.node, past.operation).map_err(said)? {
                return Ok(Earlier::Running);
            }
            let gone = !self.om.has_service(name).map_err(said)?;
            if gone || Instant::now() >= until {
                return Ok(Earlier::Over);
            }
            std::thread::sleep(self.limits.poll);
        }
    }

    /// Deletes a service and verifies that it is gone.
    fn delete(&self, name: &ServiceName) -> Result<(), String> {
        let until = Instant::now() + self.limits.delete;
        let mut last = String::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.om.delete_service(name, left) {
                Ok(None) => {}
                Ok(Some(rejection)) => {
                    last = format!(": {rejection}");
                    // "orchestration … already in progress" (409)
                    let _ = self.om.abort_service(name, left);
                }
                Err(error) => return Err(chain(&error)),
            }
            if !self.om.has_service(name).map_err(|error| chain(&error))? {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(format!("service {name} is still there{last}"));
            }
            std::thread::sleep(self.limits.poll);
        }
    }
}
