//! One line to the local syslog, as `logger` sends it: RFC 3164, facility local0.

use std::os::unix::net::UnixDatagram;
use std::str::FromStr;

/// Facility local0, as syslog.h numbers it.
const LOCAL0: u8 = 16;

/// A severity, as syslog.h names and numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `LOG_CRIT`
    Crit = 2,
    /// `LOG_ERR`
    Err = 3,
    /// `LOG_WARNING`
    Warning = 4,
    /// `LOG_NOTICE`
    Notice = 5,
    /// `LOG_INFO`
    Info = 6,
    /// `LOG_DEBUG`
    Debug = 7,
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "crit" => Ok(Self::Crit),
            "err" | "error" => Ok(Self::Err),
            "warning" | "warn" => Ok(Self::Warning),
            "notice" => Ok(Self::Notice),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            _ => Err(format!(
                "{text:?} is not debug, info, notice, warning, err or crit"
            )),
        }
    }
}

/// Sends a line; false if no syslog listens.
#[must_use = "a lost line is not always harmless"]
pub fn log(tag: &str, level: Level, message: &str) -> bool {
    let line = line(tag, level, message);
    let sent =
        UnixDatagram::unbound().and_then(|socket| socket.send_to(line.as_bytes(), "/dev/log"));
    sent.is_ok()
}

/// The name of the program that called this one: the tag of `o_log`.
#[must_use]
pub fn caller() -> String {
    let parent = std::os::unix::process::parent_id();
    let name = std::fs::read_to_string(format!("/proc/{parent}/comm")).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        "o_log".to_owned()
    } else {
        name.to_owned()
    }
}

/// syslogd adds the time and the host itself.
fn line(tag: &str, level: Level, message: &str) -> String {
    let priority = LOCAL0 * 8 + level as u8;
    let tag: String = tag
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "_-.".contains(*c))
        .collect();
    format!(
        "<{priority}>{tag}[{}]: {}",
        std::process::id(),
        hps_core::kv::one_line(message)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_local0_and_stays_one_line() {
        let line = line("o_log", Level::Err, "a\nb");
        assert!(
            line.starts_with("<131>o_log[") && line.ends_with("]: a b"),
            "{line}"
        );
    }
}
