//! Kills of all programs while they write: server, operators and nodes are killed (-9) at once,
//! round after round on one registry. All acknowledged changes are there afterwards: each
//! definition, each change, each operation with its result, each report.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::time::Duration;

use ips_server::registry::Registry;
use ips_server::verbs::create;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::harness::{kill, wait_for};
use crate::open_operation::{author, begin};
use crate::operators::{Random, Site};
use crate::world::Engine;

/// The number of reports that a round has ready to send.
const REPORTS: u32 = 30;

/// The acknowledgements: one file of each kind, with a line each.
const KINDS: [&str; 4] = ["define", "set", "operation", "report"];

/// The writers of a round: each records an acknowledgement right after it arrives. `$1` is the
/// round, `$2` the server's address.
const WRITERS: [&str; 4] = [
    "n=0; while :; do n=$((n+1))
        o_vm define --id d$1-$n --name d$1-$n --cpus 1 --ram 64 >/dev/null &&
        echo \"define d$1-$n\" >>acks.define; done",
    "n=0; while :; do n=$((n+1))
        o_vm set v0 title=$1.$(printf %06d $n) >/dev/null &&
        echo \"set $1.$(printf %06d $n)\" >>acks.set; done",
    "while :; do for words in 'create v1 box-a' 'stop v1 force' 'destroy v1 --keep-storage'; do
        set -- \"$1\" \"$2\" $words
        shift 2; o_vm \"$@\" --json 2>/dev/null |
        sed -n 's/.*\"operation\":\"\\([^\"]*\\)\".*\"exit_code\":0.*/operation \\1/p' >>acks.operation
        set -- round address; done; done",
    "for body in reports/*; do
        read -r token <tokens/${body#*/}
        curl -sf -m 5 -H \"Authorization: Bearer $token\" --data-binary @$body \
            \"http://$2/cgi-bin/boot_manager.sh?cmd=vm&report=report\" &&
        echo \"report ${body#*/}\" >>acks.report; done; sleep 60",
];

/// Prepares operations that nodes will report on, with bodies and tokens as files.
fn prepare_reports(site: &Site, round: u32) {
    for folder in ["reports", "tokens"] {
        let _ = fs::remove_dir_all(site.ips.dir.join(folder));
        fs::create_dir(site.ips.dir.join(folder)).unwrap();
    }
    let path = site.ips.dir.join("registry.db");
    for number in 0..REPORTS {
        let vm = format!("r{round}-{number}");
        let text = format!("name={vm}\ncpu_count=1\nram_mb=64\nprovision_method=virt-install\n");
        let config = hps_core::config::VmConfig::parse(text.as_bytes()).unwrap();
        let all = [(vm.parse().unwrap(), config.config)];
        Registry::open(&path)
            .unwrap()
            .define(&author(), &all)
            .unwrap();
        let operation = begin(&path, &vm, &create::SPEC, "tch-001", None);
        let name = operation.id.to_string();
        let reports = site.ips.dir.join("reports");
        fs::write(reports.join(&name), operation.report.to_text()).unwrap();
        fs::write(site.ips.dir.join("tokens").join(&name), &operation.token).unwrap();
    }
}

/// One round: all write until enough is acknowledged, then all are killed.
fn round(site: &mut Site, number: u32, random: &mut Random) {
    prepare_reports(site, number);
    let before = acknowledged(site);
    let address = format!("127.0.0.1:{}", site.ips.port);
    let writers: Vec<_> = WRITERS
        .iter()
        .map(|script| {
            let mut writer = site.ips.sh(script, &[&number.to_string(), &address]);
            writer.envs(site.environment("box-a")).process_group(0);
            writer.spawn().unwrap()
        })
        .collect();
    await_acknowledgements(site, number, random, &before);
    kill(site.ips.server_pid(), "KILL");
    for writer in &writers {
        let group = Pid::from_raw(i32::try_from(writer.id()).unwrap());
        killpg(group, Signal::SIGKILL).unwrap();
    }
    for mut writer in writers {
        writer.wait().unwrap();
    }
    let killed = site.ips.server_pid();
    wait_for("the server to be back", || {
        site.ips.revive();
        (site.ips.server_pid() != killed).then_some(())
    });
}

/// How many of each kind so far.
fn acknowledged(site: &Site) -> [usize; 4] {
    KINDS.map(|kind| lines(site, &format!("acks.{kind}")).len())
}

/// Waits for one acknowledgement of a kind, another kind each round, and for some of any kind.
fn await_acknowledgements(site: &Site, round: u32, random: &mut Random, before: &[usize; 4]) {
    let kind = usize::try_from(round).unwrap() % KINDS.len();
    let some = usize::try_from(1 + random.below(12)).unwrap();
    wait_for("acknowledgements", || {
        let now = acknowledged(site);
        let more = now.iter().sum::<usize>() - before.iter().sum::<usize>();
        (now[kind] > before[kind] && more >= some).then_some(())
    });
    // Right after an acknowledgement all writers begin their next change: a delay spreads the
    // kill over the whole change.
    std::thread::sleep(Duration::from_millis(random.below(30)));
}

fn lines(site: &Site, file: &str) -> Vec<String> {
    let text = fs::read_to_string(site.ips.dir.join(file)).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(_, what)| what.to_owned())
        .collect()
}

/// Checks that all acknowledged changes of all rounds are there.
fn is_there(site: &Site, round: u32) {
    let has = |sql: &str| site.ask(sql).into_iter().collect::<BTreeSet<_>>();
    let missing = |file: &str, sql: &str| {
        let there = has(sql);
        let mut acknowledged = lines(site, file);
        acknowledged.retain(|one| !there.contains(one));
        assert!(
            acknowledged.is_empty(),
            "round {round}: lost: {acknowledged:?}"
        );
    };
    assert_eq!(site.ask("pragma integrity_check"), ["ok"], "round {round}");
    missing("acks.define", "select vm_id from vm");
    missing(
        "acks.operation",
        "select operation from operation where exit_code = 0",
    );
    missing(
        "acks.report",
        "select operation from task where report_exit_code = 0",
    );
    if let Some(last) = lines(site, "acks.set").last() {
        let title = site.ask("select title from vm where vm_id = 'v0'");
        // One more may be written and not acknowledged.
        let order = |text: &str| {
            let (round, number) = text.split_once('.').unwrap();
            (
                round.parse::<u32>().unwrap(),
                number.parse::<u32>().unwrap(),
            )
        };
        assert!(
            order(&title[0]) >= order(last),
            "round {round}: {title:?} {last}"
        );
    }
}

/// 40 rounds; all 200 under `HPS_TORTURE=1`.
#[test]
fn a_kill_of_all_programs_loses_no_acknowledged_change() {
    let all = std::env::var_os("HPS_TORTURE").is_some();
    let mut site = Site::new(Engine::Local, 2);
    let mut random = Random::of(Random::seed(3));
    let rounds = if all { 200 } else { 40 };
    for number in 1..=rounds {
        round(&mut site, number, &mut random);
        is_there(&site, number);
    }
    let counts = acknowledged(&site);
    println!("{rounds} rounds, acknowledged of {KINDS:?}: {counts:?}");
    assert!(counts.iter().all(|count| *count >= 10), "{counts:?}");
    let ended = site.run("box-a", &["sweep"]);
    assert_eq!(ended.code, 0, "{ended:?}");
}
