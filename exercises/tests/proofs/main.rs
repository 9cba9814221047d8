//! For every exercise: the starter compiles and fails its own checks alone, the solution passes, wrong solutions are
//! rejected with a message that helps, and the verdict is the same ten times in a row.

mod beforehand;
mod proof;

use exercises::catalog;
use harness::Suite;

fn main() {
    let all = catalog::load().unwrap_or_else(|error| panic!("{error}"));
    if std::env::args().nth(1).as_deref() == Some(harness::VM_LIST) {
        beforehand::compile(&all);
    }
    let suite = Suite::new().user("the starters are what the sources make", proof::up_to_date);
    let suite = all.into_iter().fold(suite, |suite, exercise| {
        let title = format!("{} {}", exercise.lab(), exercise.name);
        let in_vm = beforehand::is_for_vm(&exercise);
        let needs: Vec<&'static str> =
            exercise.about.needs.iter().filter(|need| *need != "cgroup2").map(|need| &*need.clone().leak()).collect();
        let test = move || proof::holds(&exercise);
        let suite = if in_vm { suite.vm(title, test) } else { suite.user(title, test).needs(&["userns"]) };
        suite.needs(&needs)
    });
    suite.run();
}
