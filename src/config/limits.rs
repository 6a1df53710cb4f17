//! The most there may be of anything: a bound on every input, far above what a working configuration needs.
//!
//! docs/configuration.md lists them.

/// A file, bytes.
pub(super) const FILE: u64 = 8 * 1024 * 1024;
/// All files together, bytes.
pub(super) const TOTAL: u64 = 16 * 1024 * 1024;
/// Files of a folder.
pub(super) const FILES: usize = 256;
/// Levels of lists and mappings.
pub(super) const DEPTH: usize = 32;
/// Values in all files together; 100,000 targets, a line each, have 700,000.
pub(super) const VALUES: usize = 2_000_000;
/// Values that the aliases of a file stand for, all together (a "billion laughs" document stops here).
pub(super) const ALIASED: usize = 50_000;
/// A key, bytes.
pub(super) const KEY: usize = 256;
/// A single value, bytes, its references resolved.
pub(super) const TEXT: usize = 64 * 1024;
/// Records: one agent manages no more.
pub(super) const RECORDS: usize = 10_000;
/// Targets.
pub(super) const TARGETS: usize = 100_000;
/// Checks.
pub(super) const CHECKS: usize = 1_000;
/// Addresses of all targets times their checks: what one agent probes. Both families of 100,000 targets.
pub(super) const PROBES: usize = 200_000;
/// Providers.
pub(super) const PROVIDERS: usize = 100;
/// Channels.
pub(super) const CHANNELS: usize = 100;
/// Routes.
pub(super) const ROUTES: usize = 1_000;
/// Events of a route.
pub(super) const EVENTS: usize = 64;
/// Targets of a record.
pub(super) const TARGETS_OF_RECORD: usize = 256;
/// Addresses of a target: each is probed by each check.
pub(super) const ADDRESSES: usize = 64;
/// Checks of a target.
pub(super) const CHECKS_OF_TARGET: usize = 16;
/// Name servers of a record that are asked.
pub(super) const NAMESERVERS: usize = 32;
/// Values of others that a record may take over.
pub(super) const ADOPTED: usize = 256;
/// Resolvers: more of them are never asked in the time of a probe.
pub(super) const RESOLVERS: usize = 8;
/// Witnesses: more of them say no more.
pub(super) const WITNESSES: usize = 16;
/// Headers of a check.
pub(super) const HEADERS: usize = 64;
/// Status codes and ranges of a check.
pub(super) const STATUSES: usize = 64;
/// Parts of a command.
pub(super) const ARGUMENTS: usize = 64;
/// Signing secrets of a channel.
pub(super) const SECRETS: usize = 8;
