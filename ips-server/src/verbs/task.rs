//! `o_vm task create|run|delete|list`: the old `o_task_*` functions, with honest exit
//! codes. Works on OpenSVC directly, without the registry.

use std::time::{Duration, Instant};

use argh::FromArgs;
use hps_core::names::NodeName;
use uuid::Uuid;

use super::Env;
use crate::error::chain;
use crate::model::exit::Exit;
use crate::om::Om;
use crate::om::service::{ServiceConfig, ServiceName};
use crate::om::task::{Run as Ran, RunRequest};

/// By how much a recorded result may lag behind the end of its run.
const RECORD_LAG: Duration = Duration::from_secs(3);

/// Make, run, delete and list task services.
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "task")]
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

/// Make a service with one task (o_task_create).
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "create")]
struct Create {
    /// name of the service
    #[argh(positional)]
    service: String,
    /// name of the task
    #[argh(positional)]
    task: String,
    /// what it runs; no shell
    #[argh(positional)]
    command: String,
    /// its nodes, parted by spaces
    #[argh(positional)]
    nodes: String,
}

/// Run a task on a node and wait for it (o_task_run).
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "run")]
struct Run {
    /// name of the service
    #[argh(positional)]
    service: String,
    /// name of the task
    #[argh(positional)]
    task: String,
    /// where
    #[argh(positional)]
    node: NodeName,
    /// exit with the task's own exit code
    #[argh(switch)]
    exit_code: bool,
}

/// Delete a service and verify that it is gone (o_task_delete).
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "delete")]
struct Delete {
    /// name of the service
    #[argh(positional)]
    service: String,
}

/// List all services (o_task_list).
#[derive(FromArgs, Debug)]
#[argh(subcommand, name = "list")]
struct List {}

impl Task {
    /// Does it: 0, or 1 with the reason; `run --exit-code` hands the task's own code through.
    #[must_use]
    pub fn run(&self, env: &Env) -> u8 {
        let stop = super::interruptible();
        let om = Om {
            timeout: env.settings.om_timeout,
            interrupt: Some(&stop),
        };
        let done = match &self.command {
            TaskCommand::Create(args) => args.run(env, &om).map(|()| 0),
            TaskCommand::Run(args) => args.run(env, &om),
            TaskCommand::Delete(args) => args.run(env, &om).map(|()| 0),
            TaskCommand::List(_) => list(&om).map(|()| 0),
        };
        done.unwrap_or_else(|why| {
            super::print_error(&format!("task: {why}"));
            Exit::Parameters.code()
        })
    }
}

impl Create {
    fn run(&self, env: &Env, om: &Om<'_>) -> Result<(), String> {
        let name = ServiceName::new(&self.service)?;
        task_name(&self.task)?;
        let parse = |node: &str| node.parse::<NodeName>().map_err(|error| error.to_string());
        let nodes = self
            .nodes
            .split_whitespace()
            .map(parse)
            .collect::<Result<Vec<_>, _>>()?;
        let known = om.cluster().map_err(|error| chain(&error))?.nodes;
        // om drops names it does not know, and puts the service on this node instead.
        if let Some(stranger) = nodes
            .iter()
            .find(|node| !known.iter().any(|one| one.name == **node))
        {
            return Err(format!(
                "create {name}: node {stranger} is not in the cluster"
            ));
        }
        if nodes.is_empty() {
            return Err(format!("create {name}: no nodes are given"));
        }
        // From outside a scope om replaces another's configuration without a word.
        if om.has_service(&name).map_err(|error| chain(&error))? {
            return Err(format!("create {name}: it exists already"));
        }
        let (task, command) = (self.task.as_str(), self.command.as_str());
        let timeout = env.settings.verb_timeout + env.settings.task_margin;
        let service = ServiceConfig {
            name: &name,
            nodes: &nodes,
            task,
            command,
            environment: &[],
            timeout,
        };
        let ini = service
            .ini()
            .map_err(|why| format!("create {name}: {why}"))?;
        om.create_service(&name, &ini, env.settings.instance_timeout)
            .map_err(|error| chain(&error))
    }
}

impl Run {
    fn run(&self, env: &Env, om: &Om<'_>) -> Result<u8, String> {
        let name = ServiceName::new(&self.service)?;
        task_name(&self.task)?;
        let (rid, session) = (format!("task#{}", self.task), Uuid::new_v4());
        let wait = env.settings.verb_timeout + env.settings.task_margin + env.settings.wait_margin;
        let request = RunRequest {
            service: &name,
            rid: &rid,
            node: &self.node,
            session,
            wait,
        };
        match om
            .run_task(
                &request,
                None,
                om.interrupt
                    .unwrap_or(&std::sync::atomic::AtomicBool::new(false)),
            )
            .map_err(|error| chain(&error))?
        {
            Ran::Taken => {}
            Ran::NotTaken(why) | Ran::Unknown(why) => {
                return Err(format!("run {name} on {}: {why}", self.node));
            }
        }
        let code = self.recorded(om, &name, &rid, session)?;
        if self.exit_code {
            return Ok(u8::try_from(code).unwrap_or(u8::MAX));
        }
        if code == 0 {
            Ok(0)
        } else {
            Err(format!(
                "run {name} on {}: the task exited {code}",
                self.node
            ))
        }
    }

    fn recorded(
        &self,
        om: &Om<'_>,
        name: &ServiceName,
        rid: &str,
        session: Uuid,
    ) -> Result<i32, String> {
        let until = Instant::now() + RECORD_LAG;
        loop {
            let found = om
                .recorded_exit(name, &self.node, rid, session)
                .map_err(|error| chain(&error))?;
            if let Some(code) = found {
                return Ok(code);
            }
            if Instant::now() >= until {
                return Err(format!(
                    "run {name} on {}: no result of session {session} is recorded",
                    self.node
                ));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Delete {
    fn run(&self, env: &Env, om: &Om<'_>) -> Result<(), String> {
        let name = ServiceName::new(&self.service)?;
        let wait = env.settings.delete_timeout;
        let until = Instant::now() + wait;
        while om.has_service(&name).map_err(|error| chain(&error))? {
            if Instant::now() >= until {
                return Err(format!(
                    "delete {name}: it is still there; remove it with `om {name} purge`"
                ));
            }
            om.delete_service(&name, wait)
                .map_err(|error| chain(&error))?;
        }
        Ok(())
    }
}

fn list(om: &Om<'_>) -> Result<(), String> {
    for name in om.services("*").map_err(|error| chain(&error))? {
        super::say(&name);
    }
    Ok(())
}

fn task_name(name: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(good) {
        return Ok(());
    }
    Err(format!("task name {name:?}: want A-Z a-z 0-9 '-' '_'"))
}
