//! The grader: honest work gets its points, every time; attacks get none, and harm nothing.

mod attacks;
mod class;
mod compiling;
mod files;
mod hidden;
mod reports;

use harness::Suite;

fn main() {
    Suite::new()
        .user("thirty submissions by one command, each with its points", reports::thirty)
        .needs(&["userns"])
        .user("ten gradings of one submission give one score", reports::ten_times)
        .needs(&["userns"])
        .user("reports that parse, with messages and without formulas", reports::documents)
        .needs(&["userns"])
        .user("what cannot be graded is named, and the others are graded", reports::missing)
        .needs(&["userns"])
        .user("a bad command line is refused before anything is done", reports::usage)
        .user("a skip is named, and is never points", reports::skips)
        .needs(&["userns"])
        .user("Ctrl-C ends everything and leaves nothing", reports::interrupted)
        .needs(&["userns"])
        .user("programs that attack score 0 and harm nothing", attacks::programs)
        .needs(&["userns"])
        .user("bombs cost nobody else points", attacks::bombs)
        .needs(&["userns"])
        .user("sources that attack the compiler score 0 and harm nothing", compiling::sources)
        .needs(&["userns"])
        .user("files that are none, and files besides, change nothing", files::refused)
        .needs(&["userns"])
        .user("a program that does nothing earns nothing in any exercise", attacks::nothing)
        .needs(&["userns"])
        .user("hidden tests", hidden::tests)
        .needs(&["userns"])
        .user("hidden tests have limits as well", hidden::limits)
        .needs(&["userns"])
        .run();
}
