//! Secrets that sign webhooks: read once, shown nowhere.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Serialize, Serializer};

use crate::run::Unmet;

/// How a secret begins (Standard Webhooks 1.0.0).
const PREFIX: &str = "whsec_";
/// Least and most bytes that a secret has (Standard Webhooks 1.0.0).
const LEAST: usize = 24;
const MOST: usize = 64;
/// The bits of a file's mode by which others than owner and group may use it.
const OTHERS: u32 = 0o007;

/// A secret that webhooks are signed with, written as `whsec_` and base64.
#[derive(Debug, Clone)]
pub struct Secret(SecretSlice<u8>);

/// A text that is no secret. What it says instead is nobody's business.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "that is no secret: whsec_ and 24 to 64 bytes in base64 are due, such as bcrl webhooks secret prints"
)]
pub struct NoSecret;

impl Secret {
    /// Its bytes, to sign with.
    pub fn bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// Reads a file that holds one; others who may read it as well are warned about.
    ///
    /// # Errors
    /// [`Unmet`] where it cannot be read, or holds something else.
    pub fn read(path: &Path) -> Result<Secret, Unmet> {
        let shown = path.display();
        let trouble = |error| {
            Unmet(format!(
                "webhook.secret_files: {shown} cannot be read: {error}"
            ))
        };
        let mode = std::fs::metadata(path)
            .map_err(trouble)?
            .permissions()
            .mode();
        let text = std::fs::read_to_string(path).map_err(trouble)?;
        if mode & OTHERS != 0 {
            tracing::warn!(file = %shown, mode = format!("{:o}", mode & 0o777), "others can read a secret's file; take that away with chmod o=");
        }
        let secret = text.trim().parse();
        secret.map_err(|error: NoSecret| Unmet(format!("webhook.secret_files: {shown}: {error}")))
    }

    /// How these bytes are written as a secret.
    pub fn text_of(bytes: &[u8]) -> String {
        format!("{PREFIX}{}", STANDARD.encode(bytes))
    }
}

impl FromStr for Secret {
    type Err = NoSecret;

    fn from_str(text: &str) -> Result<Self, NoSecret> {
        let text = text.strip_prefix(PREFIX).ok_or(NoSecret)?;
        let bytes = STANDARD.decode(text).map_err(|_| NoSecret)?;
        match bytes.len() {
            LEAST..=MOST => Ok(Secret(bytes.into())),
            _ => Err(NoSecret),
        }
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_24_to_64_bytes_and_is_shown_nowhere() {
        for length in [24, 32, 64] {
            let text = Secret::text_of(&vec![7; length]);
            let secret: Secret = text.parse().unwrap();
            assert_eq!(secret.bytes(), vec![7; length]);
            let shown = format!("{secret} {secret:?} {}", serde_json::json!(secret));
            assert!(
                !shown.contains(&text[6..]) && !shown.contains('7'),
                "{shown}"
            );
        }
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("secret");
        std::fs::write(&file, format!("{}\n", Secret::text_of(&[7; 24]))).unwrap();
        assert_eq!(Secret::read(&file).unwrap().bytes(), [7; 24]);
        std::fs::write(&file, "whsec_hush").unwrap();
        for path in [&file, &home.path().join("none")] {
            let error = Secret::read(path).unwrap_err().to_string();
            assert!(
                error.contains("secret") && !error.contains("hush"),
                "{error}"
            );
        }
        let short = Secret::text_of(&[7; 23]);
        let long = Secret::text_of(&[7; 65]);
        let bare = Secret::text_of(&[7; 24])[6..].to_owned();
        for none in ["", "whsec_", "whsec_!!!!", &short, &long, &bare] {
            assert_eq!(none.parse::<Secret>(), Err(NoSecret), "{none}");
        }
    }
}
