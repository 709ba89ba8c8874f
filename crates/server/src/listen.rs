//! The listener: accepts connections, plain or TLS, HTTP/1.1 and HTTP/2, within limits, and ends in an orderly way.
//! Owns everything between the socket and the router. Does not know a single route.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::config::Server;
use crate::metrics::Metrics;

mod request;
mod tls;

use request::Front;
pub use request::{RequestId, current_request, step_aside};
pub use tls::{Certificates, TlsError};

/// Who is calling: an extension of every request.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The client's address by the trusted-proxy rules, IPv4 where it is mapped into IPv6.
    pub client: IpAddr,
    /// The other end of the connection: the client or a proxy.
    pub direct: SocketAddr,
    /// The name of this request in logs and in the `X-Request-Id` of the answer.
    pub request: RequestId,
}

/// How a listener serves.
pub struct Settings {
    /// Limits, timeouts and trusted proxies.
    pub server: Server,
    /// Certificates; none for plain HTTP.
    pub tls: Option<Arc<Certificates>>,
    /// Where requests are counted; none for a listener that is not measured.
    pub metrics: Option<Arc<Metrics>>,
}

/// A runtime with `threads` workers. With one, everything runs on the calling thread: a pool of one would only add
/// the way to it.
pub fn runtime(threads: usize) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = if threads <= 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(threads);
        builder
    };
    builder.enable_all().max_blocking_threads(64).build()
}

/// Resolves at SIGTERM or SIGINT.
pub async fn stop_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Serves `router` until `stop` resolves; then accepts nothing more, lets requests under way finish, and cuts what is
/// left at the deadline.
pub async fn serve(listener: TcpListener, router: Router, settings: Settings, stop: impl Future<Output = ()>) {
    let server = &settings.server;
    let builder = Arc::new(builder(server));
    let places = Arc::new(Semaphore::new(server.max_connections));
    let (handshake, deadline) = (server.timeouts.handshake, server.timeouts.shutdown);
    let acceptor = settings.tls.as_ref().map(|certificates| TlsAcceptor::from(certificates.server_config()));
    let front = Arc::new(Front::new(router, server, settings.metrics.clone(), acceptor.is_some()));
    let graceful = GracefulShutdown::new();
    let mut stop = pin!(stop);
    loop {
        // A place first: beyond the cap, connections wait in the backlog of the socket instead of taking memory.
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.expect("the semaphore is never closed");
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accepted => accepted,
        };
        let (socket, direct) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        // Answers are written whole; waiting for more to send would only delay them.
        let _ = socket.set_nodelay(true);
        let (builder, front, acceptor) = (Arc::clone(&builder), Arc::clone(&front), acceptor.clone());
        // Taken before the spawn, so that a stop right after it waits for this connection as well.
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(move |request| request::answer(Arc::clone(&front), request, direct));
            // What ends a connection early (resets, timeouts, garbage) is the other side's doing: worth a debug line.
            let ended = match acceptor {
                None => watcher.watch(builder.serve_connection(TokioIo::new(socket), service).into_owned()).await,
                Some(acceptor) => {
                    let Some(stream) = shake_hands(&acceptor, socket, handshake, direct).await else { return };
                    watcher.watch(builder.serve_connection(TokioIo::new(stream), service).into_owned()).await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(peer = %direct, error = %error, "connection ended early");
            }
        });
    }
    drop(listener);
    let open = graceful.count();
    if tokio::time::timeout(deadline, graceful.shutdown()).await.is_err() {
        tracing::warn!(connections = open, "connections were cut at the end of the shutdown time");
    }
}

fn builder(server: &Server) -> Builder<TokioExecutor> {
    let (limits, timeouts) = (&server.limits, &server.timeouts);
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(timeouts.header)
        .max_headers(limits.headers)
        .max_buf_size(limits.header_bytes.max(8192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .keep_alive_interval(timeouts.header)
        .keep_alive_timeout(timeouts.header)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX));
    builder
}

async fn shake_hands(
    acceptor: &TlsAcceptor,
    socket: TcpStream,
    limit: Duration,
    direct: SocketAddr,
) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    match tokio::time::timeout(limit, acceptor.accept(socket)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(peer = %direct, error = %error, "tls handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!(peer = %direct, "tls handshake took too long");
            None
        }
    }
}

/// A connection that was reset before it was accepted is nothing; out of file descriptors would spin the loop.
#[allow(clippy::disallowed_methods)]
async fn pause_after(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(error = %error, "connections cannot be accepted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
