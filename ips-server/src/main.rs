//! `ips-server` and, under that name, `o_vm`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args_os()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    ips_server::args::run(&words)
}
