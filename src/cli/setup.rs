//! What most commands begin with: the configuration, the log, a runtime.

use std::io::IsTerminal;
use std::sync::Arc;

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

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
    let filter = EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
    // What a library says of itself is no news to an operator unless asked for.
    let filter = if std::env::var_os("RUST_LOG").is_none() {
        [
            "hickory_server=error",
            "rustls_platform_verifier=off",
            "hickory_proto=error",
            "hickory_net=error",
            "hickory_resolver=error",
        ]
        .into_iter()
        .filter_map(|directive| directive.parse().ok())
        .fold(filter, EnvFilter::add_directive)
    } else {
        filter
    };
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let text = global.log_format.map_or(terminal, |format| format == LogFormat::Text);
    // A second start, in tests, changes nothing.
    let _ = if text {
        builder.with_ansi(coloured(global, terminal)).try_init()
    } else {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    };
}

/// Runs `work` on a runtime of one thread: the agent waits, it does not compute.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> T {
    // reqwest asks for the process's crypto provider; the first one installed stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
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
