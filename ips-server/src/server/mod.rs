//! `ips-server serve`: answers nodes (boot_manager.rs), people and monitoring (api.rs).
//! tiny_http is used in listen.rs and here only. It has no time-outs and no limits of
//! its own: it listens on loopback or a unix socket, behind nginx.

mod api;
mod boot_manager;
mod crew;
mod limiter;
mod listen;
mod metrics;
pub(crate) mod query;
mod reply;
mod supervisor;

use std::cell::RefCell;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tiny_http::{Header, Method, Request, Response};

use crate::access::{Client, client_address};
use crate::error::chain;
use crate::registry::{Registry, RegistryError};
use crate::settings::{Auth, Settings};
use crew::Crew;
use limiter::Limiter;
use listen::{Endpoint, Listening};
use metrics::Metrics;
use query::Query;
use reply::Reply;

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
/// How often a worker looks up from waiting.
const TICK: Duration = Duration::from_millis(100);

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
    path: String,
    query: Result<Query, query::QueryError>,
    client: Client,
    body: Body,
}

enum Body {
    Read(Vec<u8>),
    TooLong,
    Broken,
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
    let open = || Registry::open(&settings.registry);
    let front = open()?;
    let helpers = (0..helper_count())
        .map(|_| open())
        .collect::<Result<Vec<_>, _>>()?;
    let endpoint = Endpoint::parse(&settings.listen);
    let listening = Listening::open(&endpoint).map_err(|source| ServeError::Listen {
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
    let worker = |registry| Worker {
        shared: Arc::clone(&shared),
        registry: RefCell::new(registry),
    };
    let crew = Crew::start(
        listening,
        worker(front),
        helpers.into_iter().map(worker).collect(),
    );
    supervisor::ready(&address);
    let watched = Arc::clone(&shared);
    std::thread::spawn(move || supervisor::feed_watchdog(&watched, &reach));
    while !shared.stop.load(Ordering::Relaxed) {
        std::thread::sleep(TICK);
    }
    supervisor::stopping();
    crew.drain(DRAIN);
    tracing::info!("ended");
    Ok(())
}

fn helper_count() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 8))
}

impl Worker {
    /// One bad request must not take a worker down.
    fn answer_safely(&self, request: Request) {
        let answered =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.answer(request)));
        if answered.is_err() {
            tracing::error!("a request made its worker panic; report this");
        }
    }

    fn answer(&self, mut request: Request) {
        let began = Instant::now();
        let target = request.url().to_owned();
        let (route, reply) = if target.len() > MAX_TARGET {
            let why = "the request target is too long";
            match target.starts_with(BOOT_MANAGER) {
                true => ("boot_manager", Reply::refusal(414, why)),
                false => ("other", Reply::error(414, why)),
            }
        } else {
            self.route(&read(&mut request, &target, &self.shared.settings))
        };
        let status = reply.status;
        let head_only = *request.method() == Method::Head;
        // The client may be gone; there is nobody left to tell.
        let _ = request.respond(http(reply, head_only));
        self.shared.metrics.count(route, status, began.elapsed());
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

fn read(request: &mut Request, target: &str, settings: &Settings) -> Asked {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    // The last of several: what our own proxy has added stands at the end.
    let header = |name: &'static str| {
        let mut headers = request.headers().iter();
        headers
            .rfind(|header| header.field.equiv(name))
            .map(|header| header.value.as_str().to_owned())
    };
    let token = header("Authorization")
        .as_deref()
        .and_then(bearer)
        .map(str::to_owned);
    let peer: Option<IpAddr> = request.remote_addr().map(std::net::SocketAddr::ip);
    let address = client_address(
        peer,
        header("X-Forwarded-For").as_deref(),
        &settings.trusted_proxy,
    );
    let query = Query::parse(query);
    let most = match &query {
        Ok(query) if token.is_some() && query.get("report") == Some("inventory") => MAX_INVENTORY,
        Ok(_) | Err(_) => MAX_BODY,
    };
    Asked {
        method: request.method().clone(),
        path: path.to_owned(),
        query,
        client: Client { address, token },
        body: read_body(request, most),
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

fn read_body(request: &mut Request, most: usize) -> Body {
    // tiny_http would give the rest of the connection as the body of an upgrade.
    if wants_upgrade(request) {
        return Body::Broken;
    }
    if request.body_length().is_some_and(|length| length > most) {
        return Body::TooLong;
    }
    let mut body = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX) + 1;
    match request.as_reader().take(limit).read_to_end(&mut body) {
        Ok(length) if length > most => Body::TooLong,
        Ok(_) => Body::Read(body),
        Err(_) => Body::Broken,
    }
}

fn wants_upgrade(request: &Request) -> bool {
    let mut headers = request.headers().iter();
    headers.any(|header| {
        header.field.equiv("Connection")
            && header
                .value
                .as_str()
                .to_ascii_lowercase()
                .contains("upgrade")
    })
}

fn http(reply: Reply, head_only: bool) -> Response<std::io::Cursor<Vec<u8>>> {
    let headers = std::iter::once(("Content-Type", reply.content_type))
        .chain(reply.companion())
        .filter_map(|(name, value)| Header::from_bytes(name, value).ok())
        .collect();
    let length = reply.body.len();
    let body = if head_only { Vec::new() } else { reply.body };
    Response::new(
        reply.status.into(),
        headers,
        std::io::Cursor::new(body),
        Some(length),
        None,
    )
    .with_chunked_threshold(usize::MAX)
}
