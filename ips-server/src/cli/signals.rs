//! Ctrl-C and SIGTERM.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::model::exit::Exit;

/// A flag that the first SIGINT or SIGTERM raises; the second ends this process at once.
#[must_use]
pub fn interruptible() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let code = i32::from(Exit::StoppedWaiting.code());
    for signal in [SIGINT, SIGTERM] {
        // The order counts: the shutdown looks at the flag before this signal raises it.
        // Registering fails only for signals that cannot be handled; these can.
        let _ = flag::register_conditional_shutdown(signal, code, Arc::clone(&stop));
        let _ = flag::register(signal, Arc::clone(&stop));
    }
    stop
}
