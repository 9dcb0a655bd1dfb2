//! The inventory of a node, as a task like any other: `n_vm list --report`. What it
//! finds reaches the registry through the server, under a token of its own.

use std::time::Instant;

use hps_core::names::NodeName;
use uuid::Uuid;

use super::OpenSvc;
use crate::engine::{Detail, Unanswered};
use crate::error::chain;
use crate::om::service::{ServiceName, TaskService};
use crate::om::task::{Run, RunRequest};
use crate::operation::token::Token;

/// The task's name.
const TASK: &str = "list";

impl OpenSvc<'_> {
    /// Lets a node report its domains; it has done so when this returns.
    pub(super) fn take_inventory(
        &self,
        node: &NodeName,
        token: &Token,
        detail: Detail,
    ) -> Result<(), Unanswered> {
        let said = |error: &dyn std::error::Error| Unanswered(chain(error));
        let name = ServiceName::new(&format!("vm-ops-{TASK}-{node}")).map_err(Unanswered)?;
        let busy = self.om.is_busy(node, &name).map_err(|error| said(&error))?;
        if busy {
            return Err(Unanswered(format!(
                "an earlier {name} still runs on {node}"
            )));
        }
        self.delete(&name).map_err(Unanswered)?;
        let ended = self.list(node, &name, &self.list_ini(node, token, &name, detail)?);
        // Its own failure is the better news; a leftover is swept.
        let cleaned = self.delete(&name).map_err(Unanswered);
        ended.and(cleaned)
    }

    fn list(&self, node: &NodeName, name: &ServiceName, ini: &str) -> Result<(), Unanswered> {
        self.om
            .create_service(name, ini, self.limits.instance)
            .map_err(|error| Unanswered(chain(&error)))?;
        self.wait_for_instance(name, node)
            .map_err(|error| Unanswered(chain(&error)))?;
        let (session, rid) = (Uuid::new_v4(), format!("task#{TASK}"));
        let wait = self.om.timeout + self.limits.task_margin + self.limits.wait_margin;
        let request = RunRequest {
            service: name,
            rid: &rid,
            node,
            session,
            wait,
        };
        match self.om.run_task(&request, None, self.stop) {
            Ok(Run::Taken) => self.listed(node, name, &rid, session),
            Ok(Run::NotTaken(why) | Run::Unknown(why)) => Err(Unanswered(why)),
            Err(error) => Err(Unanswered(chain(&error))),
        }
    }

    fn list_ini(
        &self,
        node: &NodeName,
        token: &Token,
        name: &ServiceName,
        detail: Detail,
    ) -> Result<String, Unanswered> {
        let mut environment = vec![
            ("N_VM_TOKEN", token.expose().to_owned()),
            ("N_VM_NODE", node.to_string()),
        ];
        environment.extend(self.advertise.iter().map(|url| ("N_VM_IPS", url.clone())));
        let nodes = self.scope(node)?;
        let service = TaskService {
            name,
            nodes: &nodes,
            task: TASK,
            command: match detail {
                Detail::States => "n_vm list --report",
                Detail::Definitions => "n_vm list --report --definitions",
            },
            environment: &environment,
            timeout: self.om.timeout + self.limits.task_margin,
        };
        service.ini().map_err(Unanswered)
    }

    fn listed(
        &self,
        node: &NodeName,
        name: &ServiceName,
        rid: &str,
        session: Uuid,
    ) -> Result<(), Unanswered> {
        let until = Instant::now() + super::RECORD_LAG;
        loop {
            match self.om.recorded_exit(name, node, rid, session) {
                Ok(Some(0)) => return Ok(()),
                Ok(Some(code)) => {
                    return Err(Unanswered(format!("n_vm list on {node} exited {code}")));
                }
                Ok(None) if Instant::now() < until => std::thread::sleep(self.limits.poll),
                Ok(None) => {
                    return Err(Unanswered(format!(
                        "no result of n_vm list on {node} is recorded"
                    )));
                }
                Err(error) => return Err(Unanswered(chain(&error))),
            }
        }
    }
}
