//! The configuration file, changed in place.
//!
//! Comments and order stay. The new text is checked by the proxy's own reader before it replaces the
//! old one, which it does as a whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use reference_proxy::config::{ConfigError, Draft};
use rustix::fs::{FlockOperation, Gid, Uid, fchown, flock};
use tempfile::NamedTempFile;
use toml_edit::{DocumentMut, Item, TableLike, Value, value};

use crate::error::Error;
use crate::output::note;

/// A file under a lock, which ends when this is dropped.
pub(crate) struct Store {
    /// As the user names it.
    name: PathBuf,
    /// The file itself, where the name is a symbolic link.
    file: PathBuf,
    text: String,
    pub(crate) document: DocumentMut,
    /// None only while somebody is asked.
    lock: Option<File>,
}

impl Store {
    /// Locks and reads a TOML file. Whoever has the lock is waited for.
    ///
    /// # Errors
    /// When it cannot be read, or is no TOML.
    pub(crate) fn open(name: &Path) -> Result<Self, Error> {
        let file = fs::canonicalize(name).map_err(|error| unreadable(name, error))?;
        let lock = Some(lock(&file)?);
        let text = fs::read_to_string(&file).map_err(|error| unreadable(name, error))?;
        let document = text.parse::<DocumentMut>().map_err(|error| {
            let name = name.display();
            Error::Usage(format!("{name}: {}", error.to_string().trim_end()))
        })?;
        Ok(Self {
            name: name.to_owned(),
            file,
            text,
            document,
            lock,
        })
    }

    /// Lets others change the file while somebody is asked.
    ///
    /// # Errors
    /// When somebody has changed it: what was asked about is not there any more.
    pub(crate) fn released<T>(&mut self, ask: impl FnOnce() -> T) -> Result<T, Error> {
        self.lock = None;
        let answer = ask();
        self.lock = Some(lock(&self.file)?);
        let text = fs::read_to_string(&self.file).map_err(|error| unreadable(&self.name, error))?;
        match text == self.text {
            true => Ok(answer),
            false => Err(Error::Usage(format!(
                "{} has been changed by somebody else meanwhile: run the command again",
                self.name.display()
            ))),
        }
    }

    /// The file as the user names it.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    /// What the document says as a configuration of the proxy.
    ///
    /// # Errors
    /// When the proxy would refuse it; the text shows where and why.
    pub(crate) fn draft(&self) -> Result<Draft, Error> {
        let text = self.document.to_string();
        Ok(Draft::from_toml(&text, &self.name.to_string_lossy())?)
    }

    /// Replaces the configuration of the proxy.
    ///
    /// # Errors
    /// When the proxy would refuse the new text, or it cannot be written. The file is then what it was.
    pub(crate) fn save(self) -> Result<Draft, Error> {
        self.finish(false).map(|(draft, _)| draft)
    }

    /// What the proxy would run with, although it may not be meant, and was not so before the change.
    fn new_doubts(&self, draft: &Draft) -> Vec<String> {
        let before = Draft::from_toml(&self.text, "");
        let before = before.map(|before| before.doubts()).unwrap_or_default();
        let now = draft.doubts().into_iter();
        now.filter(|doubt| !before.contains(doubt)).collect()
    }

    /// As [`Store::save`], or without saving anything. Also returns what was warned of.
    ///
    /// # Errors
    /// See [`Store::save`].
    pub(crate) fn finish(self, what_if: bool) -> Result<(Draft, Vec<String>), Error> {
        let draft = self.draft()?;
        let new = self.new_doubts(&draft);
        if !what_if {
            self.replace()?;
        }
        for doubt in &new {
            note(&format!("warning: {doubt}"));
        }
        Ok((draft, new))
    }

    /// Replaces the file, if anything is different.
    ///
    /// # Errors
    /// When it cannot be written. The file is then what it was.
    pub(crate) fn replace(self) -> Result<(), Error> {
        let mut text = self.document.to_string();
        if ends_lines_with_crlf(&self.text) {
            text = text.replace("\r\n", "\n").replace('\n', "\r\n");
        }
        if text == self.text {
            return Ok(());
        }
        replace(&self.file, text.as_bytes()).map_err(|error| {
            let name = self.name.display();
            Error::environment(format!("{name} is unchanged: it cannot be written"), error)
        })
    }
}

/// Whether each line of a text ends as on Windows. The document knows only the other end.
fn ends_lines_with_crlf(text: &str) -> bool {
    let lines = text.matches('\n').count();
    lines > 0 && text.matches("\r\n").count() == lines
}

/// How long another command may have the lock. It needs it only for a change.
const PATIENCE: Duration = Duration::from_secs(20);

/// Locks a file by its folder, because the file is another one after each change.
fn lock(file: &Path) -> Result<File, Error> {
    File::open(folder(file)).and_then(locked).map_err(|error| {
        let folder = folder(file).display();
        Error::environment(format!("cannot lock the folder {folder}"), error)
    })
}

/// Locks a folder. Who has the lock is waited for.
fn locked(folder: File) -> io::Result<File> {
    let (sender, receiver) = mpsc::channel();
    // The wait for a lock has no deadline of its own.
    thread::spawn(move || {
        let locked = flock(&folder, FlockOperation::LockExclusive);
        let _ = sender.send(locked.map(|()| folder));
    });
    match receiver.recv_timeout(PATIENCE) {
        Ok(locked) => Ok(locked?),
        Err(_) => {
            let message = format!("another command has had it for {} s", PATIENCE.as_secs());
            Err(io::Error::new(io::ErrorKind::TimedOut, message))
        }
    }
}

/// A file's text, and what it says.
///
/// # Errors
/// When it cannot be read or has mistakes.
pub(crate) fn read(name: &Path) -> Result<(String, Draft), Error> {
    let text = fs::read_to_string(name).map_err(|error| unreadable(name, error))?;
    let draft = Draft::from_toml(&text, &name.to_string_lossy())?;
    Ok((text, draft))
}

/// The file that a setting names, which is relative to the configuration; none if the setting is PEM.
pub(crate) fn beside(config: &Path, setting: &str) -> Option<PathBuf> {
    let pem = setting.contains("-----BEGIN ");
    let folder = config.parent().unwrap_or_else(|| Path::new(""));
    (!pem).then(|| folder.join(setting))
}

fn unreadable(name: &Path, source: io::Error) -> Error {
    Error::from(ConfigError::Read {
        path: name.to_owned(),
        source,
    })
}

fn folder(file: &Path) -> &Path {
    file.parent().unwrap_or_else(|| Path::new("/"))
}

/// Puts a text in the place of a file, with its mode and its owner. A crash leaves one or the other.
fn replace(file: &Path, text: &[u8]) -> io::Result<()> {
    let old = fs::metadata(file)?;
    if old.permissions().readonly() {
        let message = "it is read-only";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    // Only to learn whether it may be written: the folder alone would decide about the rename.
    OpenOptions::new().write(true).open(file)?;
    let mut new = NamedTempFile::new_in(folder(file)).map_err(|error| unnamed(&error))?;
    let made = new.as_file().metadata()?;
    if (made.uid(), made.gid()) != (old.uid(), old.gid()) {
        let (owner, group) = (Uid::from_raw(old.uid()), Gid::from_raw(old.gid()));
        fchown(new.as_file(), Some(owner), Some(group))?;
    }
    let mode = fs::Permissions::from_mode(old.mode() & 0o7777);
    new.as_file().set_permissions(mode)?;
    write(&mut new, text)?;
    new.persist(file)?;
    File::open(folder(file))?.sync_all()
}

/// Writes a file that is not there yet, for the owner's eyes only if it is `private`.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] unless it may be `replaced`, or as the system says. There is then
/// no new file, nor a part of one.
pub(crate) fn create(file: &Path, text: &[u8], private: bool, replaced: bool) -> io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    fs::metadata(folder)?;
    let mode = if private { 0o600 } else { 0o644 };
    let mut new = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(mode))
        .tempfile_in(folder)
        .map_err(|error| unnamed(&error))?;
    write(&mut new, text)?;
    match replaced {
        true => new.persist(file)?,
        false => new.persist_noclobber(file)?,
    };
    File::open(folder)?.sync_all()
}

/// The same without the name of the new file, which nobody knows.
fn unnamed(error: &io::Error) -> io::Error {
    error.kind().into()
}

fn write(file: &mut NamedTempFile, text: &[u8]) -> io::Result<()> {
    file.as_file_mut().write_all(text)?;
    file.as_file().sync_all()
}

/// Sets a value and keeps the comment behind it.
pub(crate) fn put(table: &mut dyn TableLike, key: &str, new: impl Into<Value>) {
    let new = new.into();
    match table.get_mut(key) {
        Some(Item::Value(old)) => {
            let decor = old.decor().clone();
            *old = new;
            *old.decor_mut() = decor;
        }
        _ => {
            table.insert(key, value(new));
        }
    }
}
