# Shorthands; everything here is one cargo command.

# Formatting, lints and tests, without other components.
check:
    cargo fmt --all -- --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test --workspace

# The whole check, as it is run before a change goes in: with PostgreSQL and a mail server.
accept:
    cargo xtask test

# The tests of the store alone, on a PostgreSQL of yours (a URL that may create databases).
test-pg url:
    COUNTERSIGN_TEST_POSTGRES={{url}} COUNTERSIGN_REQUIRE_POSTGRES=1 cargo test -p countersign-store

# A server with the demo tenant on http://127.0.0.1:8400.
dev *arguments:
    cargo run --release -- dev {{arguments}}

# The benchmark.
bench *arguments:
    cargo xtask bench {{arguments}}
