//! Log limits: so many lines a minute for each client, and for all clients together, so that
//! strangers cannot flood the log. Suppressed lines are counted, and logged once a minute.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines a minute and client.
const LINES: u32 = 60;
/// Lines a minute for all clients.
const ALL_LINES: u32 = 1200;
const WINDOW: Duration = Duration::from_secs(60);

/// Counts lines by client.
#[derive(Debug)]
pub(super) struct LogLimit(Mutex<Window>);

/// The current minute.
#[derive(Debug)]
struct Window {
    since: Instant,
    lines: u32,
    suppressed: u32,
    by_client: HashMap<IpAddr, u32>,
}

impl Window {
    fn new(since: Instant) -> Self {
        Self {
            since,
            lines: 0,
            suppressed: 0,
            by_client: HashMap::new(),
        }
    }
}

impl Default for LogLimit {
    fn default() -> Self {
        Self(Mutex::new(Window::new(Instant::now())))
    }
}

impl LogLimit {
    /// Whether one more line is within the limits.
    pub(super) fn admits(&self, address: IpAddr) -> bool {
        self.admits_at(address, Instant::now())
    }

    fn admits_at(&self, address: IpAddr, now: Instant) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(window.since) >= WINDOW {
            if window.suppressed > 0 {
                tracing::warn!(
                    lines = window.suppressed,
                    "log lines of clients were suppressed in the last minute"
                );
            }
            *window = Window::new(now);
        }
        // The map has at most as many clients as lines.
        let in_all = window.lines < ALL_LINES;
        let count = window.by_client.get(&client(address)).copied().unwrap_or(0);
        let admitted = in_all && count < LINES;
        if admitted {
            window.lines += 1;
            window.by_client.insert(client(address), count + 1);
        } else {
            window.suppressed += 1;
        }
        admitted
    }
}

/// A client with one IPv6 address has all 2^64 of its network.
fn client(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(limit: &LogLimit, addresses: impl Iterator<Item = IpAddr>, at: Instant) -> usize {
        addresses
            .filter(|address| limit.admits_at(*address, at))
            .count()
    }

    fn v6(network: u64, host: u64) -> IpAddr {
        Ipv6Addr::from_bits((u128::from(network) << 64) | u128::from(host)).into()
    }

    #[test]
    fn one_client_is_limited_and_another_is_not() {
        let (limit, now) = (LogLimit::default(), Instant::now());
        let one = std::iter::repeat_n([10, 0, 0, 1].into(), 200);
        assert_eq!(admitted(&limit, one, now), LINES as usize);
        assert_eq!(
            admitted(&limit, (0..200).map(|host| v6(1, host)), now),
            LINES as usize,
            "an IPv6 network is one client"
        );
        assert!(limit.admits_at([10, 0, 0, 2].into(), now));
    }

    #[test]
    fn all_clients_together_are_limited_for_a_minute() {
        let (limit, now) = (LogLimit::default(), Instant::now());
        let many = || (0..100_000).map(|network| v6(network, 1));
        assert_eq!(admitted(&limit, many(), now), ALL_LINES as usize);
        assert!(limit.0.lock().unwrap().by_client.len() <= ALL_LINES as usize);
        assert_eq!(admitted(&limit, many(), now + WINDOW), ALL_LINES as usize);
    }
}
