//! The contract of the store: one function for each guarantee, run on SQLite always and on PostgreSQL where
//! `COUNTERSIGN_TEST_POSTGRES` names one; `COUNTERSIGN_REQUIRE_POSTGRES=1` makes its absence a failure.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "contract/world.rs"]
mod world;

#[path = "contract/audit.rs"]
mod audit;
#[path = "contract/contention.rs"]
mod contention;
#[path = "contract/crash.rs"]
mod crash;
#[path = "contract/directory.rs"]
mod directory;
#[path = "contract/items.rs"]
mod items;
#[path = "contract/listen.rs"]
mod listen;
#[path = "contract/lost.rs"]
mod lost;
#[path = "contract/once.rs"]
mod once;
#[path = "contract/outbox.rs"]
mod outbox;
#[path = "contract/people.rs"]
mod people;
#[path = "contract/restore.rs"]
mod restore;
#[path = "contract/schema.rs"]
mod schema;
#[path = "contract/sweep.rs"]
mod sweep;
#[path = "contract/tokens.rs"]
mod tokens;
#[path = "contract/walls.rs"]
mod walls;
