//! The state file: contact lists and subscriptions as JSON, replaced as a whole.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tokio::sync::mpsc;

use crate::address::{AddressError, Bare};
use crate::event::Event;
use crate::roster::{Entry, Roster};

/// The format that this program writes and reads.
const VERSION: u32 = 1;

/// A state file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be read.
    #[error("could not read the state file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// It is not what this program writes.
    #[error("the state file {} cannot be used; move it away to start without it", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    version: u32,
    users: BTreeMap<String, BTreeMap<String, Entry>>,
}

#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("its version is {0}, expected {VERSION}")]
    Version(u32),
    #[error("`{0}` is no address")]
    Address(String, #[source] AddressError),
}

/// Reads the state file. Without the file nothing was saved yet.
///
/// # Errors
/// [`StoreError`] if there is a file that is not of this program.
pub fn load(path: &Path) -> Result<Roster, StoreError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Roster::default()),
        Err(source) => {
            return Err(StoreError::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    parse(&text).map_err(|source| StoreError::Unusable {
        path: path.to_owned(),
        source,
    })
}

fn parse(text: &str) -> Result<Roster, Box<dyn std::error::Error + Send + Sync>> {
    let Saved { version, users } = serde_json::from_str(text)?;
    if version != VERSION {
        return Err(Unusable::Version(version).into());
    }
    let mut roster = Roster::default();
    for (user, contacts) in users {
        let user = Bare::user(&user).map_err(|why| Unusable::Address(user, why))?;
        for (contact, entry) in contacts {
            let contact = Bare::contact(&contact).map_err(|why| Unusable::Address(contact, why))?;
            roster.put(&user, &contact, entry);
        }
    }
    Ok(roster)
}

/// Replaces the state file: it is the old one or the new one, never a part of it.
pub(crate) fn save(path: &Path, roster: &Roster) -> io::Result<()> {
    let mut users: BTreeMap<String, BTreeMap<String, Entry>> = BTreeMap::new();
    for (user, contact, entry) in roster.all() {
        let contacts = users.entry(user.to_string()).or_default();
        contacts.insert(contact.to_string(), entry.clone());
    }
    let saved = Saved {
        version: VERSION,
        users,
    };
    let mut text = serde_json::to_string_pretty(&saved)?;
    text.push('\n');
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    // For nobody else, unless the administrator has let others read the one before.
    let mode = fs::metadata(path).map_or(0o600, |old| old.mode() & 0o7777);
    let mut file = NamedTempFile::new_in(folder)?;
    file.as_file()
        .set_permissions(Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}

/// Saves what it is handed, one at a time, until nobody is left to hand it anything.
pub(crate) async fn keep(
    path: Option<PathBuf>,
    mut rosters: mpsc::Receiver<Roster>,
    hub: mpsc::WeakSender<Event>,
) {
    while let Some(roster) = rosters.recv().await {
        let is_saved = match path.clone() {
            Some(place) => saved(place, roster).await,
            None => true,
        };
        if let Some(hub) = hub.upgrade() {
            let _ = hub.send(Event::Saved(is_saved)).await;
        }
    }
}

/// Returns whether the state was saved.
async fn saved(place: PathBuf, roster: Roster) -> bool {
    let file = place.display().to_string();
    let saving = tokio::task::spawn_blocking(move || save(&place, &roster)).await;
    match saving.map_err(io::Error::other).and_then(|saved| saved) {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(%error, file, "the state could not be saved, and is tried again");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Subscription;

    fn roster() -> Roster {
        let address = |text| Bare::user(text).expect("an address");
        let mut roster = Roster::default();
        let (ana, bob) = (address("ana@contoso.com"), address("bob@straße.example"));
        roster.put(&ana, &bob, Entry::configured(Subscription::Both));
        let asked = Entry {
            listed: true,
            asked: true,
            ..Entry::default()
        };
        roster.put(&ana, &address("eve@gmail.com"), asked);
        let network = Bare::contact("icq.gmail.com").expect("an address");
        roster.put(&ana, &network, Entry::configured(Subscription::From));
        roster
    }

    #[test]
    fn what_is_saved_comes_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("gateway.state");
        assert_eq!(load(&path).expect("no file yet"), Roster::default());
        for roster in [roster(), Roster::default(), roster()] {
            save(&path, &roster).expect("saved");
            assert_eq!(load(&path).expect("loaded"), roster);
        }
        let names = fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(names, 1, "nothing is left beside it");
    }

    #[test]
    fn a_failure_leaves_what_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("gateway.state");
        fs::create_dir(&path).expect("in the way");
        assert!(save(&path, &Roster::default()).is_err());
        assert!(path.is_dir());
        let names = fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(names, 1, "nothing is left beside it");
    }

    #[test]
    fn others_may_read_it_only_if_the_administrator_lets_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("gateway.state");
        let mode = || fs::metadata(&path).expect("saved").mode() & 0o777;
        save(&path, &roster()).expect("saved");
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("it is ours");
        save(&path, &Roster::default()).expect("saved");
        assert_eq!(mode(), 0o640);
    }

    #[test]
    fn says_what_is_wrong_with_a_file() {
        for (text, message) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            (
                r#"{"version": 2, "users": {}}"#,
                "its version is 2, expected 1",
            ),
            (
                r#"{"version": 1, "users": {"ana": {"b@c.example": {}}}}"#,
                "`ana` is no address",
            ),
            (
                r#"{"version": 1, "users": {"a@b.example": {"b@c.example": {"too": true}}}}"#,
                "unknown field `too`, expected one of `listed`, `to`, `from`, `asked`, `asks`, \
                 `configured` at line 1 column 62",
            ),
        ] {
            assert_eq!(parse(text).expect_err("refused").to_string(), message);
        }
    }
}
