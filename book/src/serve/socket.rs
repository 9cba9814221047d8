//! The socket of an open page: what it asks for goes to a worker, what that says comes back. Its end ends the worker.

use std::sync::Arc;
use std::sync::mpsc::channel;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::unbounded_channel;

use super::{Served, worker};

/// From the page.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Run a cell: by name, and by the hash of its commands as the page shows them.
    Run {
        /// The cell's name.
        cell: String,
        /// The hash.
        hash: String,
        /// Shall the reader type, rather than the cell?
        #[serde(default)]
        by_hand: bool,
    },
    /// End what runs, and the page's shells with it.
    Stop,
    /// The same, when nothing runs: the next cell finds everything as new.
    Reset,
    /// Keys for the terminal.
    Type(String),
    /// The terminal's size: rows, columns.
    Size(u16, u16),
}

/// To the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tell {
    /// A cell begins; what is done for it.
    Begin {
        /// Its name.
        cell: String,
    },
    /// What is being done, in words.
    State(String),
    /// A command of the running cell begins.
    Command(String),
    /// It says something.
    Output(String),
    /// It ended.
    Code(i32),
    /// The cell ended.
    Done(Verdict),
    /// The cell did not run, or was ended, and the page's shells with it.
    Ended(String),
    /// The page was built anew.
    Reload,
    /// The page could not be built anew.
    Trouble(String),
}

/// How a cell went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// As recorded?
    pub same: bool,
    /// Each command: its text, its exit code, and the lines that it said.
    pub commands: Vec<(String, i32, Vec<Line>)>,
}

/// A line and its mark: ` ` as recorded, `-` recorded only, `+` not recorded.
pub type Line = (char, String);

/// `GET /TOKEN/run/PAGE`, upgraded to a WebSocket.
pub async fn open(
    State(served): State<Arc<Served>>,
    Path((_, page)): Path<(String, String)>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.max_message_size(64 * 1024).on_upgrade(move |socket| attend(served, page, socket))
}

async fn attend(served: Arc<Served>, page: String, mut socket: WebSocket) {
    let (asks, orders) = channel();
    let (tells, mut told) = unbounded_channel();
    let mut news = served.site.news();
    // A thread, not a task: it waits for processes. When `asks` is dropped it ends all that it started, and itself.
    std::thread::spawn(move || worker::work(&served, &page, &orders, &tells));
    loop {
        let tell = tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    if let Ok(ask) = serde_json::from_str::<Ask>(&text) {
                        let _ = asks.send(ask);
                    }
                    continue;
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                _ => return,
            },
            tell = told.recv() => match tell {
                Some(tell) => tell,
                None => return,
            },
            changed = news.changed() => match changed {
                Ok(()) => news.borrow().trouble.clone().map_or(Tell::Reload, Tell::Trouble),
                Err(_) => return,
            },
        };
        let text = serde_json::to_string(&tell).unwrap_or_default();
        if socket.send(Message::Text(text.into())).await.is_err() {
            return;
        }
    }
}
