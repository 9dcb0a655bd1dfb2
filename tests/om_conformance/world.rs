//! A cluster under test: the fake one in a directory, or a real one that the lab script starts.
//! Both accept the same calls and the same faults.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

/// The result of a case: success, or the difference.
pub(crate) type Verdict = Result<(), String>;

/// The node that runs `om`, unless a case names another, and the target node.
pub(crate) const IPS: &str = "ips";
pub(crate) const TCH: &str = "tch-001";
pub(crate) const OTHER: &str = "tch-002";

/// The outcome of one call; `code` is −1 if it was killed at its deadline.
#[derive(Debug)]
pub(crate) struct Out {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) took: Duration,
}

impl Out {
    pub(crate) fn json(&self) -> Result<Value, String> {
        serde_json::from_str(&self.out).map_err(|error| format!("no JSON ({error}): {self:?}"))
    }

    pub(crate) fn exits(&self, code: i32) -> Verdict {
        ensure(self.code == code, || {
            format!("exit {code} expected: {self:?}")
        })
    }

    pub(crate) fn is_silent(&self) -> Verdict {
        ensure(self.out.is_empty(), || {
            format!("no output expected: {self:?}")
        })
    }

    pub(crate) fn complains_of(&self, text: &str) -> Verdict {
        let said = self.err.contains(text) || self.out.contains(text);
        ensure(said, || format!("{text:?} expected: {self:?}"))
    }
}

pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// The duration of the cluster's slow reactions, beyond the usual waiting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// The time for which a cut or killed node appears healthy.
    pub(crate) dead: Duration,
    /// The time for which a stopped node stays listed.
    pub(crate) maintenance: Duration,
    /// The time for which a call to a node that was just cut blocks.
    pub(crate) peer: Duration,
    /// The value of `--time` where it is expected to expire.
    pub(crate) short: &'static str,
}

/// The program that receives the calls.
#[derive(Debug)]
pub(crate) struct World {
    /// The script that injects faults: `om-cluster DIR` or `cluster`.
    script: Vec<PathBuf>,
    env: Vec<(&'static str, PathBuf)>,
    fake: Option<PathBuf>,
    /// A folder that all tasks and the test itself can access.
    pub(crate) scratch: PathBuf,
    pub(crate) pace: Pace,
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests")
}

impl World {
    /// A fake cluster of `tests/fakes/om` for one case, ten times as fast.
    pub(crate) fn fake(case: &str) -> Result<Self, String> {
        let scratch = scratch(case)?;
        let folder = scratch.join("cluster");
        let world = Self {
            script: vec![tests().join("fakes/om-cluster"), folder.clone()],
            env: vec![("FAKE_OM_DIR", folder)],
            fake: Some(tests().join("fakes/om")),
            scratch,
            pace: Pace {
                dead: Duration::ZERO,
                maintenance: Duration::ZERO,
                peer: Duration::from_millis(1500),
                short: "400ms",
            },
        };
        world.lab(&["up", IPS, TCH, OTHER])?;
        world.lab(&["fast"])?;
        // Until the case calls `passes`: a busy machine changes nothing.
        for timing in ["dead", "maintenance"] {
            world.held_back(timing)?;
        }
        Ok(world)
    }

    /// A real cluster with the `om` of HPS_OM or PATH; or the reason why there is none.
    pub(crate) fn real() -> Result<Result<Self, String>, String> {
        let om = match real_om() {
            Ok(om) => om,
            Err(why) => return Ok(Err(why)),
        };
        let scratch = scratch("real")?;
        let world = Self {
            script: vec![tests().join("lab/cluster")],
            env: vec![("OM", om), ("LAB_DIR", scratch.join("lab"))],
            fake: None,
            scratch,
            pace: Pace {
                dead: Duration::from_secs(15),
                maintenance: Duration::from_secs(90),
                peer: Duration::from_secs(30),
                short: "2s",
            },
        };
        // On a busy machine a node may fail to join.
        if world.lab(&["up", IPS, TCH, OTHER]).is_err() {
            world.lab(&["down"])?;
            world.lab(&["up", IPS, TCH, OTHER])?;
        }
        Ok(Ok(world))
    }

    /// Injects a fault: `stop NODE`, `cut NODE`, …
    pub(crate) fn lab(&self, words: &[&str]) -> Verdict {
        let mut command = self.command(&self.script[0]);
        command.args(&self.script[1..]).args(words);
        let done = self.finish(command, "", Duration::from_secs(120))?;
        ensure(done.code == 0, || format!("lab {words:?}: {done:?}"))
    }

    /// Brings every node back after a case that failed half-way.
    pub(crate) fn repair_nodes(&self) {
        for words in [["start", IPS], ["start", TCH], ["heal", TCH]] {
            if let Err(why) = self.lab(&words) {
                eprintln!("{why}");
            }
        }
        sleep(Duration::from_secs(2));
    }

    /// Ends a delay of the fake at once: `dead`, `maintenance`, `rejoin`.
    pub(crate) fn passes(&self, timing: &str) -> Verdict {
        match self.fake {
            Some(_) => self.lab(&["fault", timing, "0"]),
            None => Ok(()),
        }
    }

    /// Holds a delay of the fake until it `passes`.
    pub(crate) fn held_back(&self, timing: &str) -> Verdict {
        match self.fake {
            Some(_) => self.lab(&["fault", timing, "1000"]),
            None => Ok(()),
        }
    }

    /// Slows one step of the fake down, where a case must act before it is done.
    pub(crate) fn slow_down(&self, step: &str) -> Verdict {
        match self.fake {
            Some(_) => self.lab(&["fault", step, "4"]),
            None => Ok(()),
        }
    }

    /// `om ARGS` on a node.
    pub(crate) fn om(&self, node: &str, args: &[&str]) -> Result<Out, String> {
        self.om_with(node, args, &[], "", Duration::from_secs(60))
    }

    /// The same with variables, standard input and a deadline.
    pub(crate) fn om_with(
        &self,
        node: &str,
        args: &[&str],
        env: &[(&str, &str)],
        input: &str,
        deadline: Duration,
    ) -> Result<Out, String> {
        let mut command = self.om_command(node, args);
        command.envs(env.iter().copied());
        self.finish(command, input, deadline)
    }

    /// The same, started without waiting.
    pub(crate) fn om_started(&self, node: &str, args: &[&str]) -> Result<Child, String> {
        let mut command = self.om_command(node, args);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
            .spawn()
            .map_err(|error| format!("om {args:?}: {error}"))
    }

    fn om_command(&self, node: &str, args: &[&str]) -> Command {
        if let Some(fake) = &self.fake {
            let mut command = self.command(fake);
            command.env("FAKE_OM_NODE", node).args(args);
            return command;
        }
        let mut command = self.command(&self.script[0]);
        command.args(["exec", node, "om"]).args(args);
        command
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a test of om itself, not of what we ship"
    )]
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        command.env_remove("OSVC_SESSION_ID").current_dir("/");
        command
    }

    fn finish(&self, mut command: Command, input: &str, limit: Duration) -> Result<Out, String> {
        let text = |error: std::io::Error| format!("{command:?}: {error}");
        let name = format!("{:?}", std::thread::current().id());
        let paths = ["out", "err", "in"].map(|kind| self.scratch.join(format!("{name}.{kind}")));
        File::create(&paths[2])
            .and_then(|mut file| file.write_all(input.as_bytes()))
            .map_err(text)?;
        let (out, err, stdin) = (
            File::create(&paths[0]).map_err(text)?,
            File::create(&paths[1]).map_err(text)?,
            File::open(&paths[2]).map_err(text)?,
        );
        let began = Instant::now();
        let mut child = command
            .stdin(stdin)
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|error| error.to_string())?;
        let status = wait(&mut child, began + limit)?;
        let took = began.elapsed();
        let read =
            |path: &Path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Out {
            code: status.and_then(|status| status.code()).unwrap_or(-1),
            out: read(&paths[0]).map_err(|error| error.to_string())?,
            err: read(&paths[1]).map_err(|error| error.to_string())?,
            took,
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A lab that does not stop can only be reported.
        if let Err(why) = self.lab(&["down"]) {
            eprintln!("{why}");
            return;
        }
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

fn scratch(kind: &str) -> Result<PathBuf, String> {
    let path = std::env::temp_dir().join(format!("om-conformance-{kind}-{}", std::process::id()));
    fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// The status, or None for a child that was killed at its deadline.
fn wait(child: &mut Child, deadline: Instant) -> Result<Option<ExitStatus>, String> {
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Ok(Some(status));
        }
        if Instant::now() > deadline {
            child
                .kill()
                .and_then(|()| child.wait())
                .map_err(|error| error.to_string())?;
            return Ok(None);
        }
        sleep(Duration::from_millis(5));
    }
}

/// The real `om` to use, or the reason why there is none.
fn real_om() -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::var_os("HPS_OM").map(PathBuf::from).or_else(|| {
        std::env::split_paths(&path)
            .map(|folder| folder.join("om"))
            .find(|om| om.is_file())
    });
    let om = found.ok_or("no om: HPS_OM is not set and there is none on PATH")?;
    let om = om
        .canonicalize()
        .map_err(|error| format!("{}: {error}", om.display()))?;
    if om
        .parent()
        .is_some_and(|folder| folder.ends_with("tests/fakes"))
    {
        return Err("the om on PATH is the fake".to_owned());
    }
    let root =
        fs::read_to_string("/proc/self/status").is_ok_and(|text| text.contains("\nUid:\t0\t0"));
    if root {
        Ok(om)
    } else {
        Err("a real cluster needs root".to_owned())
    }
}
