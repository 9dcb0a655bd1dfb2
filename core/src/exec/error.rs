//! Failures of a child process. Each kind is a variant of its own, with program, argv and the
//! end of stderr.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use crate::duration::rounded_text;

/// How much of the end of stderr an error shows, in characters.
const SHOWN: usize = 600;

/// The child: its argv and the end of its stderr.
#[derive(Debug, Clone)]
pub struct Context {
    program: String,
    argv: Vec<String>,
    stderr: String,
}

/// A child without a usable result. Display never repeats the source.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The program does not exist, or may not be executed.
    #[error("{} could not be started", context.program)]
    NotStarted {
        /// The child.
        context: Context,
        /// The kernel's reason.
        source: std::io::Error,
    },
    /// It exited with a code that is an error to the caller.
    #[error("{} exited {code}{}", context.program, context.stderr_text())]
    Exited {
        /// Its exit code.
        code: i32,
        /// The child.
        context: Context,
    },
    /// A signal from another process ended it.
    #[error("{} was killed by signal {signal}{}", context.program, context.stderr_text())]
    Killed {
        /// The signal's number.
        signal: i32,
        /// The child.
        context: Context,
    },
    /// It ran until its deadline and was killed.
    #[error("{} did not answer within {} s{}", context.program, rounded_text(*deadline), context.stderr_text())]
    TimedOut {
        /// The time it had.
        deadline: Duration,
        /// The child.
        context: Context,
    },
    /// This process was interrupted and has killed it.
    #[error("{} was terminated: interrupted", context.program)]
    Interrupted {
        /// The child.
        context: Context,
    },
    /// This process was interrupted and no longer waits for it.
    #[error("interrupted; {} continues", context.program)]
    LeftAlone {
        /// The child.
        context: Context,
    },
    /// It ended, and its output cannot be parsed.
    #[error("unexpected output from {}: {what}{}", context.program, context.stderr_text())]
    Nonsense {
        /// The parser's error.
        what: String,
        /// The child.
        context: Context,
    },
    /// The kernel refused to read from it or to wait for it.
    #[error("{} could not be watched", context.program)]
    Lost {
        /// The child.
        context: Context,
        /// The kernel's reason.
        source: std::io::Error,
    },
}

impl Context {
    pub(super) fn new(program: &OsStr, args: &[OsString]) -> Self {
        let program = program.to_string_lossy().into_owned();
        let argv = std::iter::once(program.clone())
            .chain(args.iter().map(|arg| arg.to_string_lossy().into_owned()))
            .collect();
        Self {
            program,
            argv,
            stderr: String::new(),
        }
    }

    /// The argv as a shell would take it.
    #[must_use]
    pub fn argv_text(&self) -> String {
        argv_text(&self.argv)
    }

    pub(super) fn set_stderr(&mut self, bytes: &[u8]) {
        // stderr may be megabytes long; only its end is looked at.
        let last = bytes.len().saturating_sub(8 * SHOWN);
        self.stderr = one_line_end(&String::from_utf8_lossy(&bytes[last..]));
    }

    /// `: ` and the end of its stderr, or nothing.
    fn stderr_text(&self) -> String {
        if self.stderr.is_empty() {
            String::new()
        } else {
            format!(": {}", self.stderr)
        }
    }
}

impl ExecError {
    /// The child.
    #[must_use]
    pub fn context(&self) -> &Context {
        match self {
            Self::NotStarted { context, .. }
            | Self::Exited { context, .. }
            | Self::Killed { context, .. }
            | Self::TimedOut { context, .. }
            | Self::Interrupted { context }
            | Self::LeftAlone { context }
            | Self::Nonsense { context, .. }
            | Self::Lost { context, .. } => context,
        }
    }
}

/// The words as a POSIX shell would take them, quoted where they need it.
#[must_use]
pub fn argv_text<S: AsRef<str>>(words: &[S]) -> String {
    words
        .iter()
        .map(|word| quoted(word.as_ref()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The first characters of a text, control characters made spaces.
pub(super) fn one_line_begin(text: &str) -> String {
    crate::kv::one_line(text).chars().take(SHOWN).collect()
}

/// The last characters of a text, its lines joined by " | ", control characters made spaces.
fn one_line_end(text: &str) -> String {
    let lines: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let joined = crate::kv::one_line(&lines.join(" | "));
    let skip = joined.chars().count().saturating_sub(SHOWN);
    joined.chars().skip(skip).collect()
}
