//! The socket's file: of this user alone, and never one that another proxy uses.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::process;

use socket2::{Domain as Family, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

/// Commands waiting to be accepted.
const BACKLOG: i32 = 128;

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// It is another's.
    #[error("another process answers there")]
    InUse,
    /// The path is taken.
    #[error("there is a file that is no socket")]
    NoSocket,
    /// The operating system does not allow it.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// A listening control socket. Its file goes with it.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode: another proxy may have put its own file there since.
    file: (u64, u64),
}

impl ControlSocket {
    /// Listens at the path. What a killed proxy has left there is replaced.
    ///
    /// # Errors
    /// [`SocketError`] if it cannot be had.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        vacant(path)?;
        let socket = Socket::new(Family::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        // Nobody can connect before the permissions are set, as it does not listen yet.
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", process::id()));
        let beside = PathBuf::from(beside);
        let _ = fs::remove_file(&beside);
        socket.bind(&SockAddr::unix(&beside)?)?;
        let file = fs::set_permissions(&beside, Permissions::from_mode(0o600))
            .and_then(|()| fs::symlink_metadata(&beside))
            .and_then(|file| fs::rename(&beside, path).map(|()| file));
        let file = file.inspect_err(|_| {
            let _ = fs::remove_file(&beside);
        })?;
        socket.listen(BACKLOG)?;
        Ok(Self {
            listener: UnixListener::from_std(StdListener::from(socket))?,
            path: path.to_owned(),
            file: (file.dev(), file.ino()),
        })
    }
}

impl ControlSocket {
    /// The next command that connects.
    ///
    /// # Errors
    /// As the operating system has them.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.file) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether nobody answers at the path, and nothing but an old socket is there.
fn vacant(path: &Path) -> Result<(), SocketError> {
    let file = match fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if !file.file_type().is_socket() {
        return Err(SocketError::NoSocket);
    }
    let socket = Socket::new(Family::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        // Or its queue is full.
        Ok(()) => Err(SocketError::InUse),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(SocketError::InUse),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error.into()),
    }
}
