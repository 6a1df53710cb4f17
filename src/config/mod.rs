//! YAML -> checked [`Config`]; every fault at once, each with file, line, column and an excerpt.
//!
//! ```text
//! text --yaml--> tree with places --interpolate--> ${...} resolved --merge--> one tree --document--> Config
//!                      every step notes its faults in the Context and goes on --> ConfigErrors
//! ```
//!
//! | file | what is there |
//! |---|---|
//! | `load`, `files` | finding and reading files, the order of the steps |
//! | `limits` | the most there may be of anything |
//! | `yaml`, `tree`, `source` | the parser (the only use of a YAML crate), values with their places, lines and columns |
//! | `interpolate`, `merge` | references in values; a folder of files read as one |
//! | `keys` | every key, by mapping, of this version with its form, and of later ones |
//! | `schema`, `show` | a JSON Schema made of them; the effective configuration, secrets masked |
//! | `read`, `scalar`, `names` | reading keys, values and names, noting what is wrong |
//! | `agent`, `checks`, `targets`, `providers`, `records`, `channels` | one section each |
//! | `document`, `doubts` | the sections together; what only the whole shows, and what is doubtful in it |
//! | `marks`, `watch` | which parts of two configurations are the same; whether files changed |
//! | `context`, `fault`, `excerpt`, `secret` | collecting faults, showing them, and what must never be shown |
//!
//! Deliberately absent: serde for these types. It stops at the first fault, and `tag`, `flatten` and `untagged`
//! lose the place of what they read. A key that is not of this version is refused, never ignored.

mod agent;
mod aliases;
mod channels;
mod checks;
mod context;
mod document;
mod doubts;
mod excerpt;
mod fault;
mod files;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod interpolate;
mod keys;
mod limits;
mod load;
mod marks;
mod merge;
mod model;
mod names;
mod providers;
mod read;
mod records;
mod scalar;
mod schema;
mod secret;
mod show;
mod source;
mod targets;
mod tree;
mod watch;
mod yaml;

pub(crate) use fault::wrapped as wrapped_at;
pub use fault::{ConfigErrors, Finding, render_warnings};
pub use load::Loading;
pub use marks::Marks;
pub use model::{AgentSettings, Config, RecordSettings, Target, Witness};
pub use show::Effective;
pub use watch::Prints;
