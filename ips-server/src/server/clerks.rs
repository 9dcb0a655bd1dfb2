//! Workers with threads of their own, for answers that may be long. An allocator keeps what a
//! thread has freed for that thread: here those are few, and not one for each connection.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Worker;
use super::office::Asked;
use super::reply::Reply;

/// The kind of request it was, and its answer.
pub(super) type Answered = (&'static str, Reply);

struct Task {
    asked: Asked,
    /// Room for the answer, also when nobody waits for it any more.
    answer: SyncSender<Answered>,
}

/// All of them, and one queue.
pub(super) struct Clerks {
    tasks: SyncSender<Task>,
    patience: Duration,
}

impl Clerks {
    /// So many requests may wait, each so long.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn new(
        workers: Vec<Worker>,
        queue: usize,
        patience: Duration,
    ) -> std::io::Result<Self> {
        let (tasks, waiting) = sync_channel(queue);
        let waiting = Arc::new(Mutex::new(waiting));
        for worker in workers {
            let waiting = Arc::clone(&waiting);
            std::thread::Builder::new().spawn(move || work(&worker, &waiting))?;
        }
        Ok(Self { tasks, patience })
    }

    /// The answer; `None`: too many wait, or it was not made in time.
    pub(super) fn answer(&self, asked: Asked) -> Option<Answered> {
        let (answer, answered) = sync_channel(1);
        self.tasks.try_send(Task { asked, answer }).ok()?;
        answered.recv_timeout(self.patience).ok()
    }
}

/// Until the office closes.
fn work(worker: &Worker, waiting: &Mutex<Receiver<Task>>) {
    let next = || {
        let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.recv()
    };
    while let Ok(task) = next() {
        let answered = unharmed(|| worker.answer(&task.asked));
        // Who asked may be gone.
        let _ = task.answer.try_send(answered);
    }
}

/// One bad request must not take a worker down.
pub(super) fn unharmed(answer: impl FnOnce() -> Answered) -> Answered {
    catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|_| {
        tracing::error!("a request made its worker panic; report this");
        ("other", Reply::error(500, "report this"))
    })
}
