//! `exec` against real children that misbehave.

use super::*;

const LONG: Duration = Duration::from_secs(20);

fn sh(script: &str) -> Command<'static> {
    Command::new("sh", LONG).args(["-c", script])
}

fn limited(script: &str, millis: u64) -> (Result<Output, ExecError>, Duration) {
    let began = Instant::now();
    let result = Command::new("sh", Duration::from_millis(millis))
        .args(["-c", script])
        .run();
    (result, began.elapsed())
}

#[test]
fn exit_code_and_both_streams_come_back() {
    let output = sh("echo out; echo err >&2; exit 3").run().unwrap();
    assert_eq!((output.code, output.text().as_str()), (3, "out\n"));
    assert_eq!(output.exited().to_string(), "sh exited 3: err");
}

#[test]
fn a_missing_program_is_not_started() {
    let error = Command::new("no-such-program", LONG).run().unwrap_err();
    assert!(matches!(error, ExecError::NotStarted { .. }));
}

#[test]
fn a_child_killed_by_a_signal_is_killed_not_exited() {
    assert!(matches!(
        sh("kill -9 $$").run(),
        Err(ExecError::Killed { signal: 9, .. })
    ));
}

#[test]
fn the_deadline_ends_child_and_grandchildren() {
    let (result, took) = limited("echo started >&2; sleep 987654 & sleep 987654", 100);
    let error = result.unwrap_err();
    assert_eq!(error.to_string(), "sh did not answer within 0.1 s: started");
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn a_child_that_ignores_term_is_killed() {
    let (result, took) = limited("trap '' TERM; while :; do sleep 0.01; done", 50);
    assert!(matches!(result, Err(ExecError::TimedOut { .. })));
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn a_grandchild_that_holds_stdout_does_not_hold_us() {
    let (result, took) = limited("setsid sleep 15 & echo done", 20_000);
    assert_eq!(result.unwrap().text(), "done\n");
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn of_fifty_megabytes_a_bounded_part_is_kept() {
    let output = sh("head -c 50000000 /dev/zero; head -c 3000000 /dev/zero >&2")
        .keep(1000)
        .run()
        .unwrap();
    assert_eq!(
        (output.stdout.len(), output.stderr.len(), output.cut),
        (1000, 1000, true)
    );
}

#[test]
fn stdin_is_empty_unless_given() {
    assert_eq!(sh("cat").run().unwrap().text(), "");
    let input = "x".repeat(300_000);
    assert_eq!(sh("cat").input(input.clone()).run().unwrap().text(), input);
}

#[test]
fn a_child_need_not_read_its_stdin() {
    assert_eq!(
        sh("exit 0").input("x".repeat(300_000)).run().unwrap().code,
        0
    );
}

#[test]
fn the_locale_is_c_and_a_given_variable_arrives() {
    let output = sh("echo $LC_ALL $N_VM_TOKEN")
        .env("N_VM_TOKEN", "given")
        .run()
        .unwrap();
    assert_eq!(output.text(), "C given\n");
}

#[test]
fn a_raised_flag_ends_a_reading_child() {
    let flag = AtomicBool::new(true);
    let result = sh("sleep 987653").interrupted_by(&flag).run();
    assert!(matches!(result, Err(ExecError::Interrupted { .. })));
}

#[test]
fn a_listening_child_runs_while_the_caller_goes_on() {
    let (mut calls, began) = (0, Instant::now());
    let result = sh("echo listening >&2; sleep 987652").run_while(&mut || {
        calls += 1;
        calls < 3
    });
    assert!(matches!(result, Err(ExecError::Interrupted { .. })));
    assert_eq!(calls, 3);
    assert!(began.elapsed() < Duration::from_secs(8));
    let output = sh("echo event").run_while(&mut || true).unwrap();
    assert_eq!(output.text(), "event\n");
}

#[test]
fn a_child_left_alone_continues() {
    let path = std::env::temp_dir().join(format!("exec-left-{}", std::process::id()));
    let flag = AtomicBool::new(true);
    let script = format!("sleep 0.2; : >{}", path.display());
    let result = sh(&script).left_alone_on(&flag).run();
    assert!(matches!(result, Err(ExecError::LeftAlone { .. })));
    let until = Instant::now() + LONG;
    while !path.exists() {
        assert!(Instant::now() < until, "the child did not continue");
        std::thread::sleep(TICK);
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_child_holds_an_inherited_lock() {
    let path = std::env::temp_dir().join(format!("exec-inherit-{}", std::process::id()));
    let file = File::create(&path).unwrap();
    let script = format!(
        "for fd in /proc/self/fd/*; do readlink $fd; done | grep -c {}",
        path.display()
    );
    assert_eq!(sh(&script).inherit(&file).run().unwrap().text(), "1\n");
    assert_eq!(sh(&script).run().unwrap().text(), "0\n");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn unexpected_output_is_one_short_line() {
    let what = format!("no such\n\u{1b}[1m{}", "x".repeat(1_000_000));
    let error = sh("exit 0").run().unwrap().nonsense(what).to_string();
    let want = format!("unexpected output from sh: no such  [1m{}", "x".repeat(588));
    assert_eq!(error, want);
}

#[test]
fn argv_is_quoted_for_a_shell() {
    assert_eq!(
        argv_text(&["a", "b c", "it's", "", "x=1,y"]),
        r"a 'b c' 'it'\''s' '' x=1,y"
    );
}
