# `just` lists what there is. Each recipe is one or two commands: read them here and type them where there is no `just`.

_default:
    @just --list --unsorted

# Format everything
fmt:
    cargo fmt --all

# Formatting and clippy, as the pipeline sees them
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# Every test, or those whose name contains `name` (the real-server suites need the DNS servers: `just ci` installs them)
test name="":
    cargo test --workspace {{name}}

# One fuzz target for so many seconds (docs/verification.md lists them); needs no nightly
fuzz target seconds="120":
    fuzz/run {{target}} {{seconds}}

# The documentation, without warnings
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Banned crates, licences, sources
deny:
    cargo deny check bans licenses sources

# Known security advisories (needs a network); UPDATE=1 records the check
advisories:
    tests/advisories

# The program for others, with the list of what is in it inside it (cargo install cargo-auditable)
release:
    cargo auditable build --release --locked

# One schedule of the simulation, told as a story (`just sim 4711`)
sim seed:
    SIM_SEED={{seed}} cargo test --quiet -p failover-sim --test sim a_seed_is_one_story -- --nocapture

# An outage of the example configuration, played on this machine
rehearse *args:
    cargo run --quiet -- --config failover.example.yaml rehearse {{args}}

# All of it, exactly as the pipeline runs it
ci:
    tests/run

# Is there a test that notices each small change of the judgement? (`just mutants --file guard`, `--sample 100 SEED`)
mutants *args:
    tests/mutants/run {{args}}

# Two agents that see opposite things, against one BIND, with and without a marker (ten minutes unless told otherwise)
opposite seconds="600":
    cargo build --quiet --bin failover
    tests/opposite.py {{seconds}}
