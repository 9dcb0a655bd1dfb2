//! What a handler gets: the request, a registry of its class, and what the client may do.

use super::Server;
use super::request::ApiRequest;
use crate::registry::Registry;
use crate::registry::tokens::Grant;

/// One call of a handler.
pub(super) struct Call<'a> {
    pub(super) server: &'a Server,
    pub(super) registry: &'a mut Registry,
    pub(super) request: &'a ApiRequest,
    /// What the client's token grants; `None`: its network sufficed.
    pub(super) grant: Option<Grant>,
}
