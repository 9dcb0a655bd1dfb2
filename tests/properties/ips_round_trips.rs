//! Random values, written and read back.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{any, prop_assert_eq, proptest};

use crate::model::options::Options;
use crate::model::token::{Token, hash};
use crate::om::service::{ServiceConfig, ServiceName};

proptest! {
    #![proptest_config(super::common::cases(200))]

    #[test]
    fn options_are_read_from_the_journal_as_they_were_written(
        flags in any::<[bool; 3]>(),
        wait in option::of((0..86_400_u64, 0..1_000_000_000_u32)),
    ) {
        let [force, force_after, keep_storage] = flags;
        let wait = wait.map(|(seconds, nanos)| Duration::new(seconds, nanos));
        let options = Options { force, wait, force_after, keep_storage };
        prop_assert_eq!(Options::parse(&options.to_text()), options);
    }

    #[test]
    fn a_task_service_has_only_its_given_settings(
        command in "n_vm [ -~]{0,40}",
        values in vec("[ -~]{0,30}|[^\\p{Cc}]{0,10}", 0..4),
    ) {
        let name = ServiceName::new("vm-ops-create-vm-1").unwrap();
        let nodes = ["ips", "tch-001"].map(|name| name.parse().unwrap());
        let environment: Vec<_> = values.into_iter().map(|value| ("N_VM_KEEP", value)).collect();
        let service = ServiceConfig {
            name: &name,
            nodes: &nodes,
            task: "create",
            command: &command,
            environment: &environment,
            timeout: Duration::from_secs(9),
        };
        let Ok(ini) = service.ini() else { return Ok(()) };
        let mut want = vec![
            "[DEFAULT]".to_owned(),
            "nodes = ips tch-001".to_owned(),
            String::new(),
            "[task#create]".to_owned(),
            format!("command = {command}"),
            "timeout = 9s".to_owned(),
        ];
        let pairs: Vec<_> = environment.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if !pairs.is_empty() {
            want.push(format!("environment = {}", pairs.join(" ")));
        }
        prop_assert_eq!(ini.lines().collect::<Vec<_>>(), want);
        // Python's and Go's INI readers start a comment there, OpenSVC a reference.
        let syntax = ['#', ';', '{', '}'];
        prop_assert_eq!(ini.replace("[task#create]", "").find(syntax), None);
        // One word a variable.
        let words = ini.lines().nth(6).map_or(0, |line| line.split_whitespace().skip(2).count());
        prop_assert_eq!(words, environment.len());
    }

    #[test]
    fn a_service_name_is_valid_in_opensvc(text in "[-a-zA-Z0-9._/ ]{0,66}|[0-9]{1,9}") {
        let plain = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '.');
        let good = !text.is_empty()
            && text.len() <= 63
            && text.chars().all(plain)
            && !text.starts_with(['-', '.'])
            && text.contains(|c: char| !c.is_ascii_digit());
        prop_assert_eq!(ServiceName::new(&text).map(|name| name.to_string()).ok(), good.then_some(text));
    }
}

#[test]
fn a_token_is_64_hex_digits_and_known_by_its_hash() {
    for _ in 0..100 {
        let (one, other) = (Token::new().unwrap(), Token::new().unwrap());
        let hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        assert!(one.expose().len() == 64 && one.expose().chars().all(hex));
        assert!(hash(one.expose()) == one.hash() && one.hash() != other.hash());
    }
}
