//! `ips-server serve`: answers nodes (boot_manager.rs), people and monitoring (api.rs).
//! Connections are in seats.rs (who may stay) and connection.rs (HTTP, by hyper), office.rs finds
//! who answers.

mod api;
mod boot_manager;
mod clerks;
mod connection;
mod limiter;
mod listen;
mod metrics;
mod office;
mod pool;
pub(crate) mod query;
mod reply;
mod seats;
mod stream;
mod supervisor;

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};

use crate::error::chain;
use crate::registry::{Registry, RegistryError};
use crate::settings::{Auth, Settings};
use limiter::Limiter;
use listen::{Endpoint, Listening};
use metrics::Metrics;
use office::{Asked, Office};
use reply::Reply;
use seats::{Seats, Sitting};
use stream::Stream;

/// The IPS command interface, as installed nodes know it.
const BOOT_MANAGER: &str = "/cgi-bin/boot_manager.sh";
/// Longest request target, in bytes.
const MAX_TARGET: usize = 8 * 1024;
/// How long requests under way may take once the server is told to end.
const DRAIN: Duration = Duration::from_millis(1500);
/// How often it is looked up from waiting for a connection.
const TICK: Duration = Duration::from_millis(100);
/// How long a client may take no more of its answer.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
/// How many connections there are at most; the unit allows 512 tasks.
const MOST_CONNECTIONS: u64 = 256;
/// Files that are not connections: registries, the log, the socket itself.
const OTHER_FILES: u64 = 40;
/// What the stack of a connection's thread may take, in bytes.
const STACK: usize = 512 * 1024;

/// The server could not start, or not go on.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says it")]
pub enum ServeError {
    #[error("listen on {endpoint}: is it in use already, or not of this machine?")]
    Listen {
        endpoint: String,
        source: std::io::Error,
    },
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("handle signals")]
    Signals(std::io::Error),
    #[error("start threads")]
    Threads(std::io::Error),
}

/// What every worker shares.
struct Shared {
    settings: Settings,
    metrics: Metrics,
    limiter: Limiter,
    stop: Arc<AtomicBool>,
}

/// What one worker answers with.
struct Worker {
    shared: Arc<Shared>,
    registry: RefCell<Registry>,
}

/// Serves until SIGTERM or SIGINT; then no new requests, those under way are answered.
///
/// # Errors
/// The registry does not open, or the address cannot be listened on.
pub fn serve(settings: Settings) -> Result<(), ServeError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(ServeError::Signals)?;
    }
    // Opened before listening: who connects finds a registry that works.
    let open = |_| Registry::open(&settings.registry);
    let registries = (0..office::registry_count())
        .map(open)
        .collect::<Result<Vec<_>, _>>()?;
    let endpoint = Endpoint::parse(&settings.listen);
    let listening = Listening::open(&endpoint, TICK).map_err(|source| ServeError::Listen {
        endpoint: settings.listen.clone(),
        source,
    })?;
    let address = listening.address();
    let reach = listening.reach().map_err(|source| ServeError::Listen {
        endpoint: address.clone(),
        source,
    })?;
    tracing::info!(listen = %address, registry = %settings.registry.display(), "serving");
    if settings.auth == Auth::Off && settings.allow.is_empty() {
        tracing::warn!(
            "auth is off and allow names no network: no node gets a config without a token"
        );
    }
    let shared = Arc::new(Shared {
        settings,
        metrics: Metrics::default(),
        limiter: Limiter::default(),
        stop,
    });
    let office = Office::new(&shared, registries).map_err(ServeError::Threads)?;
    let office = Arc::new(office);
    supervisor::ready(&address);
    let watched = Arc::clone(&shared);
    std::thread::spawn(move || supervisor::feed_watchdog(&watched, &reach));
    let seats = Arc::new(Seats::new(most_connections()));
    receive(&listening, &seats, &office);
    supervisor::stopping();
    drop(listening);
    seats.drain(DRAIN);
    tracing::info!("ended");
    Ok(())
}

/// Fewer where there are not as many files.
fn most_connections() -> usize {
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    let most = files.saturating_sub(OTHER_FILES).clamp(8, MOST_CONNECTIONS);
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// Takes connections until the server ends.
fn receive(listening: &Listening, seats: &Arc<Seats>, office: &Arc<Office>) {
    while !office.shared.stop.load(Ordering::Relaxed) {
        match listening.accept() {
            Ok(Some((stream, peer))) => seat(stream, peer, seats, office),
            Ok(None) => {}
            Err(error) => {
                office.warn_once("accepting a connection failed; trying again", &error);
                // Too many files, or too little memory.
                seats.make_room();
                std::thread::sleep(TICK / 4);
            }
        }
    }
}

/// Gives a connection a seat and a thread; where there is none it is closed.
fn seat(stream: Stream, peer: Option<SocketAddr>, seats: &Arc<Seats>, office: &Arc<Office>) {
    if stream.set_up(WRITE_LIMIT).is_err() {
        return;
    }
    let Some(sitting) = seats.take(stream) else {
        return;
    };
    let shared = Arc::clone(office);
    let serve = move || {
        let Sitting { seat, .. } = &sitting;
        connection::serve(&shared, seat, peer);
    };
    let thread = std::thread::Builder::new().stack_size(STACK);
    if let Err(error) = thread.spawn(serve) {
        office.warn_once("a connection got no thread", &error);
        seats.make_room();
    }
}

impl Worker {
    fn answer(&self, asked: &Asked) -> (&'static str, Reply) {
        if asked.target.len() <= MAX_TARGET {
            return self.route(asked);
        }
        let why = "the request target is too long";
        match asked.path == BOOT_MANAGER {
            true => ("boot_manager", Reply::refusal(414, why)),
            false => ("other", Reply::error(414, why)),
        }
    }

    fn route(&self, asked: &Asked) -> (&'static str, Reply) {
        match asked.path.as_str() {
            BOOT_MANAGER => ("boot_manager", boot_manager::answer(self, asked)),
            "/healthz" => ("healthz", api::get(self, asked, api::healthz)),
            "/metrics" => ("metrics", api::get(self, asked, api::metrics)),
            "/v1/vms" => ("vms", api::get(self, asked, api::vms)),
            "/v1/operations" => ("operations", api::get(self, asked, api::operations)),
            "/v1/nodes" => ("nodes", api::get(self, asked, api::nodes)),
            path if path.starts_with("/v1/vms/") => ("vm", api::get(self, asked, api::vm)),
            _ => ("other", Reply::error(404, "no such path")),
        }
    }

    /// Says once in the log that somebody was turned away, never with what token.
    fn log_refusal(&self, asked: &Asked, why: &str) {
        if self.shared.limiter.admits(asked.client.address) {
            tracing::warn!(client = %asked.client.address, path = %asked.path, why, "refused");
        }
    }

    /// The registry failed under a request: somebody must act.
    fn registry_failed(&self, error: &RegistryError) -> String {
        let why = chain(error);
        // Any request may meet it: the lines are counted as one client's.
        if self.shared.limiter.admits(Ipv4Addr::UNSPECIFIED.into()) {
            tracing::error!(%why, "registry failed");
        }
        why
    }
}
