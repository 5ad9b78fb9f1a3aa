//! Room on the disk: submits are refused while there is still room for results, and a reserve is freed for the last
//! steps of jobs that are under way.

use std::io::Write;

use crate::dir::Kind;
use crate::error::{Because, FolderError};
use crate::folder::SharedFolder;
use crate::lock::space;

/// The file that is given up when there is no room left.
const RESERVE: &str = ".reserve";
/// Its size in bytes: room for the receipts, the index and small results of the jobs that are under way.
const RESERVE_SIZE: usize = 8 << 20;
/// Least and most that is kept free for results and clean-up, in bytes.
const LEAST_KEPT: u64 = 256 << 20;
const MOST_KEPT: u64 = 10 << 30;

impl SharedFolder {
    /// Refuses where less is free than is kept for results and clean-up: 5 % of the volume, at least 256 MiB and at
    /// most 10 GiB.
    pub(crate) fn check_space(&self) -> Result<(), FolderError> {
        let (free, total) = space(&self.root).because("look at the volume of", &self.root)?;
        let due = (total / 20).clamp(LEAST_KEPT, MOST_KEPT);
        if free < due {
            Err(FolderError::DiskFull {
                path: self.root.clone(),
                free,
                due,
            })
        } else {
            Ok(())
        }
    }

    /// Makes sure that the reserve is there, where there is room for it.
    ///
    /// # Errors
    /// Where it can be neither found nor made, although there is room.
    pub fn keep_reserve(&self) -> Result<(), FolderError> {
        if self.dirs.root.has(RESERVE)? || self.check_space().is_err() {
            return Ok(());
        }
        let mut reserve = self.dirs.root.temporary(Kind::Record)?;
        // Zeros might be stored as a hole; these bytes take up room.
        let block: Vec<u8> = (0..=255u8).cycle().take(1 << 16).collect();
        for _ in 0..RESERVE_SIZE / block.len() {
            reserve
                .file()
                .write_all(&block)
                .because("write", &self.root.join(RESERVE))?;
        }
        reserve.sync()?;
        reserve.replace(RESERVE)
    }

    /// Does something that ends jobs or lets them end; where the disk is full, gives up the reserve and does it once more.
    pub(crate) fn with_reserve<T>(
        &self,
        mut step: impl FnMut() -> Result<T, FolderError>,
    ) -> Result<T, FolderError> {
        match step() {
            Err(error) if error.is_disk_full() && self.dirs.root.remove(RESERVE)? => {
                tracing::error!(folder = %self.root.display(), "the disk is full: the reserve was freed to bring jobs to their end; make room on this volume");
                step()
            }
            outcome => outcome,
        }
    }
}
