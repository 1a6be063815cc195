//! Temporary folders.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A folder that is removed, with what is in it, when this is dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new one among the system's temporary folders, whose name begins with `name`.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let name = format!("{name}-{:016x}", rand::random::<u64>());
        Self::at(std::env::temp_dir().join(name))
    }

    /// A new one in this one.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn within(&self, name: &str) -> anyhow::Result<Self> {
        Self::at(self.0.join(name))
    }

    fn at(path: PathBuf) -> anyhow::Result<Self> {
        let made = || format!("making {}", path.display());
        std::fs::create_dir(&path).with_context(made)?;
        // A server that does not run as root must reach its folder in it, whatever the umask.
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).with_context(made)?;
        Ok(Self(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where something in it is.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_what_is_in_it() {
        let folder = Folder::new("tocsin-kit").unwrap();
        let inner = folder.within("inner").unwrap();
        std::fs::write(inner.join("file"), "text").unwrap();
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
    }
}
