//! Finds our include lines in a configuration, and checks that they are in their places.

use std::fmt::Write as _;

use super::Line;
use super::statements::statements;

/// An include line of ours in nginx's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// Which of the three.
    pub line: Line,
    /// The file that has it.
    pub file: String,
    /// Its line there, from 1.
    pub number: usize,
    /// Whether its block is the right one.
    pub is_in_place: bool,
    /// The `server { }` of its file that it is in; none where another file may have that.
    pub server: Option<usize>,
}

/// The include lines of a configuration, as `nginx -T` prints it: file after file, each after
/// a line that names it.
#[must_use]
pub fn includes(configuration: &str) -> Vec<Include> {
    let mut all = Vec::new();
    let mut files = vec![(String::new(), String::new())];
    for text in configuration.lines() {
        match text.strip_prefix("# configuration file ") {
            Some(name) => files.push((name.trim_end_matches(':').to_owned(), String::new())),
            None => files
                .iter_mut()
                .last()
                .into_iter()
                .for_each(|(_, content)| *content += &format!("{text}\n")),
        }
    }
    for (file, text) in &files {
        for statement in statements(text) {
            let line = Line::ALL
                .into_iter()
                .find(|line| is_line(*line, &statement.words));
            all.extend(line.map(|line| Include {
                line,
                file: file.clone(),
                number: statement.number,
                is_in_place: line.belongs_in(statement.block.as_deref()),
                server: statement.server,
            }));
        }
    }
    // The report names the include line; an included file counts only without such a line.
    let is_own = |include: &Include| {
        include
            .file
            .ends_with(&format!("/hps/nginx/{}", include.line.file()))
    };
    let included: Vec<_> = all
        .iter()
        .filter(|include| !is_own(include))
        .map(|include| include.line)
        .collect();
    all.retain(|include| !is_own(include) || !included.contains(&include.line));
    all
}

/// One sentence for each line, and whether all three are in place.
#[must_use]
pub fn report(all: &[Include]) -> (String, bool) {
    let mut text = String::new();
    let mut complete = true;
    for line in Line::ALL {
        let mut of_it = all.iter().filter(|include| include.line == line);
        let good = of_it.clone().find(|include| include.is_in_place);
        let orphan = orphan_location(all).filter(|_| line == Line::Server);
        let finding = match (good, orphan) {
            (Some(_), Some(orphan)) => {
                complete = false;
                format!(
                    "missing in the server {{ }} of {}:{}: cmd=vm gets a 500 there",
                    orphan.file, orphan.number
                )
            }
            (Some(include), None) => format!("found: {}:{}", include.file, include.number),
            (None, _) => {
                complete = false;
                let elsewhere = of_it.next().map_or_else(String::new, |include| {
                    format!(" ({}:{} is the wrong place)", include.file, include.number)
                });
                format!("missing{elsewhere}: put it {}", line.place())
            }
        };
        let _ = writeln!(text, "include /etc/hps/nginx/{}; {finding}", line.file());
    }
    (text, complete)
}

/// A location's line in a `server { }` without the named location: nginx accepts that, and
/// answers 500. Where another file may have the named location, it counts as present.
fn orphan_location(all: &[Include]) -> Option<&Include> {
    let has_named = |of: &Include| {
        all.iter()
            .filter(|include| include.line == Line::Server && include.is_in_place)
            .any(|include| {
                include.server.is_none() || (&include.file, include.server) == (&of.file, of.server)
            })
    };
    all.iter()
        .filter(|include| include.line == Line::Location && include.is_in_place)
        .find(|include| include.server.is_some() && !has_named(include))
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
    use super::super::few_connections;
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

    fn in_place(configuration: &str) -> Vec<(Line, String)> {
        let all = includes(configuration).into_iter();
        all.filter(|include| include.is_in_place)
            .map(|include| (include.line, format!("{}:{}", include.file, include.number)))
            .collect()
    }

    #[test]
    fn include_lines_are_found_with_their_places() {
        assert_eq!(
            in_place(SITE),
            [
                (Line::Http, "/etc/nginx/conf.d/site.conf:1".to_owned()),
                (Line::Server, "/etc/nginx/conf.d/site.conf:3".to_owned()),
                (Line::Location, "/etc/nginx/conf.d/site.conf:4".to_owned()),
            ]
        );
    }

    #[test]
    fn a_line_in_a_wrong_block_is_not_in_place() {
        let text = "server { include /etc/hps/nginx/location.conf; }";
        assert_eq!(
            (includes(text)[0].line, includes(text)[0].is_in_place),
            (Line::Location, false)
        );
    }

    #[test]
    fn a_location_needs_the_named_one_in_its_own_server() {
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
            // One of them comes from a file of its own: its server is unknown.
            (
                format!("{http}{server}}}\n# configuration file x:\n{location}"),
                true,
            ),
        ] {
            let (report, complete) = report(&includes(&text));
            assert_eq!(complete, want, "{text}: {report}");
            assert_eq!(
                report.contains("gets a 500 there"),
                !want,
                "{text}: {report}"
            );
        }
    }

    #[test]
    fn a_linked_file_counts_by_its_content() {
        let linked = "# configuration file /etc/nginx/conf.d/hps-ips.conf:\nupstream hps_ips {\n";
        assert_eq!(
            in_place(linked),
            [(Line::Http, "/etc/nginx/conf.d/hps-ips.conf:1".to_owned())]
        );
    }

    #[test]
    fn too_few_connections_get_advice() {
        for (text, advice) in [
            ("events { worker_connections 768; }", Some("is 768")),
            ("events {}", Some("is 512")),
            ("events { worker_connections 16384; }", None),
            ("events { # worker_connections 16384;\n}", Some("is 512")),
        ] {
            let advised = few_connections(text);
            assert_eq!(advised.is_some(), advice.is_some(), "{text}");
            assert!(
                advised.unwrap_or_default().contains(advice.unwrap_or("")),
                "{text}"
            );
        }
    }

    #[test]
    fn comments_and_other_names_do_not_count() {
        for text in [
            "#include /etc/hps/nginx/server.conf;",
            "include /etc/other/server.conf;",
            "upstream hps_ips_old {",
            "error_page 418 = @other;",
        ] {
            assert_eq!(includes(text), [], "{text}");
        }
    }
}
