//! An answer, before it is HTTP; and why there is none.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{Response, StatusCode};
use bytes::Bytes;
use serde::Serialize;

use super::Server;
use super::auth::Denied;
use crate::registry::RegistryError;

/// Plain text, UTF-8.
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// Status, type and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
}

/// What a handler returns.
pub(super) type Answer = Result<Reply, Failure>;

/// How errors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `error=TEXT`, for nodes.
    KeyValue,
    /// `{"error": …}`, for people and programs.
    Json,
}

/// Why a request gets an error.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request is not as it must be.
    Refused(u16, Cow<'static, str>),
    /// The client may not have it.
    Denied(Denied),
    /// The registry failed.
    Registry(RegistryError),
    /// Too many requests of its class wait.
    Busy,
    /// The registry did not answer in time.
    TimedOut,
    /// A defect of this program.
    Panicked,
}

impl Reply {
    /// 200 with a text.
    pub(super) fn text(body: impl Into<String>) -> Self {
        Self::ok(TEXT, body.into())
    }

    /// 200 with JSON.
    pub(super) fn json(value: &impl Serialize) -> Self {
        // Our own types always serialize: string keys, finite numbers.
        Self::ok(JSON, serde_json::to_vec(value).unwrap_or_default())
    }

    /// 200 with what is JSON already.
    pub(super) fn json_text(body: Vec<u8>) -> Self {
        Self::ok(JSON, body)
    }

    /// 200.
    pub(super) fn ok(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status: 200,
            content_type,
            body: body.into(),
        }
    }

    /// 204.
    pub(super) fn no_content() -> Self {
        Self {
            status: 204,
            ..Self::ok(TEXT, Bytes::new())
        }
    }

    /// An error, as the client expects it.
    pub(super) fn error(format: Format, status: u16, why: &str) -> Self {
        let reply = match format {
            Format::KeyValue => Self::text(hps_core::kv::line("error", why)),
            Format::Json => Self::json(&serde_json::json!({ "error": why })),
        };
        Self { status, ..reply }
    }

    /// As HTTP; `allow` are the methods that a 405 names.
    pub(super) fn into_response(self, allow: &'static str) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        match self.status {
            401 => drop(headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            405 => drop(headers.insert(ALLOW, HeaderValue::from_static(allow))),
            _ => {}
        }
        response
    }
}

impl Failure {
    pub(super) fn refused(status: u16, why: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused(status, why.into())
    }

    /// The HTTP status.
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Refused(status, _) => *status,
            Self::Denied(denied) => denied.status(),
            Self::Registry(_) | Self::Busy | Self::TimedOut => 503,
            Self::Panicked => 500,
        }
    }

    /// What the client reads; a failure of the registry is logged.
    pub(super) fn why<'a>(&'a self, server: &Server) -> Cow<'a, str> {
        match self {
            Self::Refused(_, why) => Cow::Borrowed(why),
            Self::Denied(denied) => denied.reason().into(),
            Self::Registry(error) => server.log_registry_error(error).into(),
            Self::Busy => "too many requests at once; try again".into(),
            Self::TimedOut => "the registry did not answer in time; try again".into(),
            Self::Panicked => "internal error; please report this".into(),
        }
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self::Registry(error)
    }
}
