//! `/Bulk`: several requests of an administrator in one.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::{answer, guard};
use crate::app::App;
use crate::call::Call;
use crate::scim;

/// `POST /Bulk`. It answers 201, as the collection of requests that uses it has it.
pub(super) async fn run(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        let routes = super::resources().with_state(app.clone());
        Ok(scim::bulk::run(&call, routes, StatusCode::CREATED).await?)
    };
    answer::finish(&app, &call, run.await)
}
