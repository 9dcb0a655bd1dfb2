//! The names of the old functions are links, and their words are data.

use crate::{UUID, world};

#[test]
fn each_link_is_its_verb() {
    let world = world();
    world
        .run_link("n_vm_create", &["vm-1"])
        .code(0)
        .says("n_vm: create vm-1: web was created");
    world
        .run_link("n_vm_pause", &["web"])
        .code(0)
        .says("paused");
    world
        .run_link("n_vm_unpause", &["web"])
        .code(0)
        .says("resumed");
    world
        .run_link("n_vm_stop", &["web", "force"])
        .code(0)
        .says("was forced off");
    world
        .run_link("n_vm_start", &["web"])
        .code(0)
        .says("started");
    world
        .run_link("n_vm_destroy", &["web"])
        .code(0)
        .says("removed");
    assert_eq!(world.names("fake/domains"), [] as [&str; 0]);
}

#[test]
fn a_title_may_begin_with_a_dash_or_be_the_word_help() {
    let world = world();
    world
        .run_link("n_vm_create", &["vm-1", "--help", "help"])
        .code(0);
    let made = world
        .calls()
        .into_iter()
        .find(|call| call.starts_with("virt-install"))
        .unwrap();
    assert!(
        made.contains("--metadata title=\"--help\",description=help ")
            || made.contains("--metadata title=--help,description=help "),
        "{made}"
    );
}

#[test]
fn a_lone_help_is_help() {
    world()
        .run_link("n_vm_create", &["--help"])
        .code(0)
        .stderr("");
    world().run_link("n_remote_log", &["-h"]).code(0).stderr("");
}

#[test]
fn a_vm_named_help_can_be_started() {
    let world = world();
    world.domain(UUID, "help", "shut off", &[]);
    world.run_link("n_vm_start", &["help"]).code(0);
    world.run(&["stop", "help", "force"]).code(0);
}

#[test]
fn n_ips_command_prints_the_answer_and_has_the_old_exit_codes() {
    let world = world();
    world.ips.answer("cmd=host", 200, "a=1\nb\n", "");
    world
        .run_link("n_ips_command", &["host", "get", "x=a b&c"])
        .code(0)
        .stdout("a=1\nb\n")
        .stderr("");
    assert_eq!(
        world.ips.requests()[0].line,
        "POST /cgi-bin/boot_manager.sh?cmd=host&get=get&x=a%20b%26c"
    );
    world.ips.answer("cmd=no", 404, "error=unknown\n", "");
    world
        .run_link("n_ips_command", &["no"])
        .code(3)
        .stdout("")
        .says("answered 404: unknown");
    world.ips.answer("cmd=moved", 301, "", "Location: /x\r\n");
    world
        .run_link("n_ips_command", &["moved"])
        .code(3)
        .says("redirect to /x");
    world
        .env("N_VM_IPS", "http://127.0.0.1:1")
        .run_link("n_ips_command", &["host"])
        .code(2)
        .stdout("");
}

#[test]
fn n_remote_log_sends_any_line() {
    let world = world();
    world
        .run_link("n_remote_log", &["-é & \"x\"", "my_function"])
        .code(0)
        .stdout("");
    assert_eq!(
        world.ips.requests()[0].line,
        "POST /cgi-bin/boot_manager.sh?cmd=log_message&message=-%C3%A9%20%26%20%22x%22&function=my_function"
    );
}

#[test]
fn every_link_of_the_table_is_known() {
    let world = world();
    for (link, spec) in node_tool::links::all() {
        let done = world.run_link(link.name, &["--help"]);
        done.code(0);
        assert!(
            done.stdout
                .starts_with(&format!("Usage: n_vm {}", spec.name)),
            "{}",
            done.stdout
        );
    }
}

/// Engine opensvc starts the links, options behind the name.
#[test]
fn a_link_that_takes_names_takes_options_too() {
    let world = world();
    world.domain(UUID, "web", "running", &[]);
    world
        .run_link("n_vm_stop", &["web", "--wait", "--timeout", "5"])
        .code(0);
    assert_eq!(world.state_of(UUID).unwrap(), "shut off yes");
    world
        .run_link("n_vm_destroy", &["web", "--keep-storage"])
        .code(0);
    assert_eq!(world.state_of(UUID), None);
}
