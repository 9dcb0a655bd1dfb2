//! A request as handlers see it, with its body read.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, EXPECT, HeaderName};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;

use super::auth::{Client, client_address};
use super::connection::Connection;
use super::query::{Query, QueryError};
use crate::settings::Network;

/// How long the rest of a refused body is read, so that the client sees why it was refused
/// before the connection closes.
const LINGER: Duration = Duration::from_secs(1);

/// A request.
#[derive(Debug)]
pub(super) struct ApiRequest {
    uri: Uri,
    pub(super) query: Query,
    pub(super) client: Client,
    pub(super) body: Bytes,
}

/// The head of a request.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) query: Result<Query, QueryError>,
    pub(super) client: Client,
    expects_continue: bool,
}

/// Why a body is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    TooLong,
    Broken,
}

impl ApiRequest {
    pub(super) fn new(head: Head, query: Query, body: Bytes) -> Self {
        Self {
            uri: head.uri,
            query,
            client: head.client,
            body,
        }
    }

    pub(super) fn path(&self) -> &str {
        self.uri.path()
    }
}

impl Head {
    pub(super) fn new(parts: Parts, connection: &Connection, trusted: &[Network]) -> Self {
        let headers = &parts.headers;
        let token = last(headers, &AUTHORIZATION)
            .as_deref()
            .and_then(bearer)
            .map(str::to_owned);
        let forwarded_for = HeaderName::from_static("x-forwarded-for");
        let address = client_address(
            connection.peer.map(|peer| peer.ip()),
            last(headers, &forwarded_for).as_deref(),
            trusted,
        );
        Self {
            query: Query::parse(parts.uri.query().unwrap_or_default()),
            client: Client { address, token },
            expects_continue: headers.contains_key(EXPECT),
            method: parts.method,
            uri: parts.uri,
        }
    }

    /// Path and query, in bytes.
    pub(super) fn target_length(&self) -> usize {
        self.uri
            .path_and_query()
            .map_or(0, |target| target.as_str().len())
    }

    /// Reads the body. One that is announced as too long is not waited for.
    pub(super) async fn read(&self, mut body: Body, limit: usize) -> Result<Bytes, BodyError> {
        let is_announced = body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX);
        let read = match is_announced {
            true => Err(BodyError::TooLong),
            false => match Limited::new(&mut body, limit).collect().await {
                Ok(read) => Ok(read.to_bytes()),
                Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLong),
                Err(_) => Err(BodyError::Broken),
            },
        };
        // Reading would tell a client that asked whether to send its body to send it.
        if read == Err(BodyError::TooLong) && !self.expects_continue {
            tokio::spawn(tokio::time::timeout(LINGER, discard(body)));
        }
        read
    }
}

async fn discard(mut body: Body) {
    while let Some(Ok(_)) = body.frame().await {}
}

/// The last of several: what the proxy in front of us added comes last.
fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<std::borrow::Cow<'a, str>> {
    let last = headers.get_all(name).iter().next_back()?;
    Some(String::from_utf8_lossy(last.as_bytes()))
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}
