//! Who answers what. One front thread takes every request and answers plain fetches of a
//! config itself; whatever may block (a body still to come, a write, a long listing) goes
//! to helpers. More threads at tiny_http's queue would steal each other's wake-ups: that
//! halves what a kept connection gets.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tiny_http::Request;

use super::listen::Listening;
use super::{BOOT_MANAGER, TICK, Worker, wants_upgrade};

/// Largest body that tiny_http has read before it hands a request over, in bytes.
const READ_AHEAD: usize = 1024;
/// How long requests that wait already are still taken up when the end has come.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The threads of a server.
pub(super) struct Crew(Vec<JoinHandle<()>>);

impl Crew {
    pub(super) fn start(listening: Listening, front: Worker, helpers: Vec<Worker>) -> Self {
        let (sender, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        let help = |worker: Worker| {
            let receiver = Arc::clone(&receiver);
            std::thread::spawn(move || help(&worker, &receiver))
        };
        let mut threads: Vec<_> = helpers.into_iter().map(help).collect();
        threads.push(std::thread::spawn(move || {
            stand_in_front(&front, &listening, &sender);
        }));
        Self(threads)
    }

    /// Waits until all have ended, at most `limit`: one may hang on a slow client.
    pub(super) fn drain(&self, limit: Duration) {
        let until = Instant::now() + limit;
        while !self.0.iter().all(JoinHandle::is_finished) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn stand_in_front(worker: &Worker, listening: &Listening, helpers: &Sender<Request>) {
    let take = |request: Request| {
        if is_quick(&request) {
            worker.answer_safely(request);
        } else {
            // There is always a helper; a request that is dropped is answered with 500.
            let _ = helpers.send(request);
        }
    };
    while !worker.shared.stop.load(Ordering::Relaxed) {
        if let Some(request) = listening.next(TICK) {
            take(request);
        }
    }
    // What had been read when the end came is answered; a client that goes on asking is
    // not waited for.
    let until = Instant::now() + LAST_WORDS;
    while Instant::now() < until
        && let Some(request) = listening.waiting()
    {
        take(request);
    }
}

/// Ends when the front has, and nothing is left to do.
fn help(worker: &Worker, requests: &Mutex<Receiver<Request>>) {
    let next = || {
        let receiver = requests.lock().unwrap_or_else(PoisonError::into_inner);
        receiver.recv().ok()
    };
    while let Some(request) = next() {
        worker.answer_safely(request);
    }
}

/// A fetch of a config that is here whole: nothing but a short read of the registry.
fn is_quick(request: &Request) -> bool {
    let query = request.url().strip_prefix(BOOT_MANAGER);
    let is_fetch = query.is_some_and(|query| query.contains("&get_config"));
    let is_whole = request
        .body_length()
        .is_none_or(|length| length <= READ_AHEAD)
        && !request
            .headers()
            .iter()
            .any(|header| header.field.equiv("Transfer-Encoding") || header.field.equiv("Expect"));
    is_fetch && is_whole && !wants_upgrade(request)
}
