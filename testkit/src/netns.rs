//! Two hosts with a wire between them.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::process::{Guard, servers_folder};

/// Two network namespaces (`tests/servers/netns.sh`): the agent's with 198.18.0.1, and the other one, where everything
/// else is, with 198.18.0.2 and 198.18.0.10 to 19. They vanish with this value. Needs root.
pub struct Hosts {
    name: String,
    _guard: Guard,
}

impl Hosts {
    /// Makes them; panics where that is not allowed.
    pub fn start() -> Hosts {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("fo{}x{count}", std::process::id());
        let script = servers_folder().join("netns.sh");
        let guard = Guard::new(r#""$1" down "$2""#, &[script.as_os_str(), OsStr::new(&name)]);
        let hosts = Hosts { name, _guard: guard };
        hosts.set(&["up"]);
        hosts
    }

    /// Does something to the wire, as the head of `netns.sh` lists it: `["drop", "198.18.0.10"]`, `["linkdown"]`.
    pub fn set(&self, what: &[&str]) {
        let (verb, rest) = what.split_first().expect("a verb");
        let output = Command::new(servers_folder().join("netns.sh"))
            .args([verb, self.name.as_str()])
            .args(rest)
            .output()
            .expect("bash is there");
        assert!(
            output.status.success(),
            "network namespaces (netns.sh {what:?}) need root, CAP_SYS_ADMIN, iproute2 and nftables: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// The words that must stand before a command to run it on the agent's host.
    pub fn here(&self) -> Vec<String> {
        self.enter("a")
    }

    /// The words that must stand before a command to run it on the other host.
    pub fn there(&self) -> Vec<String> {
        self.enter("b")
    }

    fn enter(&self, side: &str) -> Vec<String> {
        ["ip", "netns", "exec", &format!("{}-{side}", self.name)].map(ToOwned::to_owned).into()
    }
}
