//! `ips-server serve`: HTTP for nodes, people and monitoring. routes.rs lists every endpoint;
//! slots.rs and dispatch.rs hold the limits. Asynchronous code stays inside this folder: a
//! handler is a plain function that gets a registry, and runs in the blocking pool.

mod accept;
mod auth;
mod boot_manager;
mod call;
mod connection;
mod dispatch;
mod healthz;
mod listen;
mod listings;
mod log_limit;
mod metrics;
mod nodes;
mod operations;
mod panics;
pub(crate) mod query;
mod reply;
mod request;
mod routes;
mod slots;
mod systemd;
mod vms;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::chain;
use crate::registry::RegistryError;
use crate::settings::{Auth, Settings};
use dispatch::Dispatcher;
use listen::{Endpoint, Listener};
use listings::Listings;
use log_limit::LogLimit;
use metrics::Metrics;
use request::ApiRequest;
use slots::Slots;

/// Threads of the runtime; each may read a config itself.
const WORKERS: usize = dispatch::CONFIG_READERS;

/// The server could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is in use, or belongs to another machine.
    #[error("listen on {endpoint}: is it in use already, or not of this machine?")]
    Listen {
        /// As the settings have it.
        endpoint: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The registry does not open.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// No handler for SIGTERM and SIGINT.
    #[error("handle signals")]
    Signals(#[source] std::io::Error),
    /// No threads for the runtime.
    #[error("start threads")]
    Threads(#[source] std::io::Error),
}

/// What all requests share.
struct Server {
    settings: Settings,
    metrics: Metrics,
    log_limit: LogLimit,
    dispatcher: Arc<Dispatcher>,
    listings: Arc<Listings>,
    is_stopping: AtomicBool,
}

/// Serves until SIGTERM or SIGINT, then finishes the requests under way.
///
/// # Errors
/// The registry does not open, or the address cannot be listened on.
pub fn serve(settings: Settings) -> Result<(), ServeError> {
    // Before listening: the first client finds a registry that works.
    listen::close_leaked_files();
    panics::end_on_others();
    let dispatcher = Arc::new(Dispatcher::open(&settings.registry)?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(dispatch::POOL_THREADS)
        .enable_all()
        .build()
        .map_err(ServeError::Threads)?;
    let served = run(&runtime, settings, dispatcher);
    // A registry call that hangs must not hold up the end.
    runtime.shutdown_background();
    served
}

fn run(
    runtime: &Runtime,
    settings: Settings,
    dispatcher: Arc<Dispatcher>,
) -> Result<(), ServeError> {
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
        let listen_error = |source| ServeError::Listen {
            endpoint: settings.listen.clone(),
            source,
        };
        let listener = Listener::open(&Endpoint::parse(&settings.listen)).map_err(listen_error)?;
        let own_address = listener.own_address().map_err(listen_error)?;
        let address = listener.address();
        log_start(&settings, &address);
        let server = Arc::new(Server {
            settings,
            metrics: Metrics::default(),
            log_limit: LogLimit::default(),
            dispatcher,
            listings: Arc::default(),
            is_stopping: AtomicBool::new(false),
        });
        let slots = Arc::new(Slots::new(accept::max_connections()));
        tokio::spawn(slots::enforce_deadlines(Arc::clone(&slots)));
        tokio::spawn(Arc::clone(&server.dispatcher).end_transactions());
        systemd::ready(&address);
        systemd::start_watchdog(&server, own_address).map_err(ServeError::Threads)?;
        tokio::select! {
            biased;
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = accept::accept(&listener, &slots, &server) => {}
        }
        systemd::stopping();
        drop(listener);
        accept::drain(&server, &slots).await;
        tracing::info!("ended");
        Ok(())
    })
}

fn log_start(settings: &Settings, address: &str) {
    tracing::info!(listen = %address, registry = %settings.registry.display(), "serving");
    if settings.auth == Auth::Off && settings.allow.is_empty() {
        tracing::warn!(
            "auth is off and allow names no network: no node gets a config without a token"
        );
    }
}

impl Server {
    /// Logs that a client was refused, never with its token.
    fn log_refusal(&self, request: &ApiRequest, why: &str) {
        if self.log_limit.admits(request.client.address) {
            tracing::warn!(client = %request.client.address, path = %request.path(), why, "refused");
        }
    }

    /// Logs that the registry failed, and returns why.
    fn log_registry_error(&self, error: &RegistryError) -> String {
        let why = chain(error);
        if self.admits_own_line() {
            tracing::error!(%why, "registry failed");
        }
        why
    }

    /// A failure of the server that clients may cause a thousand times a second.
    fn log_failure(&self, what: &str, error: &std::io::Error) {
        if self.admits_own_line() {
            tracing::warn!(%error, "{what}");
        }
    }

    /// Lines about the server itself are limited as those about one client.
    fn admits_own_line(&self) -> bool {
        self.log_limit.admits(Ipv4Addr::UNSPECIFIED.into())
    }
}
