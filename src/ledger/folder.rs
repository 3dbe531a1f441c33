//! The folder of a replica: who works in it now, and who did before.
//!
//! A lock makes sure that one process at a time uses the folder, its spool and, where the database is
//! embedded, its leases. So whoever holds the lock knows that the replica named here before is dead.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

const LOCK: &str = "ledger.lock";
const REPLICA: &str = "replica";

/// The folder, locked until this is dropped.
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder if need be and locks it. `None` when another process has it.
    pub(super) fn lock(path: &Path) -> io::Result<Option<Folder>> {
        std::fs::create_dir_all(path)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Folder {
                path: path.to_owned(),
                _lock: lock,
            })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The replica that worked here last, if any.
    pub(super) fn last_replica(&self) -> Option<String> {
        std::fs::read_to_string(self.path.join(REPLICA)).ok()
    }

    /// Notes who works here now.
    pub(super) fn note_replica(&self, replica: &str) -> io::Result<()> {
        std::fs::write(self.path.join(REPLICA), replica)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_process_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let folder = Folder::lock(&path).unwrap().unwrap();
        assert!(Folder::lock(&path).unwrap().is_none());
        assert_eq!(folder.last_replica(), None);
        folder.note_replica("a").unwrap();
        drop(folder);
        assert_eq!(
            Folder::lock(&path)
                .unwrap()
                .unwrap()
                .last_replica()
                .as_deref(),
            Some("a")
        );
    }
}
