//! What most commands begin with: the configuration, the log, a runtime.

use std::io::IsTerminal;
use std::sync::Arc;

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::{Colour, Exit, Global, LogFormat};
use crate::config::{Config, ConfigErrors};
use crate::probe::MOST_DESCRIPTORS;

/// Keeps what is in memory and environment, secrets among it, out of core files, and from other programs of the same
/// account: checks of kind `exec` run under it (prctl(2), `PR_SET_DUMPABLE`). They are not affected themselves: `execve`
/// resets it. Who wants to debug the agent needs `CAP_SYS_PTRACE`.
pub(super) fn keep_memory_private() {
    // A kernel that does not know it refuses; the work goes on.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Takes as many descriptors as this process may have: each probe under way needs one, and the usual limit of 1024 is there
/// for programs that use select(2) (systemd.exec(5), `LimitNOFILE=`).
pub(super) fn take_descriptors() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Not a billion, which some containers allow: there are programs that close each number up to the limit.
    let wanted = maximum.unwrap_or(u64::MAX).min(MOST_DESCRIPTORS);
    if current.is_some_and(|current| current < wanted) {
        // A sandbox may refuse it; then what there is is shared out.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
}

/// Loads the configuration and prints what is wrong with it.
pub(super) fn load(global: &Global) -> Result<Arc<Config>, Exit> {
    let config = Config::find(global.config.as_deref())
        .and_then(|path| Config::load(&path, &|name| std::env::var(name).ok()))
        .map_err(|errors| complain(global, &errors))?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    Ok(Arc::new(config))
}

/// Prints what is wrong with the configuration, for a person.
pub(super) fn complain(global: &Global, errors: &ConfigErrors) -> Exit {
    eprintln!("{}", errors.render(coloured(global, std::io::stderr().is_terminal())).trim_end());
    Exit::Config
}

/// Is output to such a stream coloured?
pub(super) fn coloured(global: &Global, terminal: bool) -> bool {
    match global.color {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

/// Starts the log on standard error.
pub(super) fn log(global: &Global, usual: LevelFilter) {
    let terminal = std::io::stderr().is_terminal();
    let level = global.log_level.map_or(usual, LevelFilter::from_level);
    let said = std::env::var("RUST_LOG").unwrap_or_default();
    let registry = tracing_subscriber::registry().with(filter(level, &said));
    let layer = layer().with_writer(std::io::stderr).with_target(false);
    let text = global.log_format.map_or(terminal, |format| format == LogFormat::Text);
    // A second start, in tests, changes nothing.
    let _ = if text {
        registry.with(layer.with_ansi(coloured(global, terminal))).try_init()
    } else {
        let layer = layer.json().flatten_event(true).with_current_span(false).with_span_list(false);
        registry.with(layer).try_init()
    };
}

/// What is logged: what `RUST_LOG` says (`info,failover=debug`), else everything of this level.
fn filter(level: LevelFilter, said: &str) -> Targets {
    let parsed: Vec<Targets> = said
        .split(',')
        .map(str::trim)
        .filter(|directive| !directive.is_empty())
        .filter_map(|directive| {
            let told = |error| eprintln!("failover: RUST_LOG: `{directive}` is ignored: {error}");
            directive.parse().map_err(told).ok()
        })
        .collect();
    if !parsed.is_empty() {
        return parsed.iter().fold(Targets::new(), |all, some| {
            let all = all.with_targets(some.iter());
            some.default_level().map_or(all.clone(), |level| all.with_default(level))
        });
    }
    // What a library says of itself is no news to an operator unless asked for.
    Targets::new().with_default(level).with_targets([
        ("hickory_server", LevelFilter::ERROR),
        ("rustls_platform_verifier", LevelFilter::OFF),
        ("hickory_proto", LevelFilter::ERROR),
        ("hickory_net", LevelFilter::ERROR),
        ("hickory_resolver", LevelFilter::ERROR),
    ])
}

/// Runs `work` on a runtime of one thread: the agent waits, it does not compute.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> T {
    // reqwest asks for the process's crypto provider; the first one installed stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Longer than the minute between two times that everything is kept: an agent at rest makes no threads.
        .thread_keep_alive(std::time::Duration::from_secs(90))
        .build()
        .expect("a machine that cannot give a process one epoll descriptor runs nothing else either");
    let result = runtime.block_on(work);
    // A blocking call that hangs (a dead disk) must not hold up the exit.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    result
}

/// Prints why something did not work.
pub(super) fn fail(error: &dyn std::fmt::Display) -> Exit {
    eprintln!("failover: {error}");
    Exit::Failed
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn what_rust_log_says_is_logged_and_without_it_what_libraries_say_of_themselves_is_not() {
        for (said, target, level, logged) in [
            ("", "failover::agent", Level::INFO, true),
            ("", "failover::agent", Level::DEBUG, false),
            ("", "hickory_proto::xfer", Level::WARN, false),
            ("", "rustls_platform_verifier", Level::ERROR, false),
            ("info,failover=debug", "failover::agent", Level::DEBUG, true),
            ("info,failover=debug", "hickory_proto::xfer", Level::INFO, true),
            ("trace", "hickory_proto::xfer", Level::TRACE, true),
            ("failover::probe=debug", "failover::agent", Level::ERROR, false),
            (" warn , =!", "failover::agent", Level::WARN, true),
            ("off", "failover::agent", Level::ERROR, false),
        ] {
            let filter = filter(LevelFilter::INFO, said);
            assert_eq!(filter.would_enable(target, &level), logged, "{said:?} {target} {level}");
        }
    }
}
