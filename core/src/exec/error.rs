//! What can go wrong with a child process, each kind told apart, each with program,
//! argv and the end of stderr.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

/// How much of the end of stderr an error shows, in characters.
const SHOWN: usize = 600;

/// Which child it was, and what it said last.
#[derive(Debug, Clone)]
pub struct Context {
    program: String,
    argv: Vec<String>,
    stderr: String,
}

/// A child that gave no usable answer.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says it")]
pub enum ExecError {
    #[error("{} could not be started", context.program)]
    NotStarted {
        context: Context,
        source: std::io::Error,
    },
    #[error("{} exited {code}{}", context.program, context.said())]
    Exited { code: i32, context: Context },
    #[error("{} was killed by signal {signal}{}", context.program, context.said())]
    Killed { signal: i32, context: Context },
    #[error("{} did not answer within {} s{}", context.program, seconds(*deadline), context.said())]
    TimedOut {
        deadline: Duration,
        context: Context,
    },
    #[error("{} was ended because this program was told to end", context.program)]
    Interrupted { context: Context },
    #[error("{} goes on; this program was told not to wait for it", context.program)]
    LeftAlone { context: Context },
    #[error("{} answered what cannot be understood: {what}{}", context.program, context.said())]
    Nonsense { what: String, context: Context },
    #[error("{} could not be watched", context.program)]
    Lost {
        context: Context,
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
        // A child may have said megabytes; only its last words are looked at.
        let last = bytes.len().saturating_sub(8 * SHOWN);
        self.stderr = one_line_end(&String::from_utf8_lossy(&bytes[last..]));
    }

    /// `: its last words`, or nothing.
    fn said(&self) -> String {
        if self.stderr.is_empty() {
            String::new()
        } else {
            format!(": {}", self.stderr)
        }
    }
}

impl ExecError {
    /// Which child it was.
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

/// As people write them: what is left of a deadline has more digits than anybody wants.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 100.0).round() / 100.0
}
