//! The HTTP servers: probes, metrics and tasks on one address, customers on another.
//!
//! Reads what `runtime::status`, the metrics and the look-up show; changes nothing.
//! Next: `health.rs` and `customers.rs`, what is answered.

mod customers;
mod health;
#[cfg(test)]
mod tests;

pub use customers::{CustomerAnswer, Lookup};

use crate::config::HttpConfig;
use crate::metrics::Metrics;
use crate::runtime::status::Status;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::{MethodRouter, any, get};
use customers::{Admin, Token};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long connections that are open may go on after the signal to stop.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// What the servers answer from.
#[derive(Clone)]
pub struct Sources {
    /// What the workers are doing.
    pub status: Arc<Status>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Looks a customer up.
    pub lookup: Lookup,
    /// A worker that has not looped for this long is dead; `max.poll.interval` is apt, after
    /// which the group takes its tasks away.
    pub stalled_after: Duration,
}

/// Why the servers cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// An address is taken or not ours.
    #[error("cannot listen on \"{address}\": {reason}; hint: {}", way(*address, key, reason))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The config key that names it.
        key: &'static str,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The token's file cannot be read.
    #[error(
        "cannot read the bearer token from {path:?}: {reason}; hint: see http.admin_token_file"
    )]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The token's file holds nothing.
    #[error("the bearer token in {path:?} is empty")]
    EmptyToken {
        /// The file.
        path: PathBuf,
    },
    /// Customers would be open to the network.
    #[error(
        "http.admin_listen \"{address}\" is not a loopback address, \
         hint: set http.admin_token_file or listen on 127.0.0.1"
    )]
    Unprotected {
        /// The address.
        address: SocketAddr,
    },
    /// A server ended by itself.
    #[error("the HTTP server ended")]
    Serve(#[source] std::io::Error),
}

/// Both servers, bound and not yet serving.
pub struct Server {
    metrics: (TcpListener, Router),
    admin: (TcpListener, Router),
}

impl Server {
    /// Binds both addresses and reads the token.
    ///
    /// # Errors
    /// When an address cannot be bound, the token cannot be read, or customers would be open to
    /// the network without one.
    pub async fn bind(config: &HttpConfig, sources: Sources) -> Result<Self, HttpError> {
        let token = config.admin_token_file.as_deref().map(Token::read).transpose()?;
        if token.is_none() && !config.admin_listen.ip().is_loopback() {
            return Err(HttpError::Unprotected { address: config.admin_listen });
        }
        let admin = Router::new()
            .route("/customers/{id}", get(customers::customer))
            .with_state(Admin { lookup: Arc::clone(&sources.lookup), token })
            .fallback_service(missing("/customers/{id}\n"));
        let metrics = Router::new()
            .route("/livez", get(health::livez))
            .route("/readyz", get(health::readyz))
            .route("/metrics", get(health::metrics))
            .route("/tasks", get(health::tasks))
            .with_state(sources)
            .fallback_service(missing("/livez\n/readyz\n/metrics\n/tasks\n"));
        Ok(Self {
            metrics: (listen(config.metrics_listen, "http.metrics_listen").await?, metrics),
            admin: (listen(config.admin_listen, "http.admin_listen").await?, admin),
        })
    }

    /// Where `/metrics` and the probes are; tells the port when 0 was asked for.
    ///
    /// # Errors
    /// As the system says.
    pub fn metrics_address(&self) -> std::io::Result<SocketAddr> {
        self.metrics.0.local_addr()
    }

    /// Where `/customers` is.
    ///
    /// # Errors
    /// As the system says.
    pub fn admin_address(&self) -> std::io::Result<SocketAddr> {
        self.admin.0.local_addr()
    }

    /// Serves until `stop` is true or its sender is gone; requests under way are answered first.
    ///
    /// # Errors
    /// When a server cannot go on.
    pub async fn run(self, stop: watch::Receiver<bool>) -> Result<(), HttpError> {
        let serve = |(listener, router): (TcpListener, Router)| {
            let graceful =
                axum::serve(listener, router).with_graceful_shutdown(signal(stop.clone()));
            async move { graceful.await }
        };
        let both = async { tokio::try_join!(serve(self.metrics), serve(self.admin)) };
        tokio::select! {
            ended = both => ended.map(|_| ()).map_err(HttpError::Serve),
            // A client that never reads its answer must not keep the process from ending.
            () = async {
                signal(stop.clone()).await;
                tokio::time::sleep(CLOSE_WITHIN).await;
            } => Ok(()),
        }
    }
}

async fn listen(address: SocketAddr, key: &'static str) -> Result<TcpListener, HttpError> {
    TcpListener::bind(address).await.map_err(|reason| HttpError::Bind { address, key, reason })
}

/// Out of an address that cannot be had.
fn way(address: SocketAddr, key: &str, reason: &std::io::Error) -> String {
    if reason.kind() != std::io::ErrorKind::AddrInUse {
        return format!("see {key}");
    }
    let (ip, port) = (address.ip(), address.port());
    let other = SocketAddr::new(ip, port.checked_add(10).unwrap_or(port - 10));
    format!("another program listens there; choose another port, such as --set {key}={other}")
}

/// What is answered where there is nothing: what there is.
fn missing(paths: &'static str) -> MethodRouter<(), Infallible> {
    any(move || async move { (StatusCode::NOT_FOUND, paths) })
}

async fn signal(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone: whoever could have stopped us has ended.
    drop(stop.wait_for(|stop| *stop).await);
}
