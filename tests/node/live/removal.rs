//! `n_vm destroy` on the real libvirt removes its own files only.

use std::fs;

use crate::system::{System, run, virsh};

/// A loop device, detached when the test ends, even by a panic.
struct Loop(String, bool);

impl Loop {
    /// Backed by a file; without a free loop device the name of one is used.
    fn over(file: &str) -> Self {
        let device = run("losetup", &["--find", "--show", file]);
        let name = device.stdout.trim();
        let made = device.code == 0;
        Self(if made { name } else { "/dev/loop0" }.to_owned(), made)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        if self.1 {
            run("losetup", &["--detach", &self.0]);
        }
    }
}

fn disk(path: &str, target: &str, more: &str) -> String {
    format!(
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{path}'/>\
         <target dev='{target}' bus='virtio'/>{more}</disk>"
    )
}

#[test]
fn destroy_keeps_all_files_that_are_not_provably_its_own() {
    let vm = System::new("proof");
    let (own, base) = (vm.image("own,1.qcow2", &[]), vm.image("base.qcow2", &[]));
    let overlay = vm.image("overlay.qcow2", &["-F", "qcow2", "-b", &base]);
    let (shared, kept) = (vm.image("shared.qcow2", &[]), vm.image("kept.qcow2", &[]));
    let iso = vm.image("install.iso", &[]);
    let backing = vm.image("loop.img", &[]);
    let device = Loop::over(&backing);
    let block = &device.0;
    let mut devices = disk(&own, "vda", "")
        + &disk(&base, "vdb", "")
        + &disk(&shared, "vdc", "<shareable/>").replace("qcow2'/><source", "raw'/><source")
        + &disk(&kept, "vdd", "");
    devices += &format!(
        "<disk type='file' device='cdrom'><source file='{iso}'/><target dev='sda' bus='sata'/></disk>"
    );
    devices += &format!(
        "<disk type='block' device='disk'><driver name='qemu' type='raw'/><source dev='{block}'/>\
         <target dev='vde' bus='virtio'/></disk>"
    );
    let name = vm.define("web", "", &devices);
    let other = vm.define("other", "", &disk(&overlay, "vda", ""));
    let world = &vm.world;
    let child = {
        let began = std::time::Instant::now();
        let mut command = crate::harness::run::command(env!("CARGO_BIN_EXE_n_vm"));
        command
            .env("N_VM_KEEP", kept.replace(',', "%2C"))
            .env("N_VM_IPS", &world.ips.url);
        command
            .env("N_VM_STATE_DIR", world.dir.join("state"))
            .args(["destroy", &name]);
        crate::harness::run::finish(command.spawn().unwrap(), began)
    };
    child
        .code(0)
        .says(&format!("removed: {own};"))
        .says(&format!("{block} (is a block device)"))
        .says(&format!("base.qcow2 (is held by domain {other})"))
        .says("shared.qcow2 (is shareable)")
        .says("kept.qcow2 (is held by another VM of the registry)")
        .says("install.iso (is a cdrom)");
    assert!(!fs::exists(&own).unwrap());
    for path in [&base, &overlay, &shared, &kept, &iso, &backing] {
        assert!(fs::exists(path).unwrap(), "{path}");
    }
    assert_ne!(virsh(&["dominfo", &name]).code, 0);
    assert_eq!(virsh(&["dominfo", &other]).code, 0);
}

#[test]
fn nvram_snapshots_and_managed_save_are_removed() {
    let vm = System::new("nvram");
    let own = vm.image("own.qcow2", &[]);
    vm.config(&format!("disk_1_a={own}\n")).create().code(0);
    virsh(&["snapshot-create-as", &vm.name, "s1"]).code(0);
    virsh(&["managedsave", &vm.name]).code(0);
    vm.verb("destroy", &[])
        .code(0)
        .says(&format!("removed: {own}"));
    assert_eq!(vm.state(), None);
    assert!(!fs::exists(format!("/var/lib/libvirt/qemu/save/{}.save", vm.name)).unwrap());
    assert!(!fs::exists(format!("/var/lib/libvirt/qemu/snapshot/{}", vm.name)).unwrap());
}

#[test]
fn a_uefi_vm_is_created_and_removed_with_its_nvram() {
    let vm = System::new("uefi");
    vm.config("firmware=uefi\nboot=hd\n").create().code(0);
    let xml = virsh(&["dumpxml", &vm.name]).stdout;
    let nvram = xml
        .split("<nvram")
        .nth(1)
        .and_then(|rest| rest.split(['>', '<']).nth(1))
        .unwrap()
        .to_owned();
    assert!(fs::exists(&nvram).unwrap(), "{nvram}");
    vm.verb("destroy", &[]).code(0);
    assert_eq!(vm.state(), None);
    assert!(!fs::exists(&nvram).unwrap(), "{nvram}");
}

#[test]
fn a_driver_that_refuses_flags_is_asked_with_fewer() {
    // test:///default loses its state when the process ends: there is nothing to clean up.
    let vm = System::new("flags");
    let done = {
        let mut command = crate::harness::run::command(env!("CARGO_BIN_EXE_n_vm"));
        command
            .env("N_VM_CONNECT", "test:///default")
            .env("N_VM_IPS", &vm.world.ips.url);
        command
            .env("N_VM_STATE_DIR", vm.world.dir.join("state"))
            .args(["-v", "destroy", "test"]);
        crate::harness::run::finish(command.spawn().unwrap(), std::time::Instant::now())
    };
    // Each virsh has its own driver, so the domain is always back: the test compares the flags.
    done.code(1)
        .says("undefine 6695eb01-f6a4-8304-79aa-97f2502e193f --managed-save --snapshots-metadata");
}
