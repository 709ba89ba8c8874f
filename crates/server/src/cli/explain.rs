//! `explain`: decision records, for whoever has to answer why somebody could or could not sign in.

use std::fmt::Write as _;

use protocol::records::GrantId;
use serde_json::Value;
use store::DecisionRow;

use super::{Explain, Failure, block_on, print};
use crate::app::Ground;

pub(super) fn run(command: &Explain) -> Result<(), Failure> {
    let config = command.configured.load()?;
    block_on(async {
        let ground = Ground::open(&config, false).await?;
        let mut text = String::new();
        for rows in ground.store.load_directory().await?.tenants {
            let tenant = rows.tenant.id;
            if command.tenant.as_deref().is_some_and(|wanted| tenant.as_str() != wanted) {
                continue;
            }
            let mut records = ground.store.records_of_grant(&tenant, &GrantId::from(command.name.as_str())).await?;
            records.extend(ground.store.record(&tenant, &command.name).await?);
            for record in &records {
                // Writing to a text does not fail.
                let _ = writeln!(text, "{tenant}");
                tell(&mut text, record);
            }
        }
        ground.store.close().await;
        if text.is_empty() {
            return Err(Failure::Told(format!(
                "no decision is kept for `{}`; it takes a `grant_id` or the reference of an error",
                command.name
            )));
        }
        print(&text)
    })
}

fn tell(text: &mut String, record: &DecisionRow) {
    let at = jiff::Timestamp::from_second(record.at).map_or_else(|_| record.at.to_string(), |at| at.to_string());
    let grant = record.grant.as_ref().map_or("none", GrantId::as_str);
    let body = serde_json::from_str::<Value>(&record.body)
        .and_then(|body| serde_json::to_string_pretty(&body))
        .unwrap_or_else(|_| record.body.clone());
    let _ = writeln!(text, "reference {}  grant {grant}  at {at}\n{body}\n", record.reference);
}
