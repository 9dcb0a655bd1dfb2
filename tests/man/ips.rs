//! o_vm(1), ips-server(8) and ips.toml(5) against the programs' help and the tables of
//! the code; and the script that renders all pages.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a test's result"
)]

mod check;
mod help;
mod page;
mod settings;

use std::path::{Path, PathBuf};

use ips_server::links::links;
use ips_server::model::exit::Exit;

use page::Page;

const PROGRAM: &str = env!("CARGO_BIN_EXE_ips-server");

/// A folder for this test, with `o_vm` in it.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("hps-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink(PROGRAM, folder.join("o_vm")).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn o_vm_has_every_verb_and_option_as_the_help_has_them() {
    let folder = Folder::new("o-vm-help");
    let tree = help::tree(&folder.0.join("o_vm"), "o_vm");
    check::verbs(&Page::read("o_vm.1"), &tree);
}

#[test]
fn ips_server_has_every_verb_and_option_as_the_help_has_them() {
    check::verbs(
        &Page::read("ips-server.8"),
        &help::tree(Path::new(PROGRAM), "ips-server"),
    );
}

#[test]
fn o_vm_has_every_link() {
    let links = links().into_iter().filter(|link| link.name != "o_vm");
    let links = links.map(|link| (link.name, link.words.join(" ")));
    check::links(&Page::read("o_vm.1"), "o_vm", links);
}

#[test]
fn o_vm_has_every_exit_code() {
    let page = Page::read("o_vm.1");
    let codes = Exit::ALL.map(|exit| (exit.code().to_string(), exit.meaning().to_owned()));
    check::codes(&page, "# EXIT STATUS", codes.into_iter());
    check::troubleshooting(&page, Exit::ALL.into_iter().map(Exit::code));
}

#[test]
fn the_pages_of_the_ips_render_without_a_warning() {
    for name in ["o_vm.1", "ips-server.8", "ips.toml.5"] {
        check::renders(name);
    }
}

/// Every file with its bytes, every link with its target.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for section in std::fs::read_dir(folder).unwrap() {
        for file in std::fs::read_dir(section.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let bytes = match path.read_link() {
                Ok(target) => target.to_str().unwrap().into(),
                Err(_) => std::fs::read(&path).unwrap(),
            };
            all.push((path.strip_prefix(folder).unwrap().to_owned(), bytes));
        }
    }
    all.sort();
    all
}

#[test]
fn two_builds_are_the_same_and_every_name_has_its_page() {
    let folder = Folder::new("man-build");
    let built = ["one", "two"].map(|name| {
        let out = folder.0.join(name);
        let script = page::folder().join("build");
        check::run(script.to_str().unwrap(), &[out.to_str().unwrap()], None);
        out
    });
    let [one, two] = built.each_ref().map(|out| files(out));
    assert_eq!(one, two);
    for name in links().iter().map(|link| link.name) {
        let file = PathBuf::from(format!("man1/{name}.1.gz"));
        assert!(one.iter().any(|(path, _)| *path == file), "{name}");
    }
    let page = built[0].join("man1/o_task_run.1.gz");
    let shown = check::run("man", &["-l", page.to_str().unwrap()], None);
    let version = format!("o_vm {}", env!("CARGO_PKG_VERSION"));
    assert!(String::from_utf8_lossy(&shown.stdout).contains(&version));
}
