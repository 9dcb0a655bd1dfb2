//! Opening the registry: who owns the file, which schema it has, how it writes.

use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{Registry, RegistryError};

/// "hpsR": marks a SQLite file as ours.
const APPLICATION_ID: i32 = 0x6870_7352;
/// One script per schema version, applied in order.
const SCHEMAS: [&str; 1] = [include_str!("schema_1.sql")];
/// How long a writer waits for another.
const BUSY: Duration = Duration::from_secs(10);
/// Page cache, in KiB: enough for prepared look-ups, small beside the 20 MB budget.
const CACHE_KIB: i32 = 1024;

impl Registry {
    /// Opens the registry for reading and writing; makes it where there is none, owned
    /// by the owner of its folder.
    ///
    /// # Errors
    /// It cannot be made or opened, is damaged, is no registry, or is newer than this program.
    pub fn open(path: &Path) -> Result<Self, RegistryError> {
        make(path).map_err(|source| RegistryError::Open {
            path: path.to_owned(),
            source,
        })?;
        let connection = connect(path).map_err(|error| RegistryError::from(error).at(path))?;
        let mut registry = Self {
            connection,
            path: path.to_owned(),
        };
        registry.migrate().map_err(|error| error.at(path))?;
        Ok(registry)
    }

    fn migrate(&mut self) -> Result<(), RegistryError> {
        let version = version(&self.connection)?;
        let known = u32::try_from(SCHEMAS.len()).unwrap_or(u32::MAX);
        if version == known {
            return self.check_ours(version);
        }
        if version > known {
            return Err(RegistryError::Newer {
                path: self.path.clone(),
                found: version,
                known,
            });
        }
        self.check_ours(version)?;
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have migrated while this one waited for the lock.
        let from = usize::try_from(version_in(&tx)?).unwrap_or(usize::MAX);
        for script in SCHEMAS.iter().skip(from) {
            tx.execute_batch(script)?;
        }
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", known)?;
        tx.commit()?;
        Ok(())
    }

    /// A SQLite file of another program is left alone.
    fn check_ours(&self, version: u32) -> Result<(), RegistryError> {
        let id: i32 = self
            .connection
            .pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables: u32 =
            self.connection
                .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if id == APPLICATION_ID || (version == 0 && tables == 0) {
            return Ok(());
        }
        Err(RegistryError::NotOurs {
            path: self.path.clone(),
        })
    }

    /// Whether the whole file is sound; slow on a large one.
    ///
    /// # Errors
    /// It is damaged, and how.
    pub fn check(&self) -> Result<(), RegistryError> {
        let sql = "PRAGMA integrity_check(1)";
        let found: String = self
            .connection
            .query_row(sql, [], |row| row.get(0))
            .map_err(|error| RegistryError::from(error).at(&self.path))?;
        if found == "ok" {
            Ok(())
        } else {
            Err(RegistryError::Refused(format!(
                "registry {}: {found}",
                self.path.display()
            )))
        }
    }

    /// The cheapest question that proves the registry answers.
    ///
    /// # Errors
    /// Why it does not.
    pub fn ping(&self) -> Result<(), RegistryError> {
        let asked =
            self.connection
                .query_row("SELECT count(*) FROM vm WHERE vm_id = ''", [], |_| Ok(()));
        asked.map_err(|error| RegistryError::from(error).at(&self.path))
    }
}

/// Makes an empty file, mode 0600, owned by the owner of its folder: a file that root
/// makes must not lock the server out. Never through a symbolic link.
fn make(path: &Path) -> std::io::Result<()> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits())
        .open(path);
    match file {
        Ok(file) => {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty())
                .unwrap_or(Path::new("."));
            let owner = folder.metadata()?;
            if owner.uid() != file.metadata()?.uid() {
                fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
            }
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn version_in(tx: &rusqlite::Transaction<'_>) -> rusqlite::Result<u32> {
    version(tx)
}
