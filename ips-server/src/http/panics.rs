//! The cost of a panic: in a handler one request. Anywhere else, as in the runtime when the
//! kernel refuses to wake it, the process: a server that can no longer answer must not look
//! alive. Its supervisor starts another one.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

use super::reply::{Answer, Failure};

thread_local! {
    /// Whether this thread runs a handler.
    static IN_HANDLER: Cell<bool> = const { Cell::new(false) };
}

/// Runs a handler; a panic of it is its answer.
pub(super) fn catch(handler: impl FnOnce() -> Answer) -> Answer {
    IN_HANDLER.set(true);
    let answer = catch_unwind(AssertUnwindSafe(handler));
    IN_HANDLER.set(false);
    answer.unwrap_or_else(|_| {
        tracing::error!("a request handler panicked; please report this");
        Err(Failure::Panicked)
    })
}

/// From now on a panic outside a handler ends the process.
pub(super) fn end_on_others() {
    let print = take_hook();
    set_hook(Box::new(move |panic| {
        print(panic);
        if !IN_HANDLER.get() {
            tracing::error!("panicked outside a request; the server ends to be started again");
            std::process::abort();
        }
    }));
}
