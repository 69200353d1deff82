//! The one list of what the API offers: the router and its description are both made from it.

use axum::Json;
use axum::routing::{self, MethodRouter};
use qyvol_protocol::api::{
    AppDetail, AppSummary, DeployRequest, Deployed, Event, ExecRequest, FileInfo, Image, Info, LogLine,
    Manifests, NetService, Pruned, Rollback, Scale, SecretInfo, UsageRow, Volume,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{
    Context, apps, blobs, bundles, events, files, logs, manifests, metrics, openapi, rest, sessions, volumes,
};

/// Makes the schema of a type.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One request that clients can make.
pub(crate) struct Route {
    /// In small letters, as OpenAPI has it.
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// One line for people.
    pub(crate) summary: &'static str,
    /// Parameters after the `?`, with their types.
    pub(crate) query: &'static [(&'static str, &'static str)],
    pub(crate) request: Content,
    pub(crate) answer: Content,
    pub(crate) handler: fn() -> MethodRouter<Context>,
}

/// What a body is.
#[derive(Clone, Copy)]
pub(crate) enum Content {
    None,
    Json(SchemaOf),
    /// Something of this media type; of a stream, what each part is.
    Other(&'static str, Option<SchemaOf>),
}

fn of<T: JsonSchema>() -> Content {
    Content::Json(schema::<T>)
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Every route.
pub(crate) fn routes() -> Vec<Route> {
    let bytes = Content::Other("application/octet-stream", None);
    let route = |method, path, summary, request, answer, handler| Route {
        method,
        path,
        summary,
        query: &[],
        request,
        answer,
        handler,
    };
    let none = Content::None;
    vec![
        route("get", "/v1/info", "The daemon and its workers", none, of::<Info>(), || {
            routing::get(rest::info)
        }),
        route("head", "/v1/blobs/{hash}", "Whether a bundle is stored: 200 or 404", none, none, || {
            routing::head(blobs::head)
        }),
        route("put", "/v1/blobs/{hash}", "Store a bundle: 201, or 200 when it is known", bytes, none, || {
            routing::put(blobs::put)
        }),
        route(
            "post",
            "/v1/deploy",
            "Deploy apps, all or none",
            of::<DeployRequest>(),
            of::<Deployed>(),
            || routing::post(apps::deploy),
        ),
        route(
            "post",
            "/v1/deploy/bundles",
            "The same with bundles that are not stored: a tar archive of the request, called `deploy.json`, and after it \
             the bundles, each called by its hash",
            Content::Other("application/x-tar", None),
            of::<Deployed>(),
            || routing::post(bundles::deploy),
        ),
        route("get", "/v1/apps", "The apps", none, of::<Vec<AppSummary>>(), || routing::get(apps::list)),
        route("get", "/v1/apps/{app}", "All that is known of an app", none, of::<AppDetail>(), || {
            routing::get(apps::detail)
        }),
        Route {
            query: &[("volumes", "boolean")],
            ..route("delete", "/v1/apps/{app}", "Stop an app and forget it", none, none, || {
                routing::delete(apps::remove)
            })
        },
        route("post", "/v1/apps/{app}/start", "Start an app", none, of::<AppDetail>(), || {
            routing::post(apps::start)
        }),
        route("post", "/v1/apps/{app}/stop", "Stop an app", none, of::<AppDetail>(), || {
            routing::post(apps::stop)
        }),
        route("post", "/v1/apps/{app}/restart", "Stop and start an app", none, of::<AppDetail>(), || {
            routing::post(apps::restart)
        }),
        route(
            "post",
            "/v1/apps/{app}/kill",
            "Stop an app without asking it",
            none,
            of::<AppDetail>(),
            || routing::post(apps::kill),
        ),
        route(
            "post",
            "/v1/apps/{app}/scale",
            "Run another number of replicas",
            of::<Scale>(),
            of::<AppDetail>(),
            || routing::post(apps::scale),
        ),
        route(
            "post",
            "/v1/apps/{app}/rollback",
            "Deploy an earlier revision anew",
            of::<Rollback>(),
            of::<Deployed>(),
            || routing::post(apps::rollback),
        ),
        route(
            "post",
            "/v1/apps/{app}/exec",
            "Run a program beside an instance: 101, and from then on the worker speaks `qyvol-session/1`",
            of::<ExecRequest>(),
            none,
            || routing::post(sessions::exec),
        ),
        Route {
            query: &[("slot", "integer")],
            ..route(
                "post",
                "/v1/apps/{app}/attach",
                "Watch what an instance prints: 101, and from then on the worker speaks `qyvol-session/1`",
                none,
                none,
                || routing::post(sessions::attach),
            )
        },
        Route {
            query: &[("follow", "boolean"), ("since", "integer"), ("tail", "integer"), ("slot", "integer")],
            ..route(
                "get",
                "/v1/apps/{app}/logs",
                "What an app has printed, a line each",
                none,
                Content::Other("application/x-ndjson", Some(schema::<LogLine>)),
                || routing::get(logs::logs),
            )
        },
        Route {
            query: &[("path", "string"), ("slot", "integer")],
            ..route(
                "get",
                "/v1/apps/{app}/files",
                "A packaged file, or one of the volume at `/data`, or a folder, as a tar archive",
                none,
                Content::Other("application/x-tar", None),
                || routing::get(files::get),
            )
        },
        Route {
            query: &[("path", "string"), ("slot", "integer")],
            ..route(
                "put",
                "/v1/apps/{app}/files",
                "Put what is in a tar archive into a folder of the volume",
                Content::Other("application/x-tar", None),
                Content::Other("application/json", None),
                || routing::put(files::put),
            )
        },
        Route {
            query: &[("path", "string"), ("slot", "integer")],
            ..route(
                "get",
                "/v1/apps/{app}/files/about",
                "What a path of an app names",
                none,
                of::<FileInfo>(),
                || routing::get(files::stat),
            )
        },
        Route {
            query: &[("since", "integer"), ("app", "string")],
            ..route(
                "get",
                "/v1/events",
                "What happens, from now on or after an event; resumes by `Last-Event-ID`",
                none,
                Content::Other("text/event-stream", Some(schema::<Event>)),
                || routing::get(events::follow),
            )
        },
        route(
            "get",
            "/v1/manifests",
            "The folder whose manifests the daemon deploys by itself, and what is wrong with them",
            none,
            of::<Manifests>(),
            || routing::get(manifests::manifests),
        ),
        route("get", "/v1/usage", "What each instance uses", none, of::<Vec<UsageRow>>(), || {
            routing::get(rest::usage)
        }),
        route("get", "/v1/images", "The bundles that are stored", none, of::<Vec<Image>>(), || {
            routing::get(blobs::images)
        }),
        route(
            "delete",
            "/v1/images/{hash}",
            "Remove a bundle that nothing needs",
            none,
            of::<Pruned>(),
            || routing::delete(blobs::remove),
        ),
        route("post", "/v1/images/prune", "Remove bundles that nothing needs", none, of::<Pruned>(), || {
            routing::post(blobs::prune)
        }),
        route("get", "/v1/volumes", "The volumes of apps", none, of::<Vec<Volume>>(), || {
            routing::get(rest::volumes)
        }),
        route(
            "get",
            "/v1/volumes/{volume}/archive",
            "Save a volume as a tar archive",
            none,
            Content::Other("application/x-tar", None),
            || routing::get(volumes::backup),
        ),
        route(
            "put",
            "/v1/volumes/{volume}/archive",
            "Put a volume back from a tar archive, in place of what is there; its app must not run",
            Content::Other("application/x-tar", None),
            none,
            || routing::put(volumes::restore),
        ),
        route("delete", "/v1/volumes/{volume}", "Remove a volume of an app that is gone", none, none, || {
            routing::delete(rest::remove_volume)
        }),
        route(
            "get",
            "/v1/net",
            "Services and addresses, and who serves them",
            none,
            of::<Vec<NetService>>(),
            || routing::get(rest::net),
        ),
        route("get", "/v1/secrets", "The names of secrets", none, of::<Vec<SecretInfo>>(), || {
            routing::get(rest::secrets)
        }),
        route("put", "/v1/secrets/{name}", "Set a secret to the bytes of the body", bytes, none, || {
            routing::put(rest::set_secret)
        }),
        route("delete", "/v1/secrets/{name}", "Remove a secret", none, none, || {
            routing::delete(rest::remove_secret)
        }),
        Route {
            query: &[("apps", "boolean")],
            ..route(
                "post",
                "/v1/daemon/stop",
                "End the daemon; apps go on unless `apps` is set",
                none,
                none,
                || routing::post(rest::stop),
            )
        },
        route(
            "get",
            "/metrics",
            "Figures in the text format of Prometheus",
            none,
            Content::Other("text/plain", None),
            || routing::get(metrics::metrics),
        ),
        route(
            "get",
            "/v1/openapi.json",
            "This description",
            none,
            Content::Other("application/json", None),
            || routing::get(|| async { Json(openapi::document()) }),
        ),
    ]
}
