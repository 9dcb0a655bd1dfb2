//! Opens the registry: the owner of the file, its schema, its journal mode.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{Registry, RegistryError};

/// "hpsR": marks a SQLite file as ours.
const APPLICATION_ID: i32 = 0x6870_7352;
/// One script per schema version, applied in order.
const SCHEMAS: [&str; 5] = [
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
];
/// The newest version this program knows.
const KNOWN: u32 = 5;
const _: () = assert!(SCHEMAS.len() == KNOWN as usize);
/// How long a writer waits for another.
const BUSY: Duration = Duration::from_secs(10);
/// How often a fresh file is tried again while another process sets it up.
const WAL_POLL: Duration = Duration::from_millis(2);
/// Page cache, in KiB: enough for prepared look-ups, small beside the 20 MB budget.
const CACHE_KIB: i32 = 1024;

impl Registry {
    /// Opens the registry for reading and writing; makes it where there is none, owned
    /// by the owner of its folder.
    ///
    /// # Errors
    /// It cannot be made or opened, is damaged, is not a registry, or is newer than this program.
    pub fn open(path: &Path) -> Result<Self, RegistryError> {
        make(path).map_err(|source| RegistryError::Open {
            path: path.to_owned(),
            source,
        })?;
        Self::open_existing(path)
    }

    /// As [`Registry::open`], but a file that is not there is an error.
    ///
    /// # Errors
    /// As [`Registry::open`].
    pub fn open_existing(path: &Path) -> Result<Self, RegistryError> {
        Self::connect(path).map_err(|error| error.at(path))
    }

    fn connect(path: &Path) -> Result<Self, RegistryError> {
        refuse_links(path)?;
        let mut registry = Self {
            connection: connect(path)?,
            path: path.to_owned(),
            file: identity(path),
        };
        // Nothing is written before this check: the file may be of another program, or newer.
        let version = registry.check_version()?;
        begin_wal(&registry.connection)?;
        if version < KNOWN {
            registry.migrate()?;
        }
        Ok(registry)
    }

    /// Opens a file as it is: neither created, nor migrated, nor turned to WAL.
    pub(super) fn open_as_is(path: &Path) -> Result<Self, RegistryError> {
        refuse_links(path)?;
        let connection = connect(path).map_err(|error| RegistryError::from(error).at(path))?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            file: identity(path),
        })
    }

    /// Writes the whole WAL into the file itself, so that the WAL can be removed.
    pub(super) fn fold(&self) -> Result<(), RegistryError> {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        let busy: i64 = self
            .connection
            .query_row(sql, [], |row| row.get(0))
            .map_err(|error| RegistryError::from(error).at(&self.path))?;
        if busy == 0 {
            Ok(())
        } else {
            Err(RegistryError::Refused("the registry is in use".to_owned()))
        }
    }

    /// Brings the schema up to date in one transaction. Meanwhile foreign keys are off: a
    /// table that is replaced must not take its dependants with it (SQLite, "Making Other
    /// Kinds Of Table Schema Changes"); they are checked before the commit.
    fn migrate(&mut self) -> Result<(), RegistryError> {
        self.connection.pragma_update(None, "foreign_keys", false)?;
        let migrated = self.migrate_schema();
        self.connection.pragma_update(None, "foreign_keys", true)?;
        migrated
    }

    fn migrate_schema(&mut self) -> Result<(), RegistryError> {
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have migrated while this one waited for the lock.
        let from = version(&tx)?;
        for script in SCHEMAS
            .iter()
            .skip(usize::try_from(from).unwrap_or(usize::MAX))
        {
            tx.execute_batch(script)?;
        }
        let broken: u32 =
            tx.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| {
                row.get(0)
            })?;
        if broken > 0 {
            return Err(RegistryError::Refused(format!(
                "registry {}: migrate the schema: {broken} rows refer to rows that are missing; \
                 nothing was changed, restore a backup with `o_vm restore`",
                self.path.display()
            )));
        }
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", KNOWN.max(from))?;
        tx.commit()?;
        Ok(())
    }

    /// The schema version of a file that is ours and not newer than this program.
    pub(super) fn check_version(&self) -> Result<u32, RegistryError> {
        let found = version(&self.connection)?;
        self.check_ours(found)?;
        if found > KNOWN {
            return Err(RegistryError::Newer {
                path: self.path.clone(),
                found,
                known: KNOWN,
            });
        }
        Ok(found)
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
        self.read(
            |tx| Ok(tx.query_row("SELECT count(*) FROM vm WHERE vm_id = ''", [], |_| Ok(()))?),
        )
    }

    /// Changes when another connection has written since: a cheap test whether a value that
    /// was read is still current.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn data_version(&self) -> Result<i64, RegistryError> {
        let version = self
            .connection
            .pragma_query_value(None, "data_version", |row| row.get(0));
        version.map_err(|error| RegistryError::from(error).at(&self.path))
    }

    /// How long a call waits for a lock of another process; zero: it fails at once.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn set_lock_wait(&self, limit: Duration) -> Result<(), RegistryError> {
        let set = self.connection.busy_timeout(limit);
        set.map_err(|error| RegistryError::from(error).at(&self.path))
    }

    /// Whether two have the same file open, not only one of the same name.
    #[must_use]
    pub fn is_same_file(&self, other: &Self) -> bool {
        self.file == other.file
    }

    /// Lets a large transaction keep more pages in memory, in KiB.
    pub(super) fn widen_cache(&self, kib: i32) -> Result<(), RegistryError> {
        let widened = self.connection.pragma_update(None, "cache_size", -kib);
        widened.map_err(|error| RegistryError::from(error).at(&self.path))
    }
}

/// Makes an empty file, mode 0600, owned by the owner of its folder: a file that root
/// makes must not lock the server out. Never through a symbolic link.
fn make(path: &Path) -> std::io::Result<()> {
    let options = |new: bool| {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(new).mode(0o600);
        options
            .custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits())
            .to_owned()
    };
    match options(true).open(path) {
        Ok(file) => give_away(&file, path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // The process that made it may have been killed before giving it away. Only an
            // empty file with one name: not one that a user of the folder linked there.
            let is_fresh = path
                .symlink_metadata()
                .is_ok_and(|found| found.is_file() && found.len() == 0 && found.nlink() == 1);
            if is_fresh && let Ok(file) = options(false).open(path) {
                return give_away(&file, path);
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

pub(super) fn give_away(file: &File, path: &Path) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let (owner, made) = (folder.metadata()?, file.metadata()?);
    // Only root can give a file away.
    if nix::unistd::geteuid().is_root() && owner.uid() != made.uid() {
        fchown(file, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

/// Refuses a WAL, index or journal that is a link. SQLite writes into these files without a
/// check, the folder belongs to the server, and a file with a second name may be one of
/// root's. (SQLite itself follows no symbolic link here.)
fn refuse_links(path: &Path) -> Result<(), RegistryError> {
    for suffix in ["-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let name = Path::new(&name);
        let is_link = name
            .symlink_metadata()
            .is_ok_and(|found| !found.is_file() || found.nlink() > 1);
        if is_link {
            return Err(RegistryError::Refused(format!(
                "registry {}: {} is a link to another file; nothing was changed; \
                 find out where it comes from and remove it",
                path.display(),
                name.display()
            )));
        }
    }
    Ok(())
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    // Otherwise SQLite plans a cached statement again for each value bound to it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // The file is the server's: a schema that acts by itself must not act for root.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Turns a fresh file to WAL. That needs an exclusive lock, for which SQLite does not wait by
/// itself.
fn begin_wal(connection: &Connection) -> rusqlite::Result<()> {
    let until = Instant::now() + BUSY;
    loop {
        let turned = connection.pragma_update(None, "journal_mode", "WAL");
        let is_busy = turned.as_ref().is_err_and(|error| {
            error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
        });
        if !is_busy || Instant::now() >= until {
            return turned;
        }
        std::thread::sleep(WAL_POLL);
    }
}

/// Device and inode.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = path.metadata().ok()?;
    Some((found.dev(), found.ino()))
}

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}
