//! The end of a program, and what follows.

use std::time::{Duration, Instant};

use harness::Outcome;
use lifecycle::state::{HealthStatus, State, Status};
use lifecycle::supervisor::control::Request;
use lifecycle::supervisor::health::Settings;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::shim::{Shim, until};
use crate::stub::Spec;

pub fn exit() -> Outcome {
    let mut shim = Shim::new(&Spec::shell("exit 7"))?;
    let early = shim.client()?;
    early.send(&Request::Wait, None)?;
    shim.go()?;
    let answer = early.receive()?.ok_or("no answer")?;
    assert_eq!((answer.op.as_ref(), answer.exit_code, answer.restarting), ("wait", Some(7), Some(false)));
    let state = shim.end()?;
    assert_eq!((state.status, state.exit_code, state.pid), (Status::Exited, 7, 0));
    assert!(state.started_at < state.finished_at);
    assert!(shim.events()?.contains(r#""action":"die""#) && shim.events()?.contains(r#""exitCode":"7""#));
    assert!(shim.client().is_err(), "nobody listens any more");

    let mut shim = Shim::start(&Spec::shell("exec sleep 100"))?;
    assert!(shim.ask(&Request::Signal { signal: 9 })?.ok);
    let state = shim.end()?;
    assert_eq!((state.exit_code, state.manually_stopped), (137, true));
    Ok(())
}

pub fn stop() -> Outcome {
    let mut spec = Spec::shell("trap 'echo term; exit 5' TERM; echo up; while :; do sleep 0.05; done");
    spec.restart = "always".into();
    let mut shim = Shim::start(&spec)?;
    until("its start", || Ok(!shim.log()?.is_empty()))?;
    let answer = shim.ask(&Request::Stop { signal: None, timeout_ms: None })?;
    assert_eq!(answer.exit_code, Some(5));
    let state = shim.end()?;
    assert_eq!((state.status, state.manually_stopped, state.restart_count), (Status::Exited, true, 0));

    let mut shim = Shim::start(&Spec::shell("trap '' TERM; echo up; while :; do sleep 0.05; done"))?;
    until("its start", || Ok(!shim.log()?.is_empty()))?;
    let begin = Instant::now();
    let answer = shim.ask(&Request::Stop { signal: None, timeout_ms: Some(400) })?;
    assert_eq!(answer.exit_code, Some(137));
    assert!((350..2000).contains(&begin.elapsed().as_millis()), "{:?}", begin.elapsed());
    shim.end()?;
    Ok(())
}

pub fn restart() -> Outcome {
    let mut spec = Spec::shell("echo life; exit 1");
    spec.restart = "on-failure:2".into();
    let mut shim = Shim::start(&spec)?;
    let begin = Instant::now();
    let follower = shim.logs(&["-f"])?.spawn()?;
    let state = shim.end()?;
    assert_eq!((state.status, state.restart_count, state.exit_code), (Status::Exited, 2, 1));
    assert_eq!(shim.life()?, "start restart restart ended");
    assert!(begin.elapsed() >= Duration::from_millis(300), "100 ms, then 200 ms");
    assert_eq!(follower.wait()?.ok()?.stdout, "life\n".repeat(3), "logs -f goes on over restarts");

    spec.restart = "always".into();
    let mut shim = Shim::start(&spec)?;
    until("a long wait", || Ok(State::read(shim.path()).is_ok_and(|state| state.back_off_ms >= 800)))?;
    let state = shim.until(Status::Restarting)?;
    assert!(state.restart_count >= 4 && state.exit_code == 1);
    let refused = shim.ask(&Request::Signal { signal: 15 }).err().ok_or("a signal to nobody")?;
    assert!(refused.message().unwrap_or_default().contains("restarted"));
    let begin = Instant::now();
    let answer = shim.ask(&Request::Stop { signal: None, timeout_ms: None })?;
    assert_eq!(answer.exit_code, Some(1));
    let state = shim.end()?;
    assert!(begin.elapsed() < Duration::from_millis(500), "the stop does not wait");
    assert_eq!((state.status, state.manually_stopped), (Status::Exited, true));
    assert!(shim.life()?.ends_with(" ended"));

    let mut spec = Spec::shell("sleep 0.3; exit 1");
    spec.restart = "always".into();
    let mut shim = Shim::start(&spec)?;
    assert!(shim.ask(&Request::Update { restart: "no".parse()? })?.ok);
    assert_eq!(shim.end()?.restart_count, 0, "another policy");
    Ok(())
}

pub fn terminated() -> Outcome {
    let mut spec = Spec::shell("trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done");
    spec.restart = "always".into();
    let mut shim = Shim::start(&spec)?;
    until("its start", || Ok(!shim.log()?.is_empty()))?;
    kill(Pid::from_raw(shim.pid()), Signal::SIGTERM)?;
    let state = shim.end()?;
    assert_eq!((state.exit_code, state.status, state.manually_stopped), (5, Status::Exited, false));
    Ok(())
}

pub fn health() -> Outcome {
    let mut spec = Spec::shell("exec sleep 100");
    let dir = tempfile::tempdir()?;
    let (well, stuck) = (dir.path().join("well"), dir.path().join("stuck"));
    let script = format!(
        "test -e {} && exec sleep 50; head -c 10000 /dev/zero | tr '\\0' x; echo >&2; test -e {}",
        stuck.display(),
        well.display()
    );
    let settings = Settings::new(["sh", "-c", &script].map(str::to_owned).to_vec());
    spec.health = Some(Settings { interval_ms: 50, timeout_ms: 300, retries: 2, ..settings });
    let mut shim = Shim::start(&spec)?;
    let verdict = |status| {
        let is_so = || Ok(State::read(shim.path())?.health.is_some_and(|health| health.status == status));
        until(status.name(), is_so)
    };
    shim.until(Status::Running)?;
    verdict(HealthStatus::Unhealthy)?;
    let health = State::read(shim.path())?.health.ok_or("no health")?;
    assert!(health.failing_streak >= 2 && health.log[0].exit_code == 1);
    assert_eq!(health.log[0].output, "x".repeat(4096) + "...");
    std::fs::write(&well, "")?;
    verdict(HealthStatus::Healthy)?;
    std::fs::write(&stuck, "")?;
    verdict(HealthStatus::Unhealthy)?;
    let health = shim.ask(&Request::State)?.state.and_then(|state| state.health).ok_or("no health")?;
    let last = health.log.last().ok_or("no check")?;
    assert_eq!((last.exit_code, last.output.as_str()), (-1, "Health check exceeded timeout (300ms)"));
    assert_eq!(health.log.len(), 5);
    let events = shim.events()?;
    let told: Vec<_> =
        events.lines().filter_map(|line| line.split("health_status: ").nth(1)?.split('"').next()).collect();
    assert_eq!(told, ["unhealthy", "healthy", "unhealthy"]);
    shim.ask(&Request::Stop { signal: Some(9), timeout_ms: None })?;
    shim.end()?;
    Ok(())
}

pub fn odds() -> Outcome {
    let group = tempfile::tempdir()?;
    std::fs::write(group.path().join("memory.events"), "oom 1\noom_kill 1\n")?;
    let mut spec = Spec::shell("exec sleep 100");
    (spec.cgroup, spec.helper) = (Some(group.path().to_owned()), true);
    let mut shim = Shim::start(&spec)?;
    assert!(shim.ask(&Request::Pause)?.ok);
    assert_eq!(std::fs::read_to_string(group.path().join("cgroup.freeze"))?, "1");
    shim.until(Status::Paused)?;
    assert!(shim.ask(&Request::Pause).is_err());
    assert!(shim.ask(&Request::Unpause)?.ok);
    shim.until(Status::Running)?;
    assert!(shim.ask(&Request::Resize { rows: 1, cols: 1 }).is_err());
    let client = shim.client()?;
    client.send(&Request::Attach { stdin: false, stdout: true, stderr: true, patience_ms: None }, None)?;
    assert!(client.receive()?.is_some_and(|answer| answer.error.is_some()));
    for rubbish in [&b"{"[..], b"{\"op\":\"dance\"}", b"\xff"] {
        use std::os::fd::AsFd;
        lifecycle::supervisor::control::send(client.as_fd(), rubbish, None, nix::sys::socket::MsgFlags::empty())?;
        assert!(client.receive()?.is_some_and(|answer| answer.error.is_some_and(|text| text.contains("understand"))));
    }
    // 100 clients, and the memory stays small.
    let clients: Vec<_> = (0..100).map(|_| shim.client()).collect::<Outcome<_>>()?;
    let streams: Vec<_> = clients.iter().map(|client| shim.attach(client, None)).collect::<Outcome<_>>()?;
    assert!(shim.ask(&Request::State)?.ok);
    shim.is_small()?;
    drop((clients, streams));
    let helper = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", shim.pid()))?;
    assert_eq!(helper.split_whitespace().count(), 2);
    shim.ask(&Request::Stop { signal: Some(9), timeout_ms: None })?;
    let state = shim.end()?;
    assert!(state.oom_killed && shim.events()?.contains(r#""action":"oom""#));
    for pid in helper.split_whitespace() {
        assert!(!std::path::Path::new("/proc").join(pid).exists(), "{pid} is left");
    }
    Ok(())
}
