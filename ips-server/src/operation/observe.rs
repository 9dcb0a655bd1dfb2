//! The end of a step whose result is lost and that no longer runs, by the state of its
//! domain. Pure.

use hps_core::state::VmState;

use crate::model::exit::Exit;
use crate::model::operation::Completion;
use crate::model::verb::{ClaimEffect, Spec};

/// Ends a step by the state of its domain now; `Absent` where the node answered and has no
/// such domain.
#[must_use]
pub fn completion(spec: &Spec, seen: VmState) -> Completion {
    let reached = spec.is_proved_by(seen);
    let exit = if reached {
        Exit::Success
    } else {
        Exit::Unknown
    };
    Completion {
        exit_code: exit.code(),
        reason: format!("its result was lost; the domain is {seen} on the node"),
        ends_claim: seen == VmState::Absent && spec.claim != ClaimEffect::Keeps,
        state: Some(seen),
        desired: spec.desired.filter(|_| reached),
    }
}
