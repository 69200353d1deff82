//! One program with a trick per argument; it speaks to the host through the standard library alone.

use std::env;
use std::ffi::{CString, c_char, c_int};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant, SystemTime};

fn main() -> Result<(), String> {
    let args: Vec<String> = env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("exit") => std::process::exit(args[2].parse().expect("a number")),
        Some("fail") => Err("told to fail".into()),
        Some("panic") => panic!("told to panic"),
        Some("loop") => loop {
            std::hint::black_box(());
        },
        Some("stdio") => stdio(&args),
        Some("files") => files().map_err(|error| error.to_string()),
        Some("bulk") => bulk().map_err(|error| error.to_string()),
        Some("read-only") => read_only(),
        Some("closed") => closed(),
        Some("service") => service(),
        Some("escape") => escape(),
        Some("many") => many(),
        Some("net") => net(),
        Some("serve") => serve(&args).map_err(|error| error.to_string()),
        Some("dial") => dial(&args).map_err(|error| error.to_string()),
        Some("fetch") => fetch(&args),
        Some("flood") => flood(&args).map_err(|error| error.to_string()),
        Some("refusals") => refusals(),
        Some("spin") => spin(&args).map_err(|error| error.to_string()),
        Some("clocks") => clocks(),
        other => Err(format!("no such trick: {other:?}")),
    }
}

fn stdio(args: &[String]) -> Result<(), String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|error| error.to_string())?;
    println!("args {:?}", &args[1..]);
    println!("env {:?}", env::vars().collect::<Vec<_>>());
    println!("stdin {text:?}");
    eprintln!("on stderr");
    Ok(())
}

fn files() -> io::Result<()> {
    fs::create_dir("/data/dir")?;
    fs::write("/data/dir/a", "first\n")?;
    OpenOptions::new().append(true).open("/data/dir/a")?.write_all(b"second\n")?;
    println!("appended {:?}", fs::read_to_string("/data/dir/a")?);

    fs::rename("/data/dir/a", "/data/dir/b")?;
    println!("renamed {:?}", fs::metadata("/data/dir/a").map(|_| ()).map_err(|error| error.kind()));

    symlink("dir/b", "/data/link")?;
    println!("linked {:?} {:?}", fs::read_link("/data/link")?, fs::read_to_string("/data/link")?);
    println!("is link {}", fs::symlink_metadata("/data/link")?.file_type().is_symlink());

    fs::hard_link("/data/dir/b", "/data/dir/c")?;
    for number in 0..200 {
        File::create(format!("/data/dir/n{number:03}"))?;
    }
    let mut names = Vec::new();
    for entry in fs::read_dir("/data/dir")? {
        names.push(entry?.file_name().into_string().expect("UTF-8"));
    }
    names.sort();
    println!("entries {} {:?} {:?}", names.len(), &names[..3], names.last());

    let mut file = OpenOptions::new().read(true).write(true).open("/data/dir/b")?;
    file.seek(SeekFrom::Start(6))?;
    file.write_all(b"SECOND")?;
    file.set_len(12)?;
    file.sync_all()?;
    file.rewind()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    println!("seen through the other name {text:?} {:?}", fs::read_to_string("/data/dir/c")?);
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 7))?;
    println!("modified {:?}", file.metadata()?.modified()?.duration_since(SystemTime::UNIX_EPOCH));

    println!("not empty {:?}", fs::remove_dir("/data/dir").map_err(|error| error.raw_os_error()));
    fs::remove_dir_all("/data/dir")?;
    fs::remove_file("/data/link")?;
    println!("left {}", fs::read_dir("/data")?.count());
    Ok(())
}

/// The standard library has it behind an unstable feature only.
fn symlink(target: &str, path: &str) -> io::Result<()> {
    unsafe extern "C" {
        fn symlink(target: *const c_char, path: *const c_char) -> c_int;
    }
    let (target, path) = (CString::new(target)?, CString::new(path)?);
    // SAFETY: both are strings that end with a NUL, and libc keeps neither.
    if unsafe { symlink(target.as_ptr(), path.as_ptr()) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn bulk() -> io::Result<()> {
    let bytes: Vec<u8> = (0..3_000_001_u32).map(|number| (number % 251) as u8).collect();
    fs::write("/data/bulk", &bytes)?;
    let back = fs::read("/data/bulk")?;
    println!("same {}", back == bytes);
    io::stdout().write_all(&bytes[..500_000])
}

fn kinds<T>(what: &str, result: io::Result<T>) {
    println!("{what} {:?}", result.map(|_| ()).map_err(|error| error.kind()));
}

fn read_only() -> Result<(), String> {
    kinds("read", fs::read("/ro/file"));
    kinds("create", File::create("/ro/new"));
    kinds("write", OpenOptions::new().write(true).open("/ro/file"));
    kinds("append", OpenOptions::new().append(true).open("/ro/file"));
    kinds("truncate", OpenOptions::new().write(true).truncate(true).open("/ro/file"));
    kinds("remove", fs::remove_file("/ro/file"));
    kinds("mkdir", fs::create_dir("/ro/dir"));
    kinds("rename", fs::rename("/ro/file", "/ro/other"));
    kinds("rename out", fs::rename("/ro/file", "/data/file"));
    kinds("rename in", fs::write("/data/x", "x").and_then(|()| fs::rename("/data/x", "/ro/x")));
    kinds("link out", fs::hard_link("/ro/file", "/data/file"));
    kinds("symlink", symlink("x", "/ro/link"));
    kinds("times", File::open("/ro/file").and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH)));
    kinds("length", File::open("/ro/file").and_then(|file| file.set_len(0)));
    Ok(())
}

fn escape() -> Result<(), String> {
    for path in
        ["/data/../secret", "/data/x/../../secret", "/data/up", "/data/up/", "/data/abs", "/secret", "secret"]
    {
        kinds(path, fs::read(path));
    }
    kinds("link to the outside", symlink("../secret", "/data/made"));
    kinds("through it", fs::read("/data/made"));
    kinds("out of it", fs::rename("/data/made", "/data/../made"));
    Ok(())
}

fn many() -> Result<(), String> {
    let mut open = Vec::new();
    let refused = loop {
        match File::create(format!("/data/{}", open.len())) {
            Ok(file) => open.push(file),
            Err(error) => break error,
        }
    };
    let count = open.len();
    // Standard output needs handles too.
    open.truncate(count / 2);
    println!("open {count} then {:?}", refused.kind());
    println!("after some were closed {}", File::create("/data/again").is_ok());
    Ok(())
}

fn closed() -> Result<(), String> {
    kinds("read", fs::read("/etc/passwd"));
    kinds("write", fs::write("/etc/passwd", "x"));
    kinds("stat", fs::metadata("/etc/passwd"));
    kinds("list", fs::read_dir("/"));
    kinds("mkdir", fs::create_dir("/new"));
    kinds("rename", fs::rename("/a", "/b"));
    service()
}

fn service() -> Result<(), String> {
    kinds("service", File::open("/svc/logger"));
    Ok(())
}

fn net() -> Result<(), String> {
    kinds("connect", TcpStream::connect("127.0.0.1:9"));
    kinds("listen", TcpListener::bind("127.0.0.1:0"));
    kinds("udp", UdpSocket::bind("127.0.0.1:0"));
    kinds("name", "localhost:80".to_socket_addrs());
    kinds("service", TcpStream::connect("logger.svc:80"));
    Ok(())
}

/// Gives so many callers what they send, in capitals.
fn serve(args: &[String]) -> io::Result<()> {
    let listener = TcpListener::bind(&*args[2])?;
    for _ in 0..args[3].parse().expect("a number") {
        let (stream, _) = listener.accept()?;
        answer(stream)?;
    }
    Ok(())
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 50_000];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        buffer[..count].make_ascii_uppercase();
        stream.write_all(&buffer[..count])?;
    }
}

fn dial(args: &[String]) -> io::Result<()> {
    let mut stream = TcpStream::connect(&*args[2])?;
    stream.set_nodelay(true)?;
    stream.write_all(args[3].as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    print!("{text}");
    io::stdout().flush()
}

/// Asks a server for a path, and prints the status and what it answers.
fn fetch(args: &[String]) -> Result<(), String> {
    use wasip2::http::{outgoing_handler, types};
    let fail = |what: &str| what.to_owned();
    let request = types::OutgoingRequest::new(types::Fields::new());
    let scheme = if args[2] == "https" { types::Scheme::Https } else { types::Scheme::Http };
    request.set_scheme(Some(&scheme)).map_err(|()| fail("scheme"))?;
    request.set_authority(Some(&args[3])).map_err(|()| fail("authority"))?;
    request.set_path_with_query(Some(&args[4])).map_err(|()| fail("path"))?;
    let answer = outgoing_handler::handle(request, None).map_err(|error| format!("{error:?}"))?;
    answer.subscribe().block();
    let answer = answer.get().ok_or_else(|| fail("not there"))?.map_err(|()| fail("taken"))?;
    let answer = answer.map_err(|error| format!("{error:?}"))?;
    print!("{} ", answer.status());
    let body = answer.consume().map_err(|()| fail("body"))?;
    let stream = body.stream().map_err(|()| fail("stream"))?;
    while let Ok(bytes) = stream.blocking_read(4096) {
        io::stdout().write_all(&bytes).map_err(|error| error.to_string())?;
    }
    io::stdout().flush().map_err(|error| error.to_string())
}

/// Sends bytes in large pieces and reads what comes back of each.
fn flood(args: &[String]) -> io::Result<()> {
    let mut stream = TcpStream::connect(&*args[2])?;
    let total: usize = args[3].parse().expect("a number");
    let (mut sent, mut back) = (0, 0);
    while sent < total {
        let piece = vec![b'a'; (total - sent).min(9000)];
        stream.write_all(&piece)?;
        sent += piece.len();
        let mut answer = vec![0; piece.len()];
        stream.read_exact(&mut answer)?;
        back += answer.iter().filter(|byte| **byte == b'A').count();
    }
    println!("{back} came back");
    Ok(())
}

fn refusals() -> Result<(), String> {
    kinds("down", TcpStream::connect("logger.svc:1"));
    kinds("another port", TcpStream::connect("db.svc:9001"));
    kinds("no such port", TcpStream::connect("logger.svc:5"));
    kinds("secret", TcpStream::connect("secret.svc:1"));
    // The standard library has no name for it.
    println!("gone {}", TcpStream::connect("gone.svc:1").is_err());
    kinds("listen", TcpListener::bind("0.0.0.0:1"));
    kinds("outside", TcpStream::connect("192.0.2.1:80"));
    Ok(())
}

/// Waits for one caller without waiting.
fn spin(args: &[String]) -> io::Result<()> {
    let listener = TcpListener::bind(&*args[2])?;
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            accepted => {
                let (stream, _) = accepted?;
                stream.set_nonblocking(false)?;
                return answer(stream);
            }
        }
    }
}

fn clocks() -> Result<(), String> {
    let start = Instant::now();
    std::thread::sleep(Duration::from_millis(20));
    println!("slept {}", start.elapsed() >= Duration::from_millis(20));
    println!(
        "after 2020 {}",
        SystemTime::now() > SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800)
    );
    let one = std::collections::hash_map::RandomState::new();
    println!("random {}", std::hash::BuildHasher::hash_one(&one, 1) != 0);
    Ok(())
}
