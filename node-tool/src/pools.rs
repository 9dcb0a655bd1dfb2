//! virt-install creates an active, autostarting storage pool for every folder of a disk file,
//! and leaves it behind. This records those pools (an intent before, a ledger after), and
//! removes the ones that no domain uses any more. A pool that is not in the ledger belongs to
//! others.

use std::path::{Path, PathBuf};

use hps_core::config::VmConfig;
use hps_core::{identity, kv};
use uuid::Uuid;

use crate::app::{App, Locks};
use crate::domain_xml::{self, Source};
use crate::error::Error;
use crate::files;
use crate::lock::{Lock, Mode};

/// Creates hold it shared; a verb that settles and removes holds it alone.
const LOCK: &str = "pools";
/// Folders for which virt-install creates no pool (virtinst/diskbackend.py, `_can_auto_manage`).
const NEVER: [&str; 3] = ["/dev/", "/sys/", "/proc/"];

/// Records the existing pools before virt-install runs, where it may create one. virt-install
/// inherits the lock; it must be dropped before [`clean`].
pub(crate) fn begin(app: &App, uuid: Uuid, config: &VmConfig) -> Result<Option<Lock>, Error> {
    let folders = folders(config);
    if folders.is_empty() {
        return Ok(None);
    }
    settle_crashed(app);
    let lock = app.acquire(LOCK, Mode::Shared, "create")?;
    let mut intent = match intent_of(app, uuid)? {
        // Of a create that was killed: the pools from before it count.
        Some((_, earlier)) => earlier,
        None => Intent {
            before: pool_list(app)?,
            folders: Vec::new(),
        },
    };
    intent.folders.extend(folders);
    files::write(&dir(app), &format!("intent-{uuid}"), &intent.to_text())?;
    Ok(Some(lock))
}

/// The intent of this VM, with its file.
fn intent_of(app: &App, uuid: Uuid) -> Result<Option<(PathBuf, Intent)>, Error> {
    let path = dir(app).join(format!("intent-{uuid}"));
    let all = files::read_all(&dir(app))?;
    let found = all.into_iter().find(|(found, _)| *found == path);
    Ok(found.map(|(path, text)| (path, Intent::parse(&text))))
}

/// After virt-install: adds the new pools of this VM's folders to the ledger. The next verb
/// settles what fails here.
pub(crate) fn finish(app: &App, uuid: Uuid) {
    let settled = match intent_of(app, uuid) {
        Ok(Some((path, intent))) => settle(app, &path, &intent),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = settled {
        tracing::warn!("new storage pools are recorded later: {}", error.chain());
    }
}

/// Settles the intents of crashed creates, and removes the ledger's pools that no domain
/// uses. Best effort: a create in progress, or doubt, leaves everything to the next verb.
pub(crate) fn clean(app: &App, locks: &Locks) {
    match cleaned(app, locks) {
        Ok(()) => {}
        Err(error) => {
            tracing::warn!("storage pools are left as they are: {}", error.chain());
        }
    }
}

/// As [`clean`], but removes nothing, which would require a look at every domain.
pub(crate) fn settle_crashed(app: &App) {
    let settled = || -> Result<(), Error> {
        let intents = entries(app, "intent-")?;
        if intents.is_empty() {
            return Ok(());
        }
        let Some(_alone) = Lock::try_now(&app.settings.state_dir, LOCK)? else {
            return Ok(());
        };
        intents
            .iter()
            .try_for_each(|(path, text)| settle(app, path, &Intent::parse(text)))
    };
    if let Err(error) = settled() {
        tracing::warn!("storage pools are settled later: {}", error.chain());
    }
}

/// As [`clean`], with the failure.
fn cleaned(app: &App, locks: &Locks) -> Result<(), Error> {
    if files::read_all(&dir(app))?.is_empty() {
        return Ok(());
    }
    let Some(_alone) = Lock::try_now(&app.settings.state_dir, LOCK)? else {
        return Ok(());
    };
    for (path, text) in entries(app, "intent-")? {
        settle(app, &path, &Intent::parse(&text))?;
    }
    let ledger = entries(app, "pool-")?;
    if ledger.is_empty() {
        return Ok(());
    }
    let used = Used::look(app)?;
    for (path, text) in ledger {
        let folder = value(&text, "folder").unwrap_or_default();
        let name = value(&text, "name").unwrap_or_default();
        if !used.folder(&folder) && !used.pools.contains(&name) {
            remove(app, &path, locks)?;
        }
    }
    Ok(())
}

/// Stops and undefines the pool; the ledger drops it once the listing proves it absent.
fn remove(app: &App, entry: &Path, locks: &Locks) -> Result<(), Error> {
    let name = entry
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let Some(pool) = name
        .as_deref()
        .and_then(|name| identity::hyphenated(name.strip_prefix("pool-")?))
    else {
        return Ok(());
    };
    let (virsh, files) = (app.virsh(), locks.files());
    if pool_list(app)?.contains(&pool) {
        // A crash may have come between the two; the listing decides.
        for done in [
            virsh.pool_destroy(pool, &files),
            virsh.pool_undefine(pool, &files),
        ] {
            done.map_err(|source| Error::Act {
                doing: "removing a storage pool",
                source,
            })?;
        }
        if pool_list(app)?.contains(&pool) {
            tracing::warn!(%pool, "this storage pool could not be removed");
            return Ok(());
        }
    }
    files::remove(entry)
}

fn settle(app: &App, path: &Path, intent: &Intent) -> Result<(), Error> {
    for pool in pool_list(app)?
        .into_iter()
        .filter(|pool| !intent.before.contains(pool))
    {
        let xml = app.virsh().pool_dumpxml(pool);
        let xml = xml.map_err(|source| Error::NoAnswer {
            doing: "reading a storage pool",
            source,
        })?;
        let (name, folder) = domain_xml::pool(&xml).unwrap_or_default();
        if intent.folders.contains(&folder) {
            let text = kv::line("name", &name) + &kv::line("folder", &folder);
            files::write(&dir(app), &format!("pool-{pool}"), &text)?;
        }
    }
    files::remove(path)
}

/// The paths and pools in the XML of all domains of this host.
#[derive(Default)]
struct Used {
    paths: Vec<String>,
    pools: Vec<String>,
}

impl Used {
    fn look(app: &App) -> Result<Self, Error> {
        let mut used = Self::default();
        let doing = "reading all domains";
        for listed in app.list()? {
            for xml in app.definitions(listed.uuid, doing)? {
                used.add(&xml)
                    .map_err(|what| Error::Nonsense { doing, what })?;
            }
        }
        Ok(used)
    }

    fn add(&mut self, xml: &str) -> Result<(), String> {
        self.paths.extend(domain_xml::paths(xml)?);
        for disk in domain_xml::disks(xml)? {
            if let Source::Volume { pool, .. } = disk.source {
                self.pools.push(pool);
            }
        }
        Ok(())
    }

    fn folder(&self, folder: &str) -> bool {
        self.paths
            .iter()
            .any(|path| Path::new(path).starts_with(folder))
    }
}

/// Every pool, active or not.
fn pool_list(app: &App) -> Result<Vec<Uuid>, Error> {
    let doing = "listing storage pools";
    app.virsh()
        .pool_list()
        .map_err(|source| Error::NoAnswer { doing, source })
}

/// The folders of this VM's disks for which virt-install may create pools.
fn folders(config: &VmConfig) -> Vec<String> {
    let files = config.disk_paths().map(|(_, path)| path.as_str());
    let files = files.filter(|path| !NEVER.iter().any(|never| path.starts_with(never)));
    let folders = files.filter_map(|path| Path::new(path).parent());
    folders
        .map(|folder| folder.to_string_lossy().into_owned())
        .collect()
}

fn dir(app: &App) -> PathBuf {
    app.settings.state_dir.join("pools")
}

/// The files of `pools` whose names begin with this.
fn entries(app: &App, prefix: &str) -> Result<Vec<(PathBuf, String)>, Error> {
    let named = |path: &Path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
    };
    let mut all = files::read_all(&dir(app))?;
    all.retain(|(path, _)| named(path));
    Ok(all)
}

fn value(text: &str, key: &str) -> Option<String> {
    let pairs = kv::parse(text.as_bytes()).ok()?;
    pairs
        .iter()
        .find(|pair| pair.key == key)
        .map(|pair| pair.value.to_owned())
}

/// The pools from before, and the folders of new ones.
struct Intent {
    before: Vec<Uuid>,
    folders: Vec<String>,
}

impl Intent {
    fn to_text(&self) -> String {
        let before = self.before.iter().enumerate();
        let before = before.map(|(i, pool)| kv::line(&format!("before_{i}"), &pool.to_string()));
        let folders = self.folders.iter().enumerate();
        let folders = folders.map(|(i, folder)| kv::line(&format!("folder_{i}"), folder));
        before.chain(folders).collect()
    }

    fn parse(text: &str) -> Self {
        let pairs = kv::parse(text.as_bytes()).unwrap_or_default();
        let of = |prefix: &'static str| {
            pairs
                .iter()
                .filter(move |pair| pair.key.starts_with(prefix))
        };
        Self {
            before: of("before_")
                .filter_map(|pair| identity::hyphenated(pair.value))
                .collect(),
            folders: of("folder_").map(|pair| pair.value.to_owned()).collect(),
        }
    }
}
