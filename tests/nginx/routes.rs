//! Which request goes to the server, and which to the old CGI.

use std::fs;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::harness::{Done, Ips};
use crate::site::{Site, main_file};

const BOOT: &str = "/cgi-bin/boot_manager.sh";

/// The token of a create that is held while `use_it` runs.
fn with_token(site: &Site, use_it: impl FnOnce(&str)) {
    site.ips.block();
    let create = site
        .ips
        .command("o_vm")
        .args(["create", "a", "box"])
        .spawn()
        .unwrap();
    site.ips.wait_started();
    let token = site.ips.given("N_VM_TOKEN").unwrap();
    use_it(&token);
    site.ips.unblock();
    assert_eq!(Done::of(create).code, 0);
}

#[test]
fn configs_and_reports_with_a_token_pass_nginx() {
    let site = Site::new();
    let fetch = format!("{BOOT}?cmd=vm&get_config=get_config&vm_id=a");
    with_token(&site, |token| {
        let bearer = format!("Authorization: Bearer {token}");
        let (status, body) = site.curl(&["-H", &bearer], &fetch);
        assert_eq!(status, 200, "{body}");
        assert!(body.contains("name=a\n"), "{body}");
        assert_eq!(
            site.curl(&["-X", "POST", "-H", &bearer], &fetch).0,
            200,
            "as n_vm asks"
        );
        assert_eq!(
            site.curl(&["-H", "Authorization: Bearer no"], &fetch).0,
            401
        );
        assert_eq!(site.curl(&[], &fetch).0, 401);
        let operation = site.ips.given("N_VM_OPERATION").unwrap();
        let report = format!(
            "operation={operation}\nvm_id=a\nverb=create\nnode=box\nexit_code=0\nstate=running\nmessage=it runs\n"
        );
        let to = format!("{BOOT}?cmd=vm&report=report");
        assert_eq!(
            site.curl(&["-H", &bearer, "--data-binary", &report], &to).0,
            204
        );
    });
    assert_eq!(site.ips.operations()[0]["reason"], "it runs");
}

#[test]
fn every_other_command_stays_with_the_old_cgi() {
    let site = Site::new();
    for query in [
        "",
        "?",
        "?cmd=log_message&message=x",
        "?cmd=VM",
        "?CMD=x",
        "?cmd=%76m",
        "?cmd=x&cmd=vm",
        "?cmd=vmx",
        "?cmd=",
    ] {
        let target = format!("{BOOT}{query}");
        let (status, body) = site.curl(&[], &target);
        assert_eq!((status, body), (200, format!("old CGI: GET {target}")));
    }
    let (_, body) = site.curl(&["-d", "cmd=vm"], &format!("{BOOT}?cmd=other"));
    assert_eq!(body, format!("old CGI: POST {BOOT}?cmd=other"));
    let (_, body) = site.curl(&[], "/index.html");
    assert_eq!(body, "old CGI: GET /index.html");
}

#[test]
fn queries_that_nginx_reads_differently_get_400() {
    let site = Site::new();
    for query in [
        "cmd=vm&cmd=x",
        "cmd=vm&c%6dd=x",
        "cmd=vm&CMD=x",
        "cmd=vm&vm_id=a&vm_id=b",
    ] {
        let (status, body) = site.curl(&[], &format!("{BOOT}?{query}"));
        assert_eq!(status, 400, "{query}: {body}");
        assert!(body.starts_with("error="), "{query}: {body}");
    }
    // nginx matches the name of cmd in any case: the server accepts only the exact name.
    let (status, body) = site.curl(&[], &format!("{BOOT}?CMD=vm&get_config=get_config&vm_id=a"));
    assert_eq!(status, 400, "{body}");
    // A first `cmd` without a value is absent for nginx, and present for the server.
    let (status, body) = site.curl(&[], &format!("{BOOT}?cmd&cmd=vm"));
    assert_eq!(status, 400, "{body}");
}

#[test]
fn a_client_cannot_claim_another_address() {
    let mut ips = Ips::new();
    ips.define("a");
    ips.set("IPS_NODES_AUTH", "off")
        .set("IPS_NODES_ALLOW", "10.9.9.0/24,127.0.0.2");
    ips.serve();
    let site = Site::of(ips, &str::to_owned, "");
    only_its_own_address_counts(&site);
}

/// Behind a site that serves 127.0.0.2 and 10.9.9.0/24 without a token.
fn only_its_own_address_counts(site: &Site) {
    let fetch = format!("{BOOT}?cmd=vm&get_config=get_config&vm_id=a");
    for header in [
        "X-Forwarded-For: 10.9.9.9",
        "X-Real-IP: 10.9.9.9",
        "Forwarded: for=10.9.9.9",
    ] {
        assert_eq!(site.curl(&["-H", header], &fetch).0, 403, "{header}");
    }
    assert_eq!(site.curl(&["--interface", "127.0.0.2"], &fetch).0, 200);
}

#[test]
fn nginx_reaches_the_server_over_a_unix_socket() {
    let mut ips = Ips::new();
    ips.define("a");
    ips.set("IPS_NODES_AUTH", "off")
        .set("IPS_NODES_ALLOW", "10.9.9.0/24,127.0.0.2");
    let endpoint = format!("unix:{}", ips.dir.join("http.sock").display());
    ips.serve_at(&endpoint);
    let to_socket = move |text: &str| {
        let lines = text.lines().map(|line| match line.trim_start() {
            server if server.starts_with("server 127.0.0.1:") => format!("server {endpoint};\n"),
            _ => format!("{line}\n"),
        });
        lines.collect()
    };
    let site = Site::of(ips, &to_socket, "");
    only_its_own_address_counts(&site);
    assert_eq!(site.upstream.load(Ordering::Relaxed), 0, "nothing over TCP");
}

#[test]
fn metrics_are_served_to_this_machine_only() {
    let site = Site::new();
    assert_eq!(site.curl(&[], "/healthz").0, 200);
    assert_eq!(site.curl(&[], "/v1/vms/a").0, 200);
    assert_eq!(site.curl(&[], "/metrics").0, 200);
    assert_eq!(site.curl(&["--interface", "127.0.0.2"], "/metrics").0, 403);
}

/// nginx routes by the normalised path, and forwards the path as it was written.
#[test]
fn no_spelling_of_metrics_bypasses_the_refusal() {
    let site = Site::new();
    for target in [
        "/metrics?x",
        "/%6detrics",
        "//metrics",
        "/./metrics",
        "/v1/../metrics",
        "/v1/%2e%2e/metrics",
        "/metrics/../v1/vms",
        "/metrics/../healthz",
        "/metrics/",
        "/metrics%3f/../v1/vms",
        "/metrics%00",
        "/metrics#/../v1/vms",
    ] {
        let args = ["--path-as-is", "--interface", "127.0.0.2"];
        let (status, body) = site.curl(&args, target);
        assert!(!body.contains("# TYPE"), "{target}: {status} {body}");
    }
    assert!(site.curl(&[], "/metrics").1.contains("# TYPE"));
}

#[test]
fn a_stopped_server_fails_at_once_and_the_site_goes_on() {
    let mut site = Site::new();
    site.ips.end_server();
    let began = Instant::now();
    assert_eq!(site.curl(&[], "/healthz").0, 502);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(site.curl(&[], "/x").1, "old CGI: GET /x");
}

#[test]
fn a_restarted_server_gets_the_next_request() {
    let mut site = Site::new();
    assert_eq!(site.curl(&[], "/healthz").0, 200);
    let endpoint = format!("127.0.0.1:{}", site.ips.port);
    site.ips.end_server();
    assert_eq!(site.curl(&[], "/healthz").0, 502);
    site.ips.serve_at(&endpoint);
    assert_eq!(site.curl(&[], "/healthz").0, 200);
}

#[test]
fn nginx_keeps_its_connections_to_the_server() {
    let site = Site::new();
    for _ in 0..20 {
        assert_eq!(site.curl(&[], "/healthz").0, 200);
    }
    let opened = site.upstream.load(Ordering::Relaxed);
    assert!(opened <= 3, "{opened} connections for 20 requests");
}

#[test]
fn the_check_names_the_missing_line() {
    let site = Site::new();
    let path = main_file(&site.ips.dir);
    let check = |path: &str| site.ips.run("ips-server", &["nginx", "--check", path]);
    let path = path.to_str().unwrap();
    let done = check(path);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(
        done.out.matches(&format!("; found: {path}:")).count(),
        3,
        "{done:?}"
    );
    let whole = fs::read_to_string(path).unwrap();
    let other = site.ips.dir.join("other.conf");
    for (file, place) in [
        ("location.conf", "boot_manager.sh"),
        ("server.conf", "server { }"),
    ] {
        // Without the named location the other line is an invalid configuration: both are
        // removed.
        let without: String = whole
            .lines()
            .filter(|line| !line.contains(file) && !line.contains("location.conf"))
            .map(|line| format!("{line}\n"))
            .collect();
        fs::write(&other, without).unwrap();
        let done = check(other.to_str().unwrap());
        assert_eq!(done.code, 1, "{done:?}");
        let said = done.out.lines().find(|line| line.contains(file)).unwrap();
        assert!(
            said.contains("missing: put it inside") && said.contains(place),
            "{said}"
        );
    }
    // nginx accepts that, and has no named location in the server of the request.
    let apart = whole.replacen("server {", "server { listen 127.0.0.1:1;", 1);
    let apart = apart.replacen("location =", "}\n    server {\n        location =", 1);
    fs::write(&other, apart).unwrap();
    let done = check(other.to_str().unwrap());
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.out.contains("cmd=vm gets a 500 there"), "{done:?}");
    assert!(!done.out.contains("worker_connections"), "{done:?}");
    let few = whole.replacen("worker_connections 16384", "worker_connections 768", 1);
    fs::write(&other, few).unwrap();
    let done = check(other.to_str().unwrap());
    assert!(
        done.code == 0 && done.out.contains("worker_connections is 768"),
        "{done:?}"
    );
    fs::write(&other, "server {").unwrap();
    let done = check(other.to_str().unwrap());
    assert!(
        done.code == 2 && done.err.contains("nginx: cannot read its configuration: "),
        "{done:?}"
    );
    let advice = site.ips.run("ips-server", &["nginx"]);
    assert_eq!(
        (
            advice.code,
            advice.out.matches("include /etc/hps/nginx/").count()
        ),
        (0, 3)
    );
}
