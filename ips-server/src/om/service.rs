//! `om NAME create|delete|abort` and `om svc ls`: the transient service of a task.
//! The exit code of create and delete proves nothing: the callers verify that the instance
//! exists, or that the service is gone.

use std::time::Duration;

use hps_core::exec::ExecError;
use hps_core::names::NodeName;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{NO_OBJECT, Om, answer, seconds};

/// The name of a service: `[a-z0-9][a-z0-9.-]*`, at most 63, not all digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(String);

impl ServiceName {
    /// Checks a name.
    ///
    /// # Errors
    /// OpenSVC would refuse it, or `om` would read it as something else.
    pub fn new(name: &str) -> Result<Self, String> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        let ok = name.len() <= 63
            && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && name.chars().all(good)
            && !name.chars().all(|c| c.is_ascii_digit());
        if ok {
            return Ok(Self(name.to_owned()));
        }
        let name: String = name.chars().take(80).collect();
        Err(format!(
            "service name {name:?}: want 1 to 63 of a-z 0-9 '.' '-', beginning with a letter or digit, not all digits"
        ))
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ServiceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// A service with one task.
#[derive(Debug)]
pub struct ServiceConfig<'a> {
    /// Its name.
    pub name: &'a ServiceName,
    /// Its scope.
    pub nodes: &'a [NodeName],
    /// The task's name.
    pub task: &'a str,
    /// What it runs; found on PATH, no shell.
    pub command: &'a str,
    /// Its environment.
    pub environment: &'a [(&'a str, String)],
    /// When OpenSVC kills it: the last resort.
    pub timeout: Duration,
}

impl ServiceConfig<'_> {
    /// The configuration of the service.
    ///
    /// # Errors
    /// A text that INI or OpenSVC would read as something else.
    pub fn ini(&self) -> Result<String, String> {
        let nodes = self
            .nodes
            .iter()
            .map(NodeName::as_str)
            .collect::<Vec<_>>()
            .join(" ");
        let environment = self
            .environment
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>();
        for text in environment
            .iter()
            .map(String::as_str)
            .chain([self.task, self.command])
        {
            plain(text)?;
        }
        if let Some(split) = environment
            .iter()
            .find(|pair| pair.contains(char::is_whitespace))
        {
            return Err(format!(
                "white space in the environment of a task: {split:?}"
            ));
        }
        let environment = match environment.join(" ") {
            none if none.is_empty() => String::new(),
            some => format!("environment = {some}\n"),
        };
        Ok(format!(
            "[DEFAULT]\nnodes = {nodes}\n\n[task#{}]\ncommand = {}\ntimeout = {}\n{environment}",
            self.task,
            self.command,
            seconds(self.timeout),
        ))
    }
}

/// ` #` and ` ;` begin comments in the INI, `{x}` is a reference, and a newline a new key.
fn plain(text: &str) -> Result<(), String> {
    let bad = text.chars().any(|c| c.is_control() || "#;{}|&".contains(c));
    if bad {
        Err(format!("a service configuration cannot hold {text:?}"))
    } else {
        Ok(())
    }
}

#[derive(Deserialize)]
struct List {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    meta: Meta,
    #[serde(rename = "data")]
    _data: IgnoredAny,
}

#[derive(Deserialize)]
struct Meta {
    object: String,
}

/// `error: orchestration 049c872e-… (>unfrozen) already in progress`
#[derive(Deserialize)]
struct Orchestration {
    #[serde(default)]
    status: String,
}

impl Om<'_> {
    /// Creates the service; its instance on a node appears later ([`Om::has_instance`]).
    ///
    /// # Errors
    /// `om` failed.
    pub fn create_service(
        &self,
        name: &ServiceName,
        ini: &str,
        wait: Duration,
    ) -> Result<(), ExecError> {
        let wait_text = seconds(wait);
        let args = [
            "svc",
            "create",
            "-s",
            name.as_str(),
            "--config",
            "-",
            "--wait",
            "--time",
            &wait_text,
        ];
        self.command(&args, wait).input(ini).run()?.success()?;
        Ok(())
    }

    /// Names of all services, or of those a selector matches.
    ///
    /// # Errors
    /// `om` gave no usable answer.
    pub fn services(&self, selector: &str) -> Result<Vec<String>, ExecError> {
        let output = self.read(&["svc", "ls", "-s", selector, "-o", "json"])?;
        if output.code == NO_OBJECT {
            return Ok(Vec::new());
        }
        let list: List = answer(output)?;
        Ok(list
            .items
            .into_iter()
            .map(|item| item.meta.object)
            .collect())
    }

    /// Whether a service exists: known to this node's daemon, or only a file yet. Right
    /// after a create, and while it waits for a node that is down, `svc ls` does not list it.
    ///
    /// # Errors
    /// `om` gave no usable answer.
    pub fn has_service(&self, name: &ServiceName) -> Result<bool, ExecError> {
        let (listed, configured) = std::thread::scope(|scope| {
            let listed = scope.spawn(|| self.services(name.as_str()));
            let configured = self.read(&[name.as_str(), "config", "show"]);
            (listed.join(), configured)
        });
        let listed = match listed {
            Ok(listed) => !listed?.is_empty(),
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let configured = configured?;
        match configured.code {
            NO_OBJECT => Ok(listed),
            0 => Ok(true),
            _ => Err(configured.exited()),
        }
    }

    /// Requests the deletion of a service; the text is a rejection, where there was one. The
    /// exit code is ignored: from outside the scope it is 1 in most successes. See
    /// [`Om::has_service`].
    ///
    /// # Errors
    /// It did not end in time; the daemon of this node may be down.
    pub fn delete_service(
        &self,
        name: &ServiceName,
        wait: Duration,
    ) -> Result<Option<String>, ExecError> {
        let wait_text = seconds(wait);
        let args = [
            "svc",
            "delete",
            "-s",
            name.as_str(),
            "--wait",
            "--time",
            &wait_text,
            "-o",
            "json",
        ];
        let output = self.act(&args, wait)?;
        let orchestrations: Vec<Orchestration> =
            serde_json::from_slice(&output.stdout).unwrap_or_default();
        Ok(orchestrations
            .into_iter()
            .map(|one| one.status)
            .find(|status| status.contains("already in progress")))
    }

    /// Ends an orchestration that is in the way of a deletion.
    ///
    /// # Errors
    /// It did not end in time.
    pub fn abort_service(&self, name: &ServiceName, wait: Duration) -> Result<(), ExecError> {
        let wait_text = seconds(wait);
        self.act(
            &[
                "svc",
                "abort",
                "-s",
                name.as_str(),
                "--wait",
                "--time",
                &wait_text,
            ],
            wait,
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_opensvc() {
        for good in ["vm-ops-create-vm-1", "a", "1a"] {
            assert!(ServiceName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "a_b", "-a", "123", "a b", &"a".repeat(64)] {
            assert!(ServiceName::new(bad).is_err(), "{bad}");
        }
    }

    fn service<'a>(
        name: &'a ServiceName,
        nodes: &'a [NodeName],
        command: &'a str,
        environment: &'a [(&'a str, String)],
    ) -> ServiceConfig<'a> {
        ServiceConfig {
            name,
            nodes,
            task: "create",
            command,
            environment,
            timeout: Duration::from_secs(570),
        }
    }

    #[test]
    fn the_configuration_is_as_the_specification_has_it() {
        let name = ServiceName::new("vm-ops-create-vm-1").unwrap();
        let nodes = ["ips", "tch-001"].map(|name| name.parse().unwrap());
        let environment = [
            ("N_VM_TOKEN", "abc".to_owned()),
            ("N_VM_ID", "vm-1".to_owned()),
        ];
        assert_eq!(
            service(&name, &nodes, "n_vm_create vm-1", &environment)
                .ini()
                .unwrap(),
            "[DEFAULT]\nnodes = ips tch-001\n\n[task#create]\ncommand = n_vm_create vm-1\ntimeout = 570s\n\
             environment = N_VM_TOKEN=abc N_VM_ID=vm-1\n"
        );
    }

    #[test]
    fn text_that_ini_reads_otherwise_is_refused() {
        let name = ServiceName::new("s").unwrap();
        for bad in ["a\nb", "a #b", "a ;b", "a {b}", "a | b", "a && b"] {
            assert!(service(&name, &[], bad, &[]).ini().is_err(), "{bad:?}");
            let environment = [("K", bad.to_owned())];
            assert!(
                service(&name, &[], "true", &environment).ini().is_err(),
                "{bad:?}"
            );
        }
        assert!(
            service(&name, &[], "true", &[("K", "a b".to_owned())])
                .ini()
                .is_err()
        );
    }
}
