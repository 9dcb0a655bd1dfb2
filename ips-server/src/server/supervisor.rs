//! What systemd (or whoever set NOTIFY_SOCKET) is told: ready only when requests are
//! answered, alive only when a real request to ourselves and a fresh look at the registry
//! both went well.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use super::Shared;
use crate::error::chain;
use crate::registry::Registry;

/// How long a request to ourselves may take.
const SELF_LIMIT: Duration = Duration::from_secs(5);
/// How long the wait for the next check may go without looking for the end.
const NAP: Duration = Duration::from_millis(100);

/// Where we can be reached from this very machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Reach {
    /// A listener on all addresses is reached over loopback.
    pub(super) fn tcp(mut listening: SocketAddr) -> Self {
        if listening.ip().is_unspecified() {
            listening.set_ip(match listening {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        Self::Tcp(listening)
    }
}

/// Requests are answered from now on.
pub(super) fn ready(address: &str) {
    tell(&[
        NotifyState::Ready,
        NotifyState::Status(&format!("serving {address}")),
    ]);
}

/// The end has come; requests under way are still answered.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("ending")]);
}

/// Feeds the watchdog, where there is one, until the server ends.
pub(super) fn feed_watchdog(shared: &Shared, reach: &Reach) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    // Twice within the limit, as sd_watchdog_enabled(3) advises.
    let pause = limit / 2;
    while !shared.stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        match check(shared, reach) {
            Ok(()) => tell(&[NotifyState::Watchdog]),
            Err(why) => {
                tracing::error!(why, "self-check failed; the watchdog is not fed");
                tell(&[NotifyState::Status(&format!("self-check failed: {why}"))]);
            }
        }
        while began.elapsed() < pause && !shared.stop.load(Ordering::Relaxed) {
            std::thread::sleep(NAP.min(pause));
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "NOTIFY_SOCKET: the supervisor could not be told");
    }
}

fn check(shared: &Shared, reach: &Reach) -> Result<(), String> {
    let status = ask(reach).map_err(|error| format!("GET /healthz of ourselves: {error}"))?;
    // 403: we listen on an address that may not read it; the answer proves as much.
    if !matches!(status, 200 | 403) {
        return Err(format!("GET /healthz of ourselves: status {status}"));
    }
    let registry = Registry::open_existing(&shared.settings.registry);
    registry
        .and_then(|registry| registry.ping())
        .map_err(|error| chain(&error))
}

fn ask(reach: &Reach) -> std::io::Result<u16> {
    match reach {
        Reach::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, SELF_LIMIT)?;
            stream.set_read_timeout(Some(SELF_LIMIT))?;
            stream.set_write_timeout(Some(SELF_LIMIT))?;
            exchange(stream)
        }
        Reach::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(SELF_LIMIT))?;
            stream.set_write_timeout(Some(SELF_LIMIT))?;
            exchange(stream)
        }
    }
}

fn exchange(mut stream: impl Read + Write) -> std::io::Result<u16> {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    // `HTTP/1.1 200 OK`
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    let status = std::str::from_utf8(&head)
        .ok()
        .and_then(|head| head.strip_prefix("HTTP/1.1 ")?.parse().ok());
    status.ok_or_else(|| std::io::Error::other("no HTTP status came back"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_over_loopback() {
        for (listening, reached) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("10.0.0.1:80", "10.0.0.1:80"),
        ] {
            let reach = Reach::tcp(listening.parse().unwrap());
            assert_eq!(reach, Reach::Tcp(reached.parse().unwrap()));
        }
    }
}
