//! The vendors against real servers, which the tests start on loopback (see `testkit`).
//!
//! | room | what |
//! |---|---|
//! | `suite` | the conformance suite on BIND, Knot and PowerDNS (by DNS UPDATE and by HTTP) |
//! | `update` | what is special about DNS UPDATE: keys, clocks, wrong zones, lost replies |
//! | `http` | what is special about the PowerDNS API: comments, disabled records, broken answers |
//! | `transfer` | many names by one transfer of the zone, and what is none |
//! | `permission` | whether a swap would be allowed, asked without making one; the servers' clocks |
//! | `fake` | servers that misbehave, for both |

mod fake;
mod http;
mod permission;
mod replies;
mod suite;
mod transfer;
mod update;
