//! `n_vm create` and its exit codes.

use std::time::Duration;

use crate::harness::world::World;
use crate::{LEAST, OTHER, UUID, world};

#[test]
fn a_create_runs_as_few_children_as_possible() {
    let world = world();
    world
        .run(&["create", "vm-1"])
        .code(0)
        .stdout("")
        .stderr("n_vm: create vm-1: web was created, running\n");
    assert_eq!(
        world.calls(),
        [
            "virsh --connect qemu:///system list --all --uuid --name".to_owned(),
            format!(
                "virt-install --connect qemu:///system --name web --uuid {UUID} --memory 64 --vcpus 2 --disk none \
                 --network none --graphics vnc,listen=127.0.0.1 --boot network,hd --osinfo detect=on,require=off \
                 --import --noautoconsole"
            ),
            format!("virsh --connect qemu:///system dominfo {UUID}"),
        ]
    );
    assert_eq!(world.state_of(UUID).unwrap(), "running yes");
}

#[test]
fn a_repeated_create_finds_the_vm() {
    let world = world();
    world.run(&["create", "vm-1"]).code(0);
    world
        .run(&["create", "vm-1"])
        .code(0)
        .says("web was here already, running");
    assert_eq!(
        world
            .calls()
            .iter()
            .filter(|call| call.starts_with("virt-install"))
            .count(),
        1
    );
}

#[test]
fn from_every_state_it_converges() {
    for (state, persistent, says, after) in [
        (
            "running",
            "yes",
            "web was here already, running",
            "running yes",
        ),
        (
            "running",
            "no",
            "web was here already and was made persistent, running",
            "running yes",
        ),
        (
            "shut off",
            "yes",
            "web was here already and was started, running",
            "running yes",
        ),
        (
            "paused",
            "yes",
            "web was here already, paused",
            "paused yes",
        ),
    ] {
        let world = world();
        world.domain(UUID, "web", state, &[]);
        world.file(&format!("fake/domains/{UUID}/persistent"), persistent);
        world.run(&["create", "vm-1"]).code(0).says(says);
        assert_eq!(world.state_of(UUID).unwrap(), after);
    }
}

#[test]
fn another_domain_of_the_name_is_7_and_unchanged() {
    let world = world();
    world.domain(OTHER, "web", "running", &[]);
    world
        .run(&["create", "vm-1"])
        .code(7)
        .says("a domain of this name is another VM");
    assert_eq!(world.calls().len(), 1);
    assert_eq!(world.names("fake/domains"), [OTHER]);
}

#[test]
fn this_vm_under_another_name_is_7() {
    let world = world();
    world.domain(UUID, "old", "running", &[]);
    world
        .run(&["create", "vm-1"])
        .code(7)
        .says("exists already under another name: old");
}

#[test]
fn a_config_for_another_uuid_than_the_operations_is_7() {
    let world = world().env("N_VM_UUID", OTHER);
    world
        .run(&["create", "vm-1"])
        .code(7)
        .says("this operation is for 6ba7b811");
    assert_eq!(world.calls(), [] as [&str; 0]);
}

#[test]
fn a_config_that_cannot_be_fetched_is_2() {
    let world = world();
    world
        .run(&["create", "vm-2"])
        .code(2)
        .says("answered 404: no such VM");
    for status in [400, 401, 403, 500, 503] {
        world
            .ips
            .answer("get_config=", status, "error=not now\n", "");
        world
            .run(&["create", "vm-1"])
            .code(2)
            .says(&format!("answered {status}: not now"));
    }
    world
        .ips
        .answer("get_config=", 200, "error=not yours\n", "");
    world
        .run(&["create", "vm-1"])
        .code(2)
        .says("VM config: not yours");
    assert_eq!(world.calls(), [] as [&str; 0]);
}

#[test]
fn a_redirect_is_named_and_not_followed() {
    let world = world();
    let elsewhere = crate::harness::ips::Ips::start();
    elsewhere.config("vm-1", LEAST);
    world.ips.answer(
        "get_config=",
        302,
        "",
        &format!("Location: {}/x\r\n", elsewhere.url),
    );
    world.run(&["create", "vm-1"]).code(2).says(&format!(
        "answered 302 (redirect to {}/x), which is not followed",
        elsewhere.url
    ));
    assert_eq!(elsewhere.requests(), []);
}

#[test]
fn a_proxy_in_the_environment_is_not_used() {
    let world = world()
        .env("http_proxy", "http://127.0.0.1:1")
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .env("ALL_PROXY", "http://127.0.0.1:1");
    world.run(&["create", "vm-1"]).code(0);
}

#[test]
fn an_ips_that_never_answers_is_2_within_the_time() {
    let world = world()
        .env("N_VM_FETCH_TIMEOUT", "0.2")
        .env("N_VM_REPORT_TIMEOUT", "0.1");
    world.ips.hold("");
    let done = world.run(&["create", "vm-1"]);
    done.code(2).says("did not answer");
    assert!(done.took < Duration::from_secs(4), "{:?}", done.took);
}

#[test]
fn an_invalid_config_is_3_and_a_foreign_method_4() {
    for (text, code, says) in [
        ("name=web\n", 3, "cpu_count is missing"),
        ("name=a b\n", 3, "line 1: name"),
        ("nonsense\n", 3, "line 1: no '='"),
        (
            "name=web\nname=web\n",
            3,
            "line 2: name was given on line 1 already",
        ),
        (
            "name=web\nprovision_method=cloud\n",
            4,
            "line 2: provision_method \"cloud\" is not supported",
        ),
    ] {
        let world = world().vm("vm-1", text);
        world.run(&["create", "vm-1"]).code(code).says(says);
        assert_eq!(world.calls(), [] as [&str; 0]);
    }
}

#[test]
fn a_config_of_64_kib_is_read_and_one_byte_more_is_3() {
    let pad = |length: usize| format!("{LEAST}#{}\n", "x".repeat(length - LEAST.len() - 2));
    let world = world()
        .vm("vm-1", &pad(64 * 1024))
        .vm("vm-2", &pad(64 * 1024 + 1));
    world.run(&["create", "vm-1"]).code(0);
    world
        .run(&["create", "vm-2"])
        .code(3)
        .says("more than 65536 bytes");
}

#[test]
fn a_value_that_virt_install_would_change_is_3() {
    let world = world().vm("vm-1", &format!("{LEAST}disk_1_a=/srv/a&b\n"));
    world
        .run(&["create", "vm-1"])
        .code(3)
        .says("disk_1_a: virt-install would change '&' in it");
}

#[test]
fn a_failed_virt_install_is_5_after_a_look() {
    let world = world();
    world.answer("virt-install", 1, "", "ERROR    it does not like it\n");
    world
        .run(&["create", "vm-1"])
        .code(5)
        .says("the VM was not created: virt-install exited 1: ERROR    it does not like it");
    assert_eq!(
        world.calls()[2..],
        [
            format!("virsh --connect qemu:///system dominfo {UUID}"),
            "virsh --connect qemu:///system list --all --uuid --name".to_owned(),
        ]
    );
}

#[test]
fn known_causes_come_before_the_text_of_virt_install() {
    let text =
        format!("{LEAST}disk_1_a=/no/disk\ndisk_2_a=/dev/null\nvxlan_7=nobridge\ncpu_model=z80\n");
    let world = world().vm("vm-1", &text);
    world.answer("virt-install", 1, "", "ERROR    no\n");
    world.run(&["create", "vm-1"]).code(5).says(
        "create vm-1: disk_1_a: /no/disk does not exist; disk_2_a: /dev/null is neither a block device nor a \
         regular file; vxlan_7: there is no bridge nobridge; cpu_model: CPU model z80 is unknown to libvirt; the VM was not \
         created: virt-install exited 1: ERROR    no",
    );
}

#[test]
fn a_virt_install_that_fails_after_the_start_is_success() {
    let world = world();
    world.answer(
        "virt-install-define",
        1,
        "",
        "ERROR    lost the connection\n",
    );
    world
        .run(&["create", "vm-1"])
        .code(0)
        .says("is here although virt-install failed and was made persistent, running");
    assert_eq!(world.state_of(UUID).unwrap(), "running yes");
}

#[test]
fn a_virt_install_that_hangs_is_6() {
    let world = world().env("N_VM_VIRT_INSTALL_TIMEOUT", "0.2");
    world.file("fake/answers/virt-install.hang", "");
    world
        .run(&["create", "vm-1"])
        .code(6)
        .says("virt-install did not answer within 0.2 s");
}

#[test]
fn a_libvirt_that_does_not_answer_is_6() {
    let world = world().env("N_VM_VIRSH_TIMEOUT", "0.2");
    world.file("fake/answers/virsh-list.hang", "");
    world
        .run(&["create", "vm-1"])
        .code(6)
        .says("listing domains: the state of the domain is unknown");
    world.no_answers();
    world.answer(
        "virsh-list",
        1,
        "",
        "error: failed to connect to the hypervisor\n",
    );
    world
        .run(&["create", "vm-1"])
        .code(6)
        .says("failed to connect to the hypervisor");
    world.no_answers();
    world.answer("virsh-list", 0, " Id  Name  State\n", "");
    world
        .run(&["create", "vm-1"])
        .code(6)
        .says("unexpected output from virsh");
    assert!(
        !world
            .calls()
            .iter()
            .any(|call| call.starts_with("virt-install"))
    );
}

#[test]
fn a_libvirt_that_stops_after_virt_install_is_6() {
    let world = world();
    world.answer("virt-install", 1, "", "ERROR    no\n");
    world.answer(
        "virsh-dominfo",
        1,
        "",
        "error: failed to connect to the hypervisor\n",
    );
    world.run(&["create", "vm-1"]).code(5);
    world.domain(UUID, "web", "running", &[]);
    world
        .run(&["create", "vm-1"])
        .code(6)
        .says("looking at the domain: the state of the domain is unknown");
}

#[test]
fn the_command_line_overrides_the_config() {
    let world = world().vm("vm-1", &format!("{LEAST}title=T\ndescription=D\n"));
    let argv = |args: &[&str]| world.run(args).code(0).stdout.clone();
    assert!(argv(&["create", "--dry-run", "vm-1"]).contains("--metadata title=T,description=D "));
    assert!(
        argv(&["create", "--dry-run", "vm-1", "new"])
            .contains("--metadata title=new,description=D ")
    );
    assert!(
        argv(&["create", "--dry-run", "vm-1", "", "a b"])
            .contains("--metadata 'title=T,description=\"a b\"' ")
    );
    assert!(
        argv(&["create", "--dry-run", "--", "vm-1", "--x"])
            .contains("--metadata 'title=\"--x\",description=D' ")
            || argv(&["create", "--dry-run", "--", "vm-1", "--x"])
                .contains("--metadata title=--x,description=D ")
    );
    assert_eq!(world.calls(), [] as [&str; 0]);
}

#[test]
fn an_os_variant_the_host_does_not_know_is_a_warning() {
    let world = world()
        .vm("vm-1", &format!("{LEAST}os_variant=debian99\n"))
        .vm("vm-2", &format!("{LEAST}os_variant=debianbullseye\n"));
    world
        .run(&["create", "--dry-run", "vm-1"])
        .code(0)
        .says("os_variant debian99 is not known on this host");
    assert!(
        world
            .run(&["create", "--dry-run", "vm-2"])
            .stdout
            .contains("--osinfo name=debianbullseye")
    );
    world.answer("virt-install-osinfo", 1, "", "ERROR\n");
    let unsure = world.run(&["create", "--dry-run", "vm-2"]);
    unsure.code(0).says("could not be checked");
    assert!(unsure.stdout.contains("--osinfo detect=on,require=off"));
}

#[test]
fn two_paths_without_a_wwid_get_two_serials() {
    let world = world().vm(
        "vm-1",
        &format!("{LEAST}disk_1_a=/srv/a\ndisk_1_b=/srv/b\n"),
    );
    let done = world.run(&["create", "--dry-run", "vm-1"]);
    done.code(0)
        .says("disk 1: not both have a WWID: two serials");
    let serials: Vec<_> = done
        .stdout
        .split("serial=")
        .skip(1)
        .map(|rest| &rest[..20])
        .collect();
    assert_eq!(serials.len(), 2);
    assert_ne!(serials[0], serials[1]);
    assert!(
        serials
            .concat()
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit())
    );
}

#[test]
fn config_prints_the_text_and_changes_nothing() {
    let world = world().vm("vm-1", "# c\r\nvxlan_7=br7\r\nprovision_method=virt-install\nram_mb=64\ncpu_count=2\nname=web\nx=y\n");
    world
        .run(&["config", "VM-1"])
        .code(0)
        .stdout(&format!("{LEAST}vxlan_7=br7\n"))
        .says("unknown keys in the VM config are ignored keys=x");
    assert_eq!(world.calls(), [] as [&str; 0]);
    assert_eq!(world.names("state"), [] as [&str; 0]);
    world.run(&["config", "vm-2"]).code(1);
}

#[test]
fn a_missing_program_is_named() {
    let world = World::real(env!("CARGO_BIN_EXE_n_vm"))
        .vm("vm-1", LEAST)
        .env("PATH", "/nowhere");
    world
        .run(&["create", "vm-1"])
        .code(6)
        .says("virsh could not be started: No such file or directory");
}
