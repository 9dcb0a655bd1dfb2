//! `ips-server` and, under that name, `o_vm`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ips_server::args::run(std::env::args_os())
}
