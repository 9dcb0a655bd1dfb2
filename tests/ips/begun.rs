//! Operations that are open, with what their nodes need: begun through the registry itself,
//! as `o_vm` does.

use std::path::Path;

use hps_core::names::NodeName;
use hps_core::report::Report;
use hps_core::state::VmState;
use hps_core::verb::Verb;
use ips_server::operation::options::Options;
use ips_server::operation::token::Token;
use ips_server::registry::journal::{Beginning, Begun, Ending};
use ips_server::registry::{Author, Registry};
use uuid::Uuid;

/// An operation that a node is at work on.
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

/// Begins one; its token works from these addresses only, where some are given.
pub(crate) fn begin(
    registry: &Path,
    vm: &str,
    verb: Verb,
    node: &str,
    addresses: Option<&str>,
) -> Operation {
    let mut registry = Registry::open(registry).unwrap();
    let (id, token, node) = (
        Uuid::new_v4(),
        Token::new(),
        node.parse::<NodeName>().unwrap(),
    );
    let beginning = Beginning {
        operation: id,
        vm: &vm.parse().unwrap(),
        verb,
        node: &node,
        options: &Options::default(),
        again: None,
    };
    assert_eq!(
        registry.begin(&author(), &beginning).unwrap(),
        Begun::Journaled
    );
    let begun = registry.operation(id).unwrap().unwrap();
    registry.grant(&begun, token.hash(), addresses).unwrap();
    let report = Report {
        operation: id,
        vm_id: vm.parse().unwrap(),
        verb: hps_core::verb::VerbName::of(verb.as_str()),
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

    /// Ends it, as its `o_vm` would.
    pub(crate) fn end(&self, registry: &Path) {
        let ending = Ending {
            exit_code: 0,
            reason: "done".to_owned(),
            ends_claim: false,
            state: None,
            desired: None,
        };
        Registry::open(registry)
            .unwrap()
            .finish(self.id, &ending)
            .unwrap();
    }
}
