//! Listening, and going on listening: tiny_http's accept loop ends for good at the first
//! accept error (EMFILE), so a fresh one is started on the same socket.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tiny_http::{Listener, Request, Server};

/// Pause before accepting again: what failed (file descriptors) needs time to come back.
const PAUSE: Duration = Duration::from_millis(50);

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

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// A socket with tiny_http on it.
pub(super) struct Listening {
    socket: Socket,
    server: RwLock<Arc<Server>>,
}

impl Listening {
    pub(super) fn open(endpoint: &Endpoint) -> std::io::Result<Self> {
        let socket = match endpoint {
            Endpoint::Tcp(address) => Socket::Tcp(TcpListener::bind(address)?),
            Endpoint::Unix(path) => Socket::Unix(bind_unix(path)?, path.clone()),
        };
        let server = RwLock::new(Arc::new(start(&socket)?));
        Ok(Self { socket, server })
    }

    /// The address for people, with the real port.
    pub(super) fn address(&self) -> String {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().map_or_else(|error| error.to_string(), |at| at.to_string()),
            Socket::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    /// The next request, or none within `limit`.
    pub(super) fn next(&self, limit: Duration) -> Option<Request> {
        let server = Arc::clone(&self.server.read().unwrap_or_else(PoisonError::into_inner));
        match server.recv_timeout(limit) {
            Ok(request) => request,
            Err(error) => {
                tracing::warn!(%error, "accepting connections failed; trying again");
                std::thread::sleep(PAUSE);
                self.restart(&server);
                None
            }
        }
    }

    /// Requests that the old server has read already are lost with it only if no worker
    /// is in `next` on it; connections it keeps go on being read by their own threads.
    fn restart(&self, dead: &Arc<Server>) {
        let mut current = self.server.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&current, dead) {
            return;
        }
        match start(&self.socket) {
            Ok(server) => *current = Arc::new(server),
            // The next look at the dead server's queue finds nothing; keep the error alive
            // by trying again from the loop of the caller.
            Err(error) => tracing::warn!(%error, "listening again failed"),
        }
    }
}

fn start(socket: &Socket) -> std::io::Result<Server> {
    let listener: Listener = match socket {
        Socket::Tcp(listener) => listener.try_clone()?.into(),
        Socket::Unix(listener, _) => listener.try_clone()?.into(),
    };
    Server::from_listener(listener, None).map_err(std::io::Error::other)
}

/// A socket file that nobody listens on any more is replaced.
fn bind_unix(path: &PathBuf) -> std::io::Result<UnixListener> {
    let dead = std::os::unix::net::UnixStream::connect(path)
        .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
    if dead {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}
