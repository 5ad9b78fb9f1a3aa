//! `bcrl result`: what a job's script printed, to stdout or into a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use job_core::ids::JobId;

use super::download::Download;
use super::error::Error;
use super::exit::Exit;
use super::json_text::{LaidOut, Layout};
use super::progress::download_bar;
use super::{Client, show};

/// From how many bytes on a download has a bar; smaller ones are over before it could be read.
const LARGE: u64 = 1 << 20;

/// What `bcrl result` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The result comes byte for byte as the server sends it; on a terminal JSON is laid out for the eye.

Exit codes:
  0 fetched, 1 the job failed, 3 it was canceled, 2 it has not ended or does not exist,
  4 server in trouble

Examples:
  bcrl result 0190a6f0-1c2d-7abc-8def-0123456789ab | jq .
  bcrl result 0190a6f0-1c2d-7abc-8def-0123456789ab --output result.json
  bcrl result 0190a6f0-1c2d-7abc-8def-0123456789ab --csv --output result.csv")]
pub struct ResultArgs {
    /// Job id
    #[arg(value_name = "UUID")]
    id: JobId,

    /// File to write, whole or not at all; one that exists is replaced
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// As CSV, where the result is a table
    #[arg(long)]
    csv: bool,
}

pub(super) async fn run(args: &ResultArgs, client: &Client) -> Result<Exit, Error> {
    let mut download = match args.csv {
        true => client.server.result_as_csv(args.id).await?,
        false => client.server.result(args.id).await?,
    };
    match &args.output {
        None => print_download(&mut download, client).await?,
        Some(path) => save(&mut download, path, client).await?,
    }
    Ok(Exit::Done)
}

/// Prints a job's result.
pub(super) async fn print(id: JobId, client: &Client) -> Result<(), Error> {
    let mut download = client.server.result(id).await?;
    print_download(&mut download, client).await
}

async fn print_download(download: &mut Download, client: &Client) -> Result<(), Error> {
    if client.terminal.shows_stdout && download.is_json() {
        return print_laid_out(download, client).await;
    }
    print_as_it_comes(download, client).await
}

/// Prints a body byte for byte.
pub(super) async fn print_as_it_comes(
    download: &mut Download,
    client: &Client,
) -> Result<(), Error> {
    // On a terminal the text itself shows how it goes.
    let bar = match client.terminal.shows_stdout {
        true => ProgressBar::hidden(),
        false => bar_for(download, client),
    };
    while !client.terminal.is_closed()
        && let Some(piece) = download.next().await?
    {
        client.terminal.write(piece.as_ref())?;
        bar.inc(piece.as_ref().len() as u64);
    }
    bar.finish_and_clear();
    Ok(())
}

async fn print_laid_out(download: &mut Download, client: &Client) -> Result<(), Error> {
    let mut laid_out = LaidOut::new(Layout::Pretty);
    while !client.terminal.is_closed()
        && let Some(piece) = download.next().await?
    {
        let mut text = Vec::new();
        laid_out.push(piece.as_ref(), &mut text);
        client.terminal.write(&text)?;
    }
    client.terminal.write(b"\n")
}

async fn save(download: &mut Download, path: &Path, client: &Client) -> Result<(), Error> {
    let failed = |cause| Error::File {
        path: path.to_owned(),
        cause,
    };
    let bar = bar_for(download, client);
    let mut unfinished = Unfinished::create(path).map_err(failed)?;
    let mut size = 0;
    while let Some(piece) = download.next().await? {
        unfinished.file.write_all(piece.as_ref()).map_err(failed)?;
        size += piece.as_ref().len() as u64;
        bar.set_position(size);
    }
    unfinished.finish(path).map_err(failed)?;
    bar.finish_and_clear();
    client
        .terminal
        .note(&format!("{} ({})", path.display(), show::size(size)));
    Ok(())
}

fn bar_for(download: &Download, client: &Client) -> ProgressBar {
    if download.size().is_none_or(|size| size >= LARGE) {
        download_bar(&client.terminal, download.size())
    } else {
        ProgressBar::hidden()
    }
}

/// A file under a name of its own beside the one that it will have; removed where it does not come to that.
struct Unfinished {
    file: File,
    path: PathBuf,
}

impl Unfinished {
    fn create(target: &Path) -> io::Result<Unfinished> {
        let name = target.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let mut unfinished_name = name.to_owned();
        unfinished_name.push(format!(".{}.part", std::process::id()));
        let path = target.with_file_name(unfinished_name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok(Unfinished { file, path })
    }

    fn finish(self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.path, target)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Once it is renamed there is nothing to remove.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("result.json");
        let names = || std::fs::read_dir(folder.path()).unwrap().count();

        let mut unfinished = Unfinished::create(&target).unwrap();
        unfinished.file.write_all(b"[1").unwrap();
        drop(unfinished);
        assert_eq!(names(), 0);

        let mut unfinished = Unfinished::create(&target).unwrap();
        unfinished.file.write_all(b"[1]").unwrap();
        unfinished.finish(&target).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"[1]");
        assert_eq!(names(), 1);
    }
}
