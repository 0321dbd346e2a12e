//! Ends what this program leaves behind if it is killed: a shell that waits for the end of a pipe.
//!
//! The pipe ends with this program, however that happens. In an orderly end nothing is left to do.

use std::fmt;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Reads which process groups and folders there are, and clears what is left of them at the end.
const SCRIPT: &str = r#"
groups=' '
while read -r what name; do
    case $what in
    folder) set -- "$@" "$name" ;;
    group) groups="$groups$name " ;;
    ended) groups="${groups%%" $name "*} ${groups#*" $name "}" ;;
    esac
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
# A process that is being killed may still write.
for folder; do rm -rf -- "$folder" || { sleep 1; rm -rf -- "$folder"; }; done
"#;

static WARDEN: Mutex<Option<Child>> = Mutex::new(None);

/// A process group is there.
pub(super) fn group(id: i32) {
    tell("group", &id);
}

/// A process group has ended, so that its number may become another's.
pub(super) fn ended(id: i32) {
    tell("ended", &id);
}

/// A folder is there. A removed one does no harm: its name is never used again.
pub(super) fn folder(path: &Path) {
    tell("folder", &path.display());
}

fn tell(what: &str, name: &dyn fmt::Display) {
    let mut warden = WARDEN.lock().unwrap_or_else(PoisonError::into_inner);
    let told = match &mut *warden {
        Some(warden) => write(warden, what, name),
        None => start().and_then(|started| write(warden.insert(started), what, name)),
    };
    if let Err(error) = told {
        tracing::warn!(%error, "servers may outlive this program if it is killed");
    }
}

fn start() -> io::Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", SCRIPT, "s2spec-warden"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C is not for it.
        .process_group(0)
        .spawn()
}

fn write(warden: &mut Child, what: &str, name: &dyn fmt::Display) -> io::Result<()> {
    let pipe = warden.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
    pipe.write_all(format!("{what} {name}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn is_alive(group: &Child) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", group.id()));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    }

    fn sleeper() -> Child {
        Command::new("sleep")
            .arg("60")
            .process_group(0)
            .spawn()
            .expect("a shell has `sleep`")
    }

    #[test]
    fn what_is_left_at_the_end_is_cleared() {
        let folder = tempfile::Builder::new()
            .prefix("s2spec with blanks ")
            .tempdir()
            .expect("a folder");
        std::fs::write(folder.path().join("file"), "x").expect("it is ours");
        let (mut left, mut other, mut ended) = (sleeper(), sleeper(), sleeper());
        let mut warden = start().expect("a shell");
        for group in [&left, &ended, &other] {
            write(&mut warden, "group", &group.id()).expect("it reads");
        }
        write(&mut warden, "ended", &ended.id()).expect("it reads");
        write(&mut warden, "folder", &folder.path().display()).expect("it reads");
        assert!(is_alive(&left) && is_alive(&other));
        // Waiting closes the pipe first.
        assert!(warden.wait().expect("a child").success());
        let begin = Instant::now();
        while is_alive(&left) || is_alive(&other) {
            assert!(begin.elapsed() < Duration::from_secs(5), "they live on");
            std::thread::yield_now();
        }
        assert!(is_alive(&ended), "its number is another's by now");
        assert!(!folder.path().exists());
        ended.kill().expect("ours");
        for child in [&mut left, &mut other, &mut ended] {
            child.wait().expect("a child");
        }
    }
}
