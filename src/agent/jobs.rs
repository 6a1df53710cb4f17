//! What is probed.

use std::sync::Arc;

use crate::config::Config;
use crate::decision::Endpoint;
use crate::probe::{Job, JobKey};

/// Everything that is probed.
pub(super) fn jobs(config: &Config) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (id, target) in &config.targets {
        for (check_id, (check, _)) in &target.checks {
            for place in &target.places {
                let endpoint =
                    Endpoint { target: id.clone(), check: check_id.clone(), address: place.clone() };
                let key = JobKey::Endpoint(endpoint);
                jobs.push(Job { key, place: place.clone(), check: Arc::clone(check) });
            }
        }
    }
    for (id, witness) in &config.agent.witnesses {
        let key = JobKey::Witness(id.clone());
        jobs.push(Job { key, place: witness.address.into(), check: Arc::clone(&witness.check) });
    }
    jobs
}
