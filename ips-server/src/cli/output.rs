//! Results go to stdout, everything else to stderr. A reader that is gone is not an error:
//! a verb must come to its end, so nothing here panics as `println!` would.

use std::io::{BufWriter, IsTerminal, Write};

use hps_core::table::{Column, table};
use serde::Serialize;

/// Prints a line, or several.
pub fn print(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints one line to stderr, as `o_vm`'s.
pub fn print_error(text: &str) {
    print_error_of("o_vm", &hps_core::kv::one_line(text));
}

/// Prints a text to stderr, as a program's.
pub fn print_error_of(program: &str, text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{program}: {text}");
}

/// Prints a value as JSON: indented on a terminal, else on one line.
pub fn print_json(value: &impl Serialize) {
    let mut out = BufWriter::new(std::io::stdout().lock());
    // Serializing our own types does not fail.
    let written = if std::io::stdout().is_terminal() {
        serde_json::to_writer_pretty(&mut out, value)
    } else {
        serde_json::to_writer(&mut out, value)
    };
    let _ = written.map(|()| writeln!(out));
}

/// Prints bytes and a line end in one write.
pub fn print_bytes(mut bytes: Vec<u8>) {
    bytes.push(b'\n');
    let _ = std::io::stdout().lock().write_all(&bytes);
}

/// Prints a table.
pub fn print_table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let columns: Vec<_> = head.iter().map(|title| Column::text(title)).collect();
    let rows: Vec<_> = rows.into_iter().collect();
    let _ = std::io::stdout()
        .lock()
        .write_all(table(&columns, &rows).as_bytes());
}
