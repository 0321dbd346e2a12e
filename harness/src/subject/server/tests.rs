use std::path::Path;

use super::*;
use crate::subject::port::free_address;

/// A shell in place of a built-in server. It notes down what a test wants to know of it.
struct Shell {
    launch: Launch,
    notes: TempDir,
}

fn shell(script: &str, ready: &[&str], ends_with_input: bool) -> Shell {
    let folder = tempfile::tempdir().expect("a folder");
    let notes = tempfile::tempdir().expect("another");
    let path = notes.path().display().to_string();
    let launch = Launch {
        start: Some(Call {
            purpose: "start",
            command: ["sh", "-c", script].map(str::to_owned).into(),
            folder: folder.path().to_owned(),
            environment: vec![("NOTES".to_owned(), path)],
            timeout: Duration::from_secs(5),
        }),
        ready: ready.iter().map(|&mark| mark.to_owned()).collect(),
        ports: Vec::new(),
        stop: None,
        stop_timeout: Duration::from_secs(2),
        logs: Vec::new(),
        timeout: Duration::ZERO,
        ours: Some(Ours {
            folder,
            ends_with_input,
        }),
    };
    Shell { launch, notes }
}

impl Shell {
    fn folder(&self) -> PathBuf {
        let ours = self.launch.ours.as_ref().expect("a shell is ours");
        ours.folder.path().to_owned()
    }

    async fn refusal(self) -> (String, TempDir) {
        let error = self.launch.run().await.err();
        (error.expect("it is not ready").to_string(), self.notes)
    }
}

/// A server that its start command leaves in the background and that never listens. Its stop
/// command notes down that it ran.
fn daemon(port: SocketAddr) -> Shell {
    let Shell { mut launch, notes } = shell("echo starting in the background", &[], false);
    let start = launch.start.as_mut().expect("a shell is started");
    start.timeout = Duration::from_millis(300);
    start.folder = notes.path().to_owned();
    let script = "echo stopped > $NOTES/new; mv $NOTES/new $NOTES/stopped";
    launch.stop = Some(Call {
        purpose: "stop",
        command: ["sh", "-c", script].map(str::to_owned).into(),
        timeout: Duration::from_secs(5),
        ..start.clone()
    });
    launch.ours = None;
    launch.ports = vec![port];
    Shell { launch, notes }
}

/// Whether the process that noted its number runs.
fn runs(notes: &Path) -> bool {
    let pid = std::fs::read_to_string(notes.join("pid")).expect("the script wrote it");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn a_server_is_ready_once_it_has_said_everything_and_ends_with_its_input() {
    let script = "echo $$ > $NOTES/pid; echo on port 1; echo on port 2 >&2; cat; \
                  echo bye > $NOTES/end";
    let shell = shell(script, &["port 1", "port 2"], true);
    let (folder, notes) = (shell.folder(), shell.notes.path());
    let server = shell.launch.run().await.expect("it starts");
    assert!(runs(notes));
    server.stop().await.expect("nothing can fail");
    assert!(!runs(notes));
    assert!(notes.join("end").exists(), "it ended by itself");
    assert!(!folder.exists(), "nothing is left behind");
}

#[tokio::test]
async fn a_server_that_does_not_listen_is_killed() {
    let script = "trap '' TERM; echo $$ > $NOTES/pid; echo ready; while :; do sleep 60; done";
    for ends_with_input in [true, false] {
        let mut shell = shell(script, &["ready"], ends_with_input);
        shell.launch.stop_timeout = Duration::from_millis(100);
        let (folder, notes) = (shell.folder(), shell.notes.path());
        let server = shell.launch.run().await.expect("it starts");
        assert!(runs(notes));
        server.stop().await.expect("nothing can fail");
        assert!(!runs(notes));
        assert!(!folder.exists(), "nothing is left behind");
    }
}

#[tokio::test]
async fn nothing_that_a_server_started_outlives_it() {
    let script = "(trap '' TERM; exec sh -c \
                  'echo $$ > $NOTES/new; mv $NOTES/new $NOTES/pid; \
                  while :; do i=x$i; : > file-${#i}; done') & \
                  while ! test -e $NOTES/pid; do :; done; echo ready; wait";
    let shell = shell(script, &["ready"], false);
    let (folder, notes) = (shell.folder(), shell.notes.path());
    let server = shell.launch.run().await.expect("it starts");
    assert!(runs(notes));
    server.stop().await.expect("nothing can fail");
    assert!(!runs(notes));
    assert!(!folder.exists(), "nobody writes to it any more");
}

#[tokio::test]
async fn a_server_that_ends_at_its_start_is_told_with_its_last_error() {
    let script = "echo error: the port is taken; echo bye; exit 3";
    let (why, _) = shell(script, &["ready"], false).refusal().await;
    let end = "failed with exit status: 3: error: the port is taken";
    assert!(why.ends_with(end), "{why}");
    let (why, _) = shell("echo bye", &["ready"], false).refusal().await;
    assert!(why.ends_with("failed with exit status: 0: bye"), "{why}");
}

#[tokio::test]
async fn a_server_that_never_gets_ready_is_ended() {
    let script = "echo $$ > $NOTES/pid; exec tail -f /dev/null";
    let mut shell = shell(script, &["ready"], false);
    let start = shell.launch.start.as_mut().expect("a shell is started");
    start.timeout = Duration::from_millis(300);
    let (why, notes) = shell.refusal().await;
    assert_eq!(
        why,
        "the server was not ready within 0.3 s: its output has no line with \"ready\" \
         (it wrote nothing)"
    );
    assert!(!runs(notes.path()));
}

#[tokio::test]
async fn a_daemon_that_does_not_answer_is_stopped() {
    let port = free_address().expect("a port");
    let (why, notes) = daemon(port).refusal().await;
    assert_eq!(
        why,
        format!(
            "the server was not ready within 0.3 s: nothing answers at {port}: starting in the \
             background"
        )
    );
    assert!(notes.path().join("stopped").exists());
}

#[tokio::test]
async fn a_stop_command_that_fails_is_told() {
    let failing = |port| {
        let mut shell = daemon(port);
        let stop = shell.launch.stop.as_mut().expect("a daemon has one");
        stop.command = ["sh", "-c", "echo no such server; exit 3"]
            .map(str::to_owned)
            .into();
        shell
    };
    let end = "failed with exit status: 3: no such server";
    let port = free_address().expect("a port");
    let (why, _) = failing(port).refusal().await;
    let not_ready = "the server was not ready within 0.3 s: ";
    assert!(why.starts_with(not_ready) && why.ends_with(end), "{why}");

    let mut shell = failing(port);
    shell.launch.ports.clear();
    let server = shell.launch.run().await.expect("it starts");
    let error = server.stop().await.expect_err("its command fails");
    assert!(error.to_string().ends_with(end), "{error}");
}

#[tokio::test]
async fn a_daemon_that_is_dropped_is_stopped() {
    let mut shell = daemon(free_address().expect("a port"));
    shell.launch.ports.clear();
    drop(shell.launch.run().await.expect("it starts"));
    let stopped = shell.notes.path().join("stopped");
    let noted = async {
        while !stopped.exists() {
            sleep_until(Instant::now() + LOOK).await;
        }
    };
    let noted = timeout(Duration::from_secs(10), noted).await;
    assert!(noted.is_ok(), "the stop command ran");
}

#[tokio::test]
async fn a_server_that_cannot_be_used_is_ended_with_the_reason() {
    let why = "its port is closed";
    let script = "echo $$ > $NOTES/pid; echo ready; exec tail -f /dev/null";
    let kept = shell(script, &["ready"], false);
    let server = kept.launch.run().await.expect("it starts");
    assert_eq!(server.give_up(why.to_owned()).await.to_string(), why);
    assert!(!runs(kept.notes.path()));

    let script = "echo ready; while ! test -e go; do :; done; echo fatal error; exit 2";
    let gone = shell(script, &["ready"], false);
    let go = gone.folder().join("go");
    let mut server = gone.launch.run().await.expect("it starts");
    std::fs::write(go, "").expect("the folder is there");
    let ended = server.ended.as_mut().expect("it has a process");
    ended
        .wait_for(Option::is_some)
        .await
        .expect("it is watched");
    assert_eq!(
        server.give_up(why.to_owned()).await.to_string(),
        "the server ended right after its start: exit status: 2: fatal error"
    );
}
