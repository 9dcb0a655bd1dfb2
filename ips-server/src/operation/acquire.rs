//! Acquires the lock of a VM for an operation. A lock that another operation holds is an
//! error at once; only a verb that outlived the `o_vm` of the same request is waited for.

use std::time::{Duration, Instant};

use super::CommandRequest;
use super::error::Error;
use super::execute::Executor;
use super::lock::{Attempt, Holder, VmLock, try_lock};

/// The poll interval of a lock that another process holds.
const LOCK_POLL: Duration = Duration::from_millis(50);

impl Executor<'_> {
    /// Acquires the VM's lock. Where the process of the same request died and its verb still
    /// runs, waits for that; then the second value is true.
    pub(super) fn acquire(&mut self, request: &CommandRequest) -> Result<(VmLock, bool), Error> {
        let began = Instant::now();
        let mut waited = false;
        loop {
            let holder = match try_lock(self.lock_dir, &request.vm).map_err(Error::Lock)? {
                Attempt::Locked(lock) => return Ok((lock, waited)),
                Attempt::Held(holder) => holder,
            };
            let worth_waiting = match &holder {
                // Just acquired: its holder has not signed it yet.
                None => began.elapsed() < LOCK_POLL * 10,
                Some(holder) => is_orphan_of(request, holder) && began.elapsed() < self.wait_limit,
            };
            if !worth_waiting {
                return Err(Error::Busy(busy_text(holder.as_ref())));
            }
            if self.is_interrupted() {
                return Err(Error::StoppedWaiting);
            }
            if let (Some(holder), false) = (&holder, waited) {
                self.progress.step("waiting", &orphan_text(holder));
                waited = true;
            }
            std::thread::sleep(LOCK_POLL);
        }
    }
}

/// Whether the lock belongs to the same request, whose process died and whose verb still runs.
fn is_orphan_of(request: &CommandRequest, holder: &Holder) -> bool {
    !holder.process.is_alive() && holder.verb == request.spec.name && holder.node == request.node
}

fn busy_text(holder: Option<&Holder>) -> String {
    match holder {
        None => "another operation on this VM is under way".to_owned(),
        Some(holder) if holder.process.is_alive() => {
            let Holder {
                operation,
                verb,
                node,
                process,
            } = holder;
            let pid = process.pid;
            format!("operation {operation} ({verb} on {node}, process {pid}) is under way")
        }
        Some(holder) => orphan_text(holder),
    }
}

fn orphan_text(holder: &Holder) -> String {
    let Holder {
        operation,
        verb,
        node,
        ..
    } = holder;
    format!("operation {operation} ({verb} on {node}) still runs, but its o_vm is gone")
}
