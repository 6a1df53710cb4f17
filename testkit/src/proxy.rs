//! Faults on the way.

use std::net::SocketAddr;

use crate::backend::get;
use crate::ports::free_port;
use crate::process::Helper;

/// A TCP proxy on loopback that can be told to fail (`tests/servers/faultproxy.py`).
pub struct FaultProxy {
    address: SocketAddr,
    admin: SocketAddr,
    _helper: Helper,
}

impl FaultProxy {
    /// A proxy in front of `upstream`, without faults at first.
    pub fn start(upstream: SocketAddr) -> FaultProxy {
        let (port, admin) = (free_port(), free_port());
        let route = format!("p={port}:{}:{}", upstream.ip(), upstream.port());
        let helper = Helper::python("faultproxy.py", &["--admin".into(), admin.to_string(), route]);
        let local = |port| ([127, 0, 0, 1], port).into();
        FaultProxy { address: local(port), admin: local(admin), _helper: helper }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets faults as the head of `faultproxy.py` lists them: `mode=half` (requests go through, answers are
    /// swallowed), `mode=blackhole`, `mode=down`, `latency=200`, `kill=1` ...
    pub fn set(&self, faults: &str) {
        let (status, body) = get(self.admin, &format!("/set?proxy=p&{faults}"));
        assert_eq!(status, 200, "faultproxy: {body}");
    }
}
