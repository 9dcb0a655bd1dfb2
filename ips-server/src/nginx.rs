//! `ips-server nginx`: the lines that a live nginx needs, and whether it has them. Looks at
//! what nginx itself says that it would load (`nginx -T`); changes nothing.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use hps_core::exec::Command;

use crate::error::chain;

/// How long `nginx -T` may take.
const LIMIT: Duration = Duration::from_secs(30);
/// What a few thousand slow clients leave something of.
const ENOUGH_CONNECTIONS: u32 = 4096;
/// The configuration of a large site is a few MB.
const KEEP_BYTES: usize = 64 * 1024 * 1024;

/// What has to stand in nginx's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// The upstream and the zones.
    Http,
    /// Where requests go that the location lets out, and the paths for people.
    Server,
    /// What lets `cmd=vm` out of the site's own location.
    Location,
}

impl Line {
    /// In the order in which they are told.
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

    /// Where the line belongs.
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

    /// Whether it works in a block that begins with this word.
    fn may_stand_in(self, block: Option<&str>) -> bool {
        let right = match self {
            Self::Http => "http",
            Self::Server => "server",
            Self::Location => "location",
        };
        block.is_none_or(|block| block == right)
    }

    /// What only this file of ours has, for whoever linked or copied it instead.
    fn mark(self) -> &'static [&'static str] {
        match self {
            Self::Http => &["upstream", "hps_ips"],
            Self::Server => &["location", "@hps_ips"],
            Self::Location => &["error_page", "418", "=", "@hps_ips"],
        }
    }
}

/// A line that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Found {
    pub line: Line,
    pub file: String,
    pub number: usize,
    pub is_in_place: bool,
    /// Which `server { }` of its file it stands in; none where another file may have it.
    pub server: Option<usize>,
}

/// What to put where.
#[must_use]
pub fn advice() -> String {
    let mut text = String::from("nginx needs three lines; nothing was changed.\n");
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

/// Asks nginx for its configuration.
///
/// # Errors
/// Why nobody can tell: there is no nginx, or it does not take its own configuration.
pub fn configuration(file: Option<&Path>) -> Result<String, String> {
    let mut args = vec!["-T".to_owned(), "-q".to_owned()];
    if let Some(file) = file {
        args.extend(["-c".to_owned(), file.display().to_string()]);
    }
    // A shell without sbin on its PATH is no reason not to find it.
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

/// The lines that a configuration has, as `nginx -T` prints it: file after file, each
/// behind a line of its own that names it.
#[must_use]
pub fn found(configuration: &str) -> Vec<Found> {
    let mut all = Vec::new();
    let mut files = vec![(String::new(), String::new())];
    for text in configuration.lines() {
        match text.strip_prefix("# configuration file ") {
            Some(name) => files.push((name.trim_end_matches(':').to_owned(), String::new())),
            None => files
                .iter_mut()
                .last()
                .into_iter()
                .for_each(|(_, whole)| *whole += &format!("{text}\n")),
        }
    }
    for (file, text) in &files {
        for statement in statements(text) {
            let line = Line::ALL
                .into_iter()
                .find(|line| is_line(*line, &statement.words));
            all.extend(line.map(|line| Found {
                line,
                file: file.clone(),
                number: statement.number,
                is_in_place: line.may_stand_in(statement.block.as_deref()),
                server: statement.server,
            }));
        }
    }
    // The include is what an operator looks for; the file that it includes is not.
    let is_own = |found: &Found| {
        found
            .file
            .ends_with(&format!("/hps/nginx/{}", found.line.file()))
    };
    let included: Vec<_> = all
        .iter()
        .filter(|found| !is_own(found))
        .map(|found| found.line)
        .collect();
    all.retain(|found| !is_own(found) || !included.contains(&found.line));
    all
}

/// What was found of each line, and whether that is all.
#[must_use]
pub fn report(all: &[Found]) -> (String, bool) {
    let mut text = String::new();
    let mut complete = true;
    for line in Line::ALL {
        let mut of_it = all.iter().filter(|found| found.line == line);
        let good = of_it.clone().find(|found| found.is_in_place);
        let lonely = lonely(all).filter(|_| line == Line::Server);
        let said = match (good, lonely) {
            (Some(_), Some(lonely)) => {
                complete = false;
                format!(
                    "missing in the server {{ }} that has {}:{}: cmd=vm gets a 500 there",
                    lonely.file, lonely.number
                )
            }
            (Some(found), None) => format!("there: {}:{}", found.file, found.number),
            (None, _) => {
                complete = false;
                let wrong = of_it.next().map_or_else(String::new, |found| {
                    format!(" ({}:{} is a wrong place)", found.file, found.number)
                });
                format!("missing{wrong}: put it {}", line.place())
            }
        };
        let _ = writeln!(text, "include /etc/hps/nginx/{}; {said}", line.file());
    }
    (text, complete)
}

/// What to do about an nginx that has few connections: slow strangers take them all, and nobody
/// else is let in until they are given up.
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
    // Where nothing is said, nginx takes 512.
    let has: u32 = has.unwrap_or(512);
    (has < ENOUGH_CONNECTIONS).then(|| {
        format!(
            "worker_connections is {has}: as many slow clients keep everybody out for 15 s; \
             `events {{ worker_connections 16384; }}` and `worker_rlimit_nofile 32768;` are cheap\n"
        )
    })
}

/// A location's line in a `server { }` without the named location. nginx takes that, and
/// answers 500. Where an include may hide the answer, it is believed to be there.
fn lonely(all: &[Found]) -> Option<&Found> {
    let has_named = |of: &Found| {
        all.iter()
            .filter(|found| found.line == Line::Server && found.is_in_place)
            .any(|found| {
                found.server.is_none() || (&found.file, found.server) == (&of.file, of.server)
            })
    };
    all.iter()
        .filter(|found| found.line == Line::Location && found.is_in_place)
        .find(|found| found.server.is_some() && !has_named(found))
}

/// One statement of a configuration file.
struct Statement {
    words: Vec<String>,
    number: usize,
    /// The first word of the block it stands in; none at the top of its file, wherever
    /// that may be included.
    block: Option<String>,
    /// Its `server { }`: how many statements the file had before that.
    server: Option<usize>,
}

/// Splits a file at `;`, `{` and `}`, past comments and quotes.
fn statements(text: &str) -> Vec<Statement> {
    let mut all = Vec::new();
    let mut blocks: Vec<(String, usize)> = Vec::new();
    let (mut words, mut word, mut began) = (Vec::new(), String::new(), 0);
    let (mut quote, mut comment) = (None, false);
    for (number, line) in (1..).zip(text.lines()) {
        for c in line.chars().chain(['\n']) {
            if comment {
                comment = c != '\n';
            } else if let Some(open) = quote {
                if c == open {
                    quote = None;
                } else {
                    word.push(c);
                }
            } else if matches!(c, '"' | '\'') && word.is_empty() {
                quote = Some(c);
            } else if c == '#' && word.is_empty() {
                comment = true;
            } else if c.is_whitespace() || matches!(c, ';' | '{' | '}') {
                if !word.is_empty() {
                    began = if words.is_empty() { number } else { began };
                    words.push(std::mem::take(&mut word));
                }
                if matches!(c, ';' | '{' | '}') {
                    let block = blocks.last().map(|(name, _)| name.clone());
                    let mut outer = blocks.iter().rev();
                    let server = outer.find(|(name, _)| name == "server").map(|(_, at)| *at);
                    let before = all.len();
                    let first = words.first().cloned().unwrap_or_default();
                    if !words.is_empty() {
                        all.push(Statement {
                            words: std::mem::take(&mut words),
                            number: began,
                            block,
                            server,
                        });
                    }
                    match c {
                        '{' => blocks.push((first, before)),
                        '}' => drop(blocks.pop()),
                        _ => {}
                    }
                }
            } else {
                word.push(c);
            }
        }
    }
    all
}

fn is_line(line: Line, words: &[String]) -> bool {
    let includes = match words {
        [include, path] if include == "include" => path
            .strip_suffix(line.file())
            .is_some_and(|folder| folder.ends_with("/hps/nginx/")),
        _ => false,
    };
    includes || words == line.mark()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITE: &str = "# configuration file /etc/nginx/nginx.conf:
http {
    # include /etc/hps/nginx/http.conf;
    include /etc/nginx/conf.d/*.conf;
}
# configuration file /etc/nginx/conf.d/site.conf:
include /etc/hps/nginx/http.conf;
server {
    include \"/etc/hps/nginx/server.conf\"; # ours
    location = /cgi-bin/boot_manager.sh { include /etc/hps/nginx/location.conf;
    }
}
# configuration file /etc/hps/nginx/http.conf:
upstream hps_ips {
";

    fn told(configuration: &str) -> Vec<(Line, String)> {
        let all = found(configuration).into_iter();
        all.filter(|found| found.is_in_place)
            .map(|found| (found.line, format!("{}:{}", found.file, found.number)))
            .collect()
    }

    #[test]
    fn the_lines_are_found_with_their_places() {
        assert_eq!(
            told(SITE),
            [
                (Line::Http, "/etc/nginx/conf.d/site.conf:1".to_owned()),
                (Line::Server, "/etc/nginx/conf.d/site.conf:3".to_owned()),
                (Line::Location, "/etc/nginx/conf.d/site.conf:4".to_owned()),
            ]
        );
    }

    #[test]
    fn a_line_in_a_wrong_block_is_found_and_not_in_place() {
        let text = "server { include /etc/hps/nginx/location.conf; }";
        assert_eq!(
            (found(text)[0].line, found(text)[0].is_in_place),
            (Line::Location, false)
        );
    }

    #[test]
    fn a_location_without_the_named_one_in_its_own_server_is_no_success() {
        let server = "server { include /etc/hps/nginx/server.conf; ";
        let location = "location /x { include /etc/hps/nginx/location.conf; } ";
        let http = "include /etc/hps/nginx/http.conf; ";
        for (text, want) in [
            (format!("{http}{server}{location}}}"), true),
            (format!("{http}{server}}} server {{ {location}}}"), false),
            // Port 80 is as it should be, port 443 is not.
            (
                format!("{http}{server}{location}}} server {{ {location}}}"),
                false,
            ),
            // One of them comes from a file of its own: nobody can tell of which server.
            (
                format!("{http}{server}}}\n# configuration file x:\n{location}"),
                true,
            ),
        ] {
            let (said, complete) = report(&found(&text));
            assert_eq!(complete, want, "{text}: {said}");
            assert_eq!(said.contains("gets a 500 there"), !want, "{text}: {said}");
        }
    }

    #[test]
    fn a_file_that_was_linked_counts_by_what_is_in_it() {
        let linked = "# configuration file /etc/nginx/conf.d/hps-ips.conf:\nupstream hps_ips {\n";
        assert_eq!(
            told(linked),
            [(Line::Http, "/etc/nginx/conf.d/hps-ips.conf:1".to_owned())]
        );
    }

    #[test]
    fn few_connections_are_told_with_what_to_write() {
        for (text, told) in [
            ("events { worker_connections 768; }", Some("is 768")),
            ("events {}", Some("is 512")),
            ("events { worker_connections 16384; }", None),
            ("events { # worker_connections 16384;\n}", Some("is 512")),
        ] {
            let said = few_connections(text);
            assert_eq!(said.is_some(), told.is_some(), "{text}");
            assert!(
                said.unwrap_or_default().contains(told.unwrap_or("")),
                "{text}"
            );
        }
    }

    #[test]
    fn comments_and_other_names_are_no_lines() {
        for text in [
            "#include /etc/hps/nginx/server.conf;",
            "include /etc/other/server.conf;",
            "upstream hps_ips_old {",
            "error_page 418 = @other;",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
