//! The server from the view of nodes, operators and strangers.

use std::time::Duration;

use crate::harness::{Ips, SPEC, kill, wait_for};

const GET_CONFIG: &str = "/cgi-bin/boot_manager.sh?cmd=vm&get_config=get_config&vm_id=abc-1";

fn serving(auth: &str, allow: &str) -> Ips {
    let mut ips = Ips::new();
    ips.set("IPS_NODES_AUTH", auth)
        .set("IPS_NODES_ALLOW", allow);
    assert_eq!(
        ips.with_input(&["define", "--id", "abc-1", "-"], SPEC).code,
        0
    );
    ips.serve();
    ips
}

#[test]
fn an_old_bash_node_gets_the_specified_bytes() {
    let ips = serving("off", "127.0.0.0/8");
    let answer = ips.ask("POST", GET_CONFIG, &[], "");
    assert_eq!((answer.status, answer.body.as_str()), (200, SPEC));
    assert_eq!(
        ips.get(&GET_CONFIG.replace("abc-1", "ABC-1")).body,
        SPEC,
        "folded"
    );
    let unknown = ips.get(&GET_CONFIG.replace("abc-1", "nosuch"));
    assert_eq!(
        (unknown.status, unknown.body.as_str()),
        (404, "error=VM nosuch is not defined\n")
    );
}

#[test]
fn auth_off_serves_allowed_networks_only() {
    let ips = serving("off", "10.0.0.0/8");
    assert_eq!(ips.get(GET_CONFIG).status, 403);
    let forwarded = |address: &str| {
        ips.ask(
            "GET",
            GET_CONFIG,
            &[&format!("X-Forwarded-For: {address}")],
            "",
        )
        .status
    };
    assert_eq!(
        (
            forwarded("10.1.2.3"),
            forwarded("11.1.2.3"),
            forwarded("10.1.2.3, 11.1.2.3")
        ),
        (200, 403, 403)
    );
    assert!(
        ips.server_log().contains("refused client=127.0.0.1"),
        "{}",
        ips.server_log()
    );
}

#[test]
fn no_config_without_a_token() {
    let ips = serving("token", "127.0.0.0/8");
    let answer = ips.get(GET_CONFIG);
    assert_eq!(answer.status, 401);
    assert!(answer.body.starts_with("error="), "{}", answer.body);
    let wrong = ips.ask("GET", GET_CONFIG, &["Authorization: Bearer deadbeef"], "");
    assert_eq!(wrong.status, 401);
    assert!(!ips.server_log().contains("deadbeef"), "a token in the log");
}

#[test]
fn a_token_made_by_hand_fetches_that_config_only() {
    let ips = serving("token", "");
    ips.define("other");
    let token = ips.ok(&["config", "abc-1", "--token"]);
    let header = format!("Authorization: Bearer {}", token.trim());
    assert_eq!(ips.ask("GET", GET_CONFIG, &[&header], "").body, SPEC);
    assert_eq!(
        ips.ask("GET", &GET_CONFIG.replace("abc-1", "other"), &[&header], "")
            .status,
        403
    );
    let report = "operation=00000000-0000-0000-0000-000000000001\nvm_id=abc-1\nverb=create\nnode=box\nexit_code=0\nstate=running\nmessage=\n";
    assert_eq!(
        ips.ask(
            "POST",
            "/cgi-bin/boot_manager.sh?cmd=vm&report=report",
            &[&header],
            report
        )
        .status,
        403
    );
}

#[test]
fn a_change_by_o_vm_is_in_the_next_answer() {
    let ips = serving("off", "127.0.0.0/8");
    for ram in 100..110 {
        ips.ok(&["set", "abc-1", &format!("ram_mb={ram}")]);
        assert!(
            ips.get(GET_CONFIG)
                .body
                .contains(&format!("ram_mb={ram}\n"))
        );
    }
}

#[test]
fn malformed_requests_get_their_status() {
    let ips = serving("off", "127.0.0.0/8");
    let base = "/cgi-bin/boot_manager.sh";
    for (method, target, status) in [
        ("GET", base.to_owned(), 400),
        ("GET", format!("{base}?cmd=vm"), 400),
        ("GET", format!("{base}?cmd=vm&get_config=get_config"), 400),
        (
            "GET",
            format!("{base}?cmd=vm&get_config=get_config&vm_id=a%20b"),
            400,
        ),
        (
            "GET",
            format!("{base}?cmd=vm&get_config=get_config&vm_id=%zz"),
            400,
        ),
        (
            "GET",
            format!("{base}?cmd=vm&cmd=vm&get_config=get_config&vm_id=abc-1"),
            400,
        ),
        (
            "GET",
            format!("{base}?c%6dd=vm&get_config=get_config&vm_id=abc-1"),
            400,
        ),
        ("GET", format!("{base}?cmd=tftp"), 404),
        ("PUT", GET_CONFIG.to_owned(), 405),
        ("GET", format!("{GET_CONFIG}&x={}", "y".repeat(9000)), 414),
        ("GET", "/nosuch".to_owned(), 404),
        ("GET", "/v1/vms/a%20b".to_owned(), 400),
        ("GET", "/v1/vms/nosuch".to_owned(), 404),
        ("POST", "/v1/vms".to_owned(), 405),
    ] {
        let answer = ips.ask(method, &target, &[], "");
        assert_eq!(answer.status, status, "{method} {target}: {}", answer.body);
        let is_named = answer.body.starts_with("error=") || answer.body.starts_with("{\"error\":");
        assert!(is_named, "{method} {target}: {}", answer.body);
    }
    let long = ips.ask(
        "POST",
        &format!("{base}?cmd=vm&report=report"),
        &[],
        &"x".repeat(70_000),
    );
    assert_eq!(long.status, 413);
}

#[test]
fn operators_read_json_health_and_metrics() {
    let ips = serving("token", "");
    let vms: serde_json::Value = serde_json::from_str(&ips.get("/v1/vms").body).unwrap();
    assert_eq!(vms[0]["vm_id"], "abc-1");
    assert_eq!(
        vms[0]["disks"][1]["b"],
        "/dev/disk/by-path/ip-10.32.0.100:3260-iscsi-iqn.2025-01.local.hps:storage.disk2-lun-1"
    );
    let one: serde_json::Value = serde_json::from_str(&ips.get("/v1/vms/ABC-1").body).unwrap();
    assert_eq!(one, vms[0]);
    let listed: serde_json::Value = serde_json::from_str(&ips.ok(&["list", "--json"])).unwrap();
    assert_eq!(listed, vms, "the same JSON everywhere");
    assert_eq!(ips.get("/v1/operations").body, "[]");
    assert_eq!(ips.get("/healthz").status, 200);
    let metrics = ips.get("/metrics").body;
    for line in [
        "hps_vms{state=\"absent\"} 1",
        "hps_http_requests_total{route=\"vms\",status=\"200\"} 1",
        "hps_build_info{version=",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
    let stranger = ips.ask("GET", "/v1/vms", &["X-Forwarded-For: 6.6.6.6"], "");
    assert_eq!(stranger.status, 403);
    let head = ips.ask("HEAD", "/v1/vms", &[], "");
    assert!(head.status == 200 && head.body.is_empty() && head.head.contains("Content-Length: "));
}

#[test]
fn healthz_reports_a_missing_registry() {
    let ips = serving("token", "");
    std::fs::rename(ips.dir.join("registry.db"), ips.dir.join("away.db")).unwrap();
    std::fs::write(
        ips.dir.join("registry.db"),
        "no database at all, only some text that is long enough",
    )
    .unwrap();
    let answer = ips.get("/healthz");
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("not a registry"), "{}", answer.body);
}

#[test]
fn term_ends_it_with_0_within_two_seconds() {
    let mut ips = serving("token", "");
    // A connected client that sends nothing must not delay the stop.
    let _idle = std::net::TcpStream::connect(("127.0.0.1", ips.port)).unwrap();
    let (code, took) = ips.end_server();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn after_kill_and_restart_it_answers_at_the_same_address() {
    let ips = serving("token", "");
    let (idle, before) = (
        std::net::TcpStream::connect(("127.0.0.1", ips.port)).unwrap(),
        ips.server_pid(),
    );
    kill(before, "KILL");
    wait_for("another server", || {
        ips.revive();
        (ips.server_pid() != before).then_some(())
    });
    assert_eq!(ips.get("/healthz").status, 200);
    drop(idle);
}

#[test]
fn the_server_survives_a_lack_of_file_descriptors() {
    let ips = serving("token", "");
    let limit = format!("prlimit --pid {} --nofile=25:25", ips.server_pid());
    assert_eq!(ips.shell(&limit).code, 0);
    let hoard: Vec<_> = (0..60)
        .filter_map(|_| std::net::TcpStream::connect(("127.0.0.1", ips.port)).ok())
        .collect();
    wait_for("the server to say that it cannot accept", || {
        ips.server_log()
            .contains("accepting a connection failed")
            .then_some(())
    });
    drop(hoard);
    wait_for("an answer", || {
        (ips.get("/v1/operations").status == 200).then_some(())
    });
}

/// The connection that is silent longest is closed before the files run out.
#[test]
fn few_files_mean_few_connections() {
    let mut ips = Ips::new();
    ips.serve_limited("prlimit --nofile=64");
    let silent: Vec<_> = (0..100)
        .filter_map(|_| std::net::TcpStream::connect(("127.0.0.1", ips.port)).ok())
        .collect();
    assert_eq!(ips.get("/healthz").status, 200);
    let log = ips.server_log();
    assert!(!log.contains("failed"), "{log}");
    drop(silent);
}

#[test]
fn the_server_listens_on_a_unix_socket() {
    let ips = Ips::new();
    let socket = ips.dir.join("ips.sock");
    let mut server = ips
        .command("ips-server")
        .args(["serve", "--listen", &format!("unix:{}", socket.display())])
        .spawn()
        .unwrap();
    wait_for("an answer on the socket", || {
        let done = ips.shell("curl -s --unix-socket ips.sock http://x/healthz");
        done.out.contains("\"status\":\"ok\"").then_some(())
    });
    assert!(socket.exists());
    kill(server.id(), "TERM");
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

#[test]
fn a_port_in_use_is_an_error() {
    let ips = serving("token", "");
    let done = ips.run(
        "ips-server",
        &["serve", "--listen", &format!("127.0.0.1:{}", ips.port)],
    );
    assert_eq!(done.code, 1);
    assert!(
        done.err.contains(&format!(
            "listen on 127.0.0.1:{}: is it in use already",
            ips.port
        )),
        "{}",
        done.err
    );
}

#[test]
fn log_messages_are_one_line_and_limited_per_address() {
    let ips = serving("off", "127.0.0.0/8");
    let send = |message: &str| {
        ips.get(&format!(
            "/cgi-bin/boot_manager.sh?cmd=log_message&message={message}&function=f"
        ))
        .status
    };
    assert_eq!(send("hello%20world"), 204);
    assert!(
        ips.server_log()
            .contains("hello world node=127.0.0.1 function="),
        "{}",
        ips.server_log()
    );
    assert_eq!(send("a%0ab"), 400, "a newline");
    let statuses: Vec<_> = (0..100).map(|_| send("x")).collect();
    assert!(
        statuses.contains(&429) && statuses.contains(&204),
        "{statuses:?}"
    );
}
