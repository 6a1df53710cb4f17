//! Rehearsals: the real decision code over a stage of our own.
//!
//! ```text
//! Config --cast--> Cast: what is played, by whom, how much faster     (pure)
//!        --stage--> mock zone + DNS, listeners for targets and witnesses, a certificate authority
//!        --rehearse--> the real agent on it; targets killed and brought back; everything noted in the book
//!        --verdict--> promises kept or broken                         (pure)
//! ```
//!
//! | file | what is there |
//! |---|---|
//! | `cast`, `shorten`, `acts` | a configuration as it is played; what is shortened; who is killed when |
//! | `part`, `specimen`, `authority` | what a listener answers so that a check passes, and its certificate |
//! | `stage`, `seat` | the listeners and the world made of them |
//! | `prober`, `provider`, `sender` | the real ones (the sender: none), with a look over their shoulder |
//! | `onlooker` | real questions to the mock's DNS server, all the time |
//! | `facts`, `timeline` | what was seen, for the verdict; what is told, for people |
//! | `rehearse`, `cues` | the play, and what it waits for |
//! | `verdict`, `outcome` | the promises; the numbers |
//!
//! Invariant: nothing leaves this machine, and nothing of the user's is opened, not even the state file: the agent
//! is handed stand-ins for everything that could. Deliberately absent: `exec` checks are never run here.

mod acts;
mod authority;
mod cast;
mod cues;
mod facts;
mod onlooker;
mod outcome;
mod part;
mod prober;
mod provider;
mod recast;
mod rehearse;
mod seat;
mod sender;
mod shorten;
mod specimen;
mod stage;
mod timeline;
mod verdict;

pub use cast::{Billing, Cast};
pub use outcome::{Answers, Heard, Outcome, RecordOutcome, Turn};
pub use rehearse::{RehearseError, rehearse};
pub use shorten::{Shortened, Usual};
pub use timeline::{Entry, Kind, listed};
pub use verdict::Promise;
