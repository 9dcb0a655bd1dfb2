//! The socket to listen on: our own, or one that systemd has opened for us.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use listenfd::ListenFd;
use nix::sys::socket::{Backlog, listen};

use super::stream::Stream;
use super::supervisor::Reach;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// `ADDRESS:PORT`
    Tcp(String),
    /// `unix:/path`
    Unix(PathBuf),
}

impl Endpoint {
    pub(super) fn parse(text: &str) -> Self {
        match text.strip_prefix("unix:") {
            Some(path) => Self::Unix(path.into()),
            None => Self::Tcp(text.to_owned()),
        }
    }
}

/// A socket that is listened on.
#[derive(Debug)]
pub(super) enum Listening {
    Tcp(TcpListener),
    /// The path of its file, where the file is ours to remove.
    Unix(UnixListener, Option<PathBuf>),
}

impl Listening {
    /// Opens it; `accept` comes back without a connection after `tick`.
    pub(super) fn open(endpoint: &Endpoint, tick: Duration) -> std::io::Result<Self> {
        let listening = match (inherited()?, endpoint) {
            (Some(listening), _) => listening,
            (None, Endpoint::Tcp(address)) => {
                let listener = TcpListener::bind(address)?;
                deepen(&listener)?;
                Self::Tcp(listener)
            }
            (None, Endpoint::Unix(path)) => {
                let listener = bind_unix(path)?;
                deepen(&listener)?;
                Self::Unix(listener, Some(path.clone()))
            }
        };
        listening.set_tick(tick)?;
        Ok(listening)
    }

    /// The next connection, and where it comes from: nowhere, on a unix socket. `None`: there
    /// was none within the tick.
    pub(super) fn accept(&self) -> std::io::Result<Option<(Stream, Option<SocketAddr>)>> {
        let accepted = match self {
            Self::Tcp(listener) => listener
                .accept()
                .map(|(stream, peer)| (Stream::Tcp(stream), Some(peer))),
            Self::Unix(listener, _) => listener
                .accept()
                .map(|(stream, _)| (Stream::Unix(stream), None)),
        };
        match accepted {
            Ok(accepted) => Ok(Some(accepted)),
            Err(error) if is_none_yet(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The address for people, with the real port.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|error| error.to_string(), |at| at.to_string()),
            Self::Unix(listener, _) => listener
                .local_addr()
                .ok()
                .and_then(|at| Some(format!("unix:{}", at.as_pathname()?.display())))
                .unwrap_or_else(|| "a unix socket without a name".to_owned()),
        }
    }

    /// Where this machine itself reaches us.
    pub(super) fn reach(&self) -> std::io::Result<Reach> {
        match self {
            Self::Tcp(listener) => Ok(Reach::tcp(listener.local_addr()?)),
            Self::Unix(listener, _) => {
                let at = listener.local_addr()?;
                let path = at.as_pathname().ok_or_else(|| {
                    std::io::Error::other("a unix socket without a name cannot be served")
                })?;
                Ok(Reach::Unix(path.to_owned()))
            }
        }
    }

    /// A time-out for reading is one for accepting too (socket(7)); std has it for streams only.
    fn set_tick(&self, tick: Duration) -> std::io::Result<()> {
        match self {
            Self::Tcp(listener) => {
                listener.set_nonblocking(false)?;
                TcpStream::from(OwnedFd::from(listener.try_clone()?)).set_read_timeout(Some(tick))
            }
            Self::Unix(listener, _) => {
                listener.set_nonblocking(false)?;
                UnixStream::from(OwnedFd::from(listener.try_clone()?)).set_read_timeout(Some(tick))
            }
        }
    }
}

impl Drop for Listening {
    /// Who finds the file of a unix socket must find somebody listening.
    fn drop(&mut self) {
        match self {
            // systemd's file stays.
            Self::Tcp(_) | Self::Unix(_, None) => {}
            // Nothing to be done where it is gone already.
            Self::Unix(_, Some(path)) => drop(std::fs::remove_file(path)),
        }
    }
}

/// No connection within the tick, or one that was gone before it was taken.
fn is_none_yet(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, Interrupted, TimedOut, WouldBlock};
    matches!(
        error.kind(),
        WouldBlock | TimedOut | Interrupted | ConnectionAborted
    )
}

/// std asks for a backlog of 128; listening again makes it what `somaxconn` allows.
fn deepen(listener: &impl AsFd) -> std::io::Result<()> {
    // A number of our own is refused above the libc's SOMAXCONN, and musl's is 128.
    listen(listener, Backlog::MAXALLOWABLE).map_err(std::io::Error::from)
}

/// The socket that systemd has opened for us (LISTEN_FDS); `listen` says nothing then.
fn inherited() -> std::io::Result<Option<Listening>> {
    let mut given = ListenFd::from_env();
    match given.len() {
        0 => return Ok(None),
        1 => {}
        count => {
            let why = format!("socket activation gave {count} sockets; one is served");
            return Err(std::io::Error::other(why));
        }
    }
    if let Ok(Some(listener)) = given.take_tcp_listener(0) {
        return Ok(Some(Listening::Tcp(listener)));
    }
    match given.take_unix_listener(0)? {
        Some(listener) => Ok(Some(Listening::Unix(listener, None))),
        None => Err(std::io::Error::other("socket activation gave no socket")),
    }
}

/// A socket file that nobody listens on any more is replaced.
fn bind_unix(path: &PathBuf) -> std::io::Result<UnixListener> {
    let dead = UnixStream::connect(path)
        .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
    if dead {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}
