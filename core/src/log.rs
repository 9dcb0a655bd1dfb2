//! Log lines on standard error, one line each for any value. An own subscriber of
//! a few lines: neither program has spans or filters, and tracing-subscriber would be a
//! seventh of `n_vm`.

use std::fmt::{Debug, Write as _};
use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::kv;

/// How a program logs.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    /// Shows lines that are at least as urgent.
    pub level: Level,
    /// The crates whose lines are shown; those of `hps_core` are too.
    pub crates: &'static [&'static str],
    /// The whole line, from its level and its `message key=value …`.
    pub line: fn(Level, &str) -> String,
}

impl Log {
    /// Logs to standard error for the rest of the process. A second call changes nothing.
    pub fn to_stderr(self) {
        let _ = tracing::subscriber::set_global_default(self);
    }
}

/// Writes one line to standard error. A reader that is gone does not end this process, as
/// it would with `eprintln!`: a verb must come to its end.
pub fn print_error(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let root = metadata.target().split("::").next().unwrap_or_default();
        let is_ours = root == "hps_core" || self.crates.contains(&root);
        is_ours && *metadata.level() <= self.level
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let text = kv::one_line(&(fields.message + &fields.others));
        print_error(&(self.line)(*event.metadata().level(), text.trim_start()));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The message may come after the fields; a line begins with it.
#[derive(Default)]
struct Fields {
    message: String,
    others: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.others, " {name}={value:?}"),
        };
    }
}
