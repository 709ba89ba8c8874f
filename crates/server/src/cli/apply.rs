//! `apply`: the stored tenants made to match a file.

use super::{Apply, Failure, block_on, print};
use crate::app::Ground;
use crate::tenant_file;

pub(super) fn run(command: &Apply) -> Result<(), Failure> {
    let config = command.configured.load()?;
    let file = tenant_file::load(&command.file).map_err(Failure::TenantFile)?;
    block_on(async {
        let Ground { store, master, hashing, world } = Ground::open(&config, false).await?;
        let changed = tenant_file::apply(&store, &master, &hashing, &world, &file, command.dry_run).await?;
        store.close().await;
        let mut text = String::new();
        for line in &changed {
            text.push_str(line);
            text.push('\n');
        }
        text.push_str(match (changed.is_empty(), command.dry_run) {
            (true, _) => "nothing to change\n",
            (false, true) => "nothing was changed: this was a dry run\n",
            (false, false) => "applied\n",
        });
        print(&text)
    })
}
