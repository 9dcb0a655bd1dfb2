//! Listening, and going on listening: tiny_http's accept loop ends for good at the first
//! accept error, and its thread panics where a connection cannot be cloned or served by a
//! thread of its own (EMFILE, EAGAIN). Then a fresh one is started on the same socket, and
//! the old one is still asked: the connections it has accepted go on.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::PanicHookInfo;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use listenfd::ListenFd;
use tiny_http::{Listener, Request, Server};

use super::supervisor::Reach;

/// Pause before accepting again, in milliseconds: doubles until a request comes through.
const MIN_PAUSE_MS: u64 = 50;
const MAX_PAUSE_MS: u64 = 1000;
/// How long a client may take no more of its answer.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
/// How often an old server is asked for requests.
const OLD_POLL: Duration = Duration::from_millis(5);
/// How long an old server's connections may say nothing before they are given up.
const OLD_SILENCE: Duration = Duration::from_secs(600);

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
    /// The path of its file, where the file is ours to remove.
    Unix(UnixListener, Option<PathBuf>),
}

/// A socket with tiny_http on it.
pub(super) struct Listening {
    socket: Socket,
    server: RwLock<Arc<Server>>,
    old: Mutex<Vec<Old>>,
    has_old: AtomicBool,
    pause: AtomicU64,
}

/// A server that accepts no more; its connections live on.
struct Old {
    server: Arc<Server>,
    heard: Instant,
}

impl Listening {
    pub(super) fn open(endpoint: &Endpoint) -> std::io::Result<Self> {
        let socket = match (inherited()?, endpoint) {
            (Some(socket), _) => socket,
            (None, Endpoint::Tcp(address)) => Socket::Tcp(bind_tcp(address)?),
            (None, Endpoint::Unix(path)) => Socket::Unix(bind_unix(path)?, Some(path.clone())),
        };
        watch_panics();
        let server = RwLock::new(Arc::new(start(&socket)?));
        Ok(Self {
            socket,
            server,
            old: Mutex::default(),
            has_old: AtomicBool::new(false),
            pause: AtomicU64::new(MIN_PAUSE_MS),
        })
    }

    /// The address for people, with the real port.
    pub(super) fn address(&self) -> String {
        match &self.socket {
            Socket::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|error| error.to_string(), |at| at.to_string()),
            Socket::Unix(listener, _) => listener
                .local_addr()
                .ok()
                .and_then(|at| Some(format!("unix:{}", at.as_pathname()?.display())))
                .unwrap_or_else(|| "a unix socket without a name".to_owned()),
        }
    }

    /// Where this machine itself reaches us.
    pub(super) fn reach(&self) -> std::io::Result<Reach> {
        match &self.socket {
            Socket::Tcp(listener) => Ok(Reach::tcp(listener.local_addr()?)),
            Socket::Unix(listener, _) => {
                let at = listener.local_addr()?;
                let path = at.as_pathname().ok_or_else(|| {
                    std::io::Error::other("a unix socket without a name cannot be served")
                })?;
                Ok(Reach::Unix(path.to_owned()))
            }
        }
    }

    /// The next request, or none within `limit`.
    pub(super) fn next(&self, limit: Duration) -> Option<Request> {
        let limit = if self.has_old.load(Ordering::Relaxed) {
            if let Some(request) = self.next_of_old() {
                return Some(request);
            }
            OLD_POLL
        } else {
            limit
        };
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

    /// A request that has been read already.
    pub(super) fn waiting(&self) -> Option<Request> {
        let old = || {
            self.has_old
                .load(Ordering::Relaxed)
                .then(|| self.next_of_old())
        };
        let current = self.current().try_recv().ok().flatten();
        current.or_else(|| old().flatten())
    }

    fn next_of_old(&self) -> Option<Request> {
        let mut all = self.old.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|old| old.heard.elapsed() < OLD_SILENCE);
        self.has_old.store(!all.is_empty(), Ordering::Relaxed);
        all.iter_mut().find_map(|old| {
            let request = old.server.try_recv().ok().flatten()?;
            old.heard = Instant::now();
            Some(request)
        })
    }

    fn current(&self) -> Arc<Server> {
        Arc::clone(&self.server.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn keep_old(&self, server: &Arc<Server>) {
        let mut all = self.old.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Old {
            server: Arc::clone(server),
            heard: Instant::now(),
        });
        self.has_old.store(true, Ordering::Relaxed);
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
                self.keep_old(dead);
            }
            Err(error) => {
                tracing::warn!(%error, "listening again failed");
                ACCEPT_DIED.store(true, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Listening {
    /// Who finds the file of a unix socket must find somebody listening.
    fn drop(&mut self) {
        match &self.socket {
            Socket::Tcp(_) => {}
            // Nothing to be done where it is gone already.
            Socket::Unix(_, Some(path)) => drop(std::fs::remove_file(path)),
            // tiny_http removes the file with its last server; this one is systemd's.
            Socket::Unix(_, None) => std::mem::forget(self.current()),
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

/// Linux hands options of a listener to what it accepts, and tiny_http gives nobody a way
/// to set them later. Without TCP_NODELAY the second half of an answer waits for the
/// client's delayed ACK; without a limit a client that reads nothing keeps a thread.
fn bind_tcp(address: &str) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    set_tcp_options(&listener)?;
    Ok(listener)
}

fn set_tcp_options(listener: &TcpListener) -> std::io::Result<()> {
    let options = TcpStream::from(OwnedFd::from(listener.try_clone()?));
    options.set_nodelay(true)?;
    options.set_write_timeout(Some(WRITE_LIMIT))
}

fn set_unix_options(listener: &UnixListener) -> std::io::Result<()> {
    UnixStream::from(OwnedFd::from(listener.try_clone()?)).set_write_timeout(Some(WRITE_LIMIT))
}

/// The socket that systemd has opened for us (LISTEN_FDS); `listen` says nothing then.
fn inherited() -> std::io::Result<Option<Socket>> {
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
        listener.set_nonblocking(false)?;
        set_tcp_options(&listener)?;
        return Ok(Some(Socket::Tcp(listener)));
    }
    let Some(listener) = given.take_unix_listener(0)? else {
        return Err(std::io::Error::other("socket activation gave no socket"));
    };
    listener.set_nonblocking(false)?;
    set_unix_options(&listener)?;
    Ok(Some(Socket::Unix(listener, None)))
}

/// A socket file that nobody listens on any more is replaced.
fn bind_unix(path: &PathBuf) -> std::io::Result<UnixListener> {
    let dead = UnixStream::connect(path)
        .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
    if dead {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    set_unix_options(&listener)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}
