//! `o_vm task create|run|delete|list`, also `o_task_*`: task services of OpenSVC, without
//! the registry.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use argh::FromArgs;
use hps_core::names::NodeName;
use uuid::Uuid;

use crate::cli::output::{print, print_error};
use crate::cli::signals::interruptible;
use crate::cli::{Env, Error, usage_error};
use crate::error::chain;
use crate::om::Om;
use crate::om::service::{ServiceConfig, ServiceName};
use crate::om::task::{Run as Ran, RunRequest};

/// How long after the end of a run OpenSVC may take to record its result.
const RECORD_LAG: Duration = Duration::from_secs(3);
/// How often it is read meanwhile.
const RECORD_POLL: Duration = Duration::from_millis(50);

/// Create, run, delete and list task services.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "task", help_triggers("--help", "-h"))]
pub struct Task {
    #[argh(subcommand)]
    command: TaskCommand,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
enum TaskCommand {
    Create(Create),
    Run(Run),
    Delete(Delete),
    List(List),
}

/// Create a service with one task (o_task_create).
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "create", help_triggers("--help", "-h"))]
struct Create {
    /// name of the service
    #[argh(positional)]
    service: String,
    /// name of the task
    #[argh(positional)]
    task: String,
    /// command to run, without a shell
    #[argh(positional)]
    command: String,
    /// names of its nodes, separated by spaces
    #[argh(positional)]
    nodes: String,
}

/// Run a task on a node and wait for it (o_task_run).
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "run", help_triggers("--help", "-h"))]
struct Run {
    /// name of the service
    #[argh(positional)]
    service: String,
    /// name of the task
    #[argh(positional)]
    task: String,
    /// name of the node
    #[argh(positional)]
    node: NodeName,
    /// exit with the exit code of the task
    #[argh(switch)]
    exit_code: bool,
}

/// Delete a service and verify that it is gone (o_task_delete).
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "delete", help_triggers("--help", "-h"))]
struct Delete {
    /// name of the service
    #[argh(positional)]
    service: String,
}

/// List all services (o_task_list).
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "list", help_triggers("--help", "-h"))]
struct List {}

impl Task {
    /// Runs it: 0, or 1 with the reason; `run --exit-code` passes the task's own code on.
    #[must_use]
    pub fn run(&self, env: &Env) -> u8 {
        let stop = interruptible();
        let om = Om {
            timeout: env.settings.om_timeout,
            interrupt: Some(&stop),
        };
        let result = match &self.command {
            TaskCommand::Create(args) => args.run(env, &om).map(|()| 0),
            TaskCommand::Run(args) => args.run(env, &om, &stop),
            TaskCommand::Delete(args) => args.run(env, &om).map(|()| 0),
            TaskCommand::List(_) => list(&om).map(|()| 0),
        };
        result.unwrap_or_else(|error| {
            print_error(&format!("task: {}", chain(&error)));
            error.exit().code()
        })
    }
}

impl Create {
    fn run(&self, env: &Env, om: &Om<'_>) -> Result<(), Error> {
        let name = service_name(&self.service)?;
        task_name(&self.task)?;
        let failed = |why: &str| Error::Task(format!("create {name}: {why}"));
        let nodes = self.nodes(om)?;
        if nodes.is_empty() {
            return Err(failed("no nodes are given"));
        }
        // From outside a scope om replaces another's configuration without a message.
        if om.has_service(&name)? {
            return Err(failed("it exists already"));
        }
        let service = ServiceConfig {
            name: &name,
            nodes: &nodes,
            task: self.task.as_str(),
            command: self.command.as_str(),
            environment: &[],
            timeout: env.settings.verb_timeout + env.settings.task_margin,
        };
        let ini = service.ini().map_err(|why| failed(&why))?;
        Ok(om.create_service(&name, &ini, env.settings.instance_timeout)?)
    }

    /// The nodes that are given. om drops names that it does not know and puts the service
    /// on this node instead, so they are refused here.
    fn nodes(&self, om: &Om<'_>) -> Result<Vec<NodeName>, Error> {
        let words = self.nodes.split_whitespace();
        let nodes: Result<Vec<NodeName>, _> = words.map(str::parse).collect();
        let nodes = nodes.map_err(|error| usage_error(error.to_string()))?;
        let known = om.cluster()?.nodes;
        let is_known = |node: &NodeName| known.iter().any(|one| one.name == *node);
        match nodes.iter().find(|node| !is_known(node)) {
            None => Ok(nodes),
            Some(node) => Err(Error::Task(format!(
                "create {}: node {node} is not in the cluster",
                self.service
            ))),
        }
    }
}

impl Run {
    fn run(&self, env: &Env, om: &Om<'_>, leave: &AtomicBool) -> Result<u8, Error> {
        let name = service_name(&self.service)?;
        task_name(&self.task)?;
        let (rid, session) = (format!("task#{}", self.task), Uuid::new_v4());
        let settings = &env.settings;
        let request = RunRequest {
            service: &name,
            rid: &rid,
            node: &self.node,
            session,
            wait: settings.verb_timeout + settings.task_margin + settings.wait_margin,
        };
        match om.run_task(&request, None, leave)? {
            Ran::Accepted => {}
            Ran::Rejected(why) | Ran::Unknown(why) => return Err(self.failed(&why)),
        }
        match self.recorded(om, &request)? {
            code if self.exit_code => Ok(u8::try_from(code).unwrap_or(u8::MAX)),
            0 => Ok(0),
            code => Err(self.failed(&format!("the task exited {code}"))),
        }
    }

    fn recorded(&self, om: &Om<'_>, request: &RunRequest<'_>) -> Result<i32, Error> {
        let session = request.session;
        let until = Instant::now() + RECORD_LAG;
        loop {
            let found = om.recorded_exit(request.service, &self.node, request.rid, session)?;
            if let Some(code) = found {
                return Ok(code);
            }
            if Instant::now() >= until {
                let why = format!("no result of session {session} is recorded");
                return Err(self.failed(&why));
            }
            // The daemon writes the result after `om` has seen the task end.
            std::thread::sleep(RECORD_POLL);
        }
    }

    fn failed(&self, why: &str) -> Error {
        Error::Task(format!("run {} on {}: {why}", self.service, self.node))
    }
}

impl Delete {
    fn run(&self, env: &Env, om: &Om<'_>) -> Result<(), Error> {
        let name = service_name(&self.service)?;
        let wait = env.settings.delete_timeout;
        let until = Instant::now() + wait;
        while om.has_service(&name)? {
            if Instant::now() >= until {
                return Err(Error::Task(format!(
                    "delete {name}: it still exists; run `om {name} purge`"
                )));
            }
            // A node that was down may bring the service back, so it is looked for again.
            om.delete_service(&name, wait)?;
        }
        Ok(())
    }
}

fn list(om: &Om<'_>) -> Result<(), Error> {
    for name in om.services("*")? {
        print(&name);
    }
    Ok(())
}

fn service_name(name: &str) -> Result<ServiceName, Error> {
    ServiceName::new(name).map_err(usage_error)
}

fn task_name(name: &str) -> Result<(), Error> {
    let is_valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(is_valid) {
        return Ok(());
    }
    Err(usage_error(format!(
        "{name:?} is not a valid task name; use A-Z a-z 0-9 '-' '_'"
    )))
}
