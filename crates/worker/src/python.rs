//! The interpreter that runs scripts, found once: a version manager's shim would cost a tenth of a second each time.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The interpreter.
#[derive(Debug, Clone)]
pub struct Interpreter {
    /// The program itself, behind all shims; where it was not found, what was set.
    pub path: PathBuf,
    /// Its version, such as `3.11.7`, where it was found.
    pub version: Option<String>,
    /// Why scripts without a `.venv` cannot run, where they cannot.
    pub problem: Option<String>,
}

/// Asks the interpreter that was set where it really is.
pub fn find(set: &Path) -> Interpreter {
    let ask = "import sys; print(sys.executable); print('.'.join(map(str, sys.version_info[:3])))";
    let answer = Command::new(set)
        .args(["-c", ask])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let problem = |why: String| Interpreter {
        path: set.to_owned(),
        version: None,
        problem: Some(format!("worker.python {}: {why}", set.display())),
    };
    let output = match answer {
        Ok(output) if output.status.success() => output,
        Ok(output) => return problem(format!("it ended with {}", output.status)),
        Err(error) => return problem(error.to_string()),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().collect::<Vec<_>>()[..] {
        [path, version] if !path.is_empty() => Interpreter {
            path: path.into(),
            version: Some(version.into()),
            problem: None,
        },
        _ => problem("it does not say where it is".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::find;
    use std::path::Path;

    #[test]
    fn the_interpreter_is_found_behind_its_name() {
        let found = find(Path::new("python3"));
        assert!(
            found.path.is_absolute() && found.problem.is_none(),
            "{found:?}"
        );
        assert!(found.version.unwrap().starts_with("3."));
    }

    #[test]
    fn a_missing_interpreter_is_a_problem_with_a_name() {
        let found = find(Path::new("/no/such/python"));
        assert!(
            found
                .problem
                .unwrap()
                .starts_with("worker.python /no/such/python: ")
        );
    }
}
