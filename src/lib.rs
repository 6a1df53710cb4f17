//! `failover` watches a primary host and its stand-bys and keeps DNS pointing at one that works.

pub mod agent;
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod decision;
pub mod lab;
pub mod live;
pub mod notify;
pub mod probe;
pub mod store;
