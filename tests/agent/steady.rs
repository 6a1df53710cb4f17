//! Nothing happens for a day.

use std::path::Path;

use failover::store::{DeliveryFilter, Store};
use providers::mock::Call;
use rusqlite::{Connection, OpenFlags};

use crate::stage::{Kept, Stage, TORONTO, WORKSHOP};

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

async fn rows(store: &Store) -> (usize, usize) {
    let events = store.events(None, 10_000).await.unwrap().len();
    (events, store.deliveries(DeliveryFilter::default(), 10_000).await.unwrap().len())
}

/// What is kept of each minute is kept for two days, of each hour for ninety: from then on a day is worth a few rows an
/// endpoint.
#[tokio::test(start_paused = true)]
async fn the_state_file_is_as_large_after_another_day() {
    let folder = testkit::folder();
    let path = folder.path().join("failover.db");
    let calm = WORKSHOP
        .replace("interval: 10s, fast", "interval: 2m, fast")
        .replace("live_interval: 30s", "live_interval: 30m");
    let mut stage = Stage::with(&calm).await;
    stage.edit(crate::stage::WWW, &[TORONTO]);
    stage.kept = Kept::Store(Store::open(&path).unwrap());
    stage.start_and_settle().await;
    stage.pass(50 * HOUR).await;
    let (before, (minutes, hours)) = (bytes(&path), latencies(&path));
    stage.pass(24 * HOUR).await;
    assert_eq!(latencies(&path).1 - hours, 48, "an hour of each of two endpoints");
    assert!(latencies(&path).0.abs_diff(minutes) < 50, "{minutes} before, {:?} now", latencies(&path));
    // Two pages of those 48 rows, of 200 pages.
    assert!(bytes(&path).0 <= before.0 + 8192, "{before:?} before, {:?} now", bytes(&path));
    assert!(
        bytes(&path).1 < 5 << 20,
        "what is beside it is written back in time: {before:?}, {:?}",
        bytes(&path)
    );
    assert_eq!((stage.writes(), stage.kinds().as_slice()), (0, ["agent.started"].map(Into::into).as_slice()));
    stage.check();
}

/// What is used of the file, and how large is what is still beside it.
fn bytes(path: &Path) -> (i64, u64) {
    let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let number = |name: &str| file.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    let used = (number("page_count") - number("freelist_count")) * number("page_size");
    (used, std::fs::metadata(path.with_extension("db-wal")).map_or(0, |wal| wal.len()))
}

/// Rows by the minute and by the hour.
fn latencies(path: &Path) -> (i64, i64) {
    let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let of = |span: i64| {
        file.query_row("SELECT count(*) FROM latency WHERE span = ?", [span], |row| row.get(0)).unwrap()
    };
    (of(60), of(3600))
}
