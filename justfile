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

# Every lint, on every target, with warnings denied.
lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

# The whole suite, as the README has it.
test:
    cargo test --workspace --locked

# What somebody else's repository does with us: a crate of its own, outside the workspace.
examples:
    cd examples/checkout && cargo test --locked

# The main job, as the README has it.
demo:
    cargo run --release --locked -- run scenarios/correctness/billing.toml

# kcat against a cluster of its own.
kcat:
    cargo test --locked --package shakedown --test scenarios -- kcat

# A minute at 20,000 messages/s: the report against an independent reader, and memory flat.
soak:
    SHAKEDOWN_SOAK=1 cargo test --release --locked --package shakedown --test scenarios -- agreement

# Licences and sources of everything we depend on.
deny:
    cargo deny check licenses bans sources

# Hot paths and boot, in absolute times: compare only within one run.
bench:
    cargo bench --package shakedown-cluster --bench boot

# Ours beside its peers, as ratios. SHAKEDOWN_FLOOR names the program that plays the floor.
peers *ARGS:
    cargo bench --package shakedown-cluster --bench peers -- {{ARGS}}

# Everything that CI runs.
ci: fmt-check lint deny test examples demo
