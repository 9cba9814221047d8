//! What a program says, read as it comes, so that it never waits for us.

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::running::GLANCE;

/// What comes on a stream, as far as the limit goes.
pub(crate) struct Stream {
    text: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Stream {
    /// Reads until its end; what is more than `most` is counted no more, and dropped.
    pub fn of(from: Option<impl Read + Send + 'static>, most: usize) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let into = text.clone();
        let reader = thread::spawn(move || {
            let Some(mut from) = from else { return };
            let mut buffer = [0; 16 * 1024];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                let mut text = into.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if text.len() <= most {
                    text.extend(&buffer[..count]);
                }
            }
        });
        Self { text, reader: Some(reader) }
    }

    /// How much has come; more than the limit if it was met.
    pub fn length(&self) -> usize {
        self.text.lock().map_or(0, |text| text.len())
    }

    /// What has come until now.
    pub fn so_far(&self) -> String {
        self.text.lock().map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }

    /// All, to its end. Who still holds the other end is dead, or about to be.
    pub fn all(&mut self) -> String {
        let deadline = Instant::now() + Duration::from_secs(2);
        while Instant::now() < deadline && self.reader.as_ref().is_some_and(|reader| !reader.is_finished()) {
            thread::sleep(GLANCE);
        }
        self.reader = None;
        self.so_far()
    }
}
