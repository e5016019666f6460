//! A way over TCP that can be slow or cut: what passes it waits, or its connections break.
//!
//! On loopback; ends with its value. Next: `fleet.rs`, whose last instance goes this way.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// One listening port, one target.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    target: AtomicU16,
    delay_ms: AtomicU64,
    closing: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Listens on a free port; what comes is refused until there is a target.
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("own address").port();
        let shared = Arc::new(Shared::default());
        let told = Arc::clone(&shared);
        let accepting = thread::spawn(move || accept(&listener, &told));
        Self { port, shared, accepting: Some(accepting) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Connects to this port from now on.
    pub(crate) fn lead_to(&self, port: u16) {
        self.shared.target.store(port, Ordering::Relaxed);
    }

    /// Every read waits so long before it is passed on, in both directions.
    pub(crate) fn delay(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).expect("short");
        self.shared.delay_ms.store(ms, Ordering::Relaxed);
    }

    /// Breaks every connection; new ones are taken.
    pub(crate) fn cut(&self) {
        for connection in self.shared.connections.lock().expect("no panic").drain(..) {
            connection.shutdown(Shutdown::Both).ok();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        // Wakes it up.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        self.cut();
        if let Some(thread) = self.accepting.take() {
            drop(thread.join());
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.closing.load(Ordering::Relaxed) {
            return;
        }
        let Ok(client) = client else { continue };
        let target = shared.target.load(Ordering::Relaxed);
        // Closing the client tells it that the broker is away.
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)) else { continue };
        let clone = |stream: &TcpStream| stream.try_clone().expect("clone a socket");
        for stream in [&client, &server] {
            stream.set_nodelay(true).expect("an option of a socket");
        }
        let mut connections = shared.connections.lock().expect("no panic");
        connections.retain(|stream| stream.peer_addr().is_ok());
        connections.extend([clone(&client), clone(&server)]);
        drop(connections);
        for (from, to) in [(clone(&client), clone(&server)), (server, client)] {
            let shared = Arc::clone(shared);
            thread::spawn(move || pass(from, to, &shared));
        }
    }
}

/// Ends with the connection, in whatever way.
fn pass(mut from: TcpStream, mut to: TcpStream, shared: &Shared) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let delay_ms = shared.delay_ms.load(Ordering::Relaxed);
        if delay_ms > 0 {
            thread::sleep(Duration::from_millis(delay_ms));
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    for stream in [from, to] {
        stream.shutdown(Shutdown::Both).ok();
    }
}
