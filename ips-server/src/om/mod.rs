//! OpenSVC v3's `om`: one module per command family, each with a pure argv or INI
//! builder, a pure parser, and a thin call. An exit code of `om` proves nothing by
//! itself; what counts is the parsed answer.

pub mod instance;
pub mod node;
pub mod service;
pub mod task;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hps_core::exec::{Command, ExecError, Output};
use serde::de::DeserializeOwned;

/// Exit code of `om` when the object does not exist.
const NO_OBJECT: i32 = 2;
/// Exit code of `om` when the object has no instance there.
const NO_INSTANCE: i32 = 3;
/// `om daemon status` of 40 nodes with 20 services each is 0.9 MB. More than ten times that
/// is no answer, and must not fill the memory either.
const KEEP_BYTES: usize = 12 * 1024 * 1024;

/// How `om` is called.
#[derive(Debug, Clone, Copy)]
pub struct Om<'a> {
    /// How long any one call may take, besides the wait that its `--time` sets.
    pub timeout: Duration,
    /// Raised when the user interrupts: ends calls that only read. `None` in phases that
    /// must come to their end.
    pub interrupt: Option<&'a AtomicBool>,
}

impl<'a> Om<'a> {
    /// The same for a phase that must come to its end: an interrupt does not end its reads.
    #[must_use]
    pub fn uninterruptible(self) -> Self {
        Self {
            interrupt: None,
            ..self
        }
    }

    /// A call that only reads.
    fn read<S: AsRef<str>>(&self, args: &[S]) -> Result<Output, ExecError> {
        let command = self.command(args, Duration::ZERO);
        match self.interrupt {
            Some(flag) => command.interrupted_by(flag).run(),
            None => command.run(),
        }
    }

    /// A call that acts; it is never ended for a signal, only past its deadline.
    fn act<S: AsRef<str>>(&self, args: &[S], more: Duration) -> Result<Output, ExecError> {
        self.command(args, more).run()
    }

    fn command<S: AsRef<str>>(&self, args: &[S], more: Duration) -> Command<'a> {
        Command::new("om", self.timeout + more)
            .args(args.iter().map(AsRef::as_ref))
            .args(["--color", "no"])
            .keep(KEEP_BYTES)
    }
}

/// Reads a JSON answer; an empty or broken one is an error for any exit code.
fn answer<T: DeserializeOwned>(output: Output) -> Result<T, ExecError> {
    if output.cut {
        return Err(output.nonsense(format!("more than {KEEP_BYTES} bytes")));
    }
    match serde_json::from_slice(&output.stdout) {
        Ok(value) => Ok(value),
        Err(_) if output.code != 0 => Err(output.exited()),
        Err(error) => Err(output.nonsense(error.to_string())),
    }
}

/// `30s`: a duration as `om` reads it.
fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs().max(1))
}
