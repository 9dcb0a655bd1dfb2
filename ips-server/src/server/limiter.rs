//! At most so many lines a minute for each address, so that a stranger cannot flood the log.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Lines a minute and address.
const LINES: u32 = 60;
const WINDOW: Duration = Duration::from_secs(60);
/// How many addresses are remembered; past it all are forgotten, and begin anew.
const ADDRESSES: usize = 4096;

/// Counts lines by address.
#[derive(Debug, Default)]
pub(super) struct Limiter(Mutex<HashMap<IpAddr, (Instant, u32)>>);

impl Limiter {
    /// Whether one more line is in bounds.
    pub(super) fn admits(&self, address: IpAddr) -> bool {
        let mut seen = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if seen.len() >= ADDRESSES && !seen.contains_key(&address) {
            seen.clear();
        }
        let now = Instant::now();
        let (since, count) = seen.entry(address).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= LINES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_cut_off_and_another_is_not() {
        let (limiter, one, other) = (
            Limiter::default(),
            [10, 0, 0, 1].into(),
            [10, 0, 0, 2].into(),
        );
        let admitted = (0..LINES * 2).filter(|_| limiter.admits(one)).count();
        assert_eq!(admitted, LINES as usize);
        assert!(limiter.admits(other));
    }
}
