//! Which days there are in the log folder.

use std::io;
use std::path::{Path, PathBuf};

use job_core::access_log::file::LogFile;

/// The files of lines in a folder with their paths, oldest day first; none where there is no folder. Links, folders and
/// whatever has another name are left alone.
///
/// # Errors
/// Where the folder cannot be read.
pub fn files(dir: &Path) -> io::Result<Vec<(LogFile, PathBuf)>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if let Some(file) = name.to_str().and_then(|name| name.parse().ok())
            && entry.file_type()?.is_file()
        {
            files.push((file, entry.path()));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_lines_are_found_and_the_oldest_first() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path();
        assert_eq!(files(&dir.join("no")).unwrap(), []);
        let names = [
            "ApiLog.2026-11-21.tsv",
            "ApiLog.2026-11-20.b.tsv",
            "ApiLog.2026-11-20.tsv",
        ];
        for name in names.iter().chain(&["ApiRoutes.2026-11-21.json", "other"]) {
            std::fs::write(dir.join(name), "").unwrap();
        }
        std::fs::create_dir(dir.join("ApiLog.2026-11-19.tsv")).unwrap();
        std::os::unix::fs::symlink("other", dir.join("ApiLog.2026-11-18.tsv")).unwrap();
        let found: Vec<_> = files(dir)
            .unwrap()
            .iter()
            .map(|(file, _)| file.to_string())
            .collect();
        assert_eq!(found, [names[2], names[1], names[0]]);
    }
}
