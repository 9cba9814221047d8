//! Chapter 10: lifecycle. A container that is kept: made once, started and ended many times, looked after meanwhile.
//!
//! | module | what it is |
//! |---|---|
//! | [`engine`] | the commands of a person, over containers' directories, states and supervisors |
//! | [`supervisor`] | the process that stays with a container: its output, its clients, its end |
//! | [`oci`] | the OCI runtime: config.json to stages, and the verbs of `cooper-runtime` |
//! | [`state`], [`file`] | what is remembered, as files that a reader can `cat` |
//! | [`duration`] | durations as people write them |
//! | [`program`] | all commands of the step |

pub use images::duration;
pub mod engine;
pub mod file;
pub mod oci;
pub mod program;
pub mod state;
pub mod supervisor;
