//! A channel that can be sent to, and what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use super::http::HttpSender;
use super::log::LogSender;
use super::{ChannelKind, KeyError, NotifySettings, SendResult};
use crate::decision::ChannelId;
use crate::store::Delivery;

/// Sends one message to one place.
#[async_trait]
pub trait Sender: Send + Sync {
    /// Makes one attempt. It ends by itself, within some seconds; whoever calls it has a limit of its own all the same.
    ///
    /// `now` is what the wall clock shows: for signatures, and to say how late a message is.
    async fn send(&self, delivery: &Delivery, now: Timestamp) -> SendResult;
}

/// Why a channel cannot be built. The texts hold no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// The URL is none.
    #[error("channel {channel}: its url is no http or https URL")]
    Url {
        /// The channel.
        channel: ChannelId,
    },
    /// A signing secret is none.
    #[error("channel {channel}: {error}")]
    Key {
        /// The channel.
        channel: ChannelId,
        /// Why.
        error: KeyError,
    },
    /// There is no HTTP client to be had.
    #[error("no HTTP client can be made: {0}")]
    Client(String),
}

/// A sender for each channel of the settings.
///
/// # Errors
/// The first channel that cannot be built; see [`ChannelError`].
pub fn senders(settings: &NotifySettings) -> Result<BTreeMap<ChannelId, Arc<dyn Sender>>, ChannelError> {
    let mut senders: BTreeMap<ChannelId, Arc<dyn Sender>> = BTreeMap::new();
    let needs_http = |kind: &ChannelKind| !matches!(kind, ChannelKind::Log);
    let any_http = settings.channels.values().any(|channel| needs_http(&channel.kind));
    let client = any_http.then(super::http::client).transpose()?;
    for (id, channel) in &settings.channels {
        let sender: Arc<dyn Sender> = match &client {
            Some(client) if needs_http(&channel.kind) => {
                Arc::new(HttpSender::new(id, &channel.kind, client.clone())?)
            }
            _ => Arc::new(LogSender),
        };
        senders.insert(id.clone(), sender);
    }
    Ok(senders)
}
