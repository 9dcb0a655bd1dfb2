//! Thousands of clients that connect, send an opening, then repeat one message for ever, and
//! reconnect when they are cut off.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};

/// The behaviour of each client.
#[derive(Clone)]
pub(crate) struct Habit {
    pub(crate) name: &'static str,
    pub(crate) clients: usize,
    /// Sent once.
    pub(crate) opening: Vec<u8>,
    /// Sent after each pause; may be empty.
    pub(crate) more: Vec<u8>,
    pub(crate) pause: Duration,
    /// Whether it reads the answer, and thus notices a disconnect.
    pub(crate) reads: bool,
}

/// The flood; it ends when dropped.
pub(crate) struct Flood {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// Counts of connections and of reconnects.
    pub(crate) came: Arc<AtomicU64>,
    pub(crate) returns: Arc<AtomicU64>,
}

struct Client {
    stream: TcpStream,
    opening: usize,
    next: Instant,
}

impl Flood {
    /// Starts it, from several addresses of this machine.
    pub(crate) fn begin(habit: &Habit, port: u16) -> Self {
        allow_files();
        let stop = Arc::<AtomicBool>::default();
        let [came, returns] = [(); 2].map(|()| Arc::<AtomicU64>::default());
        let threads = (0..2)
            .map(|half| {
                let (habit, stop) = (habit.clone(), stop.clone());
                let counts = [came.clone(), returns.clone()];
                std::thread::spawn(move || crowd(&habit, half, port, &stop, &counts))
            })
            .collect();
        Self {
            stop,
            threads,
            came,
            returns,
        }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// The file limit of this process.
fn allow_files() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
}

fn crowd(
    habit: &Habit,
    half: usize,
    port: u16,
    stop: &AtomicBool,
    [came, returns]: &[Arc<AtomicU64>; 2],
) {
    let mut clients: Vec<Option<Client>> = (0..habit.clients / 2).map(|_| None).collect();
    let mut met = vec![false; clients.len()];
    while !stop.load(Ordering::Relaxed) {
        for (number, client) in clients.iter_mut().enumerate() {
            if client.is_none() {
                let tail = u8::try_from(number % 200).unwrap() + 20;
                *client = arrive(
                    Ipv4Addr::new(127, 0, u8::try_from(half).unwrap() + 1, tail),
                    port,
                );
                if client.is_some() {
                    let count = if met[number] { returns } else { came };
                    count.fetch_add(1, Ordering::Relaxed);
                    met[number] = true;
                }
            }
            if let Some(open) = client
                && !open.goes_on(habit)
            {
                *client = None;
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A connection in progress; the flood does not wait for it.
fn arrive(from: Ipv4Addr, port: u16) -> Option<Client> {
    let fd: OwnedFd = socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
        None,
    )
    .ok()?;
    bind(
        fd.as_raw_fd(),
        &SockaddrIn::from(std::net::SocketAddrV4::new(from, 0)),
    )
    .ok()?;
    let to = SockaddrIn::new(127, 0, 0, 1, port);
    match connect(fd.as_raw_fd(), &to) {
        Ok(()) | Err(nix::errno::Errno::EINPROGRESS) => {}
        Err(_) => return None,
    }
    Some(Client {
        stream: TcpStream::from(fd),
        opening: 0,
        next: Instant::now(),
    })
}

impl Client {
    /// Does what is due; false once it is cut off.
    fn goes_on(&mut self, habit: &Habit) -> bool {
        if habit.reads {
            match self.stream.read(&mut [0; 4096]) {
                Ok(0) => return false,
                Err(error) if !is_not_yet(&error) => return false,
                Ok(_) | Err(_) => {}
            }
        }
        if self.opening < habit.opening.len() {
            match self.stream.write(&habit.opening[self.opening..]) {
                Ok(count) => self.opening += count,
                Err(error) => return is_not_yet(&error),
            }
        } else if !habit.more.is_empty() && Instant::now() >= self.next {
            self.next = Instant::now() + habit.pause;
            if let Err(error) = self.stream.write(&habit.more) {
                return is_not_yet(&error);
            }
        }
        true
    }
}

fn is_not_yet(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::NotConnected
    )
}
