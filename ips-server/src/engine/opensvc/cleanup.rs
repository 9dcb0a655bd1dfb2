//! Removing task services. Nothing here is interrupted: a clean-up that stops half way
//! would report a service that may be gone.

use std::time::Instant;

use super::OpenSvc;
use crate::engine::CleanupError;
use crate::error::chain;
use crate::om::service::ServiceName;

impl OpenSvc<'_> {
    /// Deletes a service and verifies that it is gone.
    pub(super) fn remove(&self, service: &str) -> Result<(), CleanupError> {
        let name = ServiceName::new(service).map_err(|what| failed(service, what))?;
        self.delete(&name).map_err(|what| failed(service, what))
    }

    /// As [`OpenSvc::remove`], unless a task of it runs on any node.
    pub(super) fn remove_idle(&self, service: &str) -> Result<(), CleanupError> {
        let name = ServiceName::new(service).map_err(|what| failed(service, what))?;
        let om = self.om.uninterruptible();
        let cluster = om
            .cluster()
            .map_err(|error| failed(service, chain(&error)))?;
        for node in cluster.nodes.iter().filter(|node| node.health.is_alive()) {
            let busy = om.is_busy(&node.name, &name);
            if busy.map_err(|error| failed(service, chain(&error)))? {
                let what = format!("a task of {name} still runs on {}", node.name);
                return Err(failed(service, what));
            }
        }
        self.remove(service)
    }

    pub(super) fn delete(&self, name: &ServiceName) -> Result<(), String> {
        let om = self.om.uninterruptible();
        let until = Instant::now() + self.limits.delete;
        let mut last = String::new();
        loop {
            let remaining = until.saturating_duration_since(Instant::now());
            match om.delete_service(name, remaining) {
                Ok(None) => {}
                Ok(Some(rejection)) => {
                    last = format!(": {rejection}");
                    // "orchestration … already in progress" (409)
                    let _ = om.abort_service(name, remaining);
                }
                Err(error) => return Err(chain(&error)),
            }
            if !om.has_service(name).map_err(|error| chain(&error))? {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(format!("service {name} is still there{last}"));
            }
            std::thread::sleep(self.limits.poll);
        }
    }
}

fn failed(service: &str, what: String) -> CleanupError {
    CleanupError {
        what,
        remedy: format!("om {service} purge"),
    }
}
