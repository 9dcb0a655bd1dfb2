//! Shows the steps of an operation as they happen: with times on a terminal, as plain
//! log lines elsewhere. Standard error only, so that `--json` stays clean.

use std::io::{IsTerminal, Write};
use std::time::Instant;

use hps_core::kv;

/// Where steps are shown.
#[derive(Debug)]
pub struct Progress {
    began: Instant,
    style: Style,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Terminal,
    Lines,
    Quiet,
}

impl Progress {
    /// On standard error, in the style that fits it.
    #[must_use]
    pub fn to_stderr() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            began: Instant::now(),
            style: if terminal {
                Style::Terminal
            } else {
                Style::Lines
            },
        }
    }

    /// Nowhere.
    #[must_use]
    pub fn quiet() -> Self {
        Self {
            began: Instant::now(),
            style: Style::Quiet,
        }
    }

    /// Shows a step that has just ended.
    pub fn step(&mut self, step: &str, result: &str) {
        let seconds = self.began.elapsed().as_secs_f64();
        let result = kv::one_line(result);
        let line = match self.style {
            Style::Terminal => format!("{seconds:7.1} s  {step:<11} {result}\n"),
            Style::Lines => format!("o_vm: step={step} result={result:?} seconds={seconds:.3}\n"),
            Style::Quiet => return,
        };
        // A stderr that is gone must not end an operation.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}
