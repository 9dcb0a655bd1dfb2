//! A node that fetches its config again and again, as n_vm does; and the resources of the
//! server meanwhile.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// n_vm's own limits.
const CONNECT: Duration = Duration::from_secs(5);
const FETCH: Duration = Duration::from_secs(15);

/// A node that fetches until its result is taken.
pub(crate) struct Node {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(Vec<Duration>, Vec<String>)>,
}

/// Its result.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) count: usize,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) failed: Vec<String>,
}

impl Node {
    /// Fetches this every few milliseconds; each answer must contain `want`.
    pub(crate) fn begin(port: u16, request: String, want: &'static str) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let stopping = stop.clone();
        let thread = std::thread::spawn(move || {
            let (mut took, mut failed) = (Vec::new(), Vec::new());
            while !stopping.load(Ordering::Relaxed) {
                let began = Instant::now();
                match fetch(port, &request) {
                    Ok(answer) if answer.starts_with("HTTP/1.1 200") && answer.contains(want) => {
                        took.push(began.elapsed());
                    }
                    Ok(answer) => failed.push(answer.chars().take(200).collect()),
                    Err(error) => failed.push(format!("{error} after {:?}", began.elapsed())),
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            (took, failed)
        });
        Self { stop, thread }
    }

    pub(crate) fn end(self) -> Answers {
        self.stop.store(true, Ordering::Relaxed);
        let (mut took, failed) = self.thread.join().unwrap();
        took.sort_unstable();
        let at = |percent: usize| {
            took.get(took.len() * percent / 100)
                .or(took.last())
                .copied()
                .unwrap_or_default()
        };
        Answers {
            count: took.len(),
            p50: at(50),
            p99: at(99),
            failed,
        }
    }
}

fn fetch(port: u16, request: &str) -> std::io::Result<String> {
    let mut stream =
        TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), CONNECT)?;
    stream.set_read_timeout(Some(FETCH))?;
    stream.set_write_timeout(Some(FETCH))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The peak resources of a process.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Most {
    pub(crate) memory_kib: u64,
    pub(crate) threads: u64,
    pub(crate) files: u64,
}

/// Samples a process until the peak is taken.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Most>,
}

impl Watch {
    pub(crate) fn begin(pid: u32) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let stopping = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut most = Most::default();
            while !stopping.load(Ordering::Relaxed) {
                let now = look(pid);
                most.memory_kib = most.memory_kib.max(now.memory_kib);
                most.threads = most.threads.max(now.threads);
                most.files = most.files.max(now.files);
                std::thread::sleep(Duration::from_millis(20));
            }
            most
        });
        Self { stop, thread }
    }

    pub(crate) fn end(self) -> Most {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// The resources of a process now.
pub(crate) fn look(pid: u32) -> Most {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
    };
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    Most {
        memory_kib: field("VmRSS:").unwrap_or(0),
        threads: field("Threads:").unwrap_or(0),
        files: u64::try_from(files).unwrap_or(0),
    }
}
