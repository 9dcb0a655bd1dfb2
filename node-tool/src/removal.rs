//! Which files of a domain may be removed with it: those that are proved to be its own.
//! Without proof a file is kept, with the reason. A record of the files to be removed is
//! written before the domain is undefined, so that a rerun can finish the work.

mod others;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use hps_core::names::VmName;
use hps_core::{identity, kv};
use uuid::Uuid;

use crate::app::App;
use crate::domain_xml::{Disk, Source};
use crate::error::Error;
use crate::files;
use others::Others;

/// A regular file, identified by more than its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Own {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// The files to remove and the ones to keep, of a domain's disks.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Proved to be this VM's own.
    pub remove: Vec<Own>,
    /// Path and reason.
    pub keep: Vec<(String, String)>,
}

impl Verdict {
    /// Judges these disks of the domain `uuid`.
    pub(crate) fn of(app: &App, uuid: Uuid, disks: &[Disk]) -> Result<Self, Error> {
        let mut verdict = Self::default();
        for disk in disks {
            match candidate(disk) {
                Ok(own) if verdict.remove.contains(&own) => {}
                Ok(own) => verdict.remove.push(own),
                Err(Some(kept)) => verdict.keep.push(kept),
                Err(None) => {}
            }
        }
        verdict.spare(app, uuid)?;
        Ok(verdict)
    }

    /// Moves the files that others hold, or may hold, from `remove` to `keep`.
    fn spare(&mut self, app: &App, uuid: Uuid) -> Result<(), Error> {
        if self.remove.is_empty() {
            return Ok(());
        }
        let others = Others::look(app, uuid)?;
        let candidates = std::mem::take(&mut self.remove);
        for own in candidates {
            match others.hold(&own) {
                Some(reason) => self.keep.push((own.path.display().to_string(), reason)),
                None => self.remove.push(own),
            }
        }
        Ok(())
    }

    /// One line for the result.
    pub(crate) fn text(&self, going: &str) -> String {
        let mut parts = Vec::new();
        let removed = self.remove.iter().map(|own| own.path.display().to_string());
        let removed = removed.collect::<Vec<_>>().join(", ");
        if !removed.is_empty() {
            parts.push(format!("{going}: {removed}"));
        }
        let kept = self
            .keep
            .iter()
            .map(|(path, why)| format!("{path} ({why})"));
        let kept = kept.collect::<Vec<_>>().join(", ");
        if !kept.is_empty() {
            parts.push(format!("kept: {kept}"));
        }
        if parts.is_empty() {
            return "no disks".to_owned();
        }
        parts.join("; ")
    }
}

/// The file of a disk that may be this VM's own, else its path and the reason to keep it.
/// Looks at the disk alone; [`Others`] decides about the rest.
fn candidate(disk: &Disk) -> Result<Own, Option<(String, String)>> {
    let (path, why) = match &disk.source {
        Source::None => return Err(None),
        Source::File(path) if disk.device != "disk" => (path, format!("is a {}", disk.device)),
        Source::File(path) if disk.readonly => (path, "is read-only".to_owned()),
        Source::File(path) if disk.shareable => (path, "is shareable".to_owned()),
        Source::File(path) => match Own::at(Path::new(path)) {
            Ok(own) => return Ok(own),
            Err(why) => (path, why),
        },
        Source::Block(path) => (path, "is a block device".to_owned()),
        Source::Volume { pool, volume } => {
            let why = "is a volume of a storage pool".to_owned();
            return Err(Some((format!("{pool}/{volume}"), why)));
        }
        Source::Other(kind) => {
            return Err(Some((disk.target.clone(), format!("is of type {kind}"))));
        }
    };
    Err(Some((path.clone(), why)))
}

impl Own {
    /// The regular file at `path` itself, or what is there instead.
    fn at(path: &Path) -> Result<Self, String> {
        let metadata = fs::symlink_metadata(path).map_err(|error| {
            if error.kind() == ErrorKind::NotFound {
                return "does not exist".to_owned();
            }
            format!("cannot be examined: {error}")
        })?;
        if metadata.file_type().is_symlink() {
            return Err("is a symbolic link".to_owned());
        }
        if !metadata.is_file() {
            return Err("is not a regular file".to_owned());
        }
        let (device, inode) = (metadata.dev(), metadata.ino());
        let path = path.to_owned();
        Ok(Self {
            path,
            device,
            inode,
        })
    }

    /// Unlinks it, if it is still the same file.
    fn unlink(&self) -> Result<(), String> {
        if Self::at(&self.path)? != *self {
            return Err("was replaced by another file".to_owned());
        }
        fs::remove_file(&self.path).map_err(|error| format!("could not be removed: {error}"))
    }

    /// `DEVICE:INODE:PATH`; the path comes last, because it may hold a colon.
    fn to_value(&self) -> String {
        format!("{}:{}:{}", self.device, self.inode, self.path.display())
    }

    fn parse(value: &str) -> Option<Self> {
        let mut parts = value.splitn(3, ':');
        let device = parts.next()?.parse().ok()?;
        let inode = parts.next()?.parse().ok()?;
        let path = PathBuf::from(parts.next()?);
        Some(Self {
            path,
            device,
            inode,
        })
    }
}

/// Records the files to be removed, before the domain that names them is undefined.
pub(crate) fn note(app: &App, uuid: Uuid, name: &VmName, verdict: &Verdict) -> Result<(), Error> {
    if verdict.remove.is_empty() {
        return Ok(());
    }
    let files = verdict.remove.iter().enumerate();
    let lines = files.map(|(i, own)| kv::line(&format!("file_{i}"), &own.to_value()));
    let text = kv::line("name", name.as_str()) + &lines.collect::<String>();
    files::write(&dir(app), &uuid.to_string(), &text)
}

/// The UUID of a domain of this name whose removal is not complete.
pub(crate) fn unfinished(app: &App, name: &VmName) -> Result<Option<Uuid>, Error> {
    let wanted = kv::line("name", name.as_str());
    let named = |(path, text): &(PathBuf, String)| {
        text.starts_with(&wanted)
            .then(|| identity::hyphenated(&path.file_name()?.to_string_lossy()))
            .flatten()
    };
    let found = files::read_all(&dir(app))?.iter().find_map(named);
    Ok(found.filter(|found| app.task.uuid.is_none_or(|wanted| wanted == *found)))
}

/// Removes what the note of this UUID names, after another look at all other domains: the
/// domain itself is gone, and time may have passed.
pub(crate) fn finish(app: &App, uuid: Uuid) -> Result<Verdict, Error> {
    let path = dir(app).join(uuid.to_string());
    let notes = files::read_all(&dir(app))?;
    let text = notes
        .into_iter()
        .find(|(found, _)| *found == path)
        .map(|(_, text)| text);
    let mut verdict = Verdict::default();
    let text = text.unwrap_or_default();
    for pair in kv::parse(text.as_bytes()).unwrap_or_default() {
        verdict.remove.extend(
            pair.key
                .starts_with("file_")
                .then(|| Own::parse(pair.value))
                .flatten(),
        );
    }
    verdict.spare(app, uuid)?;
    let candidates = std::mem::take(&mut verdict.remove);
    for own in candidates {
        match own.unlink() {
            Ok(()) => verdict.remove.push(own),
            Err(why) => verdict.keep.push((own.path.display().to_string(), why)),
        }
    }
    forget(app, uuid)?;
    Ok(verdict)
}

/// Deletes the record: all is done, or the VM is created again and needs its disks.
pub(crate) fn forget(app: &App, uuid: Uuid) -> Result<(), Error> {
    files::remove(&dir(app).join(uuid.to_string()))
}

/// One record a VM, named by its UUID.
fn dir(app: &App) -> PathBuf {
    app.settings.state_dir.join("removals")
}
