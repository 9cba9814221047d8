//! The supervisor's light phase, with a heavy one that makes nothing but a child.

mod attached;
mod life;
mod output;
mod shim;
mod stub;
#[allow(unsafe_code)]
mod sys;

use harness::Suite;

fn main() {
    stub::enter_if_asked();
    Suite::new()
        .user("what the program says is in the log as Docker writes it", output::log)
        .user("nothing is lost at full speed, and the memory is bounded", output::speed)
        .user("logs -f reads across rotation and ends with the container", output::follow)
        .user("logs: tail, since, until, timestamps", output::options)
        .user("the log driver none keeps nothing", output::none)
        .user("another holder of the pipe does not delay the end", output::holder)
        .user("the first byte reaches who attached before the start", attached::first_byte)
        .user("the end of a client's input is the end of the program's", attached::input)
        .user("a client that does not read is disconnected; the container goes on", attached::slow)
        .user("a client that is waited for holds the program back and loses nothing", attached::patient)
        .user("a client that is behind at the end gets the rest", attached::rest)
        .user("a terminal: its size, its output, its end", attached::terminal)
        .user("the attach command: frames, exit code, detach keys", attached::command)
        .user("exit codes, signals and who waits for them", life::exit)
        .user("stop: a signal, and SIGKILL if it is not heeded", life::stop)
        .user("restarts, their waits, and a stop in between", life::restart)
        .user("SIGTERM to the supervisor stops the container", life::terminated)
        .user("health checks: the verdict, the timeout, what they say", life::health)
        .user("memory that ran out, pause, helpers, unknown requests", life::odds)
        .run();
}
