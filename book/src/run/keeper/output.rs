//! What a command says, as text, and no more than a page can hold.

use crate::run::Event;

/// How much one command may say, in bytes.
const MOST: usize = 256 * 1024;

/// The bytes of a command on their way to becoming text.
#[derive(Debug, Default)]
pub struct Output {
    /// The start of a character whose rest is still to come.
    rest: Vec<u8>,
    count: usize,
}

impl Output {
    /// A command begins.
    pub fn begin(&mut self) {
        self.count = 0;
    }

    /// Passes these bytes on, but for the start of a character whose end is not there yet.
    pub fn add(&mut self, bytes: &[u8]) {
        self.count += bytes.len();
        self.rest.extend(bytes);
        let whole = match str::from_utf8(&self.rest) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => self.rest.len(), // no text: it is shown as well as can be
        };
        let bytes: Vec<u8> = self.rest.drain(..whole).collect();
        if !bytes.is_empty() && self.count <= MOST {
            Event::Output(String::from_utf8_lossy(&bytes).into_owned()).say();
        }
    }

    /// Nothing more comes: what is left is no whole character.
    pub fn end(&mut self) {
        if !self.rest.is_empty() {
            Event::Output(String::from_utf8_lossy(&std::mem::take(&mut self.rest)).into_owned()).say();
        }
    }

    /// Was it more than a page can hold?
    pub fn too_much(&self) -> bool {
        self.count > MOST
    }
}
