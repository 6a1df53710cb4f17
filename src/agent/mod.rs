//! The one event loop. It hands the time and every result to the decision, and does what the decision asks.
//! It makes no choices of its own.

mod agenda;
mod assemble;
mod backlog;
mod books;
mod differences;
mod effects;
mod event_loop;
mod jobs;
mod ledger;
mod log;
mod lookout;
mod orders;
mod reload;
mod reloader;
mod restore;
mod round;
mod servers;
mod systemd;
mod turn;
mod world;
mod zones;

pub use agenda::{Agenda, Ask, Desk, Scribe, whole};
pub use assemble::{AssembleError, assemble, assemble_dry};
pub use books::{Books, Entry, Told};
pub use event_loop::{Agent, Ending, Mode, StartError};
pub use orders::{OrderError, drop_order, keep_order};
pub use reload::{Fresh, Refused, Reload};
pub use reloader::Reloader;
pub use restore::{overrides as kept_overrides, saved};
pub use world::{Hands, State, World};
