//! `ips-server nginx`: prints the lines that nginx needs, and checks that it has them. Reads
//! the configuration that nginx itself would load (`nginx -T`); changes nothing.

mod check;
mod statements;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use hps_core::exec::Command;

use crate::error::chain;
pub use check::{Include, includes, report};
use statements::statements;

/// How long `nginx -T` may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Enough for a few thousand slow clients and the nodes.
const ENOUGH_CONNECTIONS: u32 = 4096;
/// The configuration of a large site is a few MB.
const KEEP_BYTES: usize = 64 * 1024 * 1024;

/// A line that nginx's configuration needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// The upstream and the zones.
    Http,
    /// The named location for `cmd=vm`, and the paths for people.
    Server,
    /// Sends `cmd=vm` from the site's own location to the named one.
    Location,
}

impl Line {
    /// In the order in which they are printed.
    pub const ALL: [Self; 3] = [Self::Http, Self::Server, Self::Location];

    /// The file that is included.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::Http => "http.conf",
            Self::Server => "server.conf",
            Self::Location => "location.conf",
        }
    }

    /// The place of the line.
    #[must_use]
    pub fn place(self) -> &'static str {
        match self {
            Self::Http => "inside http { }",
            Self::Server => "inside the server { } of the IPS",
            Self::Location => {
                "inside its location of /cgi-bin/boot_manager.sh, before anything else"
            }
        }
    }

    /// Whether nginx accepts it in a block that begins with this word.
    fn belongs_in(self, block: Option<&str>) -> bool {
        let right = match self {
            Self::Http => "http",
            Self::Server => "server",
            Self::Location => "location",
        };
        block.is_none_or(|block| block == right)
    }

    /// A statement of this file alone: an operator may have linked or copied the file.
    fn mark(self) -> &'static [&'static str] {
        match self {
            Self::Http => &["upstream", "hps_ips"],
            Self::Server => &["location", "@hps_ips"],
            Self::Location => &["error_page", "418", "=", "@hps_ips"],
        }
    }
}

/// The lines, and where they belong.
#[must_use]
pub fn advice() -> String {
    let mut text =
        String::from("Add these three lines to nginx's configuration; nothing was changed.\n");
    for line in Line::ALL {
        let _ = write!(
            text,
            "\n{}:\n    include /etc/hps/nginx/{};\n",
            line.place(),
            line.file()
        );
    }
    text.push_str(
        "\nThen: nginx -t && nginx -s reload && ips-server nginx --check\n\
         SELinux enforcing: setsebool -P httpd_can_network_connect 1\n",
    );
    text
}

/// The configuration that nginx loads.
///
/// # Errors
/// nginx is not installed, or rejects its own configuration.
pub fn configuration(file: Option<&Path>) -> Result<String, String> {
    let mut args = vec!["-T".to_owned(), "-q".to_owned()];
    if let Some(file) = file {
        args.extend(["-c".to_owned(), file.display().to_string()]);
    }
    // PATH may lack sbin.
    let usual = Path::new("/usr/sbin/nginx");
    let program = if usual.exists() {
        usual
    } else {
        Path::new("nginx")
    };
    let output = Command::new(program, LIMIT)
        .args(&args)
        .keep(KEEP_BYTES)
        .run()
        .and_then(hps_core::exec::Output::success)
        .map_err(|error| chain(&error))?;
    Ok(output.text().to_owned())
}

/// Advice for an nginx with few connections: slow clients can use all of them, which blocks
/// other clients until nginx closes those connections.
#[must_use]
pub fn few_connections(configuration: &str) -> Option<String> {
    let all = statements(configuration);
    let has = all.iter().rev().find_map(|statement| {
        let ("events", [name, number]) = (statement.block.as_deref()?, &statement.words[..]) else {
            return None;
        };
        let number = number.parse().ok()?;
        (name == "worker_connections").then_some(number)
    });
    // nginx's default.
    let has: u32 = has.unwrap_or(512);
    (has < ENOUGH_CONNECTIONS).then(|| {
        format!(
            "worker_connections is {has}: that many slow clients block all other clients for 15 s; \
             set `events {{ worker_connections 16384; }}` and `worker_rlimit_nofile 32768;`\n"
        )
    })
}
