//! `bcrl-worker new NAME`: an app folder to start from. It works as it is.

use std::path::Path;

use anyhow::{Context, bail};
use job_core::ids::ApiName;

use super::say;

const MAIN: &str = r#"#!/usr/bin/env python3
"""Reads the request from stdin, prints one JSON document to stdout."""

import json
import os
import sys


def progress(percent: float, message: str) -> None:
    """Shows the caller how far the job is."""
    path = os.environ.get("BCRL_PROGRESS")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"percent": percent, "message": message}) + "\n")


def main() -> None:
    request = json.load(sys.stdin)
    values = request["values"]
    total = 0.0
    for n, value in enumerate(values, start=1):
        total += value
        progress(100 * n / len(values), f"{n} of {len(values)}")
    print("what goes to stderr is the job's log", file=sys.stderr)
    print(json.dumps({"sum": total, "mean": total / len(values)}))


if __name__ == "__main__":
    main()
"#;

const MANIFEST: &str = r#"# Everything here is optional; see the README beside the apps.
label       = { ja = "NAME", en = "NAME" }
description = "Sum and mean of some numbers."
timeout     = "10m"
"#;

const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "properties": {
    "values": {
      "description": "The numbers.",
      "type": "array",
      "items": { "type": "number" },
      "minItems": 1
    }
  },
  "required": ["values"],
  "additionalProperties": false
}
"#;

const EXAMPLE: &str = "{\"values\": [1, 2, 3.5]}\n";

/// Makes the folder.
///
/// # Errors
/// Where there is one already, or it cannot be made.
pub fn new(apps_dir: &Path, name: &ApiName) -> anyhow::Result<()> {
    let folder = apps_dir.join(name.as_str());
    if folder.exists() {
        bail!("{} is there already", folder.display());
    }
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("make folder {}", folder.display()))?;
    // main.py comes last: until then nobody offers the folder half-way.
    let files = [
        ("api.toml", MANIFEST.replace("NAME", name.as_str())),
        ("request.schema.json", SCHEMA.into()),
        ("example.json", EXAMPLE.into()),
        ("main.py", MAIN.into()),
    ];
    for (file, text) in files {
        let path = folder.join(file);
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    say(format_args!(
        "made {}; try it: bcrl-worker try {name}",
        folder.display()
    ));
    Ok(())
}
