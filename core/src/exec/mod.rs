//! The one way a child process is run: own process group, deadline, `LC_ALL=C`, no
//! stdin unless given, bounded capture, secrets scrubbed. An exit code other than 0 is
//! an `Output`, not an error: its meaning differs from program to program.

mod capture;
mod error;
mod group;
mod output;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use capture::{Capture, Streams};
pub use error::{Context, ExecError, argv_text};
use group::{TERM_GRACE, end_group};
pub use output::Output;

/// How much of stdout and of stderr is kept, in bytes, unless [`Command::keep`] sets another limit.
pub const KEEP_BYTES: usize = 1024 * 1024;
/// The same for a child that reads: it has nothing to put in order.
const READER_GRACE: Duration = Duration::from_millis(300);
/// How long output is still read once the child itself has ended.
const DRAIN_GRACE: Duration = Duration::from_millis(300);
/// Longest pause between two polls of the child.
const TICK: Duration = Duration::from_millis(20);

/// A child process to be run; built, then [`Command::run`].
#[derive(Debug)]
pub struct Command<'a> {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    deadline: Duration,
    interrupt: Option<(&'a AtomicBool, OnFlag)>,
    input: Option<Vec<u8>>,
    inherit: Vec<&'a File>,
    keep: usize,
}

/// The action on the child when the flag is raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnFlag {
    End,
    Leave,
}

impl<'a> Command<'a> {
    /// A child running `program`, found on PATH, with at most `deadline` to live.
    #[must_use]
    pub fn new(program: impl AsRef<OsStr>, deadline: Duration) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            deadline,
            interrupt: None,
            input: None,
            inherit: Vec::new(),
            keep: KEEP_BYTES,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable for the child, after the scrubbing.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Ends the child when the flag is raised. Only for children that read: one that acts must
    /// finish, so that its outcome is known.
    #[must_use]
    pub fn interrupted_by(mut self, flag: &'a AtomicBool) -> Self {
        self.interrupt = Some((flag, OnFlag::End));
        self
    }

    /// Stops waiting when the flag is raised. The child continues, and its output is lost.
    #[must_use]
    pub fn left_alone_on(mut self, flag: &'a AtomicBool) -> Self {
        self.interrupt = Some((flag, OnFlag::Leave));
        self
    }

    /// Gives the child these bytes on its stdin.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Lets the child, and its own children, hold this file too: a lock.
    #[must_use]
    pub fn inherit(mut self, file: &'a File) -> Self {
        self.inherit.push(file);
        self
    }

    /// Keeps this many bytes of each stream instead of [`KEEP_BYTES`].
    #[must_use]
    pub fn keep(mut self, bytes: usize) -> Self {
        self.keep = bytes;
        self
    }

    /// Runs the child to its end, or ends it and its process group at the deadline.
    ///
    /// # Errors
    /// It did not start, was killed, timed out or was interrupted.
    pub fn run(self) -> Result<Output, ExecError> {
        self.run_while(&mut || true)
    }

    /// As [`Command::run`], for a child that listens while this process acts: `goes_on` is
    /// called repeatedly while the child runs; with `false` it ends the child.
    ///
    /// # Errors
    /// As [`Command::run`]; interrupted, too, where `goes_on` ended it.
    pub fn run_while(self, goes_on: &mut dyn FnMut() -> bool) -> Result<Output, ExecError> {
        let began = Instant::now();
        let context = Context::new(&self.program, &self.args);
        let mut child = self.spawn().map_err(|source| ExecError::NotStarted {
            context: context.clone(),
            source,
        })?;
        let mut capture = Capture::new(&mut child, self.input.as_deref(), self.keep);
        let end = self.watch(&mut child, &mut capture, began, goes_on);
        let left_alone = matches!(end, Ok(End::Interrupted(OnFlag::Leave)));
        if !left_alone && (!matches!(end, Ok(End::Exited(_))) || capture.is_open()) {
            let grace = match self.interrupt {
                Some((_, OnFlag::End)) => READER_GRACE,
                Some((_, OnFlag::Leave)) | None => TERM_GRACE,
            };
            end_group(&mut child, &mut capture, grace);
        }
        let streams = capture.finish();
        tracing::debug!(argv = %context.argv_text(), ms = millis(began.elapsed()), "child ended");
        outcome(end, context, streams, self.deadline)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    fn spawn(&self) -> std::io::Result<Child> {
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.args).process_group(0);
        for (key, _) in std::env::vars_os() {
            if is_secret(&key) {
                command.env_remove(key);
            }
        }
        command.env("LC_ALL", "C").env_remove("LANGUAGE");
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        command.stdin(if self.input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.share_inherited(FdFlag::empty())?;
        let child = command.spawn();
        self.share_inherited(FdFlag::FD_CLOEXEC)?;
        child
    }

    fn share_inherited(&self, flag: FdFlag) -> std::io::Result<()> {
        for file in &self.inherit {
            fcntl(file, FcntlArg::F_SETFD(flag))?;
        }
        Ok(())
    }

    /// Reads and waits until the child has ended, its time is over, or the flag is raised.
    fn watch(
        &self,
        child: &mut Child,
        capture: &mut Capture,
        began: Instant,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> std::io::Result<End> {
        let mut nap = Duration::from_micros(200);
        loop {
            if capture.is_open() {
                capture.poll(TICK.min(self.deadline.saturating_sub(began.elapsed())))?;
            } else {
                std::thread::sleep(nap);
                nap = TICK.min(nap * 2);
            }
            if let Some(status) = child.try_wait()? {
                capture.drain(DRAIN_GRACE)?;
                return Ok(End::Exited(status));
            }
            if let Some((flag, then)) = self.interrupt
                && flag.load(Ordering::Relaxed)
            {
                return Ok(End::Interrupted(then));
            }
            if !goes_on() {
                return Ok(End::Interrupted(OnFlag::End));
            }
            if began.elapsed() >= self.deadline {
                return Ok(End::TimedOut);
            }
        }
    }
}

enum End {
    Exited(ExitStatus),
    Interrupted(OnFlag),
    TimedOut,
}

/// Variables that are this process's own: an operation's token, OpenSVC's session.
fn is_secret(key: &OsStr) -> bool {
    let key = key.as_encoded_bytes();
    key == b"N_VM_TOKEN" || key.starts_with(b"OSVC_") || key.starts_with(b"OPENSVC_")
}

fn outcome(
    end: std::io::Result<End>,
    mut context: Context,
    streams: Streams,
    deadline: Duration,
) -> Result<Output, ExecError> {
    context.set_stderr(&streams.stderr);
    match end {
        Ok(End::Exited(status)) => match (status.code(), status.signal()) {
            (Some(code), _) => {
                let Streams {
                    stdout,
                    stderr,
                    cut,
                } = streams;
                Ok(Output {
                    code,
                    stdout,
                    stderr,
                    cut,
                    context,
                })
            }
            (None, signal) => Err(ExecError::Killed {
                signal: signal.unwrap_or(0),
                context,
            }),
        },
        Ok(End::Interrupted(OnFlag::End)) => Err(ExecError::Interrupted { context }),
        Ok(End::Interrupted(OnFlag::Leave)) => Err(ExecError::LeftAlone { context }),
        Ok(End::TimedOut) => Err(ExecError::TimedOut { deadline, context }),
        Err(source) => Err(ExecError::Lost { source, context }),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
