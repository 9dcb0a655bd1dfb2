//! Who is connected: a bounded number, each with a thread of its own and with limits for
//! each thing it may be waited for. When all seats are taken, one who has never asked anything
//! goes, else whoever has been waited for longest: a flood of idle or slow clients costs those
//! clients their connections, and nobody else more than a moment.

use std::collections::HashMap;
use std::io::IoSlice;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::office::Listing;
use super::pool::Lent;
use super::stream::Stream;

/// How long a connection may say nothing between two requests: longer than nginx keeps one
/// open (60 s), so that it never sends into one that we are closing.
const IDLE_LIMIT: Duration = Duration::from_secs(75);
/// How long a request's head, and its body, may take from their first byte to their last.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
const BODY_LIMIT: Duration = Duration::from_secs(30);
/// How long it is waited for more of a body that nobody reads, so that the client sees why.
const LINGER: Duration = Duration::from_secs(1);
/// How long a newcomer may take to send a whole request before he is the first to go.
const WELCOME: Duration = Duration::from_secs(1);
/// How long a newcomer waits for a seat that is being made free.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a connection is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// A request to begin.
    Idle,
    /// The rest of its head.
    Head,
    /// Its body.
    Body,
    /// Nothing: we are at work.
    Working,
    /// Taking its answer.
    Answer,
    /// Taking its answer, with more of its request to come that nobody will read.
    LastAnswer,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Seat {
    stream: Stream,
    state: Mutex<(Phase, Instant)>,
    /// Leave to send what it is taking.
    listing: Mutex<Option<Lent<Listing>>>,
    has_asked: AtomicBool,
    is_leaving: AtomicBool,
}

impl Seat {
    fn new(stream: Stream) -> Self {
        Self {
            stream,
            state: Mutex::new((Phase::Idle, Instant::now())),
            listing: Mutex::default(),
            has_asked: AtomicBool::new(false),
            is_leaving: AtomicBool::new(false),
        }
    }

    /// It is waited for something else from now on.
    pub(super) fn enter(&self, phase: Phase) {
        if phase == Phase::Working {
            self.has_asked.store(true, Ordering::Relaxed);
        }
        *lock(&self.state) = (phase, Instant::now());
    }

    /// It is given a listing, until it has taken it or is gone.
    pub(super) fn hold(&self, listing: Option<Lent<Listing>>) {
        *lock(&self.listing) = listing;
    }

    /// Reads what the client sends, as long as it may be waited for.
    pub(super) fn read(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let (phase, since) = *lock(&self.state);
        let (phase, limit) = match phase {
            Phase::Idle => (phase, IDLE_LIMIT),
            // Answered: the next thing is another request.
            Phase::Answer | Phase::Working => {
                self.hold(None);
                self.enter(Phase::Idle);
                (Phase::Idle, IDLE_LIMIT)
            }
            Phase::LastAnswer => (phase, LINGER.saturating_sub(since.elapsed())),
            Phase::Head => (phase, HEAD_LIMIT.saturating_sub(since.elapsed())),
            Phase::Body => (phase, BODY_LIMIT.saturating_sub(since.elapsed())),
        };
        if limit.is_zero() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        let read = self.stream.read_within(buffer, limit)?;
        if phase == Phase::Idle && read > 0 {
            self.enter(Phase::Head);
        }
        Ok(read)
    }

    pub(super) fn write(&self, parts: &[IoSlice<'_>]) -> std::io::Result<usize> {
        self.stream.write(parts)
    }

    pub(super) fn shut(&self, how: Shutdown) {
        self.stream.shut(how);
    }

    fn leave(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
        self.shut(Shutdown::Both);
    }

    /// Since when it has been waited for; `None`: it is not to be given up.
    fn waited_for_since(&self) -> Option<Instant> {
        let (phase, since) = *lock(&self.state);
        let may_go = phase != Phase::Working && !self.is_leaving.load(Ordering::Relaxed);
        may_go.then_some(since)
    }

    /// It came a while ago, and has never sent a whole request.
    fn is_suspect(&self, since: Instant) -> bool {
        !self.has_asked.load(Ordering::Relaxed) && since.elapsed() > WELCOME
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Seats {
    most: usize,
    taken: Mutex<Taken>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    seats: HashMap<u64, Arc<Seat>>,
}

/// A seat until it is dropped.
#[derive(Debug)]
pub(super) struct Sitting {
    seats: Arc<Seats>,
    number: u64,
    pub(super) seat: Arc<Seat>,
}

impl Seats {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            taken: Mutex::default(),
            freed: Condvar::new(),
        }
    }

    /// A seat for a newcomer. `None`: all who sit are being answered.
    pub(super) fn take(self: &Arc<Self>, stream: Stream) -> Option<Sitting> {
        let until = Instant::now() + PATIENCE;
        let mut taken = lock(&self.taken);
        while taken.seats.len() >= self.most {
            taken.send_one_away();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let waited = self.freed.wait_timeout(taken, left);
            taken = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let (number, seat) = (taken.next, Arc::new(Seat::new(stream)));
        taken.next += 1;
        taken.seats.insert(number, Arc::clone(&seat));
        let seats = Arc::clone(self);
        Some(Sitting {
            seats,
            number,
            seat,
        })
    }

    /// Ends who has never asked anything, where there is no room for more files.
    pub(super) fn make_room(&self) {
        let taken = lock(&self.taken);
        for (since, seat) in taken.waiting() {
            if seat.is_suspect(since) {
                seat.leave();
            }
        }
    }

    /// Ends who is between two requests, and waits at most `limit` for the others to be answered.
    pub(super) fn drain(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let mut taken = lock(&self.taken);
        while !taken.seats.is_empty() {
            for seat in taken.seats.values() {
                if lock(&seat.state).0 == Phase::Idle {
                    // What it has sent already is still answered.
                    seat.shut(Shutdown::Read);
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let nap = left.min(Duration::from_millis(20));
            let waited = self.freed.wait_timeout(taken, nap);
            taken = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Taken {
    fn waiting(&self) -> impl Iterator<Item = (Instant, &Arc<Seat>)> {
        let all = self.seats.values();
        all.filter_map(|seat| Some((seat.waited_for_since()?, seat)))
    }

    fn send_one_away(&self) {
        let longest = self
            .waiting()
            .min_by_key(|(since, seat)| (!seat.is_suspect(*since), *since));
        if let Some((_, seat)) = longest {
            seat.leave();
        }
    }
}

impl Drop for Sitting {
    fn drop(&mut self) {
        self.seat.shut(Shutdown::Both);
        lock(&self.seats.taken).seats.remove(&self.number);
        self.seats.freed.notify_all();
    }
}

/// What another thread left in a panic is still right: each change is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn pair() -> (UnixStream, Stream) {
        let (client, server) = UnixStream::pair().unwrap();
        (client, Stream::Unix(server))
    }

    fn is_open(client: &mut UnixStream) -> bool {
        client.set_nonblocking(true).unwrap();
        client.read(&mut [0]).is_err()
    }

    #[test]
    fn a_newcomer_gets_the_seat_of_who_was_waited_for_longest() {
        let seats = Arc::new(Seats::new(2));
        let (mut first, stream) = pair();
        let one = seats.take(stream).unwrap();
        let (mut second, stream) = pair();
        let two = seats.take(stream).unwrap();
        one.seat.enter(Phase::Working);
        // Its thread ends when its connection does.
        let leaving = std::thread::spawn(move || {
            let end = two.seat.read(&mut [0]);
            assert_eq!(end.unwrap(), 0);
            drop(two);
        });
        let (_third, stream) = pair();
        let three = seats.take(stream).unwrap();
        leaving.join().unwrap();
        assert!(is_open(&mut first) && !is_open(&mut second));
        drop((one, three));
        assert!(!is_open(&mut first));
    }

    #[test]
    fn who_has_asked_stays_longer_than_who_never_did() {
        let seats = Arc::new(Seats::new(2));
        let (mut old, stream) = pair();
        let one = seats.take(stream).unwrap();
        one.seat.enter(Phase::Working);
        one.seat.enter(Phase::Answer);
        let (mut mute, stream) = pair();
        let two = seats.take(stream).unwrap();
        std::thread::sleep(WELCOME);
        std::thread::sleep(Duration::from_millis(10));
        lock(&seats.taken).send_one_away();
        assert!(is_open(&mut old) && !is_open(&mut mute));
        drop((one, two));
    }

    #[test]
    fn who_is_being_answered_keeps_his_seat() {
        let seats = Arc::new(Seats::new(1));
        let (mut client, stream) = pair();
        let sitting = seats.take(stream).unwrap();
        sitting.seat.enter(Phase::Working);
        assert!(seats.take(pair().1).is_none());
        assert!(is_open(&mut client));
    }

    #[test]
    fn at_the_end_who_says_nothing_is_not_waited_for() {
        let seats = Arc::new(Seats::new(3));
        let (_client, stream) = pair();
        let sitting = seats.take(stream).unwrap();
        let leaving = std::thread::spawn(move || {
            assert_eq!(sitting.seat.read(&mut [0]).unwrap(), 0);
        });
        let began = Instant::now();
        seats.drain(Duration::from_secs(20));
        assert!(began.elapsed() < Duration::from_secs(10));
        leaving.join().unwrap();
    }
}
