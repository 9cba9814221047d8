//! Credential helpers: programs that keep passwords in a keychain (docker/docker-credential-helpers, README).

use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use process::{Error, OrCall, Result, explain};

use super::credentials::Credentials;

/// A keychain may ask its owner something; nobody waits longer than this.
const PATIENCE: Duration = Duration::from_secs(60);
/// No password is longer.
const LONGEST: u64 = 64 << 10;

/// Asks `docker-credential-NAME get` for the credentials of `server`.
///
/// # Errors
/// There is no such program, or it fails in another way than by having none.
pub fn ask(name: &str, server: &str) -> Result<Option<Credentials>> {
    let program = format!("docker-credential-{name}");
    if name.is_empty() || name.contains('/') {
        return Err(
            Error::invalid(format!("{name:?} is no credential helper's name")).help("see ~/.docker/config.json")
        );
    }
    let mut command = Command::new(&program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = match command.spawn() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Error::not_found(format!("the credential helper {program} is not installed"))
                .help("install it, or take it out of ~/.docker/config.json (credsStore, credHelpers)"));
        }
        child => child.or_call("execve", &program)?,
    };
    explain!(7, "the password of a registry, from a keychain", "execve({program}, [get]) = {}", child.id());
    let text = talk(&mut child, &program, server);
    if text.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().or_call("wait4", &program)?;
    understood(&program, &text?, status.success())
}

/// Writes the server's name, reads the answer. The reader is a thread, so that a dumb helper can be given up.
fn talk(child: &mut Child, program: &str, server: &str) -> Result<String> {
    let (input, output) = (child.stdin.take(), child.stdout.take());
    if let Some(mut input) = input {
        // A helper which knows nothing may go before it has read the question.
        match input.write_all(format!("{server}\n").as_bytes()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            written => written.or_call("write", program)?,
        }
    }
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = output.map_or(Ok(0), |output| output.take(LONGEST).read_to_string(&mut text));
        let _ = send.send(read.map(|_| text));
    });
    let start = Instant::now();
    match receive.recv_timeout(PATIENCE) {
        Ok(text) => text.or_call("read", program),
        Err(_) => Err(Error::unsupported(format!("{program} said nothing for {:.0?}", start.elapsed()))
            .help("does it wait for somebody to unlock a keychain?")),
    }
}

/// `{"ServerURL":…,"Username":…,"Secret":…}`, or a word of regret and an exit status of 1.
fn understood(program: &str, text: &str, success: bool) -> Result<Option<Credentials>> {
    if !success {
        let said = text.trim();
        return if said.contains("credentials not found") {
            Ok(None)
        } else {
            let said: String = said.chars().filter(|one| !one.is_control()).take(200).collect();
            Err(Error::unsupported(format!("{program} failed: {said}")).help("try it by hand: echo SERVER | it get"))
        };
    }
    let json: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let field = |name: &str| json.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    match (field("Username"), field("Secret")) {
        // So Docker marks a token that stands for a login (cli, config/credentials/native_store.go).
        (Some(user), Some(token)) if user == "<token>" => Ok(Some(Credentials::Identity(token))),
        (Some(user), Some(password)) => Ok(Some(Credentials::Password { user, password })),
        _ => Err(Error::invalid(format!("{program} answered without Username and Secret"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helpers_words_are_understood() {
        let heard = |text, success| understood("x", text, success);
        let found = heard(r#"{"ServerURL":"r","Username":"ada","Secret":"s"}"#, true).unwrap().unwrap();
        assert_eq!(found, Credentials::Password { user: "ada".into(), password: "s".into() });
        let token = heard(r#"{"Username":"<token>","Secret":"t"}"#, true).unwrap().unwrap();
        assert_eq!(token, Credentials::Identity("t".into()));
        assert_eq!(heard("credentials not found in native keychain\n", false).unwrap(), None);
        assert!(heard("locked\u{1b}[31m", false).unwrap_err().what().ends_with("failed: locked[31m"));
        assert!(heard("rubbish", true).is_err());
        assert!(ask("no-such-helper", "r").unwrap_err().what().contains("not installed"));
        assert!(ask("../x", "r").is_err());
    }
}
