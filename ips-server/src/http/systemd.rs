//! Notifications to systemd, or to another program that set NOTIFY_SOCKET: ready when requests
//! are answered, alive only while a real request to the server itself and a fresh look at the
//! registry both succeed. A plain thread: it has to work when the runtime does not.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use super::Server;
use crate::error::chain;
use crate::registry::Registry;

/// How long a request to the server itself may take.
const SELF_LIMIT: Duration = Duration::from_secs(5);
/// How often the wait for the next check looks whether the server stops.
const POLL: Duration = Duration::from_millis(100);

/// Where the server is reached from its own machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OwnAddress {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl OwnAddress {
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
    notify(&[
        NotifyState::Ready,
        NotifyState::Status(&format!("serving {address}")),
    ]);
}

/// No new requests; those under way are still answered.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Feeds the watchdog, where systemd asks for it, until the server stops.
///
/// # Errors
/// No thread could be started.
pub(super) fn start_watchdog(server: &Arc<Server>, address: OwnAddress) -> std::io::Result<()> {
    if let Some(limit) = sd_notify::watchdog_enabled() {
        let server = Arc::clone(server);
        let feed = move || feed_watchdog(&server, &address, limit);
        std::thread::Builder::new()
            .name("watchdog".to_owned())
            .spawn(feed)?;
    }
    Ok(())
}

fn feed_watchdog(server: &Server, address: &OwnAddress, limit: Duration) {
    // Twice within the limit, as sd_watchdog_enabled(3) advises.
    let pause = limit / 2;
    while !server.is_stopping.load(Ordering::Relaxed) {
        let began = Instant::now();
        match check(server, address) {
            Ok(()) => notify(&[NotifyState::Watchdog]),
            Err(why) => {
                tracing::error!(why, "self-check failed; the watchdog is not fed");
                notify(&[NotifyState::Status(&format!("self-check failed: {why}"))]);
            }
        }
        while began.elapsed() < pause && !server.is_stopping.load(Ordering::Relaxed) {
            std::thread::sleep(POLL.min(pause));
        }
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "NOTIFY_SOCKET: notifying the service manager failed");
    }
}

fn check(server: &Server, address: &OwnAddress) -> Result<(), String> {
    let status = request_health(address)
        .map_err(|error| format!("GET /healthz of the server itself: {error}"))?;
    // 403: the server's own address may not read it; the answer proves as much.
    if !matches!(status, 200 | 403) {
        return Err(format!(
            "GET /healthz of the server itself: status {status}"
        ));
    }
    let registry = Registry::open_existing(&server.settings.registry);
    registry
        .and_then(|registry| registry.ping())
        .map_err(|error| chain(&error))
}

fn request_health(address: &OwnAddress) -> std::io::Result<u16> {
    match address {
        OwnAddress::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, SELF_LIMIT)?;
            stream.set_read_timeout(Some(SELF_LIMIT))?;
            stream.set_write_timeout(Some(SELF_LIMIT))?;
            exchange(stream)
        }
        OwnAddress::Unix(path) => {
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
    status.ok_or_else(|| std::io::Error::other("the answer has no HTTP status"))
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
            let own = OwnAddress::tcp(listening.parse().unwrap());
            assert_eq!(own, OwnAddress::Tcp(reached.parse().unwrap()));
        }
    }
}
