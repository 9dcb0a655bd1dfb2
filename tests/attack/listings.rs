//! Clients that read a long listing slowly, and reconnect when they are cut off.

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::socket::sockopt::RcvBuf;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, connect, setsockopt, socket,
};

use crate::harness::{Ips, wait_for};

const ASK: &str = "GET /v1/vms HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
/// The maximum number of listings in progress.
const SLOW: usize = 8;
/// The size of each read, and the pause between reads.
const PART: usize = 20_000;
const PAUSE: Duration = Duration::from_secs(2);

/// An IPS whose listing exceeds every socket buffer.
fn with_long_listing() -> Ips {
    let mut ips = Ips::new();
    let title = "t".repeat(60_000);
    let all: String = (0..200)
        .map(|n| format!("vm_id=v{n}\nname=v{n}\ncpu_count=1\nram_mb=64\nprovision_method=virt-install\ntitle={title}\n\n"))
        .collect();
    assert_eq!(ips.with_input(&["import", "-"], &all).code, 0);
    ips.serve();
    ips
}

/// A connection with a small receive buffer.
fn narrow(port: u16) -> Option<TcpStream> {
    let fd: OwnedFd = socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .ok()?;
    setsockopt(&fd, RcvBuf, &8192).ok()?;
    let to = SockaddrIn::from(SocketAddrV4::new([127, 0, 0, 1].into(), port));
    connect(fd.as_raw_fd(), &to).ok()?;
    Some(TcpStream::from(fd))
}

#[derive(Default)]
struct Counts {
    began: AtomicUsize,
    cut_off: AtomicUsize,
}

/// Until `stop`: sends the request, reads slowly, reconnects when it is cut off.
fn take_slowly(port: u16, stop: &AtomicBool, counts: &Counts) {
    while !stop.load(Ordering::Relaxed) {
        let Some(mut stream) = narrow(port) else {
            continue;
        };
        if stream.write_all(ASK.as_bytes()).is_err() {
            continue;
        }
        let mut part = vec![0; PART];
        let mut is_first = true;
        while stream.read_exact(&mut part).is_ok() && !stop.load(Ordering::Relaxed) {
            counts
                .began
                .fetch_add(usize::from(is_first), Ordering::Relaxed);
            is_first = false;
            std::thread::sleep(PAUSE);
        }
        counts
            .cut_off
            .fetch_add(usize::from(!is_first), Ordering::Relaxed);
    }
}

fn fetch(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(ASK.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn slow_clients_block_no_listing_of_another_client() {
    let ips = with_long_listing();
    let (stop, counts) = (AtomicBool::new(false), Counts::default());
    std::thread::scope(|threads| {
        for _ in 0..SLOW {
            threads.spawn(|| take_slowly(ips.port, &stop, &counts));
        }
        wait_for("all slow clients to take their listings", || {
            (counts.began.load(Ordering::Relaxed) >= SLOW).then_some(())
        });
        let fetched: Vec<_> = (0..3)
            .map(|_| {
                let began = Instant::now();
                (fetch(ips.port), began.elapsed())
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        for (answer, took) in fetched {
            let answer = answer.unwrap();
            let status = answer.lines().next().unwrap_or_default();
            assert_eq!(status, "HTTP/1.1 200 OK", "after {took:?}");
            assert!(answer.ends_with("]") && answer.len() > 12_000_000);
            assert!(took < Duration::from_secs(10), "{took:?}");
        }
    });
    assert!(
        counts.cut_off.load(Ordering::Relaxed) > 0,
        "none was cut off"
    );
    assert!(!ips.server_log().contains("panic"), "{}", ips.server_log());
}
