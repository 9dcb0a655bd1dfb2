//! An IPS and its nodes: all real except `om`, libvirt and the machines.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{ATTENTION, Done, Ips, node_links, wait_for};

/// The engine that runs the verbs on the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Local,
    OpenSvc,
}

/// The VM of all these tests.
pub(crate) const VM: &str = "a";

/// One IPS with one VM defined, its nodes, and a neighbour's VM on each.
pub(crate) struct World {
    pub(crate) ips: Ips,
    pub(crate) engine: Engine,
    nodes: Vec<&'static str>,
}

impl World {
    pub(crate) fn new(engine: Engine) -> Self {
        Self::with(engine, &[])
    }

    /// A world whose nodes have additional environment variables.
    pub(crate) fn with(engine: Engine, more: &[(&'static str, &str)]) -> Self {
        let (mut ips, nodes) = match engine {
            Engine::Local => (Ips::new(), vec!["box"]),
            Engine::OpenSvc => (Ips::in_cluster(), vec!["tch-001", "tch-002"]),
        };
        use_the_real_n_vm(&ips);
        ips.set("IPS_NODES_RESTART", "on");
        for node in &nodes {
            make_node(&ips, node);
        }
        match engine {
            Engine::Local => {
                for (key, value) in environment(&ips, "box", more) {
                    ips.set(key, &value);
                }
                ips.serve();
            }
            Engine::OpenSvc => {
                ips.set("IPS_VERB_TIMEOUT", "6")
                    .set("IPS_TASK_MARGIN", "1")
                    .set("IPS_WAIT_MARGIN", "2");
                join_cluster(&ips, &nodes, more);
            }
        }
        let world = Self { ips, engine, nodes };
        let disk = world.disk();
        world.make_disk();
        world.ips.ok(&[
            "define",
            "--id",
            VM,
            "--name",
            VM,
            "--cpus",
            "1",
            "--ram",
            "64",
            "--disk",
            disk.to_str().unwrap(),
        ]);
        world
    }

    /// The node the VM is created on.
    pub(crate) fn node(&self) -> &'static str {
        self.nodes[0]
    }

    fn disk(&self) -> PathBuf {
        self.ips.dir.join("disks/own.img")
    }

    /// The VM's disk, which `destroy` removes.
    pub(crate) fn make_disk(&self) {
        fs::create_dir_all(self.disk().parent().unwrap()).unwrap();
        fs::write(self.disk(), "data").unwrap();
    }

    /// A folder of a node.
    pub(crate) fn of(&self, node: &str, file: &str) -> PathBuf {
        self.ips.dir.join("nodes").join(node).join(file)
    }

    /// `running yes`: the state of the VM's domain on a node, and whether it is persistent.
    pub(crate) fn domain(&self, node: &str) -> Option<String> {
        let folder = self.domain_folder(node);
        let read = |file: &str| fs::read_to_string(folder.join(file)).ok();
        Some(format!(
            "{} {}",
            read("state")?.trim(),
            read("persistent")?.trim()
        ))
    }

    fn domain_folder(&self, node: &str) -> PathBuf {
        let uuid = hps_core::identity::uuid_of_id(&VM.parse().unwrap());
        self.of(node, &format!("domains/{uuid}"))
    }

    /// The nodes that have a domain of the VM.
    pub(crate) fn places(&self) -> Vec<&'static str> {
        let mut nodes = self.nodes.clone();
        nodes.retain(|node| self.domain(node).is_some());
        nodes
    }

    /// A VM never has two domains, nor one without an owner; a neighbour's disk is never
    /// touched.
    pub(crate) fn holds(&self, when: &str) {
        let places = self.places();
        assert!(places.len() <= 1, "{when}: it is on {places:?}");
        if let [place] = places[..] {
            let vm = self.ips.vm(VM);
            assert_eq!(vm["node"], place, "{when}: a domain without an owner: {vm}");
        }
        for node in &self.nodes {
            assert!(
                self.of(node, "others/other.img").exists(),
                "{when}: the neighbour's disk on {node}"
            );
            assert!(
                self.of(node, "domains").join(NEIGHBOUR).exists(),
                "{when}: the neighbour on {node}"
            );
        }
    }

    /// Reboots the node: its libvirt loses the VM.
    pub(crate) fn lose(&self, node: &str) {
        let _ = fs::remove_dir_all(self.domain_folder(node));
        let pools = self.of(node, "pools");
        fs::remove_dir_all(&pools).unwrap();
        fs::create_dir(pools).unwrap();
    }

    /// Nothing is left: no open operation, no token of one, no service.
    pub(crate) fn is_tidy(&self, when: &str) {
        let open: Vec<_> = self
            .ips
            .operations()
            .into_iter()
            .filter(|operation| operation["ended_at"].is_null())
            .collect();
        assert!(open.is_empty(), "{when}: {open:?}");
        let tokens = self
            .ips
            .shell("sqlite3 registry.db 'select count(*) from token where session is not null'");
        assert_eq!(tokens.out, "0\n", "{when}: tokens: {tokens:?}");
        if self.engine == Engine::OpenSvc {
            assert!(
                self.ips.services().is_empty(),
                "{when}: {:?}",
                self.ips.services()
            );
        }
    }

    /// Sweeps until no work is left.
    pub(crate) fn until_swept(&self, when: &str) {
        wait_for(&format!("{when}: a sweep to find all well"), || {
            let swept = self.ips.o_vm(&["sweep"]);
            self.holds(when);
            let care = swept.out.lines().find(|line| line.starts_with(ATTENTION));
            eprintln!("{when}: sweep {}: {}", swept.code, care.unwrap_or_default());
            (swept.code == 0 && care.is_none()).then_some(())
        });
    }

    /// Runs `o_vm` until it has settled what an earlier one left.
    pub(crate) fn until_done(&self, args: &[&str], when: &str) -> Done {
        wait_for(&format!("{when}: o_vm {args:?} to be done"), || {
            let done = self.ips.o_vm(args);
            self.holds(when);
            match done.code {
                0 => Some(done),
                // A part of the first one still runs, or its outcome is still unknown.
                3 | 5 | 6 | 7 | 10 | 11 => {
                    eprintln!(
                        "{when}: {}: {}",
                        done.code,
                        done.err.lines().last().unwrap_or_default()
                    );
                    None
                }
                _ => panic!("{when}: o_vm {args:?}: {done:?}"),
            }
        })
    }
}

const NEIGHBOUR: &str = "8f14e45f-ceea-467f-a0f6-1a2b3c4d5e6f";

/// The real n_vm, in which system calls can be made to fail, and the fakes of libvirt.
pub(crate) fn use_the_real_n_vm(ips: &Ips) {
    let target = Path::new(env!("CARGO_BIN_EXE_ips-server"))
        .parent()
        .unwrap();
    let program = target.join("n_vm");
    assert!(
        program.exists(),
        "{} is missing: cargo build --workspace",
        program.display()
    );
    let bin = ips.dir.join("bin");
    let fakes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fakes");
    let link = |from: &Path, name: &str| {
        let _ = fs::remove_file(bin.join(name));
        std::os::unix::fs::symlink(from, bin.join(name)).unwrap();
    };
    fs::create_dir(bin.join("real")).unwrap();
    for name in node_links().chain(["n_vm"]) {
        link(&fakes.join("under-strace"), name);
        link(&program, &format!("real/{name}"));
    }
    for fake in ["virsh", "virt-install", "qemu-img", "node-fake.sh"] {
        link(&fakes.join(fake), fake);
    }
}

/// Sets the environment of the programs that a fake cluster's daemons start.
pub(crate) fn join_cluster(ips: &Ips, nodes: &[&str], more: &[(&'static str, &str)]) {
    let path = format!("PATH={}:/usr/bin:/bin", ips.dir.join("bin").display());
    for node in nodes {
        let pairs: Vec<_> = environment(ips, node, more)
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let words = ["env", node, &path]
            .into_iter()
            .chain(pairs.iter().map(String::as_str));
        ips.cluster(&words.collect::<Vec<_>>());
    }
}

/// The environment of a node's programs.
pub(crate) fn environment(
    ips: &Ips,
    node: &str,
    more: &[(&'static str, &str)],
) -> Vec<(&'static str, String)> {
    let at = |file: &str| {
        ips.dir
            .join("nodes")
            .join(node)
            .join(file)
            .display()
            .to_string()
    };
    let usual = [
        ("FAKE_DIR", at("")),
        ("N_VM_STATE_DIR", at("state")),
        ("N_VM_CONFIG", at("node.conf")),
        ("N_VM_POLL_INTERVAL", "0.005".to_owned()),
        ("N_VM_RESEND_INTERVAL", "0.02".to_owned()),
        ("N_VM_LOCK_TIMEOUT", "5".to_owned()),
    ];
    let more = more.iter().map(|(key, value)| (*key, (*value).to_owned()));
    usual.into_iter().chain(more).collect()
}

pub(crate) fn make_node(ips: &Ips, node: &str) {
    let dir = ips.dir.join("nodes").join(node);
    for folder in ["domains", "pools", "answers", "others"] {
        fs::create_dir_all(dir.join(folder)).unwrap();
    }
    fs::write(dir.join("node.conf"), "").unwrap();
    let disk = dir.join("others/other.img");
    fs::write(&disk, "other").unwrap();
    let domain = dir.join("domains").join(NEIGHBOUR);
    fs::create_dir(&domain).unwrap();
    let xml = format!(
        "<domain type='qemu'><name>other</name><uuid>{NEIGHBOUR}</uuid><devices><disk type='file' device='disk'><driver type='raw'/><source file='{}'/><target dev='vda'/></disk></devices></domain>\n",
        disk.display()
    );
    for (file, text) in [
        ("name", "other\n"),
        ("state", "running\n"),
        ("persistent", "yes\n"),
        ("xml", &xml),
    ] {
        fs::write(domain.join(file), text).unwrap();
    }
}
