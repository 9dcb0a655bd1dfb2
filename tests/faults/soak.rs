//! Mixed load for a long time: operators, some of whom are killed; honest nodes and hostile
//! clients at the server; the server itself killed at intervals, later left running. At the end
//! no resource has grown without bound: files, threads, memory, the WAL. `make soak
//! MINUTES=10`; `HPS_SEED` replays the actions.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::crowd::{Seen, all_is_journaled, one_at_a_time};
use crate::harness::{NEVER, kill, wait_for};
use crate::honest::{Most, look};
use crate::operators::{Random, Site, action};
use crate::world::Engine;

const OPERATORS: u64 = 4;
const NODES: u64 = 2;
const STRANGERS: u64 = 2;
/// Largest WAL, in bytes: SQLite checkpoints every 1,000 pages.
const MOST_LOG: u64 = 16 * 1024 * 1024;

/// The state that all workers share.
struct Soak {
    site: Site,
    stop: AtomicBool,
    seen: Mutex<Vec<Seen>>,
    fetched: AtomicU64,
    strangers: AtomicU64,
    killed: AtomicU64,
    /// Largest WAL so far, in bytes.
    log: AtomicU64,
}

impl Soak {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// Sends bytes; returns the answer once the other side closes.
    fn send(&self, request: &[u8]) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.site.ips.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(15)))?;
        stream.write_all(request)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// All workers run until `work` is done and `time` is over, then end.
    fn go_on(&self, time: Duration, work: u64, seed: u64, are_servers_killed: bool) {
        let goal = self.done().map(|done| done + work);
        let killed = self.killed.load(Ordering::Relaxed) + u64::from(are_servers_killed);
        self.stop.store(false, Ordering::Relaxed);
        std::thread::scope(|threads| {
            for number in 0..OPERATORS {
                threads.spawn(move || operate(self, seed + number));
            }
            for number in 0..NODES {
                threads.spawn(move || fetch(self, seed + 100 + number, are_servers_killed));
            }
            for number in 0..STRANGERS {
                threads.spawn(move || act_as_stranger(self, seed + 200 + number));
            }
            if are_servers_killed {
                threads.spawn(|| end_servers(self, seed + 300));
            }
            let until = Instant::now() + time;
            let is_done = || {
                let done = self.done();
                done.iter().zip(&goal).all(|(done, goal)| done >= goal)
                    && self.killed.load(Ordering::Relaxed) >= killed
            };
            let never = Instant::now() + time + NEVER;
            while Instant::now() < until || !is_done() {
                assert!(Instant::now() < never, "{:?} of {goal:?}", self.done());
                let log = fs::metadata(self.site.ips.dir.join("registry.db-wal"));
                let length = log.map_or(0, |log| log.len());
                self.log.fetch_max(length, Ordering::Relaxed);
                self.site.holds("in the soak");
                std::thread::sleep(Duration::from_millis(50));
            }
            self.stop.store(true, Ordering::Relaxed);
        });
        self.site.comes_to_rest("in the soak");
    }

    /// Counts: actions of operators, fetches of nodes, requests of strangers.
    fn done(&self) -> [u64; 3] {
        let actions = self.seen.lock().unwrap().len() as u64;
        let [fetched, strangers] =
            [&self.fetched, &self.strangers].map(|count| count.load(Ordering::Relaxed));
        [actions, fetched, strangers]
    }

    /// The resources of the server once it has closed the dropped connections and ended their
    /// threads: the counts of files and threads stay constant for one and a half seconds.
    fn server_at_rest(&self) -> Most {
        let mut since = Instant::now();
        let mut last = look(self.site.ips.server_pid());
        wait_for("the server to be at rest", || {
            std::thread::sleep(Duration::from_millis(100));
            let now = look(self.site.ips.server_pid());
            if (now.files, now.threads) != (last.files, last.threads) {
                since = Instant::now();
            }
            last = now;
            (since.elapsed() > Duration::from_millis(1500))
                .then(|| look(self.site.ips.server_pid()))
        })
    }

    /// Resources of the server without requests, and of the site.
    fn at_rest(&self) -> AtRest {
        let server = self.server_at_rest();
        let dir = &self.site.ips.dir;
        let is_here = |entry: &fs::DirEntry| {
            fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == *dir)
        };
        let processes = fs::read_dir("/proc").unwrap().flatten().filter(is_here);
        let names =
            fs::read_dir(dir).unwrap().count() + fs::read_dir(dir.join("locks")).unwrap().count();
        AtRest {
            server,
            processes: processes.count(),
            names,
        }
    }
}

/// Resources without load.
#[derive(Debug)]
struct AtRest {
    server: Most,
    /// The processes of this site and its server.
    processes: usize,
    /// The files in its folder, and in that of the locks.
    names: usize,
}

/// The minimum number of actions, fetches and requests of strangers in each of the three parts;
/// `HPS_SOAK_MINUTES` sets a minimum time, too.
const WORK: [u64; 3] = [60, 30, 40];

#[test]
fn a_long_mixed_load_makes_nothing_grow() {
    let minutes: Option<f64> = std::env::var("HPS_SOAK_MINUTES")
        .ok()
        .map(|text| text.parse().unwrap());
    let time = Duration::from_secs_f64(minutes.unwrap_or_default() * 60.0);
    let soak = Soak {
        site: Site::new(Engine::Local, 6),
        stop: AtomicBool::new(false),
        seen: Mutex::default(),
        fetched: AtomicU64::new(0),
        strangers: AtomicU64::new(0),
        killed: AtomicU64::new(0),
        log: AtomicU64::new(0),
    };
    let seed = Random::seed(11);
    soak.go_on(time.mul_f64(0.5), WORK[0], seed, true);
    soak.go_on(time.mul_f64(0.2), WORK[1], seed + 1000, false);
    let before = soak.at_rest();
    soak.go_on(time.mul_f64(0.3), WORK[2], seed + 2000, false);
    let after = soak.at_rest();
    one_at_a_time(&soak.site);
    let seen = soak.seen.lock().unwrap();
    let counts = all_is_journaled(&soak.site, &seen);
    let [fetched, strangers, killed, log] =
        [&soak.fetched, &soak.strangers, &soak.killed, &soak.log]
            .map(|count| count.load(Ordering::Relaxed));
    println!(
        "{} actions of operators, by exit code {counts:?}; {fetched} fetches, {strangers} requests of strangers, \
         server ended {killed} times; largest log {log} bytes\nat rest {before:?}\nlater   {after:?}",
        seen.len()
    );
    assert!(seen.len() > 100 && fetched > 100 && strangers > 100 && killed > 0);
    let (had, has) = (before.server, after.server);
    assert!(has.files <= had.files + 2, "{had:?} {has:?}");
    assert!(has.threads <= had.threads + 1, "{had:?} {has:?}");
    assert!(
        has.memory_kib <= had.memory_kib * 5 / 4 + 4096,
        "{had:?} {has:?}"
    );
    assert_eq!((before.processes, after.processes), (1, 1), "who is left");
    assert_eq!(before.names, after.names, "what is left");
    assert!(log < MOST_LOG, "{log}");
    let log = soak.site.ips.server_log();
    assert!(!log.contains("report this"), "{log}");
    let said = seen.iter().map(|seen| seen.done.err.as_str());
    for text in said.chain([log.as_str()]) {
        is_safe_to_print(text);
    }
}

/// No token, and no control character for a terminal.
fn is_safe_to_print(text: &str) {
    for line in text.lines() {
        assert!(!line.chars().any(char::is_control), "{line:?}");
        let longest_hex = line
            .split(|c: char| !c.is_ascii_hexdigit())
            .map(str::len)
            .max();
        assert!(longest_hex < Some(64), "{line}");
    }
}

fn operate(soak: &Soak, seed: u64) {
    let mut random = Random::of(seed);
    while soak.goes_on() {
        let action = action(&mut random, &soak.site);
        if let Some(done) = action.act(&soak.site) {
            assert!(matches!(done.code, 0..=11), "{action:?}: {done:?}");
            soak.seen.lock().unwrap().push(Seen { action, done });
        }
    }
}

/// A node that fetches configs with tokens made by hand, and reads the API for operators.
fn fetch(soak: &Soak, seed: u64, are_servers_killed: bool) {
    let (mut random, site) = (Random::of(seed), &soak.site);
    let all: Vec<_> = site.vms.iter().map(String::as_str).collect();
    while soak.goes_on() {
        let vm = random.pick(&all);
        let token = site.run(site.nodes[0], &["config", vm, "--token"]);
        assert_eq!(token.code, 0, "{token:?}");
        for _ in 0..random.below(20) {
            let target = random.pick(&["/healthz", "/v1/vms", "/metrics", "CONFIG"]);
            let config =
                format!("/cgi-bin/boot_manager.sh?cmd=vm&get_config=get_config&vm_id={vm}");
            let may_wait = matches!(target, "/v1/vms" | "/metrics");
            let target = if target == "CONFIG" { &config } else { target };
            let request = format!(
                "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
                token.out.trim()
            );
            match soak.send(request.as_bytes()) {
                Ok(answer) if answer.starts_with("HTTP/1.1 200") => {
                    soak.fetched.fetch_add(1, Ordering::Relaxed);
                }
                // The server was killed during the request.
                _ if are_servers_killed => {}
                // Strangers request more listings than the server sends at a time.
                Ok(answer) if may_wait && answer.starts_with("HTTP/1.1 503") => {}
                other => panic!("{target}: {other:?}"),
            }
        }
    }
}

/// A client that sends invalid requests.
fn act_as_stranger(soak: &Soak, seed: u64) {
    let mut random = Random::of(seed);
    while soak.goes_on() {
        let noise: Vec<u8> = (0..random.below(300))
            .map(|_| u8::try_from(random.below(256)).unwrap())
            .collect();
        let count = random.below(1 << 40);
        let request = match random.below(8) {
            0 => noise,
            1 => format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(usize::try_from(count % 70_000).unwrap())).into(),
            2 => format!("POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: {count}\r\n\r\nabc").into(),
            3 => format!("GET /cgi-bin/boot_manager.sh?cmd=vm&get_config=get_config&vm_id=v{} HTTP/1.1\r\nAuthorization: Bearer {count:064x}\r\nConnection: close\r\n\r\n", count % 6).into(),
            4 => b"POST /cgi-bin/boot_manager.sh?cmd=vm&report=report HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n".to_vec(),
            5 => "GET /healthz HTTP/1.1\r\n".repeat(usize::try_from(count % 3000).unwrap()).into(),
            6 => [b"GET /v1/vms/", &noise[..], b" HTTP/1.1\r\nConnection: close\r\n\r\n"].concat(),
            _ => b"GET /v1/vms HTTP/1.1\r\n\r\n".repeat(usize::try_from(count % 100).unwrap()),
        };
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", soak.site.ips.port)) {
            let _ = stream.write_all(&request);
            if random.below(2) == 0 {
                let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
                let _ = stream.read(&mut [0; 100]);
            }
            soak.strangers.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Ends the server at intervals, and starts it again.
fn end_servers(soak: &Soak, seed: u64) {
    let (mut random, ips) = (Random::of(seed), &soak.site.ips);
    while soak.goes_on() {
        std::thread::sleep(Duration::from_millis(300 + random.below(3000)));
        let before = ips.server_pid();
        kill(before, random.pick(&["KILL", "KILL", "TERM"]));
        soak.killed.fetch_add(1, Ordering::Relaxed);
        wait_for("another server", || {
            ips.revive();
            (ips.server_pid() != before).then_some(())
        });
    }
}
