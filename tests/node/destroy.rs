//! `n_vm destroy` removes only what it can prove to be this VM's own.

use std::fs;
use std::os::unix::fs::symlink;

use crate::harness::world::World;
use crate::{OTHER, UUID, world};

const THIRD: &str = "6ba7b812-9dad-11d1-80b4-00c04fd430c8";

/// A world with the VM `web`, and its own disk file.
fn with_disk() -> (World, String) {
    let world = world();
    let disk = world
        .file("disks/own.img", "data")
        .to_string_lossy()
        .into_owned();
    world.domain(UUID, "web", "running", &[&disk]);
    (world, disk)
}

fn disk_xml(path: &str, more: &str) -> String {
    format!(
        "<disk type='file' device='disk'><driver type='raw'/><source file='{path}'/><target dev='vda'/>{more}</disk>"
    )
}

#[test]
fn destroy_removes_the_domain_and_its_own_disk() {
    let (world, disk) = with_disk();
    world
        .run(&["destroy", "web"])
        .code(0)
        .stdout("")
        .stderr(&format!("n_vm: destroy web: removed; removed: {disk}\n"));
    assert_eq!(world.names("fake/domains"), [] as [&str; 0]);
    assert_eq!(world.names("disks"), [] as [&str; 0]);
    assert_eq!(world.names("state/removals"), [] as [&str; 0]);
    assert!(
        !world
            .calls()
            .iter()
            .any(|call| call.contains("remove-all-storage"))
    );
    assert!(world.calls().iter().any(|call| {
        call.ends_with("--nvram --managed-save --snapshots-metadata --checkpoints-metadata")
    }));
}

#[test]
fn an_absent_domain_is_success() {
    world()
        .run(&["destroy", "web"])
        .code(0)
        .stderr("n_vm: destroy web: is gone already\n");
}

#[test]
fn keep_storage_removes_no_file() {
    let (world, _) = with_disk();
    world
        .run(&["destroy", "web", "--keep-storage"])
        .code(0)
        .says("removed; its storage was kept");
    assert_eq!(world.names("disks"), ["own.img"]);
    assert_eq!(world.names("fake/domains"), [] as [&str; 0]);
}

#[test]
fn a_dry_run_prints_both_lists_and_changes_nothing() {
    let (world, disk) = with_disk();
    let devices = disk_xml(&disk, "")
        + "<disk type='block' device='disk'><source dev='/dev/loop7'/><target dev='vdb'/></disk>";
    world.domain_xml(UUID, "web", "running", &devices);
    world.run(&["destroy", "--dry-run", "web"]).code(0).stdout(&format!(
        "web: the domain would be removed; would be removed: {disk}; kept: /dev/loop7 (is a block device)\n"
    ));
    assert_eq!(world.state_of(UUID).unwrap(), "running yes");
    assert_eq!(world.names("disks"), ["own.img"]);
    world
        .run(&["destroy", "--dry-run", "nope"])
        .code(0)
        .stdout("nope: no such domain\n");
}

#[test]
fn destroy_removes_only_its_own_writable_disk_files() {
    let world = world();
    let file = |name: &str| {
        world
            .file(&format!("disks/{name}"), "data")
            .to_string_lossy()
            .into_owned()
    };
    let (iso, shared, readonly, target) = (
        file("cd.iso"),
        file("shared.img"),
        file("ro.img"),
        file("target.img"),
    );
    let link = world.dir.join("disks/link.img");
    symlink(&target, &link).unwrap();
    let folder = world.dir.join("disks/folder");
    fs::create_dir(&folder).unwrap();
    let missing = world.dir.join("disks/missing.img");
    let devices = [
        format!("<disk type='file' device='cdrom'><source file='{iso}'/><target dev='sda'/><readonly/></disk>"),
        "<disk type='file' device='cdrom'><target dev='sdb'/></disk>".to_owned(),
        disk_xml(&shared, "<shareable/>"),
        disk_xml(&readonly, "<readonly/>"),
        disk_xml(&link.to_string_lossy(), ""),
        disk_xml(&folder.to_string_lossy(), ""),
        disk_xml(&missing.to_string_lossy(), ""),
        "<disk type='block' device='disk'><source dev='/dev/loop7'/><target dev='vdb'/></disk>".to_owned(),
        "<disk type='volume' device='disk'><source pool='p' volume='v'/><target dev='vdc'/></disk>".to_owned(),
        "<disk type='network' device='disk'><source protocol='nbd' name='x'/><target dev='vdd'/></disk>".to_owned(),
    ];
    world.domain_xml(UUID, "web", "running", &devices.concat());
    let done = world.run(&["destroy", "web"]);
    done.code(0);
    for want in [
        "cd.iso (is a cdrom)",
        "shared.img (is shareable)",
        "ro.img (is read-only)",
        "link.img (is a symbolic link)",
        "folder (is not a regular file)",
        "missing.img (does not exist)",
        "/dev/loop7 (is a block device)",
        "p/v (is a volume of a storage pool)",
        "vdd (is of type network)",
    ] {
        done.says(want);
    }
    assert!(!done.stderr.contains("removed:"), "{}", done.stderr);
    assert_eq!(
        world.names("disks"),
        [
            "cd.iso",
            "folder",
            "link.img",
            "ro.img",
            "shared.img",
            "target.img"
        ]
    );
}

#[test]
fn a_file_of_another_domain_is_kept_under_any_name() {
    for how in ["same path", "symbolic link", "hard link", "nvram"] {
        let (world, disk) = with_disk();
        let alias = world.dir.join("alias.img");
        let devices = match how {
            "same path" => disk_xml(&disk, ""),
            "symbolic link" => {
                symlink(&disk, &alias).unwrap();
                disk_xml(&alias.to_string_lossy(), "")
            }
            "hard link" => {
                fs::hard_link(&disk, &alias).unwrap();
                disk_xml(&alias.to_string_lossy(), "")
            }
            _ => format!("<nvram>{disk}</nvram>"),
        };
        world.domain_xml(OTHER, "other", "shut off", &devices);
        world
            .run(&["destroy", "web"])
            .code(0)
            .says("own.img (is held by domain other)");
        assert_eq!(world.names("disks"), ["own.img"], "{how}");
        assert_eq!(world.names("fake/domains"), [OTHER]);
    }
}

#[test]
fn a_backing_file_of_another_domain_is_kept() {
    let world = world();
    let base = world.dir.join("base.qcow2").to_string_lossy().into_owned();
    let overlay = world
        .dir
        .join("overlay.qcow2")
        .to_string_lossy()
        .into_owned();
    qemu_img(&["create", "-q", "-f", "qcow2", &base, "1M"]);
    qemu_img(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "-F",
        "qcow2",
        "-b",
        "base.qcow2",
        &overlay,
    ]);
    let qcow2 = |path: &str| disk_xml(path, "").replace("raw", "qcow2");
    world.domain_xml(UUID, "web", "running", &qcow2(&base));
    world.domain_xml(OTHER, "other", "shut off", &qcow2(&overlay));
    world
        .run(&["destroy", "web"])
        .code(0)
        .says("base.qcow2 (is held by domain other)");
    world
        .run(&["destroy", "other"])
        .code(0)
        .says(&format!("removed: {overlay}"));
    assert!(fs::exists(&base).unwrap() && !fs::exists(&overlay).unwrap());
}

#[test]
fn a_raw_disk_is_not_probed_for_a_format() {
    let (world, disk) = with_disk();
    let forged = world.dir.join("forged.img").to_string_lossy().into_owned();
    qemu_img(&[
        "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", &disk, &forged, "1M",
    ]);
    world.domain(OTHER, "other", "running", &[&forged]);
    world
        .run(&["destroy", "web"])
        .code(0)
        .says(&format!("removed: {disk}"));
    assert!(world.calls().iter().any(|call| call
        == &format!(
            "qemu-img info --force-share --backing-chain --output json -f raw -- {forged}"
        )));
}

#[test]
fn doubt_about_another_domain_keeps_everything() {
    for doubt in ["qemu-img fails", "disk not there", "unknown volume"] {
        let (world, _) = with_disk();
        let there = world.file("other.img", "x").to_string_lossy().into_owned();
        match doubt {
            "qemu-img fails" => {
                world.answer("qemu-img", 1, "", "qemu-img: no\n");
                world.domain(OTHER, "other", "running", &[&there]);
            }
            "disk not there" => {
                world.domain(OTHER, "other", "shut off", &["/no/such.img"]);
            }
            _ => {
                let volume = "<disk type='volume' device='disk'><source pool='p' volume='v'/><target dev='vda'/></disk>";
                world.domain_xml(OTHER, "other", "running", volume);
            }
        }
        world
            .run(&["destroy", "web"])
            .code(0)
            .says("own.img (may be held by others: domain other");
        assert_eq!(world.names("disks"), ["own.img"], "{doubt}");
    }
}

#[test]
fn without_qemu_img_all_is_kept_beside_other_domains() {
    let (mut world, _) = with_disk();
    let there = world.file("other.img", "x").to_string_lossy().into_owned();
    world.domain(OTHER, "other", "running", &[&there]);
    let bin = world.dir.join("bin");
    fs::create_dir(&bin).unwrap();
    for program in ["virsh", "node-fake.sh"] {
        fs::copy(
            format!("{}/../tests/fakes/{program}", env!("CARGO_MANIFEST_DIR")),
            bin.join(program),
        )
        .unwrap();
    }
    for program in ["sh", "cat", "rm", "mv", "sed", "tr"] {
        symlink(format!("/bin/{program}"), bin.join(program)).unwrap();
    }
    world.set("PATH", &bin.to_string_lossy());
    world
        .run(&["destroy", "web"])
        .code(0)
        .says("own.img (may be held by others: domain other has")
        .says("qemu-img could not be started");
    assert_eq!(world.names("disks"), ["own.img"]);
}

#[test]
fn a_path_of_the_registry_is_kept() {
    let (world, disk) = with_disk();
    let world = world.env(
        "N_VM_KEEP",
        &format!("/no/such:{}", disk.replace('.', "%2E")),
    );
    world
        .run(&["destroy", "web"])
        .code(0)
        .says("own.img (is held by another VM of the registry)");
    assert_eq!(world.names("disks"), ["own.img"]);
}

#[test]
fn a_driver_without_a_flag_is_asked_with_fewer() {
    let (world, _) = with_disk();
    world.answer("virsh-undefine", 1, "", "error: Failed to undefine domain\nerror: unsupported flags (0x14) in function testDomainUndefineFlags\n");
    world
        .run(&["destroy", "web"])
        .code(1)
        .says("undefining the domain: virsh exited 1");
    let tried: Vec<_> = world
        .calls()
        .into_iter()
        .filter(|call| call.contains(" undefine "))
        .collect();
    assert_eq!(tried.len(), 4);
    assert!(tried[2].ends_with(
        "undefine 7b56cd66-d14e-58e5-bbd2-f2f86059bae7 --managed-save --snapshots-metadata"
    ));
    assert_eq!(
        world.names("disks"),
        ["own.img"],
        "no file goes before the domain"
    );
}

#[test]
fn a_libvirt_that_stops_answering_removes_nothing() {
    let (world, _) = with_disk();
    world.answer(
        "virsh-dumpxml",
        1,
        "",
        "error: failed to connect to the hypervisor\n",
    );
    world
        .run(&["destroy", "web"])
        .code(1)
        .says("reading the disks of the domain: the state of the domain is unknown");
    assert_eq!(world.state_of(UUID).unwrap(), "running yes");
    assert_eq!(world.names("disks"), ["own.img"]);
}

#[test]
fn a_rerun_finishes_a_removal_unless_the_file_is_in_use() {
    for taken in [false, true] {
        let (world, disk) = with_disk();
        world.answer("virsh-destroy", 1, "", "error: no\n");
        world.run(&["destroy", "web"]).code(1);
        assert_eq!(world.names("state/removals"), [UUID]);
        fs::remove_dir_all(world.dir.join("fake/domains").join(UUID)).unwrap();
        if taken {
            world.domain(THIRD, "third", "shut off", &[&disk]);
        }
        let done = world.run(&["destroy", "web"]);
        if taken {
            done.code(0)
                .says("was removed already; kept:")
                .says("own.img (is held by domain third)");
        } else {
            done.code(0)
                .says(&format!("was removed already; removed: {disk}"));
        }
        assert_eq!(world.names("disks").len(), usize::from(taken));
        assert_eq!(world.names("state/removals"), [] as [&str; 0]);
    }
}

#[test]
fn a_file_that_was_replaced_meanwhile_is_kept() {
    let (world, disk) = with_disk();
    world.answer("virsh-destroy", 1, "", "error: no\n");
    world.run(&["destroy", "web"]).code(1);
    fs::remove_dir_all(world.dir.join("fake/domains").join(UUID)).unwrap();
    fs::write(world.dir.join("new"), "foreign").unwrap();
    fs::rename(world.dir.join("new"), &disk).unwrap();
    world
        .run(&["destroy", "web"])
        .code(0)
        .says("own.img (was replaced by another file)");
    assert_eq!(world.names("disks"), ["own.img"]);
}

#[test]
fn a_vm_that_is_created_again_keeps_its_disks() {
    let (world, disk) = with_disk();
    world.answer("virsh-destroy", 1, "", "error: no\n");
    world.run(&["destroy", "web"]).code(1);
    world.no_answers();
    fs::remove_dir_all(world.dir.join("fake/domains").join(UUID)).unwrap();
    let world = world.vm("vm-1", &format!("{}disk_1_a={disk}\n", crate::LEAST));
    world.run(&["create", "vm-1"]).code(0);
    assert_eq!(world.names("state/removals"), [] as [&str; 0]);
    assert_eq!(world.names("disks"), ["own.img"]);
}

fn qemu_img(args: &[&str]) {
    assert!(
        crate::harness::run::command("qemu-img")
            .args(args)
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn a_domain_of_others_may_disappear_meanwhile() {
    let (world, disk) = with_disk();
    world.domain(OTHER, "other", "running", &[]);
    // The listing contains it; it is gone when its XML is read.
    fs::remove_file(world.dir.join(format!("fake/domains/{OTHER}/xml"))).unwrap();
    fs::write(world.dir.join("fake/vanish"), OTHER).unwrap();
    world
        .run(&["destroy", "web"])
        .code(0)
        .says(&format!("removed: {disk}"));
    assert_eq!(world.names("fake/domains"), [] as [&str; 0]);
}

#[test]
fn an_unreadable_domain_of_others_stops_the_removal() {
    let (world, _) = with_disk();
    world.domain(OTHER, "other", "running", &[]);
    fs::remove_file(world.dir.join(format!("fake/domains/{OTHER}/xml"))).unwrap();
    world
        .run(&["destroy", "web"])
        .code(1)
        .says("reading all other domains: the state of the domain is unknown");
    assert_eq!(world.state_of(UUID).unwrap(), "running yes");
    assert_eq!(world.names("disks"), ["own.img"]);
}
