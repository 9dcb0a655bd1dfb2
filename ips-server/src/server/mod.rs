//! `ips-server serve`: answers nodes (boot_manager.rs), people and monitoring (api.rs).
//! Connections are in seats.rs (who may stay) and connection.rs (HTTP, by hyper); requests are
//! read and answered here.

mod api;
mod boot_manager;
mod connection;
mod limiter;
mod listen;
mod metrics;
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
use std::time::{Duration, Instant};

use hyper::Method;
use hyper::body::Bytes;
use hyper::http::request::Parts;
use nix::sys::resource::{Resource, getrlimit};

use crate::access::{Client, client_address};
use crate::error::chain;
use crate::registry::{Registry, RegistryError};
use crate::settings::{Auth, Settings};
use limiter::Limiter;
use listen::{Endpoint, Listening};
use metrics::Metrics;
use pool::{Lent, Pool};
use query::Query;
use reply::Reply;
use seats::{Seats, Sitting};
use stream::Stream;

/// The IPS command interface, as installed nodes know it.
const BOOT_MANAGER: &str = "/cgi-bin/boot_manager.sh";
/// Longest request target, in bytes.
const MAX_TARGET: usize = 8 * 1024;
/// Longest body, in bytes.
const MAX_BODY: usize = hps_core::kv::MAX_BYTES;
/// Longest body of an inventory, in bytes.
const MAX_INVENTORY: usize = hps_core::kv::MAX_BLOCKS_BYTES;
/// How long requests under way may take once the server is told to end.
const DRAIN: Duration = Duration::from_millis(1500);
/// How many requests wait for a registry, and how long: longer than one may be locked.
const QUEUE: usize = 32;
const PATIENCE: Duration = Duration::from_secs(15);
/// How many listings may be on their way at a time, as many more waiting for so long. Each is in
/// memory until its client has taken it.
const LISTINGS: usize = 8;
const LISTING_PATIENCE: Duration = Duration::from_secs(1);
/// What somebody is told who would have to wait too long.
const BUSY: &str = "too many requests at once; try again";
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

/// A request, read.
struct Asked {
    method: Method,
    /// With its query.
    target: String,
    path: String,
    query: Result<Query, query::QueryError>,
    client: Client,
    body: Body,
}

/// Leave to send a listing.
#[derive(Debug)]
struct Listing;

enum Body {
    Read(Bytes),
    TooLong,
    Broken,
}

/// Who answers. A config is never kept waiting by what may take long: a report that waits for
/// another writer, a listing of everything.
struct Office {
    shared: Arc<Shared>,
    configs: Arc<Pool<Worker>>,
    reports: Arc<Pool<Worker>>,
    people: Arc<Pool<Worker>>,
    listings: Arc<Pool<Listing>>,
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
    let registries = (0..3 * worker_count())
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
    let office = Arc::new(Office::new(&shared, registries));
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

fn worker_count() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 8))
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

impl Office {
    fn new(shared: &Arc<Shared>, mut registries: Vec<Registry>) -> Self {
        let worker = |registry| Worker {
            shared: Arc::clone(shared),
            registry: RefCell::new(registry),
        };
        let mut pool = || {
            let rest = registries.len().saturating_sub(worker_count());
            let some = registries.split_off(rest);
            Pool::new(some.into_iter().map(worker).collect(), QUEUE, PATIENCE)
        };
        Self {
            shared: Arc::clone(shared),
            configs: pool(),
            reports: pool(),
            people: pool(),
            listings: Pool::new(
                (0..LISTINGS).map(|_| Listing).collect(),
                LISTINGS,
                LISTING_PATIENCE,
            ),
        }
    }

    /// What somebody asks for; its body is still to come.
    fn ask(&self, head: &Parts, peer: Option<SocketAddr>) -> Asked {
        let settings = &self.shared.settings;
        // The last of several: what our own proxy has added stands at the end.
        let header = |name: &str| {
            let last = head.headers.get_all(name).iter().next_back();
            last.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let token = header("authorization")
            .as_deref()
            .and_then(bearer)
            .map(str::to_owned);
        let address = client_address(
            peer.map(|peer| peer.ip()),
            header("x-forwarded-for").as_deref(),
            &settings.trusted_proxy,
        );
        let target = head.uri.path_and_query();
        Asked {
            method: head.method.clone(),
            target: target.map(ToString::to_string).unwrap_or_default(),
            path: head.uri.path().to_owned(),
            query: Query::parse(head.uri.query().unwrap_or_default()),
            client: Client { address, token },
            body: Body::Broken,
        }
    }

    /// Answers it, with leave to send the answer where that needs one.
    fn answer(&self, asked: &Asked) -> (Reply, Option<Lent<Listing>>) {
        let began = Instant::now();
        let listing = asked.is_for_listing().then(|| self.listings.take());
        let (route, reply) = match listing {
            Some(None) => ("other", Reply::error(503, BUSY)),
            Some(Some(_)) | None => self.answer_by(self.pool_for(asked), asked),
        };
        self.shared
            .metrics
            .count(route, reply.status, began.elapsed());
        (reply, listing.flatten())
    }

    /// One bad request must not take a worker down.
    fn answer_by(&self, pool: &Arc<Pool<Worker>>, asked: &Asked) -> (&'static str, Reply) {
        let answer = || {
            let lent = pool.take()?;
            lent.get().map(|worker| worker.answer(asked))
        };
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(answer)) {
            Ok(Some(answered)) => answered,
            Ok(None) if asked.path == BOOT_MANAGER => ("boot_manager", Reply::refusal(503, BUSY)),
            Ok(None) => ("other", Reply::error(503, BUSY)),
            Err(_) => {
                tracing::error!("a request made its worker panic; report this");
                ("other", Reply::error(500, "report this"))
            }
        }
    }

    fn pool_for(&self, asked: &Asked) -> &Arc<Pool<Worker>> {
        if asked.path != BOOT_MANAGER {
            &self.people
        } else if asked.is_for_config() {
            &self.configs
        } else {
            &self.reports
        }
    }

    /// What may happen a thousand times a second is not told as often.
    fn warn_once(&self, what: &str, error: &std::io::Error) {
        if self.shared.limiter.admits(Ipv4Addr::UNSPECIFIED.into()) {
            tracing::warn!(%error, "{what}");
        }
    }
}

impl Asked {
    fn is_for_config(&self) -> bool {
        let query = self.query.as_ref().ok();
        query.is_some_and(|query| query.get("get_config").is_some())
    }

    fn is_for_listing(&self) -> bool {
        matches!(self.path.as_str(), "/v1/vms" | "/v1/operations")
    }

    /// How long its body may be, in bytes.
    fn longest_body(&self) -> usize {
        match &self.query {
            Ok(query)
                if self.client.token.is_some() && query.get("report") == Some("inventory") =>
            {
                MAX_INVENTORY
            }
            Ok(_) | Err(_) => MAX_BODY,
        }
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

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}
