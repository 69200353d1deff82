//! The App in a bundle, held against what the bundle holds.

use alloc::{
    string::{String, ToString},
    vec,
};

use super::error::{Error, Result};
use super::read::Bundle;
use super::source::Source;
use crate::App;

impl<S: Source> Bundle<S> {
    /// Reads the App, and checks that it lists exactly the packaged files, with their sizes, and for a file that is
    /// stored as a module also with its hash.
    ///
    /// # Errors
    ///
    /// [`Error::App`] and [`Error::AppFile`], and those of [`Bundle::read_app`].
    pub fn app(&self) -> Result<App> {
        let app =
            App::from_json(&self.read_app()?).map_err(|error| Error::App { reason: error.to_string() })?;
        let mut listed = vec![false; self.files().len()];
        for said in &app.files {
            let path = said.path.as_str();
            let differs = || Error::AppFile { path: String::from(path) };
            let file = self.find(path).and_then(|index| self.file(index)).ok_or_else(differs)?;
            let module = file.module.and_then(|index| self.modules().nth(index));
            if file.size != said.size || module.is_some_and(|module| module.hash != said.blake3.0) {
                return Err(differs());
            }
            listed[file.index] = true;
        }
        match self.files().find(|file| !listed[file.index]) {
            None => Ok(app),
            Some(file) => Err(Error::AppFile { path: String::from(file.path) }),
        }
    }

    /// The index of the module that the App's entrypoint is stored as.
    ///
    /// # Errors
    ///
    /// [`Error::NoModule`] when it is a file like any other.
    pub fn entrypoint_module(&self, app: &App) -> Result<usize> {
        let path = app.entrypoint.as_str();
        let file = self.find(path).and_then(|index| self.file(index));
        file.and_then(|file| file.module).ok_or_else(|| Error::NoModule { path: String::from(path) })
    }
}
