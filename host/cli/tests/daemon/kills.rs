//! The daemon and its workers are killed at random moments under load. What was acknowledged is there afterwards, no slot
//! runs twice, and who did not live in a killed process notices nothing.
//!
//! `QYVOL_KILL_POINTS` says how often (20 by default), `QYVOL_KILL_SEED` in which order (the time by default). A failure
//! prints the seed; what the processes were at is theirs, so it says which moments were tried, not which were met.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use qyvol_protocol::channel;
use qyvol_protocol::worker::{FromWorker, Hello, Running, ToWorker, VERSION};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::bench::{Bench, Client, SLEEPER};
use crate::guests::{Target, svc};
use crate::sandbox::{PATIENCE, wait_until};

/// The apps that are deployed, scaled and removed.
const APPS: [&str; 6] = ["a0", "a1", "a2", "a3", "a4", "a5"];

/// Kills between two looks at everything.
const ROUND: u64 = 10;

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// What is wanted of an app: its revision by the variable `N`, its replicas, whether it is to run.
type Wanted = Option<(u64, u64, bool)>;

/// The hash and the bytes of each app's bundle.
type Bundles = BTreeMap<&'static str, (String, Vec<u8>)>;

/// What the daemon may have of an app: what was acknowledged, and what was asked for since without an answer.
#[derive(Debug)]
struct Model {
    allowed: BTreeMap<&'static str, BTreeSet<Wanted>>,
    count: u64,
    acknowledged: u64,
}

impl Model {
    fn new() -> Self {
        let allowed = APPS.into_iter().map(|app| (app, BTreeSet::from([None]))).collect();
        Self { allowed, count: 0, acknowledged: 0 }
    }

    /// Asks for one change, and notes what came of it.
    fn step(&mut self, client: &Client, bundles: &Bundles, random: &mut Random) {
        let app = APPS[usize::try_from(random.below(APPS.len() as u64)).unwrap()];
        let before = self.allowed[app].clone();
        self.count += 1;
        let count = self.count;
        let (hash, bytes) = &bundles[app];
        let (answer, change): (_, Box<dyn Fn(Wanted) -> Wanted>) = match random.below(12) {
            0..=3 => {
                let replicas = 1 + random.below(2);
                let deploy = json!({ "apps": [{
                    "bundle": hash, "allow_unsigned": true,
                    "env": { "N": count.to_string() }, "replicas": replicas,
                }] });
                (client.post("/v1/deploy", &deploy), Box::new(move |_| Some((count, replicas, true))))
            }
            4..=5 => {
                let replicas = 1 + random.below(3);
                let scale = client.post(&format!("/v1/apps/{app}/scale"), &json!({ "replicas": replicas }));
                (scale, Box::new(move |wanted| wanted.map(|(n, _, runs)| (n, replicas, runs))))
            }
            6 => (
                client.post(&format!("/v1/apps/{app}/stop"), &json!({})),
                Box::new(|wanted| wanted.map(|(n, replicas, _)| (n, replicas, false))),
            ),
            7 => (
                client.post(&format!("/v1/apps/{app}/start"), &json!({})),
                Box::new(|wanted| wanted.map(|(n, replicas, _)| (n, replicas, true))),
            ),
            8 => (
                client.post(&format!("/v1/apps/{app}/restart"), &json!({})),
                Box::new(|wanted| wanted.map(|(n, replicas, _)| (n, replicas, true))),
            ),
            9 => (client.ask("DELETE", &format!("/v1/apps/{app}"), b""), Box::new(|_| None)),
            // The bundle may be gone by then: a deploy is refused until it is sent again.
            10 => (client.post("/v1/images/prune", &json!({})), Box::new(|wanted| wanted)),
            _ => (client.ask("PUT", &format!("/v1/blobs/{hash}"), bytes), Box::new(|wanted| wanted)),
        };
        let after: BTreeSet<Wanted> = before.iter().map(|wanted| change(*wanted)).collect();
        let allowed = match answer.status {
            200..=299 => {
                self.acknowledged += 1;
                after
            }
            // No answer: either.
            0 => before.union(&after).copied().collect(),
            400..=599 | Client::NOBODY => before,
            other => panic!("{other}: {}", answer.body),
        };
        self.allowed.insert(app, allowed);
    }

    /// Compares with what is there, and goes on from that.
    fn check(&mut self, bench: &Bench) {
        for (app, allowed) in &mut self.allowed {
            let found = found(bench, app);
            assert!(
                allowed.contains(&found),
                "`{app}` is {found:?}; what was acknowledged allows {allowed:?}"
            );
            *allowed = BTreeSet::from([found]);
        }
    }
}

/// What the daemon has of an app that has come to rest.
fn found(bench: &Bench, app: &str) -> Wanted {
    wait_until("an app comes to rest", || {
        matches!(bench.state(app).as_str(), "ready" | "stopped")
            || bench.get(&format!("/v1/apps/{app}")).status == 404
    });
    let detail = bench.get(&format!("/v1/apps/{app}"));
    if detail.status == 404 {
        return None;
    }
    let detail = detail.expect(200).json();
    let number = detail["env"]["N"].as_str().unwrap().parse().unwrap();
    let runs = detail["summary"]["state"] != "stopped";
    Some((number, detail["summary"]["replicas"].as_u64().unwrap(), runs))
}

/// Talks to an app outside for as long as it is let, over one connection.
fn talk(address: &str, over: &AtomicBool, rounds: &AtomicU64) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    while !over.load(Ordering::Relaxed) {
        let mut came = [0; 5];
        let talked = stream.write_all(b"hello").and_then(|()| stream.read_exact(&mut came));
        talked.unwrap_or_else(|error| panic!("a connection broke whose app was not killed: {error}"));
        assert_eq!(&came, b"hello");
        rounds.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn kill(pid: u64) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
    // It may have ended by itself meanwhile.
    let _ = kill_process(pid, Signal::KILL);
}

/// The processes of the workers that apps share, of those the daemon knows and those that only their folders tell of.
fn shared_workers(bench: &Bench) -> Vec<u64> {
    let folders = fs::read_dir(bench.sandbox.path("run/workers")).into_iter().flatten().flatten();
    let about = folders.filter_map(|entry| {
        let about: Value = serde_json::from_slice(&fs::read(entry.path().join("about.json")).ok()?).ok()?;
        about["purpose"].get("shared")?;
        about["process"]["pid"].as_u64()
    });
    about.collect()
}

/// Everything that really runs, by asking the workers as the next daemon would. The daemon must be dead.
fn running(bench: &Bench, lease: u64) -> Vec<Running> {
    let mut running = Vec::new();
    for entry in fs::read_dir(bench.sandbox.path("run/workers")).unwrap() {
        let folder = entry.unwrap().path();
        // One that was killed with the daemon has left its folder.
        let Ok(socket) = UnixStream::connect(folder.join("control.sock")) else { continue };
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let about: Value = serde_json::from_slice(&fs::read(folder.join("about.json")).unwrap()).unwrap();
        let token = about["token"].as_str().unwrap().to_owned();
        channel::send(&socket, &ToWorker::Hello(Hello { version: VERSION, lease, token }), &[]).unwrap();
        match channel::receive::<FromWorker>(&socket).unwrap().unwrap().message {
            FromWorker::Welcome(welcome) => running.extend(welcome.running),
            other => panic!("{}: {other:?}", folder.display()),
        }
    }
    running
}

/// The processes that were started with a folder of this bench.
fn processes(bench: &Bench) -> Vec<String> {
    let place = bench.sandbox.path("");
    let place = place.to_str().unwrap();
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| {
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        command.contains(place).then(|| format!("{} {command}", entry.file_name().to_string_lossy()))
    })
    .collect()
}

/// The files beneath a folder.
fn files(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn kills_at_random_moments_lose_nothing_that_was_acknowledged() {
    let number = |key: &str, default| std::env::var(key).map_or(default, |text| text.parse().unwrap());
    let points: u64 = number("QYVOL_KILL_POINTS", 20);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed: u64 = number("QYVOL_KILL_SEED", u64::from(now.subsec_nanos()) | 1);
    eprintln!("QYVOL_KILL_SEED={seed} QYVOL_KILL_POINTS={points}");
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);

    let mut bench = Bench::new();
    // Of this process alone: no other test or program takes it.
    let process = std::process::id();
    let address = format!("127.6.{}.{}:7010", process % 250 + 1, process / 250 % 250 + 1);
    let own = "type: service\nisolation: process\n";
    let front = format!(
        "{own}permissions: {{ net: {{ listen: ['tcp://{address}'] }} }}\nargs: ['tcp://{address}', stream, \"0\"]\n"
    );
    let (server, holder) = (svc("svc_echo_server", Target::Preview1), svc("svc_hold", Target::Preview1));
    let listen = format!("listen:tcp://{address}");
    bench.deploy_granted("front", &front, &server, &[&listen]).expect(200);
    let echo = format!("{own}services: [{{ name: echo }}]\nargs: [echo, lines, \"0\"]\n");
    bench.deploy_wasm("echo", &echo, &server).expect(200);
    let holds = format!(
        "{own}restart: never\npermissions: {{ net: {{ connect: [\"service://echo\"] }} }}\nargs: [\"service://echo\", \"4\", \"2\"]\n"
    );
    bench.deploy_granted("holder", &holds, &holder, &["service://echo"]).expect(200);
    for app in ["front", "echo", "holder"] {
        bench.wait_for(app, "ready");
    }
    wait_until("the holder holds", || bench.get("/v1/apps/holder/logs").body.contains("holding"));
    let others = ["front", "echo", "holder"].map(|app| bench.instance(app));
    bench.deploy("marker", "type: service\n", SLEEPER).expect(200);
    let bundle = |app| {
        let hash = bench.upload(app, "type: service\nlimits: { instances: 3 }\n", SLEEPER);
        (app, (hash, fs::read(bench.sandbox.path(&format!("{app}.qyvbin"))).unwrap()))
    };
    let bundles: Bundles = APPS.into_iter().map(bundle).collect();

    let (over, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    let (model, busy) = (Mutex::new(Model::new()), AtomicBool::new(false));
    let client = bench.client();
    let (mut daemons, mut workers, start) = (0, 0, Instant::now());
    std::thread::scope(|scope| {
        // Whatever fails here ends the others too.
        let _end = OnDrop(&over);
        scope.spawn(|| talk(&address, &over, &rounds));
        let load_seed = random.below(u64::MAX) | 1;
        let (model, busy, over, client, bundles) = (&model, &busy, &over, &client, &bundles);
        scope.spawn(move || {
            let mut random = Random(load_seed);
            while !over.load(Ordering::Relaxed) {
                if busy.load(Ordering::Relaxed) {
                    let mut model = model.lock().unwrap();
                    for _ in 0..8 {
                        model.step(client, bundles, &mut random);
                    }
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        for round in 0..points.div_ceil(ROUND) {
            busy.store(true, Ordering::Relaxed);
            for _ in 0..ROUND.min(points - round * ROUND) {
                std::thread::sleep(Duration::from_micros(random.below(150_000)));
                let alive = shared_workers(&bench);
                if random.below(2) == 0 || alive.is_empty() {
                    bench.crash();
                    daemons += 1;
                    if random.below(3) == 0 && !alive.is_empty() {
                        kill(alive[usize::try_from(random.below(alive.len() as u64)).unwrap()]);
                        workers += 1;
                    }
                    std::thread::sleep(Duration::from_micros(random.below(20_000)));
                    bench.start();
                } else {
                    kill(alive[usize::try_from(random.below(alive.len() as u64)).unwrap()]);
                    workers += 1;
                }
            }
            busy.store(false, Ordering::Relaxed);
            look(&mut bench, &mut model.lock().unwrap());
            for (app, before) in ["front", "echo", "holder"].into_iter().zip(&others) {
                assert_eq!((bench.state(app), bench.instance(app)), ("ready".to_owned(), *before));
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    let acknowledged = model.into_inner().unwrap().acknowledged;
    eprintln!(
        "{daemons} daemons and {workers} workers killed in {:?}; {acknowledged} changes acknowledged, {} round trips",
        start.elapsed(),
        rounds.load(Ordering::Relaxed)
    );
    assert!(acknowledged >= points && rounds.load(Ordering::Relaxed) >= points);
    nothing_is_left(&mut bench);
}

struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Everything that was acknowledged is there and comes up; what runs is what the daemon says, each slot once.
fn look(bench: &mut Bench, model: &mut Model) {
    model.check(bench);
    for (app, allowed) in &model.allowed {
        let Some(Some((_, replicas, runs))) = allowed.first() else { continue };
        bench.wait_for(app, if *runs { "ready" } else { "stopped" });
        let mut detail = Value::Null;
        let start = Instant::now();
        loop {
            let instances = detail["instances"].as_array().map_or(&[][..], Vec::as_slice);
            let of = |state: &str| instances.iter().filter(|one| one["state"] == state).count();
            // A stopped app that has not run since the daemon's start has no instance to show.
            let rests = if *runs {
                of("ready") as u64 == *replicas && detail["notes"] == json!([])
            } else {
                detail != Value::Null && of("stopped") == instances.len()
            };
            if rests {
                break;
            }
            assert!(start.elapsed() < PATIENCE, "{replicas} replicas are wanted: {runs}; {detail}");
            std::thread::sleep(Duration::from_millis(5));
            detail = bench.get(&format!("/v1/apps/{app}")).expect(200).json();
        }
    }
    // A start has the daemon's lease in its number.
    bench.wait_for("marker", "ready");
    let before = bench.instance("marker");
    bench.post("/v1/apps/marker/restart", &json!({})).expect(200);
    wait_until("the marker is another", || {
        bench.state("marker") == "ready"
            && bench.get("/v1/apps/marker").json()["instances"][0]["instance"]["generation"] != before.0
    });
    let lease = bench.instance("marker").0 >> 32;
    let known: BTreeSet<String> = bench
        .get("/v1/usage")
        .expect(200)
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let instance = &row["instance"];
            format!("{}.{}@{}", instance["app"].as_str().unwrap(), instance["slot"], instance["generation"])
        })
        .collect();
    let images: BTreeSet<String> = bench
        .get("/v1/images")
        .expect(200)
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|image| image["image"].as_str().unwrap().to_owned())
        .collect();
    bench.crash();
    // No higher than that of the next daemon, which goes on with the same workers.
    let really: Vec<Running> = running(bench, lease);
    let mut slots = BTreeSet::new();
    for running in &really {
        let slot = (running.instance.app.clone(), running.instance.slot);
        assert!(slots.insert(slot), "two run in one slot: {really:?}");
    }
    let really: BTreeSet<String> = really.iter().map(|running| running.instance.to_string()).collect();
    assert_eq!(really, known, "what runs is what the daemon has said");
    assert_eq!(files(&bench.sandbox.path("state/blobs")).len(), images.len(), "{images:?}");
    bench.start();
    model.check(bench);
}

/// When everything is removed and the daemon has ended, no process, socket or bundle is left.
fn nothing_is_left(bench: &mut Bench) {
    let apps = bench.get("/v1/apps").expect(200).json();
    for app in apps.as_array().unwrap() {
        bench.ask("DELETE", &format!("/v1/apps/{}", app["app"].as_str().unwrap()), b"").expect(200);
    }
    wait_until("all apps are gone", || bench.get("/v1/apps").expect(200).body == "[]");
    bench.post("/v1/images/prune", &json!({})).expect(200);
    assert_eq!(files(&bench.sandbox.path("state/blobs")), Vec::<String>::new());
    bench.ask("POST", "/v1/daemon/stop?apps=true", b"").expect(204);
    assert_eq!(bench.ended(), Some(0));
    wait_until("no process is left", || processes(bench).is_empty());
    assert_eq!(files(&bench.sandbox.path("run")), Vec::<String>::new());
}
