//! Log lines on standard error: `LEVEL message key=value …`. journald and syslog add the time.

use hps_core::log::Log;
use tracing::Level;

/// Logs lines of at least this level to standard error, from now on.
pub fn to_stderr(level: Level) {
    Log {
        level,
        crates: &["ips_server"],
        line: |level, text| format!("{level} {text}"),
    }
    .to_stderr();
}
