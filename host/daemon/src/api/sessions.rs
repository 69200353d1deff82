//! `exec` and `attach`: connections that stop being HTTP and go to the worker of an instance. Nothing of what is said on them
//! passes through this process.

use std::os::fd::OwnedFd;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONNECTION, UPGRADE};
use axum::http::{HeaderMap, Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use qyvol_protocol::api::ExecRequest;
use qyvol_protocol::session;
use serde::Deserialize;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

use super::{Context, blocking, input};
use crate::fault::{Fault, Kind};
use crate::overseer::{Overseer, Wanted};
use crate::prepare;

/// Compilations of programs that are run beside instances, apart from those that instances wait for.
static COMPILING: Semaphore = Semaphore::const_new(prepare::AT_ONCE);

/// The most bytes of a program's arguments and variables: a message to a worker holds them, however they are written in it.
const WORDS_BYTES_MAX: usize = 1 << 20;

pub(crate) async fn exec(
    State(context): State<Context>,
    Path(app): Path<String>,
    mut request: Request,
) -> Result<Response<Body>, Fault> {
    wants_session(request.headers())?;
    let upgrade = hyper::upgrade::on(&mut request);
    let name = input::app(&app)?;
    let ExecRequest { slot, program, args, env, stdin } = input::json(request.into_body()).await?;
    let words = args.iter().chain(env.keys()).chain(env.values());
    if words.map(|word| word.len() + 1).sum::<usize>() > WORDS_BYTES_MAX {
        let message = format!("the arguments and variables have more than {WORDS_BYTES_MAX} bytes together");
        return Err(
            Fault::new(Kind::TooLarge, message).hint("pass what is large through standard input (`-i`)")
        );
    }
    let target = move |overseer: &mut Overseer| overseer.session_target(&name, slot, program.as_deref());
    let (lease, program) = context.handle.ask(target).await??;
    let mut packaged = None;
    if let Some(program) = program {
        let _turn = COMPILING.acquire().await.map_err(Fault::internal)?;
        let options = context.opened.options.clone();
        packaged = Some(program.packaged.clone());
        // What is in the cache already is found there.
        let compile = move || prepare::compile(&options, &program.bundle, Some(&program.name));
        blocking(move || compile().map_err(Fault::refused)).await?;
    }
    let wanted = Wanted { program: packaged, args, env, stdin };
    hand_over(context, upgrade, move |overseer, connection| overseer.exec(lease, wanted, connection));
    Ok(switching())
}

/// What is to be watched.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attach {
    /// Which replica; the first that runs when it is left out.
    slot: Option<u32>,
}

pub(crate) async fn attach(
    State(context): State<Context>,
    Path(app): Path<String>,
    mut request: Request,
) -> Result<Response<Body>, Fault> {
    wants_session(request.headers())?;
    let upgrade = hyper::upgrade::on(&mut request);
    let name = input::app(&app)?;
    let Attach { slot } = input::query(request.uri())?;
    let target = move |overseer: &mut Overseer| overseer.session_target(&name, slot, None);
    let (lease, _) = context.handle.ask(target).await??;
    hand_over(context, upgrade, move |overseer, connection| overseer.attach(lease, connection));
    Ok(switching())
}

/// Refuses who does not ask for a session.
fn wants_session(headers: &HeaderMap) -> Result<(), Fault> {
    if headers.get(UPGRADE).is_some_and(|value| value == session::UPGRADE) {
        return Ok(());
    }
    let message =
        format!("this needs a connection that can become a session (`upgrade: {}`)", session::UPGRADE);
    Err(Fault::new(Kind::UpgradeRequired, message).hint("use `qyvol exec` and `qyvol attach` on the host"))
}

fn switching() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, axum::http::HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, axum::http::HeaderValue::from_static(session::UPGRADE));
    response
}

/// Gives the connection away when the answer is out.
fn hand_over(context: Context, upgrade: OnUpgrade, to: impl FnOnce(&mut Overseer, OwnedFd) + Send + 'static) {
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let Some(connection) = connection(upgraded) else { return };
        // A daemon that ends drops it, which says that.
        let _ = context.handle.ask(move |overseer| to(overseer, connection)).await;
    });
}

/// The client's connection, out of the hands of HTTP.
fn connection(upgraded: Upgraded) -> Option<OwnedFd> {
    let parts = downcast::<TokioIo<UnixStream>>(upgraded).ok()?;
    // Who speaks before it is spoken to does not know this protocol.
    parts.read_buf.is_empty().then_some(())?;
    Some(parts.io.into_inner().into_std().ok()?.into())
}
