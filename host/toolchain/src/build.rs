//! From sources to a module.

use std::fs;
use std::path::{Path, PathBuf};

use crate::languages::tools;
use crate::{Error, Host, Language, Observer, Result, module};

/// The largest module that is taken from a compiler, in bytes.
const MODULE_BYTES_MAX: u64 = 512 << 20;
/// The folder of a project that builds are done in, where the language's own tools have none. Hidden, so that nothing of it
/// is packaged.
const BUILD_FOLDER: &str = ".build";

/// What is built, and how.
#[derive(Clone, Debug)]
pub struct Project {
    /// The folder of the sources; absolute.
    pub folder: PathBuf,
    /// The app's name.
    pub name: String,
    /// Smaller and faster, and longer to build.
    pub release: bool,
    /// A component of WASI 0.2, where the language can make one; else a module of preview 1.
    pub component: bool,
    /// Whether compilers may use colours.
    pub colours: bool,
}

impl Project {
    /// A file in the folder for what compilers leave between sources and program.
    pub(crate) fn build_file(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(BUILD_FOLDER);
        crate::files::make_folder(&folder)?;
        Ok(folder.join(name))
    }
}

/// Builds a program, and returns its bytes: a valid module or component.
///
/// # Errors
///
/// [`Error::Missing`] when tools are not there, [`Error::Compile`] when the compiler found a mistake, which it has said, and
/// others.
pub fn build(
    language: Language,
    project: &Project,
    host: &Host,
    observer: &mut dyn Observer,
) -> Result<Vec<u8>> {
    let parts = crate::missing(language, host, &project.folder);
    if !parts.is_empty() {
        return Err(Error::Missing { language, parts });
    }
    let built = tools(language).build(project, host, observer)?;
    let bytes = read(&built)?;
    module::check(&bytes).map_err(|why| Error::Broken { program: language.title().to_owned(), why })?;
    Ok(bytes)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let size = fs::metadata(path).map_err(|error| Error::system("read", path, error))?.len();
    if size > MODULE_BYTES_MAX {
        return Err(Error::sources(
            format!("`{}` has {size} bytes, and {MODULE_BYTES_MAX} are the most", path.display()),
            "leave data out of the program: an app's files are packaged beside it",
        ));
    }
    fs::read(path).map_err(|error| Error::system("read", path, error))
}
