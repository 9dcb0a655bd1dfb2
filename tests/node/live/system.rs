//! The real libvirt, and a VM of one test on it.

use std::path::Path;
use std::time::Instant;

use crate::harness::run::{Done, command, finish};
use crate::harness::world::World;

pub(crate) const URI: &str = "qemu:///system";

/// A VM named after its test, on the real libvirt.
pub(crate) struct System {
    pub(crate) world: World,
    pub(crate) name: String,
}

impl System {
    /// Removes the leftovers of an earlier run of this test.
    pub(crate) fn new(name: &str) -> Self {
        let answers = virsh(&["list", "--all", "--name"]);
        assert_eq!(
            answers.code, 0,
            "libvirtd does not answer: run tests/libvirt-up as root ({})",
            answers.stderr
        );
        let world = World::real(env!("CARGO_BIN_EXE_n_vm"))
            .env("N_VM_CONNECT", URI)
            .env("N_VM_VIRT_TYPE", "qemu");
        let system = Self {
            world,
            name: format!("hps-test-{name}"),
        };
        system.clear();
        system
    }

    /// Sets this VM's config in the stub of the IPS, with the test's name as vm_id and name.
    pub(crate) fn config(&self, more: &str) -> &Self {
        let name = &self.name;
        let text =
            format!("name={name}\ncpu_count=1\nram_mb=64\nprovision_method=virt-install\n{more}");
        self.world.ips.config(name, text);
        self
    }

    pub(crate) fn create(&self) -> Done {
        self.world.run(&["create", &self.name])
    }

    /// Runs a verb on the VM.
    pub(crate) fn verb(&self, verb: &str, more: &[&str]) -> Done {
        let words: Vec<_> = [verb, self.name.as_str()]
            .iter()
            .chain(more)
            .copied()
            .collect();
        self.world.run(&words)
    }

    /// `running`, `shut off`; `None` if there is no such domain.
    pub(crate) fn state(&self) -> Option<String> {
        let done = virsh(&["domstate", &self.name]);
        (done.code == 0).then(|| done.stdout.trim().to_owned())
    }

    pub(crate) fn is_persistent(&self) -> bool {
        virsh(&["dominfo", &self.name])
            .stdout
            .contains("Persistent:     yes")
    }

    /// An image in this test's folder.
    pub(crate) fn image(&self, name: &str, more: &[&str]) -> String {
        let path = self.world.dir.join("disks").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let path = path.to_string_lossy().into_owned();
        let words = ["create", "-q", "-f", "qcow2"]
            .iter()
            .chain(more)
            .copied()
            .chain([path.as_str(), "8M"]);
        run("qemu-img", &words.collect::<Vec<_>>()).code(0);
        path
    }

    /// Defines a domain beside the VM, with these devices.
    pub(crate) fn define(&self, suffix: &str, more: &str, devices: &str) -> String {
        let name = format!("{}-{suffix}", self.name);
        let xml = format!(
            "<domain type='qemu'><name>{name}</name><memory unit='MiB'>64</memory>\
             <os><type arch='x86_64'>hvm</type>{more}</os><devices>{devices}</devices></domain>"
        );
        let file = self.world.file(&format!("{suffix}.xml"), &xml);
        virsh(&["define", &file.to_string_lossy()]).code(0);
        name
    }

    /// The pools whose folder is this test's.
    pub(crate) fn pools(&self) -> Vec<String> {
        let names = virsh(&["pool-list", "--all", "--name"]).stdout;
        let names = names.lines().map(str::trim).filter(|name| !name.is_empty());
        let folder = self.world.dir.to_string_lossy().into_owned();
        names
            .filter(|name| virsh(&["pool-dumpxml", name]).stdout.contains(&folder))
            .map(str::to_owned)
            .collect()
    }

    fn clear(&self) {
        let all = virsh(&["list", "--all", "--name"]).stdout;
        for name in all.lines().filter(|name| name.starts_with(&self.name)) {
            virsh(&["destroy", name]);
            virsh(&[
                "undefine",
                name,
                "--nvram",
                "--managed-save",
                "--snapshots-metadata",
                "--checkpoints-metadata",
            ]);
        }
        for pool in self.pools() {
            virsh(&["pool-destroy", &pool]);
            virsh(&["pool-undefine", &pool]);
        }
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.clear();
    }
}

pub(crate) fn virsh(args: &[&str]) -> Done {
    let words: Vec<_> = ["--connect", URI].iter().chain(args).copied().collect();
    run("virsh", &words)
}

pub(crate) fn run(program: &str, args: &[&str]) -> Done {
    let began = Instant::now();
    finish(
        command(Path::new(program))
            .env("LC_ALL", "C")
            .args(args)
            .spawn()
            .unwrap(),
        began,
    )
}
