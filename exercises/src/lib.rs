//! The exercises: one source for each, checks that look from outside, a runner for learners and a grader for instructors.

pub mod catalog;
pub mod check;
pub mod checks;
pub mod compile;
pub mod generate;
pub mod grade;
pub mod judge;
pub mod lab;
pub mod runner;
pub mod source;

pub use catalog::Exercise;
pub use check::{Check, Failure, Verdict};
pub use lab::Lab;
pub use process::{Error, Result};
pub use runner::State;
