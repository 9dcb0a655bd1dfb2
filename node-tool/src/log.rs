//! Log lines on stderr: `n_vm: warning: text key=value`. An own subscriber of a few
//! lines, because n_vm has neither spans nor filters; tracing-subscriber would be a
//! seventh of the whole program.

use std::fmt::{Debug, Write as _};
use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

struct Stderr(Level);

/// Writes a line to stderr. Whoever started us may be gone, and nobody reading is no
/// reason to end in the middle of a verb, as `eprintln!` would.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "n_vm: {line}");
}

/// Shows what is at least as urgent as `level`, for the rest of the process.
pub(crate) fn to_stderr(level: Level) {
    // Only fails where a subscriber is set already, in tests.
    let _ = tracing::subscriber::set_global_default(Stderr(level));
}

impl Subscriber for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.0 && is_ours(metadata.target())
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let level = match *event.metadata().level() {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            Level::INFO => "",
            _ => "debug: ",
        };
        say(&format!("{level}{}", line.0.trim_start()));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn is_ours(target: &str) -> bool {
    target.starts_with("node_tool") || target.starts_with("hps_core")
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
