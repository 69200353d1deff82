//! A Unix, where programs are compiled and tested, and no service can be reached.

use std::convert::Infallible;
use std::net::TcpStream;
use std::os::fd::RawFd;

use crate::error::ErrorKind;

pub(crate) fn dial(_name: &str, _port: Option<u16>) -> Result<TcpStream, ErrorKind> {
    Err(ErrorKind::NoServices)
}

pub(crate) fn listen(_name: &str) -> Result<Listening, ErrorKind> {
    Err(ErrorKind::NoServices)
}

/// There is none.
#[derive(Debug)]
pub(crate) struct Listening(Infallible);

impl Listening {
    pub(crate) fn accept(&self) -> std::io::Result<TcpStream> {
        match self.0 {}
    }

    pub(crate) fn fd(&self) -> RawFd {
        match self.0 {}
    }
}
