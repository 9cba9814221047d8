//! Where attacks are tried: a sandbox, this program in it, and containers that have it at /attack.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use harness::{Background, Outcome, Run, Sandbox};

/// What no container may read.
pub const SECRET: &str = "of the host";

/// The place of one test.
pub struct Place {
    /// Its directories.
    pub sandbox: Sandbox,
    /// This program, where everybody may run it.
    pub attacker: PathBuf,
    /// A file of the host's with [`SECRET`] in it.
    pub secret: String,
}

/// One attack, as it must end.
pub struct Case {
    /// The attack, as [`act`](crate::act) names it.
    pub attack: &'static str,
    /// What the kernel says to a container by default; alternatives are divided by `|`.
    pub held: &'static str,
    /// The options that take the defence away.
    pub without: &'static [&'static str],
    /// How far the attack gets then: root's container.
    pub root: &'static str,
    /// And that of an ordinary user. Empty: not tried.
    pub ordinary: &'static str,
}

impl Place {
    /// Puts this program and the secret into the sandbox.
    pub fn new(sandbox: Sandbox) -> Outcome<Self> {
        let attacker = sandbox.path().join("attacker");
        fs::copy(std::env::current_exe()?, &attacker)?;
        fs::set_permissions(&attacker, PermissionsExt::from_mode(0o755))?;
        let secret = sandbox.file("secret", SECRET)?.display().to_string();
        Ok(Self { sandbox, attacker, secret })
    }

    /// Is it the engine of an ordinary user?
    pub fn is_ordinary(&self) -> bool {
        self.sandbox.user().is_some()
    }

    /// The engine. `COOPER_ESCAPES_STEP` has another chapter's tried: what holds here must hold there too.
    pub fn engine(&self) -> Run {
        self.sandbox.step(step())
    }

    /// Where the engine's program is, for whoever has it started by another program.
    pub fn engine_file(&self) -> Outcome<PathBuf> {
        let copy = self.sandbox.path().join(format!("step{:02}", step()));
        if !copy.exists() {
            fs::copy(harness::step(step())?, &copy)?;
            fs::set_permissions(&copy, PermissionsExt::from_mode(0o755))?;
        }
        Ok(copy)
    }

    /// A container with `options` that runs `command`.
    pub fn container(&self, options: &[&str], command: &[&str]) -> Run {
        let volume = format!("{}:/attack:ro", self.attacker.display());
        let network = options.contains(&"--network");
        let run = self.engine().args(["run", "--rm", "-v", &volume]);
        let run = if network { run } else { run.args(["--network", "none"]) };
        run.args(options).arg("host").args(command)
    }

    /// What a shell says in a container.
    pub fn inside(&self, options: &[&str], script: &str) -> Outcome<String> {
        Ok(self.container(options, &["sh", "-c", script]).run()?.ok()?.stdout)
    }

    /// How each attack ends in a container with `options`.
    pub fn tries(&self, options: &[&str], attacks: &[&str]) -> Outcome<Vec<String>> {
        let command = [&["/attack", "act"], attacks].concat();
        ends(&self.container(options, &command).run()?.ok()?.stdout, attacks)
    }

    /// The same, of a program that is executed in a running container.
    pub fn tries_beside(&self, name: &str, options: &[&str], attacks: &[&str]) -> Outcome<Vec<String>> {
        let run = self.engine().arg("exec").args(options).args([name, "/attack", "act"]).args(attacks);
        ends(&run.run()?.ok()?.stdout, attacks)
    }

    /// The same, of a program on the host that whoever has the engine starts.
    pub fn tries_outside(&self, attacks: &[&str]) -> Outcome<Vec<String>> {
        ends(&self.sandbox.program(&self.attacker).arg("act").args(attacks).run()?.ok()?.stdout, attacks)
    }

    /// A container called `name` that waits for its end.
    pub fn idle(&self, name: &str, options: &[&str]) -> Outcome<Background> {
        let script = "trap 'exit 0' TERM; echo ready; sleep 1000 & wait";
        let mut running = self.container(&[&["--name", name], options].concat(), &["sh", "-c", script]).spawn()?;
        running.says("ready")?;
        Ok(running)
    }

    /// Ends it, and waits until its engine has undone everything.
    pub fn end(&self, name: &str, running: Background) -> Outcome {
        self.engine().args(["exec", name, "sh", "-c", "kill -TERM 1"]).run()?;
        running.wait()?;
        Ok(())
    }

    /// Tries all cases: with the defence, and with each that can be taken away taken away.
    pub fn hold(&self, cases: &[Case]) -> Outcome {
        let mut wrong = Vec::new();
        let mut check = |options: &[&str], cases: &[(&str, &str)]| -> Outcome {
            let attacks: Vec<_> = cases.iter().map(|(attack, _)| *attack).collect();
            for ((attack, wanted), end) in cases.iter().zip(self.tries(options, &attacks)?) {
                if !wanted.split('|').any(|one| one == end) {
                    wrong.push(format!("{attack} {options:?}: {end}, not {wanted}"));
                }
            }
            Ok(())
        };
        check(&[], &cases.iter().map(|case| (case.attack, case.held)).collect::<Vec<_>>())?;
        let mut options: Vec<_> = cases.iter().map(|case| case.without).collect();
        options.sort();
        options.dedup();
        for without in options {
            let open = cases.iter().filter(|case| case.without == without);
            let open = open.map(|case| (case.attack, if self.is_ordinary() { case.ordinary } else { case.root }));
            let open: Vec<_> = open.filter(|(_, wanted)| !wanted.is_empty()).collect();
            if !open.is_empty() {
                check(without, &open)?;
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
    }
}

/// The chapter whose program is tried.
pub fn step() -> u8 {
    std::env::var("COOPER_ESCAPES_STEP").ok().and_then(|step| step.parse().ok()).unwrap_or(9)
}

/// The lines of `act`, each without its attack's name.
pub fn ends(said: &str, attacks: &[&str]) -> Outcome<Vec<String>> {
    let lines: Vec<_> = said.lines().collect();
    if lines.len() != attacks.len() {
        return Err(format!("{} lines for {} attacks:\n{said}", lines.len(), attacks.len()).into());
    }
    let end = |(line, attack): (&&str, &&str)| {
        line.strip_prefix(attack).and_then(|rest| rest.strip_prefix(": ")).map(str::to_owned)
    };
    lines
        .iter()
        .zip(attacks)
        .map(|pair| end(pair).ok_or_else(|| format!("{:?} is not about {:?}", pair.0, pair.1).into()))
        .collect()
}

/// The options that mount `path` of the host at `place`.
pub fn volume(path: &Path, place: &str) -> String {
    format!("{}:{place}", path.display())
}
