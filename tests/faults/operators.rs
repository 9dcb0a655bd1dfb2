//! Operators who run any command at any time, one of them or many: a seed determines the
//! commands of each, so a run can be repeated (`HPS_SEED`).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::harness::{ATTENTION, Done, Ips, NEVER, kill};
use crate::rows::ROWS;
use crate::world::{Engine, environment, join_cluster, make_node, use_the_real_n_vm};

/// A deterministic pseudo-random generator: splitmix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// The seed of this run: `HPS_SEED`, or `usual`.
    pub(crate) fn seed(usual: u64) -> u64 {
        let given = std::env::var("HPS_SEED").ok();
        let seed = given.map_or(usual, |text| text.parse().unwrap());
        println!("HPS_SEED={seed}");
        seed
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// One of a few.
    pub(crate) fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[usize::try_from(self.next()).unwrap_or(usize::MAX) % among.len()]
    }
}

/// One registry, two machines that run VMs, and VMs that may be on either of them.
pub(crate) struct Site {
    pub(crate) ips: Ips,
    pub(crate) vms: Vec<String>,
    pub(crate) nodes: [&'static str; 2],
    engine: Engine,
}

impl Site {
    /// With engine `local` each machine is the only node of its own operators; they share the
    /// registry.
    pub(crate) fn new(engine: Engine, vms: u64) -> Self {
        let (mut ips, nodes) = match engine {
            Engine::Local => (Ips::new(), ["box-a", "box-b"]),
            Engine::OpenSvc => (Ips::in_cluster(), ["tch-001", "tch-002"]),
        };
        use_the_real_n_vm(&ips);
        ips.set("IPS_NODES_RESTART", "on");
        for node in nodes {
            make_node(&ips, node);
        }
        match engine {
            Engine::Local => drop(ips.serve()),
            Engine::OpenSvc => {
                ips.set("IPS_INSTANCE_TIMEOUT", "10")
                    .set("IPS_VERB_TIMEOUT", "30");
                join_cluster(&ips, &nodes, &[]);
            }
        }
        let vms: Vec<_> = (0..vms).map(|number| format!("v{number}")).collect();
        fs::create_dir(ips.dir.join("disks")).unwrap();
        for vm in &vms {
            let disk = ips.dir.join("disks").join(vm).display().to_string();
            fs::write(&disk, "data").unwrap();
            ips.ok(&[
                "define", "--id", vm, "--name", vm, "--cpus", "1", "--ram", "64", "--disk", &disk,
            ]);
        }
        Self {
            ips,
            vms,
            nodes,
            engine,
        }
    }

    /// `o_vm`; with engine `local` on one of the two.
    pub(crate) fn start(&self, node: &str, args: &[String]) -> Child {
        let mut command = self.ips.command("o_vm");
        command.args(args);
        if self.engine == Engine::Local {
            command.envs(self.environment(node));
        }
        command.spawn().unwrap()
    }

    /// The environment of the operators of one machine.
    pub(crate) fn environment(&self, node: &str) -> Vec<(&'static str, String)> {
        let mut all = environment(&self.ips, node, &[]);
        all.push(("IPS_NODE_NAME", node.to_owned()));
        all
    }

    pub(crate) fn run(&self, node: &str, args: &[&str]) -> Done {
        let args: Vec<_> = args.iter().map(|&word| word.to_owned()).collect();
        Done::of(self.start(node, &args))
    }

    /// The nodes that have a domain of the VM now.
    pub(crate) fn places(&self, vm: &str) -> Vec<&'static str> {
        let mut nodes = self.nodes.to_vec();
        nodes.retain(|node| self.domain_on(node, vm).is_some());
        nodes
    }

    pub(crate) fn of(&self, node: &str, file: &str) -> PathBuf {
        self.ips.dir.join("nodes").join(node).join(file)
    }

    /// A VM never has two domains.
    pub(crate) fn holds(&self, when: &str) {
        for vm in &self.vms {
            let first = self.domain_on(self.nodes[0], vm);
            let other = self.domain_on(self.nodes[1], vm);
            // It may have moved from one node to the other between the two checks.
            let is_there_still = first.is_some() && first == self.domain_on(self.nodes[0], vm);
            assert!(
                !is_there_still || other.is_none(),
                "{when}: {vm} is on {:?}: {:?}",
                self.nodes,
                self.ask(&format!(
                    "select operation, verb, started_at, ended_at, exit_code, reason from operation \
                     where vm_id = '{vm}' order by started_at desc limit 6"
                ))
            );
        }
    }

    /// The inode of a domain's folder: it changes when the domain is replaced.
    fn domain_on(&self, node: &str, vm: &str) -> Option<u64> {
        let uuid = hps_core::identity::uuid_of_id(&vm.parse().unwrap());
        let folder = self.of(node, "domains").join(uuid.to_string());
        folder.metadata().ok().map(|found| found.ino())
    }

    /// The answer to a query of the registry's tables, a line a row.
    pub(crate) fn ask(&self, sql: &str) -> Vec<String> {
        let done = self
            .ips
            .run_sh("sqlite3 -cmd '.timeout 20000' registry.db \"$1\"", &[sql]);
        assert_eq!(done.code, 0, "{sql}: {done:?}");
        done.out.lines().map(str::to_owned).collect()
    }

    /// Every operation that was started has ended, and the registry matches the nodes.
    pub(crate) fn comes_to_rest(&self, when: &str) {
        let until = Instant::now() + NEVER;
        loop {
            let sweep = |node: &&str| self.run(node, &["sweep"]).out;
            let swept = self.nodes.iter().map(sweep).collect::<String>();
            let open = self.ask("select vm_id, verb from operation where ended_at is null");
            // With engine `local` a machine cannot see the domains of the other one.
            let care = swept.contains(ATTENTION) && self.engine == Engine::OpenSvc;
            if open.is_empty() && !care {
                break;
            }
            assert!(Instant::now() < until, "{when}: {open:?}: {swept}");
        }
        assert_eq!(self.ask("pragma integrity_check"), ["ok"], "{when}");
        for vm in &self.vms {
            let owner = self.ask(&format!(
                "select coalesce(owner, '') from vm where vm_id = '{vm}'"
            ));
            let places = self.places(vm);
            assert_eq!(
                owner,
                [places.first().copied().unwrap_or("")],
                "{when}: {vm}"
            );
        }
    }
}

/// One action of an operator.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    pub(crate) node: &'static str,
    pub(crate) args: Vec<String>,
    /// The delay after which the operator kills it, if any.
    pub(crate) killed_after: Option<Duration>,
}

/// A random action on a random VM.
pub(crate) fn action(random: &mut Random, site: &Site) -> Action {
    let node = random.pick(&site.nodes);
    let all: Vec<_> = site.vms.iter().map(String::as_str).collect();
    let vm = random.pick(&all);
    let title = format!("title=t{}", random.below(1000));
    let create: &[&str] = &["create", vm, node];
    let row = ROWS[usize::try_from(random.below(ROWS.len() as u64)).unwrap()].on(vm, node);
    let args = match random.below(100) {
        0..30 => create,
        30..82 => &row,
        82..86 => &["set", vm, &title],
        86..88 => &["config", vm, "--token"],
        88..91 => &["status", vm],
        91..93 => &["list", "--json"],
        93..95 => &["operations", "--json"],
        95..97 => &["adopt", node],
        _ => &["sweep"],
    };
    let args = args.iter().map(|&word| word.to_owned()).collect();
    let killed_after = (random.below(20) == 0).then(|| Duration::from_millis(random.below(60)));
    Action {
        node,
        args,
        killed_after,
    }
}

impl Action {
    /// Runs it; `None`: its `o_vm` was killed.
    pub(crate) fn act(&self, site: &Site) -> Option<Done> {
        let mut args = self.args.clone();
        if self.is_operation() {
            args.push("--json".to_owned());
        }
        let child = site.start(self.node, &args);
        if let Some(after) = self.killed_after {
            std::thread::sleep(after);
            kill(child.id(), "KILL");
        }
        let done = Done::of(child);
        (done.code >= 0).then_some(done)
    }

    /// Whether it is journaled as an operation.
    pub(crate) fn is_operation(&self) -> bool {
        let mut operations = ROWS.iter().filter(|row| row.is_operation);
        operations.any(|row| row.name() == self.args[0])
    }
}
