//! The files that other domains of this host, and other VMs of the registry, hold: their
//! disks with the whole backing chains.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::Own;
use crate::app::App;
use crate::domain_xml::{self, Source};
use crate::error::Error;
use crate::qemu_img;
use crate::virsh::{Listed, Virsh};

/// Files that others hold, by path and by inode.
#[derive(Debug, Default)]
pub(super) struct Others {
    paths: HashMap<PathBuf, String>,
    inodes: HashMap<(u64, u64), String>,
    /// A disk of another domain that could not be examined.
    doubt: Option<String>,
}

impl Others {
    /// Reads every domain but `uuid`, and the paths that the registry keeps.
    pub(super) fn look(app: &App, uuid: Uuid) -> Result<Self, Error> {
        let mut others = Self::default();
        for listed in app.list()?.into_iter().filter(|listed| listed.uuid != uuid) {
            others.add_domain(app, &listed)?;
        }
        for path in &app.task.keep {
            others.add_kept(app, path);
        }
        Ok(others)
    }

    /// The reason to keep this file, if there is one.
    pub(super) fn hold(&self, own: &Own) -> Option<String> {
        let by_path = self.paths.get(&own.path);
        let by_inode = self.inodes.get(&(own.device, own.inode));
        let holder = by_path.or(by_inode).map(|who| format!("is held by {who}"));
        holder.or_else(|| self.doubt.clone())
    }

    /// Adds all disks of a domain, of both its definitions, with their chains. What cannot be
    /// parsed becomes doubt, and doubt keeps every candidate.
    fn add_domain(&mut self, app: &App, listed: &Listed) -> Result<(), Error> {
        let who = format!("domain {}", listed.name);
        for xml in app.definitions(listed.uuid, "reading all other domains")? {
            match (domain_xml::paths(&xml), domain_xml::disks(&xml)) {
                (Ok(paths), Ok(disks)) => {
                    paths
                        .iter()
                        .for_each(|path| self.add(Path::new(path), &who));
                    for disk in disks {
                        self.add_disk(app, &who, &disk);
                    }
                }
                (Err(what), _) | (_, Err(what)) => self.doubt(&format!("{who}: {what}")),
            }
        }
        Ok(())
    }

    /// Adds one disk with its chain. A disk in the network is not a file of this host.
    fn add_disk(&mut self, app: &App, who: &str, disk: &domain_xml::Disk) {
        let format = Some(disk.format.as_str());
        match &disk.source {
            Source::File(path) | Source::Block(path) => self.add_chain(app, who, path, format),
            Source::Volume { pool, volume } => match volume_path(&app.virsh(), pool, volume) {
                Ok(path) => self.add_chain(app, who, &path, format),
                Err(what) => self.doubt(&format!("{who}: {what}")),
            },
            // Not on this host's file systems.
            Source::None | Source::Other(_) => {}
        }
    }

    /// A path that another VM of the registry holds; it need not exist on this host.
    fn add_kept(&mut self, app: &App, path: &Path) {
        let who = "another VM of the registry";
        self.add(path, who);
        if fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
            self.add_chain(app, who, &path.to_string_lossy(), None);
        }
    }

    /// Adds every file below an image, once per image: qemu-img costs a process.
    fn add_chain(&mut self, app: &App, who: &str, path: &str, format: Option<&str>) {
        self.add(Path::new(path), who);
        if self.paths.contains_key(&chain_mark(path)) {
            return;
        }
        match qemu_img::backing_chain(path, format, app.settings.virsh_timeout) {
            Ok(chain) => {
                self.paths.insert(chain_mark(path), who.to_owned());
                chain.iter().for_each(|file| self.add(Path::new(file), who));
            }
            Err(error) => self.doubt(&format!("{who} has {path}: {error}")),
        }
    }

    /// Adds a path, its target, and its inode.
    fn add(&mut self, path: &Path, who: &str) {
        self.paths.insert(path.to_owned(), who.to_owned());
        if let Ok(real) = fs::canonicalize(path) {
            self.paths.insert(real, who.to_owned());
        }
        if let Ok(metadata) = fs::metadata(path) {
            self.inodes
                .insert((metadata.dev(), metadata.ino()), who.to_owned());
        }
    }

    /// The first reason is enough: it keeps every candidate.
    fn doubt(&mut self, what: &str) {
        self.doubt
            .get_or_insert(format!("may be held by others: {what}"));
    }
}

/// Marks a chain as read: relative, so it is never a path of the file system.
fn chain_mark(path: &str) -> PathBuf {
    PathBuf::from(format!("chain of {path}"))
}

fn volume_path(virsh: &Virsh<'_>, pool: &str, volume: &str) -> Result<String, String> {
    virsh
        .vol_path(pool, volume)
        .map_err(|error| error.to_string())
}
