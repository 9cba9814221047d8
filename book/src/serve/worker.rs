//! The worker of an open page: it has the page's shells, and runs one cell after the other in them.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::Served;
use super::socket::{Ask, Tell, Verdict};
use crate::cell::Cell;
use crate::run::session::{Ran, Session};
use crate::run::{self, Event, Lane, Request, judge, lacking};

/// How many pages may have shells at once.
const PAGES: usize = 8;

/// How long the reader may type.
const BY_HAND: u64 = 15 * 60 * 1000;

static WORKING: AtomicUsize = AtomicUsize::new(0);

struct Worker<'a> {
    served: &'a Served,
    page: &'a str,
    orders: &'a Receiver<Ask>,
    tells: &'a UnboundedSender<Tell>,
    shells: BTreeMap<Lane, Session>,
    waiting: VecDeque<Ask>,
}

/// Until the page is closed.
pub fn work(served: &Served, page: &str, orders: &Receiver<Ask>, tells: &UnboundedSender<Tell>) {
    let mut worker = Worker { served, page, orders, tells, shells: BTreeMap::new(), waiting: VecDeque::new() };
    while let Some(ask) = worker.next() {
        match ask {
            Ask::Run { cell, hash, by_hand } => worker.run(&cell, &hash, by_hand),
            Ask::Stop | Ask::Reset => {
                worker.end_all();
                worker.tell(Tell::Ended("reset".into()));
            }
            Ask::Type(_) | Ask::Size(..) => {} // nothing runs
        }
    }
    worker.end_all();
}

/// Why a cell came to no end of its own.
enum Broken {
    /// The reader pressed Stop.
    Stopped,
    /// The page is gone.
    Closed,
    /// The sandbox says why.
    Because(String),
}

impl Worker<'_> {
    fn next(&mut self) -> Option<Ask> {
        self.waiting.pop_front().or_else(|| self.orders.recv().ok())
    }

    fn tell(&self, tell: Tell) {
        let _ = self.tells.send(tell);
    }

    /// All shells of the page end, and all that was started in them.
    fn end_all(&mut self) {
        if !self.shells.is_empty() {
            self.shells.clear();
            WORKING.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn run(&mut self, name: &str, hash: &str, by_hand: bool) {
        self.tell(Tell::Begin { cell: name.to_owned() });
        let cells = self.served.site.cells(self.page);
        let cell = cells.iter().find(|cell| cell.name == name && cell.hash() == hash);
        let outcome = match cell {
            None => Err(Broken::Because("the page has changed: reload it".into())),
            Some(cell) => self.run_cell(cell, by_hand).map(|ran| (cell, ran)),
        };
        match outcome {
            Ok((cell, ran)) => self.tell(Tell::Done(verdict(cell, &ran, by_hand))),
            Err(broken) => {
                self.end_all();
                match broken {
                    Broken::Stopped => self.tell(Tell::Ended("stopped".into())),
                    Broken::Because(why) => self.tell(Tell::Ended(why)),
                    Broken::Closed => {}
                }
            }
        }
    }

    fn run_cell(&mut self, cell: &Cell, by_hand: bool) -> Result<Vec<Ran>, Broken> {
        if let Some(reason) = lacking(cell) {
            return Err(Broken::Because(reason));
        }
        let lane = self.open(cell)?;
        let mut all = Vec::new();
        for command in &cell.commands {
            self.tell(Tell::Command(command.text.clone()));
            let Some(session) = self.shells.get_mut(&lane) else { break };
            let mut request = session.request(cell, command);
            if let Request::Run { keys, millis, .. } = &mut request
                && by_hand
            {
                keys.clear();
                *millis = BY_HAND;
            }
            session.send(&request).map_err(|error| Broken::Because(error.to_string()))?;
            let ran = self.follow(lane)?;
            self.tell(Tell::Code(ran.code.clone().unwrap_or(-1)));
            all.push(ran);
        }
        Ok(all)
    }

    /// The shell of the cell's lane, made if there is none.
    fn open(&mut self, cell: &Cell) -> Result<Lane, Broken> {
        let lane = Lane::of(cell);
        if self.shells.contains_key(&lane) {
            return Ok(lane);
        }
        let root = &self.served.site.book.root;
        let because = |error: crate::Error| Broken::Because(error.to_string());
        let place = lane.place(self.served.host_root).map_err(Broken::Because)?;
        if self.shells.is_empty() && WORKING.fetch_add(1, Ordering::SeqCst) >= PAGES {
            WORKING.fetch_sub(1, Ordering::SeqCst);
            return Err(Broken::Because(format!("{PAGES} pages have shells already: close or reset one")));
        }
        self.tell(Tell::State("building the programs".into()));
        let cells = self.served.site.cells(self.page);
        let opened = run::build_programs(root, &cells).and_then(|()| {
            let machine = place == run::Place::Machine;
            self.tell(Tell::State(if machine { "booting the virtual machine" } else { "opening a shell" }.into()));
            let network =
                cells.iter().any(|cell| Lane::of(cell) == lane && cell.needs.iter().any(|need| need == "network"));
            Session::open(root, lane, place, network)
        });
        match opened {
            Ok(session) => {
                self.shells.insert(lane, session);
                Ok(lane)
            }
            Err(error) => {
                if self.shells.is_empty() {
                    WORKING.fetch_sub(1, Ordering::SeqCst);
                }
                Err(because(error))
            }
        }
    }

    /// Passes on what the command says and what the reader types, until one of them has enough.
    fn follow(&mut self, lane: Lane) -> Result<Ran, Broken> {
        let mut output = String::new();
        loop {
            let Some(session) = self.shells.get_mut(&lane) else { return Err(Broken::Because("no shell".into())) };
            match session.next(Duration::from_millis(20)) {
                Some(Event::Output(text)) => {
                    output += &text;
                    let _ = self.tells.send(Tell::Output(text));
                }
                Some(Event::Done(code)) => return Ok(Ran { output, code: Ok(code) }),
                Some(Event::Ended(why) | Event::Refused(why)) => return Err(Broken::Because(why)),
                Some(Event::Ready { .. }) | None => {}
            }
            loop {
                match self.orders.try_recv() {
                    Ok(Ask::Stop | Ask::Reset) => {
                        self.waiting.clear();
                        return Err(Broken::Stopped);
                    }
                    Ok(Ask::Type(keys)) => drop(session.send(&Request::Type(keys))),
                    Ok(Ask::Size(rows, columns)) => drop(session.send(&Request::Size(rows, columns))),
                    Ok(run) => self.waiting.push_back(run),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Err(Broken::Closed),
                }
            }
        }
    }
}

fn verdict(cell: &Cell, all: &[Ran], by_hand: bool) -> Verdict {
    let same = by_hand || judge(cell, all).is_ok();
    let pairs = cell.commands.iter().zip(all);
    let commands = pairs.map(|(command, ran)| {
        let lines = run::marked(cell, &command.output, &ran.output);
        (command.text.clone(), ran.code.clone().unwrap_or(-1), lines)
    });
    Verdict { same, commands: commands.collect() }
}
