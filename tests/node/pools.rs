//! The storage pools that virt-install creates implicitly.

use std::fs;

use crate::harness::world::World;
use crate::{LEAST, OTHER, UUID, world};

/// A world whose VM has a disk file.
fn with_file() -> World {
    let world = world();
    let disk = world.file("disks/own.img", "data");
    let text = format!("{LEAST}disk_1_a={}\n", disk.display());
    world.vm("vm-1", &text)
}

fn foreign_pool(world: &World, folder: &str) -> String {
    let uuid = "11111111-2222-4333-8444-555555555555";
    world.file(&format!("fake/pools/{uuid}/name"), "mine\n");
    world.file(&format!("fake/pools/{uuid}/folder"), &format!("{folder}\n"));
    uuid.to_owned()
}

#[test]
fn after_a_failed_create_no_pool_is_left() {
    let world = with_file();
    world.answer("virt-install", 1, "", "ERROR    no\n");
    world.run(&["create", "vm-1"]).code(5);
    assert_eq!(world.names("fake/pools"), [] as [&str; 0]);
    assert_eq!(world.names("state/pools"), [] as [&str; 0]);
}

#[test]
fn the_pool_lives_as_long_as_the_vm() {
    let world = with_file();
    world.run(&["create", "vm-1"]).code(0);
    assert_eq!(world.names("fake/pools").len(), 1);
    assert_eq!(world.names("state/pools").len(), 1);
    world.run(&["destroy", "web", "--keep-storage"]).code(0);
    assert_eq!(world.names("fake/pools"), [] as [&str; 0]);
    assert_eq!(world.names("state/pools"), [] as [&str; 0]);
    assert_eq!(
        world.names("disks"),
        ["own.img"],
        "a pool goes, its files stay"
    );
}

#[test]
fn a_pool_stays_while_another_domain_uses_it() {
    let world = with_file();
    world.run(&["create", "vm-1"]).code(0);
    let other = world.file("disks/other.img", "x");
    world.domain(OTHER, "other", "running", &[&other.to_string_lossy()]);
    world.run(&["destroy", "web"]).code(0);
    assert_eq!(world.names("fake/pools").len(), 1);
    world.run(&["destroy", "other"]).code(0);
    assert_eq!(world.names("fake/pools"), [] as [&str; 0]);
}

#[test]
fn a_pool_that_a_domain_uses_by_name_stays() {
    let world = with_file();
    world.run(&["create", "vm-1"]).code(0);
    let volume = "<disk type='volume' device='disk'><source pool='disks' volume='v'/><target dev='vda'/></disk>";
    world.domain_xml(OTHER, "other", "running", volume);
    world.run(&["destroy", "web"]).code(0);
    assert_eq!(world.names("fake/pools").len(), 1);
}

#[test]
fn a_pool_that_was_there_before_is_never_touched() {
    let world = with_file();
    let folder = world.dir.join("disks");
    let mine = foreign_pool(&world, &folder.to_string_lossy());
    world.run(&["create", "vm-1"]).code(0);
    world.run(&["destroy", "web"]).code(0);
    assert_eq!(world.names("fake/pools"), [mine]);
    assert!(
        !world
            .calls()
            .iter()
            .any(|call| call.contains("pool-destroy") || call.contains("pool-delete"))
    );
}

#[test]
fn a_pool_of_another_folder_is_never_touched() {
    let world = with_file();
    world.run(&["create", "vm-1"]).code(0);
    let mine = foreign_pool(&world, "/somewhere/else");
    world.run(&["destroy", "web"]).code(0);
    assert_eq!(world.names("fake/pools"), [mine]);
}

#[test]
fn the_next_verb_settles_the_intents_of_a_crash() {
    let world = with_file();
    let folder = world.dir.join("disks");
    world.file(
        &format!("state/pools/intent-{UUID}"),
        &format!("folder_0={}\n", folder.display()),
    );
    foreign_pool(&world, &folder.to_string_lossy());
    world.run(&["destroy", "web"]).code(0);
    assert_eq!(world.names("fake/pools"), [] as [&str; 0]);
    assert_eq!(world.names("state/pools"), [] as [&str; 0]);
}

#[test]
fn disks_below_dev_cost_no_look_at_pools() {
    let world = world().vm("vm-1", &format!("{LEAST}disk_1_a=/dev/disk/by-path/x\n"));
    world.run(&["create", "vm-1"]).code(0);
    assert!(!world.calls().iter().any(|call| call.contains("pool-")));
}

#[test]
fn doubt_about_pools_leaves_them_and_changes_no_exit_code() {
    let world = with_file();
    world.run(&["create", "vm-1"]).code(0);
    fs::remove_file(world.dir.join("disks/own.img")).unwrap();
    world.answer("virsh-pool-list", 1, "", "error: no\n");
    world
        .run(&["destroy", "web"])
        .code(0)
        .says("storage pools are left as they are");
    world.no_answers();
    world.run(&["destroy", "web"]).code(0);
    assert_eq!(world.names("fake/pools"), [] as [&str; 0]);
}
