//! An answer, before it is HTTP.

use serde::Serialize;

/// Status, type and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    /// HTTP status.
    pub(super) status: u16,
    /// `Content-Type`.
    pub(super) content_type: &'static str,
    /// The body.
    pub(super) body: Vec<u8>,
}

/// Plain text, UTF-8.
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

impl Reply {
    /// 200 with a text.
    #[must_use]
    pub(super) fn text(body: impl Into<String>) -> Self {
        Self {
            status: 200,
            content_type: TEXT,
            body: body.into().into_bytes(),
        }
    }

    /// 200 with JSON.
    #[must_use]
    pub(super) fn json(value: &impl Serialize) -> Self {
        // Our own types always serialize: string keys, finite numbers.
        Self::json_text(serde_json::to_vec(value).unwrap_or_default())
    }

    /// 200 with what is JSON already.
    #[must_use]
    pub(super) fn json_text(body: Vec<u8>) -> Self {
        Self {
            status: 200,
            content_type: JSON,
            body,
        }
    }

    /// 204.
    #[must_use]
    pub(super) fn nothing() -> Self {
        Self {
            status: 204,
            content_type: TEXT,
            body: Vec::new(),
        }
    }

    /// The header that HTTP wants beside a status, where it wants one.
    #[must_use]
    pub(super) fn companion(&self) -> Option<(&'static str, &'static str)> {
        match self.status {
            401 => Some(("WWW-Authenticate", "Bearer")),
            405 if self.content_type == TEXT => Some(("Allow", "GET, POST")),
            405 => Some(("Allow", "GET, HEAD")),
            _ => None,
        }
    }

    /// A refusal to a node: `error=TEXT`.
    #[must_use]
    pub(super) fn refusal(status: u16, why: &str) -> Self {
        let body = hps_core::kv::line("error", why).into_bytes();
        Self {
            status,
            content_type: TEXT,
            body,
        }
    }

    /// A refusal to people and programs: `{"error": …}`.
    #[must_use]
    pub(super) fn error(status: u16, why: &str) -> Self {
        Self {
            status,
            ..Self::json(&serde_json::json!({ "error": why }))
        }
    }
}
