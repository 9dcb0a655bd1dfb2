//! A connection, over TCP or a unix socket.

use std::io::{IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// One connection; shared by the thread that serves it and whoever may have to end it.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// What holds for the whole of its life: no waiting for more to send, and a client that
    /// takes nothing for `limit` is given up.
    pub(super) fn set_up(&self, limit: Duration) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(limit))
            }
            Self::Unix(stream) => stream.set_write_timeout(Some(limit)),
        }
    }

    /// Reads what there is, waiting for it at most `limit`.
    pub(super) fn read_within(&self, buffer: &mut [u8], limit: Duration) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(limit))?;
                (&*stream).read(buffer)
            }
            Self::Unix(stream) => {
                stream.set_read_timeout(Some(limit))?;
                (&*stream).read(buffer)
            }
        }
    }

    pub(super) fn write(&self, parts: &[IoSlice<'_>]) -> std::io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&*stream).write_vectored(parts),
            Self::Unix(stream) => (&*stream).write_vectored(parts),
        }
    }

    /// Ends reading, writing or both; whoever waits for it wakes up.
    pub(super) fn shut(&self, how: Shutdown) {
        // Only fails where the client has ended it already.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        };
    }
}
