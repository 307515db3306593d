# The verbs of this repository. CI calls these and no others.

# What `just` alone does: list the verbs.
default:
    @just --list

# Rewrite the code as rustfmt has it.
fmt:
    cargo fmt --all

# Fail where the code is not formatted.
fmt-check:
    cargo fmt --all --check

# Every lint, on every target, with warnings denied; the fuzz targets, which are no part of the workspace, too.
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo clippy --package shakedown-cluster --features conformance --test conformance --locked -- -D warnings
    cargo clippy --manifest-path fuzz/Cargo.toml --target-dir target --features shakedown --locked -- -D warnings

# The whole suite, as the README has it.
test:
    cargo test --workspace --locked

# What somebody else's repository does with us: a crate of its own, outside the workspace.
examples:
    cd examples/checkout && cargo test --locked

# Tests in Python and in JavaScript, with their usual clients, against a cluster that they control over HTTP; and a service in Python.
any-language:
    cargo build --release --locked
    cd examples/any-language/python && python3 -m venv ../../../target/python && ../../../target/python/bin/pip install --quiet --requirement requirements.txt && SHAKEDOWN=../../../target/release/shakedown ../../../target/python/bin/python -m unittest
    cd examples/python-notification && ../../target/python/bin/pip install --quiet --requirement requirements.txt && SHAKEDOWN=../../target/release/shakedown ../../target/python/bin/python -m unittest
    cd examples/any-language/javascript && npm ci --silent && SHAKEDOWN=../../../target/release/shakedown npm test --silent
    target/release/shakedown run examples/python-notification/scenario.toml

# docker-compose.yml against the schema of the Compose specification, which this tool brings along. The tests say the rest.
compose:
    python3 -m venv target/compose && target/compose/bin/pip install --quiet check-jsonschema==0.39.0
    target/compose/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

# The main job, as the README has it.
demo:
    cargo run --release --locked -- run scenarios/correctness/billing.toml

# kcat against a cluster of its own.
kcat:
    cargo test --locked --package shakedown --test scenarios -- kcat

# Apache Kafka itself: what this machine lacks for it, its nodes as processes, and scenarios on them.
apache:
    cargo run --release --locked -- doctor --fetch
    cargo test --locked --package shakedown-cluster --features apache --test apache
    cargo test --locked --package shakedown --test apache

# A minute at 20,000 messages/s: the report against an independent reader, and memory flat.
soak:
    SHAKEDOWN_SOAK=1 cargo test --release --locked --package shakedown --test scenarios -- agreement

# Brokers in every role killed, stopped and cut off under 5,000 messages/s, again and again, each time from another seed.
failover RUNS="20":
    cargo build --release --locked
    for seed in $(seq 1 {{ RUNS }}); do \
        target/release/shakedown run --seed "$seed" scenarios/load/broker-failover-5k.toml || exit; \
    done

# The scenarios that take half a minute and more: Black Friday, a payment provider that is gone for 20 s.
long-scenarios:
    SHAKEDOWN_SOAK=1 cargo test --release --locked --package shakedown --test scenarios -- long::

# Each service of the two shops killed at each of its failpoints, twenty times: every effect is there once.
crashes:
    SHAKEDOWN_SOAK=1 cargo test --release --locked --package shakedown --test scenarios -- crashes::

# A thousand orders a second through the whole shop, for a minute.
thousand:
    cargo run --release --locked -- run scenarios/load/storefront-1k.toml

# Ceilings against arithmetic, and a search that is killed and resumed; some minutes on a quiet machine.
ceilings:
    SHAKEDOWN_SOAK=1 cargo test --release --locked --package shakedown --test scenarios -- ceiling

# Every failure case and its fixed twin, on the embedded brokers or, those that can be done there, on `apache`.
failures BACKEND="embedded":
    cargo build --release --locked
    target/release/shakedown run --backend {{ BACKEND }} \
        {{ if BACKEND == "embedded" { "scenarios/failures" } else { "scenarios/failures/04* scenarios/failures/05* scenarios/failures/09* scenarios/failures/10* scenarios/failures/19* scenarios/failures/22* scenarios/failures/24*" } }}

# A cluster with a data folder under load: a hundred restarts, power losses and `kill -9`, and nothing acknowledged lost.
durable:
    SHAKEDOWN_SOAK=1 cargo test --release --locked --package shakedown-cluster --test clients -- durable

# 10 GB produced and read back through three brokers within the default memory budget.
long-log:
    SHAKEDOWN_SOAK=1 cargo test --release --locked --package shakedown --test scenarios -- long_log --nocapture

# Ten minutes of hostile input, or as many seconds as are said, to `frames`, `batches` or `scenarios`. The flags are those of
# cargo-fuzz without a sanitizer; what they do works with a stable compiler.
fuzz TARGET SECONDS="600":
    #!/usr/bin/env bash
    set -euo pipefail
    cd fuzz
    export CARGO_TARGET_DIR=target
    cargo run --quiet --locked --release --bin seeds
    host=$(rustc -vV | sed -n 's/^host: //p')
    flags="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
    flags="$flags -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
    flags="$flags -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
    RUSTFLAGS="$flags" cargo build --locked --release --target "$host" --bin {{ TARGET }} \
        {{ if TARGET == "scenarios" { "--features shakedown" } else { "" } }}
    mkdir -p corpus/{{ TARGET }} artifacts
    "target/$host/release/{{ TARGET }}" corpus/{{ TARGET }} -max_total_time={{ SECONDS }} -max_len=8192 -timeout=20 \
        -rss_limit_mb=2048 -artifact_prefix=artifacts/ -print_final_stats=1 -verbosity=1

# `SHAKEDOWN_SEED=7 just conformance 1` draws one again, `SHAKEDOWN_FRESH=1 just conformance 2000` draws others each time.
# The same requests to our cluster and to Apache Kafka 4.1.1, fixed and drawn from seeds; every answer compared.
conformance SEQUENCES="300":
    SHAKEDOWN_SEQUENCES={{ SEQUENCES }} cargo test --locked --package shakedown-cluster --features conformance --test conformance

# Lifetimes of simulated clusters with fresh seeds, optimised: how many were lived, and the command that replays a failure.
simulate SEEDS="2000":
    SHAKEDOWN_FRESH=1 SHAKEDOWN_SEEDS={{ SEEDS }} cargo test --release --locked --package shakedown-broker --test simulation -- random_lifetimes --nocapture

# Licences and sources of everything we depend on.
deny:
    cargo deny check licenses bans sources

# Hot paths and boot, in absolute times: compare only within one run.
bench:
    cargo bench --package shakedown-cluster --bench boot

# kfake is there where Go is, Apache Kafka after `shakedown doctor --fetch`; SHAKEDOWN_FLOOR names the program that plays the
# floor. `just peers --rounds 5 CPU` says how often, and picks rows by a part of their names.
# Ours beside its peers, as ratios; fails where a target of ours is missed.
peers *ARGS:
    cargo bench --package shakedown-cluster --features apache --bench peers -- {{ARGS}}

# Kafka's tools are there after `shakedown doctor --fetch`; librdkafka's is built from the crate's sources, with `cc`.
# `just load-peers --rounds 5 --seconds 10 stall` says how often, for how long, and picks parts by their names.
# The load generator beside its peers, at the same rates on the same broker; fails where a target of ours is missed.
load-peers *ARGS:
    cargo bench --package shakedown-loadgen --features mimalloc --bench peers -- {{ARGS}}

# Rates to a thousandth, a broker that stands still, and the memory of 100 million messages (6.4 GB of record for a while).
load-soak:
    SHAKEDOWN_SOAK=1 cargo test --release --locked --package shakedown-loadgen --test integration -- soak:: --nocapture

# Everything that CI runs.
ci: fmt-check lint deny test simulate conformance examples any-language compose demo
