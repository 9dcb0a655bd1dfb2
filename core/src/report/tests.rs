//! Reports and inventories: written, read back, and refused.

use super::*;

fn report() -> Report {
    Report {
        operation: Uuid::from_u128(7),
        vm_id: "vm-7".parse().unwrap(),
        verb: VerbName::of("create"),
        node: "tch-001".parse().unwrap(),
        exit_code: 5,
        state: VmState::Absent,
        message: "virt-install exited 1:\nno disk".to_owned(),
    }
}

#[test]
fn a_report_is_read_back_with_its_message_on_one_line() {
    let want = Report {
        message: "virt-install exited 1: no disk".to_owned(),
        ..report()
    };
    assert_eq!(Report::parse(report().to_text().as_bytes()), Ok(want));
}

#[test]
fn an_inventory_is_read_back() {
    let domain = |name: &str, vnc: Option<&str>| DomainReport {
        name: name.to_owned(),
        uuid: Uuid::from_u128(9),
        state: VmState::Running,
        vcpus: 2,
        memory_mb: 512,
        vnc: vnc.map(str::to_owned),
        definition: vnc.map(|_| Definition {
            vm_id: Some("vm-9".parse().unwrap()),
            xml: "<domain type='kvm'/>".to_owned(),
        }),
    };
    let inventory = Inventory {
        node: "tch-001".parse().unwrap(),
        boot_id: Uuid::from_u128(3),
        version: "0.1.0".to_owned(),
        cpus: 8,
        memory_mb: 65536,
        domains: vec![
            domain("web", Some("127.0.0.1:5900")),
            domain("made by hand", None),
        ],
    };
    assert_eq!(
        Inventory::parse(inventory.to_text().as_bytes()),
        Ok(inventory)
    );
}

#[test]
fn an_error_names_line_and_key() {
    let text = report().to_text().replace("exit_code=5", "exit_code=256");
    let error = Report::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(error.starts_with("line 5: exit_code: "), "{error}");
    assert_eq!(Report::parse(b""), Err(ReportError::Missing("operation")));
}

proptest::proptest! {
    #[test]
    fn any_bytes_parse_or_fail_without_a_panic(bytes: Vec<u8>) {
        let _ = Report::parse(&bytes);
        let _ = Inventory::parse(&bytes);
    }
}
