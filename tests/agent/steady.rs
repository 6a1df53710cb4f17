//! Nothing happens for a day.

use failover::store::DeliveryFilter;
use providers::mock::Call;

use crate::stage::{Kept, Stage, TORONTO};

const HOUR: u64 = 3600;

#[tokio::test(start_paused = true)]
async fn a_quiet_day_writes_nothing_tells_nothing_and_grows_nothing() {
    let stage = Stage::new().await;
    stage.start_and_settle().await;
    stage.pass(HOUR).await;
    let Kept::Store(store) = &stage.kept else { unreachable!("a stage keeps a store") };
    let (events, reads, asked) = (rows(store).await, stage.calls(Call::Read), stage.nameservers.asked());
    stage.pass(23 * HOUR).await;
    assert_eq!((stage.writes(), stage.calls(Call::Swap), stage.www().as_str()), (0, 0, TORONTO));
    assert_eq!(stage.kinds(), ["agent.started"]);
    assert_eq!(rows(store).await, events, "the store has not grown");
    let (reads, asked) = (stage.calls(Call::Read) - reads, stage.nameservers.asked() - asked);
    assert!(reads <= 23 * 121, "{reads} readings, one in 30 s is enough");
    assert!(asked <= 23 * 242, "{asked} questions to two servers");
    assert_eq!(stage.calls(Call::Zone), 1);
    for address in ["203.0.113.10", "198.51.100.5", "192.0.2.1"] {
        let probes = stage.hosts.probes(&address.parse().unwrap());
        assert!((8500..8800).contains(&probes), "{address}: {probes} probes in a day");
    }
    stage.check();
}

async fn rows(store: &failover::store::Store) -> (usize, usize) {
    let events = store.events(None, 10_000).await.unwrap().len();
    (events, store.deliveries(DeliveryFilter::default(), 10_000).await.unwrap().len())
}
