//! A listing is in memory until its client has taken all of it, so there are few at a time.
//! A slow client keeps its place only until another client wants one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore};

use super::slots::Slot;

/// Listings under way, and as many more that wait.
const MAX_LISTINGS: usize = 8;
const MAX_WAITING: usize = 8;
/// How long a client may take its listing undisturbed while another client waits.
const SHARE: Duration = Duration::from_secs(1);
/// How long the other one waits: longer than a share.
const WAIT: Duration = Duration::from_secs(3);
/// How often it looks for one that has had its share.
const POLL: Duration = Duration::from_millis(50);

/// The listings under way.
#[derive(Debug)]
pub(super) struct Listings {
    clients: Mutex<Vec<Arc<Slot>>>,
    freed: Notify,
    waiting: Semaphore,
}

/// A place for one listing, until it is dropped.
#[derive(Debug)]
pub(super) struct ListingGuard {
    listings: Arc<Listings>,
    client: Arc<Slot>,
}

impl Default for Listings {
    fn default() -> Self {
        Self {
            clients: Mutex::default(),
            freed: Notify::new(),
            waiting: Semaphore::new(MAX_WAITING),
        }
    }
}

impl Listings {
    /// A place; `None`: too many wait, or none became free in time.
    pub(super) async fn acquire(self: &Arc<Self>, client: &Arc<Slot>) -> Option<ListingGuard> {
        if let Some(guard) = self.try_acquire(client) {
            return Some(guard);
        }
        let _waiting = self.waiting.try_acquire().ok()?;
        let acquired = async {
            loop {
                if let Some(guard) = self.try_acquire(client) {
                    return guard;
                }
                self.evict_one();
                // Either is a reason to look again.
                let _ = tokio::time::timeout(POLL, self.freed.notified()).await;
            }
        };
        tokio::time::timeout(WAIT, acquired).await.ok()
    }

    fn try_acquire(self: &Arc<Self>, client: &Arc<Slot>) -> Option<ListingGuard> {
        let mut clients = self.clients();
        if clients.len() >= MAX_LISTINGS {
            return None;
        }
        clients.push(Arc::clone(client));
        let (listings, client) = (Arc::clone(self), Arc::clone(client));
        Some(ListingGuard { listings, client })
    }

    /// Ends the connection that has taken its listing longest, past its share.
    fn evict_one(&self) {
        let clients = self.clients();
        let since = |client: &Arc<Slot>| client.answering_since();
        let slowest = clients
            .iter()
            .filter_map(|client| Some((since(client)?, client)));
        if let Some((since, client)) = slowest.min_by_key(|(since, _)| *since)
            && since.elapsed() > SHARE
        {
            client.end();
        }
    }

    /// A panic leaves nothing half done: each change is one call.
    fn clients(&self) -> MutexGuard<'_, Vec<Arc<Slot>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ListingGuard {
    fn drop(&mut self) {
        let mut clients = self.listings.clients();
        if let Some(at) = clients
            .iter()
            .position(|one| Arc::ptr_eq(one, &self.client))
        {
            clients.swap_remove(at);
        }
        drop(clients);
        self.listings.freed.notify_one();
    }
}

struct Listing {
    body: Bytes,
    _place: ListingGuard,
}

impl AsRef<[u8]> for Listing {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

/// The body with its place, which becomes free when the client has taken the last byte.
pub(super) fn with_place(body: Bytes, place: ListingGuard) -> Bytes {
    let _place = place;
    Bytes::from_owner(Listing { body, _place })
}
