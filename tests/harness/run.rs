//! Runs a program until it exits or a test kills it, and checks its results.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A program that ended.
#[derive(Debug)]
pub(crate) struct Done {
    /// The exit code; 128 + n where a signal ended it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Done {
    /// Asserts this exit code.
    #[track_caller]
    pub(crate) fn code(&self, want: i32) -> &Self {
        assert_eq!(
            self.code, want,
            "stdout: {}\nstderr: {}",
            self.stdout, self.stderr
        );
        self
    }

    /// Asserts exactly this on stdout.
    #[track_caller]
    pub(crate) fn stdout(&self, want: &str) -> &Self {
        assert_eq!(self.stdout, want);
        self
    }

    /// Asserts exactly this on stderr.
    #[track_caller]
    pub(crate) fn stderr(&self, want: &str) -> &Self {
        assert_eq!(self.stderr, want);
        self
    }

    /// Asserts that stderr contains this.
    #[track_caller]
    pub(crate) fn says(&self, want: &str) -> &Self {
        assert!(
            self.stderr.contains(want),
            "{want:?} is not in: {}",
            self.stderr
        );
        self
    }
}

/// A command that a test may start, wait for and kill.
#[expect(
    clippy::disallowed_methods,
    reason = "tests run programs the plain way, to see what exec does"
)]
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Waits for a child to exit.
pub(crate) fn finish(child: Child, began: Instant) -> Done {
    use std::os::unix::process::ExitStatusExt;
    let output = child.wait_with_output().unwrap();
    let status = output.status;
    Done {
        code: status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: began.elapsed(),
    }
}

/// Waits for a condition; panics after three minutes, enough for a busy machine.
#[track_caller]
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(
            began.elapsed() < Duration::from_secs(180),
            "never came: {what}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}
