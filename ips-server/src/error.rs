//! Errors as text: the chain of causes, each once, on one line.

use std::error::Error;

/// The error and its causes: `start web on tch-001: virsh exited 1: domain not found`.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    hps_core::kv::one_line(&text)
}
