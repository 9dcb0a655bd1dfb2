//! Small files below `state_dir` that are complete or absent: written under another name,
//! synced, renamed.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hps_core::lock::private_dir;

use crate::error::Error;

/// Writes `text` as `dir/name`.
pub(crate) fn write(dir: &Path, name: &str, text: &str) -> Result<(), Error> {
    let (path, aside) = (dir.join(name), dir.join(format!(".{name}")));
    private_dir(dir)
        .and_then(|()| written(dir, &path, &aside, text))
        .map_err(|source| failed(&path, source))
}

/// The folder is synced too: a rename that is not on the disk did not happen.
fn written(dir: &Path, path: &Path, aside: &Path, text: &str) -> std::io::Result<()> {
    // A crash may have left one. It is never opened: it could be a link.
    let _ = fs::remove_file(aside);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(aside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(aside, path)?;
    File::open(dir)?.sync_all()
}

/// Every complete file of a folder that may be absent, with its text.
pub(crate) fn read_all(dir: &Path) -> Result<Vec<(PathBuf, String)>, Error> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(dir, source)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|source| failed(dir, source))?.path();
        let is_complete = path
            .file_name()
            .is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."));
        if is_complete {
            let text = fs::read_to_string(&path).map_err(|source| failed(&path, source))?;
            found.push((path, text));
        }
    }
    found.sort();
    Ok(found)
}

/// Removes a file that may be absent already.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(path, error)),
        _ => Ok(()),
    }
}

fn failed(path: &Path, source: std::io::Error) -> Error {
    let path = path.display().to_string();
    Error::File { path, source }
}
