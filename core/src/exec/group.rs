//! Ends a process group, even one with a child that the kernel cannot end.

use std::process::Child;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::capture::Capture;

/// How long a group may take to end after SIGTERM before SIGKILL, and after that.
pub(super) const TERM_GRACE: Duration = Duration::from_secs(2);

/// TERM, then KILL, to the whole group; gives up on a child the kernel cannot end.
pub(super) fn end_group(child: &mut Child, capture: &mut Capture, grace: Duration) {
    let Ok(pid) = i32::try_from(child.id()).map(Pid::from_raw) else {
        return;
    };
    for (signal, grace) in [(Signal::SIGTERM, grace), (Signal::SIGKILL, TERM_GRACE)] {
        // The group may be gone already.
        let _ = killpg(pid, signal);
        let until = Instant::now() + grace;
        while Instant::now() < until {
            let has_exited = matches!(child.try_wait(), Ok(Some(_)));
            // After KILL only the child itself matters: its orphans may never be reaped.
            if has_exited && (signal == Signal::SIGKILL || !group_lives(pid)) {
                return;
            }
            // Its last words; a failure to read them changes nothing.
            let _ = capture.poll(Duration::from_millis(5));
        }
    }
}

fn group_lives(pid: Pid) -> bool {
    killpg(pid, None).is_ok()
}
