//! A person's orders: to the running agent, and, where none runs, into the state file for the next one.

use std::time::Duration;

use super::event_loop::Agent;
use super::restore::{override_row, overrides};
use crate::api::{Ordered, OverrideRequest, Source};
use crate::clock::Clock;
use crate::config::Config;
use crate::decision::{
    Event, EventKind, Input, Now, Order, OverrideFault, OverrideKey, Recorded, plain_name, tell_ended,
    tell_set,
};
use crate::store::{Batch, LockError, LockRole, StateLock, Store, StoreError};

/// How long an order waits for a run that holds the state.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// What follows where nobody acts on it yet.
const LATER: &str = "the next `failover once` or `failover run` obeys it";

/// Why an order could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// It is no proper order.
    #[error(transparent)]
    Fault(#[from] OverrideFault),
    /// Somebody uses the state.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The state cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Agent {
    /// Puts an override into force. It is kept when this returns, or the answer says that it is not.
    pub(super) async fn order(&mut self, request: &OverrideRequest) -> Result<Ordered, OverrideFault> {
        let now = self.clock.now();
        let order = request.order(&now)?;
        self.decision.may_set(&order)?;
        let (key, report) = (order.key(), order.report(&now));
        self.take(vec![Input::Override(Order::Set(order))]).await;
        Ok(Ordered {
            source: Source::Agent,
            in_force: true,
            order: report,
            consequences: self.decision.consequences(&now, &key),
            state_trouble: self.ledger.trouble().map(str::to_owned),
        })
    }

    /// Ends an override.
    pub(super) async fn end_order(&mut self, key: OverrideKey, by: &str) -> Result<Ordered, OverrideFault> {
        let now = self.clock.now();
        let by = plain_name(by)?;
        let report = self.decision.may_clear(now.moment, &key)?.report(&now);
        self.take(vec![Input::Override(Order::Clear { key: key.clone(), by })]).await;
        Ok(Ordered {
            source: Source::Agent,
            in_force: false,
            order: report,
            consequences: self.decision.consequences(&now, &key),
            state_trouble: self.ledger.trouble().map(str::to_owned),
        })
    }
}

/// Keeps an override in the state file, for the next run: to be called where no agent answers.
///
/// # Errors
/// [`OrderError`]; nothing was kept then.
pub async fn keep_order(
    config: &Config,
    clock: &dyn Clock,
    request: &OverrideRequest,
) -> Result<Ordered, OrderError> {
    let (store, _lock) = open(config).await?;
    let now = clock.now();
    let order = request.order(&now)?;
    order.what.check(&config.policy())?;
    let kept = overrides(store.load(None, now.wall).await?.overrides, &now);
    kept.has_room(&order.key())?;
    let row = Some(override_row(&order, &now));
    keep(config, &store, &now, (order.key(), row), tell_set(&now, &order)).await?;
    let order = order.report(&now);
    Ok(Ordered {
        source: Source::State,
        in_force: true,
        order,
        consequences: Vec::new(),
        state_trouble: None,
    })
}

/// Ends an override in the state file: to be called where no agent answers.
///
/// # Errors
/// [`OrderError`]; nothing was changed then.
pub async fn drop_order(
    config: &Config,
    clock: &dyn Clock,
    key: &OverrideKey,
    by: &str,
) -> Result<Ordered, OrderError> {
    let (store, _lock) = open(config).await?;
    let now = clock.now();
    let by = plain_name(by)?;
    let kept = overrides(store.load(None, now.wall).await?.overrides, &now);
    let ended = kept.may_clear(now.moment, key)?;
    let event = tell_ended(&now, EventKind::OverrideCleared, ended, &format!("was ended by {by}"));
    keep(config, &store, &now, (key.clone(), None), event).await?;
    let order = ended.report(&now);
    Ok(Ordered {
        source: Source::State,
        in_force: false,
        order,
        consequences: Vec::new(),
        state_trouble: None,
    })
}

async fn open(config: &Config) -> Result<(Store, StateLock), OrderError> {
    let lock = StateLock::acquire(&config.agent.state, LockRole::Order, LOCK_WAIT).await?;
    Ok((Store::open(&config.agent.state)?, lock))
}

/// The override and what is told of it, in one transaction; the next run delivers the messages.
async fn keep(
    config: &Config,
    store: &Store,
    now: &Now,
    change: (OverrideKey, Option<crate::store::OverrideRow>),
    mut event: Event,
) -> Result<(), StoreError> {
    event.next = Some(LATER.into());
    let channels = config.notify.channels_for(event.kind, event.severity);
    let subject = change.0.to_string().replace(['.', '/'], "-");
    let id = format!("evt-{}-{subject}", now.wall.as_microsecond());
    let recorded = Recorded { id, agent: config.agent.id.clone(), event };
    store
        .commit(Batch { overrides: vec![change], events: vec![(recorded, channels)], ..Batch::default() })
        .await
}
