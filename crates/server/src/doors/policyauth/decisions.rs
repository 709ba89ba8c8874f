//! Decision records for administrators, `GET /v1.0/decisions`. Ours: the vendor has nothing of the kind.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::records::GrantId;
use protocol::time::write_seconds;
use serde_json::{Value, json};

use super::caller::authenticate;
use super::refusal::Refusal;
use crate::app::App;
use crate::call::Call;
use crate::reply;
use crate::signin::SignIns;
use crate::signin::records::Decision;

/// `GET /v1.0/decisions?grant_id=…` or `?reference=…`: what policy decided, and by which rule.
pub async fn list(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let caller = authenticate(&app, &call).await?;
    caller.client_alone(&["readAccessPolicies", "manageAccessPolicies"])?;
    let query = call.query().map_err(|_| Refusal::Malformed("The query is not in form."))?;
    let one = |name: &str| query.one(name).map_err(|_| Refusal::Malformed("A parameter of the query is repeated."));
    let sign_ins = SignIns { app: &app, tenant: &call.tenant };
    let found = match (one("grant_id")?, one("reference")?) {
        (Some(grant), None) => sign_ins.decisions_of(&GrantId::from(grant)).await?,
        (None, Some(reference)) => sign_ins.decision(reference).await?.into_iter().collect(),
        (Some(_), Some(_)) | (None, None) => {
            return Err(Refusal::Malformed("Exactly one of grant_id and reference is required."));
        }
    };
    if found.is_empty() {
        return Err(Refusal::NotFound);
    }
    let shown: Vec<Value> = found.into_iter().map(shown).collect();
    Ok(reply::json(StatusCode::OK, &json!({ "total": shown.len(), "decisions": shown })))
}

fn shown(decision: Decision) -> Value {
    json!({
        "reference": decision.reference,
        "grant_id": decision.grant,
        "time": decision.at.map(write_seconds),
        "records": decision.records,
    })
}
