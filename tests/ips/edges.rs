//! Requests at the limits of `ips-server`, and who may send them; the bodies and answers that
//! nodes and programs rely on, byte for byte (tests/fixtures/wire).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};

use crate::harness::{Ips, SPEC, wait_for};

const CGI: &str = "/cgi-bin/boot_manager.sh";
const GET_CONFIG: &str = "/cgi-bin/boot_manager.sh?cmd=vm&get_config=get_config&vm_id=abc-1";
const REPORT: &str = include_str!("../fixtures/wire/report.body");
const INVENTORY: &str = include_str!("../fixtures/wire/inventory.body");

fn serving(auth: &str, allow: &str) -> Ips {
    let mut ips = Ips::new();
    ips.set("IPS_NODES_AUTH", auth)
        .set("IPS_NODES_ALLOW", allow);
    let done = ips.with_input(&["define", "--id", "abc-1", "-"], SPEC);
    assert_eq!(done.code, 0, "{done:?}");
    ips.serve();
    ips
}

fn sql(ips: &Ips) -> Connection {
    Connection::open(ips.dir.join("registry.db")).unwrap()
}

/// Adds a token to the registry, as `o_vm` does.
fn grant(ips: &Ips, token: &str, columns: &str, values: &str) -> String {
    let hash: [u8; 32] = Sha256::digest(token).into();
    let text = format!("INSERT INTO token (hash, {columns}) VALUES (?1, {values})");
    sql(ips).execute(&text, params![hash]).unwrap();
    format!("Authorization: Bearer {token}")
}

/// An open operation `create` of abc-1 on tch-001, with a token from any address.
fn operation(ips: &Ips) -> String {
    let id = "0193c0de-0000-4000-8000-000000000007";
    let text = format!(
        "INSERT INTO operation (operation, vm_id, verb, started_at)
         VALUES ('{id}', 'abc-1', 'create', '2026-11-23T10:00:00.000Z');
         INSERT INTO task (operation, position, session, verb, node, recovery)
         VALUES ('{id}', 1, '{id}', 'create', 'tch-001', 'observe');
         UPDATE vm SET owner = 'tch-001', owner_since = '2026-11-23T10:00:00.000Z'"
    );
    sql(ips).execute_batch(&text).unwrap();
    let values = format!("'abc-1', '{id}', 'create', 'tch-001'");
    grant(ips, "t", "vm_id, session, verb, node", &values)
}

#[test]
fn the_server_refuses_a_command_that_nginx_reads_differently() {
    let ips = serving("off", "127.0.0.1");
    for query in [
        "cmd=%76m&get_config=get_config&vm_id=abc-1",
        "CMD=vm&get_config=get_config&vm_id=abc-1",
        "%63md=vm&get_config=get_config&vm_id=abc-1",
        "cmd=log_message&cmd=vm&get_config=get_config&vm_id=abc-1",
        "cmd=vm&get_config=get_config&vm_id=abc-1&cmd",
    ] {
        let answer = ips.get(&format!("{CGI}?{query}"));
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
        assert!(answer.body.starts_with("error=query: "), "{answer:?}");
    }
}

#[test]
fn a_parameter_is_decoded_and_a_plus_stays_a_plus() {
    let ips = serving("off", "127.0.0.1");
    let target = GET_CONFIG.replace("abc-1", "%41bc%2D1");
    assert_eq!(ips.get(&target).body, SPEC);
    let plus = ips.get(&GET_CONFIG.replace("abc-1", "abc+1"));
    assert_eq!(plus.status, 400);
    assert!(plus.body.contains("abc+1"), "{plus:?}");
}

#[test]
fn a_refusal_has_its_header() {
    let ips = serving("token", "");
    let has = |answer: crate::harness::Answer, line: &str| {
        let found = answer
            .head
            .lines()
            .any(|header| header.eq_ignore_ascii_case(line));
        assert!(found, "{line}: {}", answer.head);
    };
    has(ips.get(GET_CONFIG), "WWW-Authenticate: Bearer");
    has(ips.ask("PUT", GET_CONFIG, &[], ""), "Allow: GET, POST");
    has(ips.ask("DELETE", "/v1/vms", &[], ""), "Allow: GET, HEAD");
}

#[test]
fn each_route_refuses_long_requests_in_its_format() {
    let ips = serving("off", "127.0.0.1");
    let long = "y".repeat(9000);
    let cgi = ips.get(&format!("{GET_CONFIG}&x={long}"));
    assert_eq!(cgi.status, 414);
    assert!(cgi.body.starts_with("error="), "{cgi:?}");
    let api = ips.get(&format!("/v1/vms/{long}"));
    assert_eq!(api.status, 414);
    assert!(api.body.starts_with("{\"error\":"), "{api:?}");
    let body = "x".repeat(65_537);
    let report = format!("{CGI}?cmd=vm&report=report");
    assert_eq!(ips.ask("POST", &report, &[], &body).status, 413);
    let chunked = format!(
        "POST {report} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n{body}\r\n0\r\n\r\n"
    );
    assert_eq!(ips.raw(&chunked).status, 413);
}

#[test]
fn only_the_last_hop_of_a_trusted_proxy_counts() {
    let ips = serving("off", "10.1.0.0/16");
    let from = |headers: &[&str]| ips.ask("GET", GET_CONFIG, headers, "").status;
    assert_eq!(from(&["X-Forwarded-For: 10.1.2.3"]), 200);
    assert_eq!(from(&["X-Forwarded-For: 10.1.2.3, 6.6.6.6"]), 403);
    let lines = ["X-Forwarded-For: 10.1.2.3", "X-Forwarded-For: 6.6.6.6"];
    assert_eq!(from(&lines), 403, "the last of several lines");
    assert_eq!(from(&["X-Forwarded-For: "]), 403);
    assert_eq!(from(&[]), 403, "loopback is not in allow");
}

#[test]
fn an_untrusted_proxy_cannot_set_the_address() {
    let mut ips = Ips::new();
    ips.set("IPS_NODES_AUTH", "off")
        .set("IPS_NODES_ALLOW", "10.1.0.0/16")
        .set("IPS_NODES_TRUSTED_PROXY", "192.0.2.1");
    ips.define("abc-1");
    ips.serve();
    let answer = ips.ask("GET", GET_CONFIG, &["X-Forwarded-For: 10.1.2.3"], "");
    assert_eq!(answer.status, 403);
}

#[test]
fn auth_off_serves_requests_with_a_token_too() {
    let ips = serving("off", "10.1.0.0/16");
    let token = ips.ok(&["config", "abc-1", "--token"]);
    let header = format!("Authorization: bearer {}", token.trim());
    assert_eq!(ips.ask("GET", GET_CONFIG, &[&header], "").body, SPEC);
}

#[test]
fn a_token_is_limited_by_address_and_expiry() {
    let ips = serving("token", "");
    let later = "'abc-1', '9999-01-01T00:00:00.000Z'";
    let bound = grant(
        &ips,
        "bound",
        "vm_id, expires_at, addresses",
        &format!("{later}, '10.0.0.7 fd00::7'"),
    );
    let from = |address: &str| {
        let hop = format!("X-Forwarded-For: {address}");
        ips.ask("GET", GET_CONFIG, &[&bound, &hop], "").status
    };
    assert_eq!(
        (from("10.0.0.7"), from("fd00::7"), from("::ffff:10.0.0.7")),
        (200, 200, 200)
    );
    assert_eq!(from("10.0.0.8"), 403);
    let old = grant(
        &ips,
        "old",
        "vm_id, expires_at",
        "'abc-1', '2020-01-01T00:00:00.000Z'",
    );
    assert_eq!(ips.ask("GET", GET_CONFIG, &[&old], "").status, 401);
    let log = ips.server_log();
    assert!(log.contains("refused client=10.0.0.8"), "{log}");
    assert!(!log.contains("bound") && !log.contains("Bearer"), "{log}");
}

#[test]
fn the_api_finds_a_vm_by_id_or_name() {
    let ips = serving("token", "");
    assert_eq!(
        ips.get("/v1/vms/test-vm-01").body,
        ips.get("/v1/vms/abc-1").body
    );
    assert_eq!(ips.get("/v1/vms/nosuch.vm").status, 404);
}

#[test]
fn the_json_of_a_vm_follows_the_contract() {
    let ips = serving("token", "");
    let header = operation(&ips);
    assert_eq!(report(&ips, &header, REPORT), 204);
    let seen = "UPDATE vm SET seen_at = '2026-11-23T10:00:01.000Z', state = 'running'";
    sql(&ips).execute_batch(seen).unwrap();
    let mut shown = ips.get("/v1/vms/abc-1").body;
    // Observed long before this test runs: the state is unknown, all other bytes are fixed.
    shown = shown.replace("\"state\":\"running\"", "\"state\":\"unknown\"");
    assert_eq!(shown + "\n", include_str!("../fixtures/wire/vm.json"));
}

fn report(ips: &Ips, header: &str, body: &str) -> u16 {
    let target = format!("{CGI}?cmd=vm&report=report");
    ips.ask("POST", &target, &[header], body).status
}

#[test]
fn the_server_records_a_report_and_shows_it() {
    let ips = serving("token", "");
    let header = operation(&ips);
    let nothing = ips.ask(
        "POST",
        &format!("{CGI}?cmd=vm&report=report"),
        &[&header],
        REPORT,
    );
    assert_eq!((nothing.status, nothing.body.as_str()), (204, ""));
    assert_eq!(ips.vm("abc-1")["state"], "running");
    assert!(ips.vm("abc-1")["seen_at"].is_string());
    assert_eq!(report(&ips, &header, REPORT), 204, "a repeat");
    let other = REPORT.replace("exit_code=0", "exit_code=5");
    assert_eq!(
        report(&ips, &header, &other),
        409,
        "the first report is kept"
    );
    for (from, to) in [
        ("vm_id=abc-1", "vm_id=other"),
        ("verb=create", "verb=destroy"),
        ("node=tch-001", "node=tch-002"),
        ("0193c0de", "0193c0df"),
    ] {
        assert_eq!(
            report(&ips, &header, &REPORT.replace(from, to)),
            403,
            "{to}"
        );
    }
    let target = format!("{CGI}?cmd=vm&report=report");
    let bad = ips.ask("POST", &target, &[&header], "operation=7\n");
    assert_eq!(bad.status, 400);
    assert!(
        bad.body.starts_with("error=report: line 1: operation: "),
        "{bad:?}"
    );
}

#[test]
fn an_inventory_refreshes_owned_vms_and_lists_foreign_domains() {
    let ips = serving("token", "");
    ips.define("gone");
    ips.define("astray");
    let astray = hps_core::identity::uuid_of_id(&"astray".parse().unwrap());
    sql(&ips)
        .execute_batch(
            "UPDATE vm SET owner = 'tch-001', owner_since = 'x', state = 'running',
             seen_at = '2026-11-23T10:00:00.000Z' WHERE vm_id IN ('abc-1', 'gone')",
        )
        .unwrap();
    let header = grant(
        &ips,
        "inventory",
        "node, expires_at",
        "'tch-001', '9999-01-01T00:00:00.000Z'",
    );
    let target = format!("{CGI}?cmd=vm&report=inventory");
    let send = |body: &str| ips.ask("POST", &target, &[&header], body);
    let body = format!(
        "{INVENTORY}\nname=astray\nuuid={astray}\nstate=running\nvcpus=1\nmemory_mb=64\nvnc=\n"
    );
    assert_eq!(send(&body).status, 204);
    let state = |id: &str| ips.vm(id)["state"].as_str().unwrap().to_owned();
    assert_eq!(
        (state("abc-1"), state("gone")),
        ("paused".to_owned(), "absent".to_owned())
    );
    assert_eq!(
        state("astray"),
        "absent",
        "a report of another node changes nothing"
    );
    let conflict: (String, String) = sql(&ips)
        .query_row("SELECT vm_id, node FROM conflict", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(conflict, ("astray".to_owned(), "tch-001".to_owned()));
    assert!(ips.get("/v1/nodes").body.contains("\"node\":\"tch-001\""));
    let other = send(&INVENTORY.replace("node=tch-001", "node=tch-002"));
    assert_eq!(other.status, 403, "the token is bound to its node");
    assert_eq!(ips.ask("GET", GET_CONFIG, &[&header], "").status, 403);
}

#[test]
fn a_config_never_mixes_old_and_new_values() {
    let ips = serving("off", "127.0.0.1");
    let stop = AtomicBool::new(false);
    // Faster than `o_vm set` could: the time between two of the server's queries is short.
    // The number of writes so far, as evidence that readers met changes.
    let changes = AtomicUsize::new(0);
    let write = || {
        let db = sql(&ips);
        db.execute_batch("PRAGMA synchronous = OFF").unwrap();
        for n in (1..).take_while(|_| !stop.load(Ordering::Relaxed)) {
            let change = format!(
                "BEGIN IMMEDIATE; UPDATE vm SET memory_mb = {n};
                 UPDATE disk SET path = '/{n}' WHERE number = 1 AND side = 'a'; COMMIT"
            );
            db.execute_batch(&change).unwrap();
            changes.store(n, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let writer = scope.spawn(write);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..3000 {
            let answer = ips.get(GET_CONFIG);
            let body = answer.body;
            let value = |key: &str| {
                let found = body.lines().find_map(|line| line.strip_prefix(key));
                found.unwrap_or_default().to_owned()
            };
            let (memory, disk) = (value("ram_mb="), value("disk_1_a=/"));
            let is_consistent = answer.status == 200 && (memory == disk || memory == "8192");
            if !is_consistent || writer.is_finished() {
                stop.store(true, Ordering::Relaxed);
                panic!("{}: {body}", answer.status);
            }
            seen.insert(memory);
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        let changes = changes.load(Ordering::Relaxed);
        assert!(seen.len() > 20, "{} values seen of {changes}", seen.len());
    });
}

#[test]
fn stale_states_are_unknown_in_the_metrics_too() {
    let mut ips = Ips::new();
    ips.define("a");
    ips.define("b");
    ips.ok(&["create", "a", "box"]);
    ips.set("IPS_STALE_AFTER", "0.05").serve();
    wait_for("the state to grow old", || {
        std::thread::sleep(Duration::from_millis(60));
        let metrics = ips.get("/metrics").body;
        let shown = metrics.contains("hps_vms{state=\"unknown\"} 1")
            && metrics.contains("hps_vms{state=\"absent\"} 1");
        shown.then_some(())
    });
    let metrics = ips.get("/metrics").body;
    let operations = "hps_operations{verb=\"create\",result=\"0\"} 1";
    assert!(metrics.contains(operations), "{metrics}");
}

#[test]
fn a_non_utf8_argument_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let ips = Ips::new();
    let bad = std::ffi::OsStr::from_bytes(b"caf\xe9");
    let mut command = ips.command("o_vm");
    command.args([
        "define", "--name", "a", "--cpus", "1", "--ram", "64", "--title",
    ]);
    let done = crate::harness::Done::of(command.arg(bad).spawn().unwrap());
    assert_eq!(done.code, 1);
    assert!(done.err.contains("not UTF-8"), "{done:?}");
    assert_eq!(ips.ok(&["list", "--json"]), "[]\n");
}

#[test]
fn a_dash_means_standard_input_only_as_a_file() {
    let ips = Ips::new();
    ips.ok(&[
        "define", "--id", "a", "--name", "a", "--cpus", "1", "--ram", "64", "--title", "-",
    ]);
    assert!(ips.ok(&["config", "a"]).contains("title=-\n"));
}

#[test]
fn set_refuses_a_key_given_twice() {
    let ips = Ips::new();
    ips.define("a");
    let done = ips.o_vm(&["set", "a", "ram_mb=1", "ram_mb=2"]);
    assert_eq!(
        (done.code, done.err.as_str()),
        (1, "o_vm: set: ram_mb is given twice\n")
    );
}

#[test]
fn a_toml_error_is_one_line_with_its_line_number() {
    let ips = Ips::new();
    std::fs::write(ips.dir.join("ips.toml"), "engine = \"local\"\nlisten = \n").unwrap();
    let done = ips.o_vm(&["--config", "ips.toml", "list"]);
    assert_eq!(done.code, 1);
    let want = "o_vm: settings file ips.toml: line 2: ";
    assert!(done.err.starts_with(want), "{}", done.err);
    assert_eq!(done.err.lines().count(), 1, "{}", done.err);
}
