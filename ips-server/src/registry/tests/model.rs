//! The registry against a model of it in memory: for any requests in any order both accept and
//! refuse the same ones, and the same nodes own the same VMs.

use std::collections::{BTreeMap, BTreeSet};

use hps_core::config::VmConfig;
use hps_core::identity;
use hps_core::names::{NodeName, VmId};
use hps_core::report::{DomainReport, Inventory};
use hps_core::state::VmState;
use proptest::prelude::*;
use uuid::Uuid;

use super::super::inventory::Epoch;
use super::super::{Author, Registry};
use crate::model::operation::{BeginOutcome, Completion, FollowUp, NewOperation};
use crate::model::options::Options;
use crate::model::verb::{ClaimEffect, PlanRequest, Spec};
use crate::verbs::{create, destroy, start, stop};

const VMS: [&str; 3] = ["a", "b", "c"];
const NODES: [&str; 3] = ["n1", "n2", "n3"];
static VERBS: [&Spec; 4] = [&create::SPEC, &start::SPEC, &stop::SPEC, &destroy::SPEC];

/// A request to the registry; numbers are indices into the lists above.
#[derive(Debug, Clone)]
enum Request {
    Begin {
        vm: usize,
        verb: usize,
        node: usize,
    },
    /// The VM's open operation ends, and is proved to have left no domain, or not.
    End {
        vm: usize,
        gone: bool,
    },
    Release {
        vm: usize,
        node: usize,
    },
    /// A question to a node for its inventory.
    Question {
        node: usize,
    },
    /// The answer, to the last question or to one of now.
    Inventory {
        node: usize,
        has: [bool; 3],
        is_late: bool,
    },
    /// Another process opens the file.
    Reopen,
}

fn requests() -> impl Strategy<Value = Request> {
    let (vm, node) = (0..VMS.len(), 0..NODES.len());
    prop_oneof![
        4 => (vm.clone(), 0..VERBS.len(), node.clone()).prop_map(|(vm, verb, node)| Request::Begin { vm, verb, node }),
        3 => (vm.clone(), any::<bool>()).prop_map(|(vm, gone)| Request::End { vm, gone }),
        1 => (vm, node.clone()).prop_map(|(vm, node)| Request::Release { vm, node }),
        1 => node.clone().prop_map(|node| Request::Question { node }),
        2 => (node, any::<[bool; 3]>(), any::<bool>())
            .prop_map(|(node, has, is_late)| Request::Inventory { node, has, is_late }),
        1 => Just(Request::Reopen),
    ]
}

/// The rules, in the simplest form.
#[derive(Default)]
struct Model {
    owner: BTreeMap<usize, usize>,
    /// The open operation of a VM, and its node.
    open: BTreeMap<usize, (Uuid, usize)>,
    /// (vm, node): a domain on a node that does not own the VM.
    strays: BTreeSet<(usize, usize)>,
    /// The number of step starts and ends, and the number of the last one of each VM.
    count: u64,
    changed: BTreeMap<usize, u64>,
    /// The last question to a node, and the count at that time.
    questions: BTreeMap<usize, (Epoch, u64)>,
}

impl Model {
    fn count_change(&mut self, vm: usize) {
        self.count += 1;
        self.changed.insert(vm, self.count);
    }

    fn may_begin(&self, vm: usize, spec: &Spec, node: usize) -> bool {
        let stray_elsewhere = self
            .strays
            .iter()
            .any(|stray| stray.0 == vm && stray.1 != node);
        match self.owner.get(&vm) {
            _ if self.open.contains_key(&vm) => false,
            Some(owner) => *owner == node,
            None => spec.claim == ClaimEffect::Takes && !stray_elsewhere,
        }
    }
}

fn author() -> Author {
    Author {
        who: "model (uid 0)".into(),
        source: "test".into(),
        reason: None,
    }
}

fn id(vm: usize) -> VmId {
    VMS[vm].parse().unwrap()
}

fn name(node: usize) -> NodeName {
    NODES[node].parse().unwrap()
}

fn inventory(node: usize, has: [bool; 3]) -> Inventory {
    let domain = |vm: usize| DomainReport {
        name: VMS[vm].to_owned(),
        uuid: identity::uuid_of_id(&id(vm)),
        state: VmState::Running,
        vcpus: 1,
        memory_mb: 64,
        vnc: None,
        definition: None,
    };
    Inventory {
        node: name(node),
        boot_id: Uuid::from_u128(1),
        version: "1".to_owned(),
        cpus: 1,
        memory_mb: 64,
        domains: (0..VMS.len()).filter(|vm| has[*vm]).map(domain).collect(),
    }
}

/// Begins a question to a node, with a token of its own.
fn question(registry: &mut Registry, node: usize, number: u128) -> Epoch {
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(&number.to_be_bytes());
    registry.grant_inventory(&name(node), hash).unwrap()
}

/// Applies a request to both and compares their answers.
fn apply(registry: &mut Registry, model: &mut Model, request: &Request, number: u128) {
    match *request {
        Request::Begin { vm, verb, node } => {
            let (spec, operation) = (VERBS[verb], Uuid::from_u128(number + 1));
            let (vm_id, to, options) = (id(vm), name(node), Options::default());
            let plan = (spec.plan)(&PlanRequest {
                operation,
                spec,
                node: &to,
                options: &options,
            });
            let new = NewOperation {
                id: operation,
                vm: Some(&vm_id),
                spec,
                options: &options,
                plan: &plan,
                precondition: None,
            };
            let outcome = registry.begin(&author(), &new).unwrap();
            let may = model.may_begin(vm, spec, node);
            assert_eq!(outcome == BeginOutcome::Journaled, may, "{outcome:?}");
            if may {
                model.count_change(vm);
                model.open.insert(vm, (operation, node));
                if spec.claim == ClaimEffect::Takes {
                    model.owner.insert(vm, node);
                }
            }
        }
        Request::End { vm, gone } => {
            let Some((operation, node)) = model.open.remove(&vm) else {
                return;
            };
            let ending = Completion {
                exit_code: if gone { 7 } else { 0 },
                reason: "model".to_owned(),
                ends_claim: gone,
                state: None,
                desired: None,
            };
            let end = FollowUp::End(ending.exit_code, ending.reason.clone());
            registry.finish_step(operation, &ending, &end).unwrap();
            model.count_change(vm);
            if gone {
                model.owner.remove(&vm);
                model.strays.remove(&(vm, node));
            }
        }
        Request::Release { vm, node } => {
            let outcome = registry.release(&author(), &id(vm), &name(node)).unwrap();
            model.count_change(vm);
            let was_stray = model.strays.remove(&(vm, node));
            let was_owner = model.owner.get(&vm) == Some(&node);
            assert_eq!(
                outcome == BeginOutcome::Journaled,
                was_stray || was_owner,
                "{outcome:?}"
            );
            if was_owner {
                model.owner.remove(&vm);
                model.open.remove(&vm);
            }
        }
        Request::Question { node } => {
            let epoch = question(registry, node, number);
            model.questions.insert(node, (epoch, model.count));
        }
        Request::Inventory { node, has, is_late } => {
            let last = model.questions.get(&node).copied().filter(|_| is_late);
            let (epoch, count) =
                last.unwrap_or_else(|| (question(registry, node, number), model.count));
            registry
                .record_inventory(&inventory(node, has), epoch)
                .unwrap();
            let is_news = |vm: &usize| model.changed.get(vm).is_none_or(|last| *last <= count);
            model
                .strays
                .retain(|stray| stray.1 != node || !is_news(&stray.0));
            let strays = (0..VMS.len())
                .filter(|vm| is_news(vm) && has[*vm] && model.owner.get(vm) != Some(&node));
            let strays: Vec<_> = strays.map(|vm| (vm, node)).collect();
            model.strays.extend(strays);
        }
        Request::Reopen => *registry = Registry::open(registry.path()).unwrap(),
    }
}

fn compare(registry: &Registry, model: &Model) {
    for vm in 0..VMS.len() {
        let stored = registry.vm(&id(vm)).unwrap().unwrap();
        assert_eq!(
            stored.owner,
            model.owner.get(&vm).map(|node| name(*node)),
            "{vm}"
        );
        let open = registry.open_operation(&id(vm)).unwrap();
        assert_eq!(
            open.map(|open| open.id),
            model.open.get(&vm).map(|open| open.0),
            "{vm}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_registry_behaves_as_the_model(all in proptest::collection::vec(requests(), 1..60)) {
        let folder = std::env::temp_dir().join(format!("hps-model-{}-{:?}", std::process::id(), std::thread::current().id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let mut registry = Registry::open(&folder.join("registry.db")).unwrap();
        for vm in VMS {
            let text = format!("name={vm}\ncpu_count=1\nram_mb=64\nprovision_method=virt-install\n");
            let config = VmConfig::parse(text.as_bytes()).unwrap().config;
            registry.define(&author(), &[(vm.parse().unwrap(), config)]).unwrap();
        }
        let mut model = Model::default();
        for (number, one) in (0..).zip(&all) {
            apply(&mut registry, &mut model, one, number);
            compare(&registry, &model);
        }
        registry.check().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
