//! The engine's commands, each in every state of a container's life: what it does, what it prints, what it refuses.
//! As root and as an ordinary user.

mod cp;
mod events;
mod inspect;
mod life;
mod networks;
mod refusals;
mod site;

use harness::{Outcome, Sandbox, Suite};

use site::Site;

fn main() {
    let mut suite = Suite::new();
    for (name, test) in [
        ("a container's life, command by command", life::commands as fn(&Site) -> Outcome),
        ("several containers: the others go on, and each is told", life::several),
        ("names, ids and beginnings of ids", life::names),
        ("rename, also while it runs", life::rename),
        ("start -a and attach: output and exit code", life::attached),
        ("kill -9 of the supervisor: the next command tells the truth", life::killed),
        ("kill -9 and --rm: the container is gone", life::killed_rm),
        ("rm -v, rm -f and prune", life::removal),
        ("update is kept for the next start", life::update),
        ("top, port, diff", life::looks),
        ("exec needs a container that runs", life::exec),
        ("every refused transition, in its words and with the way out", refusals::all),
        ("states that only a crash leaves: removing and dead", refusals::crashed),
        ("a container between two runs", refusals::restarting),
        ("ps: columns, formats, filters", inspect::ps),
        ("inspect has Docker's fields", inspect::shape),
        ("a health check is there from the start", inspect::health),
        ("inspect --format", inspect::format),
        ("inspect knows images and volumes", inspect::others),
        ("events come in order, and are told apart", events::order),
        ("events are followed", events::follow),
        ("cp: Docker's rules for files and directories", cp::rules),
        ("cp: owners, modes, links, times", cp::attributes),
        ("cp: archives on standard input and output", cp::streams),
        ("cp: volumes and binds, running or not", cp::mounts),
        ("cp: links, dots and /proc lead nowhere", cp::escapes),
        ("cp: an archive that wants out", cp::hostile),
        ("cp: a container that swaps a directory for a link, 200 tries", cp::race),
    ] {
        suite = suite
            .root(format!("{name} (root)"), move || test(&Site::new(Sandbox::new()?)))
            .user(format!("{name} (ordinary user)"), move || test(&Site::new(Sandbox::ordinary()?)))
            .needs(&["userns"]);
    }
    let site = || Sandbox::new().map(Site::new);
    let ordinary = || Sandbox::ordinary().map(Site::new);
    suite = suite
        .root("networks of a container that is kept", move || networks::kept(&site()?))
        .needs(&["nft"])
        .root("networks of a container that is kept (ordinary user)", move || networks::kept(&ordinary()?))
        .needs(&["nft", "pasta", "userns", "subuid", "tun"]);
    suite
        .root("pause, unpause, and what a paused container refuses", move || refusals::paused(&site()?))
        .vm("pause where there are controllers", move || refusals::paused(&site()?))
        .vm("update changes what runs", move || life::limits(&site()?))
        .run()
}
