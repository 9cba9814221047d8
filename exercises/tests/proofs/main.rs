//! For every exercise: the starter compiles and fails its own checks alone, the solution passes, wrong solutions are
//! rejected with a message that helps, and the verdict is the same ten times in a row.

mod proof;

use exercises::catalog;
use harness::Suite;

fn main() {
    let all = catalog::load().unwrap_or_else(|error| panic!("{error}"));
    let suite = Suite::new().user("the starters are what the sources make", proof::up_to_date);
    let suite = all.into_iter().fold(suite, |suite, exercise| {
        let title = format!("{} {}", exercise.lab(), exercise.name);
        let in_vm = exercise.about.needs.iter().any(|need| need == "cgroup2");
        let needs: Vec<&'static str> =
            exercise.about.needs.iter().filter(|need| *need != "cgroup2").map(|need| &*need.clone().leak()).collect();
        let test = move || proof::holds(&exercise);
        let suite = if in_vm { suite.vm(title, test) } else { suite.user(title, test).needs(&["userns"]) };
        suite.needs(&needs)
    });
    suite.run();
}
