//! Traces as a collector gets them: over a socket, from a server that answers requests.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::routing::post;
use countersign::app::{App, Ground};
use countersign::config::{Config, Observe};
use countersign::listen::{self, Settings};
use countersign::{logging, router, tenant_file};
use tokio::net::TcpListener;

const DEMO: &str = include_str!("../../../demo/tenant.toml");

/// A collector on a thread of its own; what it was sent comes out of the channel.
fn collector() -> (SocketAddr, Receiver<Bytes>) {
    async fn take(State(sent): State<Sender<Bytes>>, headers: HeaderMap, body: Bytes) {
        assert_eq!(headers[header::CONTENT_TYPE], "application/x-protobuf");
        sent.send(body).unwrap();
    }
    let (sent, received) = channel();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        listen::runtime(1).unwrap().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            let router = Router::new().route("/v1/traces", post(take)).with_state(sent);
            axum::serve(listener, router).await.unwrap();
        });
    });
    (told.recv().unwrap(), received)
}

/// Serves the demonstration tenant and asks for two tokens; answers them.
async fn two_tokens(observe: Observe) -> Vec<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = Config { observe, ..Config::dev(address, None) };
    let mut file = tenant_file::load_text("demo/tenant.toml", DEMO).unwrap();
    file.answer_at(&format!("http://{address}"));
    let ground = Ground::open(&config, true).await.unwrap();
    tenant_file::apply(&ground.store, &ground.master, &ground.hashing, &ground.world, &file, false).await.unwrap();
    let app = App::build(config, ground, true).await.unwrap();
    let settings = Settings { server: app.config.server.clone(), tls: None, metrics: Some(app.metrics.clone()) };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(listen::serve(listener, router::build(app), settings, async { stopped.await.unwrap() }));

    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut tokens = Vec::new();
    for (id, secret) in [("service-es256", "es256-demo-secret"), ("administration", "administration-demo-secret")] {
        let answer = client
            .post(format!("http://{address}/oauth2/token?hint=in-the-query"))
            .form(&[("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)])
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        let answer: serde_json::Value = answer.json().await.unwrap();
        tokens.push(answer["access_token"].as_str().unwrap().to_owned());
    }
    drop(client);
    stop.send(()).unwrap();
    serving.await.unwrap();
    tokens
}

#[test]
fn a_request_is_traced_with_what_took_time_and_nothing_secret() {
    let (address, received) = collector();
    let observe = Observe { listen: None, otlp_endpoint: Some(format!("http://{address}")) };
    let log = Config::dev(address, None).log;
    let (subscriber, traces) = logging::observed(&log, &observe, std::io::sink).unwrap();
    // One thread, so that what is the default for this thread holds for every task.
    let tokens =
        tracing::subscriber::with_default(subscriber, || listen::runtime(1).unwrap().block_on(two_tokens(observe)));
    drop(traces);
    let sent: Vec<u8> = received.try_iter().flatten().collect();
    let holds = |text: &str| sent.windows(text.len()).any(|window| window == text.as_bytes());
    for told in [
        "countersign",
        "POST /token",
        "http.request.method",
        "http.route",
        "http.response.status_code",
        "commit",
        "client credentials",
        "hash",
        "sign",
        "ES256",
    ] {
        assert!(holds(told), "`{told}` is not in the traces");
    }
    let secrets = ["es256-demo-secret", "administration-demo-secret", "in-the-query", "/oauth2/"];
    for secret in secrets.into_iter().chain(tokens.iter().map(String::as_str)) {
        assert!(!holds(secret), "`{secret}` is in the traces");
    }
}
