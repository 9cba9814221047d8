//! The book on loopback, with a Run button on every cell.
//!
//! What keeps it safe, each point with a test in tests/book/server.rs:
//! - It listens on 127.0.0.1, and answers only under a path that begins with a random token.
//! - `Host` must be this server's (DNS rebinding), `Origin` too (other sites); no CORS header is ever sent.
//! - It takes the name of a cell and the hash of its commands, never a command.
//! - Pages may run no script but the server's files (Content-Security-Policy).
//! - Cells run in the sandbox of [`run`](crate::run), which ends with the page, with Stop, and with this process.

mod guard;
mod site;
mod socket;
mod worker;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use process::OrCall;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::{Book, Error, Result};
use guard::Guard;
use site::Site;

/// What all requests share.
pub struct Served {
    guard: Guard,
    site: Site,
    /// May cells that need root run as root of this machine?
    host_root: bool,
}

/// Serves the book until it is stopped; prints where.
///
/// # Errors
/// A book that does not build, a port that is taken.
pub fn serve(book: Book, port: u16, host_root: bool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().or_call("epoll_create", "")?;
    runtime.block_on(listen(book, port, host_root))
}

async fn listen(book: Book, port: u16, host_root: bool) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address)
        .await
        .or_call("bind", address)
        .map_err(|error| error.help("another book may be served there: --port 0 takes any that is free"))?;
    let port = listener.local_addr().or_call("getsockname", address)?.port();
    let guard = Guard::new(port)?;
    let site = Site::open(book)?;
    println!("http://127.0.0.1:{port}/{}/", guard.token());
    println!("The address is the key: who knows it can press Run. Ctrl-C ends all.");
    let served = Arc::new(Served { guard, site, host_root });
    let app = Router::new()
        .route("/{token}/run/{page}", get(socket::open))
        .route("/{token}/", get(start))
        .route("/{token}/{*path}", get(file))
        .layer(axum::middleware::from_fn_with_state(served.clone(), guard::check))
        .with_state(served.clone());
    let done = tokio::select! {
        done = axum::serve(listener, app).into_future() => done.map_err(|error| Error::io("accept", address, &error)),
        () = told_to_end() => Ok(()),
    };
    // What is still open is closed with this process, and ends with that.
    served.site.remove();
    done
}

/// Ctrl-C, or what service managers send.
async fn told_to_end() {
    let mut term = match signal(SignalKind::terminate()) {
        Ok(term) => term,
        Err(_) => return std::future::pending().await,
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
}

async fn start(State(served): State<Arc<Served>>) -> Response {
    answer(&served, "index.html")
}

async fn file(State(served): State<Arc<Served>>, Path((_, path)): Path<(String, String)>) -> Response {
    answer(&served, &path)
}

fn answer(served: &Served, path: &str) -> Response {
    match served.site.file(path) {
        Some((kind, bytes)) => ([(header::CONTENT_TYPE, kind)], bytes).into_response(),
        None => (StatusCode::NOT_FOUND, "the book has no such file\n").into_response(),
    }
}
