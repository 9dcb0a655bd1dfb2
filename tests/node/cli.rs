//! Usage, help and settings.

use crate::world;

#[test]
fn help_is_on_stdout_for_all_and_for_each_verb() {
    let world = world();
    let all = world.run(&["--help"]);
    all.code(0).stderr("");
    for verb in [
        "create",
        "start",
        "stop",
        "reboot",
        "pause",
        "unpause",
        "destroy",
        "status",
        "list",
        "config",
        "ips-command",
        "remote-log",
    ] {
        assert!(all.stdout.contains(verb), "{verb} in {}", all.stdout);
        let one = world.run(&[verb, "--help"]);
        one.code(0).stderr("");
        assert!(
            one.stdout.starts_with(&format!("Usage: n_vm {verb}")),
            "{}",
            one.stdout
        );
    }
}

#[test]
fn the_version_is_printed() {
    world()
        .run(&["--version"])
        .code(0)
        .stdout(concat!("n_vm ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_wrong_command_line_is_usage_on_stderr_and_1() {
    let world = world();
    for args in [
        &[][..],
        &["frob"],
        &["--frob"],
        &["create"],
        &["create", "--frob"],
        &["create", "vm-1", "t", "d", "x"],
        &["create", "vm_1"],
        &["start"],
        &["start", "a", "b"],
        &["start", "-a"],
        &["start", "a b"],
        &["stop", "web", "now"],
        &["stop", "web", "--timeout", "soon"],
        &["stop", "web", "--timeout", "0"],
        &["stop", "web", "--timeout", "2000m"],
        &["reboot", "web", "now"],
        &["list", "x"],
        &["status"],
        &["ips-command"],
        &["remote-log"],
    ] {
        let done = world.run(args);
        done.code(1).stdout("");
        assert!(
            done.stderr.starts_with("n_vm: "),
            "{args:?}: {}",
            done.stderr
        );
    }
    assert_eq!(world.calls(), [] as [&str; 0]);
    world.run(&["start"]).says("Usage: n_vm start");
    world.run(&["frob"]).says("Usage: n_vm ");
}

#[test]
fn a_bad_setting_is_named_with_its_place() {
    let mut world = world();
    let file = world.file("node.conf", "log=warn\nvirsh_timout=3\n");
    let done = world.run(&["--config", &file.to_string_lossy(), "list"]);
    done.code(1).says(&format!(
        "settings {}: line 2: virsh_timout: unknown setting",
        file.display()
    ));
    world.set("N_VM_FETCH_TIMEOUT", "soon");
    world
        .run(&["list"])
        .code(1)
        .says("N_VM_FETCH_TIMEOUT in the environment: want a time");
}

#[test]
fn a_given_settings_file_must_exist() {
    let mut world = world();
    world
        .run(&["--config", "/no/such.conf", "list"])
        .code(1)
        .says("settings /no/such.conf: No such file");
    world.set("N_VM_CONFIG", "/no/such.conf");
    world.run(&["list"]).code(1).says("settings /no/such.conf");
}

#[test]
fn the_environment_wins_over_the_file() {
    let world = world().env("N_VM_CONNECT", "test:///default");
    let file = world.file("node.conf", "connect=qemu:///session\n");
    world
        .run(&["--config", &file.to_string_lossy(), "list"])
        .code(0);
    assert!(
        world.calls()[0].starts_with("virsh --connect test:///default list"),
        "{:?}",
        world.calls()
    );
}

#[test]
fn an_environment_that_is_not_valid_is_refused() {
    for (key, value) in [
        ("N_VM_UUID", "7"),
        ("N_VM_ID", "a b"),
        ("N_VM_KEEP", "a"),
        ("N_VM_TOKEN", "a b"),
    ] {
        let world = world().env(key, value);
        let done = world.run(&["destroy", "web"]);
        done.code(1).says(&format!("{key} in the environment"));
        assert_eq!(world.calls(), [] as [&str; 0]);
    }
}

#[test]
fn verbose_shows_each_child_and_never_the_token() {
    let world = world().env("N_VM_TOKEN", "sesame");
    let done = world.run(&["-v", "list"]);
    done.code(0)
        .says("n_vm: debug: child ended argv=virsh --connect qemu:///system");
    assert!(!done.stderr.contains("sesame"));
}
