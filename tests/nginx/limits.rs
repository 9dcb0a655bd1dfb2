//! What nginx keeps from the server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::wait_for;
use crate::site::Site;

const BOOT: &str = "/cgi-bin/boot_manager.sh?cmd=vm&report=report";

/// Our files with short times for a test: seconds, where the package has tens of seconds.
fn with_short_times(text: &str) -> String {
    text.replace("client_header_timeout 15s", "client_header_timeout 1s")
        .replace("client_body_timeout 10s", "client_body_timeout 1s")
}

#[test]
fn too_large_requests_never_reach_the_server() {
    let site = Site::new();
    let file = site.ips.dir.join("large");
    let data = format!("@{}", file.display());
    // Above the site's own limit (1 MB by default), and above ours for our own routes.
    for (bytes, target) in [(1_100_000, BOOT), (66_000, "/v1/vms")] {
        std::fs::write(&file, "x".repeat(bytes)).unwrap();
        assert_eq!(
            site.curl(&["--data-binary", &data], target).0,
            413,
            "{target}"
        );
    }
    let header = format!("X-Long: {}", "x".repeat(40 * 1024));
    assert_eq!(site.curl(&["-H", &header], "/healthz").0, 400);
    let target = format!("/v1/vms/{}", "x".repeat(40 * 1024));
    assert_eq!(site.curl(&[], &target).0, 414);
    let many: Vec<String> = (0..4000).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let answer =
        site.raw(format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{}\r\n", many.concat()).as_bytes());
    assert!(
        answer.starts_with("HTTP/1.1 400"),
        "{}",
        &answer[..answer.len().min(60)]
    );
    assert_eq!(site.upstream.load(std::sync::atomic::Ordering::Relaxed), 0);
    // Between the two limits the server itself refuses.
    std::fs::write(&file, "x".repeat(66_000)).unwrap();
    assert_eq!(site.curl(&["--data-binary", &data], BOOT).0, 413);
    assert_eq!(site.curl(&[], "/healthz").0, 200);
}

#[test]
fn a_slow_client_is_cut_off_and_costs_the_server_nothing() {
    let site = Site::with(&with_short_times, "");
    for part in [
        "GET /healthz HTT".to_owned(),
        format!("POST {BOOT} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc"),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", site.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream.write_all(part.as_bytes()).unwrap();
        let began = Instant::now();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(began.elapsed() < Duration::from_secs(8), "{part}");
    }
    assert_eq!(
        site.upstream.load(std::sync::atomic::Ordering::Relaxed),
        0,
        "they waited at nginx"
    );
}

#[test]
fn a_flood_from_one_address_leaves_another_address_served() {
    let site = Site::new();
    let floods: Vec<_> = (0..4)
        .map(|_| {
            let port = site.port;
            std::thread::spawn(move || (0..120).filter(|_| status(port) == 503).count())
        })
        .collect();
    let other = site.curl(&["--interface", "127.0.0.3"], "/healthz").0;
    let cut: usize = floods.into_iter().map(|flood| flood.join().unwrap()).sum();
    assert!(cut > 0, "480 requests at once are more than 50 a second");
    assert_eq!(other, 200);
}

#[test]
fn many_connections_of_one_address_leave_another_served() {
    let site = Site::new();
    let target = "/v1/vms";
    // Each is counted once its headers are complete; the body never comes.
    let held: Vec<_> = (0..32)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", site.port)).unwrap();
            let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    wait_for("the limit", || (status(site.port) == 503).then_some(()));
    assert_eq!(site.curl(&["--interface", "127.0.0.3"], target).0, 200);
    let log = std::fs::read_to_string(site.ips.dir.join("nginx.err")).unwrap();
    assert!(log.contains("limiting connections by zone"), "{log}");
    assert!(!log.contains("limiting requests"), "{log}");
    assert_eq!(site.curl(&[], "/x").1, "old CGI: GET /x");
    drop(held);
    wait_for("its end", || (status(site.port) == 200).then_some(()));
}

fn status(port: u16) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}
