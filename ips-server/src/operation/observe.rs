//! What a look at the node says of an operation whose result is lost and of which
//! nothing runs any more. Pure.

use hps_core::state::VmState;
use hps_core::verb::Verb;

use crate::model::exit::Exit;
use crate::registry::journal::Ending;
use crate::registry::vms::Desired;

/// Ends an operation by the state its domain is in now; `Absent` where the node answered
/// and has no such domain.
#[must_use]
pub fn ending(verb: Verb, seen: VmState) -> Ending {
    let reached = match verb {
        Verb::Create | Verb::Start | Verb::Unpause => seen == VmState::Running,
        Verb::Stop => matches!(seen, VmState::ShutOff | VmState::Absent),
        Verb::Pause => seen == VmState::Paused,
        Verb::Destroy => seen == VmState::Absent,
        Verb::Status => true,
    };
    let desired = match verb {
        Verb::Create | Verb::Start | Verb::Unpause => Desired::Running,
        Verb::Stop | Verb::Destroy | Verb::Pause | Verb::Status => Desired::Off,
    };
    let exit = if reached {
        Exit::Success
    } else {
        Exit::Unknown
    };
    Ending {
        exit_code: exit.code(),
        reason: format!("its result was lost; the domain is {seen} on the node"),
        ends_claim: seen == VmState::Absent && matches!(verb, Verb::Create | Verb::Destroy),
        state: Some(seen),
        desired: (reached && !matches!(verb, Verb::Pause | Verb::Status)).then_some(desired),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reached_is_success_and_the_rest_is_unknown() {
        for (verb, seen, code, ends_claim) in [
            (Verb::Create, VmState::Running, 0, false),
            (Verb::Create, VmState::ShutOff, 11, false),
            (Verb::Create, VmState::Absent, 11, true),
            (Verb::Start, VmState::Running, 0, false),
            (Verb::Start, VmState::Absent, 11, false),
            (Verb::Stop, VmState::ShutOff, 0, false),
            (Verb::Stop, VmState::Running, 11, false),
            (Verb::Pause, VmState::Paused, 0, false),
            (Verb::Unpause, VmState::Paused, 11, false),
            (Verb::Destroy, VmState::Absent, 0, true),
            (Verb::Destroy, VmState::Running, 11, false),
        ] {
            let ending = ending(verb, seen);
            assert_eq!(
                (ending.exit_code, ending.ends_claim),
                (code, ends_claim),
                "{verb} {seen}"
            );
        }
    }
}
