//! What of a project goes into its bundle, and how.

use std::fs::File;
use std::io::{Seek, Write};

use qyv_spec::App;
use qyv_spec::app::Hash;
use qyv_spec::bundle::{Input, SecretKey, WriteError, Writer};
use qyv_spec::manifest::Program;

use crate::failure::{Failure, Result};
use crate::target::folder::{Project, ProjectFile};
use crate::target::{module, packaged, read_bounded};

/// A project, ready to be written as a bundle.
pub(crate) struct Packing<'a> {
    /// The app as the bundle says it.
    pub(crate) app: App,
    files: Vec<&'a ProjectFile>,
    /// The program, when it was assembled from text or has no manifest; otherwise it is one of the files.
    assembled: Option<Vec<u8>>,
}

impl<'a> Packing<'a> {
    /// Decides what goes into the bundle.
    ///
    /// A bundle's program is WebAssembly in its binary form. Text is assembled, and what the manifest calls `main.wat` is
    /// `main.wasm` in the bundle, so that a file is what its name says. The text itself is packed only if `files` takes it.
    ///
    /// # Errors
    ///
    /// When a bundle may not be so: a program that is no WebAssembly, a path of the host.
    pub(crate) fn new(project: &'a Project) -> Result<Self> {
        let mut app = project.app.clone();
        if app.program != Program::Wasm {
            return Err(Failure::refused(format!(
                "`{}` is run by a language's runtime, which cannot be packed here yet",
                app.entrypoint
            )));
        }
        let mut files: Vec<&ProjectFile> = project.files.iter().collect();
        let mut assembled = None;
        if app.entrypoint.ending() == "wat" {
            let text = app.entrypoint.clone();
            let place = project.files.iter().find(|file| file.path == text).map(|file| &file.place);
            let place = place.ok_or_else(|| Failure::not_found(format!("`{text}` does not exist")))?;
            let most = qyvol_engine::compile::MODULE_BYTES_MAX;
            let bytes = module::assemble(place, &read_bounded(place, most, "a module")?)?;
            let stem = text.as_str().strip_suffix("wat").unwrap_or_default();
            app.entrypoint = format!("{stem}wasm").parse().map_err(Failure::refused)?;
            if app.files.iter().any(|file| file.path == app.entrypoint) {
                return Err(Failure::refused(format!(
                    "`{text}` would be packed as `{}`, and there is such a file",
                    app.entrypoint
                ))
                .hint(format!(
                    "leave it out of `files`, or name it as the entrypoint in place of `{text}`"
                )));
            }
            let selection = project.manifest.selection();
            let taken =
                selection.named.contains(&text) || selection.patterns.iter().any(|p| p.matches(&text));
            if !taken {
                app.files.retain(|file| file.path != text);
                files.retain(|file| file.path != text);
            }
            app.files.push(packaged(app.entrypoint.as_str(), bytes.len() as u64, Hash::of(&bytes).0)?);
            app.files.sort_by(|a, b| a.path.cmp(&b.path));
            assembled = Some(bytes);
        }
        // The reader's own checks, before anything is written.
        App::from_json(&app.to_json())
            .map_err(|error| Failure::refused(format!("`{}` cannot be packed: {error}", app.name)))?;
        Ok(Self { app, files, assembled })
    }

    /// A bare module, whose app has nothing but its program.
    pub(crate) fn bare(app: App, program: Vec<u8>) -> Self {
        Self { app, files: Vec::new(), assembled: Some(program) }
    }

    /// Writes the bundle. Times are left out, so that the same files make the same bundle.
    pub(crate) fn write(
        &self,
        output: &mut File,
        keys: &[SecretKey],
    ) -> std::result::Result<[u8; 32], WriteError> {
        self.write_with(Writer::new(self.app.to_json()), output, keys)
    }

    /// The same, compressed for speed and unsigned: for a daemon of this host.
    pub(crate) fn write_quickly(
        &self,
        output: &mut (impl Write + Seek),
    ) -> std::result::Result<[u8; 32], WriteError> {
        let mut writer = Writer::new(self.app.to_json());
        writer.quick();
        self.write_with(writer, output, &[])
    }

    fn write_with<'w>(
        &'w self,
        mut writer: Writer<'w>,
        output: &mut (impl Write + Seek),
        keys: &[SecretKey],
    ) -> std::result::Result<[u8; 32], WriteError> {
        let entrypoint = self.app.entrypoint.as_str();
        let program = match &self.assembled {
            Some(bytes) => Some(Input::bytes(bytes)),
            None => self.files.iter().find(|file| file.path.as_str() == entrypoint).map(|file| input(file)),
        };
        if let Some(program) = program {
            // Stored once: as the module, which is also the file at its path.
            let module = writer.module(entrypoint, program)?;
            writer.module_file(entrypoint, 0, module)?;
        }
        for file in self.files.iter().filter(|file| file.path.as_str() != entrypoint) {
            writer.file(file.path.as_str(), 0, input(file))?;
        }
        writer.write(output, &keys.iter().collect::<Vec<_>>())
    }
}

fn input(file: &ProjectFile) -> Input<'_> {
    Input::reader(file.size, || File::open(&file.place))
}
