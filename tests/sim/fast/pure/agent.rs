//! What of `src/agent` is pure.

#[path = "../../../../src/agent/agenda.rs"]
mod agenda;
#[path = "../../../../src/agent/backlog.rs"]
mod backlog;
#[path = "../../../../src/agent/books.rs"]
mod books;
#[path = "../../../../src/agent/restore.rs"]
mod restore;

pub use agenda::{Agenda, Ask, Desk, Scribe, whole};
pub use books::{Books, Entry, Told};
pub use restore::saved;
