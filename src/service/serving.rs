//! HTTP and signals beside the workers, on a small runtime of their own.
//!
//! Never touches a worker: a signal only sets the flag that workers look at. Next: `http/mod.rs`.

use crate::config::HttpConfig;
use crate::http::{Server, Sources};
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The HTTP servers and the watch over signals, until ended.
pub(crate) struct Serving {
    runtime: Runtime,
    stop_sender: watch::Sender<bool>,
    server: JoinHandle<Result<(), crate::http::HttpError>>,
    /// Where probes and metrics are.
    pub(crate) metrics_address: SocketAddr,
    /// Where customers are.
    pub(crate) admin_address: SocketAddr,
}

impl Serving {
    /// Listens; SIGTERM and SIGINT set `stop` from now on.
    ///
    /// # Errors
    /// When the runtime cannot be started or an address cannot be bound.
    pub(crate) fn start(
        http: &HttpConfig,
        sources: Sources,
        stop: &Arc<AtomicBool>,
    ) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("could not start the asynchronous runtime")?;
        let (stop_sender, stopped) = watch::channel(false);
        runtime.spawn(watch_signals(Arc::clone(stop), stop_sender.clone()));
        let server = runtime.block_on(Server::bind(http, sources))?;
        let metrics_address = server.metrics_address()?;
        let admin_address = server.admin_address()?;
        tracing::info!(metrics = %metrics_address, admin = %admin_address, "listening");
        let server = runtime.spawn(server.run(stopped));
        Ok(Self { runtime, stop_sender, server, metrics_address, admin_address })
    }

    /// Answers the requests under way and ends.
    ///
    /// # Errors
    /// When a server had ended by itself.
    pub(crate) fn end(self) -> Result<()> {
        self.stop_sender.send_replace(true);
        let ended = self.runtime.block_on(self.server).context("the HTTP server ended")?;
        if let Err(error) = ended {
            tracing::warn!(%error, "the HTTP server ended");
        }
        Ok(())
    }
}

/// Sets `stop` at SIGTERM or SIGINT.
async fn watch_signals(stop: Arc<AtomicBool>, stopped: watch::Sender<bool>) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be watched; stop the process with SIGKILL");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM received: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT received: stopping"),
        () = stopped.closed() => return,
    }
    stop.store(true, Ordering::Relaxed);
}
