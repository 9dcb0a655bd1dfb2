//! Connections to `ips-server` under stress: kept without free file descriptors, cut
//! off in the middle, open when the server stops.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ips_server::verbs::create;
use nix::fcntl::{FcntlArg, fcntl};

use crate::harness::{Ips, kill, wait_for};
use crate::open_operation::begin;

const ASK: &str = "GET /v1/operations HTTP/1.1\r\nHost: x\r\n\r\n";

fn connect(ips: &Ips) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", ips.port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    stream
}

/// Sends a request on a connection and reads one answer by its Content-Length.
fn answer(stream: &mut (impl Read + Write), request: &str) -> std::io::Result<String> {
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with("\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        text.push(char::from(byte[0]));
    }
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(text + &String::from_utf8(body).unwrap())
}

/// Takes the server's file descriptors until it cannot accept a connection.
fn starve(ips: &Ips) {
    let limit = |number: u32| {
        let pid = ips.server_pid();
        let done = ips.shell(&format!("prlimit --pid {pid} --nofile={number}:4096"));
        assert_eq!(done.code, 0, "{done:?}");
    };
    let used = std::fs::read_dir(format!("/proc/{}/fd", ips.server_pid())).unwrap();
    limit(u32::try_from(used.count()).unwrap() + 2);
    let hoard: Vec<_> = (0..20)
        .filter_map(|_| TcpStream::connect(("127.0.0.1", ips.port)).ok())
        .collect();
    wait_for("a connection to be refused", || {
        ips.server_log()
            .contains("accepting a connection failed")
            .then_some(())
    });
    drop(hoard);
    limit(1024);
}

#[test]
fn a_kept_connection_outlives_a_lack_of_files() {
    let mut ips = Ips::new();
    ips.serve();
    let mut kept = connect(&ips);
    assert!(answer(&mut kept, ASK).unwrap().starts_with("HTTP/1.1 200"));
    starve(&ips);
    wait_for("new connections to be answered", || {
        answer(&mut connect(&ips), ASK).ok()
    });
    for _ in 0..3 {
        let again = answer(&mut kept, ASK).expect("the old connection is answered too");
        assert!(again.starts_with("HTTP/1.1 200"), "{again}");
    }
}

#[test]
fn a_unix_socket_outlives_a_lack_of_files() {
    let ips = Ips::new();
    let socket = ips.dir.join("ips.sock");
    let log = std::fs::File::create(ips.dir.join("server.log")).unwrap();
    let mut server = ips
        .command("ips-server")
        .args(["serve", "--listen", &format!("unix:{}", socket.display())])
        .stderr(log)
        .spawn()
        .unwrap();
    let ask = || -> Option<String> {
        let mut stream = UnixStream::connect(&socket).ok()?;
        let limit = Some(Duration::from_secs(5));
        stream.set_read_timeout(limit).ok()?;
        answer(&mut stream, ASK).ok()
    };
    wait_for("the server", ask);
    let pid = server.id();
    ips.shell(&format!("prlimit --pid {pid} --nofile=1:4096"));
    let poke = UnixStream::connect(&socket).unwrap();
    wait_for("a connection to be refused", || {
        ips.server_log()
            .contains("accepting a connection failed")
            .then_some(())
    });
    drop(poke);
    ips.shell(&format!("prlimit --pid {pid} --nofile=1024:4096"));
    wait_for("an answer on the same socket", ask);
    kill(pid, "TERM");
    assert_eq!(server.wait().unwrap().code(), Some(0));
    assert!(!socket.exists(), "a socket without a listener");
}

#[test]
fn a_request_in_progress_at_sigterm_is_answered() {
    let mut ips = Ips::new();
    ips.serve();
    let body = "x".repeat(2000);
    let mut slow = connect(&ips);
    let head = "POST /cgi-bin/boot_manager.sh?cmd=vm&report=report HTTP/1.1\r\nHost: x\r\n";
    slow.write_all(format!("{head}Content-Length: 2000\r\n\r\n{}", &body[..1000]).as_bytes())
        .unwrap();
    // The rest arrives while the server waits for its requests to finish.
    std::thread::sleep(Duration::from_millis(100));
    kill(ips.server_pid(), "TERM");
    std::thread::sleep(Duration::from_millis(200));
    let answered = answer(&mut slow, &body[1000..]).unwrap();
    assert!(answered.starts_with("HTTP/1.1 401"), "{answered}");
}

#[test]
fn an_unfinished_request_does_not_delay_the_exit() {
    let mut ips = Ips::new();
    ips.serve();
    let mut stuck = connect(&ips);
    stuck
        .write_all(b"POST /cgi-bin/boot_manager.sh?cmd=vm&report=report HTTP/1.1\r\nContent-Length: 5000\r\n\r\n")
        .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let (code, took) = ips.end_server();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_long_answer_does_not_wait_for_acknowledgements() {
    let mut ips = Ips::new();
    ips.set("IPS_NODES_AUTH", "off")
        .set("IPS_NODES_ALLOW", "127.0.0.1");
    let text = "d".repeat(3000);
    ips.ok(&[
        "define", "--id", "a", "--name", "a", "--cpus", "1", "--ram", "64", "--title", &text,
    ]);
    ips.serve();
    let mut stream = connect(&ips);
    let ask = "GET /cgi-bin/boot_manager.sh?cmd=vm&get_config=get_config&vm_id=a HTTP/1.1\r\n\r\n";
    let mut times: Vec<_> = (0..50)
        .map(|_| {
            let began = Instant::now();
            let answer = answer(&mut stream, ask).unwrap();
            assert!(answer.contains(&text), "{answer}");
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    // A delayed acknowledgement is 40 ms, in every answer; a busy machine delays some of them.
    assert!(times[12] < Duration::from_millis(40), "{times:?}");
}

#[test]
fn unfinished_requests_block_no_config() {
    let mut ips = Ips::new();
    ips.set("IPS_NODES_AUTH", "off")
        .set("IPS_NODES_ALLOW", "127.0.0.1");
    ips.define("a");
    ips.serve();
    let stuck: Vec<_> = (0..30)
        .map(|n| {
            let mut stream = connect(&ips);
            let header = match n % 3 {
                0 => "Content-Length: 5000",
                1 => "Transfer-Encoding: chunked",
                _ => "Connection: upgrade",
            };
            let head = format!("POST /cgi-bin/boot_manager.sh?cmd=vm&get_config=get_config&vm_id=a HTTP/1.1\r\n{header}\r\n\r\n");
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(100));
    let ask = "GET /cgi-bin/boot_manager.sh?cmd=vm&get_config=get_config&vm_id=a HTTP/1.1\r\n\r\n";
    let answered = answer(&mut connect(&ips), ask).unwrap();
    assert!(answered.starts_with("HTTP/1.1 200"), "{answered}");
    drop(stuck);
    wait_for("the helpers to be free again", || {
        answer(&mut connect(&ips), ASK).ok()
    });
}

#[test]
fn clients_that_read_nothing_are_cut_off() {
    let mut ips = Ips::new();
    // A listing that exceeds every socket buffer.
    let text = "d".repeat(60_000);
    let stream: String = (0..200)
        .map(|n| format!("vm_id=v{n}\nname=v{n}\ncpu_count=1\nram_mb=64\nprovision_method=virt-install\ntitle={text}\n\n"))
        .collect();
    assert_eq!(ips.with_input(&["import", "-"], &stream).code, 0);
    ips.serve();
    let helpers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let deaf: Vec<_> = (0..helpers.clamp(2, 8))
        .map(|_| {
            let mut stream = connect(&ips);
            stream.write_all(b"GET /v1/vms HTTP/1.1\r\n\r\n").unwrap();
            stream
        })
        .collect();
    wait_for("all helpers to write to the deaf", || {
        // `sl local rem st tx:rx …`, numbers in hex.
        let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let port = format!(":{:04X}", ips.port);
        let full = sockets.lines().filter(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let queued = words.get(4).and_then(|queues| queues.split(':').next());
            words.get(1).is_some_and(|local| local.ends_with(&port))
                && queued.is_some_and(|hex| u32::from_str_radix(hex, 16).is_ok_and(|n| n > 100_000))
        });
        (full.count() == deaf.len()).then_some(())
    });
    wait_for("another client to be answered", || {
        answer(&mut connect(&ips), ASK).ok()
    });
    drop(deaf);
}

/// Forty nodes with two reports each during another write: all wait, none is refused.
#[test]
fn eighty_reports_wait_for_another_writer() {
    let mut ips = Ips::new();
    ips.define("a");
    ips.serve();
    let registry = ips.dir.join("registry.db");
    let operation = begin(&registry, "a", &create::SPEC, "box", None);
    let text = operation.report.to_text();
    let bearer = operation.bearer();
    let target = "/cgi-bin/boot_manager.sh?cmd=vm&report=report";
    let writer = rusqlite::Connection::open(&registry).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    std::thread::scope(|threads| {
        for _ in 0..80 {
            threads.spawn(|| {
                let answer = ips.ask("POST", target, &[&bearer], &text);
                assert_eq!(answer.status, 204, "{}", answer.body);
            });
        }
        std::thread::sleep(Duration::from_secs(1));
        writer.execute_batch("ROLLBACK").unwrap();
    });
}

/// Locks the bytes of the registry's index in which SQLite notes its readers: they then retry
/// for some ten seconds, and no time-out of SQLite ends that.
fn stall_readers(ips: &Ips) -> std::fs::File {
    let index = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(ips.dir.join("registry.db-shm"))
        .unwrap();
    // https://sqlite.org/walformat.html: WAL_READ_LOCK(0) to (4).
    let lock = nix::libc::flock {
        l_type: nix::libc::F_WRLCK.try_into().unwrap(),
        l_whence: nix::libc::SEEK_SET.try_into().unwrap(),
        l_start: 123,
        l_len: 5,
        l_pid: 0,
    };
    wait_for("the lock", || fcntl(&index, FcntlArg::F_SETLK(&lock)).ok());
    index
}

#[test]
fn a_stalled_registry_does_not_stop_other_requests() {
    let mut ips = Ips::new();
    ips.set("IPS_NODES_AUTH", "off")
        .set("IPS_NODES_ALLOW", "127.0.0.1");
    ips.define("a");
    ips.serve();
    let config = "/cgi-bin/boot_manager.sh?cmd=vm&get_config=get_config&vm_id=a";
    assert_eq!(ips.get(config).status, 200);
    let stalled = stall_readers(&ips);
    let is_answered = AtomicBool::new(false);
    std::thread::scope(|threads| {
        for _ in 0..20 {
            threads.spawn(|| {
                let answer = ips.get(config);
                is_answered.store(true, Ordering::Relaxed);
                assert_eq!(answer.status, 200, "{}", answer.body);
            });
        }
        std::thread::sleep(Duration::from_millis(500));
        for _ in 0..20 {
            let began = Instant::now();
            assert_eq!(ips.get("/nosuch").status, 404);
            let took = began.elapsed();
            assert!(took < Duration::from_secs(1), "{took:?}");
        }
        assert!(
            !is_answered.load(Ordering::Relaxed),
            "no reader was stalled"
        );
        drop(stalled);
    });
}
