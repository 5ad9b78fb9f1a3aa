//! A PostgreSQL server of a test's own, on a temporary folder and a socket in it.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::until;

/// How long a server may take to start or to end.
const SOON: Duration = Duration::from_secs(60);
/// Where Debian keeps the server's programs, one folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Who runs the server where the tests run as root, which it refuses: the user of Debian's package, or nobody.
const USERS: [&str; 2] = ["postgres", "nobody"];
/// The server's own administrator.
const ADMINISTRATOR: &str = "bcrl";

/// A server that is ended when it is dropped, or when the test's thread dies.
#[derive(Debug)]
pub struct Postgresql {
    home: tempfile::TempDir,
    /// The user and group that it runs as; none where that is who runs the test.
    user: Option<(u32, u32)>,
    server: Option<Child>,
}

impl Default for Postgresql {
    fn default() -> Self {
        Self::start()
    }
}

impl Postgresql {
    /// Makes a server and starts it.
    ///
    /// # Panics
    /// Where PostgreSQL is not installed: `scripts/test` does that.
    pub fn start() -> Self {
        let home = tempfile::Builder::new()
            .prefix("bcrl-pg")
            .tempdir()
            .unwrap();
        let user = geteuid().is_root().then(server_user);
        if let Some((uid, gid)) = user {
            chown(home.path(), Some(uid), Some(gid)).unwrap();
        }
        let mut postgresql = Postgresql {
            home,
            user,
            server: None,
        };
        let made = postgresql
            .command("initdb")
            .args([
                "--auth=trust",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
            ])
            .arg(format!("--username={ADMINISTRATOR}"))
            .arg("--pgdata")
            .arg(postgresql.path("data"))
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        postgresql.begin();
        postgresql
    }

    /// Starts it again after [`Self::end`].
    pub fn begin(&mut self) {
        let log = std::fs::File::create(self.path("log")).unwrap();
        let server = self
            .command("postgres")
            .arg("-D")
            .arg(self.path("data"))
            .arg("-k")
            .arg(self.home.path())
            .args(["-c", "listen_addresses=", "-c", "fsync=off"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.server = Some(server);
        until("PostgreSQL answers", SOON, || {
            let ready = self
                .command("pg_isready")
                .arg("-h")
                .arg(self.home.path())
                .args(["-d", "postgres", "-U", ADMINISTRATOR])
                .output()
                .unwrap();
            ready.status.success().then_some(())
        });
    }

    /// Ends it; open connections are broken.
    pub fn end(&mut self) {
        let Some(mut server) = self.server.take() else {
            return;
        };
        // The fast shutdown (PostgreSQL, Server Shutdown). It may have ended by itself.
        let _ = kill_process(Pid::from_child(&server), Signal::INT);
        until("the end of PostgreSQL", SOON, || server.try_wait().unwrap());
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        let socket = self.home.path().display();
        format!("postgres://{ADMINISTRATOR}@localhost/postgres?host={socket}")
    }

    /// What it says to some SQL, by its own client: a line a row, `|` between the columns.
    #[track_caller]
    pub fn ask(&self, sql: &str) -> String {
        let answer = self
            .command("psql")
            .arg("-h")
            .arg(self.home.path())
            .args(["-U", ADMINISTRATOR, "-d", "postgres", "-X", "-A", "-t"])
            .args(["-v", "ON_ERROR_STOP=1", "-c", sql])
            .output()
            .unwrap();
        assert!(
            answer.status.success(),
            "{}",
            String::from_utf8_lossy(&answer.stderr)
        );
        String::from_utf8(answer.stdout).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// One of its programs, which dies with this thread, as its own user.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "QUIT"]).current_dir("/");
        if let Some((uid, gid)) = self.user {
            command.arg(format!("--reuid={uid}"));
            command.arg(format!("--regid={gid}")).arg("--clear-groups");
        }
        command.arg("--").arg(server_program(program));
        command
    }
}

impl Drop for Postgresql {
    fn drop(&mut self) {
        self.end();
    }
}

/// The user that runs the server in root's stead.
fn server_user() -> (u32, u32) {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let ids = |name: &str| {
        let mut fields = users
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>());
        let user = fields.find(|fields| fields[0] == name)?;
        Some((user[2].parse().ok()?, user[3].parse().ok()?))
    };
    let found = USERS.iter().find_map(|name| ids(name));
    found.expect("every host has the user nobody")
}

/// Debian's newest version of a program of the server, or else the one that the shell would find.
fn server_program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let version = |path: &Path| {
        let version = path.file_name()?.to_str()?;
        version.parse::<u32>().ok()
    };
    let newest = versions
        .map(|entry| entry.path())
        .filter(|path| path.join("bin").join(name).is_file())
        .max_by_key(|path| version(path));
    newest.map_or_else(|| name.into(), |path| path.join("bin").join(name))
}
