//! The command line that each verb sends to a node: a contract with the specification's
//! scripts.

use hps_core::names::DiskPath;
use uuid::Uuid;

use crate::model::options::Options;
use crate::model::task::Task;
use crate::model::token::Token;
use crate::model::verb::Spec;
use crate::verbs;

fn task(spec: &'static Spec, options: Options, keep: Vec<DiskPath>) -> Task {
    Task {
        session: Uuid::from_u128(1),
        vm: "vm-1".parse().unwrap(),
        vm_uuid: Uuid::from_u128(2),
        name: "web".parse().unwrap(),
        spec,
        node: "tch-001".parse().unwrap(),
        options,
        token: Token::new().unwrap(),
        keep,
    }
}

fn destroy(keep: Vec<DiskPath>) -> Task {
    task(&verbs::destroy::SPEC, Options::default(), keep)
}

fn kept(task: &Task) -> Option<String> {
    let mut environment = task.environment().into_iter();
    environment
        .find(|(key, _)| *key == "N_VM_KEEP")
        .map(|(_, value)| value)
}

#[test]
fn kept_paths_survive_any_character() {
    let keep = ["/a b:c", "/d%20é"]
        .map(|path| path.parse().unwrap())
        .to_vec();
    assert_eq!(
        kept(&destroy(keep)),
        Some("/a%20b%3Ac:/d%2520%C3%A9".to_owned())
    );
}

#[test]
fn too_many_paths_for_a_variable_keep_all_storage() {
    let keep = (0..4000)
        .map(|n| format!("/images/{n:030}").parse().unwrap())
        .collect();
    let task = destroy(keep);
    assert!(task.words().contains(&"--keep-storage".to_owned()));
    assert_eq!(kept(&task), None);
}

#[test]
fn commands_are_the_specifications_unless_options_are_not() {
    let force = Options {
        force: true,
        ..Options::default()
    };
    let patient = Options {
        wait: Some(std::time::Duration::from_secs(90)),
        force_after: true,
        ..Options::default()
    };
    for (spec, options, command) in [
        (&verbs::create::SPEC, Options::default(), "n_vm_create vm-1"),
        (&verbs::start::SPEC, Options::default(), "n_vm_start web"),
        (&verbs::pause::SPEC, Options::default(), "n_vm_pause web"),
        (
            &verbs::unpause::SPEC,
            Options::default(),
            "n_vm_unpause web",
        ),
        (&verbs::stop::SPEC, Options::default(), "n_vm_stop web"),
        (&verbs::stop::SPEC, force.clone(), "n_vm_stop web force"),
        (
            &verbs::stop::SPEC,
            patient,
            "n_vm stop web --wait --timeout 90 --force-after",
        ),
        (
            &verbs::destroy::SPEC,
            Options::default(),
            "n_vm_destroy web",
        ),
        (&verbs::reboot::SPEC, force, "n_vm reboot web force"),
    ] {
        assert_eq!(task(spec, options, Vec::new()).command(), command);
    }
}
