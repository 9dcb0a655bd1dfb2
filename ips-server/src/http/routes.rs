//! Every endpoint, in one table; and what all of them have in common: limits, errors,
//! authorisation, metrics.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request};
use axum::http::Method;
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use hyper::body::Body as _;

use super::auth::{Access, authorize};
use super::boot_manager::{self, config, inventory, log_message, report};
use super::call::Call;
use super::connection::Connection;
use super::dispatch::Class;
use super::listings;
use super::query::Query;
use super::reply::{Answer, Failure, Format, Reply};
use super::request::{ApiRequest, BodyError, Head};
use super::slots::Phase;
use super::{Server, healthz, metrics, nodes, operations, vms};
use crate::registry::Registry;

/// Longest request target, in bytes.
const MAX_TARGET: usize = 8 * 1024;
/// Longest body, in bytes; and of an inventory that comes with a token.
const MAX_BODY: usize = hps_core::kv::MAX_BYTES;
const MAX_INVENTORY: usize = hps_core::kv::MAX_BLOCKS_BYTES;

/// Installed nodes post without a body, too.
const COMMAND_METHODS: Methods = Methods::GetPost;

/// One endpoint.
pub(super) struct Route {
    path: &'static str,
    /// Which command of the path, where it has several.
    pub(super) command: &'static str,
    methods: Methods,
    access: Access,
    max_body: usize,
    class: Class,
    /// Whether the answer may be long.
    is_listing: bool,
    handler: Handler,
    /// The `route` label of the metrics.
    label: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Methods {
    GetPost,
    GetHead,
}

type Handler = fn(&mut Call<'_>) -> Answer;

/// The commands of the IPS command interface, as installed nodes speak it.
#[rustfmt::skip]
pub(super) static COMMANDS: [Route; 4] = [
    command("get_config",  Access::Config,    MAX_BODY,      Class::Config, config::get),
    command("report",      Access::Operation, MAX_BODY,      Class::Report, report::post),
    command("inventory",   Access::Inventory, MAX_INVENTORY, Class::Report, inventory::post),
    command("log_message", Access::Log,       MAX_BODY,      Class::Report, log_message::post),
];

/// What people and monitoring read.
#[rustfmt::skip]
static PEOPLE: [Route; 6] = [
    people("/healthz",       Class::Health, healthz::get,       "healthz"),
    people("/metrics",       Class::People, metrics::get,       "metrics"),
    people("/v1/vms",        Class::People, vms::list,          "vms").listing(),
    people("/v1/vms/{*vm}",  Class::People, vms::get,           "vm"),
    people("/v1/operations", Class::People, operations::list,   "operations").listing(),
    people("/v1/nodes",      Class::People, nodes::list,        "nodes"),
];

const fn command(
    command: &'static str,
    access: Access,
    max_body: usize,
    class: Class,
    handler: Handler,
) -> Route {
    Route {
        path: boot_manager::PATH,
        command,
        methods: COMMAND_METHODS,
        access,
        max_body,
        class,
        is_listing: false,
        handler,
        label: "boot_manager",
    }
}

const fn people(path: &'static str, class: Class, handler: Handler, label: &'static str) -> Route {
    Route {
        path,
        command: "",
        methods: Methods::GetHead,
        access: Access::People,
        max_body: MAX_BODY,
        class,
        is_listing: false,
        handler,
        label,
    }
}

impl Route {
    const fn listing(mut self) -> Self {
        self.is_listing = true;
        self
    }
}

/// The table as axum's router.
pub(super) fn router(server: &Arc<Server>) -> Router {
    let endpoint = |select: Select| {
        let server = Arc::clone(server);
        move |Extension(connection): Extension<Connection>, request: Request| {
            let server = Arc::clone(&server);
            async move { answer(&server, select, &connection, request).await }
        }
    };
    let mut router = Router::new()
        .route(boot_manager::PATH, any(endpoint(Select::Command)))
        .fallback(endpoint(Select::Unknown));
    for route in &PEOPLE {
        router = router.route(route.path, any(endpoint(Select::Only(route))));
    }
    router
}

/// How a path finds its route.
#[derive(Clone, Copy)]
enum Select {
    Only(&'static Route),
    /// By the query.
    Command,
    Unknown,
}

impl Select {
    fn route(self, head: &Head) -> Result<&'static Route, Failure> {
        match self {
            Self::Only(route) => Ok(route),
            Self::Command => boot_manager::select(&head.query),
            Self::Unknown => Err(Failure::refused(404, "unknown path")),
        }
    }

    fn methods(self) -> Methods {
        match self {
            Self::Only(route) => route.methods,
            Self::Command => COMMAND_METHODS,
            Self::Unknown => Methods::GetHead,
        }
    }

    fn format(self) -> Format {
        match self {
            Self::Command => Format::KeyValue,
            Self::Only(_) | Self::Unknown => Format::Json,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Only(route) => route.label,
            Self::Command => "boot_manager",
            Self::Unknown => "other",
        }
    }
}

async fn answer(
    server: &Arc<Server>,
    select: Select,
    connection: &Connection,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let head = Head::new(parts, connection, &server.settings.trusted_proxy);
    let route = select.route(&head);
    let body = read_body(&head, route.as_ref().ok().copied(), body, connection).await;
    connection.slot.enter(Phase::Working);
    let began = Instant::now();
    let answered = match checked(select, route, head, body) {
        Ok((route, request)) => run(server, route, request, connection).await,
        Err(failure) => Err(failure),
    };
    let reply = answered.unwrap_or_else(|failure| {
        let why = failure.why(server);
        Reply::error(select.format(), failure.status(), &why)
    });
    server
        .metrics
        .count(select.label(), reply.status, began.elapsed());
    connection.slot.enter(Phase::Answer);
    reply.into_response(select.methods().allow())
}

async fn read_body(
    head: &Head,
    route: Option<&Route>,
    body: Body,
    connection: &Connection,
) -> Result<Bytes, BodyError> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    connection.slot.enter(Phase::Body);
    // Only a client with a token may send a long one.
    let limit = match &head.client.token {
        Some(_) => route.map_or(MAX_BODY, |route| route.max_body),
        None => MAX_BODY,
    };
    head.read(body, limit).await
}

/// What can be refused without a registry.
fn checked(
    select: Select,
    route: Result<&'static Route, Failure>,
    mut head: Head,
    body: Result<Bytes, BodyError>,
) -> Result<(&'static Route, ApiRequest), Failure> {
    if head.target_length() > MAX_TARGET {
        return Err(Failure::refused(414, "the request target is too long"));
    }
    let is_known = !matches!(select, Select::Unknown);
    if is_known && !select.methods().include(&head.method) {
        return Err(Failure::refused(405, select.methods().error()));
    }
    let body = body.map_err(|error| match error {
        BodyError::TooLong => Failure::refused(413, "the body is too long"),
        BodyError::Broken => Failure::refused(400, "the body cannot be read"),
    })?;
    let query = std::mem::replace(&mut head.query, Ok(Query::default()));
    let query = query.map_err(|why| Failure::refused(400, format!("query: {why}")))?;
    Ok((route?, ApiRequest::new(head, query, body)))
}

/// Authorises and answers a request, in the place that its class has.
async fn run(
    server: &Arc<Server>,
    route: &'static Route,
    request: ApiRequest,
    connection: &Connection,
) -> Answer {
    if route.class == Class::Config
        && let Some(answer) = server
            .dispatcher
            .run_here(|registry| handle(server, route, &request, registry))
    {
        return answer;
    }
    let place = match route.is_listing {
        true => Some(
            server
                .listings
                .acquire(&connection.slot)
                .await
                .ok_or(Failure::Busy)?,
        ),
        false => None,
    };
    let shared = Arc::clone(server);
    let handler = move |registry: &mut Registry| handle(&shared, route, &request, registry);
    let mut reply = server.dispatcher.run(route.class, handler).await?;
    if let Some(place) = place {
        reply.body = listings::with_place(reply.body, place);
    }
    Ok(reply)
}

fn handle(server: &Server, route: &Route, request: &ApiRequest, registry: &mut Registry) -> Answer {
    let authorized = authorize(route.access, &request.client, &server.settings, registry)?;
    let answered = authorized.map_err(Failure::Denied).and_then(|grant| {
        (route.handler)(&mut Call {
            server,
            registry,
            request,
            grant,
        })
    });
    if let Err(Failure::Denied(denied)) = &answered {
        server.log_refusal(request, denied.reason());
    }
    answered
}

impl Methods {
    fn include(self, method: &Method) -> bool {
        match self {
            Self::GetPost => matches!(*method, Method::GET | Method::POST),
            Self::GetHead => matches!(*method, Method::GET | Method::HEAD),
        }
    }

    /// The header that goes with a 405.
    fn allow(self) -> &'static str {
        match self {
            Self::GetPost => "GET, POST",
            Self::GetHead => "GET, HEAD",
        }
    }

    fn error(self) -> &'static str {
        match self {
            Self::GetPost => "only GET and POST",
            Self::GetHead => "only GET and HEAD",
        }
    }
}
