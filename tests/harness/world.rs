//! One test's world: a folder, an environment, the fakes and a stub of the IPS.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::ips::Ips;
use super::run::{Done, command, finish};

/// A world of its own, removed when the test passes.
pub(crate) struct World {
    pub(crate) dir: PathBuf,
    pub(crate) ips: Ips,
    program: PathBuf,
    env: Vec<(String, String)>,
}

impl World {
    /// A world for `program`, in which fakes replace virsh, virt-install and qemu-img.
    pub(crate) fn new(program: &str) -> Self {
        let world = Self::real(program);
        let fakes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fakes");
        let fakes = fakes.canonicalize().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        world.env("PATH", &format!("{}:{path}", fakes.display()))
    }

    /// A world with the machine's own programs.
    pub(crate) fn real(program: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("hps-test-{}-{count}", std::process::id()));
        for folder in ["domains", "pools", "answers"] {
            fs::create_dir_all(dir.join("fake").join(folder)).unwrap();
        }
        let ips = Ips::start();
        let (state, fake, url) = (dir.join("state"), dir.join("fake"), ips.url.clone());
        let world = Self {
            dir,
            ips,
            program: program.into(),
            env: Vec::new(),
        };
        world
            .env("FAKE_DIR", &fake.to_string_lossy())
            .env("N_VM_STATE_DIR", &state.to_string_lossy())
            .env("N_VM_IPS", &url)
            .env("N_VM_NODE", "tch-001")
            .env("N_VM_POLL_INTERVAL", "0.005")
            .env("N_VM_RESEND_INTERVAL", "0.02")
    }

    /// Sets a variable for every program of this world.
    #[must_use]
    pub(crate) fn env(mut self, key: &str, value: &str) -> Self {
        self.set(key, value);
        self
    }

    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.env.retain(|(known, _)| known != key);
        self.env.push((key.to_owned(), value.to_owned()));
    }

    /// Gives the IPS a VM config.
    #[must_use]
    pub(crate) fn vm(self, id: &str, text: &str) -> Self {
        self.ips.config(id, text);
        self
    }

    /// Starts the program.
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        self.spawn_as(&self.program, args)
    }

    /// Starts another program in this world.
    pub(crate) fn spawn_as(&self, program: &Path, args: &[&str]) -> Child {
        let mut command = command(program);
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("N_VM_") || key.to_string_lossy().starts_with("O")
            {
                command.env_remove(key);
            }
        }
        command
            .args(args)
            .envs(self.env.iter().map(|(key, value)| (key, value)));
        command.spawn().unwrap()
    }

    /// Runs the program and waits for it.
    pub(crate) fn run(&self, args: &[&str]) -> Done {
        let began = Instant::now();
        finish(self.spawn(args), began)
    }

    /// Runs it under the name of a link.
    pub(crate) fn run_link(&self, link: &str, args: &[&str]) -> Done {
        let path = self.dir.join(link);
        if !path.exists() {
            std::os::unix::fs::symlink(&self.program, &path).unwrap();
        }
        let began = Instant::now();
        finish(self.spawn_as(&path, args), began)
    }

    /// A file in this world's folder.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// Replaces the answer of a fake.
    pub(crate) fn answer(&self, call: &str, code: i32, stdout: &str, stderr: &str) {
        self.file(&format!("fake/answers/{call}.out"), stdout);
        self.file(&format!("fake/answers/{call}.err"), stderr);
        self.file(&format!("fake/answers/{call}.rc"), &format!("{code}\n"));
    }

    /// Removes such answers.
    pub(crate) fn no_answers(&self) {
        let answers = self.dir.join("fake/answers");
        fs::remove_dir_all(&answers).unwrap();
        fs::create_dir(answers).unwrap();
    }

    /// Adds a domain to the fake libvirt.
    pub(crate) fn domain(&self, uuid: &str, name: &str, state: &str, disks: &[&str]) -> &Self {
        let disks: String = disks
            .iter()
            .map(|path| format!("<disk type='file' device='disk'><driver type='raw'/><source file='{path}'/><target dev='vda'/></disk>"))
            .collect();
        self.domain_xml(uuid, name, state, &disks)
    }

    /// As [`World::domain`], with the devices' XML.
    pub(crate) fn domain_xml(&self, uuid: &str, name: &str, state: &str, devices: &str) -> &Self {
        let at = |file: &str| format!("fake/domains/{uuid}/{file}");
        self.file(&at("name"), &format!("{name}\n"));
        self.file(&at("state"), &format!("{state}\n"));
        self.file(&at("persistent"), "yes\n");
        let xml = format!(
            "<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><devices>{devices}</devices></domain>\n"
        );
        self.file(&at("xml"), &xml);
        self
    }

    /// State and persistence of a fake domain, as `running yes`.
    pub(crate) fn state_of(&self, uuid: &str) -> Option<String> {
        let read = |file: &str| {
            fs::read_to_string(self.dir.join(format!("fake/domains/{uuid}/{file}"))).ok()
        };
        Some(format!(
            "{} {}",
            read("state")?.trim(),
            read("persistent")?.trim()
        ))
    }

    /// The names in a folder of this world, sorted; none if it does not exist.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.dir.join(folder))
            .into_iter()
            .flatten()
            .flatten();
        let mut names: Vec<_> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Every call of a fake so far.
    pub(crate) fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.dir.join("fake/calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}
