//! Reads a child's stdout and stderr and writes its stdin, without a thread and with a
//! limit on every wait: a grandchild may hold the pipes forever.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How much of the end of stderr is kept at most, in bytes: only people read it.
const STDERR_END: usize = 256 * 1024;

/// The captured output.
pub(super) struct Streams {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) cut: bool,
}

/// The parent's ends of a child's pipes; one that is closed is `None`.
pub(super) struct Capture {
    stdin: Option<(ChildStdin, VecDeque<u8>)>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    out: Vec<u8>,
    err: VecDeque<u8>,
    keep: usize,
    cut: bool,
}

impl Capture {
    pub(super) fn new(child: &mut Child, input: Option<&[u8]>, keep: usize) -> Self {
        let stdin = child.stdin.take().filter(unblock);
        let bytes = input.unwrap_or_default().iter().copied().collect();
        Self {
            stdin: stdin.map(|pipe| (pipe, bytes)),
            stdout: child.stdout.take().filter(unblock),
            stderr: child.stderr.take().filter(unblock),
            out: Vec::new(),
            err: VecDeque::new(),
            keep,
            cut: false,
        }
    }

    /// Whether more output may come.
    pub(super) fn is_open(&self) -> bool {
        self.stdout.is_some() || self.stderr.is_some()
    }

    /// Waits at most `limit` for the pipes, then moves what they have.
    pub(super) fn poll(&mut self, limit: Duration) -> std::io::Result<()> {
        let mut fds = Vec::with_capacity(3);
        if let Some(pipe) = &self.stdout {
            fds.push(PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
        }
        if let Some(pipe) = &self.stderr {
            fds.push(PollFd::new(pipe.as_fd(), PollFlags::POLLIN));
        }
        if let Some((pipe, _)) = &self.stdin {
            fds.push(PollFd::new(pipe.as_fd(), PollFlags::POLLOUT));
        }
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, limit) {
            Ok(0) | Err(Errno::EINTR) => Ok(()),
            Ok(_) => self.transfer(),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the rest of the output, at most for `grace`: the child itself has exited.
    pub(super) fn drain(&mut self, grace: Duration) -> std::io::Result<()> {
        self.stdin = None;
        let until = Instant::now() + grace;
        while self.is_open() && Instant::now() < until {
            self.poll(until.saturating_duration_since(Instant::now()))?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Streams {
        Streams {
            stdout: self.out,
            stderr: self.err.into(),
            cut: self.cut,
        }
    }

    fn transfer(&mut self) -> std::io::Result<()> {
        let (keep, out, err, cut) = (self.keep, &mut self.out, &mut self.err, &mut self.cut);
        read_into(&mut self.stdout, |bytes| {
            let room = keep.saturating_sub(out.len()).min(bytes.len());
            out.extend_from_slice(&bytes[..room]);
            *cut |= room < bytes.len();
        })?;
        read_into(&mut self.stderr, |bytes| {
            err.extend(bytes);
            err.drain(..err.len().saturating_sub(keep.min(STDERR_END)));
        })?;
        self.feed();
        Ok(())
    }

    /// A child that closes its stdin early does not need the rest: not an error.
    fn feed(&mut self) {
        let Some((pipe, bytes)) = &mut self.stdin else {
            return;
        };
        let written = write_some(pipe, bytes.make_contiguous());
        let failed = written.is_err();
        bytes.drain(..written.unwrap_or(0));
        if failed || bytes.is_empty() {
            self.stdin = None;
        }
    }
}

/// Reads once; closes the pipe at its end.
fn read_into<P: Read>(pipe: &mut Option<P>, mut take: impl FnMut(&[u8])) -> std::io::Result<()> {
    let Some(open) = pipe else { return Ok(()) };
    let mut buffer = [0; 16 * 1024];
    match open.read(&mut buffer) {
        Ok(0) => *pipe = None,
        Ok(count) => take(&buffer[..count]),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

fn unblock(pipe: &impl AsFd) -> bool {
    fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).is_ok()
}

/// Writes what fits into the pipe.
fn write_some(pipe: &mut impl Write, bytes: &[u8]) -> std::io::Result<usize> {
    match pipe.write(bytes) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(0),
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(0),
        other => other,
    }
}
