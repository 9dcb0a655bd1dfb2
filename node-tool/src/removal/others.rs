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
use crate::virsh::{ListedDomain, Virsh};

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
        let reason = by_path
            .or(by_inode)
            .map(|holder| format!("is held by {holder}"));
        reason.or_else(|| self.doubt.clone())
    }

    /// Adds all disks of a domain, of both its definitions, with their chains. What cannot be
    /// parsed becomes doubt, and doubt keeps every candidate.
    fn add_domain(&mut self, app: &App, listed: &ListedDomain) -> Result<(), Error> {
        let holder = format!("domain {}", listed.name);
        for xml in app.definitions(listed.uuid, "reading all other domains")? {
            match (domain_xml::paths(&xml), domain_xml::disks(&xml)) {
                (Ok(paths), Ok(disks)) => {
                    paths
                        .iter()
                        .for_each(|path| self.add(Path::new(path), &holder));
                    for disk in disks {
                        self.add_disk(app, &holder, &disk);
                    }
                }
                (Err(what), _) | (_, Err(what)) => self.doubt(&format!("{holder}: {what}")),
            }
        }
        Ok(())
    }

    /// Adds one disk with its chain. A disk in the network is not a file of this host.
    fn add_disk(&mut self, app: &App, holder: &str, disk: &domain_xml::Disk) {
        let format = Some(disk.format.as_str());
        match &disk.source {
            Source::File(path) | Source::Block(path) => self.add_chain(app, holder, path, format),
            Source::Volume { pool, volume } => match volume_path(&app.virsh(), pool, volume) {
                Ok(path) => self.add_chain(app, holder, &path, format),
                Err(what) => self.doubt(&format!("{holder}: {what}")),
            },
            // Not on this host's file systems.
            Source::None | Source::Other(_) => {}
        }
    }

    /// A path that another VM of the registry holds; it need not exist on this host.
    fn add_kept(&mut self, app: &App, path: &Path) {
        let holder = "another VM of the registry";
        self.add(path, holder);
        if fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
            self.add_chain(app, holder, &path.to_string_lossy(), None);
        }
    }

    /// Adds every file below an image, once per image: qemu-img costs a process.
    fn add_chain(&mut self, app: &App, holder: &str, path: &str, format: Option<&str>) {
        self.add(Path::new(path), holder);
        if self.paths.contains_key(&chain_mark(path)) {
            return;
        }
        match qemu_img::backing_chain(path, format, app.settings.virsh_timeout) {
            Ok(chain) => {
                self.paths.insert(chain_mark(path), holder.to_owned());
                chain
                    .iter()
                    .for_each(|file| self.add(Path::new(file), holder));
            }
            Err(error) => self.doubt(&format!("{holder} has {path}: {error}")),
        }
    }

    /// Adds a path, its target, and its inode.
    fn add(&mut self, path: &Path, holder: &str) {
        self.paths.insert(path.to_owned(), holder.to_owned());
        if let Ok(real) = fs::canonicalize(path) {
            self.paths.insert(real, holder.to_owned());
        }
        if let Ok(metadata) = fs::metadata(path) {
            self.inodes
                .insert((metadata.dev(), metadata.ino()), holder.to_owned());
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
