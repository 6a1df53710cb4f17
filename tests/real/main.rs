//! The program itself against real servers: `failover run`, `once` and `plan` as processes of their own, over `PowerDNS`
//! (by HTTP and by DNS UPDATE), BIND and Knot, with HTTP targets that fail on command and a chat that remembers.
//!
//! What was written is asked of the DNS server: its zone's serial grows by one with each write, whoever made it.
//! What was published is asked with DNS questions of our own. What was told is what the chat received.
//!
//! A story is played on all four providers side by side ([`stage::on_each`]): they mostly wait.

mod agent;
mod alias;
mod arrival;
mod by_hand;
mod credentials;
mod doctor;
mod edit;
mod families;
mod foreign;
mod grants;
mod health;
mod once;
mod outage;
mod outage_of_provider;
mod plan;
mod relay;
mod stage;
mod zone;
