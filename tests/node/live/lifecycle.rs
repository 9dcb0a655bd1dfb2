//! A real qemu process, from its creation to its end.

use std::fs;
use std::time::Duration;

use crate::harness::run::until;
use crate::system::{System, run, virsh};

#[test]
fn a_vm_lives_its_whole_life() {
    let vm = System::new("life");
    let disk = vm.image("own.qcow2", &[]);
    vm.config(&format!("disk_1_a={disk}\ntitle=Web, \"x\" <&>\n"));
    vm.create().code(0).says("was created, running");
    assert!(vm.is_persistent());
    assert_eq!(
        virsh(&["desc", &vm.name, "--title"]).stdout.trim(),
        "Web, \"x\" <&>"
    );
    assert_eq!(
        run("pgrep", &["-f", &format!("guest={}", vm.name)]).code,
        0,
        "no qemu process of this name"
    );
    for (verb, more, says, state) in [
        ("pause", &[][..], "paused", "paused"),
        ("pause", &[], "is paused already", "paused"),
        ("unpause", &[], "resumed", "running"),
        ("unpause", &[], "is running already", "running"),
        ("stop", &["force"], "was forced off", "shut off"),
        ("stop", &[], "is off already", "shut off"),
        ("start", &[], "started", "running"),
        ("start", &[], "is running already", "running"),
        (
            "stop",
            &["--timeout", "0.2", "--force-after"],
            "was forced off",
            "shut off",
        ),
    ] {
        vm.verb(verb, more).code(0).says(says);
        assert_eq!(vm.state().unwrap(), state, "{verb}");
    }
    vm.create().code(0).says("was here already and was started");
    vm.verb("destroy", &[])
        .code(0)
        .says(&format!("removed: {disk}"));
    assert_eq!(vm.state(), None);
    assert!(!fs::exists(&disk).unwrap());
    assert_eq!(vm.pools(), [] as [&str; 0]);
    vm.verb("destroy", &[]).code(0).says("is gone already");
}

#[test]
fn status_and_list_agree_with_libvirt() {
    let vm = System::new("list");
    vm.config("").create().code(0);
    let list = vm.world.run(&["list", "--json"]);
    list.code(0);
    let row = list
        .stdout
        .lines()
        .find(|line| line.contains(&vm.name))
        .unwrap();
    assert!(
        row.contains("\"state\":\"running\",\"vcpus\":1,\"memory_mb\":64,\"vnc\":\"127.0.0.1:59"),
        "{row}"
    );
    vm.verb("pause", &[]).code(0);
    let status = vm.world.run(&["status", "--json", &vm.name]);
    assert!(
        status.stdout.contains("\"state\":\"paused\""),
        "{}",
        status.stdout
    );
    vm.world.run(&["list", "--report"]).code(0);
    let sent = vm.world.ips.requests().pop().unwrap().body;
    assert!(
        hps_core::report::Inventory::parse(sent.as_bytes())
            .unwrap()
            .domains
            .iter()
            .any(|d| d.name == vm.name)
    );
}

#[test]
fn a_failed_create_names_the_reason_and_leaves_nothing() {
    let vm = System::new("fail");
    let missing = vm.world.dir.join("disks/missing.img");
    fs::create_dir_all(missing.parent().unwrap()).unwrap();
    vm.config(&format!(
        "disk_1_a={}\nvxlan_7=nobridge\ncpu_model=z80\n",
        missing.display()
    ));
    let done = vm.create();
    done.code(5)
        .says("missing.img does not exist")
        .says("there is no bridge nobridge")
        .says("CPU model z80 is unknown to libvirt");
    assert_eq!(vm.state(), None);
    assert_eq!(vm.pools(), [] as [&str; 0]);
    // qemu itself refuses this one, after virt-install has made the pool of its folder.
    let disk = vm.image("own.qcow2", &[]);
    vm.config(&format!("disk_1_a={disk}\nvxlan_7=nobridge\n"))
        .create()
        .code(5)
        .says("there is no bridge nobridge");
    assert_eq!(vm.state(), None);
    assert_eq!(vm.pools(), [] as [&str; 0]);
}

/// The real virt-install, stopped between start and define: a hook of Python into libvirt's
/// binding waits there.
const STOPPED: &str = r#"import libvirt, os, runpy, sys, time
real = libvirt.virConnect.createXML
def create_and_wait(self, *args, **kwargs):
    domain = real(self, *args, **kwargs)
    with open(os.environ["STARTED"] + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(os.environ["STARTED"] + ".new", os.environ["STARTED"])
    time.sleep(600)
    return domain
libvirt.virConnect.createXML = create_and_wait
sys.argv[0] = os.environ["REAL_VIRT_INSTALL"]
runpy.run_path(sys.argv[0], run_name="__main__")
"#;

fn stopped(name: &str) -> (System, std::path::PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let mut vm = System::new(name);
    let real = run("sh", &["-c", "command -v virt-install"])
        .stdout
        .trim()
        .to_owned();
    let text = fs::read_to_string(&real).unwrap();
    let interpreter = text.lines().next().unwrap();
    let script = vm
        .world
        .file("bin/virt-install", &format!("{interpreter}\n{STOPPED}"));
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let started = vm.world.dir.join("started");
    let path = std::env::var("PATH").unwrap();
    vm.world.set(
        "PATH",
        &format!("{}:{path}", script.parent().unwrap().display()),
    );
    vm.world.set("REAL_VIRT_INSTALL", &real);
    vm.world.set("STARTED", &started.to_string_lossy());
    (vm, started)
}

fn kill_virt_install(started: &std::path::Path) {
    let pid = fs::read_to_string(started).unwrap().parse().unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
}

#[test]
fn create_completes_a_domain_of_a_killed_virt_install() {
    for with_n_vm in [true, false] {
        let (mut vm, started) = stopped("killed");
        let disk = vm.image("own.qcow2", &[]);
        vm.config(&format!("disk_1_a={disk}\n"));
        let mut child = vm.world.spawn(&["create", &vm.name]);
        until("the start", || started.exists());
        assert!(vm.state().is_some() && !vm.is_persistent());
        if with_n_vm {
            child.kill().unwrap();
        }
        kill_virt_install(&started);
        let code = child.wait().unwrap().code();
        // n_vm alone removes it itself; if n_vm is killed too, the next one removes it.
        assert_eq!(code, (!with_n_vm).then_some(0));
        assert_eq!(vm.is_persistent(), !with_n_vm);
        vm.world.set("PATH", &std::env::var("PATH").unwrap());
        vm.create().code(0).says("was here already");
        assert!(vm.is_persistent());
        assert_eq!(vm.state().unwrap(), "running");
        vm.verb("destroy", &[])
            .code(0)
            .says(&format!("removed: {disk}"));
        assert_eq!(vm.pools(), [] as [&str; 0]);
    }
}

#[test]
fn an_orphaned_real_virt_install_keeps_the_next_create_waiting() {
    let (mut vm, started) = stopped("orphan");
    vm.config("");
    let mut child = vm.world.spawn(&["create", &vm.name]);
    until("the start", || started.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    vm.world.set("N_VM_LOCK_TIMEOUT", "0.3");
    vm.create().code(6).says("another n_vm is at work on id-");
    kill_virt_install(&started);
    vm.world.set("PATH", &std::env::var("PATH").unwrap());
    vm.world.set("N_VM_LOCK_TIMEOUT", "20");
    vm.create().code(0).says("was made persistent");
    assert!(vm.is_persistent());
}

#[test]
fn four_creates_of_one_vm_at_once_make_one() {
    let vm = System::new("race");
    vm.config("");
    let began = std::time::Instant::now();
    let all: Vec<_> = (0..4)
        .map(|_| vm.world.spawn(&["create", &vm.name]))
        .collect();
    for child in all {
        crate::harness::run::finish(child, began).code(0);
    }
    assert_eq!(vm.state().unwrap(), "running");
    assert!(began.elapsed() < Duration::from_secs(60));
}
