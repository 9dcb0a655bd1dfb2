//! Brings the result of a verb to people, the IPS and the caller.

use hps_core::kv;

use super::{Command, Done};
use crate::app::App;
use crate::error::Error;
use crate::spec::{Effect, Spec};
use crate::{log, notify, print};

/// Runs a verb and returns the exit code.
pub(super) fn run<C: Command>(app: &App, command: &C) -> u8 {
    let effect = if command.is_dry_run() {
        Effect::None
    } else {
        C::SPEC.effect
    };
    finish(app, &C::SPEC, effect, command.vm(), command.run(app))
}

/// The order counts: people first, then the IPS, stdout last.
fn finish(app: &App, spec: &Spec, effect: Effect, vm: &str, result: Result<Done, Error>) -> u8 {
    let (code, state, message, output) = match result {
        Ok(Done::Changed { message, state }) => (0, state, message, None),
        Ok(Done::Shown { output, state }) => (0, state, state.to_string(), Some(output)),
        Err(error) => {
            let code = error.exit_code(spec.exit, app.signals.received());
            (code, error.state(), error.chain(), None)
        }
    };
    let line = result_line(spec, vm, &message);
    if output.is_none() {
        log::print_error(&line);
    }
    if effect != Effect::None {
        notify::report(app, spec.name, code, state, &message);
    }
    if effect == Effect::Changes {
        notify::log_line(app, &format!("n_vm_{}", spec.name), &line);
    }
    // stdout last: a reader that stops reading must not cost the report.
    output.map_or(code, |output| print(&output))
}

/// `stop web: shut down`.
fn result_line(spec: &Spec, vm: &str, message: &str) -> String {
    let space = if vm.is_empty() { "" } else { " " };
    kv::one_line(&format!("{}{space}{vm}: {message}", spec.name))
}
