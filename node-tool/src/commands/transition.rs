//! The common code of verbs that are one act of virsh, from one state of the domain to
//! another.

use hps_core::state::VmState;

use super::Done;
use crate::app::{App, Domain};
use crate::error::Error;
use crate::spec::Spec;
use crate::virsh::Act;

/// One act, the states it leads from, and the words for each case.
pub(super) struct Transition {
    /// The act of virsh.
    pub act: Act,
    /// The states in which it is possible.
    pub from: &'static [VmState],
    /// The states that need no act.
    pub already: VmState,
    /// The message after the act.
    pub done: &'static str,
    /// The message without it.
    pub not_needed: &'static str,
    /// What the operator can do in any other state.
    pub hint: fn(VmState) -> &'static str,
}

impl Transition {
    /// Does it to a domain that is locked for this verb.
    pub(super) fn run(&self, app: &App, spec: &Spec, domain: &Domain) -> Result<Done, Error> {
        let state = domain.info.state;
        if state == self.already {
            return Ok(Done::changed(self.not_needed, state));
        }
        if !self.from.contains(&state) {
            let hint = (self.hint)(state);
            return Err(Error::WrongState { state, hint });
        }
        let state = app.change(domain.uuid, self.act, spec, &domain.locks)?;
        Ok(Done::changed(self.done, state))
    }
}
