//! The listening socket: the server's own, or one that systemd opened.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use listenfd::ListenFd;
use nix::sys::socket::{Backlog, listen};
use tokio::net::{TcpListener, UnixListener};

use super::connection::Stream;
use super::systemd::OwnAddress;

/// Descriptors of standard input, output and error.
const STANDARD: i32 = 3;

/// Closes the descriptors that the caller left open, except those of socket activation: they
/// count towards the server's limit. Before anything is opened.
pub(super) fn close_leaked_files() {
    let given = std::env::var("LISTEN_FDS").ok();
    let given = given.and_then(|count| count.parse().ok()).unwrap_or(0);
    let names = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    let open: Vec<i32> = names
        .filter_map(|name| name.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for file in open {
        if file >= STANDARD + given {
            // The one that read the folder is closed already.
            let _ = nix::unistd::close(file);
        }
    }
}

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

/// A listening socket.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    /// With the path of its file, where the server made the file and has to remove it.
    Unix(UnixListener, Option<PathBuf>),
}

impl Listener {
    /// Opens it, or takes the socket that systemd opened. Needs the runtime.
    pub(super) fn open(endpoint: &Endpoint) -> std::io::Result<Self> {
        match (inherited()?, endpoint) {
            (Some(listener), _) => Ok(listener),
            (None, Endpoint::Tcp(address)) => {
                let listener = std::net::TcpListener::bind(address)?;
                deepen(&listener)?;
                Self::tcp(listener)
            }
            (None, Endpoint::Unix(path)) => {
                let listener = bind_unix(path)?;
                deepen(&listener)?;
                Self::unix(listener, Some(path.clone()))
            }
        }
    }

    fn tcp(listener: std::net::TcpListener) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::Tcp(TcpListener::from_std(listener)?))
    }

    fn unix(
        listener: std::os::unix::net::UnixListener,
        path: Option<PathBuf>,
    ) -> std::io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::Unix(UnixListener::from_std(listener)?, path))
    }

    /// The next connection and its peer's address, which a unix socket does not have.
    pub(super) async fn accept(&self) -> std::io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream::Tcp(stream), Some(peer)))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), None))
            }
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

    /// Where this machine itself reaches the server.
    pub(super) fn own_address(&self) -> std::io::Result<OwnAddress> {
        match self {
            Self::Tcp(listener) => Ok(OwnAddress::tcp(listener.local_addr()?)),
            Self::Unix(listener, _) => {
                let at = listener.local_addr()?;
                let path = at.as_pathname().ok_or_else(|| {
                    std::io::Error::other("a unix socket without a name cannot be served")
                })?;
                Ok(OwnAddress::Unix(path.to_owned()))
            }
        }
    }
}

impl Drop for Listener {
    /// A socket file without a listener must not be found.
    fn drop(&mut self) {
        match self {
            // systemd's file stays.
            Self::Tcp(_) | Self::Unix(_, None) => {}
            // It may be gone already.
            Self::Unix(_, Some(path)) => drop(std::fs::remove_file(path)),
        }
    }
}

/// std asks for a backlog of 128; listening again raises it to what `somaxconn` allows.
fn deepen(listener: &impl AsFd) -> std::io::Result<()> {
    // A number of our own is refused above the libc's SOMAXCONN, and musl's is 128.
    listen(listener, Backlog::MAXALLOWABLE).map_err(std::io::Error::from)
}

/// The socket that systemd opened (LISTEN_FDS); it takes the place of `listen`.
fn inherited() -> std::io::Result<Option<Listener>> {
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
        return Listener::tcp(listener).map(Some);
    }
    match given.take_unix_listener(0)? {
        Some(listener) => Listener::unix(listener, None).map(Some),
        None => Err(std::io::Error::other("socket activation gave no socket")),
    }
}

/// Replaces a socket file that has no listener any more.
fn bind_unix(path: &PathBuf) -> std::io::Result<std::os::unix::net::UnixListener> {
    let dead = std::os::unix::net::UnixStream::connect(path)
        .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
    if dead {
        std::fs::remove_file(path)?;
    }
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}
