//! Open operations, with what their nodes need: created through the registry itself, as `o_vm`
//! does.

use std::path::Path;

use hps_core::names::NodeName;
use hps_core::report::Report;
use hps_core::state::VmState;
use ips_server::model::operation::{BeginOutcome, Completion, FollowUp, NewOperation};
use ips_server::model::options::Options;
use ips_server::model::token::Token;
use ips_server::model::verb::{PlanRequest, Spec};
use ips_server::registry::{Author, Registry};
use uuid::Uuid;

/// An operation that runs on a node.
pub(crate) struct Operation {
    pub(crate) id: Uuid,
    pub(crate) token: String,
    pub(crate) report: Report,
}

pub(crate) fn author() -> Author {
    Author {
        who: "test".to_owned(),
        source: "test".to_owned(),
        reason: None,
    }
}

/// Starts one; its token is limited to these addresses, if any are given.
pub(crate) fn begin(
    registry: &Path,
    vm: &str,
    spec: &'static Spec,
    node: &str,
    addresses: Option<&str>,
) -> Operation {
    let mut registry = Registry::open(registry).unwrap();
    let (id, token) = (Uuid::new_v4(), Token::new().unwrap());
    let (vm_id, node) = (vm.parse().unwrap(), node.parse::<NodeName>().unwrap());
    let options = Options::default();
    let plan = (spec.plan)(&PlanRequest {
        operation: id,
        spec,
        node: &node,
        options: &options,
    });
    let new = NewOperation {
        id,
        vm: Some(&vm_id),
        spec,
        options: &options,
        plan: &plan,
        precondition: None,
    };
    assert_eq!(
        registry.begin(&author(), &new).unwrap(),
        BeginOutcome::Journaled
    );
    registry
        .grant(&vm_id, &plan[0], token.hash(), addresses)
        .unwrap();
    let report = Report {
        operation: id,
        vm_id,
        verb: spec.name,
        node,
        exit_code: 0,
        state: VmState::Running,
        message: "made".to_owned(),
    };
    Operation {
        id,
        token: token.expose().to_owned(),
        report,
    }
}

impl Operation {
    /// Its `Authorization` header.
    pub(crate) fn bearer(&self) -> String {
        format!("Authorization: Bearer {}", self.token)
    }

    /// Completes it, as its `o_vm` would.
    pub(crate) fn end(&self, registry: &Path) {
        let completion = Completion {
            exit_code: 0,
            reason: "done".to_owned(),
            ends_claim: false,
            state: None,
            desired: None,
        };
        let end = FollowUp::End(0, "done".to_owned());
        Registry::open(registry)
            .unwrap()
            .finish_step(self.id, &completion, &end)
            .unwrap();
    }
}
