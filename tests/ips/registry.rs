//! The verbs that edit the registry: the command line and its result.

use crate::harness::{Ips, SPEC};

#[test]
fn a_vm_is_defined_from_a_file_and_shown_again() {
    let ips = Ips::new();
    std::fs::write(ips.dir.join("vm.conf"), SPEC).unwrap();
    assert_eq!(ips.ok(&["define", "--id", "ABC-1", "vm.conf"]), "abc-1\n");
    assert_eq!(ips.ok(&["config", "abc-1"]), SPEC);
    assert_eq!(ips.ok(&["config", "test-vm-01"]), SPEC, "by name");
}

#[test]
fn a_vm_is_defined_from_standard_input_or_flags_and_gets_an_id() {
    let ips = Ips::new();
    let done = ips.with_input(&["define", "-"], SPEC);
    assert_eq!((done.code, done.out.trim().len()), (0, 36), "{done:?}");
    let flags = [
        "define", "--id", "f", "--name", "f", "--cpus", "2", "--ram", "64", "--disk", "/a,/b",
        "--disk", "/c", "--net", "7=br7", "--title", "T, \"x\"",
    ];
    ips.ok(&flags);
    assert_eq!(
        ips.ok(&["config", "f"]),
        "name=f\ncpu_count=2\nram_mb=64\nprovision_method=virt-install\ndisk_1_a=/a\ndisk_1_b=/b\ndisk_2_a=/c\nvxlan_7=br7\ntitle=T, \"x\"\n"
    );
}

#[test]
fn define_names_the_error_and_changes_nothing() {
    let ips = Ips::new();
    for (text, want) in [
        ("name=a\n", "cpu_count is missing"),
        (
            &SPEC.replace("cpu_count=4", "cpu_count=0"),
            "line 2: cpu_count: CPU count \"0\"",
        ),
        (&format!("{SPEC}colour=red\n"), "unknown key colour"),
        (
            &format!("{SPEC}name=b\n"),
            "line 13: name was given on line 1 already",
        ),
    ] {
        let done = ips.with_input(&["define", "-"], text);
        assert_eq!(done.code, 1);
        assert!(done.err.contains(want), "{want}: {}", done.err);
    }
    assert_eq!(ips.ok(&["list", "--json"]), "[]\n");
}

#[test]
fn a_name_or_a_disk_of_another_vm_is_refused() {
    let ips = Ips::new();
    ips.ok(&[
        "define", "--id", "a", "--name", "a", "--cpus", "1", "--ram", "64", "--disk", "/x,/y",
    ]);
    let name = ips.o_vm(&["define", "--name", "a", "--cpus", "1", "--ram", "64"]);
    assert_eq!(
        (name.code, name.err.as_str()),
        (1, "o_vm: define: name a is taken by VM a\n")
    );
    let disk = ips.o_vm(&[
        "define", "--name", "b", "--cpus", "1", "--ram", "64", "--disk", "/y",
    ]);
    assert_eq!(
        (disk.code, disk.err.as_str()),
        (1, "o_vm: define: disk_1_a: /y is a disk of VM a already\n")
    );
}

#[test]
fn set_prints_when_a_change_takes_effect_and_is_audited() {
    let ips = Ips::new();
    ips.define("a");
    let said = ips.ok(&[
        "set",
        "a",
        "ram_mb=128",
        "title=New, title",
        "--reason",
        "growth",
    ]);
    assert_eq!(
        said,
        "a changed; the change takes effect when the VM is created\n"
    );
    assert!(ips.ok(&["config", "a"]).contains("ram_mb=128\n"));
    assert!(ips.ok(&["show", "a"]).contains("set by "), "audit");
    assert!(ips.ok(&["show", "a"]).contains("(growth)"), "reason");
    let bad = ips.o_vm(&["set", "a", "ram_mb=lots"]);
    assert_eq!(bad.code, 1);
    assert!(
        bad.err.starts_with("o_vm: set: ram_mb: memory \"lots\""),
        "{}",
        bad.err
    );
}

#[test]
fn an_owned_vm_is_not_undefined_or_renamed() {
    let ips = Ips::new();
    ips.define("a");
    ips.ok(&["create", "a", "box"]);
    let undefine = ips.o_vm(&["undefine", "a"]);
    assert_eq!(undefine.code, 1);
    assert!(
        undefine.err.contains("box owns a, or may own it"),
        "{}",
        undefine.err
    );
    for pair in ["name=b", "disk_1_a=/x", "vxlan_5=br5"] {
        let done = ips.o_vm(&["set", "a", pair]);
        assert!(
            done.code == 1 && done.err.contains("cannot be changed while a node owns a"),
            "{}",
            done.err
        );
    }
    assert!(
        ips.ok(&["set", "a", "ram_mb=65"])
            .contains("takes effect when the VM is destroyed on box")
    );
    ips.ok(&["destroy", "a"]);
    ips.ok(&["undefine", "a"]);
    assert_eq!(ips.o_vm(&["show", "a"]).code, 1);
    assert_eq!(ips.operations().len(), 2, "history outlives the VM");
}

#[test]
fn export_is_read_by_import_and_import_is_all_or_none() {
    let (one, two) = (Ips::new(), Ips::new());
    one.define("a");
    one.ok(&[
        "define",
        "--id",
        "b",
        "--name",
        "b",
        "--cpus",
        "1",
        "--ram",
        "64",
        "--disk",
        "/x",
        "--title",
        "é, \"q\"",
    ]);
    let stream = one.ok(&["export"]);
    assert_eq!(
        two.with_input(&["import", "-"], &stream).out,
        "2 VMs defined\n"
    );
    assert_eq!(two.ok(&["export"]), stream);

    let three = Ips::new();
    let broken = stream.replace(
        "ram_mb=64\nprovision_method=virt-install\ndisk",
        "ram_mb=x\nprovision_method=virt-install\ndisk",
    );
    let done = three.with_input(&["import", "-"], &broken);
    assert_eq!(done.code, 1);
    assert!(
        done.err.contains("/dev/stdin: line 10: ram_mb: "),
        "{}",
        done.err
    );
    assert_eq!(three.ok(&["list", "--json"]), "[]\n");
}

#[test]
fn list_filters_and_picks_columns() {
    let ips = Ips::new();
    for id in ["web-1", "web-2", "db-1"] {
        ips.define(id);
    }
    ips.ok(&["create", "web-2", "box"]);
    assert_eq!(
        ips.ok(&["list", "--columns", "name,node,state"]),
        "NAME   NODE  STATE\ndb-1   -     absent\nweb-1  -     absent\nweb-2  box   running\n"
    );
    let names = |args: &[&str]| {
        ips.ok(&[&["list", "--columns", "name"], args].concat())
            .replace('\n', " ")
    };
    assert_eq!(names(&["--name", "web*"]), "NAME web-1 web-2 ");
    assert_eq!(names(&["--node", "box"]), "NAME web-2 ");
    assert_eq!(names(&["--state", "absent"]), "NAME db-1 web-1 ");
    assert!(
        ips.o_vm(&["list", "--columns", "colour"])
            .err
            .contains("unknown column; the columns are vm_id,name,")
    );
}

#[test]
fn a_state_that_is_too_old_is_shown_as_unknown() {
    let mut ips = Ips::new();
    ips.define("a");
    ips.ok(&["create", "a", "box"]);
    assert_eq!(ips.vm("a")["state"], "running");
    ips.set("IPS_STALE_AFTER", "0.001");
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!(ips.vm("a")["state"], "unknown");
    assert!(ips.vm("a")["seen_at"].is_string(), "the age stays");
}

#[test]
fn a_usage_error_shows_the_right_usage() {
    let ips = Ips::new();
    for args in [
        &["nosuch"][..],
        &["create", "a"],
        &["create", "a", "b", "c"],
        &["stop", "a", "gently"],
        &[],
    ] {
        let done = ips.o_vm(args);
        assert_eq!(done.code, 1, "{args:?}");
        assert!(
            done.out.is_empty() && done.err.contains("--help"),
            "{args:?}: {done:?}"
        );
    }
    let help = ips.o_vm(&["stop", "--help"]);
    assert!(
        help.code == 0 && help.err.is_empty() && help.out.contains("--force-after"),
        "{help:?}"
    );
    assert!(ips.ok(&["--version"]).starts_with("o_vm "));
}

#[test]
fn a_bad_setting_names_its_key_and_source() {
    let mut ips = Ips::new();
    std::fs::write(
        ips.dir.join("ips.toml"),
        "om_timeout = 30\nlisten_on = \"x\"\n",
    )
    .unwrap();
    let done = ips.o_vm(&["--config", "ips.toml", "list"]);
    assert_eq!(
        (done.code, done.err.as_str()),
        (1, "o_vm: ips.toml: unknown setting listen_on\n")
    );
    ips.set("IPS_VERB_TIMEOUT", "soon");
    assert!(
        ips.o_vm(&["list"])
            .err
            .starts_with("o_vm: IPS_VERB_TIMEOUT: verb_timeout: want a time as 90")
    );
}

#[test]
fn an_unusable_registry_is_named_with_a_remedy() {
    let mut ips = Ips::new();
    let path = ips.dir.join("no-such-folder/registry.db");
    let path = path.display().to_string();
    ips.set("IPS_REGISTRY", &path);
    let done = ips.o_vm(&["list"]);
    assert_eq!(done.code, 1);
    assert!(
        done.err.contains(&format!("{path}: cannot be opened")),
        "{}",
        done.err
    );
    let file = ips.dir.join("text.db");
    std::fs::write(
        &file,
        "no database at all, only some text that is long enough",
    )
    .unwrap();
    ips.set("IPS_REGISTRY", file.to_str().unwrap());
    assert!(ips.o_vm(&["list"]).err.contains("not a registry"));
    assert_eq!(
        std::fs::read_to_string(&file).unwrap().len(),
        54,
        "left alone"
    );
}

#[test]
fn a_full_disk_is_reported_and_changes_nothing() {
    let ips = Ips::new();
    ips.define("a");
    let pages = ips.shell("ulimit -f 0; trap '' XFSZ; PATH=$PWD/bin IPS_ENGINE=local IPS_REGISTRY=$PWD/registry.db IPS_LOCK_DIR=$PWD/locks bin/o_vm define --id b --name b --cpus 1 --ram 64");
    assert_ne!(pages.code, 0, "{pages:?}");
    assert!(pages.err.contains("registry"), "{}", pages.err);
    assert_eq!(ips.o_vm(&["show", "b"]).code, 1);
    ips.define("b");
}
