//! Creates the service of a task and waits until it has reached the node. The user may
//! interrupt at any point; the caller then cleans up.

use std::sync::atomic::Ordering;
use std::time::Instant;

use hps_core::names::NodeName;

use super::{OpenSvc, service_name};
use crate::engine::{OnStep, PrepareError};
use crate::error::chain;
use crate::model::task::{Task, TaskRef};
use crate::om::service::{ServiceConfig, ServiceName};

impl OpenSvc<'_> {
    pub(super) fn make_service(
        &self,
        task: &Task,
        on_step: OnStep<'_>,
    ) -> Result<(), PrepareError> {
        let reference = task.reference();
        let name = service_name(&reference).map_err(PrepareError::NotMade)?;
        let scope = self
            .scope(&task.node)
            .map_err(|error| PrepareError::NotMade(error.0))?;
        std::thread::scope(|threads| {
            let checked = threads.spawn(|| self.check_om());
            self.remove_leftover(&name, &reference)?;
            match checked.join() {
                Ok(checked) => checked.map_err(PrepareError::NotMade),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })?;
        self.go_on()?;
        let ini = self
            .ini(task, &name, &scope)
            .map_err(PrepareError::NotMade)?;
        let began = Instant::now();
        self.om
            .create_service(&name, &ini, self.limits.instance)
            .map_err(|error| PrepareError::NotMade(chain(&error)))?;
        on_step("service", name.as_str());
        self.wait_for_instance(&name, &task.node)?;
        let seconds = began.elapsed().as_secs_f64();
        on_step(
            "instance",
            &format!("{name} on {} after {seconds:.1} s", task.node),
        );
        Ok(())
    }

    /// An `om` that is too old would run a task without waiting, under another session id.
    fn check_om(&self) -> Result<(), String> {
        if self.checked.get().is_some() {
            return Ok(());
        }
        match self.om.can_wait() {
            Ok(true) => {
                let _ = self.checked.set(());
                Ok(())
            }
            Ok(false) => Err("this `om` is too old: `om svc instance run` has no --wait; OpenSVC v3.0.0-rc18 or newer is needed".to_owned()),
            Err(error) => Err(chain(&error)),
        }
    }

    fn go_on(&self) -> Result<(), PrepareError> {
        if self.stop.load(Ordering::Relaxed) {
            Err(PrepareError::Interrupted)
        } else {
            Ok(())
        }
    }

    fn ini(&self, task: &Task, name: &ServiceName, scope: &[NodeName]) -> Result<String, String> {
        let mut environment = task.environment();
        environment.extend(self.advertise.iter().map(|url| ("N_VM_IPS", url.clone())));
        ServiceConfig {
            name,
            nodes: scope,
            task: task.spec.name.as_str(),
            command: &task.command(),
            environment: &environment,
            timeout: self.limits.task(task.options.extra_time()),
        }
        .ini()
    }

    /// Deletes a service of this name from before: a node that was down brought it back, or an
    /// earlier clean-up failed. While its task runs it stays.
    fn remove_leftover(&self, name: &ServiceName, task: &TaskRef) -> Result<(), PrepareError> {
        let failed = |error: &dyn std::error::Error| PrepareError::NotMade(chain(error));
        if !self.om.has_service(name).map_err(|error| failed(&error))? {
            return Ok(());
        }
        let busy = self.om.is_busy(&task.node, name);
        if busy.map_err(|error| failed(&error))? {
            return Err(PrepareError::NotMade(format!(
                "an earlier task of {name} still runs on {}",
                task.node
            )));
        }
        self.delete(name).map_err(PrepareError::NotMade)
    }

    pub(super) fn wait_for_instance(
        &self,
        name: &ServiceName,
        node: &NodeName,
    ) -> Result<(), PrepareError> {
        let until = Instant::now() + self.limits.instance;
        loop {
            let last = match self.om.has_instance(name, node) {
                Ok(true) => return Ok(()),
                Ok(false) => format!(
                    "no instance of {name} on {node} within {} s",
                    self.limits.instance.as_secs_f64()
                ),
                Err(error) => chain(&error),
            };
            self.go_on()?;
            if Instant::now() >= until {
                return Err(PrepareError::NotThere(last));
            }
            std::thread::sleep(self.limits.poll);
        }
    }
}
