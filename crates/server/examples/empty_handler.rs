//! A token endpoint without any work in it: what the HTTP stack alone costs. The benchmark's ceiling.
//!
//! `empty_handler 127.0.0.1:8401`

use std::error::Error;
use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::post;
use countersign::config::Config;
use countersign::listen::{self, Settings};
use protocol::form::Form;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As long as a real answer with an opaque token is.
const ANSWER: &[u8] = br#"{"access_token":"0000000000000000000000000000000000000000","scope":"openid","grant_id":"00000000-0000-4000-8000-000000000000","token_type":"Bearer","expires_in":7200}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let address: SocketAddr = std::env::args().nth(1).ok_or("usage: empty_handler ADDRESS")?.parse()?;
    let server = Config::dev(address, None).server;
    listen::runtime(server.threads)?.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await?;
        let router = Router::new().route("/token", post(answer));
        let stop = async {
            if listen::stop_signal().await.is_err() {
                std::future::pending().await
            }
        };
        listen::serve(listener, router, Settings { server, tls: None, metrics: None }, stop).await;
        Ok(())
    })
}

async fn answer(body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(ANSWER));
    if Form::parse(&body).is_err() {
        *response.status_mut() = StatusCode::BAD_REQUEST;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
