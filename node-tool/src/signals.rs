//! SIGTERM and SIGINT interrupt waiting and reading, never acting: loops and reading children
//! look at the flag, and the exit code is 128 plus the signal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

/// Whether this process was interrupted, and by which signal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signals {
    interrupted: Arc<AtomicBool>,
    which: Arc<AtomicUsize>,
}

impl Signals {
    /// Catches both signals from here on.
    pub(crate) fn catch() -> std::io::Result<Self> {
        let signals = Self::default();
        for (signal, number) in [(SIGTERM, 15), (SIGINT, 2)] {
            signal_hook::flag::register_usize(signal, signals.which.clone(), number)?;
            signal_hook::flag::register(signal, signals.interrupted.clone())?;
        }
        Ok(signals)
    }

    /// The flag that waiting loops and reading children look at.
    pub(crate) fn interrupted(&self) -> &AtomicBool {
        &self.interrupted
    }

    /// The signal, once one came.
    pub(crate) fn received(&self) -> Option<u8> {
        if !self.interrupted.load(Ordering::Relaxed) {
            return None;
        }
        u8::try_from(self.which.load(Ordering::Relaxed)).ok()
    }
}
