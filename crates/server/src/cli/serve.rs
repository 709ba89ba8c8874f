//! `serve`, and the running server that `dev` shares with it: listeners, jobs, and the orderly end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{Failure, Serve};
use crate::app::{App, Ground};
use crate::listen::{self, Certificates, Settings};
use crate::world::World;
use crate::{health, jobs, logging, router};

pub(super) fn run(command: &Serve) -> Result<(), Failure> {
    let mut config = command.configured.load()?;
    // Before the runtime, so that it ends after it: the last spans are those of the last requests.
    let _traces = logging::start(&config.log, &config.observe)?;
    let runtime = listen::runtime(config.server.threads).map_err(Failure::Runtime)?;
    runtime.block_on(async {
        // The port first: two servers on one machine are noticed before either touches the database.
        let listener = bind(config.server.listen).await?;
        // With port 0 the system chose one; from here on the configuration names it.
        config.server.listen = listener.local_addr().unwrap_or(config.server.listen);
        let mut ground = Ground::open(&config, false).await?;
        if let Some(file) = &command.clock_offset_file {
            tracing::warn!("the clock goes by `--clock-offset-file`: this is for trials alone");
            ground.world = World::stepped();
            tokio::spawn(heed_offset(ground.world.clone(), file.clone()));
        }
        let app = App::build(config, ground, false).await?;
        tracing::info!(listen = %app.config.server.listen, version = env!("CARGO_PKG_VERSION"), "serving");
        until_stopped(app, listener).await
    })
}

pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|source| Failure::Listen { address, source })
}

/// Serves `app` until the process is told to stop, and leaves nothing half done.
pub(super) async fn until_stopped(app: App, listener: TcpListener) -> Result<(), Failure> {
    let config = Arc::clone(&app.config);
    let tls = config.tls.as_ref().map(Certificates::load).transpose()?;
    let observe = match config.observe.listen {
        Some(address) => {
            let listener = bind(address).await?;
            tracing::info!(listen = %listener.local_addr().unwrap_or(address), "observing");
            Some(listener)
        }
        None => None,
    };
    let hashing = app.hashing.clone();
    app.metrics.watch("hashing_waiting", "Passwords waiting to be verified", move || {
        i64::try_from(hashing.waiting()).unwrap_or(i64::MAX)
    });

    let (stop, stopped) = watch::channel(false);
    // Health is told until the last request is answered: "not ready" is the word that sends the next one elsewhere.
    let (end, ended) = watch::channel(false);
    let until = |mut stopped: watch::Receiver<bool>| async move {
        // The sender lives until the end of this function; without it there is nothing to wait for either.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    let mut jobs = jobs::start(&app);
    jobs.spawn(heed_hangups(tls.clone()));
    let observed = observe.map(|listener| {
        let store = app.store.clone();
        let stopping = stopped.clone();
        let ready: health::Ready = Arc::new(move || {
            let (store, stopping) = (store.clone(), *stopping.borrow());
            Box::pin(async move { !stopping && store.ping().await.is_ok() })
        });
        let settings = Settings { server: config.server.clone(), tls: None, metrics: None };
        let router = health::router(Arc::clone(&app.metrics), ready);
        tokio::spawn(listen::serve(listener, router, settings, until(ended.clone())))
    });
    let waits = app.waits.clone();
    let signalled = tokio::spawn(async move {
        if let Err(error) = listen::stop_signal().await {
            tracing::error!(%error, "signals cannot be received");
        }
        tracing::info!("stopping: requests under way are finished");
        let _ = stop.send(true);
        waits.end();
    });

    let settings = Settings { server: config.server.clone(), tls, metrics: Some(Arc::clone(&app.metrics)) };
    listen::serve(listener, router::build(app.clone()), settings, until(stopped)).await;
    signalled.abort();
    let _ = end.send(true);
    if let Some(observed) = observed {
        // A panic there was logged; it must not keep the records from being closed.
        let _ = observed.await;
    }
    jobs.shutdown().await;
    app.store.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Sets the clock off by the milliseconds that stand in a file, looked at ten times a second.
async fn heed_offset(world: World, file: PathBuf) {
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    loop {
        tick.tick().await;
        // What cannot be read at this moment leaves the clock as it is.
        if let Some(millis) = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()) {
            world.set_offset(millis);
        }
    }
}

/// SIGHUP reads the certificate again; without one it does nothing, where the default would end the process.
async fn heed_hangups(tls: Option<Arc<Certificates>>) {
    let heeded = match tls {
        Some(certificates) => certificates.keep_fresh().await,
        None => {
            async {
                use tokio::signal::unix::{SignalKind, signal};
                let mut hangup = signal(SignalKind::hangup())?;
                while hangup.recv().await.is_some() {}
                Ok(())
            }
            .await
        }
    };
    if let Err(error) = heeded {
        tracing::error!(%error, "signals cannot be received");
    }
}
