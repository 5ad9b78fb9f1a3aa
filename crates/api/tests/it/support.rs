//! A site of its own for each test, and short words for what tests do with it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use test_support::{Answer, Client, Process, Site};

/// Nothing that is waited for takes longer on a healthy machine, however busy it is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// A UUID of version 4, which nobody gave out and which tells no time.
pub(crate) const NOBODYS_ID: &str = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
/// An id of July 2024, which is before any retention.
pub(crate) const OLD_ID: &str = "0190a6f0-1c2d-7abc-8def-0123456789ab";

/// A site with an API that listens. Where no worker is started, jobs stay pending.
///
/// The processes stand before the site, so that they are gone when its files go.
pub(crate) struct Lab {
    _worker: Option<Process>,
    pub(crate) api: Process,
    pub(crate) client: Client,
    pub(crate) site: Site,
}

impl Lab {
    /// An API that knows these APIs from the catalog of a worker that does not run.
    pub(crate) fn with(apis: &[Value]) -> Self {
        Self::on(Site::new(), apis)
    }

    /// The same on a site with settings.
    pub(crate) fn on(site: Site, apis: &[Value]) -> Self {
        publish(&site, "app1", apis);
        Self::start(site)
    }

    /// An API on a site as it is.
    pub(crate) fn start(site: Site) -> Self {
        let api = site.api();
        Lab {
            _worker: None,
            client: api.client(),
            api,
            site,
        }
    }

    /// An API and a worker, whose apps the API knows.
    pub(crate) fn with_worker(site: Site) -> Self {
        let worker = site.worker();
        Lab {
            _worker: Some(worker),
            ..Self::start(site)
        }
    }

    /// Asks the API to end in order, and waits for it.
    #[track_caller]
    pub(crate) fn end_api(&mut self) {
        self.api.signal(Signal::TERM);
        assert_eq!(self.api.wait(PATIENCE).code(), Some(0));
    }

    /// The names in a folder of the shared folder, in order.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.site.shared(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// The requests that stand in the folder, in order, half ones included.
    pub(crate) fn requests(&self) -> Vec<String> {
        let names = self.names("request").into_iter();
        names.filter(|name| !name.contains("status")).collect()
    }

    /// The text of a file of the shared folder.
    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.site.shared(name)).unwrap()
    }

    /// The params of a job's request file, to the letter.
    #[track_caller]
    pub(crate) fn params(&self, uuid: &Value) -> String {
        let text = self.read(&format!("request/{}.json", uuid.as_str().unwrap()));
        let (_, params) = text.split_once("\"params\":").unwrap();
        params.strip_suffix('}').unwrap().to_owned()
    }

    /// Takes the lock of the queue, as another process would; it is released with the file.
    pub(crate) fn lock(&self) -> File {
        let path = self.site.shared("request/status.json.lock");
        let file = File::options().read(true).write(true).open(path).unwrap();
        file.lock().unwrap();
        file
    }
}

/// A site whose worker has run one job of the API `app` with this script.
pub(crate) struct Ran {
    pub(crate) lab: Lab,
    pub(crate) uuid: String,
}

impl Ran {
    /// Runs the script on `{}`, and waits for its end.
    #[track_caller]
    pub(crate) fn script(main: &str) -> Self {
        let site = Site::new();
        site.app("app", main);
        let lab = Lab::with_worker(site);
        let uuid = lab.client.submit("app", "{}");
        lab.client.until_ended(&uuid, PATIENCE);
        Ran { lab, uuid }
    }

    /// Runs a script that prints this text.
    #[track_caller]
    pub(crate) fn printing(text: &str) -> Self {
        let ran = Self::script(&format!("import sys\nsys.stdout.write({text:?})\n"));
        assert_eq!(ran.lab.client.job(&ran.uuid)["status"], "done");
        ran
    }

    /// The URL of the job's result.
    pub(crate) fn result(&self) -> String {
        format!("/api/v1/jobs/{}/result", self.uuid)
    }
}

/// Writes the catalog of a worker that does not run.
pub(crate) fn publish(site: &Site, worker: &str, apis: &[Value]) {
    let catalog = json!({"version": 1, "apis": apis});
    site.put(
        &format!("data/shared/bcrlapi/catalog/{worker}.json"),
        &catalog.to_string(),
    );
}

/// An API as a catalog shows it, which takes any body.
pub(crate) fn open(name: &str) -> Value {
    json!({"name": name, "label": {"ja": format!("{name}のAPI"), "en": format!("The API {name}")}})
}

/// An API that adds two numbers, with a URL of its own.
pub(crate) fn add() -> Value {
    let mut api = open("add");
    api["routes"] = json!([{"method": "POST", "pattern": "/api/v1/add/{num1}/{num2}"}]);
    api["schema"] = json!({
        "type": "object", "additionalProperties": false, "required": ["num1", "num2"],
        "properties": {
            "num1": {"type": "number", "minimum": -1e300, "maximum": 1e300},
            "num2": {"type": "number", "minimum": -1e300, "maximum": 1e300},
        },
    });
    api
}

/// Checks that an answer is this problem, told as RFC 9457 and the repository's own rules want it.
#[track_caller]
pub(crate) fn assert_problem(answer: &Answer, status: u16, name: &str) -> Value {
    assert_eq!(
        (
            answer.status,
            answer.header("content-type").unwrap_or_default()
        ),
        (status, "application/problem+json"),
        "{name} is due: {}",
        answer.text()
    );
    let problem = answer.json();
    assert_eq!(problem["type"], format!("/problems/{name}"));
    assert_eq!(problem["status"], status);
    for member in ["title", "detail"] {
        let text = problem[member].as_str().unwrap();
        assert!(!text.is_empty() && text.len() < 500, "{member}: {text}");
    }
    let id = answer.header("x-request-id").unwrap();
    assert_eq!(problem["instance"], format!("urn:uuid:{id}"));
    assert_no_null(&problem);
    let text = answer.text();
    assert!(
        !text.contains("/bcrlapi"),
        "it names a server's path: {text}"
    );
    problem
}

/// Checks a 422, and returns where its errors point to, in order.
#[track_caller]
pub(crate) fn pointers(answer: &Answer) -> Vec<String> {
    let problem = assert_problem(answer, 422, "validation-failed");
    let errors = problem["errors"].as_array().unwrap();
    for error in errors {
        let detail = error["detail"].as_str().unwrap();
        assert!((1..=200).contains(&detail.chars().count()), "{detail}");
    }
    let pointers = errors
        .iter()
        .map(|error| error["pointer"].as_str().unwrap().to_owned());
    let mut pointers: Vec<_> = pointers.collect();
    pointers.sort();
    pointers
}

/// What does not apply is left out.
#[track_caller]
pub(crate) fn assert_no_null(value: &Value) {
    match value {
        Value::Null => panic!("a member is null"),
        Value::Array(items) => items.iter().for_each(assert_no_null),
        Value::Object(members) => members.values().for_each(assert_no_null),
        _ => {}
    }
}

/// Opens a connection, for what no HTTP library would send.
pub(crate) fn connect(api: &Process) -> TcpStream {
    let stream = TcpStream::connect(api.url().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends these bytes on a connection of their own, and reads until the server closes it.
#[track_caller]
pub(crate) fn raw(api: &Process, bytes: impl AsRef<[u8]>) -> Answer {
    let mut stream = connect(api);
    // Where the server has heard enough it closes, and the rest is not taken any more.
    let _ = stream.write_all(bytes.as_ref());
    let text = read_to_end(&mut stream);
    let _ = stream.shutdown(Shutdown::Both);
    parse(&text)
}

/// Reads until the server closes the connection.
#[track_caller]
pub(crate) fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut text = Vec::new();
    match stream.read_to_end(&mut text) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the connection stays open: {error}"),
    }
    text
}

/// The head of a request, with an empty line behind it.
pub(crate) fn head(request: &str, headers: &[&str]) -> String {
    let mut head = format!("{request} HTTP/1.1\r\nHost: bcrl\r\n");
    for header in headers {
        head.push_str(&format!("{header}\r\n"));
    }
    head + "\r\n"
}

/// Reads an answer.
#[track_caller]
pub(crate) fn parse(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(bytes)));
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers: BTreeMap<_, _> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    Answer {
        status: status.parse().unwrap(),
        headers,
        body: bytes[end + 4..].to_vec(),
    }
}
