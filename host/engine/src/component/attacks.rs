//! Hostile calls of our host functions, without a guest in between: whatever comes in, an error goes out.

mod fake;
mod fields;
mod sockets;

use std::sync::Arc;

use qyv_vfs::{Access, Budget, Clock, MemFs, MemFsOptions, Vfs};
use qyv_wasi::Right;
use wasmtime::component::Resource;
use wasmtime_wasi_io::streams::{StreamError, StreamResult};

use super::bindings::preopens::Host as _;
use super::bindings::sockets::network::{
    ErrorCode as SocketCode, IpAddressFamily, IpSocketAddress, Ipv6SocketAddress,
};
use super::bindings::sockets::tcp::{HostTcpSocket, ShutdownType};
use super::bindings::sockets::tcp_create_socket::Host as _;
use super::bindings::sockets::udp::HostUdpSocket as _;
use super::bindings::sockets::udp_create_socket::Host as _;
use super::bindings::sockets::{instance_network::Host as _, ip_name_lookup::Host as _};
use super::bindings::types::{
    Advice, DescriptorFlags, ErrorCode, HostDescriptor, HostDirectoryEntryStream, NewTimestamp, OpenFlags,
    PathFlags,
};
use super::descriptor::Descriptor;
use super::error::FsError;
use super::limits::{MAX_READ, WRITE_PERMIT};
use super::network::SocketError;
use super::{ComponentConfig, ComponentLimits, ComponentState};

type Fd = Resource<Descriptor>;

const QUOTA: u64 = 1 << 20;
const EDGES: [u64; 9] = [0, 1, QUOTA, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, u64::MAX - 1, u64::MAX];

struct Noon;

impl Clock for Noon {
    fn now(&self) -> u64 {
        43_200_000_000_000
    }
}

fn mem_fs(memory: &Budget) -> Box<MemFs> {
    Box::new(MemFs::new(MemFsOptions {
        bytes: Budget::new(QUOTA),
        inodes: Budget::new(1000),
        memory: memory.clone(),
        clock: Arc::new(Noon),
        max_file: u64::MAX,
    }))
}

/// A component with `/data`, `/other`, `/ro` (read-only) and a closed `/`, with few handles, and its memory.
fn state() -> (ComponentState, Budget) {
    state_within(ComponentLimits { resources: 100, ..ComponentLimits::default() })
}

fn state_within(limits: ComponentLimits) -> (ComponentState, Budget) {
    let memory = Budget::new(4 * QUOTA);
    let mut vfs = Vfs::new();
    let mut preopens = vec![];
    for (path, access) in
        [("/data", Access::ReadWrite), ("/other", Access::ReadWrite), ("/ro", Access::ReadOnly)]
    {
        vfs.mount(path, mem_fs(&memory), access).unwrap();
        preopens.push((path.to_owned(), Some(vfs.open_root(path).unwrap())));
    }
    preopens.push(("/".to_owned(), None));
    let config = ComponentConfig {
        args: vec![],
        env: vec![],
        vfs,
        preopens,
        services: None,
        outside: None,
        stdin: Box::new(tokio::io::empty()),
        stdout: Box::new(tokio::io::empty()),
        stderr: Box::new(tokio::io::empty()),
        descriptors: Budget::new(20),
        limits,
    };
    (ComponentState::new(config).unwrap(), memory)
}

/// `/data`, `/other`, `/ro` and the closed root.
fn roots(state: &mut ComponentState) -> [Fd; 4] {
    let roots = state.files().get_directories().unwrap();
    roots.into_iter().map(|(fd, _)| fd).collect::<Vec<_>>().try_into().unwrap()
}

/// The handle as a guest lends it for a call.
fn lend<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

fn open(state: &mut ComponentState, dir: &Fd, path: &str) -> Result<Fd, FsError> {
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    state.files().open_at(lend(dir), PathFlags::empty(), path.to_owned(), OpenFlags::CREATE, flags)
}

/// The code of a refusal; a trap or a success is a failure of the test.
#[track_caller]
fn code<T>(result: Result<T, FsError>) -> ErrorCode {
    match result {
        Err(FsError::Code(code)) => code,
        Err(FsError::Trap(error)) => panic!("a trap: {error:?}"),
        Ok(_) => panic!("a success"),
    }
}

#[track_caller]
fn no_trap<T>(result: Result<T, FsError>) {
    if let Err(FsError::Trap(error)) = result {
        panic!("a trap: {error:?}");
    }
}

#[track_caller]
fn no_stream_trap<T>(result: StreamResult<T>) {
    if let Err(StreamError::Trap(error)) = result {
        panic!("a trap: {error:?}");
    }
}

#[test]
fn offsets_and_lengths_at_the_edges() {
    let (mut state, memory) = state();
    let [data, ..] = roots(&mut state);
    let file = open(&mut state, &data, "file").unwrap();
    state.files().write(lend(&file), b"content".to_vec(), 0).unwrap();
    for offset in EDGES {
        for length in EDGES {
            if let Ok((bytes, _)) = state.files().read(lend(&file), length, offset) {
                assert!(bytes.len() <= MAX_READ);
            }
            for advice in [Advice::WillNeed, Advice::DontNeed] {
                no_trap(state.files().advise(lend(&file), offset, length, advice));
            }
        }
        let before = state.files().stat(lend(&file)).unwrap().size;
        no_trap(state.files().write(lend(&file), b"x".to_vec(), offset));
        no_trap(state.files().write(lend(&file), vec![], offset));
        no_trap(state.files().set_size(lend(&file), offset));
        no_trap(state.files().set_size(lend(&file), before));
        let output = state.files().write_via_stream(lend(&file), offset).unwrap();
        let stream = state.table().get_mut(&output).unwrap();
        no_stream_trap(stream.write(b"xyz".as_slice().into()));
        no_stream_trap(stream.write(b"xyz".as_slice().into()));
        state.table().delete(output).unwrap();
        let input = state.files().read_via_stream(lend(&file), offset).unwrap();
        let stream = state.table().get_mut(&input).unwrap();
        for size in [0, 1, usize::MAX] {
            no_stream_trap(stream.read(size));
            no_stream_trap(stream.skip(size));
        }
        state.table().delete(input).unwrap();
        state.files().set_size(lend(&file), 7).unwrap();
    }
    assert!(memory.peak() <= 4 * QUOTA);
}

#[test]
fn streams_at_and_past_their_ends() {
    let (mut state, _) = state();
    let [data, ..] = roots(&mut state);
    let file = open(&mut state, &data, "file").unwrap();
    let output = state.files().append_via_stream(lend(&file)).unwrap();
    let stream = state.table().get_mut(&output).unwrap();
    assert!(matches!(stream.write(vec![1; WRITE_PERMIT + 1].into()), Err(StreamError::Trap(_))));
    assert!(matches!(stream.write_zeroes(usize::MAX), Err(StreamError::Trap(_))));
    let mut failed = None;
    for _ in 0..2 * QUOTA as usize / WRITE_PERMIT {
        if let Err(error) = stream.write(vec![1; WRITE_PERMIT].into()) {
            failed = Some(error);
            break;
        }
    }
    let Some(StreamError::LastOperationFailed(error)) = failed else { panic!("the quota held nothing back") };
    assert_eq!(super::error::code_of(&error), Some(ErrorCode::InsufficientSpace));
    let input = state.files().read_via_stream(lend(&file), QUOTA - 1).unwrap();
    // The file goes away; what is open stays.
    state.files().unlink_file_at(lend(&data), "file".into()).unwrap();
    state.table().delete(file).unwrap();
    let stream = state.table().get_mut(&input).unwrap();
    assert_eq!(stream.read(usize::MAX).unwrap().len(), 1);
    for _ in 0..3 {
        assert!(matches!(stream.read(10), Err(StreamError::Closed)));
    }
    assert!(stream.read(0).unwrap().is_empty());
}

#[test]
fn handles_that_are_gone_or_of_another_kind_end_the_guest() {
    let (mut state, _) = state();
    let [data, ..] = roots(&mut state);
    let file = open(&mut state, &data, "file").unwrap();
    let stream = state.files().read_via_stream(lend(&file), 0).unwrap();
    let entries = state.files().read_directory(lend(&data)).unwrap();
    let gone = file.rep();
    HostDescriptor::drop(&mut state.files(), file).unwrap();
    for rep in [gone, stream.rep(), entries.rep(), 99_999, u32::MAX] {
        let bad = || Fd::new_borrow(rep);
        let trap = |result: Result<(), FsError>| assert!(matches!(result, Err(FsError::Trap(_))), "{rep}");
        let mut files = state.files();
        trap(files.read(bad(), 1, 0).map(drop));
        trap(files.write(bad(), vec![1], 0).map(drop));
        trap(files.stat(bad()).map(drop));
        trap(
            files
                .open_at(bad(), PathFlags::empty(), "x".into(), OpenFlags::empty(), DescriptorFlags::READ)
                .map(drop),
        );
        trap(files.rename_at(bad(), "file".into(), lend(&data), "x".into()));
        trap(files.rename_at(lend(&data), "file".into(), bad(), "x".into()));
        trap(files.read_directory(bad()).map(drop));
        trap(files.set_size(bad(), 0));
        trap(files.metadata_hash(bad()).map(drop));
        assert!(files.is_same_object(lend(&data), bad()).is_err());
        assert!(files.is_same_object(bad(), lend(&data)).is_err());
        assert!(
            HostDescriptor::drop(&mut files, Fd::new_own(rep)).is_err()
                || rep == stream.rep()
                || rep == entries.rep()
        );
    }
    let entry = state.files().read_directory_entry(Resource::new_borrow(data.rep()));
    assert!(matches!(entry, Err(FsError::Trap(_))));
}

#[test]
fn paths_that_lead_nowhere() {
    let (mut state, _) = state();
    let [data, other, ..] = roots(&mut state);
    open(&mut state, &data, "file").unwrap();
    let long = |length: usize| "a".repeat(length);
    for (path, expected) in [
        (String::new(), vec![ErrorCode::NoEntry]),
        ("a\0b".into(), vec![ErrorCode::Invalid, ErrorCode::IllegalByteSequence]),
        ("..".into(), vec![ErrorCode::NotPermitted]),
        ("../other".into(), vec![ErrorCode::NotPermitted]),
        ("/data/file".into(), vec![ErrorCode::NotPermitted]),
        ("/".into(), vec![ErrorCode::NotPermitted]),
        ("missing/x".into(), vec![ErrorCode::NoEntry]),
        ("file/x".into(), vec![ErrorCode::NotDirectory]),
        (long(256), vec![ErrorCode::NameTooLong]),
        ("./".repeat(2048) + "a", vec![ErrorCode::NameTooLong]),
        (long(1 << 20), vec![ErrorCode::NameTooLong]),
    ] {
        let shown = &path[..path.len().min(20)];
        let check = |got: ErrorCode| assert!(expected.contains(&got), "{got:?} of {shown:?}");
        let (follow, keep) = (PathFlags::SYMLINK_FOLLOW, || NewTimestamp::NoChange);
        check(code(open(&mut state, &data, &path)));
        let mut files = state.files();
        check(code(files.stat_at(lend(&data), follow, path.clone())));
        check(code(files.metadata_hash_at(lend(&data), follow, path.clone())));
        check(code(files.set_times_at(lend(&data), follow, path.clone(), keep(), keep())));
        check(code(files.readlink_at(lend(&data), path.clone())));
        check(code(files.create_directory_at(lend(&data), path.clone())));
        check(code(files.remove_directory_at(lend(&data), path.clone())));
        check(code(files.unlink_file_at(lend(&data), path.clone())));
        check(code(files.symlink_at(lend(&data), "x".into(), path.clone())));
        check(code(files.rename_at(lend(&data), path.clone(), lend(&data), "new".into())));
        check(code(files.rename_at(lend(&data), "file".into(), lend(&data), path.clone())));
        check(code(files.link_at(lend(&data), PathFlags::empty(), path.clone(), lend(&data), "new".into())));
        check(code(files.link_at(lend(&data), PathFlags::empty(), "file".into(), lend(&data), path.clone())));
    }
    let across = state.files().rename_at(lend(&data), "file".into(), lend(&other), "file".into());
    assert_eq!(code(across), ErrorCode::CrossDevice);
    // A link may say what it likes; it is followed nowhere.
    for target in ["../other", "/other"] {
        no_trap(state.files().symlink_at(lend(&data), target.into(), "out".into()));
        let through = state.files().stat_at(lend(&data), PathFlags::SYMLINK_FOLLOW, "out/file".into());
        assert!(matches!(code(through), ErrorCode::NotPermitted | ErrorCode::NoEntry));
    }
    let opened = state.files().open_at(
        lend(&data),
        PathFlags::empty(),
        "file".into(),
        OpenFlags::all(),
        DescriptorFlags::all(),
    );
    assert_eq!(code(opened), ErrorCode::Invalid);
}

#[test]
fn files_are_no_directories_and_directories_no_files() {
    let (mut state, _) = state();
    let [data, ..] = roots(&mut state);
    let file = open(&mut state, &data, "file").unwrap();
    assert_eq!(code(open(&mut state, &file, "x")), ErrorCode::NotDirectory);
    let mut files = state.files();
    assert_eq!(code(files.read_directory(lend(&file))), ErrorCode::NotDirectory);
    let rename = files.rename_at(lend(&file), "a".into(), lend(&data), "b".into());
    assert_eq!(code(rename), ErrorCode::NotDirectory);
    assert_eq!(code(files.read(lend(&data), 1, 0)), ErrorCode::IsDirectory);
    assert_eq!(code(files.read_via_stream(lend(&data), 0)), ErrorCode::IsDirectory);
    assert_eq!(code(files.write(lend(&data), vec![1], 0)), ErrorCode::BadDescriptor);
    assert_eq!(code(files.write_via_stream(lend(&data), 0)), ErrorCode::BadDescriptor);
    assert_eq!(code(files.append_via_stream(lend(&data))), ErrorCode::BadDescriptor);
    assert_eq!(code(files.advise(lend(&data), 0, 0, Advice::Normal)), ErrorCode::BadDescriptor);
    no_trap(files.sync(lend(&data)));
    assert!(files.set_size(lend(&data), 0).is_err());
}

#[test]
fn handles_run_out_and_come_back() {
    let (mut state, memory) = state();
    let [data, ..] = roots(&mut state);
    let held = memory.used();
    for round in 0..3 {
        let mut opened = vec![];
        let refused = loop {
            match open(&mut state, &data, &format!("file{}", opened.len())) {
                Ok(file) => opened.push(file),
                Err(error) => break error,
            }
        };
        assert_eq!(code::<()>(Err(refused)), ErrorCode::Quota);
        // 20, of which three are the preopens.
        assert_eq!(opened.len(), 17, "round {round}");
        let mut streams = vec![];
        let refused = loop {
            match state.files().read_directory(lend(&data)) {
                Ok(stream) => streams.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(code::<()>(Err(refused)), ErrorCode::Quota);
        assert_eq!(code(state.files().read_via_stream(lend(&opened[0]), 0)), ErrorCode::Quota);
        assert!(state.files().get_directories().is_err());
        assert!(matches!(
            state.network().create_tcp_socket(IpAddressFamily::Ipv4),
            Err(SocketError::Code(SocketCode::NewSocketLimit))
        ));
        for stream in streams {
            HostDirectoryEntryStream::drop(&mut state.files(), stream).unwrap();
        }
        for (number, file) in opened.into_iter().enumerate() {
            HostDescriptor::drop(&mut state.files(), file).unwrap();
            state.files().unlink_file_at(lend(&data), format!("file{number}")).unwrap();
        }
    }
    assert_eq!(memory.used(), held);
}

#[test]
fn the_same_file_is_known_again() {
    let (mut state, _) = state();
    let [data, other, _, closed] = roots(&mut state);
    let (one, two) = (open(&mut state, &data, "one").unwrap(), open(&mut state, &data, "one").unwrap());
    let elsewhere = open(&mut state, &other, "one").unwrap();
    let mut files = state.files();
    assert!(files.is_same_object(lend(&one), lend(&two)).unwrap());
    assert!(files.is_same_object(lend(&one), lend(&one)).unwrap());
    assert!(files.is_same_object(lend(&closed), lend(&closed)).unwrap());
    for different in [&elsewhere, &data, &closed] {
        assert!(!files.is_same_object(lend(&one), lend(different)).unwrap());
    }
    let mut hash = |fd: &Fd| {
        let hash = files.metadata_hash(lend(fd)).unwrap();
        (hash.lower, hash.upper)
    };
    let before = hash(&one);
    assert_eq!(before, hash(&two));
    for different in [&elsewhere, &data, &closed, &other] {
        assert_ne!(before, hash(different));
    }
    files.write(lend(&one), b"changed".to_vec(), 0).unwrap();
    files.unlink_file_at(lend(&data), "one".into()).unwrap();
    let after = files.metadata_hash(lend(&two)).unwrap();
    assert_eq!(before, (after.lower, after.upper));
}

#[test]
fn the_closed_root_answers_everything_and_denials_are_bounded() {
    let (mut state, _) = state();
    let [data, _, ro, closed] = roots(&mut state);
    assert_eq!(code(open(&mut state, &closed, "x")), ErrorCode::Access);
    let mut files = state.files();
    assert_eq!(code(files.read_directory(lend(&closed))), ErrorCode::Access);
    let into = files.rename_at(lend(&data), "a".into(), lend(&closed), "b".into());
    assert_eq!(code(into), ErrorCode::Access);
    assert!(files.stat(lend(&closed)).is_ok() && files.get_flags(lend(&closed)).is_ok());
    for error in [
        code(files.sync(lend(&closed))),
        code(files.sync_data(lend(&closed))),
        code(files.set_size(lend(&closed), 0)),
        code(files.set_times(lend(&closed), NewTimestamp::Now, NewTimestamp::Now)),
        code(files.write(lend(&closed), vec![1], 0)),
        code(files.advise(lend(&closed), 0, 0, Advice::Normal)),
    ] {
        assert_eq!(error, ErrorCode::BadDescriptor);
    }
    assert_eq!(code(files.set_times(lend(&ro), NewTimestamp::Now, NewTimestamp::Now)), ErrorCode::ReadOnly);
    let denials = state.denials().len();
    assert_eq!(state.denials()[denials - 1].right, Right::Write("/ro".into()));
    for number in 0..500 {
        let path = format!("{number}{}", "é".repeat(2000));
        assert_eq!(code(open(&mut state, &closed, &path)), ErrorCode::Access);
    }
    assert_eq!(state.denials().len(), qyv_wasi::limits::DENIALS_MAX);
    let longest = state.denials().iter().map(|denial| denial.what.len()).max();
    assert!(longest <= Some(qyv_wasi::limits::DENIAL_BYTES_MAX));
}

#[test]
fn sockets_go_nowhere() {
    let (mut state, _) = state();
    let network = state.network().instance_network().unwrap();
    let v6 = || {
        IpSocketAddress::Ipv6(Ipv6SocketAddress {
            port: 65535,
            flow_info: u32::MAX,
            address: (0, 0, 0, 0, 0, 0, 0, 1),
            scope_id: u32::MAX,
        })
    };
    let mut net = state.network();
    let tcp = net.create_tcp_socket(IpAddressFamily::Ipv6).unwrap();
    let udp = net.create_udp_socket(IpAddressFamily::Ipv4).unwrap();
    let refused = |result: Result<(), SocketError>| {
        assert!(matches!(result, Err(SocketError::Code(SocketCode::AccessDenied))), "{result:?}");
    };
    refused(net.start_connect(lend(&tcp), lend(&network), v6()));
    refused(net.stream(lend(&udp), Some(v6())).map(drop));
    refused(net.resolve_addresses(lend(&network), "é".repeat(1 << 20)).map(drop));
    let nothing = |result: Result<(), SocketError>| {
        assert!(
            matches!(result, Err(SocketError::Code(code)) if code != SocketCode::AccessDenied),
            "{result:?}"
        );
    };
    nothing(net.finish_connect(lend(&tcp)).map(drop));
    nothing(net.start_listen(lend(&tcp)));
    nothing(net.accept(lend(&tcp)).map(drop));
    nothing(net.shutdown(lend(&tcp), ShutdownType::Both));
    nothing(net.stream(lend(&udp), None).map(drop));
    net.set_keep_alive_idle_time(lend(&tcp), u64::MAX).unwrap();
    let gone = Resource::new_borrow(tcp.rep());
    HostTcpSocket::drop(&mut net, tcp).unwrap();
    assert!(matches!(net.accept(gone), Err(SocketError::Trap(_))));
    let said: Vec<_> = state.denials().iter().map(|denial| denial.what.as_str()).collect();
    assert_eq!(said[..2], ["tcp://[::1]:65535", "udp://[::1]:65535"]);
    let Right::Connect(name) = &state.denials()[2].right else { panic!("{:?}", state.denials()[2]) };
    assert!(name.len() <= qyv_wasi::limits::DENIAL_BYTES_MAX);
}
