//! The accept loop, and the drain at the end. Lack of files or memory ends connections that
//! never sent a request; it never ends the server.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};

use super::Server;
use super::connection::{self, Stream};
use super::listen::Listener;
use super::routes;
use super::slots::Slots;

/// Most connections at a time.
const MAX_CONNECTIONS: u64 = 256;
/// Files that are not connections: registries, the log, the runtime, the socket itself.
const OTHER_FILES: u64 = 40;
/// Pause after a failed accept.
const RETRY: Duration = Duration::from_millis(25);
/// How long requests under way may take once the server stops.
const DRAIN: Duration = Duration::from_millis(1500);
/// How often the drain looks for connections that became idle.
const DRAIN_POLL: Duration = Duration::from_millis(20);

/// Fewer where the process may open fewer files.
pub(super) fn max_connections() -> usize {
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    let max = files.saturating_sub(OTHER_FILES).clamp(8, MAX_CONNECTIONS);
    usize::try_from(max).unwrap_or(usize::MAX)
}

/// Serves each connection in a task of its own; never returns.
pub(super) async fn accept(listener: &Listener, slots: &Arc<Slots>, server: &Arc<Server>) {
    let router = routes::router(server);
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                server.log_failure("accepting a connection failed; trying again", &error);
                slots.end_suspects();
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        if let Stream::Tcp(stream) = &stream
            && stream.set_nodelay(true).is_err()
        {
            // Gone already.
            continue;
        }
        // Without a slot the connection is closed.
        if let Some(slot) = slots.acquire().await {
            let shared = Arc::clone(&slot);
            let task = connection::serve(Arc::clone(server), router.clone(), stream, peer, slot);
            shared.set_task(tokio::spawn(task).abort_handle());
        }
    }
}

/// Finishes the requests under way, within a limit, and closes the other connections.
pub(super) async fn drain(server: &Server, slots: &Slots) {
    server.is_stopping.store(true, Ordering::Relaxed);
    let idle_ended = async {
        while !slots.is_empty() {
            // First, so that a request which arrived just now is read.
            tokio::time::sleep(DRAIN_POLL).await;
            slots.end_idle();
        }
    };
    // Past the limit the process ends, and they with it.
    let _ = tokio::time::timeout(DRAIN, idle_ended).await;
}
