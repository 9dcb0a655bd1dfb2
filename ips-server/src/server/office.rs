//! Who answers a request: it is read here, given to a worker of the right kind, and never kept
//! waiting by requests of another kind.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Method;
use hyper::body::Bytes;
use hyper::http::request::Parts;

use super::clerks::{Answered, Clerks, unharmed};
use super::pool::{Lent, Pool};
use super::query::{Query, QueryError};
use super::reply::Reply;
use super::{BOOT_MANAGER, Shared, Worker};
use crate::access::{Client, client_address};
use crate::registry::Registry;

/// Longest body, in bytes.
const MAX_BODY: usize = hps_core::kv::MAX_BYTES;
/// Longest body of an inventory, in bytes.
const MAX_INVENTORY: usize = hps_core::kv::MAX_BLOCKS_BYTES;
/// How many requests of nodes wait for a registry, of either kind: forty nodes may all have
/// been switched on at once. And of people.
const QUEUE: usize = 96;
const PEOPLE_QUEUE: usize = 32;
/// How long they wait: longer than a registry may be locked.
const PATIENCE: Duration = Duration::from_secs(15);
/// How many listings may be on their way at a time, as many more waiting for so long. Each is in
/// memory until its client has taken it.
const LISTINGS: usize = 8;
const LISTING_PATIENCE: Duration = Duration::from_secs(1);
/// What somebody is told who would have to wait too long.
const BUSY: &str = "too many requests at once; try again";

/// A request, read.
pub(super) struct Asked {
    pub(super) method: Method,
    /// With its query.
    pub(super) target: String,
    pub(super) path: String,
    pub(super) query: Result<Query, QueryError>,
    pub(super) client: Client,
    pub(super) body: Body,
}

/// Leave to send a listing.
#[derive(Debug)]
pub(super) struct Listing;

pub(super) enum Body {
    Read(Bytes),
    TooLong,
    Broken,
}

/// Who answers. A config is never kept waiting by what may take long: a report that waits for
/// another writer, a listing of everything.
pub(super) struct Office {
    pub(super) shared: Arc<Shared>,
    configs: Arc<Pool<Worker>>,
    reports: Arc<Pool<Worker>>,
    people: Clerks,
    listings: Arc<Pool<Listing>>,
}

/// How many workers there are for nodes, of either kind.
fn worker_count() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 8))
}

/// And for people: whatever they list, nodes keep half of the machine.
fn people_count() -> usize {
    worker_count() / 2
}

/// How many registries an office needs.
pub(super) fn registry_count() -> usize {
    2 * worker_count() + people_count()
}

impl Office {
    pub(super) fn new(
        shared: &Arc<Shared>,
        mut registries: Vec<Registry>,
    ) -> std::io::Result<Self> {
        let mut workers = |count: usize| -> Vec<_> {
            let rest = registries.len().saturating_sub(count);
            let some = registries.split_off(rest).into_iter();
            let worker = |registry| Worker {
                shared: Arc::clone(shared),
                registry: RefCell::new(registry),
            };
            some.map(worker).collect()
        };
        let people = workers(people_count());
        Ok(Self {
            shared: Arc::clone(shared),
            configs: Pool::new(workers(worker_count()), QUEUE, PATIENCE),
            reports: Pool::new(workers(worker_count()), QUEUE, PATIENCE),
            people: Clerks::new(people, PEOPLE_QUEUE, PATIENCE)?,
            listings: Pool::new(
                (0..LISTINGS).map(|_| Listing).collect(),
                LISTINGS,
                LISTING_PATIENCE,
            ),
        })
    }

    /// What somebody asks for; its body is still to come.
    pub(super) fn ask(&self, head: &Parts, peer: Option<SocketAddr>) -> Asked {
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
    pub(super) fn answer(&self, asked: Asked) -> (Reply, Option<Lent<Listing>>) {
        let began = Instant::now();
        let listing = asked.is_for_listing().then(|| self.listings.take());
        let (route, reply) = match listing {
            Some(None) => busy(),
            Some(Some(_)) | None => self.answer_by(asked),
        };
        self.shared
            .metrics
            .count(route, reply.status, began.elapsed());
        (reply, listing.flatten())
    }

    fn answer_by(&self, asked: Asked) -> Answered {
        let pool = match asked.path.as_str() {
            BOOT_MANAGER if asked.is_for_config() => &self.configs,
            BOOT_MANAGER | "/healthz" => &self.reports,
            _ => return self.people.answer(asked).unwrap_or_else(busy),
        };
        let lent = pool.take();
        match (lent.as_ref().and_then(Lent::get), asked.path.as_str()) {
            (Some(worker), _) => unharmed(|| worker.answer(&asked)),
            (None, BOOT_MANAGER) => ("boot_manager", Reply::refusal(503, BUSY)),
            (None, _) => busy(),
        }
    }

    /// What may happen a thousand times a second is not told as often.
    pub(super) fn warn_once(&self, what: &str, error: &std::io::Error) {
        if self.shared.limiter.admits(Ipv4Addr::UNSPECIFIED.into()) {
            tracing::warn!(%error, "{what}");
        }
    }
}

/// To somebody who would have to wait too long.
fn busy() -> Answered {
    ("other", Reply::error(503, BUSY))
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
    pub(super) fn longest_body(&self) -> usize {
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

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}
