//! `n_vm`: everything is in the library; this only ends the process.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(node_tool::run(std::env::args_os().collect()))
}
