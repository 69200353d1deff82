//! As `svc_echo_client`, one at a time, with files of the standard library alone: `svc_echo_client_std NAME COUNT BYTES`, for a
//! service of lines.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};

use guests_svc::{argument, check, message, number, same};

fn main() {
    let (name, count, bytes) = (argument(1), number(2), number(3));
    let path = format!("/svc/{name}");
    let file = check("open", OpenOptions::new().read(true).write(true).open(&path));
    let (mut input, mut output) = (BufReader::new(&file), &file);
    for index in 0..count {
        let sent = message(index, bytes) + "\n";
        check("write", output.write_all(sent.as_bytes()));
        let mut came = String::new();
        check("read", input.read_line(&mut came));
        same("echo", &came, &sent);
    }
    // What `/svc` says without dialling.
    let mut info = String::new();
    let described = std::fs::File::open(format!("{path}/.info"));
    check("read .info", check("open .info", described).read_to_string(&mut info));
    same(".info names the service", &info.contains(&format!("\"name\":\"{name}\"")), &true);
    let names = check("list /svc", std::fs::read_dir("/svc"))
        .map(|entry| check("an entry of /svc", entry).file_name());
    same("/svc lists it", &names.into_iter().any(|listed| *listed == *name), &true);
    println!("{count} messages came back");
}
