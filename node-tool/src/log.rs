//! The lines of `n_vm` on stderr: `n_vm: warning: text key=value`.

use hps_core::log::{self, Log};
use tracing::Level;

/// Writes a line to stderr.
pub(crate) fn print_error(line: &str) {
    log::print_error(&format!("n_vm: {line}"));
}

/// Shows log lines that are at least as urgent as `level`, for the rest of the process.
pub(crate) fn to_stderr(level: Level) {
    let crates = &["node_tool"];
    let line = |level, text: &str| {
        let word = match level {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            Level::INFO => "",
            _ => "debug: ",
        };
        format!("n_vm: {word}{text}")
    };
    Log {
        level,
        crates,
        line,
    }
    .to_stderr();
}
