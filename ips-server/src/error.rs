//! How an error is shown: its chain of causes, each once, on one line.

use std::error::Error;

/// `what was attempted: why it failed: why that`.
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
