//! Hostile paths, queries, framings and tokens: an unauthorised client gets no config and changes
//! nothing, and honest nodes on the same connections get their own answers. Each case alone and
//! behind nginx.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ips_server::verbs::create;

use crate::harness::Ips;
use crate::open_operation::{Operation, begin};
use crate::site::Site;

const CGI: &str = "/cgi-bin/boot_manager.sh";
const FETCH: &str = "/cgi-bin/boot_manager.sh?cmd=vm&get_config=get_config&vm_id=a";
const REPORT: &str = "/cgi-bin/boot_manager.sh?cmd=vm&report=report";
/// A text that only the node of an open operation on VM `a` may read.
const SECRET: &str = "title=for-its-node-alone";
/// An answer is complete after this long without more of it.
const SILENCE: Duration = Duration::from_millis(150);
/// As nginx forwards a stranger's address.
const STRANGER: &str = "X-Forwarded-For: 192.0.2.66";

/// An IPS, and the endpoint of its clients.
enum Door {
    Alone(Ips),
    BehindNginx(Site),
}

impl Door {
    /// nginx forwards every address as a stranger's.
    fn behind_nginx() -> Self {
        let strange = |text: &str| {
            text.replace("X-Forwarded-For $remote_addr", "X-Forwarded-For 192.0.2.66")
                .replace("rate=50r/s", "rate=10000r/s")
        };
        Self::BehindNginx(Site::of(with_vms(), &strange, ""))
    }

    fn ips(&self) -> &Ips {
        match self {
            Self::Alone(ips) => ips,
            Self::BehindNginx(site) => &site.ips,
        }
    }

    fn port(&self) -> u16 {
        match self {
            Self::Alone(ips) => ips.port,
            Self::BehindNginx(site) => site.port,
        }
    }

    fn registry(&self) -> PathBuf {
        self.ips().dir.join("registry.db")
    }

    /// Sends bytes as they are; returns the answer once the other side closes, or is silent for
    /// a while.
    fn send(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port())).unwrap();
        stream.set_read_timeout(Some(SILENCE)).unwrap();
        let _ = stream.write_all(request);
        let (mut all, mut part) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = stream.read(&mut part) {
            all.extend_from_slice(&part[..count]);
        }
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Sends a request with these headers; returns the status of the answer.
    fn ask(&self, method: &str, target: &str, headers: &[&str], body: &str) -> (u16, String) {
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n",
            body.len()
        );
        for header in headers.iter().filter(|header| !header.is_empty()) {
            head = head + header + "\r\n";
        }
        let answer = self.send(format!("{head}\r\n{body}").as_bytes());
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.unwrap_or(0), answer)
    }

    fn report(&self, operation: &Operation, text: &str) -> u16 {
        self.ask("POST", REPORT, &[STRANGER, &operation.bearer()], text)
            .0
    }

    /// Everything that a stranger might change.
    fn state(&self) -> String {
        let tables = self.ips().shell(
            "sqlite3 registry.db 'select * from vm; select * from operation; select * from task; select * from step; \
             select hex(hash), session from token; select * from node; select * from conflict; \
             select count(*) from audit'",
        );
        assert_eq!(tables.code, 0, "{tables:?}");
        tables.out
    }

    /// A node fetches its config, on one connection, three times.
    fn is_honest(&self, operation: &Operation, after: &str) {
        let request = |more: &str| {
            format!(
                "POST {FETCH} HTTP/1.1\r\nHost: x\r\n{STRANGER}\r\n{}\r\n{more}Content-Length: 0\r\n\r\n",
                operation.bearer()
            )
        };
        let all = request("").repeat(2) + &request("Connection: close\r\n");
        let mut stream = TcpStream::connect(("127.0.0.1", self.port())).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(15)))
            .unwrap();
        stream.write_all(all.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(
            answer.matches("HTTP/1.1 200").count(),
            3,
            "{after}: {answer}"
        );
        assert_eq!(answer.matches(SECRET).count(), 3, "{after}: {answer}");
    }
}

fn with_vms() -> Ips {
    let mut ips = Ips::new();
    for id in ["a", "b", "c"] {
        let title = if id == "a" {
            SECRET.trim_start_matches("title=")
        } else {
            "t"
        };
        ips.ok(&[
            "define", "--id", id, "--name", id, "--cpus", "1", "--ram", "64", "--title", title,
        ]);
    }
    ips.serve();
    ips
}

fn both(test: impl Fn(&Door)) {
    test(&Door::Alone(with_vms()));
    test(&Door::behind_nginx());
}

#[test]
fn a_stranger_gets_nothing_by_any_path_or_spelling() {
    both(|door| {
        let before = door.state();
        let query = FETCH.trim_start_matches(CGI);
        let mut targets: Vec<String> = [
            "/v1/vms",
            "/v1/vms/a",
            "/v1/vms/a/",
            "/v1/vms/../vms/a",
            "/v1/vms/%61",
            "/v1//vms",
            "//v1/vms",
            "/./v1/vms",
            "/v1/./vms",
            "/v1/vms;x",
            "/V1/VMS",
            "/v1/vms?cmd=vm",
            "/v1/vms#",
            "/v1%2fvms",
            "/v1/vms/..%2fvms%2fa",
            "/v1/operations",
            "/v1/nodes",
            "/metrics",
            "//metrics",
            "/metrics/",
            "/%6detrics",
            "http://x/v1/vms",
            "http://127.0.0.1/v1/vms/a",
            "/etc/passwd",
            "/v1/vms/../../../../etc/passwd",
            "/v1/vms/..%2f..%2fetc%2fpasswd",
            "*",
            "x",
            "\\v1\\vms",
            "/v1/vms/a%00",
            "/v1/vms/a%0d%0aX: y",
            "/registry.db",
            "/healthz/../v1/vms",
        ]
        .map(str::to_owned)
        .to_vec();
        for path in [
            "/cgi-bin/boot_manager.sh",
            "//cgi-bin/boot_manager.sh",
            "/cgi-bin//boot_manager.sh",
            "/cgi-bin/./boot_manager.sh",
            "/x/../cgi-bin/boot_manager.sh",
            "/cgi-bin/boot_manager.sh/",
            "/cgi-bin/boot_manager.sh%00",
            "/CGI-BIN/boot_manager.sh",
            "/cgi-bin%2fboot_manager.sh",
            "/cgi-bin/boot%5fmanager.sh",
            "http://x/cgi-bin/boot_manager.sh",
        ] {
            targets.push(format!("{path}{query}"));
        }
        for method in [
            "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH",
        ] {
            for target in &targets {
                let (status, answer) = door.ask(method, target, &[STRANGER], "");
                let case = format!("{method} {target}: {status}: {answer}");
                assert!(!answer.contains("for-its-node-alone"), "{case}");
                assert!(!answer.contains("root:"), "{case}");
                assert!(
                    !answer.contains("\"vm_id\"") && !answer.contains("hps_"),
                    "{case}"
                );
            }
        }
        assert_eq!(door.state(), before);
    });
}

#[test]
fn every_byte_in_a_value_is_refused_or_taken_literally() {
    both(|door| {
        let operation = begin(&door.registry(), "a", &create::SPEC, "box", None);
        let before = door.state();
        for byte in 0..=255u8 {
            // As it is, if a request line can contain it, and encoded.
            let plain =
                (byte > b' ' && byte < 0x7f && byte != b'#').then(|| char::from(byte).to_string());
            for text in plain
                .iter()
                .chain([&format!("%{byte:02x}"), &format!("%{byte:02X}x")])
            {
                for target in [
                    format!("{CGI}?cmd=vm&get_config=get_config&vm_id={text}"),
                    format!("{CGI}?cmd={text}&get_config=get_config&vm_id=a"),
                    format!("{CGI}?cmd=vm&get_config={text}&vm_id=a{text}"),
                    format!("{CGI}?cmd=vm&report={text}"),
                    format!("{CGI}?cmd=vm&{text}=get_config&vm_id=a"),
                ] {
                    let (status, answer) = door.ask("GET", &target, &[STRANGER], "");
                    assert!(!answer.contains("for-its-node-alone"), "{target}: {answer}");
                    assert!(
                        matches!(status, 200 | 400 | 401 | 403 | 404)
                            && (status != 200 || answer.contains("old CGI")),
                        "{target}: {answer}"
                    );
                }
            }
        }
        assert_eq!(door.state(), before);
        door.is_honest(&operation, "every byte");
    });
}

/// Each token is valid for one purpose, while its operation is open, for its own node.
#[test]
fn a_token_is_valid_for_its_own_operation_only() {
    both(|door| {
        let registry = door.registry();
        let own = begin(&registry, "a", &create::SPEC, "tch-001", None);
        let other = begin(&registry, "b", &create::SPEC, "tch-002", None);
        let elsewhere = begin(
            &registry,
            "c",
            &create::SPEC,
            "tch-003",
            Some("192.0.2.7 192.0.2.8"),
        );
        let fetch = |headers: &[&str]| {
            let all = [&[STRANGER], headers].concat();
            let (status, answer) = door.ask("GET", FETCH, &all, "");
            assert!(
                status == 200 || !answer.contains("for-its-node-alone"),
                "{answer}"
            );
            status
        };
        assert_eq!(fetch(&[&own.bearer()]), 200);
        assert_eq!(fetch(&[]), 401);
        assert_eq!(fetch(&[&other.bearer()]), 403, "another VM's");
        assert_eq!(fetch(&[&elsewhere.bearer()]), 403, "another node's address");
        let token = &own.token;
        for wrong in [
            "Authorization: Bearer".to_owned(),
            "Authorization: Bearer ".to_owned(),
            format!("Authorization: Basic {token}"),
            format!("Authorization: {token}"),
            format!("Authorization: Bearer {}", &token[..63]),
            format!("Authorization: Bearer {token}0"),
            format!("Authorization: Bearer {}", token.to_uppercase()),
            format!("Authorization: Bearer {token} {token}"),
            format!("Authorization: Bearer \"{token}\""),
            format!("Authorization: Bearer {}", "0".repeat(64)),
            format!("Authorization: Bearer {}", "' or 1=1 --"),
            format!("Authorization: Bearer {}", "x".repeat(7000)),
            format!("Cookie: token={token}"),
            format!("N_VM_TOKEN: {token}"),
        ] {
            assert_eq!(fetch(&[&wrong]), 401, "{wrong:.80}");
        }
        let hash: String = ips_server::model::token::hash(token)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            fetch(&[&format!("Authorization: Bearer {hash}")]),
            401,
            "what the registry keeps"
        );
        own.end(&registry);
        assert_eq!(fetch(&[&own.bearer()]), 401, "reused after its end");
        let by_hand = door.ips().ok(&["config", "--token", "a"]);
        let bearer = format!("Authorization: Bearer {}", by_hand.trim());
        assert_eq!(fetch(&[&bearer]), 200);
        let past = "update token set expires_at = '2020-01-01T00:00:00.000Z' where session is null";
        let done = door.ips().run_sh("sqlite3 registry.db \"$1\"", &[past]);
        assert_eq!(done.code, 0, "{done:?}");
        assert_eq!(fetch(&[&bearer]), 401, "expired");
    });
}

#[test]
fn a_report_counts_for_its_own_operation_and_once() {
    both(|door| {
        let registry = door.registry();
        let own = begin(&registry, "a", &create::SPEC, "tch-001", None);
        let other = begin(&registry, "b", &create::SPEC, "tch-001", None);
        let before = door.state();
        let text = own.report.to_text();
        let (own_id, other_id) = (own.id.to_string(), other.id.to_string());
        for (from, to) in [
            (own_id.as_str(), other_id.as_str()),
            ("vm_id=a", "vm_id=b"),
            ("verb=create", "verb=destroy"),
            ("node=tch-001", "node=tch-002"),
            ("node=tch-001", "node=../../etc"),
            ("exit_code=0", "exit_code=-1"),
            ("exit_code=0", "exit_code=256"),
            ("state=running", "state=dancing"),
            ("message=made", "message=made\nexit_code=0"),
            ("message=made\n", ""),
        ] {
            assert!(text.contains(from), "{from}");
            let status = door.report(&own, &text.replace(from, to));
            assert!(matches!(status, 400 | 403), "{from} {to}: {status}");
        }
        assert_eq!(door.report(&other, &text), 403, "another operation's token");
        for body in ["", "\n", "x", "operation=\n", &"operation=x\n".repeat(1000)] {
            assert_eq!(door.report(&own, body), 400, "{body:.20}");
        }
        assert_eq!(door.state(), before, "nothing of that counted");
        assert_eq!(door.report(&own, &text), 204);
        let once = door.state();
        assert_ne!(once, before);
        assert_eq!(door.report(&own, &text), 204, "replayed");
        let contrary = text.replace("exit_code=0", "exit_code=5");
        assert_eq!(door.report(&own, &contrary), 409);
        assert_eq!(door.state(), once, "the first report is kept");
        own.end(&registry);
        let ended = door.state();
        assert_eq!(door.report(&own, &text), 401, "after its end");
        let inventory = "node=tch-001\nboot_id=6ba7b810-9dad-11d1-80b4-00c04fd430c8\nversion=1\ncpus=4\nmemory_mb=1\n";
        let target = REPORT.replace("report=report", "report=inventory");
        let (status, _) = door.ask("POST", &target, &[STRANGER, &other.bearer()], inventory);
        assert_eq!(status, 403, "a verb's token is none for an inventory");
        assert_eq!(door.state(), ended);
    });
}

/// Framings that a proxy and a server might split differently. The next client on the same
/// connection must get its own answer.
#[test]
fn no_framing_mixes_the_requests_of_two_clients() {
    both(|door| {
        let operation = begin(&door.registry(), "a", &create::SPEC, "box", None);
        let before = door.state();
        let inner = format!("GET {FETCH} HTTP/1.1\r\nHost: x\r\n\r\n");
        let length = inner.len();
        for head in [
            format!("Content-Length: 0\r\nContent-Length: {length}\r\n\r\n"),
            format!("Content-Length: {length}\r\nContent-Length: 0\r\n\r\n"),
            format!("Content-Length: 0, {length}\r\n\r\n"),
            format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n\r\n0\r\n\r\n"),
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n".to_owned(),
            "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n".to_owned(),
            "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n".to_owned(),
            "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n".to_owned(),
            "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n".to_owned(),
            " Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            "X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n".to_owned(),
            "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n".to_owned(),
            "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n".to_owned(),
            "Transfer-Encoding: chunked\r\n\r\n0;a=\"\r\n\r\n".to_owned(),
            "Transfer-Encoding: chunked\r\n\r\n1\nx\n0\n\n".to_owned(),
            format!("Content-Length: +{length}\r\n\r\n"),
            format!("Content-Length: -{length}\r\n\r\n"),
            format!("Content-Length: 0x{length:x}\r\n\r\n"),
            format!("Content-Length: {length}x\r\n\r\n"),
            "Content-Length: 18446744073709551616\r\n\r\n".to_owned(),
            "Content-Length:\r\n\r\n".to_owned(),
            "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n".to_owned(),
            "Connection: keep-alive, Authorization\r\n\r\n".to_owned(),
            "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n".to_owned(),
            "Expect: the-unexpected\r\n\r\n".to_owned(),
        ] {
            let request =
                format!("POST /healthz HTTP/1.1\r\nHost: x\r\n{STRANGER}\r\n{head}{inner}");
            let answer = door.send(request.as_bytes());
            assert!(!answer.contains("for-its-node-alone"), "{head:?}: {answer}");
            door.is_honest(&operation, &head);
        }
        for line in [
            "GET  /healthz HTTP/1.1",
            "GET /healthz  HTTP/1.1",
            "GET /healthz HTTP/1.1 ",
            "GET /healthz",
            "GET /healthz HTTP/9.9",
            "GET /healthz HTTP/1.1\r",
            "GET\t/healthz\tHTTP/1.1",
            "get /healthz HTTP/1.1",
            "\r\n\r\nGET /healthz HTTP/1.1",
            "GET /healthz http/1.1",
            "PRI * HTTP/2.0",
        ] {
            let answer = door.send(format!("{line}\r\nHost: x\r\n\r\n{inner}").as_bytes());
            assert!(!answer.contains("for-its-node-alone"), "{line:?}: {answer}");
            door.is_honest(&operation, line);
        }
        assert_eq!(door.state(), before);
    });
}

/// A token is looked up by its hash, so the time must not depend on how much of it is right.
/// Compares the medians of many requests, made in turns.
#[test]
fn an_almost_correct_token_takes_no_longer_than_a_wrong_one() {
    let door = Door::Alone(with_vms());
    let operation = begin(&door.registry(), "a", &create::SPEC, "box", None);
    let nearly = format!(
        "{}{}",
        &operation.token[..63],
        if operation.token.ends_with('0') {
            '1'
        } else {
            '0'
        }
    );
    let wrong = if operation.token.starts_with('f') {
        "0"
    } else {
        "f"
    }
    .repeat(64);
    let mut took = [Vec::new(), Vec::new()];
    let mut stream = TcpStream::connect(("127.0.0.1", door.port())).unwrap();
    stream.set_nodelay(true).unwrap();
    for round in 0..2000 {
        let which = round % 2;
        let token = [&nearly, &wrong][which];
        let request =
            format!("GET {FETCH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
        let began = Instant::now();
        stream.write_all(request.as_bytes()).unwrap();
        let (mut answer, mut part) = (Vec::new(), [0; 1024]);
        while !answer.ends_with(b"its operation has ended\n") {
            let count = stream.read(&mut part).unwrap();
            assert!(count > 0);
            answer.extend_from_slice(&part[..count]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 401"));
        took[which].push(began.elapsed());
    }
    let [nearly, wrong] = took.map(|mut all| {
        all.sort_unstable();
        all[all.len() / 2].as_secs_f64()
    });
    let ratio = nearly / wrong;
    println!("a token nearly right takes {ratio:.3} of the time of one that is all wrong");
    assert!((0.8..1.25).contains(&ratio), "{ratio}");
}
