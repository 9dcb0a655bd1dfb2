//! A site before the installation: nginx with an old CGI on boot_manager.sh; then with our
//! lines.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{Ips, wait_for};

/// A site with its IPS.
pub(crate) struct Site {
    pub(crate) ips: Ips,
    pub(crate) port: u16,
    /// Connections that nginx opened to ips-server.
    pub(crate) upstream: Arc<AtomicUsize>,
    nginx: Child,
}

/// A change to one of our files in a test: another folder, another port.
type Change = dyn Fn(&str) -> String;

impl Site {
    /// A site with all of our lines.
    pub(crate) fn new() -> Self {
        Self::with(&str::to_owned, "")
    }

    /// A site with modified copies of our files, and more lines at http level.
    pub(crate) fn with(change: &Change, more: &str) -> Self {
        let mut ips = Ips::new();
        ips.define("a");
        ips.serve();
        Self::of(ips, change, more)
    }

    pub(crate) fn of(ips: Ips, change: &Change, more: &str) -> Self {
        let upstream = Arc::new(AtomicUsize::new(0));
        let relay = relay(ips.port, Arc::clone(&upstream));
        let port = free_port();
        place(&ips.dir, relay, change);
        let path = configure(&ips.dir, port, old_cgi(), more);
        let nginx = start(&ips.dir, &path);
        wait_for("nginx", || TcpStream::connect(("127.0.0.1", port)).ok());
        Self {
            ips,
            port,
            upstream,
            nginx,
        }
    }

    /// curl's body and status for a path, `args` in front.
    pub(crate) fn curl(&self, args: &[&str], target: &str) -> (u16, String) {
        curl(args, &format!("http://127.0.0.1:{}{target}", self.port))
    }

    /// Sends bytes as they are; returns the answer once nginx closes.
    pub(crate) fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // A kill would leave its workers.
        crate::harness::kill(self.nginx.id(), "TERM");
        let _ = self.nginx.wait();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests start the real programs as a user does"
)]
pub(crate) fn curl(args: &[&str], url: &str) -> (u16, String) {
    let mut command = Command::new("curl");
    command
        .args(["-s", "-m", "20", "-w", "\n%{http_code}"])
        .args(args)
        .arg(url);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

/// The configuration that `ips-server nginx --check` reads.
pub(crate) fn main_file(dir: &Path) -> PathBuf {
    dir.join("nginx.conf")
}

/// Copies packaging/nginx to the folder of a test's includes.
pub(crate) fn place(dir: &Path, upstream: u16, change: &Change) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/nginx");
    let to = dir.join("hps/nginx");
    fs::create_dir_all(&to).unwrap();
    for name in ["http", "server", "location", "proxy", "tls"] {
        let text = fs::read_to_string(from.join(format!("{name}.conf"))).unwrap();
        let text = text
            .replace("/etc/hps/", &format!("{}/hps/", dir.display()))
            .replace("127.0.0.1:8068", &format!("127.0.0.1:{upstream}"));
        fs::write(to.join(format!("{name}.conf")), change(&text)).unwrap();
    }
}

/// The site: its own location first, ours by the include lines.
pub(crate) fn configure(dir: &Path, port: u16, cgi: u16, more: &str) -> PathBuf {
    let ours = dir.join("hps/nginx").display().to_string();
    let at = dir.display();
    let text = format!(
        "daemon off;
user root;
worker_processes 1;
pid {at}/nginx.pid;
error_log {at}/nginx.err;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; }}
http {{
    access_log {at}/access.log;
    client_body_temp_path {at}/body;
    proxy_temp_path {at}/proxy;
    fastcgi_temp_path {at}/fastcgi;
    uwsgi_temp_path {at}/uwsgi;
    scgi_temp_path {at}/scgi;
    include {ours}/http.conf;
    server {{
        listen 127.0.0.1:{port};
        include {ours}/server.conf;
        location = /cgi-bin/boot_manager.sh {{
            include {ours}/location.conf;
            proxy_pass http://127.0.0.1:{cgi};
        }}
        location / {{ proxy_pass http://127.0.0.1:{cgi}; }}
    }}
{more}
}}
"
    );
    let path = main_file(dir);
    fs::write(&path, text).unwrap();
    path
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests start the real programs as a user does"
)]
fn start(dir: &Path, configuration: &Path) -> Child {
    let mut command = Command::new("nginx");
    command.arg("-c").arg(configuration).arg("-p").arg(dir);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Replaces the old CGI: answers with the request line.
pub(crate) fn old_cgi() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut bytes = [0; 4096];
            let length = stream.read(&mut bytes).unwrap_or(0);
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            let line = text.lines().next().unwrap_or_default();
            let said = format!("old CGI: {}", line.trim_end_matches(" HTTP/1.0"));
            let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", said.len());
            let _ = stream.write_all(format!("{head}{said}").as_bytes());
        }
    });
    port
}

/// Forwards connections, and counts them.
fn relay(to: u16, count: Arc<AtomicUsize>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for near in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::Relaxed);
            let Ok(far) = TcpStream::connect(("127.0.0.1", to)) else {
                continue;
            };
            for (mut from, mut into) in [
                (near.try_clone().unwrap(), far.try_clone().unwrap()),
                (far, near),
            ] {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut into);
                    let _ = into.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    port
}
