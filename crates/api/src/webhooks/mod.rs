//! Webhooks: receivers are told that jobs have ended (Standard Webhooks 1.0.0).
//!
//! A submission names its receiver with `?webhook=URL`. Of all API servers on a folder one delivers, and whoever it is
//! finds in the folder what is to be told, whoever took the job and whoever was there when it ended.
//!
//! - [`receiver`]: which URLs are taken and which hosts are reached; [`address`]: which addresses are internal.
//! - [`message`]: what is sent, and how it is signed; [`sender`]: one try.
//! - `agenda`: what waits for which moment; `courier`: one try and its note; `deliver`: the loop around them.

pub mod address;
mod agenda;
mod courier;
mod deliver;
pub mod message;
pub mod receiver;
pub mod sender;

use boot::secret::Secret;
use boot::settings::Settings;
use chrono::TimeDelta;

pub(crate) use deliver::deliver_again_and_again;
use receiver::Receivers;

/// How webhooks are sent.
#[derive(Debug, Clone, Default)]
pub struct Webhooks {
    /// What they are signed with: by each of these. Without any, none is taken.
    pub secrets: Vec<Secret>,
    /// Whom they may reach.
    pub receivers: Receivers,
    /// How long to wait before each new try.
    pub pauses: Vec<TimeDelta>,
    /// Where clients reach the API, without a slash at its end: what the links of an event begin with.
    pub public_url: String,
}

impl Webhooks {
    /// The settings of webhooks.
    ///
    /// # Errors
    /// Where a secret's file holds none or cannot be read.
    pub fn new(settings: &Settings) -> anyhow::Result<Self> {
        let webhook = &settings.webhook;
        let mut secrets = webhook.secrets.clone();
        for path in &webhook.secret_files {
            secrets.push(Secret::read(path)?);
        }
        let pauses = webhook.pauses.iter();
        let public_url = settings.api.public_url.as_deref().unwrap_or_default();
        Ok(Webhooks {
            secrets,
            receivers: Receivers::new(webhook.allow.clone()),
            pauses: pauses
                .map(|pause| TimeDelta::from_std(*pause))
                .collect::<Result<_, _>>()?,
            public_url: public_url.trim_end_matches('/').to_owned(),
        })
    }

    /// Whether webhooks are sent at all.
    pub fn are_on(&self) -> bool {
        !self.secrets.is_empty()
    }
}
