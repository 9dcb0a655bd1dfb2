//! The inventory of a node, as a task like any other: `n_vm list --report`. Its result
//! reaches the registry through the server, under a token of its own.

use hps_core::names::NodeName;
use uuid::Uuid;

use super::result::{Patience, RECORD_LAG};
use super::{OpenSvc, no_answer};
use crate::engine::{Detail, NoAnswer};
use crate::model::token::Token;
use crate::om::service::{ServiceConfig, ServiceName};
use crate::om::task::{Run, RunRequest};

/// The task's name.
const TASK: &str = "list";

impl OpenSvc<'_> {
    /// Makes a node report its domains; the report has arrived when this returns.
    pub(super) fn report_inventory(
        &self,
        node: &NodeName,
        token: &Token,
        detail: Detail,
    ) -> Result<(), NoAnswer> {
        let name = ServiceName::new(&format!("vm-ops-{TASK}-{node}")).map_err(NoAnswer)?;
        let busy = self
            .om
            .is_busy(node, &name)
            .map_err(|error| no_answer(&error))?;
        if busy {
            return Err(NoAnswer(format!("an earlier {name} still runs on {node}")));
        }
        self.delete(&name).map_err(NoAnswer)?;
        let listed = self.list(node, &name, &self.list_ini(node, token, &name, detail)?);
        // The failure of the list explains more; a leftover is swept.
        let cleaned = self.delete(&name).map_err(NoAnswer);
        listed.and(cleaned)
    }

    fn list(&self, node: &NodeName, name: &ServiceName, ini: &str) -> Result<(), NoAnswer> {
        self.om
            .create_service(name, ini, self.limits.instance)
            .map_err(|error| no_answer(&error))?;
        self.wait_for_instance(name, node)
            .map_err(|error| no_answer(&error))?;
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
            Ok(Run::Accepted) => self.listed(node, name, &rid, session),
            Ok(Run::Rejected(why) | Run::Unknown(why)) => Err(NoAnswer(why)),
            Err(error) => Err(no_answer(&error)),
        }
    }

    fn list_ini(
        &self,
        node: &NodeName,
        token: &Token,
        name: &ServiceName,
        detail: Detail,
    ) -> Result<String, NoAnswer> {
        let mut environment = vec![
            ("N_VM_TOKEN", token.expose().to_owned()),
            ("N_VM_NODE", node.to_string()),
        ];
        environment.extend(self.advertise.iter().map(|url| ("N_VM_IPS", url.clone())));
        let nodes = self.scope(node)?;
        let service = ServiceConfig {
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
        service.ini().map_err(NoAnswer)
    }

    fn listed(
        &self,
        node: &NodeName,
        name: &ServiceName,
        rid: &str,
        session: Uuid,
    ) -> Result<(), NoAnswer> {
        let mut patience = Patience::new();
        loop {
            match self.om.recorded_exit(name, node, rid, session) {
                Ok(Some(0)) => return Ok(()),
                Ok(Some(code)) => {
                    return Err(NoAnswer(format!("n_vm list on {node} exited {code}")));
                }
                Ok(None) if !patience.is_over(RECORD_LAG) => std::thread::sleep(self.limits.poll),
                Ok(None) => {
                    return Err(NoAnswer(format!(
                        "no result of n_vm list on {node} is recorded"
                    )));
                }
                Err(error) => return Err(no_answer(&error)),
            }
        }
    }
}
