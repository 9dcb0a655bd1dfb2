//! Under a supervisor, without systemd as pid 1: readiness and watchdog by a NOTIFY_SOCKET
//! of the test's own, socket activation by the real systemd-socket-activate.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::{Duration, Instant};

use crate::harness::{Ips, kill, wait_for};

/// The supervisor's end of NOTIFY_SOCKET.
struct Supervisor(UnixDatagram);

impl Supervisor {
    fn of(ips: &mut Ips) -> Self {
        let path = ips.dir.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        ips.set("NOTIFY_SOCKET", path.to_str().unwrap());
        Self(socket)
    }

    /// The next message, if one arrives in time.
    fn next(&self, limit: Duration) -> Option<String> {
        self.0.set_read_timeout(Some(limit)).unwrap();
        let mut text = [0; 4096];
        let length = self.0.recv(&mut text).ok()?;
        Some(String::from_utf8_lossy(&text[..length]).into_owned())
    }

    fn wait(&self, what: &str) -> String {
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            if let Some(text) = self.next(Duration::from_secs(1))
                && text.contains(what)
            {
                return text;
            }
        }
        panic!("{what} did not come");
    }

    /// Whether such a message arrives within that time.
    fn says(&self, what: &str, within: Duration) -> bool {
        let until = Instant::now() + within;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if self
                .next(left.max(Duration::from_millis(1)))
                .is_some_and(|text| text.contains(what))
            {
                return true;
            }
        }
        false
    }
}

fn start(ips: &Ips) -> std::process::Child {
    let log = std::fs::File::create(ips.dir.join("supervised.log")).unwrap();
    let mut command = ips.command("ips-server");
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .stderr(log);
    command.spawn().unwrap()
}

fn healthz(mut stream: impl Read + Write) -> String {
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_notifies_ready_and_stopping() {
    let mut ips = Ips::new();
    let supervisor = Supervisor::of(&mut ips);
    let mut server = start(&ips);
    let ready = supervisor.wait("READY=1");
    let address = ready.split("STATUS=serving ").nth(1).unwrap().trim();
    let answer = healthz(TcpStream::connect(address).unwrap());
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(
        !supervisor.says("WATCHDOG", Duration::from_millis(300)),
        "no watchdog was asked for"
    );
    kill(server.id(), "TERM");
    supervisor.wait("STOPPING=1");
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

#[test]
fn a_registry_that_does_not_open_is_never_ready() {
    let mut ips = Ips::new();
    let supervisor = Supervisor::of(&mut ips);
    std::fs::write(
        ips.dir.join("registry.db"),
        "no database, but a letter to the editor",
    )
    .unwrap();
    let mut server = start(&ips);
    assert_eq!(server.wait().unwrap().code(), Some(1));
    assert!(!supervisor.says("READY", Duration::from_millis(200)));
}

#[test]
fn the_watchdog_is_fed_only_while_the_server_is_healthy() {
    let mut ips = Ips::new();
    let supervisor = Supervisor::of(&mut ips);
    ips.set("WATCHDOG_USEC", "400000");
    let mut server = start(&ips);
    supervisor.wait("READY=1");
    for _ in 0..3 {
        assert!(supervisor.says("WATCHDOG=1", Duration::from_secs(5)));
    }
    std::fs::rename(ips.dir.join("registry.db"), ips.dir.join("elsewhere.db")).unwrap();
    supervisor.wait("STATUS=self-check failed: ");
    assert!(
        !supervisor.says("WATCHDOG=1", Duration::from_millis(800)),
        "fed without a registry"
    );
    std::fs::rename(ips.dir.join("elsewhere.db"), ips.dir.join("registry.db")).unwrap();
    assert!(
        supervisor.says("WATCHDOG=1", Duration::from_secs(5)),
        "all is well again"
    );
    // The watchdog detects a server that hangs.
    kill(server.id(), "STOP");
    while supervisor.next(Duration::from_millis(100)).is_some() {}
    assert!(
        !supervisor.says("WATCHDOG=1", Duration::from_millis(800)),
        "fed while it hangs"
    );
    kill(server.id(), "KILL");
    server.wait().unwrap();
}

/// Starts the server through the real systemd-socket-activate.
#[expect(
    clippy::disallowed_methods,
    reason = "tests start the real programs as a user does"
)]
fn activated(ips: &Ips, listen: &[&str]) -> std::process::Child {
    let log = std::fs::File::create(ips.dir.join("activated.log")).unwrap();
    let mut command = std::process::Command::new("systemd-socket-activate");
    for address in listen {
        command.args(["-l", address]);
    }
    let registry = format!("IPS_REGISTRY={}", ips.dir.join("registry.db").display());
    command.args(["-E", &registry, "-E", "IPS_ENGINE=local"]);
    command
        .arg(ips.dir.join("bin/ips-server"))
        .args(["serve", "--listen", "127.0.0.1:1"]);
    command.stderr(log).spawn().unwrap()
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

#[test]
fn the_server_serves_a_socket_of_systemd() {
    let ips = Ips::new();
    let address = free_address();
    let mut server = activated(&ips, &[&address]);
    let stream = wait_for("the socket", || TcpStream::connect(&address).ok());
    let answer = healthz(stream);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    kill(server.id(), "TERM");
    assert_eq!(server.wait().unwrap().code(), Some(0));

    let path = ips.dir.join("activated.sock");
    let mut server = activated(&ips, &[path.to_str().unwrap()]);
    let stream = wait_for("the socket", || UnixStream::connect(&path).ok());
    let answer = healthz(stream);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    kill(server.id(), "TERM");
    assert_eq!(server.wait().unwrap().code(), Some(0));
    assert!(path.exists(), "the file is systemd's");
}

#[test]
fn two_activated_sockets_are_refused() {
    let ips = Ips::new();
    let (one, two) = (free_address(), free_address());
    let mut server = activated(&ips, &[&one, &two]);
    let _stream = wait_for("the socket", || TcpStream::connect(&one).ok());
    assert_eq!(server.wait().unwrap().code(), Some(1));
    let log = std::fs::read_to_string(ips.dir.join("activated.log")).unwrap();
    assert!(
        log.contains("socket activation gave 2 sockets; one is served"),
        "{log}"
    );
}
