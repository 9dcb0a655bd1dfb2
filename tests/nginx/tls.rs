//! TLS for nodes: the commented server of tls.conf, a throwaway CA, and an n_vm that was
//! built with the feature `tls`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Done, Ips};
use crate::site::{Site, free_port};

/// Builds n_vm with TLS, into a folder of its own.
#[expect(clippy::disallowed_methods, reason = "cargo builds what is tested")]
fn n_vm_with_tls() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_ips-server"))
        .parent()
        .unwrap()
        .join("tls");
    let mut command = Command::new(env!("CARGO"));
    command.args([
        "build",
        "--locked",
        "-q",
        "-p",
        "node-tool",
        "--features",
        "tls",
    ]);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command.env("CARGO_TARGET_DIR", &target);
    assert!(command.status().unwrap().success());
    target.join("debug/n_vm")
}

/// Two CAs; a server's and a node's certificate of the first, a stranger's of the second.
fn make_certificates(ips: &Ips) {
    let done = ips.shell(
        r#"mkdir -p hps/tls && cd hps/tls
ca() { openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" -keyout $1.key -out $1.pem; }
cert() { openssl req -newkey rsa:2048 -nodes -subj "/CN=$2" -keyout $2.key -out $2.csr
    printf "subjectAltName=IP:127.0.0.1\n" >$2.ext
    openssl x509 -req -in $2.csr -CA $1.pem -CAkey $1.key -CAcreateserial -days 2 -extfile $2.ext -out $2.pem; }
{ ca nodes-ca; ca other-ca; cert nodes-ca ips; cert nodes-ca node; cert other-ca stranger; } 2>log"#,
    );
    assert_eq!(done.code, 0, "{done:?}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests start the real programs as a user does"
)]
fn config_of(program: &Path, dir: &Path, port: u16, lines: &str, token: &str) -> Done {
    let settings = dir.join("tls-node.conf");
    let lines = lines.replace("TLS/", &format!("{}/hps/tls/", dir.display()));
    fs::write(&settings, format!("ips=https://127.0.0.1:{port}\n{lines}")).unwrap();
    let mut command = Command::new(program);
    command
        .args(["--config"])
        .arg(settings)
        .args(["config", "a"])
        .env("N_VM_TOKEN", token);
    let child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    Done::of(child.spawn().unwrap())
}

#[test]
fn only_a_node_with_a_certificate_fetches_over_tls() {
    let program = n_vm_with_tls();
    let mut ips = Ips::new();
    ips.define("a");
    ips.serve();
    make_certificates(&ips);
    let port = free_port();
    let server = include_str!("../../packaging/nginx/tls.conf")
        .lines()
        .filter(|line| {
            ["#server", "#    ", "#}"]
                .iter()
                .any(|start| line.starts_with(start))
        })
        .map(|line| line.trim_start_matches('#'))
        .map(|line| format!("{line}\n"))
        .collect::<String>()
        .replace("/etc/hps/", &format!("{}/hps/", ips.dir.display()))
        .replace("listen 443", &format!("listen 127.0.0.1:{port}"));
    assert!(server.trim_start().starts_with("server {"), "{server}");
    let site = Site::of(ips, &str::to_owned, &server);
    site.ips.block();
    let create = site
        .ips
        .command("o_vm")
        .args(["create", "a", "box"])
        .spawn()
        .unwrap();
    site.ips.wait_started();
    let token = site.ips.given("N_VM_TOKEN").unwrap();
    let fetch = |lines: &str| config_of(&program, &site.ips.dir, port, lines, &token);
    let own = "tls_ca=TLS/nodes-ca.pem\ntls_cert=TLS/node.pem\ntls_key=TLS/node.key\n";
    let done = fetch(own);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.contains("name=a\n"), "{done:?}");
    for (lines, says) in [
        ("", "did not answer"),
        (
            "tls_ca=TLS/other-ca.pem\ntls_cert=TLS/node.pem\ntls_key=TLS/node.key\n",
            "UnknownIssuer",
        ),
        ("tls_ca=TLS/nodes-ca.pem\n", "400"),
        (
            "tls_ca=TLS/nodes-ca.pem\ntls_cert=TLS/stranger.pem\ntls_key=TLS/stranger.key\n",
            "400",
        ),
        (
            "tls_ca=TLS/nodes-ca.pem\ntls_cert=TLS/node.pem\n",
            "tls_cert and tls_key belong together",
        ),
        ("tls_ca=TLS/nosuch.pem\n", "nosuch.pem: No such file"),
        ("tls_ca=TLS/node.key\n", "want a PEM certificate in it"),
    ] {
        let done = fetch(lines);
        assert!(
            done.code != 0 && done.err.contains(says),
            "{lines}: {done:?}"
        );
        assert!(!done.out.contains("name=a"), "{lines}");
    }
    site.ips.unblock();
    assert_eq!(Done::of(create).code, 0);
}

#[test]
fn an_n_vm_without_tls_rejects_an_https_address() {
    let program = Path::new(env!("CARGO_BIN_EXE_ips-server")).with_file_name("n_vm");
    assert!(program.exists(), "cargo build --workspace");
    let dir = std::env::temp_dir();
    let done = config_of(&program, &dir, 1, "", "x");
    assert!(
        done.code == 1 && done.err.contains("ips: want http://HOST"),
        "{done:?}"
    );
}
