//! Turning portable bytes into something that runs.

use std::fs::File;

use wasmtime::component::Component;
use wasmtime::{Engine, InstancePre, Module};

use crate::cache::{Cache, Kind, Source};
use crate::compile::{Compiler, Progress};
use crate::config::{self, Settings};
use crate::host::ProcessHost;
use crate::interrupt::Interrupt;
use crate::preview1::{self, Guest};
use crate::{Error, Result};

/// A program in native code, with the engine that runs it.
#[derive(Clone)]
pub struct Program {
    pub(crate) engine: Engine,
    pub(crate) code: Linked,
    /// What one run costs besides memories and tables.
    pub(crate) instance_bytes: u64,
}

#[derive(Clone)]
pub(crate) enum Linked {
    /// Once, for any number of runs.
    Module(InstancePre<Guest<ProcessHost>>),
    Component(Component),
}

/// Native code, as it comes from the cache.
pub(crate) enum Code {
    Module(Module),
    Component(Component),
}

impl Program {
    /// Loads a program through the cache, compiling it when it is not there.
    ///
    /// # Errors
    ///
    /// When it is no program that runs here, cannot be compiled within its limits, or the cache is not to be
    /// trusted.
    pub fn load(
        source: &Source<'_>,
        settings: &Settings,
        cache: &Cache,
        compiler: &Compiler,
        interrupt: &Interrupt,
        progress: &mut dyn Progress,
    ) -> Result<Self> {
        let engine = config::runner(settings)?;
        interrupt.attach(&engine);
        let (file, record) = cache.get(source, settings, compiler, interrupt, progress)?;
        let code = match load_native(&engine, file, record.kind)? {
            Code::Module(module) => Linked::Module(preview1::link(&engine, &module)?),
            Code::Component(component) => Linked::Component(component),
        };
        Ok(Self { engine, code, instance_bytes: record.instance_bytes })
    }

    /// Whether it is a module (WASI preview 1) or a component (preview 2).
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.code {
            Linked::Module(_) => Kind::Module,
            Linked::Component(_) => Kind::Component,
        }
    }
}

/// The BLAKE3 of portable bytes, as [`Source::hash`] wants it.
#[must_use]
pub fn hash(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

pub(crate) fn load_native(engine: &Engine, file: File, kind: Kind) -> Result<Code> {
    match kind {
        Kind::Module => {
            // SAFETY: the file is an entry of our own cache: it carries the MAC of this host's key over its record
            // and first page, lies in a folder that no other user can enter, is not open for writing anywhere (it
            // was renamed into place complete), and is only ever replaced by rename or removed, never changed.
            let module = unsafe { Module::deserialize_open_file(engine, file) };
            Ok(Code::Module(module.map_err(Error::Engine)?))
        }
        Kind::Component => {
            let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
            // SAFETY: as above; wasmtime offers no variant that takes an open file for components, so the very file
            // that was checked is named through its descriptor, which stays open during the call.
            let component = unsafe { Component::deserialize_file(engine, path) };
            Ok(Code::Component(component.map_err(Error::Engine)?))
        }
    }
}
