//! The queries that many cases share, each a call of the engine.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::{IPS, Out, TCH, Verdict, World, ensure};

/// A deadline longer than any delay without a dead node, on a busy machine too.
pub(crate) const SOON: Duration = Duration::from_secs(90);

/// The session ids of the cases: valid, and distinct by their number.
pub(crate) fn sid(number: u32) -> String {
    format!("0b5e55ed-0000-4000-8000-{number:012x}")
}

/// A script that tasks on all nodes may run.
pub(crate) fn write_script(path: &Path, text: &str) -> Verdict {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, format!("#!/bin/sh\n{text}\n")).map_err(|error| error.to_string())?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(|error| error.to_string())
}

/// A gate that holds a task until it is opened.
pub(crate) struct Gate(PathBuf);

impl Gate {
    pub(crate) fn open(&self) -> Verdict {
        fs::write(&self.0, "").map_err(|error| error.to_string())
    }
}

impl World {
    /// The usual service, whose task waits at a gate and then runs a command.
    pub(crate) fn gate(&self, name: &str, then: &str) -> Result<Gate, String> {
        let (gate, script) = ["gate", "script"]
            .map(|kind| self.scratch.join(format!("{name}.{kind}")))
            .into();
        let wait = format!(
            "until [ -e {} ]; do sleep 0.05; done\n{then}",
            gate.display()
        );
        write_script(&script, &wait)?;
        self.made(name, &script.display().to_string())?;
        Ok(Gate(gate))
    }

    /// The node's entries in `daemon ps`.
    pub(crate) fn processes(&self) -> Result<Vec<Value>, String> {
        let out = self.om(IPS, &["daemon", "ps", "--node", TCH, "-o", "json"])?;
        Ok(out.json()?.as_array().cloned().unwrap_or_default())
    }

    pub(crate) fn runs_now(&self, sid: &str) -> Result<bool, String> {
        let processes = self.processes()?;
        Ok(processes.iter().any(|process| process["sid"] == sid))
    }

    /// Waits until the task of a session runs.
    pub(crate) fn begins(&self, sid: &str) -> Verdict {
        self.until(SOON, "the task", || self.runs_now(sid))
    }

    /// Creates a service of one task from node `from`, and waits as `--wait` does.
    pub(crate) fn create(
        &self,
        from: &str,
        name: &str,
        nodes: &str,
        task: &str,
    ) -> Result<Out, String> {
        let ini = format!("[DEFAULT]\nnodes = {nodes}\n\n[task#create]\n{task}\n");
        let args = [name, "create", "--config", "-", "--wait", "--time", "20s"];
        self.om_with(from, &args, &[], &ini, Duration::from_secs(40))
    }

    /// The usual service: created from ips, which is in its scope; then on both nodes.
    pub(crate) fn made(&self, name: &str, command: &str) -> Verdict {
        self.create(IPS, name, "ips tch-001", &format!("command = {command}"))?
            .exits(0)?;
        self.arrives(name, TCH)
    }

    /// Waits until the instance has a status.
    pub(crate) fn arrives(&self, name: &str, node: &str) -> Verdict {
        self.until(SOON, &format!("instance of {name} on {node}"), || {
            let out = self.om(
                IPS,
                &[
                    "svc", "instance", "ls", "-s", name, "--node", node, "-o", "json",
                ],
            )?;
            Ok(out.code == 0 && !out.json()?["items"][0]["data"]["status"].is_null())
        })
    }

    /// Runs the task with a session id and `--wait`.
    pub(crate) fn run(&self, name: &str, sid: &str, time: &str) -> Result<Out, String> {
        let args = [
            name,
            "run",
            "--rid",
            "task#create",
            "--node",
            TCH,
            "--wait",
            "--time",
            time,
            "-o",
            "json",
        ];
        self.om_with(
            IPS,
            &args,
            &[("OSVC_SESSION_ID", sid)],
            "",
            Duration::from_secs(60),
        )
    }

    /// `.info` of the task from the view of the IPS.
    pub(crate) fn info(&self, name: &str) -> Result<Value, String> {
        let out = self.om(
            IPS,
            &[
                "svc", "instance", "status", "-s", name, "--node", TCH, "-o", "json",
            ],
        )?;
        out.exits(0)?;
        Ok(out.json()?[0]["status"]["resources"]["task#create"]["info"].clone())
    }

    /// Waits until the result of this session is known, and returns its exit code.
    pub(crate) fn result(&self, name: &str, sid: &str, within: Duration) -> Result<i64, String> {
        let mut code = None;
        self.until(within, &format!("result of {name}"), || {
            let info = self.info(name)?;
            if info["last_run_session_id"] == sid {
                code = info["last_run_exitcode"].as_i64();
            }
            Ok(code.is_some())
        })?;
        code.ok_or_else(|| "no exit code".to_owned())
    }

    /// The exit code of one run of a fresh service with this task.
    pub(crate) fn outcome(&self, name: &str, task: &str) -> Result<(Out, i64), String> {
        self.create(IPS, name, "ips tch-001", task)?.exits(0)?;
        self.arrives(name, TCH)?;
        let out = self.run(name, &sid(1), "20s")?;
        let code = self.result(name, &sid(1), SOON)?;
        self.drop_service(name)?;
        Ok((out, code))
    }

    /// Whether the local daemon knows the service.
    pub(crate) fn is_there(&self, name: &str) -> Result<bool, String> {
        Ok(self.om(IPS, &["svc", "ls", "-s", name, "-o", "json"])?.code != 2)
    }

    pub(crate) fn goes(&self, name: &str, within: Duration) -> Verdict {
        self.until(within, &format!("{name} to go"), || {
            Ok(!self.is_there(name)?)
        })
    }

    /// Deletes with any exit code, until the service is gone.
    pub(crate) fn drop_service(&self, name: &str) -> Verdict {
        self.om(IPS, &[name, "delete", "--wait", "--time", "20s"])?;
        self.goes(name, SOON)
    }

    /// `.cluster.node.NODE` of the daemon's status, as `from` sees it.
    pub(crate) fn node(&self, from: &str, node: &str) -> Result<Value, String> {
        let out = self.om(from, &["daemon", "status", "-o", "json"])?;
        out.exits(0)?;
        Ok(out.json()?["cluster"]["node"][node].clone())
    }

    /// Its `monitor.state`; empty if the node is not listed.
    pub(crate) fn state(&self, node: &str) -> Result<String, String> {
        Ok(self.node(IPS, node)?["monitor"]["state"]
            .as_str()
            .unwrap_or_default()
            .to_owned())
    }

    pub(crate) fn becomes(&self, node: &str, state: &str, within: Duration) -> Verdict {
        self.until(within, &format!("{node} to be {state:?}"), || {
            Ok(self.state(node)? == state)
        })
    }

    /// Polls until the condition is met.
    pub(crate) fn until(
        &self,
        within: Duration,
        what: &str,
        mut holds: impl FnMut() -> Result<bool, String>,
    ) -> Verdict {
        let end = Instant::now() + within;
        while !holds()? {
            ensure(Instant::now() < end, || {
                format!("waited in vain for {what}")
            })?;
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}
