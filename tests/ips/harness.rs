//! One IPS per test: a folder with registry, locks and fakes, and the real binary in it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub(crate) const SPEC: &str = include_str!("../fixtures/wire/spec.config");

/// One IPS.
pub(crate) struct Ips {
    pub(crate) dir: PathBuf,
    env: Vec<(String, String)>,
    server: Mutex<Option<Child>>,
    pub(crate) port: u16,
}

/// The result of a command that has ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

/// The links to a node's program that name its verbs: `n_vm_create`.
pub(crate) fn node_links() -> impl Iterator<Item = &'static str> {
    let installed = include_str!("../../packaging/node.files").lines();
    let links = installed.filter_map(|line| line.strip_prefix("link"));
    let paths = links.filter_map(|line| line.split_whitespace().nth(2));
    paths
        .filter_map(|path| path.strip_prefix("/usr/bin/"))
        .filter(|name| name.starts_with("n_vm_"))
}

impl Ips {
    pub(crate) fn new() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("hps-ips-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        for part in ["bin", "fake"] {
            std::fs::create_dir_all(dir.join(part)).unwrap();
        }
        let link = |from: &Path, to: &str| {
            std::os::unix::fs::symlink(from, dir.join("bin").join(to)).unwrap();
        };
        let binary = Path::new(env!("CARGO_BIN_EXE_ips-server"));
        link(binary, "ips-server");
        for found in ips_server::links::links() {
            link(binary, found.name);
        }
        link(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fakes/n_vm"),
            "n_vm",
        );
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", dir.join("bin").display());
        let text = |path: &str| dir.join(path).display().to_string();
        let env = [
            ("PATH", path),
            ("FAKE_DIR", text("fake")),
            ("IPS_REGISTRY", text("registry.db")),
            ("IPS_LOCK_DIR", text("locks")),
            ("IPS_ENGINE", "local".to_owned()),
            ("IPS_NODE_NAME", "box".to_owned()),
            ("IPS_LISTEN", "127.0.0.1:1".to_owned()),
        ];
        let env = env.map(|(key, value)| (key.to_owned(), value)).to_vec();
        Self {
            dir,
            env,
            server: Mutex::new(None),
            port: 0,
        }
    }

    /// One IPS in a fake cluster of ips, tch-001 and tch-002, its server on loopback.
    pub(crate) fn in_cluster() -> Self {
        let mut ips = Self::new();
        let fakes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fakes");
        let link = |name: &str, to: &str| {
            let to = ips.dir.join("bin").join(to);
            std::os::unix::fs::symlink(fakes.join(name), to).unwrap();
        };
        link("om", "om");
        link("om-cluster", "om-cluster");
        for name in node_links() {
            link("n_vm", name);
        }
        let cluster = ips.dir.join("cluster").display().to_string();
        ips.set("FAKE_OM_DIR", &cluster)
            .set("IPS_ENGINE", "opensvc")
            .set("IPS_POLL_INTERVAL", "0.02");
        ips.set("IPS_NODES_BIND_ADDRESS", "off")
            .set("IPS_OM_TIMEOUT", "10");
        ips.set("IPS_INSTANCE_TIMEOUT", "2")
            .set("IPS_DELETE_TIMEOUT", "2");
        ips.env.retain(|(key, _)| key != "IPS_NODE_NAME");
        ips.serve();
        let url = format!("http://127.0.0.1:{}", ips.port);
        ips.set("IPS_ADVERTISE", &url);
        ips.cluster(&["up"]);
        ips.cluster(&["fast"]);
        let path = format!("PATH={}:/usr/bin:/bin", ips.dir.join("bin").display());
        let fake = format!("FAKE_DIR={}", ips.dir.join("fake").display());
        for node in ["ips", "tch-001", "tch-002"] {
            ips.cluster(&["env", node, &path, &fake]);
        }
        ips
    }

    /// Runs a verb of the fake cluster.
    pub(crate) fn cluster(&self, args: &[&str]) {
        let folder = self.dir.join("cluster").display().to_string();
        let done = self.run("om-cluster", &[&[folder.as_str()], args].concat());
        assert_eq!(done.code, 0, "om-cluster {args:?}: {done:?}");
    }

    /// The services that exist.
    pub(crate) fn services(&self) -> Vec<String> {
        let done = self.run("om", &["svc", "ls", "-o", "json"]);
        if done.code == 2 {
            return Vec::new();
        }
        let json: serde_json::Value = serde_json::from_str(&done.out).unwrap();
        json["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["meta"]["object"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Sets a variable for all programs that start from now on.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> &mut Self {
        self.env.retain(|(known, _)| known != key);
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "tests start the real programs as a user does"
    )]
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.dir.join("bin").join(program));
        command
            .env_clear()
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .current_dir(&self.dir);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, program: &str, args: &[&str]) -> Done {
        Done::of(self.command(program).args(args).spawn().unwrap())
    }

    /// Runs `o_vm`.
    pub(crate) fn o_vm(&self, args: &[&str]) -> Done {
        self.run("o_vm", args)
    }

    /// Starts `o_vm`; the test continues meanwhile.
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        self.command("o_vm").args(args).spawn().unwrap()
    }

    /// Kills (-9) an `o_vm` and its running child, if any.
    pub(crate) fn kill_with_child(&self, mut o_vm: Child) {
        self.shell(&format!("pkill -9 -P {}", o_vm.id()));
        kill(o_vm.id(), "KILL");
        o_vm.wait().unwrap();
    }

    /// Runs `o_vm` and asserts success; returns its stdout.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let done = self.o_vm(args);
        assert_eq!(done.code, 0, "o_vm {args:?}: {done:?}");
        done.out
    }

    pub(crate) fn with_input(&self, args: &[&str], input: &str) -> Done {
        let mut child = self
            .command("o_vm")
            .args(args)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        Done::of(child)
    }

    /// Defines a small VM.
    pub(crate) fn define(&self, id: &str) {
        self.ok(&[
            "define", "--id", id, "--name", id, "--cpus", "1", "--ram", "64",
        ]);
    }

    /// Starts the server on a free port.
    pub(crate) fn serve(&mut self) -> &mut Self {
        self.serve_at("127.0.0.1:0")
    }

    /// Starts the server.
    pub(crate) fn serve_at(&mut self, endpoint: &str) -> &mut Self {
        let mut command = self.command("ips-server");
        command.args(["serve", "--listen", endpoint]);
        self.serve_by(command)
    }

    /// Starts the server on a free port through a program that limits it: `prlimit
    /// --nofile=64`.
    pub(crate) fn serve_limited(&mut self, by: &str) -> &mut Self {
        let script = format!("exec {by} ips-server serve --listen 127.0.0.1:0");
        let command = self.sh(&script, &[]);
        self.serve_by(command)
    }

    fn serve_by(&mut self, command: Command) -> &mut Self {
        let address = self.start_server(command);
        if !address.starts_with("unix:") {
            self.port = address.rsplit(':').next().unwrap().parse().unwrap();
        }
        self.set("IPS_LISTEN", &address);
        self
    }

    /// Starts it, and waits for the line with its address.
    fn start_server(&self, mut command: Command) -> String {
        let log = self.dir.join("server.log");
        let file = std::fs::File::create(&log).unwrap();
        *self.server.lock().unwrap() = Some(command.stderr(file).spawn().unwrap());
        wait_for("the server to say where it listens", || {
            let text = std::fs::read_to_string(&log).unwrap();
            text.split("listen=")
                .nth(1)?
                .split(' ')
                .next()
                .map(str::to_owned)
        })
    }

    /// Starts the server again at the same address, if it has ended.
    pub(crate) fn revive(&self) {
        let ended = |server: &mut Child| server.try_wait().unwrap().is_some();
        if self.server.lock().unwrap().as_mut().is_some_and(ended) {
            let mut command = self.command("ips-server");
            command.args(["serve", "--listen", &format!("127.0.0.1:{}", self.port)]);
            self.start_server(command);
        }
    }

    pub(crate) fn server_pid(&self) -> u32 {
        self.server.lock().unwrap().as_ref().unwrap().id()
    }

    pub(crate) fn server_log(&self) -> String {
        std::fs::read_to_string(self.dir.join("server.log")).unwrap()
    }

    /// Sends TERM; the exit code and how long it took.
    pub(crate) fn end_server(&mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        let mut server = self.server.lock().unwrap().take().unwrap();
        kill(server.id(), "TERM");
        (server.wait().unwrap().code(), began.elapsed())
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[], "")
    }

    pub(crate) fn ask(&self, method: &str, target: &str, headers: &[&str], body: &str) -> Answer {
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n",
            body.len()
        );
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        self.raw(&format!("{head}\r\n{body}"))
    }

    pub(crate) fn raw(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(NEVER)).unwrap();
        // A server that refuses a request may close before it has read all of it.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or(0);
        Answer {
            status,
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// A shell with the programs of this IPS on PATH; `args` are its `$1` and so on.
    pub(crate) fn sh(&self, script: &str, args: &[&str]) -> Command {
        let link = self.dir.join("bin/sh");
        if !link.exists() {
            std::os::unix::fs::symlink("/bin/sh", link).unwrap();
        }
        let mut command = self.command("sh");
        command.args(["-c", script, "sh"]).args(args);
        command
    }

    /// Runs a script in such a shell.
    pub(crate) fn run_sh(&self, script: &str, args: &[&str]) -> Done {
        Done::of(self.sh(script, args).spawn().unwrap())
    }

    /// Writes a file for the fake n_vm.
    pub(crate) fn fake(&self, name: &str, text: &str) -> &Self {
        std::fs::write(self.dir.join("fake").join(name), text).unwrap();
        self
    }

    /// Makes the fake n_vm wait until [`Ips::unblock`].
    pub(crate) fn block(&self) {
        let done = self.shell("mkfifo fake/block");
        assert_eq!(done.code, 0, "{done:?}");
    }

    pub(crate) fn unblock(&self) {
        let done = self
            .shell("rm -f fake/started.old; timeout 180 sh -c 'echo >fake/block'; rm fake/block");
        assert_eq!(done.code, 0, "{done:?}");
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a shell for what only a shell does briefly"
    )]
    pub(crate) fn shell(&self, script: &str) -> Done {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(&self.dir);
        Done::of(
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        )
    }

    /// Waits until the fake n_vm has been started.
    pub(crate) fn wait_started(&self) {
        let flag = self.dir.join("fake/started");
        wait_for("the fake n_vm to start", || flag.exists().then_some(()));
        std::fs::remove_file(flag).unwrap();
    }

    /// A variable of the environment of the last n_vm.
    pub(crate) fn given(&self, key: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.dir.join("fake/env")).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{key}=")));
        line.map(str::to_owned)
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir.join("fake/calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// All operations, oldest first.
    pub(crate) fn operations(&self) -> Vec<serde_json::Value> {
        let json = self.ok(&["operations", "--json"]);
        let mut all: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
        all.reverse();
        all
    }

    pub(crate) fn vm(&self, id: &str) -> serde_json::Value {
        serde_json::from_str(&self.ok(&["show", "--json", id])).unwrap()
    }
}

impl Drop for Ips {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.lock().unwrap().take() {
            let _ = server.kill();
            let _ = server.wait();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Done {
    pub(crate) fn of(child: Child) -> Self {
        let output = child.wait_with_output().unwrap();
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The prefix of a line of a sweep that needs an operator; `kills` compares it with the
/// program.
pub(crate) const ATTENTION: &str = "attention:";

/// The deadline of a wait; enough for a busy machine.
pub(crate) const NEVER: Duration = Duration::from_secs(180);

/// Polls until there is an answer.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + NEVER;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the signal comes from outside, as an operator's does"
)]
pub(crate) fn kill(pid: u32, signal: &str) {
    let done = Command::new("kill")
        .args([format!("-{signal}"), pid.to_string()])
        .status()
        .unwrap();
    assert!(done.success());
}
