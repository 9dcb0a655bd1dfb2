//! Listening, and going on listening: tiny_http's accept loop ends for good at the first
//! accept error, and its thread panics where a connection cannot be cloned or served by a
//! thread of its own (EMFILE, EAGAIN). Then a fresh one is started on the same socket.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::panic::PanicHookInfo;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tiny_http::{Listener, Request, Server};

/// Pause before accepting again, in milliseconds: doubles until a request comes through.
const MIN_PAUSE_MS: u64 = 50;
const MAX_PAUSE_MS: u64 = 1000;

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

/// Raised when tiny_http's accept thread has panicked: nothing else tells of that.
static ACCEPT_DIED: AtomicBool = AtomicBool::new(false);

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// A socket with tiny_http on it.
pub(super) struct Listening {
    socket: Socket,
    server: RwLock<Arc<Server>>,
    pause: AtomicU64,
}

impl Listening {
    pub(super) fn open(endpoint: &Endpoint) -> std::io::Result<Self> {
        let socket = match endpoint {
            Endpoint::Tcp(address) => Socket::Tcp(TcpListener::bind(address)?),
            Endpoint::Unix(path) => Socket::Unix(bind_unix(path)?, path.clone()),
        };
        watch_panics();
        let server = RwLock::new(Arc::new(start(&socket)?));
        Ok(Self {
            socket,
            server,
            pause: AtomicU64::new(MIN_PAUSE_MS),
        })
    }

    /// The address for people, with the real port.
    pub(super) fn address(&self) -> String {
        match &self.socket {
            Socket::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|error| error.to_string(), |at| at.to_string()),
            Socket::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    /// The next request, or none within `limit`.
    pub(super) fn next(&self, limit: Duration) -> Option<Request> {
        let server = self.current();
        match server.recv_timeout(limit) {
            Ok(Some(request)) => {
                self.pause.store(MIN_PAUSE_MS, Ordering::Relaxed);
                return Some(request);
            }
            // The flag is about the newest server, whichever this worker waited on.
            Ok(None) if ACCEPT_DIED.swap(false, Ordering::Relaxed) => {
                self.restart(&self.current(), "its thread panicked");
            }
            Ok(None) => {}
            Err(error) => self.restart(&server, &error.to_string()),
        }
        None
    }

    fn current(&self) -> Arc<Server> {
        Arc::clone(&self.server.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a fresh server in the place of a dead one, unless another worker has.
    fn restart(&self, dead: &Arc<Server>, why: &str) {
        let mut current = self.server.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&current, dead) {
            return;
        }
        tracing::warn!(why, "accepting connections failed; trying again");
        // What failed needs time to come back; each try costs threads.
        let pause = self.pause.load(Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(pause));
        self.pause
            .store((pause * 2).min(MAX_PAUSE_MS), Ordering::Relaxed);
        match start(&self.socket) {
            Ok(server) => {
                // Dropping it would remove the file of a unix socket; its thread is gone.
                std::mem::forget(Arc::clone(dead));
                *current = Arc::new(server);
            }
            Err(error) => {
                tracing::warn!(%error, "listening again failed");
                ACCEPT_DIED.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// Notices the end of tiny_http's accept thread; every other panic is told as before.
fn watch_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if is_accept_thread(info) {
            ACCEPT_DIED.store(true, Ordering::Relaxed);
        } else {
            before(info);
        }
    }));
}

/// Where `RefinedTcpStream::new` clones the socket, and where the pool starts a thread.
fn is_accept_thread(info: &PanicHookInfo<'_>) -> bool {
    let place = info
        .location()
        .map(std::panic::Location::file)
        .unwrap_or_default();
    let words = info
        .payload()
        .downcast_ref::<String>()
        .map(String::as_str)
        .unwrap_or_default();
    place.ends_with("refined_tcp_stream.rs") || words.contains("failed to spawn thread")
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
