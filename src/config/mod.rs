//! YAML -> checked [`Config`]; every fault at once, each with file, line, column and an excerpt.

mod model;

pub use model::{AgentSettings, Config, RecordSettings, Target, Warning, Witness};
